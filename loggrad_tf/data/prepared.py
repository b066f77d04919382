"""A prepared set as it lies on the disk: what it must hold, and whether it does.

Opening one compares shapes, dtypes, labels, splits and the largest pixel with ``dataset.json``, and the hash
of ``manifest.csv`` with the one there; it reads every pixel once and hashes none. Boxes must lie in frames
that there are, in their order. :func:`check` compares each crop, its class or boxes, and its split with its
line of the manifest, which holds the hash of its pixels.
"""

import csv
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from loggrad_tf import arrays, json_base
from loggrad_tf.data import frames
from loggrad_tf.data.boxes import BOX, of_frames
from loggrad_tf.data.crops import MODES
from loggrad_tf.data.request import CLASSIFY, FITS, DataReference, check_task, detects
from loggrad_tf.data.sides import Size, short, sides, size_of
from loggrad_tf.data.sources import SPLITS, Reject
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform.sensor import Sensor

COLUMNS = ("file", "item", "class", "split", "source", "box", "sha256")
REMEDY = "if it lies in the cache, delete the folder, else restore it from a copy"
# Crops that are looked at together.
_BLOCK = 256


@dataclasses.dataclass(frozen=True)
class Head(JsonBase):
    """What dataset.json holds.

    Attributes:
      format: version of the preparation.
      size, mode: of the crops.
      crops, rejects: how many there are.
      class_names: in label order.
      sensor: what the pixels mean.
      manifest_sha256: of ``manifest.csv``.
      spec: what the set was prepared for; None if it was made from another set.
      cameras: whose photographs gave crops, and how many of each did; none if nobody noted it.
      fit: how whole pictures got the crops' proportions.
      task: what the classes are of, see :class:`loggrad_tf.data.request.Request`.
      noise: as :class:`DataSet` has it.
    """

    format: int
    size: Size
    mode: str
    crops: int
    rejects: int
    class_names: tuple[str, ...]
    sensor: Sensor
    manifest_sha256: str
    spec: str | None = None
    cameras: dict[str, int] = dataclasses.field(default_factory=dict)
    fit: str = FITS[0]
    task: str = CLASSIFY
    noise: float | None = None


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Linear RAW crops.

    Attributes:
      pixels: P, uint16 [N, rows, columns], values 0..sensor.span; mapped from disk, read only.
      labels: int32 [N], index into class_names; zeros for frames.
      split: uint8 [N], 0 train, 1 val, 2 test.
      class_names: one or two words each.
      sensor: what the pixels mean; its cfa is ``mono`` for gray, RGGB at a crop's top-left for a mosaic.
      mode: ``gray`` or ``mosaic``.
      fit: how whole pictures got the crops' proportions, see :class:`loggrad_tf.data.request.Request`.
      spec: what the set was asked for by.
      manifest_sha256: of ``manifest.csv``, which holds the hash of every crop.
      path: the prepared directory.
      cameras: photographs that gave crops, by whose they are; none if nobody noted it.
      task: what the classes are of, see :class:`loggrad_tf.data.request.Request`.
      noise: of g at middle gray, natural log, of the sensor as it was measured; None if it was not.
      boxes: where objects are to be found, those of the frames that the pixels are:
        :data:`loggrad_tf.data.boxes.BOX`, in the order of the frames; None for other tasks.
    """

    pixels: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    class_names: tuple[str, ...]
    sensor: Sensor
    mode: str
    fit: str
    spec: str
    manifest_sha256: str
    path: Path
    cameras: dict[str, int] = dataclasses.field(default_factory=dict)
    task: str = CLASSIFY
    noise: float | None = None
    boxes: np.ndarray | None = None

    @property
    def detects(self) -> bool:
        """Whether objects are to be found in the pixels."""
        return self.boxes is not None

    @property
    def size(self) -> Size:
        """Of the crops, pixels."""
        return size_of(*self.pixels.shape[1:])

    @property
    def reference(self) -> DataReference:
        """What a network that is trained on the set remembers of it."""
        return DataReference(
            self.spec, self.size, self.mode, self.fit, self.task, manifest_sha256=self.manifest_sha256
        )

    def subset(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Pixels and labels of ``train``, ``val`` or ``test``, copied into memory.

        Raises:
          LogGradError: no such split, or nothing in it.
        """
        chosen = self._places(name)
        return self.pixels[chosen], self.labels[chosen]

    def labels_of(self, name: str) -> np.ndarray:
        """Labels of ``train``, ``val`` or ``test``, int32, in the order of :meth:`subset`; reads no pixel.

        Raises:
          LogGradError: no such split, or nothing in it.
        """
        return self.labels[self._places(name)]

    def boxes_of(self, name: str) -> np.ndarray:
        """The boxes of ``train``, ``val`` or ``test``, frames numbered as in :meth:`subset`.

        Raises:
          LogGradError: no such split, nothing in it, or a set without boxes.
        """
        if self.boxes is None:
            raise LogGradError(f"{self.spec}: task {self.task} has no boxes: give --task=detect")
        return of_frames(self.boxes, self._places(name))

    def all_in(self, name: str) -> "DataSet":
        """The same crops, all of them in split ``name``: to test on a set that nothing was trained on."""
        return dataclasses.replace(self, split=np.full_like(self.split, SPLITS.index(name)))

    def _places(self, name: str) -> np.ndarray:
        if name not in SPLITS:
            raise LogGradError(f"split '{name}': choose train, val or test")
        chosen = np.flatnonzero(self.split == SPLITS.index(name))
        if not len(chosen):
            raise LogGradError(f"{self.spec}: split {name} is empty: give the set more photographs")
        return chosen

    def check_manifest(self, sha256: str, since: str, mend: str) -> None:
        """Refuse a set that is not the one of that manifest.

        Args:
          sha256: of the manifest as it was.
          since: what was done with the set then, to end "has changed since ...".
          mend: what to do about it.

        Raises:
          LogGradError: the manifest is another one.
        """
        if self.manifest_sha256 != sha256:
            raise LogGradError(
                f"data set {self.spec} has changed since {since}"
                f" (manifest {self.manifest_sha256[:12]}, was {sha256[:12]}): {mend}"
            )

    def counts(self) -> np.ndarray:
        """Crops of each class in each split, int64 [classes, 3]; of frames objects that are not difficult."""
        labels, split = self.labels, self.split
        if self.boxes is not None:
            asked = self.boxes[~self.boxes["difficult"]]
            labels, split = asked["label"], self.split[asked["frame"]]
        table = np.zeros((len(self.class_names), len(SPLITS)), np.int64)
        np.add.at(table, (labels, split), 1)
        return table

    def groups(self) -> tuple[str, ...]:
        """The photograph of each crop, in the order of the arrays: crops of one are not independent.

        Raises:
          LogGradError: the manifest is damaged.
        """
        manifest = self.path / "manifest.csv"
        found = tuple(line["source"] for line in _lines(manifest, COLUMNS))
        if len(found) != len(self.labels):
            raise LogGradError(
                f"{manifest}: damaged ({len(found)} crops, {len(self.labels)} in the set): {REMEDY}"
            )
        return found

    def rejects(self) -> tuple[Reject, ...]:
        """What was left out, and why.

        Raises:
          LogGradError: the list is damaged.
        """
        lines = _lines(self.path / "rejects.csv", ("file", "item", "reason"))
        try:
            return tuple(Reject(row["file"], int(row["item"]), row["reason"]) for row in lines)
        except ValueError as error:
            raise LogGradError(f"{self.path / 'rejects.csv'}: damaged ({error}): {REMEDY}") from None


def write(
    folder: Path,
    head: Head,
    pixels: np.ndarray,
    labels: np.ndarray,
    split: np.ndarray,
    manifest: bytes,
    rejects: bytes,
    boxes: np.ndarray | None = None,
) -> None:
    """The files of a set, in an empty folder.

    Args:
      pixels, labels, split, boxes: as :class:`DataSet` has them.
      manifest: manifest.csv, whose hash ``head`` has.
      rejects: rejects.csv.

    Raises:
      OSError: the folder is missing, full or not to be written to.
    """
    arrays.save(folder / "pixels.npy", pixels)
    arrays.save(folder / "labels.npy", labels.astype(np.int32))
    arrays.save(folder / "split.npy", split.astype(np.uint8))
    if boxes is not None:
        arrays.save(folder / "boxes.npy", boxes)
    (folder / "manifest.csv").write_bytes(manifest)
    (folder / "rejects.csv").write_bytes(rejects)
    (folder / "dataset.json").write_text(json.dumps(head.to_json(), indent=1) + "\n", encoding="utf-8")


def open_prepared(path: Path) -> DataSet:
    """Read a prepared directory as it lies there, without its source.

    ``spec`` is what it was prepared for; a set that was made from another one has no source but itself, and
    is ``prepared:PATH``.

    Raises:
      LogGradError: no prepared set there, or a damaged one.
    """
    path = Path(path)
    if not path.is_dir():
        raise LogGradError(f"{path}: no such folder: python -m loggrad_tf.prepare makes a prepared set")
    try:
        head = json_base.read_as(Head, path / "dataset.json", "")
        _check_head(head)
        shape = (head.crops, *sides(head.size))
        pixels = _array(path / "pixels.npy", np.uint16, shape, head.sensor.span, "the sensor's span")
        labels = _array(path / "labels.npy", np.int32, shape[:1], len(head.class_names) - 1, "the classes")
        split = _array(path / "split.npy", np.uint8, shape[:1], len(SPLITS) - 1, "the splits")
        boxes = _boxes(path / "boxes.npy", head) if detects(head.task) else None
        with (path / "manifest.csv").open("rb") as file:
            manifest = hashlib.file_digest(file, "sha256").hexdigest()
        if manifest != head.manifest_sha256:
            raise LogGradError("its files do not belong together: manifest.csv is of another set")
    except (OSError, LogGradError) as error:
        raise LogGradError(f"{path}: not a prepared set, or damaged ({error}): {REMEDY}") from error
    return DataSet(
        pixels=pixels,
        labels=np.array(labels),
        split=np.array(split),
        class_names=head.class_names,
        sensor=head.sensor,
        mode=head.mode,
        fit=head.fit,
        task=head.task,
        spec=head.spec or f"prepared:{path.resolve()}",
        manifest_sha256=manifest,
        path=path,
        cameras=head.cameras,
        noise=head.noise,
        boxes=boxes,
    )


def _check_head(head: Head) -> None:
    names = head.class_names
    try:
        check_task(head.task)
    except LogGradError as error:
        raise LogGradError(f"dataset.json: {error}") from None
    known = head.mode in MODES and head.fit in FITS and (head.noise is None or head.noise > 0)
    if not known or min(head.crops, *sides(head.size)) < 1 or head.rejects < 0:
        form = f"size {short(head.size)}, mode '{head.mode}', fit '{head.fit}'"
        about = f"{head.crops} crops of {form}, {head.rejects} rejects"
        raise LogGradError(f"dataset.json: {about}"[:200])
    if not names or len(set(names)) != len(names):
        raise LogGradError(f"dataset.json: class names {list(names)}"[:200])


def _array(path: Path, kind: type, shape: tuple[int, ...], most: int, limit: str) -> np.ndarray:
    """An array of this dtype and shape with values 0..most; ``limit`` is what bounds them."""
    found = arrays.load(path, "")
    if found.dtype != kind or found.shape != shape:
        wanted = f"{np.dtype(kind)} of shape {list(shape)}"
        raise LogGradError(f"{path.name}: {found.dtype} of shape {list(found.shape)}, not {wanted}"[:300])
    for start in range(0, len(found), _BLOCK):
        block = found[start : start + _BLOCK]
        if int(block.min()) < 0 or int(block.max()) > most:
            wrong = start + int(np.argmax(((block < 0) | (block > most)).reshape(len(block), -1).any(axis=1)))
            raise LogGradError(f"{path.name}: crop {wrong} has values outside 0..{most}, {limit}")
    return found


def _boxes(path: Path, head: Head) -> np.ndarray:
    """The boxes of a set's frames, in memory."""
    found = np.array(arrays.load(path, ""))
    if found.dtype != BOX or found.ndim != 1:
        raise LogGradError(f"{path.name}: {found.dtype} of shape {list(found.shape)}, no list of boxes"[:300])
    rows, columns = sides(head.size)
    left, top, right, bottom = (found[side] for side in ("left", "top", "right", "bottom"))
    good = (left >= 0) & (left < right) & (right <= columns) & (top >= 0) & (top < bottom) & (bottom <= rows)
    good &= (found["label"] >= 0) & (found["label"] < len(head.class_names))
    good &= (found["frame"] >= 0) & (found["frame"] < head.crops) & (found["difficult"].view(np.uint8) <= 1)
    good[1:] &= np.diff(found["frame"]) >= 0
    if not good.all():
        wrong = int(np.argmin(good))
        raise LogGradError(
            f"{path.name}: box {wrong} is of no class or frame of the set, outside its frame or out of order"
        )
    return found


def _lines(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The lines of a table that has these columns."""
    if not path.is_file():
        raise LogGradError(f"{path}: damaged (no file): {REMEDY}")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.DictReader(file)
            if tuple(lines.fieldnames or ()) != columns:
                raise LogGradError(f"{path}: damaged (its columns are not {', '.join(columns)}): {REMEDY}")
            for number, line in enumerate(lines, 1):
                if None in line or None in line.values():
                    raise LogGradError(f"{path}: damaged (entry {number} is not complete): {REMEDY}")
                yield line
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LogGradError(f"{path}: damaged ({error}): {REMEDY}") from None


def check(data: DataSet) -> None:
    """Compare every crop, class and split of a set with its manifest, and the number of rejects.

    Raises:
      LogGradError: the first difference.
    """
    manifest = data.path / "manifest.csv"
    count = 0
    ends = (
        None if data.boxes is None else np.searchsorted(data.boxes["frame"], np.arange(len(data.pixels) + 1))
    )
    for place, line in enumerate(_lines(manifest, COLUMNS)):
        count = place + 1
        if count > len(data.pixels):
            break
        digest = hashlib.sha256(np.asarray(data.pixels[place]).astype("<u2").tobytes()).hexdigest()
        found = {
            "sha256": digest,
            "class": data.class_names[data.labels[place]],
            "split": SPLITS[data.split[place]],
        }
        if data.boxes is not None and ends is not None:
            mine = data.boxes[ends[place] : ends[place + 1]]
            found |= {"class": "", "box": frames.text(mine, data.class_names)}
        for column, value in found.items():
            if line[column] != value:
                raise LogGradError(
                    f"{data.path}: crop {place} ({line['file']}): {column} is {value[:200]}, in"
                    f" {manifest.name} {line[column][:200]}: {REMEDY}"
                )
    if count != len(data.pixels):
        raise LogGradError(f"{manifest}: damaged ({count} crops, {len(data.pixels)} in the set): {REMEDY}")
    head = json_base.read_as(Head, data.path / "dataset.json", REMEDY)
    rejects = data.rejects()
    if len(rejects) != head.rejects:
        raise LogGradError(
            f"{data.path / 'rejects.csv'}: damaged ({len(rejects)} rejects, {head.rejects} in dataset.json):"
            f" {REMEDY}"
        )
