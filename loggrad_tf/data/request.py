"""Which data set, and how its photographs become crops or frames: what a saved network remembers of its data.

The task says which of them: ``classify`` crops of objects, or pictures of one class each; ``presence:CLASS``,
whole photographs with an object of that class or without; ``detect``, whole photographs with the boxes of
their objects, or ``detect:CLASS,CLASS``, with the boxes of these classes alone.
"""

import dataclasses

from loggrad_tf.data.crops import MODES
from loggrad_tf.data.sides import Size, short, sides
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

FITS = ("stretch", "crop", "pad")
CLASSIFY, PRESENCE, DETECT = "classify", "presence", "detect"
# What a detector is trained on if nothing is said.
DETECT_DATA = "synthetic:street"
DETECT_SIZE: Size = (120, 160)
MIN_SIZE, MAX_SIZE = 8, 512


def detects(task: str) -> bool:
    """Whether a task is to find objects in whole photographs."""
    return task.partition(":")[0] == DETECT


def usual_fit(task: str) -> str:
    """How whole pictures are fitted if nothing is said: objects to be found keep their proportions."""
    return "crop" if detects(task) else FITS[0]


def check_task(task: str) -> None:
    """Refuse a task that there is not.

    Raises:
      LogGradError: what may be chosen instead.
    """
    kind, colon, names = task.partition(":")
    listed = names.split(",")
    one = kind == PRESENCE and names
    several = kind == DETECT and (not colon or all(listed) and len(set(listed)) == len(listed))
    if not (task == CLASSIFY or one or several):
        raise LogGradError(
            f"task '{task[:60]}': choose {CLASSIFY}, or {PRESENCE}:person, or another class in its place, or"
            f" {DETECT}, or {DETECT}:person,car"
        )


@dataclasses.dataclass(frozen=True)
class Request(JsonBase):
    """What :func:`loggrad_tf.data.dataset.load` is asked for.

    Attributes:
      spec: ``synthetic``, ``synthetic:PHOTOGRAPHS@SEED``, ``synthetic:street``, ``pascalraw:DIR``,
        ``folder:DIR`` or ``prepared:DIR``.
      size: of a crop, pixels: the side of a square, or rows and columns.
      mode: ``gray`` or ``mosaic``.
      fit: how a whole picture gets the crop's proportions: ``stretch``, ``crop`` (its middle) or ``pad``
        (mirrored).
      task: ``classify``, ``presence:CLASS``, ``detect`` or ``detect:CLASS,CLASS``.
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
            raise LogGradError(f"size {short(self.size)}: choose even numbers from {MIN_SIZE} to {MAX_SIZE}")
        if self.fit not in FITS:
            raise LogGradError(f"fit '{self.fit}': choose {', '.join(FITS)}")
        check_task(self.task)
        if self.detects and self.fit == "pad":
            raise LogGradError(
                f"fit 'pad': what is mirrored would have no boxes: choose crop or stretch for {self.task}"
            )

    @property
    def sought(self) -> str:
        """The class whose presence is the task; empty if the task is another one."""
        task, _, name = self.task.partition(":")
        return name if task == PRESENCE else ""

    @property
    def detects(self) -> bool:
        """Whether objects are to be found in whole photographs."""
        return detects(self.task)

    @property
    def asked(self) -> tuple[str, ...] | None:
        """The classes of the objects that are to be found, none for all of the set; None for other tasks."""
        if not self.detects:
            return None
        names = self.task.partition(":")[2]
        return tuple(names.split(",")) if names else ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataReference(Request):
    """Which data set a network was trained on.

    Attributes:
      manifest_sha256: hash of the prepared set's manifest.
    """

    manifest_sha256: str
