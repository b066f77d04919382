"""The flags of every command that takes a data set: ``--data``, ``--task``, ``--size``, ``--mode``
and ``--fit``.

A command that imports this module adopts them: ``flags.adopt_module_key_flags(options)``.
"""

import dataclasses
from typing import Any

from absl import flags

from loggrad_tf.data.crops import MODES
from loggrad_tf.data.request import (
    CLASSIFY,
    DETECT,
    DETECT_DATA,
    DETECT_SIZE,
    FITS,
    MAX_SIZE,
    MIN_SIZE,
    PRESENCE,
    Request,
    usual_fit,
)
from loggrad_tf.data.sides import short
from loggrad_tf.data.size_flag import SizeParser, SizeSerializer

FLAGS = flags.FLAGS


flags.DEFINE_string(
    "data",
    "synthetic",
    f"Data set: synthetic, pascalraw:DIR, folder:DIR or prepared:DIR; with --task={DETECT} {DETECT_DATA} if"
    " none is given.",
)
flags.DEFINE_string(
    "task",
    CLASSIFY,
    f"{CLASSIFY}: crops of objects, or pictures of one class each; {PRESENCE}:person: whole photographs with"
    f" boxes, with a person (or another class) or without; {DETECT}: objects found in whole photographs, of"
    f" all classes of the set, or {DETECT}:person,car: of these.",
)
flags.DEFINE(
    SizeParser(),
    "size",
    96,
    f"Side of the square input in pixels, or width and height: 240x160; even, {MIN_SIZE} to {MAX_SIZE};"
    f" with --task={DETECT} {short(DETECT_SIZE)} if none is given.",
    serializer=SizeSerializer(),
)
flags.DEFINE_enum(
    "mode", MODES[0], list(MODES), "What the network sees: binned gray, or the Bayer mosaic itself."
)
flags.DEFINE_enum(
    "fit",
    FITS[0],
    list(FITS),
    "How a whole picture gets the input's proportions: both sides scaled, its middle cut out, or mirrored at"
    f" its edges; with --task={DETECT} {usual_fit(DETECT)} if nothing is said.",
)


def request() -> Request:
    """The data set that the flags ask for; where they say nothing, what is usual for the task."""
    asked = Request(FLAGS.data, FLAGS.size, FLAGS.mode, FLAGS.fit, FLAGS.task)
    if not asked.detects:
        return asked
    unsaid: dict[str, Any] = {"spec": DETECT_DATA, "size": DETECT_SIZE, "fit": usual_fit(asked.task)}
    for name, flag in (("spec", "data"), ("size", "size"), ("fit", "fit")):
        if FLAGS[flag].present:
            del unsaid[name]
    return dataclasses.replace(asked, **unsaid)
