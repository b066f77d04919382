"""The epochs of a training, whatever makes them: when it ends, and who is told."""

import math
from collections.abc import Callable, Iterator

# Of one epoch: its number, from 0, and the entry of the history that it gave.
Progress = Callable[[int, dict[str, float]], None]
# Of one epoch: its number, and the sum of the losses so far; True ends the training.
Stop = Callable[[int, float], bool]


def epochs(
    epoch: Callable[[], dict[str, float]],
    numbers: range,
    on_epoch: Progress | None = None,
    stop: Stop | None = None,
) -> Iterator[dict[str, float]]:
    """The history, entry by entry; it ends before the last of ``numbers`` if the training diverges.

    Args:
      epoch: trains one epoch and returns its entry: ``loss`` and ``error``.
      numbers: of the epochs to train.
      on_epoch: called after each epoch, when the caller has taken its entry.
      stop: asked after that with the epoch's number and the sum of the training losses of the epochs
        so far, which estimates how fast a network learns (Ru et al. 2021); True ends the training.
    """
    losses: list[float] = []
    for number in numbers:
        found = epoch()
        losses.append(found["loss"])
        yield found
        if on_epoch is not None:
            on_epoch(number, found)
        if diverged(found) or (stop is not None and stop(number, sum(losses))):
            return


def diverged(entry: dict[str, float]) -> bool:
    """Is the loss of an epoch no number any more?"""
    return not math.isfinite(entry["loss"])
