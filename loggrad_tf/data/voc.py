"""PASCAL VOC annotations in the form PASCALRAW uses: one XML file a photograph, boxes in a small frame.

A box counts its columns and rows from 1 and includes both ends, so in a photograph ``W`` wide, whose
annotation frame is ``w`` wide, it spans the columns ``(xmin - 1) W / w <= x < xmax W / w``.

The order of elements does not matter and neither does ``<filename>``: six PASCALRAW files carry another
photograph's, so the name of the XML file itself is the photograph's name. A DOCTYPE is refused (nothing
here needs entities), and so is a file with no frame size. Whether a box lies in its frame is for the
caller to judge, because a wrong box is to be listed and not to be lost with its file.
"""

import dataclasses
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole

Box = tuple[float, float, float, float]
MAX_BYTES = 4 * 2**20


@dataclasses.dataclass(frozen=True)
class Object:
    """One labelled box, as the file has it: columns and rows from 1, both ends included."""

    name: str
    xmin: int
    ymin: int
    xmax: int
    ymax: int
    difficult: bool = False
    occluded: bool = False
    truncated: bool = False
    pose: str = "Unspecified"


@dataclasses.dataclass(frozen=True)
class Annotation:
    """A photograph's boxes and the frame they are drawn in, width x height."""

    name: str
    width: int
    height: int
    objects: tuple[Object, ...]


class _Builder(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise LogGradError("it has a DOCTYPE, which an annotation does not need: remove it")


def _text(element: ElementTree.Element, tag: str) -> str:
    found = element.findtext(tag)
    if found is None or not found.strip():
        raise LogGradError(f"<{element.tag}> has no <{tag}>")
    return found.strip()


def _number(element: ElementTree.Element, tag: str) -> int:
    text = _text(element, tag)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise LogGradError(f"<{tag}> is '{text}', not a number")
    return round(value)


def _flag(element: ElementTree.Element, tag: str) -> bool:
    return (element.findtext(tag) or "0").strip() not in ("0", "")


def _object(element: ElementTree.Element) -> Object:
    box = element.find("bndbox")
    if box is None:
        raise LogGradError("an <object> has no <bndbox>")
    return Object(
        name=_text(element, "name"),
        xmin=_number(box, "xmin"),
        ymin=_number(box, "ymin"),
        xmax=_number(box, "xmax"),
        ymax=_number(box, "ymax"),
        difficult=_flag(element, "difficult"),
        occluded=_flag(element, "occluded"),
        truncated=_flag(element, "truncated"),
        pose=(element.findtext("pose") or "").strip(),
    )


def _parse(path: Path) -> ElementTree.Element:
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise LogGradError(f"it is {len(data)} bytes long, an annotation at most {MAX_BYTES}")
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(data)
        return parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise LogGradError(f"it is not XML ({error})") from error


def read_voc(path: Path) -> Annotation:
    """Read one annotation; its name is the file's own.

    Raises:
      LogGradError: not XML, a DOCTYPE, no frame size, or an object without name or box.
    """
    path = Path(path)
    try:
        root = _parse(path)
        size = root.find("size")
        if root.tag != "annotation" or size is None:
            raise LogGradError("it has no <annotation> with a <size>")
        width, height = _number(size, "width"), _number(size, "height")
        if width < 1 or height < 1:
            raise LogGradError(f"its frame is {width}x{height}")
        objects = tuple(_object(element) for element in root.iter("object"))
    except LogGradError as error:
        raise LogGradError(f"{path}: cannot be read as an annotation: {error}; mend or remove it") from error
    return Annotation(path.stem, width, height, objects)


def _add(parent: ElementTree.Element, tag: str, text: str | int) -> None:
    ElementTree.SubElement(parent, tag).text = str(text)


def write_voc(path: Path, annotation: Annotation, *, image_suffix: str = ".dng") -> None:
    """Write one annotation in PASCALRAW's element order; under a temporary name, then renamed.

    Raises:
      LogGradError: the annotation's name is not the file's.
    """
    path = Path(path)
    if path.stem != annotation.name:
        raise LogGradError(f"{path}: the annotation is of '{annotation.name}': name the file after it")
    root = ElementTree.Element("annotation")
    _add(root, "folder", path.parent.name)
    _add(root, "filename", annotation.name + image_suffix)
    _add(root, "segmented", 0)
    for item in annotation.objects:
        element = ElementTree.SubElement(root, "object")
        _add(element, "name", item.name)
        box = ElementTree.SubElement(element, "bndbox")
        for tag in ("xmax", "xmin", "ymax", "ymin"):
            _add(box, tag, getattr(item, tag))
        _add(element, "difficult", int(item.difficult))
        _add(element, "occluded", int(item.occluded))
        _add(element, "pose", item.pose)
        _add(element, "truncated", int(item.truncated))
    size = ElementTree.SubElement(root, "size")
    _add(size, "depth", 1)
    _add(size, "height", annotation.height)
    _add(size, "width", annotation.width)
    ElementTree.indent(root, "\t")
    write_whole(path, ElementTree.tostring(root, encoding="utf-8") + b"\n")


def scale_box(item: Object, frame: tuple[int, int], image: tuple[int, int]) -> Box:
    """A box in an image's own pixels: left, top, right, bottom, from 0, half open.

    Args:
      item: the box, in the frame's pixels.
      frame: width, height of the annotation's frame.
      image: width, height of the photograph, in any unit the answer is wanted in.
    """
    (width, height), (wide, high) = frame, image
    left, top = (item.xmin - 1) * wide / width, (item.ymin - 1) * high / height
    return (left, top, item.xmax * wide / width, item.ymax * high / height)
