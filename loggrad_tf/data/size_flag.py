"""The type of a flag that is the size of images: a side, or width and height."""

from absl import flags

from loggrad_tf.data.crops import MODES
from loggrad_tf.data.request import Request
from loggrad_tf.data.sides import Size, parsed, short
from loggrad_tf.errors import LogGradError


class SizeParser(flags.ArgumentParser):
    syntactic_help = "a side, or WIDTHxHEIGHT"

    def parse(self, argument: str | Size) -> Size:
        try:
            size = parsed(argument) if isinstance(argument, str) else argument
            Request("", size, MODES[0]).check()
        except LogGradError as error:
            raise ValueError(str(error)) from None
        return size

    def flag_type(self) -> str:
        return "size"


class SizeSerializer(flags.ArgumentSerializer):
    def serialize(self, value: Size) -> str:
        return short(value)
