"""``python -m export.convert --run DIR``: the best network of a run as an int8 flatbuffer.

Writes ``model.tflite`` and ``model.json`` (what the flatbuffer means: input format, thresholds
as integer ratios, sensor, classes, data set, accuracies, hashes) and prints what int8 costs
in accuracy. ``DIR`` is a run of the search, or a directory with a saved network. ``--qat`` fine-tunes the
network as int8 computes it before it is converted (:mod:`export.quantization.qat`), which changes the
network but not the form of the files.
"""

import dataclasses
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from loggrad_tf import cli, files, quiet
from loggrad_tf.data import dataset
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize

DEFAULT_EPOCHS = 10


class _Epochs(flags.IntegerParser):
    """``--qat`` alone, ``--qat=EPOCHS`` or ``--noqat``."""

    def parse(self, argument: Any) -> int | None:
        if argument == "true":
            return DEFAULT_EPOCHS
        return None if argument == "false" else super().parse(argument)


FLAGS = flags.FLAGS
flags.DEFINE_string(
    "run", None, "Directory of a search run (its best network is taken) or of a saved network."
)
flags.DEFINE_string("out", None, "Where to write model.tflite and model.json (default: RUN/export).")
flags.DEFINE_integer(
    "calibration", 512, "Training images that set the ranges of the activations.", lower_bound=1
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

VERSION = 1
PACKAGES = ("tensorflow", "keras", "numpy", "ai-edge-litert")


@dataclasses.dataclass(frozen=True)
class Converted:
    """A flatbuffer and its description, as written to disk."""

    flatbuffer: bytes
    description: dict[str, Any]


def convert_bundle(
    directory: Path, calibration: int, epochs: int | None = None, ternary_first: bool = False
) -> Converted:
    """Convert the network saved in ``directory`` and measure it on validation and test.

    Args:
      calibration: training images that set the ranges of the activations.
      epochs: of quantised training; None: the network is converted as it is.
      ternary_first: weights -a, 0, a of the convolution that reads the input, with quantised training only.
    """
    # TensorFlow takes seconds to load; --help and a wrong --run must not wait for it.
    quiet.import_tensorflow()
    from export.quantization import qat
    from models import bundle, keras_net, progress
    from models.training.measure import evaluate, guesses

    saved = bundle.load(directory)
    tuning = qat.Tuning(epochs=epochs, ternary_first=ternary_first) if epochs else None
    data = dataset.opened(saved.data)
    data.check_manifest(saved.data.manifest_sha256, "this network was trained", "search again")
    front_end, model = saved.front_end, saved.model()
    pixels, _ = data.subset("train")
    sample = requantize(np.asarray(pixels[:: -(-len(pixels) // calibration)]), data.sensor, front_end.sensor)
    weights, inputs = keras_net.fold(saved.graph, model), front_end.encode(sample)
    plain = qat.quantized(saved.graph, weights, inputs, qat.Tuning())
    flatbuffers = {"int8": qat.convert(plain, front_end)}
    if tuning is not None:
        start = qat.quantized(saved.graph, weights, inputs, tuning)
        config = qat.tuned(saved.train, tuning)
        show = progress.of_epochs("quantised training", config.epochs)
        trained = qat.train(start, data, front_end, config, saved.seed, show)
        flatbuffers = {"post_training": flatbuffers["int8"], "int8": qat.convert(trained, front_end)}
    accuracy = {}
    for split in ("val", "test"):
        accuracy[f"float_{split}"] = 1 - evaluate(model, data, front_end, split)
        for name, flatbuffer in flatbuffers.items():
            accuracy[f"{name}_{split}"] = _accuracy(flatbuffer, data, front_end, split)
    if (warning := guesses(1 - accuracy["int8_test"], data, "test")) is not None:
        print(f"warning: {warning}", file=sys.stderr)
    flatbuffer = flatbuffers["int8"]
    description = {
        "version": VERSION,
        "model_sha256": hashlib.sha256(flatbuffer).hexdigest(),
        "graph_sha256": saved.graph.sha256(),
        "front_end": front_end.to_json(),
        "class_names": list(saved.class_names),
        "input_shape": list(saved.graph.input_shape),
        "input_scale": front_end.input_scale,
        "input_zero_point": front_end.input_zero_point,
        "data": dataclasses.asdict(saved.data),
        "quantised_training": tuning.to_json() if tuning else None,
        "accuracy": accuracy,
        "seed": saved.seed,
        "versions": _versions(),
    }
    return Converted(flatbuffer, description)


def _accuracy(flatbuffer: bytes, data: dataset.DataSet, front_end: FrontEnd, split: str) -> float:
    """Share of one split that the int8 network classifies rightly, by TFLite's reference kernels."""
    from export.tflite.interpreter import ReferenceInterpreter
    from models.training.measure import classify

    interpreter = ReferenceInterpreter(flatbuffer)
    expected = (front_end.input_scale, front_end.input_zero_point)
    if not np.allclose(interpreter.input_quantization, expected, rtol=1e-6):
        raise LogGradError(
            f"the converter gave the input scale and zero point {interpreter.input_quantization},"
            f" {front_end.format} needs {expected}"
        )
    pixels, labels = data.subset(split)
    chunks = (pixels[i : i + 64] for i in range(0, len(pixels), 64))
    codes = (front_end.encode_int8(requantize(c, data.sensor, front_end.sensor)) for c in chunks)
    scale, zero_point = interpreter.output_quantization
    outputs = np.concatenate([interpreter.run(c) for c in codes])
    scores = scale * (outputs.astype(np.float64) - zero_point)
    return float(np.mean(classify(scores) == labels))


def write(directory: Path, converted: Converted) -> None:
    """``model.tflite`` and ``model.json`` in ``directory``, each whole or not at all."""
    text = json.dumps(converted.description, indent=1) + "\n"
    files.write_whole(directory / "model.tflite", converted.flatbuffer)
    files.write_whole(directory / "model.json", text.encode())


def find_bundle(run: Path) -> Path:
    """RUN/best of a search run, or RUN itself if it is a saved network."""
    if not run.is_dir():
        raise LogGradError(f"--run={run}: not a directory; give the one that search.evolve wrote")
    for candidate in (run / "best", run):
        if (candidate / "network.json").is_file():
            return candidate
    raise LogGradError(
        f"--run={run}: no finished network there (best/network.json); finish the search with --resume"
    )


def _versions() -> dict[str, str]:
    import importlib.metadata

    return {"python": sys.version.split()[0], **{p: importlib.metadata.version(p) for p in PACKAGES}}


def main(argv: list[str]) -> None:
    del argv
    if FLAGS.run is None:
        raise LogGradError("--run is missing: give the directory of a search run")
    if FLAGS.ternary_first and FLAGS.qat is None:
        raise LogGradError("--ternary_first: such weights have to be trained; add --qat")
    source = find_bundle(Path(FLAGS.run))
    out = Path(FLAGS.out) if FLAGS.out else Path(FLAGS.run) / "export"
    files.check_place(out / "model.tflite", "out")
    converted = convert_bundle(source, FLAGS.calibration, FLAGS.qat, FLAGS.ternary_first)
    write(out, converted)
    accuracy = converted.description["accuracy"]
    names = {"float": "float", "post_training": "int8, as it was", "int8": "int8"}
    if FLAGS.qat is None:
        names.pop("post_training")
    print(f"{'accuracy':12s}" + "".join(f" {name:>15s}" for name in names.values()) + f" {'change':>8s}")
    for split, label in (("val", "validation"), ("test", "test")):
        found = [accuracy[f"{name}_{split}"] for name in names]
        shares = "".join(f" {share:15.2%}" for share in found)
        print(f"{label:12s}{shares} {100 * (found[-1] - found[0]):+7.2f} points")
    print(f"{out / 'model.tflite'}: {len(converted.flatbuffer):,} bytes, input format"
          f" {converted.description['front_end']['format']}, scale {converted.description['input_scale']:g},"
          f" zero point {converted.description['input_zero_point']}")  # fmt: skip


if __name__ == "__main__":
    cli.run(main)
