"""Which data set, and how its photographs become crops: what a saved network remembers of its data."""

import dataclasses

from loggrad_tf.data.crops import MODES
from loggrad_tf.data.sides import Size, short, sides
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

FITS = ("stretch", "crop", "pad")
CLASSIFY, PRESENCE = "classify", "presence"
MIN_SIZE, MAX_SIZE = 8, 512


@dataclasses.dataclass(frozen=True)
class Request(JsonBase):
    """What :func:`loggrad_tf.data.dataset.load` is asked for.

    Attributes:
      spec: ``synthetic``, ``synthetic:PHOTOGRAPHS@SEED``, ``pascalraw:DIR``, ``folder:DIR`` or
        ``prepared:DIR``.
      size: of a crop, pixels: the side of a square, or rows and columns.
      mode: ``gray`` or ``mosaic``.
      fit: how a whole picture gets the crop's proportions: ``stretch``, ``crop`` (its middle) or ``pad``
        (mirrored).
      task: ``classify`` crops of objects, or pictures of one class each; or ``presence:CLASS``: whole
        photographs with boxes, with an object of that class or without.
    """

    spec: str
    size: Size
    mode: str
    fit: str = FITS[0]
    task: str = CLASSIFY

    def check(self) -> None:
        """Refuse a size, mode, fit or task that no crop can have.

        Raises:
          LogGradError: what may be chosen instead.
        """
        if self.mode not in MODES:
            raise LogGradError(f"mode '{self.mode}': choose gray or mosaic")
        if any(not MIN_SIZE <= side <= MAX_SIZE or side % 2 for side in sides(self.size)):
            raise LogGradError(
                f"crop size {short(self.size)}: choose even numbers from {MIN_SIZE} to {MAX_SIZE}"
            )
        if self.fit not in FITS:
            raise LogGradError(f"fit '{self.fit}': choose {', '.join(FITS)}")
        if self.task != CLASSIFY and not self.sought:
            raise LogGradError(
                f"task '{self.task}': choose {CLASSIFY}, or {PRESENCE}:person, or another class in its place"
            )

    @property
    def sought(self) -> str:
        """The class whose presence is the task; empty if the task is another one."""
        task, _, name = self.task.partition(":")
        return name if task == PRESENCE else ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataReference(Request):
    """Which data set a network was trained on.

    Attributes:
      manifest_sha256: hash of the prepared set's manifest.
    """

    manifest_sha256: str
