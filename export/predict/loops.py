"""How often the loops of a kernel turn in one frame: what instructions and cycles are predicted from.

A function for each kernel whose loops have their own form; names are those of the C (``firmware/lib/src``).
Counts depend on shapes, kernel and core alone, never on weights or scales, so a network that has none yet is
counted like the one it will become: rescaling is taken to be the usual one, and no sum to need more than its
kernel was chosen for.
"""

from collections.abc import Callable, Mapping

from export.plan.kernels import VARIANTS, Kernel
from export.plan.nodes import GATHERS, PAIRS, WINDOWS, Map, Network, Node

# Of lg_conv_row_dsp.c: channels of a group, quads of the scratch buffer.
GROUP, SCRATCH = 16, 64
# Of lg_table_conv_row*.c: columns that are summed at once.
COLUMNS = 8
Counts = dict[str, float]


def counts(network: Network, node: Node, kernel: Kernel, core: str, calls: int | None = None) -> Counts:
    """Name of a loop -> its turns in one frame, of all that the kernel has; ``row``: calls of the node.

    Args:
      calls: of the node; rows that nobody reads are not made. None: all.
    """
    shape = _Shape(network, node, kernel, core, network.steps(node) if calls is None else calls)
    return {"row": shape.rows} | _FUNCTIONS[node.kind](shape)


def padding(of: Map, rows: int) -> float:
    """Bytes of padding that are written around so many rows of a map."""
    return rows * (of.left + of.right) * of.channels


def windows(node: Node, calls: int) -> float:
    """Rows of input that are looked for, in all windows of a frame."""
    return calls * node.window_rows if node.kind in WINDOWS else 0.0


class _Shape:
    """A node, its maps and what all counts are made of."""

    def __init__(self, network: Network, node: Node, kernel: Kernel, core: str, calls: int) -> None:
        self.node, self.kernel, self.op = node, kernel, node.op
        self.source: Map = network.maps[node.inputs[0]]
        self.out: Map = network.maps[node.output]
        self.rows = calls
        self.made = self.out.height if node.kind in GATHERS else calls  # rows of the output
        self.parts = [network.maps[key] for key in node.inputs]
        self.wide = core in VARIANTS  # the DSP extension
        self.askew = core not in ("cortex-m0", "cortex-m0plus")  # loads words from any address
        self.outputs = self.made * self.out.pixels

    @property
    def clamped(self) -> int:
        """Outputs that a pass of its own brings inside bounds narrower than int8."""
        return self.outputs if self.node.low > -128 or self.node.high < 127 else 0


def _conv(s: _Shape) -> Counts:
    if s.op.is_wide:
        return _wide(s)
    if s.kernel.variant == "dsp":
        return _conv_dsp(s)
    if s.kernel.variant == "mve":
        return _conv_mve(s)
    (kh, kw), (ph, pw) = s.op.kernel, s.node.pool
    runs = kw if s.op.dilation[1] > 1 else 1
    length = s.source.channels * kw // runs
    pooled = ph * pw > 1
    pairs = s.rows * (s.out.width * ph * -(-pw // 2) if pooled else -(-s.out.width // 2))
    found: Counts = {"output": s.outputs}
    for label, blocks in (("four", s.out.channels // 4), ("one", s.out.channels % 4)):
        passes = pairs * blocks
        found |= {
            f"block_{label}": s.rows * blocks,
            f"pass_{label}": passes,
            f"run_{label}": passes * kh * runs,
            f"tap_{label}": passes * kh * runs * length,
            f"pooled_{label}": passes if pooled else 0,
        }
    return found


def _wide(s: _Shape) -> Counts:
    (kh, kw), depth = s.op.kernel, 1 if s.node.kind == "depthwise" else s.source.channels
    runs = kw if s.op.dilation[1] > 1 or s.node.kind == "depthwise" else 1
    return {
        "output": s.outputs,
        "line": s.outputs * kh,
        "run": s.outputs * kh * runs,
        "tap": s.outputs * kh * kw * depth,
    }


def _conv_dsp(s: _Shape) -> Counts:
    (kh, kw), (ph, pw), channels = s.op.kernel, s.node.pool, s.out.channels
    dilated = s.op.dilation[1] > 1
    runs, length = (kw, s.source.channels) if dilated else (1, s.source.channels * kw)
    run_quads = -(-length // 4)
    quads = kh * runs * run_quads
    pooled, groups = ph * pw > 1, -(-channels // GROUP)
    shared = (ph - 1) * s.op.stride[0] + kh
    sharing = pooled and s.op.dilation[0] == 1 and shared * runs * run_quads <= SCRATCH
    pairs = s.rows * (s.out.width * -(-pw // 2) if pooled else -(-s.out.width // 2))
    passes = pairs * (ph if pooled else 1)
    large = quads > SCRATCH
    pieces = kh * runs * -(-run_quads // SCRATCH) if large else 1
    widened = (pairs * shared if sharing else passes * kh) * runs * groups
    step = s.op.stride[1] * s.source.channels
    overlapping = not large and step == 8 and run_quads % 2 == 0
    aligned = step % 4 == 0 and (not dilated or s.op.dilation[1] * s.source.channels % 4 == 0)
    aligned = aligned and s.source.left * s.source.channels % 4 == 0
    blocks = -(-channels // 4)
    # Of each group: only whole blocks are written by multiply itself.
    direct = 0 if pooled else sum(-(-n // 4) for n in _groups(channels) if n % 4 == 0)
    put = 0 if pooled else sum(n for n in _groups(channels) if n % 4)
    turns = sum(-(-min(run_quads - i, SCRATCH) // 4) for i in range(0, run_quads, SCRATCH)) * kh * runs
    return {
        "group": s.rows * groups,
        "channel": s.rows * channels,
        "pair": pairs * groups,
        "pass": passes * groups,
        "piece": passes * groups * pieces if large else 0,
        "widened_run": 0 if overlapping or large else widened,
        "overlapped_run": widened if overlapping else 0,
        "widened_quad": 0 if overlapping else widened * run_quads,
        "overlapped_quad": widened * run_quads if overlapping else 0,
        "unaligned_quad": 0 if aligned else widened * run_quads,
        "block_direct": passes * direct,
        "block_stored": passes * (blocks - direct) if not pooled else 0,
        "block_maximum": passes * blocks if pooled else 0,
        "block_part": passes * blocks * (pieces - 1),
        "turn": passes * blocks * (turns if large else -(-quads // 4)),
        "tap": passes * blocks * quads,
        "put": s.outputs if pooled else s.rows * s.out.width * put,
        "pooled": s.rows * s.out.width * groups if pooled else 0,
        "clamped": s.clamped,
    }


def _groups(channels: int) -> list[int]:
    return [min(channels - first, GROUP) for first in range(0, channels, GROUP)]


def _conv_mve(s: _Shape) -> Counts:
    kw = s.op.kernel[1]
    runs = kw if s.op.dilation[1] > 1 else 1
    words = -(-s.source.channels * kw // runs // 16)
    blocks = s.rows * s.out.width * s.node.pool[0] * s.node.pool[1] * -(-s.out.channels // 4)
    run = blocks * s.op.kernel[0] * runs
    return {"output": s.outputs, "block": blocks, "run": run, "words": run * words}


def _table_conv(s: _Shape) -> Counts:
    kh, groups = s.op.kernel[0], -(-s.op.kernel[1] // s.node.code_pixels)
    ph, pw = s.node.pool
    columns = s.kernel.constants["table"].shape[-1]
    found: Counts = {
        "output": s.outputs,
        "channel": s.rows * s.out.channels,
        "place": s.rows * ph * kh * groups,
    }
    if s.kernel.variant == "dsp":
        found["clamped"] = s.clamped
    # Eight columns at a time, the last four of an odd number of fours by themselves.
    for label, fours in (("eight", columns // COLUMNS), ("four", columns % COLUMNS // 4)):
        pixels = s.rows * s.out.width * fours
        windows = pixels * ph * pw
        found |= {
            f"pixel_{label}": pixels,
            f"call_{label}": pixels * ph,
            f"window_{label}": windows,
            f"line_{label}": windows * kh,
            f"code_{label}": windows * kh * groups,
        }
    return found


def _depthwise(s: _Shape) -> Counts:
    (kh, kw), channels = s.op.kernel, s.out.channels
    if s.op.is_wide:
        return _wide(s)
    if s.kernel.variant == "mve":
        return {"output": s.outputs, "tap": s.outputs * kh * kw}
    lines = s.rows * channels
    triples = lines * -(-s.out.width // 3)
    if s.kernel.variant == "portable":
        return {
            "channel": lines,
            "triple": triples,
            "line": triples * kh,
            "tap": triples * kh * kw,
            "output": s.outputs,
        }
    found: Counts = {"clamped": s.clamped, "clamped_row": s.rows if s.clamped else 0}
    stride, dilation = s.op.stride[1], s.op.dilation[1]
    if (kh, kw) == (3, 3) and (stride == dilation == 1 or stride == 2 * dilation):
        label = "one" if stride == 1 else "two"
        return found | {f"channel_{label}": lines, f"output_{label}": s.outputs}
    odd = kh % 2
    return found | {
        "channel_any": lines,
        "triple": triples,
        "lines": triples * (kh // 2),
        "tap": triples * (kh // 2) * kw,
        "odd_line": triples * odd,
        "odd_taps": triples * odd * (kw // 2),
        "odd_tap": triples * odd * (kw % 2),
        "output_three": lines * (s.out.width // 3) * 3,
        "output_left": lines * (s.out.width % 3),
        "left": lines if s.out.width % 3 else 0,
    }


def _dense(s: _Shape) -> Counts:
    length, out = s.source.pixels, s.out.pixels
    if s.kernel.variant != "dsp":
        return {"sum": s.rows * out, "product": s.rows * out * length, "output": out}
    fours, ones = s.rows * (out // 4), s.rows * (out % 4)
    unaligned = s.source.height * s.source.pixels % 4 != 0
    return {
        "four": fours,
        "four_quad": fours * (length // 4),
        "four_rest": fours * (length % 4),
        "one": ones,
        "one_quad": ones * (length // 4),
        "one_rest": ones * (length % 4),
        "unaligned_quad": (4 * fours + ones) * (length // 4) if unaligned else 0,
        "output": out,
    }


def _pool(s: _Shape) -> Counts:
    (kh, kw), (sh, sw), (top, left) = s.op.kernel, s.op.stride, s.node.before
    across = _inside(s.out.width, sw, left, kw, s.source.width)
    down = _inside(s.made, sh, top, kh, s.source.height)
    pixels, channels = s.made * s.out.width, s.out.channels
    lines, taps = down * s.out.width, down * across
    quads, ones = (channels // 4, channels % 4) if s.wide and not s.op.rounds_up else (0, channels)
    if s.node.kind == "max_pool" and quads and ones:  # the last four once more
        quads, ones = quads + 1, 0
    found: Counts = {
        "pixel": pixels,
        "one": pixels * ones,
        "one_line": lines * ones,
        "one_tap": taps * ones,
    }
    if s.wide and not s.op.rounds_up:
        askew = quads if channels % 4 else 0
        found |= {
            "quad": pixels * quads,
            "quad_line": lines * quads,
            "quad_tap": taps * quads,
            "askew_quad": pixels * askew,
            "askew_tap": taps * askew,
        }
    if s.node.kind == "max_pool":
        found["clamped"] = s.clamped
    return found


def _inside(count: int, stride: int, before: int, size: int, length: int) -> int:
    """Places of all windows along one side that lie in the map."""
    starts = (i * stride - before for i in range(count))
    return sum(min(start + size, length) - max(start, 0) for start in starts)


def _mean(s: _Shape) -> Counts:
    quads, ones = divmod(s.source.channels, 4) if s.wide else (0, s.source.channels)
    pieces = s.rows * -(-s.source.width // 255)
    values = s.rows * s.source.width
    found: Counts = {"one": pieces * ones, "one_pixel": values * ones, "output": s.out.pixels}
    return found | ({"quad": pieces * quads, "quad_pixel": values * quads} if s.wide else {})


def _values(s: _Shape) -> Counts:
    return {"value": s.outputs}


def _pairs(s: _Shape) -> Counts:
    return {"value": s.outputs, "pixel": s.rows * s.out.width}


def _select(s: _Shape) -> Counts:
    channels = s.op.picks[2]
    assert isinstance(channels, range)
    pixels = s.rows * s.out.width
    if channels.step != 1 and len(channels) > 1:
        return {"copy": 0, "copied_word": 0, "copied_byte": 0, "pixel": pixels, "value": s.outputs}
    return {"pixel": pixels, "value": 0} | _copied(s, [s.out.channels] * pixels)


def _scattered(s: _Shape) -> Counts:
    """Of a map whose values go elsewhere in another, or to sums."""
    pixels = s.rows * s.source.width
    return {"pixel": pixels, "value": pixels * s.source.channels, "made": s.out.height * s.out.pixels}


def _add(s: _Shape) -> Counts:
    found: Counts = {"value": s.outputs}
    return found | ({"clamped": s.clamped} if s.kernel.variant == "dsp" else {})


def _add_constant(s: _Shape) -> Counts:
    assert s.op.constant is not None
    calls = s.rows * (1 if s.op.constant.size > s.source.channels else s.source.width)
    return {"call": calls} | _add(s)


def _codes(s: _Shape) -> Counts:
    """Four at a time, but for those that look outside the line."""
    count, pixels = s.out.width, s.node.code_pixels
    inside = min(count - s.node.before[1], s.source.width - pixels - 1)
    fours = max(inside, 0) // 4 * 4
    return {"four": s.rows * fours, "one": s.rows * (count - fours), "ahead": s.rows * pixels}


def _copied(s: _Shape, sizes: list[int]) -> Counts:
    """Copies of so many bytes: by words, where the core loads them from any address, or they lie well."""
    words = [size // 4 if s.askew or all(n % 4 == 0 for n in sizes) else 0 for size in sizes]
    rest = [size - 4 * n for size, n in zip(sizes, words, strict=True)]
    return {"copy": len(sizes), "copied_word": sum(words), "copied_byte": sum(rest)}


def _pad(s: _Shape) -> Counts:
    copies = [s.source.channels] * (s.source.height * s.source.width)
    return {"value": s.outputs} | _copied(s, copies)


def _concat(s: _Shape) -> Counts:
    if s.node.axis == 0:
        return {"part": 0} | _copied(s, [s.out.pixels] * s.rows)
    copies: list[int] = []
    for part in s.parts:
        copies += [part.channels] * part.width if s.node.axis == 2 else [part.pixels]
    return {"part": s.rows * len(s.parts)} | _copied(s, copies * s.rows)


def _reflow(s: _Shape) -> Counts:
    return {"value": s.outputs, "made": s.out.height}


_FUNCTIONS: Mapping[str, Callable[[_Shape], Counts]] = {
    "conv": _conv,
    "table_conv": _table_conv,
    "depthwise": _depthwise,
    "dense": _dense,
    "max_pool": _pool,
    "avg_pool": _pool,
    "mean": _mean,
    "average": _mean,
    "add": _add,
    "add_constant": _add_constant,
    "codes": _codes,
    "pad": _pad,
    "concat": _concat,
    "reflow": _reflow,
    **dict.fromkeys(("mul", "lookup", "softmax"), _values),
    "select": _select,
    "bilinear": _pairs,
    "transpose": _scattered,
    "reduce": _scattered,
    **dict.fromkeys(PAIRS, _pairs),
}
