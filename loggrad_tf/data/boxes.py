"""Boxes of objects in frames, as arrays: what a detector is trained towards and measured by.

A frame is a photograph made to measure for a network. A box counts in the frame's pixels, from 0, half open:
it covers the columns ``left <= x < right``. ``difficult`` ones are too small, hidden or cut off to be asked
for: neither finding nor missing them counts.
"""

import numpy as np

from loggrad_tf.errors import LogGradError

BOX = np.dtype(
    [
        ("frame", np.int32),
        ("label", np.int32),
        *((name, np.float32) for name in ("left", "top", "right", "bottom")),
        ("difficult", np.bool_),
    ]
)
# The share of an object that must be in the frame for it to be asked for.
VISIBLE = 0.4


def empty() -> np.ndarray:
    """No boxes."""
    return np.zeros(0, BOX)


def of_frames(boxes: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The boxes of some frames, which are numbered anew in the order they are given in.

    Args:
      boxes: :data:`BOX` [n], in any order.
      frames: integers [m]; one may be there twice.

    Returns:
      :data:`BOX`, in the order of the frames.
    """
    order = np.argsort(boxes["frame"], kind="stable")
    first = np.searchsorted(boxes["frame"], frames, "left", sorter=order)
    counts = np.searchsorted(boxes["frame"], frames, "right", sorter=order) - first
    ends = np.cumsum(counts)
    places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - (ends - counts), counts)
    chosen = boxes[order[places]]
    chosen["frame"] = np.repeat(np.arange(len(frames)), counts)
    return chosen


def seen_through(
    boxes: np.ndarray, windows: np.ndarray, mirrored: np.ndarray, height: int, width: int
) -> np.ndarray:
    """The boxes after a window of each frame has been made the whole of it, and mirrored left to right.

    Args:
      boxes: :data:`BOX` [n].
      windows: left, top, right, bottom in the frame's pixels, float [frames, 4]; may reach beyond the frame.
      mirrored: bool [frames]; what the window shows is mirrored then.
      height, width: of a frame, before and after.

    Returns:
      those that are still to be seen, clipped to the frame; one of which less than :data:`VISIBLE` is left
      is difficult.

    Raises:
      LogGradError: a window without area.
    """
    left, top, right, bottom = windows.T.astype(np.float64)
    if not ((right > left).all() and (bottom > top).all()):
        raise LogGradError("a window of a frame has no area: give left < right and top < bottom")
    frame = boxes["frame"]
    across, down = (width / (right - left))[frame], (height / (bottom - top))[frame]
    x = [(boxes[side] - left[frame]) * across for side in ("left", "right")]
    y = [(boxes[side] - top[frame]) * down for side in ("top", "bottom")]
    turned = mirrored[frame]
    x = [np.where(turned, width - x[1], x[0]), np.where(turned, width - x[0], x[1])]
    inside = [np.clip(side, 0, width) for side in x], [np.clip(side, 0, height) for side in y]
    area = (x[1] - x[0]) * (y[1] - y[0])
    left_of_it = (inside[0][1] - inside[0][0]) * (inside[1][1] - inside[1][0])
    moved = boxes.copy()
    (moved["left"], moved["right"]), (moved["top"], moved["bottom"]) = inside
    moved["difficult"] |= left_of_it < VISIBLE * area
    return moved[(moved["right"] > moved["left"]) & (moved["bottom"] > moved["top"])]
