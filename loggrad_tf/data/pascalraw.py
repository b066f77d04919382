"""RAW photographs with VOC annotations, laid out as PASCALRAW is (purl.stanford.edu/hq050zr7488).

    DIR/original/raw/2014_000001.nef      any RAW suffix that rawpy reads, .dng too
    DIR/annotations/2014_000001.xml       or DIR/VOC2014/Annotations/
    DIR/trainval/{train,val}.txt          optional: names that must be there
    DIR/classes.txt                       optional: class names, one a line; else bicycle, car, person

A photograph is decoded to linear P, in mode ``gray`` binned to one value a 2x2 square, in mode ``mosaic``
left as it is from its first red photosite on, so that every crop's filter is RGGB; each box becomes a crop
(:mod:`loggrad_tf.data.crops`). The archive's own lists halve it into even and odd numbers with no test
part, so photographs are dealt anew (:mod:`loggrad_tf.data.sources`).
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from loggrad_tf.data import crops, raw, voc
from loggrad_tf.data.sources import Cut, Picture, Reject, Source, judge, read_classes, read_lists
from loggrad_tf.errors import LogGradError

CLASSES = ("bicycle", "car", "person")
RAW_FOLDER = Path("original/raw")
ANNOTATION_FOLDERS = (Path("annotations"), Path("VOC2014/Annotations"))
LIST_FOLDERS = (Path("trainval"), Path("VOC2014/ImageSets/Main"))
# How far the proportions of a frame and its photograph may differ: 600x400 against 6034x4012 is 0.3 %.
FRAME_TOLERANCE = 0.02


def _photographs(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in raw.SUFFIXES and not path.name.startswith("."):
            found[path.stem].append(path)
    return found


def _folders(folder: Path) -> tuple[Path, Path]:
    if not folder.is_dir():
        raise LogGradError(f"{folder}: no such folder: give the one that holds {RAW_FOLDER}")
    annotations = next((folder / name for name in ANNOTATION_FOLDERS if (folder / name).is_dir()), None)
    for wanted, found in ((RAW_FOLDER, (folder / RAW_FOLDER).is_dir()), (ANNOTATION_FOLDERS[0], annotations)):
        if not found:
            raise LogGradError(
                f"{folder}: no folder {wanted} in it: photographs belong in {RAW_FOLDER},"
                f" their XML files in {ANNOTATION_FOLDERS[0]}"
            )
    assert annotations is not None
    return folder / RAW_FOLDER, annotations


def plan(folder: Path) -> Source:
    """List an archive: every annotated photograph and its objects; nothing is decoded.

    Raises:
      LogGradError: a folder is missing or holds nothing.
    """
    photographs_folder, annotations_folder = _folders(folder)
    photographs = _photographs(photographs_folder)
    annotations = {path.stem: path for path in sorted(annotations_folder.glob("[!.]*.xml"))}
    if not photographs or not annotations:
        empty = annotations_folder if photographs else photographs_folder
        raise LogGradError(f"{empty}: empty: no {'XML file' if photographs else 'RAW file'} in it")
    classes = read_classes(folder, CLASSES)
    pictures: list[Picture] = []
    rejects: list[Reject] = []
    for name in sorted(photographs.keys() | annotations.keys()):
        files, xml = photographs.get(name, []), annotations.get(name)
        if xml is None:
            rejects += [Reject(_relative(path, folder), -1, f"no {name}.xml for it") for path in files]
            continue
        if len(files) != 1:
            reason = f"{len(files)} RAW files are named {name}" if files else f"no RAW file {name}.* for it"
            rejects.append(Reject(_relative(xml, folder), -1, reason))
            continue
        try:
            annotation = voc.read_voc(xml)
        except LogGradError as error:
            rejects.append(Reject(_relative(xml, folder), -1, str(error)))
            continue
        wrong = judge(annotation.objects, classes, annotation.width, annotation.height)
        rejects += [Reject(_relative(xml, folder), index, reason) for index, reason in wrong.items()]
        good = tuple(index for index in range(len(annotation.objects)) if index not in wrong)
        if not annotation.objects:
            rejects.append(Reject(_relative(xml, folder), -1, "no object in it"))
        if good:
            boxes = tuple(annotation.objects[index] for index in good)
            pictures.append(
                Picture(
                    path=files[0],
                    file=_relative(files[0], folder),
                    group=name,
                    split="",
                    frame=(annotation.width, annotation.height),
                    labels=tuple(item.name for item in boxes),
                    boxes=boxes,
                    items=good,
                )
            )
    for part in LIST_FOLDERS:
        for listed, split in read_lists(folder / part, ("train", "val")).items():
            if Path(listed).stem not in photographs.keys() | annotations.keys():
                listing = (part / f"{split}.txt").as_posix()
                rejects.append(Reject(listing, -1, f"'{listed}' has neither RAW nor XML"))
    files = [path for paths in photographs.values() for path in paths] + list(annotations.values())
    files += [path for path in (folder / "classes.txt",) if path.is_file()]
    return Source(tuple(pictures), classes, tuple(rejects), tuple(files), cut)


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def check_frame(frame: tuple[int, int], width: int, height: int) -> None:
    """Refuse boxes drawn in a frame of other proportions than the picture, turned or cropped."""
    if abs(frame[0] * height / (frame[1] * width) - 1) > FRAME_TOLERANCE:
        raise LogGradError(
            f"boxes are drawn in a frame of {frame[0]}x{frame[1]}, the picture is {width}x{height}:"
            " other proportions"
        )


def too_small(box: voc.Box, size: int) -> str:
    """Why a box, in the picture's own pixels, is too small for a crop; empty if it is not."""
    side = max(box[2] - box[0], box[3] - box[1])
    least = crops.smallest_side(size)
    return f"longer side of {side:.0f} pixels, at least {least:.0f} are needed" if side < least else ""


def cut(picture: Picture, size: int, mode: str) -> Cut:
    """Decode one photograph and cut its objects.

    Raises:
      LogGradError: the photograph cannot be read, has no mosaic where one is asked for, or its frame
        does not fit.
    """
    image = raw.read_raw(picture.path)
    height, width = image.pixels.shape[:2]
    check_frame(picture.frame, width, height)
    flat = raw.to_gray(image) if mode == "gray" else raw.to_mosaic(image)
    scale = height // flat.pixels.shape[0]
    above, aside = raw.red_corner(image.pattern) if mode == "mosaic" else (0, 0)
    results: list[np.ndarray | str] = []
    for item in picture.boxes:
        box = voc.scale_box(item, picture.frame, (width, height))
        reason = too_small(box, size)
        if reason:
            results.append(reason)
            continue
        rows, columns = flat.pixels.shape
        left, right = ((edge - aside) / scale for edge in box[::2])
        top, bottom = ((edge - above) / scale for edge in box[1::2])
        within = (max(left, 0), max(top, 0), min(right, columns), min(bottom, rows))
        window = crops.square(within, columns, rows)
        crop = crops.crop_gray if mode == "gray" else crops.crop_mosaic
        results.append(crop(flat.pixels, window, size, flat.sensor.span))
    return Cut(flat.sensor, tuple(results))
