"""Executed instructions of a network, predicted before anything is built.

    instructions = sum over nodes of  coefficients(kernel, core) . features(node)

Features count rows, outputs and the turns of a kernel's loops in one frame; coefficients are fitted to
images that were run in QEMU (``python -m export.calibrate``) and lie in ``costs.json``. They are
instructions, not cycles, of GCC 12.2 at -O2.
"""

import functools
import json
from pathlib import Path

from export.plan.input import Input
from export.plan.kernels import measured_core
from export.plan.nodes import POOLS, SUMS, Network, Node
from export.plan.plan import Plan
from loggrad_tf.errors import LogGradError

COSTS = Path(__file__).parent / "costs.json"
_FEATURES = {
    "conv": ("row", "output", "block", "run", "words"),
    "table_conv": ("row", "output", "code", "columns"),
    **dict.fromkeys(("depthwise", *POOLS), ("row", "output", "tap")),
    **dict.fromkeys(SUMS, ("row", "value", "output")),
    "dense": ("row", "output", "product"),
}
BYTES_A_WORD = {"portable": 1, "dsp": 4, "mve": 16}


def names(kind: str) -> tuple[str, ...]:
    """What the features of a kind of node are called."""
    return _FEATURES.get(kind, ("row", "value"))


def features(network: Network, node: Node, variant: str, columns: int = 0) -> list[float]:
    """Counts in one frame, in the order of :func:`names`.

    Args:
      columns: of a table of partial sums.
    """
    source, out = network.maps[node.inputs[0]], network.maps[node.output]
    rows, outputs = network.steps(node), out.height * out.pixels
    window = node.op.kernel[0] * node.op.kernel[1]
    windows = out.height * out.width * node.pool[0] * node.pool[1]
    if node.kind == "conv":
        runs = node.op.kernel[1] if node.op.dilation[1] > 1 else 1
        words = -(-source.channels * node.op.kernel[1] // runs // BYTES_A_WORD[variant])
        blocks = windows * -(-out.channels // 4)
        run = blocks * node.op.kernel[0] * runs
        return [rows, outputs, blocks, run, run * words]
    if node.kind == "table_conv":
        codes = windows * node.op.kernel[0] * -(-node.op.kernel[1] // node.code_pixels)
        return [rows, outputs, codes, codes * columns / 4]
    if node.kind in ("depthwise", *POOLS):
        return [rows, outputs, outputs * window]
    values = source.height * source.pixels
    if node.kind == "dense":
        return [rows, outputs, outputs * values]
    if node.kind in SUMS:
        return [rows, values, outputs]
    return [rows, outputs]


def predict(plan: Plan, source: Input, core: str) -> list[int]:
    """Instructions a frame of every node, in order, and of the input last.

    Raises:
      LogGradError: nothing was measured for this core.
    """
    known = _load().get(measured_core(core))
    if known is None:
        raise LogGradError(f"core {core}: no costs; measure them with python -m export.calibrate")
    found = []
    for node, kernel in zip(plan.network.nodes, plan.kernels, strict=True):
        columns = kernel.constants["table"].shape[-1] if kernel.tabulates else 0
        counts = features(plan.network, node, kernel.variant, columns)
        weights = known.get(cost_name(node.kind, kernel.function))
        if weights is None:
            raise LogGradError(f"{node.name}: no costs of {kernel.function} on {core}: run export.calibrate")
        found.append(round(sum(w * n for w, n in zip(weights, counts, strict=True))))
    counts_in = front_features(source)
    missing = [name for name, _ in counts_in if name not in known]
    if missing:
        raise LogGradError(f"input: no costs of {missing[0]} on {core}: run export.calibrate")
    return [*found, round(sum(known[name][place] * n for (name, place), n in counts_in.items()))]


def front_features(source: Input) -> dict[tuple[str, int], float]:
    """Counts in one frame of the input: (front end or loop of binning, place of its coefficient) -> count."""
    counts = {source.cost_name: (source.lines, source.line_pixels)}
    if source.bin_loop:
        counts[source.bin_loop] = (source.rows, source.row_codes)
    return {
        (name, place): value
        for name, (rows, codes) in counts.items()
        for place, value in enumerate((rows, rows * codes))
    }


def cost_name(kind: str, function: str) -> str:
    """Key in costs.json: kinds that share a function may have other features."""
    return f"{kind}:{function}"


@functools.cache
def _load() -> dict[str, dict[str, list[float]]]:
    return json.loads(COSTS.read_text())
