"""Folders of photographs: RAW files, or pictures (JPEG, PNG, TIFF, Radiance, OpenEXR) as imitated RAW.

Three layouts are known by what lies in the folder:

    DIR/manifest.csv                      file, class[, split][, group]: one line a crop;
                                          ``source`` or ``source_image`` stands for a missing group
    DIR/Annotations/ + DIR/JPEGImages/    PASCAL VOC: boxes in whole photographs
    DIR/<class>/*.dng, *.jpg              one folder a class

with the split from the manifest, else from ``train.txt``, ``val.txt``, ``test.txt`` (VOC:
``ImageSets/Main``), else dealt. A photograph without boxes is itself the crop. How it is read and cut
is said in :mod:`loggrad_tf.data.photo`, how a picture is imitated in :mod:`loggrad_tf.data.imitation`.

Crops of one photograph share its light and its place, so a test on some after training on others proves
nothing. Crops under different names need a group in the manifest, the name of their photograph; without one
each file is its own. In class folders that are dealt, files of one stem (``car/7.jpg``, ``person/7.jpg``) are
one group; where lists name the files, the lists decide. In a set that ``firmware.collect`` made, a session is
one group, and the folder ``unlabelled`` is no class (:mod:`loggrad_tf.data.collected`).

A network is made for one sensor. So a folder holds RAW files or pictures, never both, and RAW files of one
camera at one depth. Its black and white levels may differ from file to file, as they do between
sensitivities: each file's own are subtracted, and crops of another span are requantised to the commonest.
A Bayer filter turns with the camera, so its rotation may differ too: gray has none, and every mosaic begins
at a red photosite. If the sensor was measured (:mod:`loggrad_tf.data.sensor_profile`), that black level is
subtracted in place of the files'. Headerless frames have no place here, because nothing says their geometry.
"""

import csv
import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from loggrad_tf.data import collected, imitation, sensor_profile, voc
from loggrad_tf.data.collected import session_of
from loggrad_tf.data.frames import asked_of, framed
from loggrad_tf.data.pascalraw import CLASSES
from loggrad_tf.data.photo import cut, is_raw
from loggrad_tf.data.sources import (
    SPLITS,
    Picture,
    Reject,
    Source,
    annotated,
    read_classes,
    read_lists,
    sought_of,
)
from loggrad_tf.errors import LogGradError

_NO_PICTURE = f"not a picture ({', '.join(imitation.SUFFIXES)}) and no RAW file (.dng, .nef, .cr2 ...)"
# Manifest columns that name the photograph of a crop, the first that is filled in.
_GROUP = ("group", "source", "source_image")


def _images(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """Photographs, and why other files are none."""
    good: list[Path] = []
    other: dict[Path, str] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            other[path] = "a folder inside: move its photographs up, or list them in a manifest.csv"
        elif not _is_file(path):
            other[path] = "a link to no file"
        elif path.suffix.lower() in imitation.SUFFIXES or is_raw(path):
            good.append(path)
        else:
            other[path] = _NO_PICTURE
    return good, other


def _check_kind(where: Path, files: Iterable[Path]) -> None:
    """Refuse RAW files beside pictures."""
    first: dict[bool, Path] = {}
    for file in files:
        first.setdefault(is_raw(file), file)
    if len(first) == 2:
        raise LogGradError(
            f"{where}: RAW files and pictures in one set, as {first[True]} and {first[False]}: keep one kind,"
            " and move the JPEGs that a camera wrote beside its RAW files to another folder"
        )


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = set(reader.fieldnames or ())
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise LogGradError(f"{path}: not a UTF-8 CSV file ({error}): save it as one") from error
    if "file" not in names or not names & {"class", "label"}:
        found = str(sorted(names))[:200]
        raise LogGradError(f"{path}: its first line must name the columns file and class: {found}")
    return rows


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _plan_manifest(folder: Path) -> Source:
    manifest = folder / "manifest.csv"
    lists = read_lists(folder)
    pictures: dict[str, Picture] = {}
    rejects: list[Reject] = []
    for row in _rows(manifest):
        name, label = row["file"] or "", row.get("class") or row.get("label") or ""
        split = row.get("split") or lists.get(name, "")
        path = folder / name
        reason = ""
        if not name or not label:
            reason = "no file or no class in its line"
        elif Path(name).is_absolute() or ".." in Path(name).parts:
            reason = "it lies outside the folder"
        elif name in pictures:
            reason = "it is in the manifest twice"
        elif split not in (*SPLITS, ""):
            reason = f"split '{split}' is not train, val or test"
        elif lists and not split:
            reason = "in none of train.txt, val.txt, test.txt"
        elif not _is_file(path):
            reason = "no such file"
        if reason:
            rejects.append(Reject(name, -1, reason))
        else:
            group = next((row[column] for column in _GROUP if row.get(column)), name)
            pictures[name] = Picture(path, name, group, split, (0, 0), (label,))
    files = [manifest, *(picture.path for picture in pictures.values()), *_lists(folder)]
    names = read_classes(folder, tuple(sorted({picture.labels[0] for picture in pictures.values()})))
    return _source(manifest, list(pictures.values()), names, rejects, files)


def _plan_classes(folder: Path) -> Source:
    lists = read_lists(folder)
    ours = (folder / collected.NAME).is_file()
    group_of = session_of if ours else str
    pictures: list[Picture] = []
    rejects: list[Reject] = []
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if ours and collected.UNLABELLED in names:
        names.remove(collected.UNLABELLED)
    loose = _images(folder)[0]
    if loose and not names:
        raise LogGradError(
            f"{folder}: no class folders, as {loose[0].name} lies in it directly: put every photograph into a"
            " folder with the name of its class"
        )
    rejects += [Reject(path.name, -1, "in no class folder") for path in loose]
    for label in names:
        good, other = _images(folder / label)
        if not good:
            inside = next((path for path in other if path.is_dir()), None)
            also = f"; if {inside.name} is a class, give folder:{folder / label}" if inside else ""
            raise LogGradError(
                f"{folder / label}: no picture in it: fill the class or remove its folder{also}"
            )
        rejects += [Reject(f"{label}/{path.name}", -1, reason) for path, reason in other.items()]
        for path in good:
            name = f"{label}/{path.name}"
            if lists and name not in lists:
                rejects.append(Reject(name, -1, "in none of train.txt, val.txt, test.txt"))
            else:
                group = name if lists else group_of(path.stem)
                pictures.append(Picture(path, name, group, lists.get(name, ""), (0, 0), (label,)))
    if ours and not lists:
        splits = collected.dealt((picture.group, picture.labels[0]) for picture in pictures)
        pictures = [dataclasses.replace(picture, split=splits[picture.group]) for picture in pictures]
    present = {picture.file for picture in pictures}
    rejects += [Reject(name, -1, "listed, but no such file") for name in sorted(lists.keys() - present)]
    files = [picture.path for picture in pictures] + _lists(folder)
    source = _source(folder, pictures, tuple(names), rejects, files)
    profile = sensor_profile.read(folder)
    if profile is None:
        return source
    measured = functools.partial(cut, black=profile.sensor.black)
    files.append(folder / sensor_profile.NAME)
    return dataclasses.replace(source, files=tuple(files), cut=measured, profile=profile)


def _plan_voc(folder: Path, sought: str, asked: tuple[str, ...] | None) -> Source:
    images, other = _images(folder / "JPEGImages")
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        by_name[path.stem].append(path)
    annotations = {path.stem: path for path in sorted((folder / "Annotations").glob("[!.]*.xml"))}
    main = folder / "ImageSets/Main"
    lists = read_lists(main)
    classes = read_classes(folder, CLASSES, 2 if asked is None else 1)
    names = sought_of(classes, sought) if asked is None else asked_of(classes, asked)
    _check_kind(folder, images)
    pictures: list[Picture] = []
    rejects = [Reject(f"JPEGImages/{path.name}", -1, reason) for path, reason in other.items()]
    for name in sorted(by_name.keys() | annotations.keys()):
        same, xml = by_name.get(name, []), annotations.get(name)
        if not same or xml is None:
            missing = f"Annotations/{name}.xml" if xml is None else f"JPEGImages/{name}.*"
            rejects.append(Reject(name, -1, f"no {missing} for it"))
            continue
        if len(same) > 1:
            several = ", ".join(path.name for path in same)
            rejects.append(Reject(f"Annotations/{xml.name}", -1, f"several photographs for it: {several}"))
            continue
        (image,) = same
        if lists and name not in lists:
            rejects.append(Reject(f"JPEGImages/{image.name}", -1, f"in no list of {main.name}"))
            continue
        try:
            annotation = voc.read_voc(xml)
        except LogGradError as error:
            rejects.append(Reject(f"Annotations/{xml.name}", -1, str(error)))
            continue
        alone = Picture(image, f"JPEGImages/{image.name}", name, lists.get(name, ""), (0, 0), ())
        about = f"Annotations/{xml.name}"
        if asked is None:
            made, wrong = annotated(alone, annotation, about, classes, sought)
        else:
            made, wrong = framed(alone, annotation, about, classes, names)
        rejects += wrong
        if made is not None:
            pictures.append(made)
    files = [*images, *annotations.values(), *_lists(folder), *_lists(main)]
    return _source(folder, pictures, names, rejects, files, 2 if asked is None else 1)


def _lists(folder: Path) -> list[Path]:
    names = ("classes.txt", *(f"{split}.txt" for split in SPLITS))
    return [folder / name for name in names if (folder / name).is_file()]


def _source(
    where: Path,
    pictures: list[Picture],
    names: tuple[str, ...],
    rejects: list[Reject],
    files: list[Path],
    least: int = 2,
) -> Source:
    """The source, for which ``where`` stands in errors; it has ``least`` classes or more."""
    if not pictures:
        first = f", first reject {rejects[0].file}: {rejects[0].reason}"[:300] if rejects else ""
        raise LogGradError(f"{where}: no picture in it, {len(rejects)} rejects{first}: see the layouts")
    if len(names) < least:
        raise LogGradError(
            f"{where}: {len(names)} class in it, {', '.join(names)[:100]}: two or more are needed"
        )
    strange = [item for item in pictures if not item.whole and not set(item.labels) <= set(names)]
    rejects += [Reject(item.file, -1, f"class '{item.labels[0]}' is not in classes.txt") for item in strange]
    known = [item for item in pictures if item.whole or set(item.labels) <= set(names)]
    known.sort(key=lambda picture: picture.file)
    _check_kind(where, (picture.path for picture in known))
    return Source(tuple(known), names, tuple(rejects), tuple(files), cut, one_camera=True)


def plan(folder: Path, sought: str = "", asked: tuple[str, ...] | None = None) -> Source:
    """List a folder in one of the three layouts; nothing is decoded.

    Args:
      sought: a class whose presence is the task, see :func:`loggrad_tf.data.sources.annotated`.
      asked: for whole frames the classes of the objects that are to be found in them, none for all
        (:mod:`loggrad_tf.data.frames`); None for crops.

    Raises:
      LogGradError: no folder, no picture, an empty class, fewer than two classes, or RAW files beside
        pictures.
    """
    if not folder.is_dir():
        raise LogGradError(f"{folder}: no such folder: give one with a folder of pictures for each class")
    manifest = (folder / "manifest.csv").is_file()
    if not manifest and (folder / "Annotations").is_dir() and (folder / "JPEGImages").is_dir():
        return _plan_voc(folder, sought, asked)
    if sought or asked is not None:
        task = f"presence:{sought}" if sought else "detect"
        raise LogGradError(
            f"{folder}: --task={task} needs photographs with boxes, in JPEGImages and Annotations:"
            " leave it out where every photograph has its class"
        )
    if manifest:
        return _plan_manifest(folder)
    return _plan_classes(folder)
