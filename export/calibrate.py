"""``python -m export.calibrate``: fit the costs that :mod:`export.predict.costs` predicts with.

Builds small networks for one board of each core, runs a frame of each in QEMU, counts instructions and cycles
of every node (:mod:`firmware.cycles`) and solves for non-negative costs of the turns of loops that fit all of
them, errors weighed relative to each node's own and less where a node does little:

    min over c >= 0 of  sum over nodes of ((turns . c - measured) / (measured + LITTLE))^2

Run it after a change to the library or to the text that ``emit`` writes.
"""

import dataclasses
import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from scipy.optimize import nnls

from export import boards, firmware
from export.c import emit
from export.plan import memory
from export.plan.input import Input
from export.plan.kernels import VARIANTS
from export.plan.plan import Plan, plan
from export.predict import chains, costs, probes
from export.predict.costs import Costs, Turns
from firmware import build, cycles, frame_cycles, profile
from firmware.timings import CORES
from loggrad_tf import cli
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole

FLAGS = flags.FLAGS
# --board is that of export.firmware; without it one board of each core is measured.
flags.declare_key_flag("board")
# One board of each core that instructions are counted on.
COUNTED = ("microbit", "mps2-an385", "mps2-an386", "mps3-an547")
# Cores whose code another one's board runs.
_ALSO = {"cortex-m0": ("cortex-m0plus",)}
# Below it the calls of a node's rows count, which are shorter in networks of one node.
LITTLE = 3000


@dataclasses.dataclass(frozen=True)
class Sample:
    """A node of an image that was run.

    Attributes:
      turns: of its loops.
      spent: what -> core -> count: instructions of the board's core, cycles of every core it stands for.
    """

    turns: Turns
    spent: Mapping[tuple[str, str], int]


def measure(board: str, work: Path) -> dict[tuple[str, str], Costs]:
    """(instructions or cycles, core) -> costs, of what one board can run."""
    record = boards.read(board)
    if record["core"] in costs.COUNTED_ON:
        raise LogGradError(
            f"--board={board}: {record['core']} is counted on {costs.COUNTED_ON[record['core']]}"
        )
    firmware.write_folders(board, work)
    samples: list[Sample] = []
    for planned, source in _plans(record):
        program = memory.program_bytes(memory.state_bytes(planned, source), source)
        if program + record["stack"] + 256 <= record["ram"]["length"]:
            samples += _run(planned, source, record, work)
    found = {}
    for what, core in sorted({key for sample in samples for key in sample.spent}):
        found[what, core] = fit(samples, (what, core))
    return found


def _plans(record: dict[str, Any]) -> Iterator[tuple[Plan, Input]]:
    """The plans of all probes that the board's flash holds."""
    core = record["core"]
    for graph, source in itertools.chain(probes.networks(), chains.networks()):
        graphs = [graph]
        unclamped = graph.ops[0].kind == "conv" and graph.ops[0].high == 127
        if core in VARIANTS and unclamped and source.front_end is None:
            graphs.append(probes.portable(graph))
        for one in graphs:
            planned = plan(one, core, source.levels)
            if memory.data_bytes(planned, source) + 32_000 <= record["flash"]["length"]:
                yield planned, source


def _run(planned: Plan, source: Input, record: dict[str, Any], work: Path) -> list[Sample]:
    for name, text in emit.emit(planned, source, (), "", "probe").items():
        (work / "src" / name).write_text(text)
    made = probes.project_of(work, record, planned, source)
    build.build(made)
    limit = source.front_end.sensor.span + 1 if source.front_end else 128
    kind = {"int8_t": np.int8, "uint8_t": np.uint8, "uint16_t": np.uint16}[source.code_type]
    frame = np.random.default_rng(0).integers(0, limit, (source.rows, source.row_codes)).astype(kind)
    seen = frame_cycles.watch(made, [frame], len(planned.network.nodes))
    core = record["core"]
    spent = {(costs.INSTRUCTIONS, core): profile.instructions(seen)}
    for one in (core, *_ALSO.get(core, ())):
        if one in CORES:
            code = cycles.disassemble(made.elf, CORES[one])
            priced = cycles.estimate(seen, code, CORES[one])
            spent[costs.CYCLES, one] = {context: count.cycles for context, count in priced.items()}
    # Context 0 is the input, which the turns have last.
    *nodes, entry = costs.turns(planned, source, core)
    return [
        Sample(turns, {key: counts.get(context, 0) for key, counts in spent.items()})
        for context, turns in enumerate([entry, *nodes])
    ]


def fit(samples: Sequence[Sample], key: tuple[str, str]) -> Costs:
    """Costs of all loops that turn in any sample.

    Raises:
      LogGradError: a loop turns in none, so nothing would be known of it.
    """
    columns = sorted({loop for sample in samples for loop in sample.turns})
    matrix = np.array([[sample.turns.get(column, 0.0) for column in columns] for sample in samples])
    never = [column for column, most in zip(columns, matrix.max(axis=0), strict=True) if most == 0]
    if never:
        raise LogGradError(f"{key[1]}: no probe turns {never}: add one to export/predict/chains.py")
    spent = np.array([sample.spent[key] for sample in samples])
    weighed = matrix / (spent + LITTLE)[:, None]
    # Columns of equal weight: the solver's tolerance is one for all.
    scale = np.linalg.norm(weighed, axis=0)
    solution = nnls(weighed / scale, spent / (spent + LITTLE), maxiter=100 * len(columns))[0] / scale
    error = np.abs(matrix @ solution / np.maximum(spent, 1) - 1)[spent > LITTLE]
    print(
        f"{key[1]}: {len(samples)} nodes, {key[0]}; of those above {LITTLE:,} the median error"
        f" {np.median(error):.1%}, 95 % below {np.quantile(error, 0.95):.1%}, largest {error.max():.1%}",
        flush=True,
    )
    found: Costs = {}
    for (name, loop), value in zip(columns, solution, strict=True):
        found.setdefault(name, {})[loop] = round(float(value), 4)
    return found


def merged(known: dict[str, dict[str, Costs]], found: Iterable[tuple[tuple[str, str], Costs]]) -> bytes:
    """costs.json, with what was found in place of what was known of the same cores."""
    for (what, core), fitted in found:
        known.setdefault(what, {})[core] = fitted
    ordered = {what: dict(sorted(known[what].items())) for what in sorted(known)}
    return (json.dumps(ordered, indent=1) + "\n").encode()


def main(argv: list[str]) -> None:
    del argv
    for board in (FLAGS.board,) if FLAGS.board else COUNTED:
        with tempfile.TemporaryDirectory() as work:
            found = measure(board, Path(work))
        known = json.loads(costs.COSTS.read_text()) if costs.COSTS.is_file() else {}
        write_whole(costs.COSTS, merged(known, found.items()))


if __name__ == "__main__":
    cli.run(main)
