"""The arrays of weights as the row kernels of the C library read them, one layout a kernel variant.

A variant is "portable", "dsp" (Cortex-M4, M7, M33) or "mve" (M55). The dtype of a result is its type in C.
"""

import itertools

import numpy as np

VARIANTS = ("portable", "dsp", "mve")
# LG_TAIL_MOST of lg_conv.h.
TAIL_MOST = 256


def conv_runs(weights: np.ndarray, dilation_w: int) -> np.ndarray:
    """[O][kh][kw][I] as [O][kh][runs][run_bytes] (lg_conv.h): one run a kernel row unless it is dilated."""
    out_c, kernel_h, kernel_w, in_c = weights.shape
    runs = 1 if dilation_w == 1 else kernel_w
    return weights.reshape(out_c, kernel_h, runs, kernel_w * in_c // runs)


def conv_weights(weights: np.ndarray, dilation_w: int, variant: str) -> np.ndarray:
    """The weights of lg_conv_row, lg_conv_row_dsp or lg_conv_row_mve, flat. `weights` is int8 [O][kh][kw][I].

    portable, int8: [O / 4][kh][runs][run_bytes][4], then the O % 4 last channels as [kh][runs][run_bytes].
    dsp, int32: [ceil(O / 2)][quads][2], four taps of one channel a word, see :func:`dsp_words`; a run ends
        in a whole quad, but for tails (:func:`conv_tail`). Needs weights -127..127, and :func:`dsp_lift` in
        the biases.
    mve, int8: [ceil(O / 4)][ceil(kh * runs * run_bytes / 16)][4][16].
    Channels and taps that do not exist are zeros.
    """
    runs = conv_runs(weights, dilation_w)
    if variant == "portable":
        return _portable_conv(runs)
    if variant == "dsp":
        return _dsp_conv(runs)
    if variant == "mve":
        return _mve_conv(runs)
    raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}")


def _portable_conv(runs: np.ndarray) -> np.ndarray:
    whole = len(runs) // 4 * 4
    fours = runs[:whole].reshape(-1, 4, runs[0].size).transpose(0, 2, 1)
    return np.concatenate([fours.ravel(), runs[whole:].ravel()]).astype(np.int8)


# DEPTHWISE_CONV_2D (lg_depthwise.h).


def depthwise_weights(weights: np.ndarray, variant: str, sliding: bool = False) -> np.ndarray:
    """The weights of lg_depthwise_row, _dsp or _mve.

    Args:
      weights: int8 [kh][kw][O]; "mve" needs -127..127, which is what converters write.
      variant: "portable", "dsp" or "mve".
      sliding: of "dsp": for windows of 3x3 that slide, one channel after the other.
    Returns:
      "portable": int8 as given. "dsp": int32 [ceil(O / 4)][pairs][4], see :func:`depthwise_pairs`, zeros
      beyond the last channel; sliding, [O][5]. "mve": int32 words of int8 [groups][kh][kw][16], sixteen
      channels a group, see :func:`sixteens`.
    """
    if variant == "portable":
        return np.ascontiguousarray(weights)
    if variant == "dsp" and sliding:
        return _slide_pairs(weights)
    if variant == "dsp":
        pairs = depthwise_pairs(weights)
        padded = np.pad(pairs, [(0, -len(pairs) % 4), (0, 0)])
        return padded.reshape(-1, 4, pairs.shape[1]).swapaxes(1, 2).ravel()
    assert variant == "mve" and weights.min() >= -127
    return np.ascontiguousarray(sixteens(weights).transpose(2, 0, 1, 3)).view("<i4")


def sixteens(of_channels: np.ndarray) -> np.ndarray:
    """[..., O] as [..., groups, 16]: 1, 2, 4 or 8 channels again and again, others with zeros behind them."""
    count = of_channels.shape[-1]
    if 16 % count == 0:
        whole = np.tile(of_channels, 16 // count)
    else:
        whole = np.pad(of_channels, [(0, 0)] * (of_channels.ndim - 1) + [(0, -count % 16)])
    return whole.reshape(*of_channels.shape[:-1], -1, 16)


def depthwise_pairs(weights: np.ndarray) -> np.ndarray:
    """Pairs of weights, doubled, as int16 halves of words (first tap low), in the order they are used.

    Of each channel: rows 2i and 2i + 1 of one column, row by row; then neighbours in an odd last row, the
    last one perhaps with nothing.

    Returns:
      int32 [O][words].
    """
    kernel_h, kernel_w, channels = weights.shape
    padded = np.zeros((channels, kernel_h, kernel_w + kernel_w % 2), np.int16)
    padded[:, :, :kernel_w] = weights.transpose(2, 0, 1).astype(np.int16) * 2
    even = kernel_h // 2 * 2
    pairs = [padded[:, :even, :kernel_w].reshape(channels, -1, 2, kernel_w).swapaxes(2, 3)]
    if kernel_h > even:
        pairs.append(padded[:, even])
    halves = np.concatenate([p.reshape(channels, -1, 2) for p in pairs], axis=1)
    return np.ascontiguousarray(halves).view("<i4")[..., 0]


def _slide_pairs(weights: np.ndarray) -> np.ndarray:
    """Doubled pairs of 3x3: rows 0 and 1 of each column, then of row 2 left and middle, middle and right."""
    w = 2 * weights.transpose(2, 0, 1).astype(np.int16)
    columns = w[:, :2].swapaxes(1, 2)
    last = np.stack([w[:, 2, :2], w[:, 2, 1:]], axis=1)
    return np.ascontiguousarray(np.concatenate([columns, last], axis=1)).view("<i4")[..., 0]


# FULLY_CONNECTED (lg_dense.h).


def dense_weights(weights: np.ndarray, piece: int, variant: str) -> np.ndarray:
    """The weights of lg_dense_accumulate, _dsp or _mve.

    Args:
      weights: int8 [O][I]; "dsp" needs -127..127, and :func:`dense_lift` in the biases.
      piece: inputs that come at a time.
    Returns:
      int8 as given; "dsp": int32 [ceil(O / 2)][I / piece][ceil(piece / 4)][2], see :func:`dsp_words`.
    """
    if variant != "dsp":
        return weights
    quads = np.pad(weights.reshape(len(weights), -1, piece), [(0, 0), (0, 0), (0, -piece % 4)])
    return _dsp_conv(quads.reshape(len(weights), 1, 1, -1))


def dense_lift(weights: np.ndarray, piece: int) -> np.ndarray:
    """What a bias of lg_dense_accumulate_dsp has beside its own: 127 of odd weights of a piece. int32 [O]."""
    odd = weights.reshape(len(weights), -1, piece)[..., 1::2]
    return 127 * odd.sum(axis=(1, 2), dtype=np.int32)


# What the kernels of the DSP extension have in common (firmware/lib/src/lg_dsp_sum.h).


def dsp_words(weights: np.ndarray) -> np.ndarray:
    """int8 weights -127..127 as words of halves 256 w1 + w0.

    Args:
      weights: [..., taps], a multiple of four.
    Returns:
      int32 [..., taps / 4].
    """
    assert weights.min(initial=0) >= -127
    pairs = weights.astype(np.int32).reshape(*weights.shape[:-1], -1, 2)
    halves = (256 * pairs[..., 1] + pairs[..., 0]).astype("<i2")
    return np.ascontiguousarray(halves).view("<i4")


def dsp_lift(weights: np.ndarray, dilation_w: int) -> np.ndarray:
    """What a bias of lg_conv_row_dsp has beside its own: 127 of each odd weight of a quad. int32 [O]."""
    return 127 * _quads(conv_runs(weights, dilation_w))[..., 1::2].sum(axis=1, dtype=np.int32)


def conv_tail(kernel_h: int, runs: int, run_bytes: int) -> int:
    """LG_TAIL of lg_conv.h: bytes of a run that lg_conv_row_dsp has behind the whole quads of all runs."""
    tail = run_bytes % 4
    return tail if runs == 1 and kernel_h > 1 and tail <= 2 and kernel_h * run_bytes <= TAIL_MOST else 0


def _quads(runs: np.ndarray) -> np.ndarray:
    """[O][taps] in the order of lg_conv_row_dsp: every run, or all tails, end in a whole quad of taps."""
    out_c, kernel_h, count, run_bytes = runs.shape
    tail = conv_tail(kernel_h, count, run_bytes)
    whole = run_bytes - tail
    head = runs[..., :whole].reshape(out_c, kernel_h * count, whole)
    parts = [head, runs[..., whole:].reshape(out_c, 1, kernel_h * count * tail)]
    return np.concatenate(
        [np.pad(p, [(0, 0), (0, 0), (0, -p.shape[2] % 4)]).reshape(out_c, -1) for p in parts], axis=1
    )


def _dsp_conv(runs: np.ndarray) -> np.ndarray:
    taps = _quads(runs)
    words = dsp_words(np.pad(taps, [(0, len(taps) % 2), (0, 0)]))
    return words.reshape(len(words) // 2, 2, -1).swapaxes(1, 2).ravel()


# CONV_2D by Winograd's minimal filtering (lg_conv.h).

# Taps -> products of one axis, by kind: the first of their taps, and what each is taken times.
_PRODUCTS = {
    3: ((0, (2, 0, 0)), (0, (1, 1, 1)), (0, (1, -1, 1)), (0, (0, 0, 2))),
    5: (
        *((0, (2, 0, 0)), (3, (2, 0)), (0, (1, 1, 1)), (3, (2, 2))),
        *((0, (1, -1, 1)), (0, (0, 0, 2)), (3, (0, 2))),
    ),
}
# Products of one kind.
_KINDS = {3: (1, 1, 1, 1), 5: (2, 2, 1, 2)}


def winograd_weights(weights: np.ndarray) -> np.ndarray:
    """The weights of lg_winograd_row_dsp, times 4.

    Args:
      weights: int8 [O][k][k][I], k 3 or 5.
    Returns:
      int32 [ceil(O / 4)][steps][4], pairs of int16: input channels 4i and 4i + 2, or 4i + 1 and 4i + 3.
      Steps: kinds across, products down, pairs, products of the kind.
    """
    out_c, taps, _, in_c = weights.shape
    factors = np.zeros((len(_PRODUCTS[taps]), taps), np.int32)
    for row, (first, times) in zip(factors, _PRODUCTS[taps], strict=True):
        row[first : first + len(times)] = times
    padded = np.pad(weights.astype(np.int32), [(0, -out_c % 4), (0, 0), (0, 0), (0, -in_c % 4)])
    products = np.einsum("iy,jx,oyxc->oijc", factors, factors, padded).astype("<i2")
    quads = products.reshape(*products.shape[:3], -1, 2, 2).swapaxes(4, 5)
    words = np.ascontiguousarray(quads).view("<i4").reshape(*products.shape[:3], -1)
    ends = np.cumsum((0, *_KINDS[taps]))
    kinds = [words[:, :, a:b].swapaxes(2, 3).reshape(len(words), -1) for a, b in itertools.pairwise(ends)]
    fours = np.concatenate(kinds, axis=1).reshape(len(words) // 4, 4, -1)
    return fours.swapaxes(1, 2).ravel()


def _mve_conv(runs: np.ndarray) -> np.ndarray:
    flat = runs.reshape(len(runs), -1)
    padded = np.pad(flat, [(0, -flat.shape[0] % 4), (0, -flat.shape[1] % 16)])
    return padded.reshape(-1, 4, padded.shape[1] // 16, 16).transpose(0, 2, 1, 3).ravel()


# Tables of partial sums for CONV_2D over few levels (lg_table_conv.h), the same for every variant.


def table_pixels(kernel_w: int, levels: int) -> int:
    """The most neighbouring levels -levels..levels that one code of a byte holds and a kernel row can use."""
    pixels = 1
    while pixels < kernel_w and (2 * levels + 1) ** (pixels + 1) <= 256:
        pixels += 1
    return pixels


def table_conv_fits(weights: np.ndarray, levels: int) -> bool:
    """Whether every sum of table entries fits uint16, for weights int8 [O][kh][kw][1]."""
    return bool((2 * table_conv_lift(weights, levels) <= 65535).all())


def table_conv_lift(weights: np.ndarray, levels: int) -> np.ndarray:
    """What the table adds to every accumulator, int32 [O]: to be taken from the bias of the channel."""
    return (levels * np.abs(weights.astype(np.int32)).sum(axis=(1, 2, 3))).astype(np.int32)


def table_conv(weights: np.ndarray, levels: int, pixels: int) -> np.ndarray:
    """The partial sums of every code of `pixels` levels -levels..levels, lifted to be 0 or more.

    Args:
      weights: int8 [O][kh][kw][1].
      levels: n; a code has the digits level + n, the leftmost pixel's the least.
    Returns:
      uint16 [kh][groups][(2n + 1)^pixels][columns], columns = O rounded up to a multiple of 4.
    """
    channels, kernel_h, kernel_w, depth = weights.shape
    radix = 2 * levels + 1
    assert depth == 1 and table_conv_fits(weights, levels) and radix**pixels <= 256
    groups = -(-kernel_w // pixels)
    padded = np.zeros((-(-channels // 4) * 4, kernel_h, groups * pixels), np.int32)
    padded[:channels, :, :kernel_w] = weights[..., 0]
    grouped = padded.reshape(-1, kernel_h, groups, pixels)
    digits = np.arange(radix**pixels)[:, None] // radix ** np.arange(pixels) % radix - levels
    sums = np.einsum("chgp,ep->hgec", grouped, digits)
    lift = levels * np.abs(grouped).sum(axis=3).transpose(1, 2, 0)
    return (sums + lift[:, :, None, :]).astype(np.uint16)
