"""Cosine similarities of the filters of a layer (paper, equation 4), and what similar filters are good for.

Kernels are in Keras' layout, (rows, columns, input channels, filters). A filter is one vector of
rows x columns x input channels weights; its bias is no part of it.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np


@dataclasses.dataclass(frozen=True, order=True)
class Pair:
    """Two filters of a layer, ``first`` < ``second``, and their similarity ``s``, -1 to 1."""

    s: float
    first: int
    second: int


def matrix(kernel: np.ndarray) -> np.ndarray:
    """s of all filters with all, float64 (filters, filters). A filter of zeros is similar to none: s = 0."""
    vectors = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=0)
    unit = vectors / np.where(lengths > 0, lengths, 1.0)
    return np.clip(unit.T @ unit, -1.0, 1.0)


def similarities(kernel: np.ndarray) -> np.ndarray:
    """s of each pair i < j once, float64 (filters (filters - 1) / 2,)."""
    s = matrix(kernel)
    return s[np.triu_indices(len(s), 1)]


def alike(kernel: np.ndarray, least: float) -> int:
    """How many filters have another one that is similar to them by more than ``least``."""
    s = matrix(kernel)
    np.fill_diagonal(s, -1.0)
    return int((s.max(axis=1) > least).sum())


def most_similar(kernel: np.ndarray, count: int) -> list[Pair]:
    """The ``count`` pairs of largest s, each filter in one of them at most; the most similar first."""
    s = matrix(kernel)
    rows, columns = np.triu_indices(len(s), 1)
    found: list[Pair] = []
    used: set[int] = set()
    for place in np.argsort(-s[rows, columns], kind="stable"):
        first, second = int(rows[place]), int(columns[place])
        if len(found) == count:
            break
        if used.isdisjoint((first, second)):
            used |= {first, second}
            found.append(Pair(float(s[first, second]), first, second))
    return found


def groups(kernel: np.ndarray, least: float) -> list[list[int]]:
    """Filters that one can stand for: each is similar to the first of its group by more than ``least``.

    The longest filter that is left begins the next group. Every filter is in one group; most are alone.
    """
    s = matrix(kernel)
    lengths = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), axis=0)
    left = [int(i) for i in np.argsort(-lengths, kind="stable")]
    found = []
    while left:
        head, *others = left
        members = [i for i in others if s[head, i] > least]
        found.append([head, *members])
        left = [i for i in others if i not in members]
    return found


def merged(
    kernel: np.ndarray, following: np.ndarray, together: list[list[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Let the first filter of each group stand for the others, which become zero.

    A filter that is ``a`` times another, bias and all, makes ``a`` times its map behind a ReLU, so what the
    next layer reads from the one can be read from the other. With biases that differ it is an approximation.

    Args:
      kernel: of the layer whose filters are merged.
      following: of the layer that reads its maps, (rows, columns, filters, outputs).
      together: see :func:`groups`.

    Returns:
      Both kernels, same shapes; the zero filters and what is read of them can be left out.
    """
    lengths = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), axis=0)
    kernel, following = kernel.copy(), following.copy()
    for head, other in _replaced(together):
        following[:, :, head] += following[:, :, other] * (lengths[other] / max(lengths[head], 1e-30))
        following[:, :, other] = 0
        kernel[..., other] = 0
    return kernel, following


def _replaced(together: list[list[int]]) -> Iterator[tuple[int, int]]:
    for head, *others in together:
        for other in others:
            yield head, other
