"""Whole photographs with boxes: what an annotation makes of a frame, and where its boxes lie in the end.

A frame without objects is a good frame. What there is of its annotation is never dropped silently:

- a wrong box (inverted, not inside its frame) of a class that is asked for: the frame is left out, since
  nobody knows what is to be found in it;
- boxes of classes that the set does not know: a reject for each such class, and the frame stays without them;
- boxes of known classes that are not asked for are background;
- boxes that lie outside of what is kept of the photograph (``fit``): a reject, and the frame stays.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from loggrad_tf.data import boxes, voc
from loggrad_tf.data.sides import Size, sides
from loggrad_tf.data.sources import STAYS, Picture, Reject, judge
from loggrad_tf.errors import LogGradError


def asked_of(classes: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    """The classes of the objects that are to be found: those asked for, or all.

    Raises:
      LogGradError: one is none of ``classes``.
    """
    for name in asked:
        if name not in classes:
            raise LogGradError(f"task detect:{name}: the classes are {', '.join(classes)}: choose among them")
    return asked or classes


def framed(
    picture: Picture, annotation: voc.Annotation, xml: str, classes: Sequence[str], asked: Sequence[str]
) -> tuple[Picture | None, list[Reject]]:
    """The photograph as a frame, None if it is left out, and what was rejected.

    Args:
      picture: the photograph, without labels.
      annotation: its own.
      xml: the annotation's file, as rejects name it.
      classes: that the set knows.
      asked: those whose boxes are kept.
    """
    frame = (annotation.width, annotation.height)
    strange = Counter(item.name for item in annotation.objects if item.name not in classes)
    rejects = [
        Reject(
            xml,
            -1,
            f"class '{name}' is not one of {', '.join(classes)}: its {STAYS} it (boxes: {count})",
        )
        for name, count in sorted(strange.items())
    ]
    items = tuple(index for index, item in enumerate(annotation.objects) if item.name in asked)
    kept = tuple(annotation.objects[index] for index in items)
    wrong = judge(kept, asked, *frame)
    if wrong:
        reasons = ((items[place], f"{reason}: its frame is left out") for place, reason in wrong.items())
        return None, [*rejects, *(Reject(xml, item, reason) for item, reason in reasons)]
    labels = tuple(item.name for item in kept) or ("",)
    made = dataclasses.replace(picture, frame=frame, labels=labels, boxes=kept, items=(0,), whole=True)
    return made, rejects


def placed(picture: Picture, window: voc.Box, classes: Sequence[str], size: Size) -> np.ndarray:
    """The boxes of a frame in its own pixels.

    Args:
      window: what was kept of the photograph, in the pixels of the annotation's frame.
      classes: in the order of the labels.
      size: of the frame.

    Returns:
      :data:`loggrad_tf.data.boxes.BOX`, of frame 0, in the order of the annotation; without those that lie
      outside the window.
    """
    found = np.zeros(len(picture.boxes), boxes.BOX)
    for place, item in enumerate(picture.boxes):
        edges = (item.xmin - 1, item.ymin - 1, item.xmax, item.ymax)
        found[place] = (0, classes.index(item.name), *edges, item.difficult)
    return boxes.seen_through(found, np.array([window]), np.zeros(1, bool), *sides(size))


def text(found: np.ndarray, classes: Sequence[str]) -> str:
    """Boxes as a manifest has them; equal texts, and only they, are of equal boxes."""
    return "; ".join(
        " ".join([classes[box["label"]], *(str(box[side]) for side in ("left", "top", "right", "bottom"))])
        + (" difficult" if box["difficult"] else "")
        for box in found
    )


def joined(each: Iterable[np.ndarray]) -> np.ndarray:
    """The boxes of frames, one array for each, as those of one set: frames numbered from 0."""
    found = list(each)
    together = np.concatenate([boxes.empty(), *found])
    together["frame"] = np.repeat(np.arange(len(found)), [len(one) for one in found])
    return together
