"""RAW photographs with VOC annotations, laid out as PASCALRAW is (purl.stanford.edu/hq050zr7488).

    DIR/original/raw/2014_000001.nef      any RAW suffix that rawpy reads, .dng too
    DIR/annotations/2014_000001.xml       or DIR/VOC2014/Annotations/
    DIR/trainval/{train,val,test}.txt     optional: names that must be there
    DIR/groups.txt                        optional: a photograph and its group, a line each
    DIR/classes.txt                       optional: class names, one a line; else bicycle, car, person

Each box of a photograph becomes a crop (:mod:`loggrad_tf.data.photo`), or all of them are to be found in it
(:mod:`loggrad_tf.data.frames`). Lists with a ``test.txt`` decide the split. PASCALRAW's own halve it into
even and odd numbers with no test part, so its photographs are dealt anew (:mod:`loggrad_tf.data.sources`).
A photograph that ``groups.txt`` does not name is its own group.
"""

from collections import defaultdict
from pathlib import Path

from loggrad_tf.data import voc
from loggrad_tf.data.frames import asked_of, framed
from loggrad_tf.data.photo import cut, is_raw
from loggrad_tf.data.sources import (
    SPLITS,
    Picture,
    Reject,
    Source,
    annotated,
    read_classes,
    read_lines,
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


def plan(folder: Path, sought: str = "", asked: tuple[str, ...] | None = None) -> Source:
    """List an archive: every annotated photograph and its objects; nothing is decoded.

    Args:
      sought: a class whose presence is the task, see :func:`loggrad_tf.data.sources.annotated`.
      asked: for whole frames the classes of the objects that are to be found in them, none for all
        (:mod:`loggrad_tf.data.frames`); None for crops.

    Raises:
      LogGradError: a folder is missing or holds nothing.
    """
    photographs_folder, annotations_folder = _folders(folder)
    photographs = _photographs(photographs_folder)
    annotations = {path.stem: path for path in sorted(annotations_folder.glob("[!.]*.xml"))}
    if not photographs or not annotations:
        empty = annotations_folder if photographs else photographs_folder
        raise LogGradError(f"{empty}: empty: no {'XML file' if photographs else 'RAW file'} in it")
    classes = read_classes(folder, CLASSES, 2 if asked is None else 1)
    names = sought_of(classes, sought) if asked is None else asked_of(classes, asked)
    splits = _splits(folder)
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
        if splits and name not in splits:
            rejects.append(Reject(_relative(files[0], folder), -1, "in no list of train, val and test"))
            continue
        try:
            annotation = voc.read_voc(xml)
        except LogGradError as error:
            rejects.append(Reject(_relative(xml, folder), -1, str(error)))
            continue
        group, split = groups.get(name, name), splits.get(name, "")
        alone = Picture(files[0], _relative(files[0], folder), group, split, (0, 0), ())
        if asked is None:
            made, wrong = annotated(alone, annotation, _relative(xml, folder), classes, sought)
        else:
            made, wrong = framed(alone, annotation, _relative(xml, folder), classes, names)
        rejects += wrong
        if not annotation.objects and not sought and asked is None:
            rejects.append(Reject(_relative(xml, folder), -1, "no object in it"))
        if made is not None:
            pictures.append(made)
    for part in LIST_FOLDERS:
        for listed, split in read_lists(folder / part).items():
            if Path(listed).stem not in photographs.keys() | annotations.keys():
                listing = (part / f"{split}.txt").as_posix()
                rejects.append(Reject(listing, -1, f"'{listed}' has neither RAW nor XML"))
    files = [path for paths in photographs.values() for path in paths] + list(annotations.values())
    lists = [folder / part / f"{split}.txt" for part in LIST_FOLDERS for split in SPLITS] if splits else []
    files += [path for path in (folder / "classes.txt", folder / "groups.txt", *lists) if path.is_file()]
    return Source(tuple(pictures), names, tuple(rejects), tuple(files), cut)


def _splits(folder: Path) -> dict[str, str]:
    """The split of each photograph, of lists with a test part; else none."""
    for part in LIST_FOLDERS:
        if (folder / part / "test.txt").is_file():
            return {Path(name).stem: split for name, split in read_lists(folder / part).items()}
    return {}


def _groups(path: Path) -> dict[str, str]:
    """The group of each photograph that has one.

    Raises:
      LogGradError: a line of other than two words.
    """
    groups: dict[str, str] = {}
    for line in read_lines(path) if path.is_file() else ():
        words = line.split()
        if len(words) not in (0, 2):
            raise LogGradError(f"{path}: '{line[:100]}': write the name of a photograph and its group")
        if words:
            groups[words[0]] = words[1]
    return groups


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
