"""``python -m export.calibrate``: fit the instruction costs that :mod:`export.predict.costs` predicts with.

Builds small networks of one operator for one board of each core, runs a frame of each in QEMU and solves
for non-negative costs that fit all of them, errors weighed relative to the whole:

    min over c >= 0 of  sum ((features . c) / measured - 1)^2

Run it after a change to the library or to the text that ``emit`` writes.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from scipy.optimize import nnls

from export import boards, firmware
from export.c import emit
from export.code_sizes import BOARDS
from export.plan import memory
from export.plan.input import Input
from export.plan.kernels import VARIANTS, Choice
from export.plan.plan import Plan, plan
from export.predict import costs, probes
from firmware import build, channel
from loggrad_tf import cli
from loggrad_tf.files import write_whole

FLAGS = flags.FLAGS
# --board is that of export.firmware; without it one board of each core is measured.
flags.declare_key_flag("board")

Equation = dict[tuple[str, int], float]


def measure(board: str, work: Path) -> dict[str, list[float]]:
    """Costs on one core: kind:function -> coefficients, front end -> coefficients."""
    record = boards.read(board)
    core = record["core"]
    firmware.write_folders(board, work)
    equations: list[Equation] = []
    counts: list[int] = []
    for graph, source in probes.networks():
        choices: list[Choice | None] = [None]
        if core in VARIANTS and graph.ops[0].kind == "conv" and source.front_end is None:
            choices.append(probes.compact(graph))
        for choice in choices:
            planned = plan(graph, core, source.levels, choice)
            program = memory.program_bytes(memory.state_bytes(planned, source), source)
            if program + record["stack"] + 256 <= record["ram"]["length"]:
                counts.append(_run(planned, source, record, work))
                equations.append(_equation(planned, source))
    columns = sorted({key for equation in equations for key in equation})
    matrix = np.array([[equation.get(key, 0.0) for key in columns] for equation in equations])
    weighed = matrix / np.array(counts)[:, None]
    solution, _ = nnls(weighed, np.ones(len(counts)))
    error = np.abs(weighed @ solution - 1)
    print(
        f"{core}: {len(counts)} images, error median {np.median(error):.1%}, largest {error.max():.1%}",
        flush=True,
    )
    fitted: dict[str, list[float]] = {}
    for (name, _), value in zip(columns, solution, strict=True):
        fitted.setdefault(name, []).append(round(float(value), 4))
    return fitted


def _run(planned: Plan, source: Input, record: dict[str, Any], work: Path) -> int:
    for name, text in emit.emit(planned, source, (), "", "probe").items():
        (work / "src" / name).write_text(text)
    made = probes.project_of(work, record, planned, source)
    build.build(made)
    limit = source.front_end.sensor.span + 1 if source.front_end else 128
    kind = {"int8_t": np.int8, "uint8_t": np.uint8, "uint16_t": np.uint16}[source.code_type]
    frame = np.random.default_rng(0).integers(0, limit, (source.rows, source.row_codes)).astype(kind)
    with channel.Channel(made) as board:
        spent = channel.executed(board, board.classify(frame).ticks)
    assert spent is not None
    return spent[0]


def _equation(planned: Plan, source: Input) -> Equation:
    """The equation of one image: (name, feature) -> count."""
    row: Equation = {}
    for node, kernel in zip(planned.network.nodes, planned.kernels, strict=True):
        columns = kernel.constants["table"].shape[-1] if kernel.tabulates else 0
        counts = costs.features(planned.network, node, kernel.variant, columns)
        for place, value in enumerate(counts):
            key = (costs.cost_name(node.kind, kernel.function), place)
            row[key] = row.get(key, 0.0) + value
    return row | costs.front_features(source)


def main(argv: list[str]) -> None:
    del argv
    found = json.loads(costs.COSTS.read_text()) if costs.COSTS.is_file() else {}
    for board in (FLAGS.board,) if FLAGS.board else BOARDS:
        with tempfile.TemporaryDirectory() as work:
            found[boards.read(board)["core"]] = measure(board, Path(work))
    write_whole(costs.COSTS, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    cli.run(main)
