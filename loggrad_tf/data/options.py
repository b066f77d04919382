"""The flags of every command that takes a data set: ``--data``, ``--size``, ``--mode`` and ``--fit``.

A command that imports this module adopts them: ``flags.adopt_module_key_flags(options)``.
"""

from absl import flags

from loggrad_tf.data.crops import MODES
from loggrad_tf.data.request import FITS, MAX_SIZE, MIN_SIZE, Request

FLAGS = flags.FLAGS
flags.DEFINE_string("data", "synthetic", "Data set: synthetic, pascalraw:DIR, folder:DIR or prepared:DIR.")
flags.DEFINE_integer(
    "size", 96, "Side of the square input in pixels, even.", lower_bound=MIN_SIZE, upper_bound=MAX_SIZE
)
flags.DEFINE_enum(
    "mode", MODES[0], list(MODES), "What the network sees: binned gray, or the Bayer mosaic itself."
)
flags.DEFINE_enum(
    "fit",
    FITS[0],
    list(FITS),
    "How a whole picture of a folder becomes square: both sides scaled, its middle cut out, or mirrored at"
    " its edges.",
)
flags.register_validator("size", lambda size: size % 2 == 0, "choose an even number")


def request() -> Request:
    """The data set that the flags ask for."""
    return Request(FLAGS.data, FLAGS.size, FLAGS.mode, FLAGS.fit)
