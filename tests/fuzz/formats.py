"""Everything that is read, a file at a time, as something a fuzzer can try: bytes in, a fault or none out.

Most are the files of :mod:`tests.support.mutants`, which also says what a fault is. A flatbuffer goes all
the way to the C of a project.
"""

import contextlib
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from export import firmware
from loggrad_tf.errors import LogGradError
from tests.support import hostile, mutants, quantized
from tests.support.mutations import changed

_BOARD = "mps2-an386"


class Fault(Exception):
    """What an input brought to light."""


@dataclasses.dataclass(frozen=True)
class Format:
    """One file that is read.

    Attributes:
      name: of the harness.
      seeds: valid files.
      read: raises :class:`Fault` if the bytes are neither read nor refused in one line.
      change: makes another file of one, by a generator; it may fail.
    """

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes], None]
    change: Callable[[bytes, np.random.Generator], bytes]


def _file_of(name: str) -> str:
    return name.rpartition("/")[2]


_SUBJECTS = {
    f"{subject.name.replace(' ', '_')}:{_file_of(file)}": (subject, file)
    for subject in mutants.SUBJECTS
    for file in subject.files
}
FLATBUFFER = "flatbuffer:model.tflite"
NAMES = (FLATBUFFER, *_SUBJECTS)


def prepare(name: str, place: Path) -> Format:
    """The format of one of :data:`NAMES`; its files lie in ``place``, an empty folder, while it is read."""
    return _flatbuffer(place) if name == FLATBUFFER else _subject(name, place)


def _subject(name: str, place: Path) -> Format:
    subject, file = _SUBJECTS[name]
    subject.make(place)
    good = {other: (place / other).read_bytes() for other in subject.files}

    def read(data: bytes) -> None:
        for other, content in good.items():
            path = place / other
            wanted = data if other == file else content
            if not path.is_file() or path.read_bytes() != wanted:
                path.write_bytes(wanted)
        outcome = mutants.outcome_of(subject, place)
        if outcome not in ("ok", "refused"):
            raise Fault(outcome)

    return Format(name, (good[file],), read, lambda data, random: changed(file, data, random))


def _flatbuffer(place: Path) -> Format:
    model = place / "model.tflite"

    def read(data: bytes) -> None:
        model.write_bytes(data)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                firmware.make(model, _BOARD, firmware.Options(1))
        except LogGradError as error:
            if "\n" in str(error):
                raise Fault(f"several lines: {error}") from None

    def change(data: bytes, random: np.random.Generator) -> bytes:
        return (hostile.changed_bytes if random.integers(2) else hostile.changed_model)(data, random)

    return Format(FLATBUFFER, tuple(build() for build in quantized.NETS.values()), read, change)
