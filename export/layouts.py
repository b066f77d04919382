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
    """
    runs = conv_runs(weights, dilation_w)
    if variant == "portable":
        return _portable_conv(runs)
    raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}")


def _portable_conv(runs: np.ndarray) -> np.ndarray:
    whole = len(runs) // 4 * 4
    fours = runs[:whole].reshape(-1, 4, runs[0].size).transpose(0, 2, 1)
    return np.concatenate([fours.ravel(), runs[whole:].ravel()]).astype(np.int8)
