"""``python -m benchmarks.ram --networks=A.tflite,B.tflite``: what less RAM costs in cycles, plan by plan.

For each network the plans that ``export.firmware --optimise=ram`` goes through, from the usual one to that of
least RAM: bytes of state, multiply-accumulates, predicted cycles on a Cortex-M4. Nothing is built.
"""

from collections.abc import Iterator
from pathlib import Path

from absl import flags

from export.plan import memory, parts
from export.plan.input import describe
from export.plan.kernels import Choice
from export.plan.lengthwise import lengthwise
from export.plan.nodes import build
from export.plan.plan import plan
from export.predict import costs
from export.tflite import graph as tflite_graph
from loggrad_tf import cli
from loggrad_tf.errors import LogGradError

FLAGS = flags.FLAGS
flags.DEFINE_list("networks", None, "The .tflite files of networks.")

CORE = "cortex-m4"


def rows(model: Path) -> Iterator[str]:
    """A line of a table in Markdown for each plan."""
    if not model.is_file():
        raise LogGradError(f"--networks={model}: no such file")
    graph = lengthwise(tflite_graph.load(model))
    tensor = graph.tensors[build(graph).input]
    source = describe(None, tensor.shape, tensor.scale, tensor.zero_point, 1)
    usual, shown = plan(graph, CORE), None
    taken = sum(costs.cycles(usual, source, CORE))
    for made in (usual, *parts.descent(graph, CORE, choice=Choice(overlaps=True))):
        state, cycles = memory.state_bytes(made, source), sum(costs.cycles(made, source, CORE))
        if (state, cycles) != shown:
            line = f"| `{model.stem}` | {state:,} | {made.macs / usual.macs:.3f} | {cycles / 1e6:.2f} M"
            yield f"{line} | {cycles / taken - 1:+.1%} |"
        shown = state, cycles


def main(argv: list[str]) -> None:
    del argv
    if not FLAGS.networks:
        raise LogGradError("--networks is missing: give the .tflite files of networks")
    print("| network | state B | MACs | cycles | |\n|---|---|---|---|---|")
    for name in FLAGS.networks:
        for line in rows(Path(name)):
            print(line, flush=True)


if __name__ == "__main__":
    cli.run(main)
