"""RAW photographs with VOC annotations, laid out as PASCALRAW is (purl.stanford.edu/hq050zr7488).

    DIR/original/raw/2014_000001.nef      any RAW suffix that rawpy reads, .dng too
    DIR/annotations/2014_000001.xml       or DIR/VOC2014/Annotations/
    DIR/trainval/{train,val}.txt          optional: names that must be there; or VOC2014/ImageSets/Main/
    DIR/trainval/test.txt                 optional: makes these lists the splits
    DIR/groups.txt                        optional: name and group of a photograph, a line each
    DIR/classes.txt                       optional: class names, one a line; else bicycle, car, person

Each box of a photograph becomes a crop (:mod:`loggrad_tf.data.photo`). The archive's own lists halve it into
even and odd numbers with no test part, so photographs are dealt anew (:mod:`loggrad_tf.data.sources`). Where
there is a test part, the lists decide, and a photograph that is in none is left out. A group never falls into
two splits; without ``groups.txt`` each photograph is its own.
"""

from collections import defaultdict
from pathlib import Path

from loggrad_tf.data import voc
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

CLASSES = ("bicycle", "car", "person")
RAW_FOLDER = Path("original/raw")
ANNOTATION_FOLDERS = (Path("annotations"), Path("VOC2014/Annotations"))
LIST_FOLDERS = (Path("trainval"), Path("VOC2014/ImageSets/Main"))


def _photographs(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if is_raw(path) and not path.name.startswith("."):
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


def _groups(path: Path) -> dict[str, str]:
    """Name -> group, as ``groups.txt`` has it; empty if there is none.

    Raises:
      LogGradError: a line of other than two words.
    """
    if not path.is_file():
        return {}
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for line in lines:
        if len(line) != 2:
            raise LogGradError(f"{path}: '{' '.join(line)[:100]}': write a photograph's name and its group")
    return {name: group for name, group in lines}


def plan(folder: Path, sought: str = "") -> Source:
    """List an archive: every annotated photograph and its objects; nothing is decoded.

    Args:
      sought: a class whose presence is the task, see :func:`loggrad_tf.data.sources.annotated`.

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
    lists = [folder / part for part in LIST_FOLDERS]
    decided = any((part / "test.txt").is_file() for part in lists)
    names = SPLITS if decided else SPLITS[:2]
    listed = {
        (part, Path(name).stem): split for part in lists for name, split in read_lists(part, names).items()
    }
    splits = {name: split for (_, name), split in listed.items()} if decided else {}
    groups = _groups(folder / "groups.txt")
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
        if decided and name not in splits:
            rejects.append(Reject(_relative(files[0], folder), -1, "in none of the lists of the splits"))
            continue
        try:
            annotation = voc.read_voc(xml)
        except LogGradError as error:
            rejects.append(Reject(_relative(xml, folder), -1, str(error)))
            continue
        group, split = groups.get(name, name), splits.get(name, "")
        alone = Picture(files[0], _relative(files[0], folder), group, split, (0, 0), ())
        made, wrong = annotated(alone, annotation, _relative(xml, folder), classes, sought)
        rejects += wrong
        if not annotation.objects and not sought:
            rejects.append(Reject(_relative(xml, folder), -1, "no object in it"))
        if made is not None:
            pictures.append(made)
    for (part, name), split in listed.items():
        if name not in photographs.keys() | annotations.keys():
            listing = _relative(part / f"{split}.txt", folder)
            rejects.append(Reject(listing, -1, f"'{name}' has neither RAW nor XML"))
    files = [path for paths in photographs.values() for path in paths] + list(annotations.values())
    told = [folder / "classes.txt", folder / "groups.txt"]
    told += [part / f"{split}.txt" for part in lists for split in names if decided]
    files += [path for path in told if path.is_file()]
    return Source(tuple(pictures), sought_of(classes, sought), tuple(rejects), tuple(files), cut)


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
