"""Which photographs ``synthetic`` asks for: the built-in collection, or so many of another one.

synthetic                       the built-in collection (:mod:`loggrad_tf.data.synthetic`)
synthetic:PHOTOGRAPHS@SEED      a collection of its own: to test on more than the built-in one has, or to
                                train on more
"""

import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Self

from loggrad_tf.errors import LogGradError

# What they look like depends on these.
_DRAWING = ("data/synthetic.py", "scene/*.py")
_NAME = "synthetic"
MAX_PHOTOGRAPHS = 100_000


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A collection of drawn photographs.

    Attributes:
      others: photographs and seed; None: the built-in collection.
    """

    others: tuple[int, int] | None = None

    @classmethod
    def of(cls, spec: str) -> Self | None:
        """The one that ``spec`` asks for; None if it asks for another source.

        Raises:
          LogGradError: none or too many of them.
        """
        if spec == _NAME:
            return cls()
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
        return self._code if self.others is None else [self._code, *self.others]

    @property
    def folder(self) -> str:
        """A name for where they lie."""
        return "-".join([_NAME, self._code[:16], *map(str, self.others or ())])

    def write(self, directory: Path) -> None:
        """Draw them as a PASCALRAW archive."""
        from loggrad_tf.data import synthetic  # the drawing code, which only this source needs

        synthetic.write_archive(directory, *self.others or ())

    @property
    def _code(self) -> str:
        package = Path(__file__).parent.parent
        drawing = sorted(path for pattern in _DRAWING for path in package.glob(pattern))
        return hashlib.sha256(b"".join(path.read_bytes() for path in drawing)).hexdigest()
