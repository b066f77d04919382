"""Executed instructions and cycles of a network, predicted before anything is built.

    instructions, or cycles = sum over nodes of  coefficients(kernel, core) . turns of its loops (node)

The turns are those of :mod:`export.predict.loops`, in one frame; coefficients are fitted to images that were
run in QEMU (``python -m export.calibrate``) and lie in ``costs.json``, for GCC 12.2 at -O2. Cycles are those
of :mod:`firmware.cycles`: memory without wait states. Of a core whose timings Arm does not publish they are
its instructions times what :mod:`export.predict.power` holds for likely.
"""

import functools
import json
from collections import Counter
from pathlib import Path

from export.plan.input import Input
from export.plan.plan import Plan
from export.predict import loops, power
from loggrad_tf.errors import LogGradError

COSTS = Path(__file__).parent / "costs.json"
INSTRUCTIONS, CYCLES = "instructions", "cycles"
# Cores whose instructions are counted on another: M7 and M33 run the C and the kernels of the M4, which GCC
# turns into as many instructions within three per cent, the M0+ runs the code of the M0.
COUNTED_ON = {"cortex-m0plus": "cortex-m0", "cortex-m7": "cortex-m4", "cortex-m33": "cortex-m4"}
# Loops that nodes of all kinds share.
PADDING, WINDOW = "padding", "window"
Turns = dict[tuple[str, str], float]
Costs = dict[str, dict[str, float]]


def turns(plan: Plan, source: Input, core: str) -> list[Turns]:
    """(whose loop, loop) -> turns in one frame, of every node in order, and of the input last."""
    network, made = plan.network, plan.schedule.made
    calls, found = Counter(plan.schedule.calls), []
    for place, (node, kernel) in enumerate(zip(network.nodes, plan.kernels, strict=True)):
        counted = loops.counts(network, node, kernel, core, calls[place])
        own: Turns = {(cost_name(node.kind, kernel.function), loop): n for loop, n in counted.items()}
        own[PADDING, "byte"] = loops.padding(network.maps[node.output], made[node.output])
        own[WINDOW, "row"] = loops.windows(node, calls[place])
        found.append(own)
    first = network.maps[network.input]
    entry = front_turns(source)
    if source.kind == "tensor":
        askew = first.left * first.channels % 4 != 0
        entry[source.cost_name, "askew8"] = source.rows * source.row_codes if askew else 0
    entry[PADDING, "byte"] = loops.padding(first, made[network.input])
    return [*found, entry]


def front_turns(source: Input) -> Turns:
    """Turns in one frame of the front end and of the loop of binning."""
    counts = {source.cost_name: (source.lines, source.line_pixels)}
    if source.bin_loop:
        counts[source.bin_loop] = (source.rows, source.row_codes)
    return {
        (name, loop): value
        for name, (rows, codes) in counts.items()
        for loop, value in (("row", rows), (f"code{8 * source.code_bytes}", rows * codes))
    }


def predict(plan: Plan, source: Input, core: str) -> list[int]:
    """Instructions a frame of every node, in order, and of the input last.

    Raises:
      LogGradError: nothing was measured for this core.
    """
    return _predict(plan, source, core, INSTRUCTIONS, COUNTED_ON.get(core, core))


def cycles(plan: Plan, source: Input, core: str) -> list[int]:
    """Cycles a frame of every node, in order, and of the input last: see the head of this module.

    Raises:
      LogGradError: nothing was measured for this core.
    """
    if core in power.PER_INSTRUCTION:
        each = power.PER_INSTRUCTION[core]
        return [round(count * each) for count in predict(plan, source, core)]
    return _predict(plan, source, core, CYCLES, core)


def _predict(plan: Plan, source: Input, core: str, what: str, measured: str) -> list[int]:
    known = _load()[what].get(measured)
    if known is None:
        raise LogGradError(f"core {core}: no {what}; measure them with python -m export.calibrate")
    found = []
    for own in turns(plan, source, core):
        missing = next((name for name, loop in own if loop not in known.get(name, {})), None)
        if missing:
            raise LogGradError(f"{missing}: no {what} on {core}: run python -m export.calibrate")
        found.append(round(sum(known[name][loop] * n for (name, loop), n in own.items())))
    return found


def cost_name(kind: str, function: str) -> str:
    """Key in costs.json: kinds that share a function may have other loops."""
    return f"{kind}:{function}"


@functools.cache
def _load() -> dict[str, dict[str, Costs]]:
    """Instructions or cycles -> core -> kernel, front end or what all share -> loop -> cost of a turn."""
    return json.loads(COSTS.read_text())
