"""How often the loops of a kernel turn in one frame: what instructions and cycles are predicted from.

A function for each kernel whose loops have their own form; names are those of the C (``firmware/lib/src``).
Counts depend on shapes, kernel and core alone, never on weights or scales, so a network that has none yet is
counted like the one it will become: rescaling is taken to be the usual one, and no sum to need more than its
kernel was chosen for.
"""

from collections.abc import Callable, Mapping

from export.plan.kernels import VARIANTS, WINOGRAD, Kernel, slides
from export.plan.layouts import conv_tail
from export.plan.nodes import GATHERS, PAIRS, WINDOWS, Map, Network, Node

# Of lg_conv_row_dsp.c: windows and channels of a group, words of the scratch buffer, the most quads it holds;
# quads of a turn of lg_conv_pass_dsp.c.
TOGETHER, GROUP, SCRATCH, MOST_QUADS, TURN = 4, 16, 576, 86, 12
# Of lg_depthwise_row_dsp.c: entries that are held. Of lg_dense_dsp.c: quads.
ENTRIES, DENSE_QUADS = 68, 64
# Of lg_conv_row.c on cores without a long multiply: taps that are packed, channels of a group.
PACKED, PACKED_GROUP = 32, 16
# Of lg_conv_mve.h: bytes that windows are laid out in.
ROOM = 2560
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
    """Stores of padding around so many rows of a map: eight bytes or more go by words."""
    sides = (pixels * of.channels for pixels in (of.left, of.right))
    return rows * sum(n if n < 8 else n // 4 + n % 4 for n in sides)


def windows(node: Node, calls: int) -> float:
    """Rows of input that are looked for, in all windows of a frame."""
    return calls * node.window_rows if node.kind in WINDOWS else 0.0


class _Shape:
    """A node, its maps and what all counts are made of."""

    def __init__(self, network: Network, node: Node, kernel: Kernel, core: str, calls: int) -> None:
        self.node, self.kernel, self.op, self.maps = node, kernel, node.op, network.maps
        self.source: Map = network.maps[node.inputs[0]]
        self.out: Map = network.maps[node.output]
        self.rows = calls
        self.made = self.out.height if node.kind in GATHERS else calls  # rows of the output
        self.parts = [network.maps[key] for key in node.inputs]
        self.wide = core in VARIANTS  # the DSP extension
        self.askew = core not in ("cortex-m0", "cortex-m0plus")  # loads words from any address
        self.narrow = not self.askew  # has no long multiply
        self.outputs = self.made * self.out.pixels

    @property
    def rounded_away(self) -> int:
        """1 where how halves below the zero point are rounded is seen."""
        return int(self.node.low < self.out.pad)

    @property
    def clamped(self) -> int:
        """Outputs that a pass of its own brings inside bounds narrower than int8."""
        return self.outputs if self.node.low > -128 or self.node.high < 127 else 0


def _conv(s: _Shape) -> Counts:
    if s.op.is_wide:
        return _wide(s)
    if s.kernel.function == WINOGRAD:
        return _winograd(s)
    if s.kernel.variant == "dsp":
        return _conv_dsp(s)
    if s.kernel.variant == "mve":
        return _conv_mve(s)
    (kh, kw), (ph, pw) = s.op.kernel, s.node.pool
    runs = kw if s.op.dilation[1] > 1 else 1
    length = s.source.channels * kw // runs
    pooled = ph * pw > 1
    pairs = s.rows * (s.out.width * ph * -(-pw // 2) if pooled else -(-s.out.width // 2))
    if s.narrow:
        return _conv_packed(s, pairs, kh * runs, kh * runs * length)
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


def _conv_packed(s: _Shape, pairs: int, runs: int, taps: int) -> Counts:
    """Of so many pairs of windows: taps that are packed again for each group where they are more than fit."""
    pooled, channels = s.node.pool != (1, 1), s.out.channels
    groups = pairs * -(-channels // (PACKED_GROUP // 2 if pooled else PACKED_GROUP))
    again = groups if pooled or taps > PACKED else pairs
    found: Counts = {
        "group": groups,
        "packed_run": again * runs,
        "packed_tap": again * taps,
        "channel": pairs * channels,
        "pooled": pairs * channels if pooled else 0,
        "put": s.outputs if pooled else pairs * channels,
    }
    for label, blocks in (("four", channels // 4), ("one", channels % 4)):
        passes = pairs * blocks
        found |= {
            f"pass_{label}": passes * -(-taps // PACKED),
            f"tap_{label}": passes * taps,
        }
    return found | {"odd_tap": pairs * (channels // 4) * (taps % 2)}


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
    turns = _ConvDsp(s)
    ph, pw = s.node.pool
    if (ph, pw) == (2, 2) and turns.squared(s):
        turns.squares(s.rows * s.out.width, s.op.stride[0])
    elif ph * pw > 1:
        turns.pooled(s.rows * s.out.width, ph * pw, 2 if pw % 2 == 0 else 1)
    else:
        for count, groups in windows_of(s.out.width).items():
            turns.neighbours(s.rows * groups, count)
    step = s.op.stride[1] * s.source.channels
    aligned = step % 4 == 0 and s.op.dilation[1] * s.source.channels % 4 == 0
    aligned = aligned and s.source.left * s.source.channels % 4 == 0
    words = sum(lanes * turns.found[f"widened_{lanes}"] for lanes in range(1, TOGETHER + 1))
    words += 6 * turns.found["slid"]
    return {
        **turns.found,
        "unaligned_quad": 0 if aligned else words,
        "clamped": s.clamped,
    }


def _winograd(s: _Shape) -> Counts:
    taps, depth = s.op.kernel[0], -(-s.source.channels // 4)
    products, columns = (4, 6) if taps == 3 else (7, 8)
    pairs, fours = s.rows * -(-s.out.width // 2), -(-s.out.channels // 4)
    quads = depth * (s.rows * (columns - 4) + 4 * pairs)
    return {
        "pair": pairs,
        f"quad_{taps}": quads,
        f"line_{taps}": pairs * products * 2 * depth,
        "four": pairs * fours,
        "step": pairs * fours * products**2 * 2 * depth,
        "output": s.outputs,
        "clamped": s.clamped,
    }


def windows_of(width: int) -> dict[int, int]:
    """Windows that are made together -> how often along a row of lg_conv_row_dsp."""
    rest = width % TOGETHER
    threes = 1 if rest == 3 or (rest == 1 and width > TOGETHER) else 2 if rest == 2 and width > 2 else 0
    fours, left = divmod(width - 3 * threes, TOGETHER)
    return {TOGETHER: fours, 3: threes, 2: int(left == 2), 1: int(left == 1)}


_LOOPS = (
    *("group", "run", "pass", "turn", "piece", "sum", "single", "put"),
    *("alone", "alone_turn", "pooled", "compared", "tails", "tail"),
    *("square", "shared_run", "shared_quad", "largest", "zeroed", "gathered", "part"),
    *("four_run", "slid_run", "slid", "by_rows"),
)


class _ConvDsp:
    """Turns of the loops of lg_conv_row_dsp.c and lg_conv_pass_dsp.c, all of them."""

    def __init__(self, s: _Shape) -> None:
        self.channels, (self.kh, kw) = s.out.channels, s.op.kernel
        self.runs = kw if s.op.dilation[1] > 1 else 1
        run_bytes = s.source.channels * (kw if self.runs == 1 else 1)
        tail = conv_tail(self.kh, self.runs, run_bytes)
        self.tails = -(-self.kh * tail // 4)
        self.whole = self.kh * self.runs * -(-(run_bytes - tail) // 4)
        near = kw == 3 and s.op.stride[1] == s.op.dilation[1] == 1
        self.slid = s.source.channels // 4 if near and s.source.channels % 4 == 0 else 0
        self.pair = "rectified" if s.node.low >= s.out.pad else "pair"
        self.quads = self.whole + self.tails
        names = list(_LOOPS)
        names += [f"{name}_{n}" for name in ("widened", "quad") for n in range(1, TOGETHER + 1)]
        names += [f"{name}_{n}" for name in ("pair", "rectified", "held") for n in range(2, TOGETHER + 1)]
        self.found: dict[str, float] = dict.fromkeys(names, 0.0)

    def room(self, count: int) -> int:
        return min(MOST_QUADS, SCRATCH // (2 * count))

    def groups(self) -> list[int]:
        return [min(self.channels - first, GROUP) for first in range(0, self.channels, GROUP)]

    def widened(self, times: float, count: int, lanes: int) -> None:
        self.found["run"] += times * self.kh * self.runs * (count // lanes)
        self.found[f"widened_{lanes}"] += times * self.whole * (count // lanes)
        self.found["tails"] += times * self.tails * (count // lanes)
        self.found["tail"] += times * self.tails * count

    def widened_four(self, times: float) -> None:
        """Four neighbours, kernel row after kernel row, where each is one run."""
        found = self.found
        if self.slid:
            found["slid_run"] += times * self.kh
            found["slid"] += times * self.kh * self.slid
        else:
            found["four_run"] += times * self.kh
            found["widened_4"] += times * self.whole
        found["tails"] += times * self.tails
        found["tail"] += times * self.tails * TOGETHER

    def multiplied(self, times: float, count: int, pairs: int, quads: int, name: str) -> None:
        self.found[name] += times * pairs
        self.found[f"quad_{count}"] += times * pairs * quads
        self.found["turn" if count > 1 else "alone_turn"] += (
            times * pairs * -(-quads // (TURN if count > 1 else 4))
        )

    def summed(self, times: float, count: int, lanes: int, channels: int) -> None:
        """``sum``: windows that fit are widened already."""
        found, pairs = self.found, -(-channels // 2)
        found["sum"] += times
        found["zeroed"] += times * 2 * pairs * count
        pieces = [self.quads]
        if self.quads > self.room(count):
            pieces = [min(self.room(count), self.quads - at) for at in range(0, self.quads, self.room(count))]
            found["piece"] += times * len(pieces)
            self.widened(times, count, lanes)
        for quads in pieces:
            found["pass"] += times if count > 1 else 0
            self.multiplied(times, count, pairs, quads, f"held_{count}" if count > 1 else "single")

    def neighbours(self, times: float, count: int) -> None:
        found, odd = self.found, self.channels % 2
        row = self.whole // self.kh
        if self.quads > self.room(count) and count == TOGETHER and self.runs == 1 and row <= self.room(count):
            self.by_rows(times, row)
            return
        if self.quads > self.room(count):
            for n in self.groups():
                self.summed(times, count, count, n)
                found["put"] += times * n * count
            return
        found["group"] += times
        if count == TOGETHER and self.runs == 1:
            self.widened_four(times)
        else:
            self.widened(times, count, count)
        if count == 1:
            self.multiplied(times, 1, -(-self.channels // 4), self.quads, "alone")
            return
        found["pass"] += times if self.channels > 1 else 0
        self.multiplied(times, count, self.channels // 2, self.quads, f"{self.pair}_{count}")
        if odd:
            self.summed(times, count, count, 1)
            found["put"] += times * count

    def by_rows(self, times: float, row: int) -> None:
        """Four neighbours whose windows do not fit, kernel row after kernel row."""
        most = (SCRATCH // TOGETHER + GROUP - 2 * row) // 2 * 2
        for first in range(0, self.channels, most):
            n = min(self.channels - first, most)
            pairs = -(-n // 2)
            self.found["by_rows"] += times * self.kh
            self.found["zeroed"] += times * 2 * pairs * TOGETHER
            self.widened_four(times)
            self.multiplied(times * self.kh, TOGETHER, pairs, row, f"held_{TOGETHER}")
            self.found["put"] += times * n * TOGETHER

    def squared(self, s: _Shape) -> bool:
        """Whether pixels of two by two windows have a loop of their own."""
        return s.op.dilation[0] == 1 and self.channels % 2 == 0 and self.quads <= self.room(TOGETHER)

    def squares(self, pixels: float, down: int) -> None:
        found, shared = self.found, max(self.kh - down, 0)
        row_quads = self.whole // self.kh
        found["square"] += pixels
        found["pass"] += pixels
        found["shared_run"] += pixels * (self.kh + down) * self.runs
        found["shared_quad"] += pixels * shared * row_quads
        found["widened_2"] += pixels * 2 * min(self.kh, down) * row_quads
        found["tails"] += pixels * self.tails * 2
        found["tail"] += pixels * self.tails * 4
        self.multiplied(pixels, TOGETHER, self.channels // 2, self.quads, "largest")

    def pooled(self, pixels: float, windows: int, across: int) -> None:
        found, groups = self.found, self.groups()
        for at in range(0, windows, TOGETHER):
            count = min(windows - at, TOGETHER)
            lanes = across if count == TOGETHER else 1
            found["gathered"] += pixels * (len(groups) if windows > TOGETHER else 1)
            found["part"] += pixels * (len(groups) if windows > TOGETHER else 1) * (count // lanes)
            if self.quads <= self.room(count):
                self.widened(pixels * (len(groups) if windows > TOGETHER else 1), count, lanes)
            for n in groups:
                self.summed(pixels, count, lanes, n)
                found["compared"] += pixels * n * count
        found["pooled"] += pixels * len(groups)
        found["put"] += pixels * self.channels


def _conv_mve(s: _Shape) -> Counts:
    (kh, kw), (ph, pw) = s.op.kernel, s.node.pool
    runs = kw if s.op.dilation[1] > 1 else 1
    length = s.source.channels * kw // runs
    fours, vectors = -(-s.out.channels // 4), -(-kh * runs * length // 16)
    in_place = kh == runs == 1 and length % 16 == 0
    if ph * pw > 1 or not (in_place or kh * runs * length <= ROOM // 4):
        blocks = s.rows * s.out.width * ph * pw * fours
        run = blocks * kh * runs
        return {"output": s.outputs, "block": blocks, "run": run, "words": run * -(-length // 16)}
    together = 4 * (ROOM // (64 * vectors))
    found: Counts = {"filled": 0 if in_place else s.rows * -(-s.out.width // together)}
    for label, pixels in (("pair", s.rows * (s.out.width // 2)), ("single", s.rows * (s.out.width % 2))):
        found |= {
            label: pixels,
            f"{label}_block": pixels * fours,
            f"{label}_vector": pixels * fours * vectors,
        }
    found["pair_away"] = found["pair_block"] * s.rounded_away
    copies = 0 if in_place else s.rows * -(-s.out.width // 4)
    return found | {
        "copy": copies,
        "copied_run": copies * kh * runs,
        "copied_vector": copies * kh * runs * -(-length // 16),
    }


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
        return _depthwise_mve(s)
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
    fours = s.rows * -(-channels // 4)
    if not slides(s.node, s.maps):
        pairs = kh // 2 * kw + kh % 2 * -(-kw // 2)
        return found | {
            "found": s.rows * pairs,
            "pixel": s.rows * s.out.width,
            "four": fours * s.out.width,
            "pair": fours * s.out.width * pairs,
            "output": s.outputs,
        }
    two = s.op.stride[1] != s.op.dilation[1]
    label, most = ("two", ENTRIES // 2 - 1) if two else ("one", ENTRIES - 2)
    part = [min(most, s.out.width - x) for x in range(0, s.out.width, most)]
    entries = [n + 1 if two else (n + 3) // 2 for n in part]
    held = [ENTRIES // (2 * n) for n in entries]
    return found | {
        "part": s.rows * len(part),
        "held": s.rows * sum(2 * fours * n for fours, n in zip(held, entries, strict=True)),
        "slide": s.rows * sum(-(-channels // (4 * fours)) for fours in held),
        "order": fours * len(part),
        "columns": fours * sum(entries),
        f"channel_{label}": lines * len(part),
        f"entry_{label}": lines * (sum(entries) - len(part)),
    }


def _depthwise_mve(s: _Shape) -> Counts:
    (kh, kw), channels, width = s.op.kernel, s.out.channels, s.out.width
    groups, rest = divmod(channels, 16)
    pixels = rest_pixels = width
    if 16 % channels == 0 and s.op.stride[1] == 1 and channels < 16:
        # Pixels side by side.
        groups, (pixels, rest), rest_pixels = 1, divmod(width * channels, 16), 1
    calls = any_groups = s.rows * rest_pixels * (rest > 0)
    found: Counts = {"pixel": 0, "skipped": 0, "group": 0, "away": 0}
    if (kh, kw) == (3, 3):
        whole = s.rows * pixels * groups
        near = s.op.stride[1] == 1 and channels % 16 == 0 or channels < 16
        found |= {"pixel": s.rows * pixels * (groups > 0), "group": whole, "away": whole * s.rounded_away}
        found["skipped"] = 0 if near else found["pixel"]
    else:
        calls += s.rows * pixels * (groups > 0)
        any_groups += s.rows * pixels * groups
    return found | {
        "place": s.rows * kh * kw if calls else 0,
        "any_pixel": calls,
        "any": any_groups,
        "any_pair": any_groups * (kh * kw // 2),
        "any_odd": any_groups * (kh * kw % 2),
    }


def _dense(s: _Shape) -> Counts:
    length, out = s.source.pixels, s.out.pixels
    if s.kernel.variant != "dsp":
        return {"sum": s.rows * out, "product": s.rows * out * length, "output": out}
    quads, fours = -(-length // 4), -(-out // 4)
    pieces = [min(DENSE_QUADS, quads - at) for at in range(0, quads, DENSE_QUADS)]
    return {
        "piece": s.rows * len(pieces),
        "widened": s.rows * quads,
        "four": s.rows * len(pieces) * fours,
        "turn": s.rows * fours * sum(-(-n // 4) for n in pieces),
        "quad": s.rows * fours * quads,
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
    return _added(s, s.rows)


def _add_constant(s: _Shape) -> Counts:
    assert s.op.constant is not None
    calls = s.rows * (1 if s.op.constant.size > s.source.channels else s.source.width)
    return {"call": calls} | _added(s, calls)


def _added(s: _Shape, calls: int) -> Counts:
    """Of so many calls: the DSP extension's add four values a turn."""
    if s.kernel.variant != "dsp":
        return {"value": s.outputs}
    fours = s.outputs // calls // 4 * calls
    return {"four": fours, "value": s.outputs - 4 * fours, "clamped": s.clamped}


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
    **dict.fromkeys(("mul", "lookup"), _values),
    "select": _select,
    **dict.fromkeys(("bilinear", "softmax", "log_softmax"), _pairs),
    "transpose": _scattered,
    "reduce": _scattered,
    **dict.fromkeys(PAIRS, _pairs),
}
