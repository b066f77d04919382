"""The one contract for labelled data: linear RAW crops with classes and splits, prepared once and cached.

    synthetic            drawn photographs, written as a PASCALRAW archive into the cache and read like one
    synthetic:street     frames of drawn fixed cameras, likewise (:mod:`loggrad_tf.data.drawn`)
    pascalraw:DIR        RAW photographs with VOC annotations (:mod:`loggrad_tf.data.pascalraw`)
    folder:DIR           pictures as an imitated RAW source (:mod:`loggrad_tf.data.folder`)
    prepared:DIR         a set that is prepared already

A prepared set is a directory: ``pixels.npy``, ``labels.npy``, ``split.npy``, ``manifest.csv`` (one line a
crop, in the arrays' order), ``rejects.csv`` (one line for everything left out) and ``dataset.json``. Where
objects are to be found, each crop is a frame, and ``boxes.npy`` has what is in it
(:mod:`loggrad_tf.data.frames`).

The set's name holds a hash of the source's folder, of its files' names, sizes and times of modification and
of change (which no copy or ``touch`` can set back), of size and mode, and of the version of the preparation,
so a changed source is prepared anew. It is built under a lock beside its place and renamed.

All crops of a set share one sensor, the one that most of its pictures have; those of another span are
requantised to it. A source of one camera refuses the files of a second one.
"""

import contextlib
import csv
import dataclasses
import fcntl
import functools
import hashlib
import io
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from loggrad_tf import files, parallel
from loggrad_tf.data import folder, frames, limits, pascalraw, prepared
from loggrad_tf.data.drawn import Drawn
from loggrad_tf.data.prepared import DataSet, Head, open_prepared
from loggrad_tf.data.request import CLASSIFY, FITS, Request, usual_fit
from loggrad_tf.data.sensor_profile import SensorProfile
from loggrad_tf.data.sides import Size, short
from loggrad_tf.data.sources import SPLITS, STAYS, Cut, Picture, Reject, Source, assign
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import cache_folder
from loggrad_tf.transform.sensor import MONO, Sensor, requantize

# Raised whenever the same source would give other crops than before.
VERSION = 2


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold ``path.lock``; a process that dies lets go of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _building(path: Path) -> Iterator[Path]:
    """A new directory that becomes ``path`` if the block ends well. To be used under the lock."""
    partial = path.with_name(f".{path.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        with files.writing(path):
            yield partial
            files.sync_tree(partial)
        files.replace_folder(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _listing(source: Source, root: Path) -> list[Any]:
    listing: list[Any] = [str(root)]
    for path in sorted(source.files):
        status = path.stat()
        times = (status.st_mtime_ns, status.st_ctime_ns)
        listing.append([path.relative_to(root).as_posix(), status.st_size, *times])
    return listing


def _drawn_archive(drawn: Drawn, cache: Path) -> Path:
    path = cache / "archives" / drawn.folder
    with _lock(path):
        if not path.is_dir():
            with _building(path) as partial:
                drawn.write(partial)
    return path


def load(
    spec: str,
    *,
    size: Size = 96,
    mode: str = "gray",
    fit: str | None = None,
    task: str = CLASSIFY,
    cache: Path | None = None,
) -> DataSet:
    """Open a data set; the first time, and after its source has changed, prepare it.

    Args:
      spec: as :class:`loggrad_tf.data.request.Request` has it.
      size: of a crop in pixels, sides even, 8..512; see :mod:`loggrad_tf.data.sides`.
      mode: ``gray`` or ``mosaic``.
      fit: how whole pictures of a folder get its proportions, see :class:`loggrad_tf.data.request.Request`;
        None for what is usual for the task.
      task: ``classify``, ``presence:CLASS``, ``detect`` or ``detect:CLASS,CLASS``, see there too.
      cache: where prepared sets are kept; None for :func:`loggrad_tf.files.cache_folder`.

    Raises:
      LogGradError: an unknown spec, an unusable source, a class without crops, or a prepared set of another
        size, mode, fit or task.
    """
    return opened(Request(spec, size, mode, usual_fit(task) if fit is None else fit, task), cache)


def opened(request: Request, cache: Path | None = None) -> DataSet:
    """:func:`load`, by what a saved network remembers of its data set."""
    request.check()
    spec, size, mode, fit = request.spec, request.size, request.mode, request.fit
    cache = cache_folder() if cache is None else Path(cache)
    kind, _, where = spec.partition(":")
    if kind == "prepared" and where:
        return _as_asked(open_prepared(Path(where).expanduser().resolve()), request)
    source: Source | None = None
    drawn = Drawn.of(spec)
    if drawn is not None:
        listing: Any = drawn.listing
    elif kind in ("pascalraw", "folder") and where:
        root = Path(where).expanduser().resolve()
        source = (folder if kind == "folder" else pascalraw).plan(root, request.sought, request.asked)
        listing = _listing(source, root)
    else:
        raise LogGradError(
            f"data set '{spec}': write synthetic, synthetic:PHOTOGRAPHS@SEED, synthetic:street,"
            " synthetic:street-unseen, pascalraw:DIR, folder:DIR or"
            " prepared:DIR"
        )
    if request.task == CLASSIFY and fit != FITS[0] and _has_boxes(source):
        raise LogGradError(
            f"--fit={fit}: only whole pictures are fitted, {spec} has boxes: give --fit={FITS[0]},"
            " or --task=presence:CLASS or --task=detect"
        )
    asked = [VERSION, kind, size, mode, fit, listing]
    key = _hash(asked if request.task == CLASSIFY else [*asked, request.task])
    path = cache / "sets" / f"{kind}-{short(size)}-{mode}-{key[:16]}"
    if not path.is_dir():
        with _lock(path):
            if not path.is_dir():
                if source is None:
                    assert drawn is not None
                    source = pascalraw.plan(_drawn_archive(drawn, cache), request.sought, request.asked)
                _prepare(source, path, request)
    return dataclasses.replace(open_prepared(path), spec=spec)


def _has_boxes(source: Source | None) -> bool:
    """Whether a source gives crops of objects, as drawn photographs do."""
    return source is None or any(picture.boxes for picture in source.pictures)


def _as_asked(data: DataSet, request: Request) -> DataSet:
    size, asked = short(data.size), short(request.size)
    wanted = (request.size, request.mode, request.task)
    if (data.size, data.mode, data.task) != wanted or request.fit not in (usual_fit(request.task), data.fit):
        task = "" if data.task == request.task else f" --task={data.task}"
        raise LogGradError(
            f"{data.path}: prepared at size {size}, mode {data.mode}, fit {data.fit}, asked for at size"
            f" {asked}, mode {request.mode}, fit {request.fit}: give --size={size} --mode={data.mode}"
            f" --fit={data.fit}{task}"
        )
    return data


@dataclasses.dataclass(frozen=True)
class _Row:
    """A crop, or a frame and what is in it.

    Attributes:
      boxes: of a frame, in its own pixels; None for a crop.
    """

    picture: Picture
    place: int
    pixels: np.ndarray
    boxes: np.ndarray | None

    @property
    def label(self) -> str:
        """Of a crop; a frame has none."""
        return "" if self.picture.whole else self.picture.labels[self.place]

    def labels(self, names: tuple[str, ...]) -> list[str]:
        """What can be learnt from it: a crop's class, or those of a frame's objects, difficult ones aside."""
        if self.boxes is None:
            return [self.label]
        return [names[label] for label in self.boxes["label"][~self.boxes["difficult"]]]

    def fields(self, names: tuple[str, ...]) -> tuple[str | int, ...]:
        """Its line of the manifest."""
        picture = self.picture
        box = ""
        if self.boxes is not None:
            box = frames.text(self.boxes, names)
        elif picture.boxes:
            item = picture.boxes[self.place]
            box = f"{item.xmin} {item.ymin} {item.xmax} {item.ymax}"
        digest = hashlib.sha256(self.pixels.astype("<u2").tobytes()).hexdigest()
        item_number = picture.items[self.place]
        return (picture.file, item_number, self.label, picture.split, picture.group, box, digest)


def _collect(
    pictures: tuple[Picture, ...], results: list[Cut | LogGradError], names: tuple[str, ...], size: Size
) -> tuple[list[_Row], list[Reject], Sensor | None]:
    """Crops in order, all of one sensor, and what was left out."""
    cuts = [result for result in results if isinstance(result, Cut)]
    sensors = Counter(cut.sensor for cut in cuts if any(not isinstance(crop, str) for crop in cut.crops))
    ranked = sorted(sensors, key=lambda item: (-sensors[item], -item.span, item.black))
    sensor = ranked[0] if ranked else None
    rows: list[_Row] = []
    rejects: list[Reject] = []
    for picture, result in zip(pictures, results, strict=True):
        if isinstance(result, LogGradError):
            lost = f" ({len(picture.boxes)} objects lost)" if picture.boxes else ""
            rejects.append(Reject(picture.file, -1, f"{result}{lost}"))
            continue
        for place, crop in enumerate(result.crops):
            if isinstance(crop, str):
                rejects.append(Reject(picture.file, picture.items[place], crop))
            elif sensor is not None:
                boxes = frames.placed(picture, result.window, names, size) if picture.whole else None
                if boxes is not None and len(boxes) < len(picture.boxes):
                    lost = f"(boxes: {len(picture.boxes) - len(boxes)})"
                    reason = f"objects outside of what the fit keeps: the {STAYS} them {lost}"
                    rejects.append(Reject(picture.file, -1, reason))
                rows.append(_Row(picture, place, requantize(crop, result.sensor, sensor), boxes))
    return rows, rejects, sensor


def _cameras(pictures: tuple[Picture, ...], results: list[Cut | LogGradError]) -> dict[str, list[str]]:
    """The files that a crop came from, by their camera; the commonest camera first."""
    found: dict[str, list[str]] = defaultdict(list)
    for picture, result in zip(pictures, results, strict=True):
        if isinstance(result, Cut) and any(not isinstance(crop, str) for crop in result.crops):
            found[result.camera].append(picture.file)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()


def _check_classes(
    request: Request,
    pictures: tuple[Picture, ...],
    rows: list[_Row],
    names: tuple[str, ...],
    rejects: list[Reject],
    listing: Path,
) -> None:
    """Refuse a class that nothing can be learnt of; a set without a training split is for tests alone."""
    found = Counter((label, row.picture.split) for row in rows for label in row.labels(names))
    what = "object" if request.detects else "crop"
    trains = any(picture.split == "train" for picture in pictures)
    missing = [name for name in names if not found[name, "train"]]
    if not missing or (found and not trains):
        return
    name, why = missing[0], Counter(reject.reason for reject in rejects).most_common(1)
    there = [other for other in names if other not in missing]
    other = f", or give --task=detect:{','.join(there)}" if request.detects and there else ""
    most = f" ({len(rejects)} rejects in {listing}, most often: {why[0][0]})" if why else ""
    some = f"train {what}" if any(found[name, split] for split in SPLITS) else what
    raise LogGradError(f"{request.spec}: class '{name}' has no {some}{most}: add photographs of it{other}")


def _noise(profile: SensorProfile | None, mode: str) -> float | None:
    """Of g at middle gray, for a photograph that keeps its size; one that is scaled down has less."""
    if profile is None:
        return None
    return profile.gradient_noise(1 if mode == "mosaic" or profile.sensor.cfa == MONO else 4)


def _prepare(source: Source, path: Path, request: Request) -> None:
    pictures = assign(source.pictures)
    cut = functools.partial(source.cut, size=request.size, mode=request.mode, fit=request.fit)
    results = parallel.run(
        cut, pictures, "preparing pictures", name=lambda picture: str(picture.path), limits=limits.PICTURE
    )
    cameras = _cameras(pictures, results)
    if source.one_camera and len(cameras) > 1:
        found = "; ".join(f"{len(files)} of {camera}, as {files[0]}" for camera, files in cameras.items())
        raise LogGradError(
            f"{request.spec}: photographs of {len(cameras)} sensors ({found}): a network is made for one:"
            " give each a folder of its own"
        )
    names = source.class_names
    rows, lost, sensor = _collect(pictures, results, names, request.size)
    rejects = sorted([*source.rejects, *lost], key=lambda reject: (reject.file, reject.item))
    listed = _table(("file", "item", "reason"), [dataclasses.astuple(reject) for reject in rejects])
    failed = path.with_name(f"{path.name}.rejects.csv")
    files.write_whole(failed, listed)
    _check_classes(request, pictures, rows, names, rejects, failed)
    assert sensor is not None
    manifest = _table(prepared.COLUMNS, [row.fields(names) for row in rows])
    head = Head(
        format=VERSION,
        spec=request.spec,
        size=request.size,
        mode=request.mode,
        fit=request.fit,
        task=request.task,
        crops=len(rows),
        rejects=len(rejects),
        class_names=names,
        sensor=sensor,
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        cameras={camera: len(files) for camera, files in cameras.items()},
        noise=_noise(source.profile, request.mode),
    )
    pixels = np.stack([row.pixels for row in rows])
    labels = np.array([0 if row.boxes is not None else names.index(row.label) for row in rows])
    split = np.array([SPLITS.index(row.picture.split) for row in rows])
    each = [row.boxes for row in rows if row.boxes is not None]
    boxes = frames.joined(each) if request.detects else None
    with _building(path) as partial:
        prepared.write(partial, head, pixels, labels, split, manifest, listed, boxes)
    failed.unlink()
