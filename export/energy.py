"""``python -m export.energy --run DIR | --model MODEL.tflite [--board NAME]``: energy of a frame by stage.

Prints low, nominal, high and share of sensor, ADC, link, ISP, front end and CNN, for the network's own input
format from a sensor that makes it, for the same format made by the board from RAW (what export.firmware
generates), and for an 8-bit camera with an ISP and the same network; then where the constants are from.
Without --board the network runs on a 45 nm accelerator. Estimates: nothing was measured on hardware.
"""

from pathlib import Path

from absl import flags

from export import boards
from export.firmware import FLAGS
from export.predict import pipeline
from export.quantization.nominal import nominal
from export.tflite import graph as tflite_graph
from export.tflite.quant_graph import QuantGraph
from loggrad_tf import cli, quiet
from loggrad_tf.data import description
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd

flags.DEFINE_string("run", None, "Directory of a finished search, or of a saved network; or give --model.")
# --model, --board and --boards are those of export.firmware.
for _name in ("model", "board", "boards"):
    flags.declare_key_flag(_name)


def of_model(model: Path) -> tuple[QuantGraph, FrontEnd | None]:
    """The network of a flatbuffer, and its front end if model.json is beside it."""
    if not model.is_file():
        raise LogGradError(f"--model={model}: no such file; export.convert writes model.tflite")
    network = tflite_graph.load(model)
    found = description.read(model, network.sha256)
    return network, found.front_end if found else None


def of_run(run: Path) -> tuple[QuantGraph, FrontEnd | None]:
    """The int8 network that the converter will make of RUN/best, or of RUN itself, and its front end."""
    place = next((p for p in (run / "best", run) if (p / "network.json").is_file()), None)
    if place is None:
        raise LogGradError(
            f"--run={run}: no finished network there (best/network.json); finish the search with --resume"
        )
    # TensorFlow takes seconds to load; --help and a wrong --run must not wait for it.
    quiet.import_tensorflow()
    from models import bundle

    saved = bundle.load(place)
    return nominal(saved.graph, saved.front_end), saved.front_end


def main(argv: list[str]) -> None:
    del argv
    if (FLAGS.run is None) == (FLAGS.model is None):
        raise LogGradError("give --run=DIR or --model=MODEL.tflite, one of them (see --help)")
    board = boards.place(FLAGS.board, FLAGS.boards)
    network, front_end = of_model(Path(FLAGS.model)) if FLAGS.model else of_run(Path(FLAGS.run))
    found = pipeline.compared(network, front_end, board)
    print("\n\n".join("\n".join(pipeline.table(one)) for one in found))
    print("\nsources, bands added up end by end:")
    print("\n".join(f"  {line}" for line in pipeline.sources(found)))


if __name__ == "__main__":
    cli.run(main)
