"""The arrays of weights as the row kernels of the C library read them, one layout a kernel variant.

A variant is "portable", "dsp" (Cortex-M4, M7, M33) or "mve" (M55). The dtype of a result is its type in C.
"""

import numpy as np

VARIANTS = ("portable", "dsp", "mve")


def conv_runs(weights: np.ndarray, dilation_w: int) -> np.ndarray:
    """[O][kh][kw][I] as [O][kh][runs][run_bytes] (lg_conv.h): one run a kernel row unless it is dilated."""
    out_c, kernel_h, kernel_w, in_c = weights.shape
    runs = 1 if dilation_w == 1 else kernel_w
    return weights.reshape(out_c, kernel_h, runs, kernel_w * in_c // runs)


def conv_weights(weights: np.ndarray, dilation_w: int, variant: str) -> np.ndarray:
    """The weights of lg_conv_row, lg_conv_row_dsp or lg_conv_row_mve, flat. `weights` is int8 [O][kh][kw][I].

    portable, int8: [O / 4][kh][runs][run_bytes][4], then the O % 4 last channels as [kh][runs][run_bytes].
    dsp, int16, to be aligned to 4 bytes: [O / 4, rounded up][kh][runs][run_bytes / 4, rounded up][2][4][2], twice
        the weights: of four channels first the taps 0 and 2 of a quad, then 1 and 3; zeros where there is none.
    """
    runs = conv_runs(weights, dilation_w)
    if variant == "portable":
        return _portable_conv(runs)
    if variant == "dsp":
        return _dsp_conv(runs)
    raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}")


def _portable_conv(runs: np.ndarray) -> np.ndarray:
    whole = len(runs) // 4 * 4
    fours = runs[:whole].reshape(-1, 4, runs[0].size).transpose(0, 2, 1)
    return np.concatenate([fours.ravel(), runs[whole:].ravel()]).astype(np.int8)


# DEPTHWISE_CONV_2D (lg_depthwise.h).


def depthwise_weights(weights: np.ndarray, variant: str) -> np.ndarray:
    """The weights of lg_depthwise_row, _dsp or _mve.

    Args:
      weights: int8 [kh][kw][O]; "mve" needs -127..127, which is what converters write.
      variant: "portable", "dsp" or "mve".
    Returns:
      int8 as given, or for "dsp" int32 [groups][blocks][4], see :func:`depthwise_pairs`.
    """
    if variant == "dsp":
        return depthwise_pairs(weights)
    assert variant in ("portable", "mve") and (variant == "portable" or weights.min() >= -127)
    return np.ascontiguousarray(weights)


def depthwise_pairs(weights: np.ndarray) -> np.ndarray:
    """Pairs of weights, doubled, as int16 halves of words (first tap low), in the order they are used.

    A group is four channels, the last one the last four (or all there are, and zeros). A block is two taps of
    each: rows 2i and 2i + 1 of one column, row by row; then neighbours in an odd last row, the last one
    perhaps with nothing.
    """
    kernel_h, kernel_w, channels = weights.shape
    starts = [max(min(first, channels - 4), 0) for first in range(0, channels, 4)]
    padded = np.zeros((kernel_h, kernel_w + kernel_w % 2, max(channels, 4)), np.int16)
    padded[:, :kernel_w, :channels] = weights.astype(np.int16) * 2
    even = kernel_h // 2 * 2
    pairs = [padded[:even, :kernel_w].reshape(-1, 2, kernel_w, padded.shape[2]).transpose(0, 2, 3, 1)]
    if kernel_h > even:
        pairs.append(padded[even].reshape(1, -1, 2, padded.shape[2]).transpose(0, 1, 3, 2))
    blocks = np.concatenate([p.reshape(-1, padded.shape[2], 2) for p in pairs])
    grouped = np.stack([blocks[:, start : start + 4] for start in starts])
    return np.ascontiguousarray(grouped).view("<i4").reshape(len(starts), -1, 4)


def _dsp_conv(runs: np.ndarray) -> np.ndarray:
    out_c, kernel_h, count, run_bytes = runs.shape
    padded = np.pad(2 * runs.astype(np.int16), [(0, -out_c % 4), (0, 0), (0, 0), (0, -run_bytes % 4)])
    # block, channel, run of the kernel, quad, second of the pair, odd
    quads = padded.reshape(-1, 4, kernel_h * count, padded.shape[3] // 4, 2, 2)
    return quads.transpose(0, 2, 3, 5, 1, 4).ravel()
