"""``python -m export.convert --run=DIR`` or ``--keras=MODEL.keras --data=...``: a network as int8 flatbuffer.

Writes ``model.tflite`` and ``model.json`` (what the flatbuffer means: input format, thresholds
as integer ratios, sensor, classes, data set, accuracies, confusions, hashes) and prints what int8 costs
in accuracy. Of a detector they hold the grid, and the threshold that is best on validation by the scores of
int8; what is printed is how many objects are found, and that threshold beside the float network's. ``DIR``
is a run of the search, or a directory with a saved network. ``MODEL.keras`` is a Keras model of your own,
trained by ``fit`` (:mod:`models.from_keras.layers` lists its layers): behind a layer of levels, or on what
``--input`` names.
``--qat`` fine-tunes the network as int8 computes it before it is converted
(:mod:`export.quantization.qat`), which changes the network but not the form of the files; if that
does worse on validation, the network is converted as it was. ``--trainer=tfmot`` has
tensorflow-model-optimization do the fine-tuning (:mod:`export.quantization.tfmot`).
"""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from export.quantization.settings import OURS, TRAINERS, Settings
from loggrad_tf import cli, files, quiet
from loggrad_tf.data import dataset, options
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.sides import dimensions, short
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend

if TYPE_CHECKING:
    from export.quantization.conversion import Converted

DEFAULT_EPOCHS = 10


class _Epochs(flags.IntegerParser):
    """``--qat`` alone, ``--qat=EPOCHS`` or ``--noqat``."""

    def parse(self, argument: Any) -> int | None:
        if argument == "true":
            return DEFAULT_EPOCHS
        return None if argument == "false" else super().parse(argument)


FLAGS = flags.FLAGS
flags.adopt_module_key_flags(options)
flags.DEFINE_string(
    "run", None, "Directory of a search run (its best network is taken) or of a saved network."
)
flags.DEFINE_string("keras", None, "File of a Keras 3 model; --data and --mode say what it was trained on.")
flags.DEFINE_string(
    "input", None, f"With --keras, what a model without levels in front takes: {', '.join(frontend.FORMATS)}."
)
flags.DEFINE_string(
    "out", None, "Where to write model.tflite and model.json (default: RUN/export, or MODEL_export)."
)
flags.DEFINE_integer(
    "calibration",
    Settings.calibration,
    "Training images that set the ranges of the activations.",
    lower_bound=1,
)
flags.DEFINE_flag(
    flags.Flag(
        _Epochs(lower_bound=1),
        flags.ArgumentSerializer(),
        "qat",
        None,
        f"Quantised training: fine-tune for so many epochs [{DEFAULT_EPOCHS}] before the conversion.",
        boolean=True,
    )
)
flags.DEFINE_bool("ternary_first", False, "With --qat: weights -a, 0, a of the first convolution.")
flags.DEFINE_enum(
    "trainer",
    OURS,
    list(TRAINERS),
    "With --qat: what fine-tunes, this project's quantised training or tensorflow-model-optimization's.",
)

_OF_KERAS = ("data", "task", "size", "mode", "fit", "input")


def _of_run(run: Path, settings: Settings) -> tuple["Converted", DataSet]:
    from models import bundle

    given = [name for name in _OF_KERAS if FLAGS[name].present]
    if given:
        raise LogGradError(f"--{given[0]}: a run knows its data set and its input; leave it out")
    source = bundle.find(run, "run")
    saved = bundle.load(source)
    # TensorFlow takes seconds to load; --help and a wrong --run must not wait for it.
    quiet.import_tensorflow()
    from export.quantization.conversion import convert_bundle

    data = dataset.opened(saved.data)
    again = f"train it anew: python -m models.train --like={run} --out=DIR"
    data.check_manifest(saved.data.manifest_sha256, "this network was trained", again)
    return convert_bundle(saved, data, settings), data


def _of_keras(path: Path, settings: Settings) -> tuple["Converted", DataSet]:
    from models.from_keras import archive

    if not FLAGS["data"].present:
        raise LogGradError("--data is missing: name the data set that the model was trained on")
    if FLAGS.input is not None:
        frontend.check_format(FLAGS.input, "--input")
    model = archive.load(path)
    from export.quantization.conversion import convert_keras
    from models.from_keras.network import read

    size = read(model).size
    if FLAGS["size"].present and FLAGS.size != size:
        raise LogGradError(
            f"--size={short(FLAGS.size)}: the model takes {dimensions(size)} pixels; leave it out"
        )
    data = dataset.opened(dataclasses.replace(options.request(), size=size))
    return convert_keras(model, data, FLAGS.input, settings), data


def _show(converted: "Converted", data: DataSet, place: Path) -> None:
    """What int8 costs, what it takes for what or finds, and where it lies."""
    warnings = (_show_objects if data.detects else _show_classes)(converted, data)
    description = converted.description
    print(
        f"\n{place}: {len(converted.flatbuffer):,} bytes, input format {description['front_end']['format']},"
        f" scale {description['input_scale']:g}, zero point {description['input_zero_point']}"
    )
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _show_kept(converted: "Converted") -> None:
    """Whether quantised training was in vain."""
    tuned = converted.description["quantised_training"]
    if tuned is not None and not tuned["kept"]:
        print(
            f"quantised training ended at {tuned['val_after']:.2%} on validation and began at"
            f" {tuned['val_before']:.2%}: the network is kept as it was"
        )


def _show_objects(converted: "Converted", data: DataSet) -> list[str]:
    """What a detector finds; returns what to warn of."""
    from models.training import detection

    names = {"float": "float", "post_training": "int8, as it was", "int8": "int8"}
    for name in converted.description["detection"]:
        print(f"{names[name]}:\n{detection.told(converted.detection(name), data.class_names)}")
    _show_kept(converted)
    cells, scale = converted.description["cells"], converted.output_scale
    print(
        f"cells: {cells['columns']}x{cells['rows']} of {cells['stride']} pixels; an object has a margin of"
        f" {cells['threshold']} or more ({scale * cells['threshold']:.2f} in logits): the threshold is chosen"
        " anew on validation, by the scores of int8; by those of float it is"
        f" {converted.detection('float')['val'].threshold:.2f}"
    )
    return detection.doubts(converted.detection("int8")["test"], "test")


def _show_classes(converted: "Converted", data: DataSet) -> list[str]:
    """What a classifier takes for what; returns what to warn of."""
    from models.training.measure import guesses

    accuracy, tuned = converted.description["accuracy"], converted.description["quantised_training"]
    names = {"float": "float", "post_training": "int8, as it was", "int8": "int8"}
    if tuned is None:
        names.pop("post_training")
    print(f"{'accuracy':12s}" + "".join(f" {name:>15s}" for name in names.values()) + f" {'change':>8s}")
    labels = {"val": "validation", "test": "test"}
    for split, label in labels.items():
        found = [accuracy[f"{name}_{split}"] for name in names]
        shares = "".join(f" {share:15.2%}" for share in found)
        print(f"{label:12s}{shares} {100 * (found[-1] - found[0]):+z7.2f} points")
    _show_kept(converted)
    for split, label in labels.items():
        print(f"\nint8 on {label}:\n{converted.confusion(split).text()}")
    warning = guesses(1 - accuracy["int8_test"], data, "test")
    return [] if warning is None else [warning]


def main(argv: list[str]) -> None:
    del argv
    if (FLAGS.run is None) == (FLAGS.keras is None):
        raise LogGradError(
            "give --run, the directory of a search run, or --keras, the file of a Keras model"
            if FLAGS.run is None
            else "--run and --keras: give one of them"
        )
    settings = Settings(FLAGS.calibration, FLAGS.qat, FLAGS.ternary_first, FLAGS.trainer)
    source = Path(FLAGS.run if FLAGS.keras is None else FLAGS.keras)
    usual = source / "export" if FLAGS.keras is None else source.parent / f"{source.stem}_export"
    out = Path(FLAGS.out) if FLAGS.out else usual
    if source.exists():
        files.check_place(out / "model.tflite", "out")
    converted, data = _of_run(source, settings) if FLAGS.keras is None else _of_keras(source, settings)
    from export.quantization.conversion import write

    write(out, converted)
    _show(converted, data, out / "model.tflite")


if __name__ == "__main__":
    cli.run(main)
