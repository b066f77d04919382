"""Showing a training's progress: epoch, training error, of a detector that of cells, time left; on stderr."""

import sys
import time
from collections.abc import Callable


def of_epochs(label: str, epochs: int, detects: bool = False) -> Callable[[int, dict[str, float]], None]:
    """A callback of every training: ``on_epoch`` of :meth:`models.training.loop.epochs`.

    A terminal shows one line that is written anew; a log file gets ten lines.

    Args:
      detects: the network is a detector, whose ``error`` is that of cells.
    """
    begin = time.monotonic()
    terminal = sys.stderr.isatty()
    step = 1 if terminal else max(1, epochs // 10)
    what = "error of cells in training" if detects else "training error"

    def show(epoch: int, values: dict[str, float]) -> None:
        done = epoch + 1
        if done % step and done != epochs:
            return
        left = (time.monotonic() - begin) / done * (epochs - done)
        line = f"{label}: epoch {done}/{epochs}, {what} {values['error']:.1%}, {left:.0f} s left"
        rewrite = terminal and done != epochs
        print(f"\r{line} " if terminal else line, end="" if rewrite else "\n", file=sys.stderr, flush=True)

    return show
