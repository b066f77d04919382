"""Which drawn photographs a data set's name asks for.

synthetic                       the built-in collection (:mod:`loggrad_tf.data.synthetic`)
synthetic:PHOTOGRAPHS@SEED      a collection of its own: to test on more than the built-in one has, or to
                                train on more
synthetic:street                frames of four fixed cameras, split by days (:mod:`loggrad_tf.data.street`)
synthetic:street-unseen         frames of two more, all of them for testing
synthetic:street@SEED           those of other cameras; ``street-unseen@SEED`` goes with it
"""

import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Self

from loggrad_tf.errors import LogGradError

_NAME = "synthetic"
_STREET, _UNSEEN = "street", "street-unseen"
_FIGURES = ("backdrop", "bicycle", "camera", "car", "colours", "draw", "person", "props")
# What they look like depends on these.
_DRAWING = {
    _NAME: ("data/synthetic.py", *(f"scene/{name}.py" for name in (*_FIGURES, "street"))),
    _STREET: (
        "data/street.py",
        *(f"scene/{name}.py" for name in (*_FIGURES, "fixed", "hours", "place", "traffic")),
    ),
}
_DRAWING[_UNSEEN] = _DRAWING[_STREET]
MAX_PHOTOGRAPHS = 100_000


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A collection of drawn photographs.

    Attributes:
      others: photographs and seed, or the seed of other cameras; None: the built-in collection.
      kind: ``synthetic``, ``street`` or ``street-unseen``.
    """

    others: tuple[int, ...] | None = None
    kind: str = _NAME

    @classmethod
    def of(cls, spec: str) -> Self | None:
        """The one that ``spec`` asks for; None if it asks for another source.

        Raises:
          LogGradError: none or too many of them.
        """
        if spec == _NAME:
            return cls()
        street = re.fullmatch(f"{_NAME}:({_STREET}|{_UNSEEN})" + r"(?:@(\d{1,9}))?", spec)
        if street is not None:
            return cls(None if street[2] is None else (int(street[2]),), street[1])
        match = re.fullmatch(_NAME + r":(\d+)@(\d{1,9})", spec)
        if match is None:
            return None
        photographs, seed = (int(one) for one in match.groups())
        if not 1 <= photographs <= MAX_PHOTOGRAPHS:
            raise LogGradError(f"data set '{spec}': draw 1 to {MAX_PHOTOGRAPHS} photographs")
        return cls((photographs, seed))

    @property
    def listing(self) -> str | list[str | int]:
        """What the photographs depend on."""
        parts: list[str | int] = [self._code, *(self.others or ())]
        if self.kind != _NAME:
            return [*parts, self.kind]
        return self._code if self.others is None else parts

    @property
    def folder(self) -> str:
        """A name for where they lie."""
        return "-".join([self.kind, self._code[:16], *map(str, self.others or ())])

    def write(self, directory: Path) -> None:
        """Draw them as a PASCALRAW archive."""
        from loggrad_tf.data import street, synthetic  # the drawing code, which only these sources need

        if self.kind == _NAME:
            synthetic.write_archive(directory, *self.others or ())
        else:
            street.write_archive(
                directory, street.SEEN if self.kind == _STREET else street.UNSEEN, *self.others or ()
            )

    @property
    def _code(self) -> str:
        package = Path(__file__).parent.parent
        drawing = [package / name for name in _DRAWING[self.kind]]
        return hashlib.sha256(b"".join(path.read_bytes() for path in drawing)).hexdigest()
