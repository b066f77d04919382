"""Folders of pictures (JPEG, PNG, TIFF, Radiance, OpenEXR) as an imitated RAW source.

Three layouts are known by what lies in the folder:

    DIR/manifest.csv                      file, class[, split][, group]: one line a crop;
                                          ``source`` or ``source_image`` stands for a missing group
    DIR/Annotations/ + DIR/JPEGImages/    PASCAL VOC: boxes in whole pictures
    DIR/<class>/*.jpg                     one folder a class

with the split from the manifest, else from ``train.txt``, ``val.txt``, ``test.txt`` (VOC:
``ImageSets/Main``), else dealt. A picture that is itself the crop is stretched to the square: the crop is
the object's box, and both sides are scaled on their own. A box in a VOC picture is cut as a RAW's is.

Crops of one photograph share its light and its place, so a test on some after training on others proves
nothing. Crops under different names need a group in the manifest, the name of their photograph; without one
each file is its own. In class folders that are dealt, files of one stem (``car/7.jpg``, ``person/7.jpg``) are
one group; where lists name the files, the lists decide.

The imitation: ``x = (v / 255) ** 2.2`` for each 8-bit colour v, and x as :mod:`loggrad_tf.data.hdr` reads it
from a picture in linear light (16 bits, floats, .hdr, .exr), where it may exceed 1; resized in linear light;
darkened by ``2^U(-2, 0)``; brought to one channel (gray: 0.2126 R + 0.7152 G + 0.0722 B, Rec. 709; mosaic:
sampled RGGB); read by a 12-bit sensor of 9000 electrons full well and 4.5 electrons read noise:
``P = round(span (N(s, s) + N(0, 4.5^2)) / 9000)`` with s = 9000 x, which is SNR 40 at 18 % of full scale.
The random numbers are seeded by the file's name, so a picture gives the same crop wherever it is prepared.
"""

import csv
import hashlib
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from loggrad_tf.data import crops, hdr, voc
from loggrad_tf.data.pascalraw import CLASSES, check_frame, too_small
from loggrad_tf.data.request import FITS
from loggrad_tf.data.sources import SPLITS, Cut, Picture, Reject, Source, judge, read_classes, read_lists
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import Sensor

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".hdr", ".exr")
_NO_PICTURE = f"not a picture ({', '.join(SUFFIXES)})"
# Manifest columns that name the photograph of a crop, the first that is filled in.
_GROUP = ("group", "source", "source_image")
# Of 8 bits; Pillow itself refuses hardly more.
MAX_PIXELS = 170 * 10**6
DARKEST = -2.0
FULL_WELL, READ_NOISE = 9000.0, 4.5
SENSOR = Sensor(bits=12, black=0, white=4095)
MOSAIC = "RGGB"
LUMINANCE = (0.2126, 0.7152, 0.0722)
_LINEAR = ((np.arange(256) / 255.0) ** hdr.GAMMA).astype(np.float64)


def _images(folder: Path) -> tuple[list[Path], list[Path]]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    good = [path for path in files if path.suffix.lower() in SUFFIXES]
    return good, [path for path in files if path.suffix.lower() not in SUFFIXES]


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
    pictures: list[Picture] = []
    rejects: list[Reject] = []
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    for label in names:
        good, other = _images(folder / label)
        if not good:
            raise LogGradError(f"{folder / label}: no picture in it: fill the class or remove its folder")
        rejects += [Reject(f"{label}/{path.name}", -1, _NO_PICTURE) for path in other]
        for path in good:
            name = f"{label}/{path.name}"
            if lists and name not in lists:
                rejects.append(Reject(name, -1, "in none of train.txt, val.txt, test.txt"))
            else:
                group = name if lists else path.stem
                pictures.append(Picture(path, name, group, lists.get(name, ""), (0, 0), (label,)))
    present = {picture.file for picture in pictures}
    rejects += [Reject(name, -1, "listed, but no such file") for name in sorted(lists.keys() - present)]
    files = [picture.path for picture in pictures] + _lists(folder)
    return _source(folder, pictures, tuple(names), rejects, files)


def _plan_voc(folder: Path) -> Source:
    images, other = _images(folder / "JPEGImages")
    by_name = {path.stem: path for path in images}
    annotations = {path.stem: path for path in sorted((folder / "Annotations").glob("[!.]*.xml"))}
    main = folder / "ImageSets/Main"
    lists = read_lists(main)
    classes = read_classes(folder, CLASSES)
    pictures: list[Picture] = []
    rejects = [Reject(f"JPEGImages/{path.name}", -1, _NO_PICTURE) for path in other]
    for name in sorted(by_name.keys() | annotations.keys()):
        image, xml = by_name.get(name), annotations.get(name)
        if image is None or xml is None:
            missing = f"Annotations/{name}.xml" if xml is None else f"JPEGImages/{name}.*"
            rejects.append(Reject(name, -1, f"no {missing} for it"))
            continue
        if lists and name not in lists:
            rejects.append(Reject(f"JPEGImages/{image.name}", -1, f"in no list of {main.name}"))
            continue
        try:
            annotation = voc.read_voc(xml)
        except LogGradError as error:
            rejects.append(Reject(f"Annotations/{xml.name}", -1, str(error)))
            continue
        frame = (annotation.width, annotation.height)
        wrong = judge(annotation.objects, classes, *frame)
        rejects += [Reject(f"Annotations/{xml.name}", index, reason) for index, reason in wrong.items()]
        good = tuple(index for index in range(len(annotation.objects)) if index not in wrong)
        if good:
            boxes = tuple(annotation.objects[index] for index in good)
            labels = tuple(item.name for item in boxes)
            file = f"JPEGImages/{image.name}"
            pictures.append(Picture(image, file, name, lists.get(name, ""), frame, labels, boxes, good))
    files = [*images, *annotations.values(), *_lists(folder), *_lists(main)]
    return _source(folder, pictures, classes, rejects, files)


def _lists(folder: Path) -> list[Path]:
    names = ("classes.txt", *(f"{split}.txt" for split in SPLITS))
    return [folder / name for name in names if (folder / name).is_file()]


def _source(
    where: Path, pictures: list[Picture], names: tuple[str, ...], rejects: list[Reject], files: list[Path]
) -> Source:
    """The source, for which ``where`` stands in errors."""
    if not pictures:
        first = f", first reject {rejects[0].file}: {rejects[0].reason}"[:300] if rejects else ""
        raise LogGradError(f"{where}: no picture in it, {len(rejects)} rejects{first}: see the layouts")
    if len(names) < 2:
        raise LogGradError(
            f"{where}: {len(names)} class in it, {', '.join(names)[:100]}: two or more are needed"
        )
    strange = [picture for picture in pictures if not set(picture.labels) <= set(names)]
    rejects += [Reject(item.file, -1, f"class '{item.labels[0]}' is not in classes.txt") for item in strange]
    known = [picture for picture in pictures if set(picture.labels) <= set(names)]
    known.sort(key=lambda picture: picture.file)
    return Source(tuple(known), names, tuple(rejects), tuple(files), cut)


def plan(folder: Path, fit: str = FITS[0]) -> Source:
    """List a folder in one of the three layouts; nothing is decoded.

    Args:
      fit: how a picture that is itself the crop becomes square.

    Raises:
      LogGradError: no folder, no picture, an empty class, or fewer than two classes.
    """
    if not folder.is_dir():
        raise LogGradError(f"{folder}: no such folder: give one with a folder of pictures for each class")
    if (folder / "manifest.csv").is_file():
        return _plan_manifest(folder)
    if (folder / "Annotations").is_dir() and (folder / "JPEGImages").is_dir():
        return _plan_voc(folder)
    return _plan_classes(folder)


def read(path: Path) -> hdr.Picture:
    """A picture upright, and its linear light: 0..1, or above 1 in the highlights of a .hdr, .exr or float
    TIFF.

    Raises:
      LogGradError: it cannot be decoded, or has more pixels than are read.
    """
    found = hdr.read(path)
    if found is not None:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return hdr.Picture(_colours(path, image), _linear)
    except LogGradError:
        raise
    except Image.DecompressionBombError:
        raise LogGradError(
            f"{path}: more than the {MAX_PIXELS} pixels that are read: scale it down"
        ) from None
    except Exception as error:  # on a damaged file the library raises whatever comes
        reason = " ".join(str(error).split()).replace(str(path), "it") or type(error).__name__
        raise LogGradError(f"{path}: it cannot be decoded ({reason}): replace it or leave it out") from error


def _colours(path: Path, image: Image.Image) -> np.ndarray:
    """uint8 [H, W, 3], upright."""
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"):
        raise LogGradError(f"{path}: a picture of mode {image.mode}: save it with 8 bits a colour")
    if image.width * image.height > MAX_PIXELS:
        raise LogGradError(
            f"{path}: {image.width}x{image.height} pixels, at most {MAX_PIXELS} are read: scale it down"
        )
    ImageOps.exif_transpose(image, in_place=True)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _linear(values: np.ndarray) -> np.ndarray:
    return _LINEAR[values]


def expose(light: np.ndarray, name: str, mode: str) -> np.ndarray:
    """Linear colours -> what the imitated sensor reads.

    Args:
      light: float [size, size, 3], 1 at full scale.
      name: seeds the exposure and the noise.
      mode: ``gray`` or ``mosaic``.

    Returns:
      P, uint16 [size, size], 0..4095.
    """
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    random = np.random.Generator(np.random.PCG64(seed))
    exposure = 2.0 ** random.uniform(DARKEST, 0.0)
    if mode == "gray":
        red, green, blue = np.moveaxis(light, -1, 0)
        seen = LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue
    else:
        seen = light[..., 1].copy()
        seen[0::2, 0::2] = light[0::2, 0::2, 0]
        seen[1::2, 1::2] = light[1::2, 1::2, 2]
    electrons = FULL_WELL * exposure * seen
    sigma = np.sqrt(electrons + READ_NOISE**2)
    read = electrons + sigma * random.standard_normal(electrons.shape)
    return crops.to_codes(read * (SENSOR.span / FULL_WELL), SENSOR.span)


def cut(picture: Picture, size: int, mode: str) -> Cut:
    """Decode one picture and expose its crops.

    Raises:
      LogGradError: it cannot be decoded, or its boxes are drawn in another frame.
    """
    seen = read(picture.path)
    height, width = seen.values.shape[:2]
    sensor = SENSOR if mode == "gray" else Sensor(SENSOR.bits, SENSOR.black, SENSOR.white, MOSAIC)
    whole = (0.0, 0.0, float(width), float(height))
    if not picture.boxes:
        reason = too_small(whole, size)
        crop = reason or expose(crops.resize(seen.values, whole, size, seen.light), picture.file, mode)
        return Cut(sensor, (crop,))
    check_frame(picture.frame, width, height)
    results: list[np.ndarray | str] = []
    for place, item in zip(picture.items, picture.boxes, strict=True):
        box = voc.scale_box(item, picture.frame, (width, height))
        reason = too_small(box, size)
        window = crops.square(box, width, height)
        name = f"{picture.file} {place}"
        results.append(reason or expose(crops.resize(seen.values, window, size, seen.light), name, mode))
    return Cut(sensor, tuple(results))
