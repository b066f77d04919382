"""``model.json`` beside a flatbuffer: what RAW is, and how it becomes the input tensor.

:mod:`export.convert` writes it, with more than is read here. What is read is checked key by key; a file that
is damaged, or that describes another flatbuffer, is refused with one line.
"""

import dataclasses
from pathlib import Path

from loggrad_tf import json_base
from loggrad_tf.data.cells import Cells
from loggrad_tf.data.request import Request
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform.frontend import FrontEnd

NAME = "model.json"
VERSION = 1
_LONGEST_REASON = 200


@dataclasses.dataclass(frozen=True)
class Description(JsonBase):
    """What the doors read.

    Attributes:
      model_sha256: of the flatbuffer.
      front_end: what fills the input tensor.
      class_names: in label order; may be empty.
      data: where test images come from, if that is known.
      version: of the file's form; :data:`VERSION`.
      input_shape, input_scale, input_zero_point: of the input tensor, where they are given: what front end
        and flatbuffer say.
      cells: the grid of a detector, whose output has the background's score ahead of the classes'; None of a
        classifier.
    """

    model_sha256: str
    front_end: FrontEnd
    class_names: tuple[str, ...]
    data: Request | None = None
    version: int = VERSION
    input_shape: tuple[int, ...] | None = None
    input_scale: float | None = None
    input_zero_point: int | None = None
    cells: Cells | None = None

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise LogGradError(f"version is {self.version}, this program reads {VERSION}")
        end = self.front_end
        for name, own in (("input_scale", end.input_scale), ("input_zero_point", end.input_zero_point)):
            if (given := getattr(self, name)) not in (None, own):
                raise LogGradError(f"{name} is {given}, {end.format} has {own}")


def read(model: Path, sha256: str) -> Description | None:
    """model.json beside ``model``, or None where there is none.

    Raises:
      LogGradError: it is damaged, or describes another file than the one with this hash.
    """
    path = model.with_name(NAME)
    if not path.is_file():
        return None
    values = json_base.read(path, "convert again")
    try:
        found: Description = Description.from_json(_known(values, Description))
    except LogGradError as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise LogGradError(f"{path}: cannot be read ({reason}): convert again") from None
    if found.model_sha256 != sha256:
        raise LogGradError(
            f"{path}: describes another model than {model.name} ({sha256[:12]}): convert again"
        )
    return found


def _known(values: object, cls: type) -> object:
    """An object without the keys that nobody here reads, at its top and in ``data``."""
    if not isinstance(values, dict):
        return values
    kept = {f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values}
    return kept | ({"data": _known(kept["data"], Request)} if "data" in kept else {})
