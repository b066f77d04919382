"""What a source of labelled pictures tells the data set, and how its pictures are dealt to the splits.

A source lists its pictures without decoding one; a picture knows its objects, its group (the photograph it
is cut from: a group never falls into two splits) and, if the source decides it, its split. Whatever is left
out is a :class:`Reject`.

Where the source does not decide, groups are dealt 70 : 15 : 15. A group counts for the rarest class in it;
the groups of a class are ordered by the SHA-256 of their names and dealt in that order, so the split depends
on the names alone.
"""

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from loggrad_tf.data.sensor_profile import SensorProfile
from loggrad_tf.data.sides import Size
from loggrad_tf.data.voc import Annotation, Box, Object
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import Sensor

SPLITS = ("train", "val", "test")
# In the reason of a reject that costs a frame some boxes, but not its place in the set.
STAYS = "frame stays without"
# Of a list of names.
_MAX_BYTES = 64 * 2**20
_VAL_SHARE = _TEST_SHARE = 0.15


@dataclasses.dataclass(frozen=True)
class Reject:
    """Something left out: the file as the source names it, the object's place in it (or -1), the reason."""

    file: str
    item: int
    reason: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """One file to decode, and what to cut from it.

    Attributes:
      path: where it is.
      file: its name in the manifest, relative to the source's folder.
      group: the photograph it belongs to.
      split: ``train``, ``val``, ``test``, or empty if it is to be dealt.
      frame: width, height of the frame of the boxes; 0, 0 if the whole picture is the crop.
      labels: the class of each object.
      boxes: the box of each object; none if the whole picture is the crop.
      items: the place of each object in its file, for the manifest.
      whole: the picture is a frame, whose boxes are to be found in it: they are not cut out. An empty label
        stands for a frame without objects.
    """

    path: Path
    file: str
    group: str
    split: str
    frame: tuple[int, int]
    labels: tuple[str, ...]
    boxes: tuple[Object, ...] = ()
    items: tuple[int, ...] = (0,)
    whole: bool = False

    @property
    def windows(self) -> tuple[Object, ...]:
        """The boxes that are cut out; none if the whole picture is the crop."""
        return () if self.whole else self.boxes


@dataclasses.dataclass(frozen=True)
class Cut:
    """What came out of one picture.

    Attributes:
      sensor: what the pixels mean.
      crops: for each object its P, uint16 [rows, columns], or why there is none.
      camera: whose codes they are, as people name it.
      window: what was kept of a whole picture, in the pixels of the frame of its boxes.
    """

    sensor: Sensor
    crops: tuple[np.ndarray | str, ...]
    camera: str
    window: Box = (0, 0, 0, 0)


class Cutter(Protocol):
    """A module's function, so that another process can call it."""

    def __call__(self, picture: Picture, size: Size, mode: str, fit: str) -> Cut: ...


@dataclasses.dataclass(frozen=True)
class Source:
    """A listed source.

    Attributes:
      pictures: in the order of their file names.
      class_names: in the order of the labels 0, 1, ...
      rejects: what the listing itself left out.
      files: every file that the crops depend on; a change of one makes another data set.
      cut: decodes one picture and cuts its objects; raises LogGradError if the picture cannot be used.
      one_camera: whether codes of several cameras are an error.
      profile: of the camera, if it was measured.
    """

    pictures: tuple[Picture, ...]
    class_names: tuple[str, ...]
    rejects: tuple[Reject, ...]
    files: tuple[Path, ...]
    cut: Cutter
    one_camera: bool = False
    profile: SensorProfile | None = None


def read_lines(path: Path) -> list[str]:
    """The lines of a list of names.

    Raises:
      LogGradError: it is too long, or no UTF-8.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise LogGradError(f"{path}: more than {_MAX_BYTES} bytes: write a list of names, one a line")
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise LogGradError(f"{path}: not UTF-8 ({error}): save it as such, one name a line") from None


def read_classes(folder: Path, default: tuple[str, ...], least: int = 2) -> tuple[str, ...]:
    """The names in ``classes.txt``, one a line, or the default if there is no such file.

    Raises:
      LogGradError: there are fewer than ``least``, or one twice.
    """
    path = folder / "classes.txt"
    if not path.is_file():
        return default
    names = tuple(line.strip() for line in read_lines(path) if line.strip())
    if len(names) < least or len(set(names)) != len(names):
        wanted = "two or more" if least == 2 else "one or more"
        raise LogGradError(f"{path}: need {wanted} different class names, one a line")
    return names


def read_lists(folder: Path, names: Iterable[str] = SPLITS) -> dict[str, str]:
    """``train.txt``, ``val.txt``, ``test.txt`` -> the split of each name in them; empty if there is none.

    Raises:
      LogGradError: a name in two lists.
    """
    splits: dict[str, str] = {}
    for split in names:
        path = folder / f"{split}.txt"
        if not path.is_file():
            continue
        for line in read_lines(path):
            name = line.split()[0] if line.split() else ""
            if name and splits.setdefault(name, split) != split:
                other = f"{splits[name]}.txt"
                raise LogGradError(f"{path}: '{name[:100]}' is in {other} too: leave it in one list")
    return splits


def judge(boxes: Iterable[Object], known: Iterable[str], width: int, height: int) -> dict[int, str]:
    """What is wrong with an annotation's objects: index -> reason, for the wrong ones only."""
    known = set(known)
    wrong: dict[int, str] = {}
    for index, item in enumerate(boxes):
        inside = min(item.xmin, item.ymin) >= 1 and item.xmax <= width and item.ymax <= height
        where = f"box {item.xmin} {item.ymin} {item.xmax} {item.ymax}"
        if item.name not in known:
            wrong[index] = f"class '{item.name}' is not one of {', '.join(sorted(known))}"
        elif item.xmin > item.xmax or item.ymin > item.ymax:
            wrong[index] = f"{where} has no area"
        elif not inside:
            wrong[index] = f"{where} is not inside its frame of {width}x{height}"
    return wrong


# An object counts as present from this share of its photograph on (Chowdhery et al. 2019, "Visual Wake Words
# Dataset", section 3).
PRESENT = 0.005


def annotated(
    picture: Picture, annotation: Annotation, xml: str, classes: Iterable[str], sought: str
) -> tuple[Picture | None, list[Reject]]:
    """What one annotation makes of its photograph, and what it rejects.

    Args:
      picture: the photograph, without labels.
      annotation: its own.
      xml: the annotation's file, as rejects name it.
      classes: that boxes may have.
      sought: empty for a crop of each good box, None if there is no good box; a class for the whole
        photograph, labelled by whether an object of it is there. It is if its box covers :data:`PRESENT` of
        the photograph; one that has only smaller or difficult ones, or a wrong box, is neither.
    """
    frame = (annotation.width, annotation.height)
    wrong = judge(annotation.objects, classes, *frame)
    if not sought:
        rejects = [Reject(xml, index, reason) for index, reason in wrong.items()]
        good = tuple(index for index in range(len(annotation.objects)) if index not in wrong)
        boxes = tuple(annotation.objects[index] for index in good)
        labels = tuple(box.name for box in boxes)
        made = dataclasses.replace(picture, frame=frame, labels=labels, boxes=boxes, items=good)
        return (made if good else None), rejects
    asked = [index for index, box in enumerate(annotation.objects) if box.name == sought]
    for index in asked:
        if index in wrong:
            return None, [Reject(xml, index, wrong[index])]
    boxes = tuple(annotation.objects[index] for index in asked)
    clear = any(not box.difficult and _share(box, frame) >= PRESENT for box in boxes)
    if boxes and not clear:
        reason = f"{sought} only in boxes below {PRESENT:.1%} of it, or difficult ones"
        return None, [Reject(xml, asked[0], reason)]
    return dataclasses.replace(picture, labels=(sought if boxes else absent(sought),)), []


def sought_of(classes: tuple[str, ...], sought: str) -> tuple[str, ...]:
    """The classes of photographs with and without one of ``classes``; ``classes`` if none is sought.

    Raises:
      LogGradError: it is none of them.
    """
    if sought and sought not in classes:
        raise LogGradError(
            f"task presence:{sought}: the classes are {', '.join(classes)}: choose one of them"
        )
    return (absent(sought), sought) if sought else classes


def absent(name: str) -> str:
    """The class of photographs without ``name``."""
    return f"no_{name}"


def _share(box: Object, frame: tuple[int, int]) -> float:
    """How much of its frame a box covers."""
    return (box.xmax - box.xmin + 1) * (box.ymax - box.ymin + 1) / (frame[0] * frame[1])


def _order(name: str) -> bytes:
    return hashlib.sha256(f"loggrad split 1 {name}".encode()).digest()


def deal(groups: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Deal groups to train, val and test.

    Args:
      groups: the name of each group and the classes of its objects, one entry an object.

    Returns:
      the split of each group. A class that leads three groups or more is in all three splits.
    """
    counts = Counter(label for labels in groups.values() for label in labels)
    led: dict[str, list[str]] = defaultdict(list)
    for name, labels in groups.items():
        led[min(labels, key=lambda label: (counts[label], label))].append(name)
    splits: dict[str, str] = {}
    for names in led.values():
        names.sort(key=_order)
        least = 1 if len(names) >= 3 else 0
        val = max(round(len(names) * _VAL_SHARE), least)
        test = max(round(len(names) * _TEST_SHARE), least)
        for place, name in enumerate(names):
            splits[name] = "val" if place < val else "test" if place < val + test else "train"
    return splits


def assign(pictures: Iterable[Picture]) -> tuple[Picture, ...]:
    """Give every picture its split: the source's own, or the dealt one.

    Raises:
      LogGradError: the source puts one group into two splits, or decides for some pictures only.
    """
    pictures = tuple(pictures)
    given: dict[str, str] = {}
    loose: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        if not picture.split:
            loose[picture.group].extend(picture.labels)
        elif given.setdefault(picture.group, picture.split) != picture.split:
            raise LogGradError(
                f"{picture.path}: its group '{picture.group}' is in {given[picture.group]} and in"
                f" {picture.split}: a photograph may be in one split only"
            )
    if given and loose:
        raise LogGradError(
            f"{len(loose)} pictures have no split and {len(given)} have one, the first without is"
            f" '{next(iter(loose))}': give all of them one, or none"
        )
    dealt = given or deal(loose)
    return tuple(dataclasses.replace(picture, split=dealt[picture.group]) for picture in pictures)
