"""The search spaces by one interface: what a search needs to know of the one it draws from."""

import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

from loggrad_tf.errors import LogGradError
from models.graph import VALID, Graph
from search.space import assembly, cells, filling, floors, mutation, staged, staged_morphs, starts
from search.space import genotype as munas
from search.space.filling import Shares
from search.space.genotype import Genotype
from search.space.staged import Staged

MUNAS, STAGED = "munas", "staged"
SPACES = (MUNAS, STAGED)
# Networks made by hand that a search may begin with: points of both spaces, and detectors.
START_NAMES = (*(name for name in starts.STARTS if name in staged.STARTS), *cells.STARTS)

# What the JSON text of any other network begins with.
WRITTEN = "{"

# A point of any space; JSON tells them apart by their keys.
AnyGenotype = Genotype | Staged
Of = TypeVar("Of")


class Space(Protocol[Of]):
    """Networks to draw from.

    Attributes:
      first: the network made by hand that is drawn before any random network; empty: none.
      narrowest: networks one of which has the least of each cost.
    """

    @property
    def first(self) -> str: ...

    @property
    def narrowest(self) -> tuple[Of, ...]: ...

    def start(self, name: str) -> Of:
        """A network made by hand, by name, or any of this space, by its JSON text.

        Raises:
          LogGradError: a text of another space, or a damaged one.
        """

    def draw(self, rng: np.random.Generator, pruned: bool, shares: Shares[Of]) -> Of:
        """A random network, made to fit as far as that goes; with a sparsity if ``pruned``."""

    def child(
        self,
        parent: Of,
        rng: np.random.Generator,
        assembled: Callable[[Of], Graph],
        shares: Shares[Of],
    ) -> tuple[Of, str]:
        """A network a few steps away that differs once it is ``assembled``, and the names of the steps."""

    def scaled(self, genotype: Of, factor: float) -> Of:
        """All widths times ``factor``, within the space."""

    def assemble(self, genotype: Of, input_shape: tuple[int, int, int], classes: int) -> Graph:
        """The network for maps of ``input_shape`` (H, W, C) and ``classes`` >= 2."""


_Written = TypeVar("_Written", Genotype, Staged)


def _written(kind: type[_Written], text: str) -> _Written:
    """The network that a JSON text is of."""
    try:
        return kind.from_json(json.loads(text))
    except (LogGradError, ValueError) as error:
        raise LogGradError(f"--start: no network of this space ({error}): give --space as it was") from None


@dataclasses.dataclass(frozen=True)
class MunasSpace:
    """muNAS' space (:mod:`search.space.genotype`).

    Attributes:
      padding: of all convolutions, ``valid`` or ``same``.
      always_bn: batch norm behind every layer, whatever the genotype says.
      varied: larger and more varied steps, see :mod:`search.space.mutation`.
    """

    padding: str = VALID
    always_bn: bool = False
    varied: bool = False

    @property
    def first(self) -> str:
        return ""

    @property
    def narrowest(self) -> tuple[Genotype, ...]:
        return floors.narrowest()

    def start(self, name: str) -> Genotype:
        return starts.STARTS[name] if name in starts.STARTS else _written(Genotype, name)

    def draw(self, rng: np.random.Generator, pruned: bool, shares: Shares[Genotype]) -> Genotype:
        return filling.repaired(munas.random_genotype(rng, pruned), shares, rng)

    def child(
        self,
        parent: Genotype,
        rng: np.random.Generator,
        assembled: Callable[[Genotype], Graph],
        shares: Shares[Genotype],
    ) -> tuple[Genotype, str]:
        del shares  # a child that is over a bound is drawn anew
        return mutation.mutate(parent, rng, assembled, self.varied)

    def scaled(self, genotype: Genotype, factor: float) -> Genotype:
        return munas.scaled(genotype, factor)

    def assemble(self, genotype: Genotype, input_shape: tuple[int, int, int], classes: int) -> Graph:
        drawn = munas.normalised(genotype) if self.always_bn else genotype
        return assembly.assemble(drawn, input_shape, classes, self.padding)


@dataclasses.dataclass(frozen=True)
class StagedSpace:
    """The staged space (:mod:`search.space.staged`)."""

    _steps = staticmethod(staged_morphs.steps)

    @property
    def first(self) -> str:
        return "small_bn"

    @property
    def narrowest(self) -> tuple[Staged, ...]:
        return floors.narrowest_staged()

    def start(self, name: str) -> Staged:
        return staged.STARTS[name] if name in staged.STARTS else _written(Staged, name)

    def draw(self, rng: np.random.Generator, pruned: bool, shares: Shares[Staged]) -> Staged:
        return filling.filled(staged.random_staged(rng, pruned), shares, rng)

    def child(
        self,
        parent: Staged,
        rng: np.random.Generator,
        assembled: Callable[[Staged], Graph],
        shares: Shares[Staged],
    ) -> tuple[Staged, str]:
        fitted = functools.partial(filling.fitted, shares=shares)
        return staged_morphs.mutate(parent, rng, assembled, fitted, self._steps)

    def scaled(self, genotype: Staged, factor: float) -> Staged:
        return staged.scaled(genotype, factor)

    def assemble(self, genotype: Staged, input_shape: tuple[int, int, int], classes: int) -> Graph:
        return staged.assemble(genotype, input_shape, classes)


@dataclasses.dataclass(frozen=True)
class CellsSpace(StagedSpace):
    """The space of detectors (:mod:`search.space.cells`)."""

    _steps = staticmethod(cells.steps)

    @property
    def first(self) -> str:
        return "cells"

    @property
    def narrowest(self) -> tuple[Staged, ...]:
        return floors.narrowest_cells()

    def start(self, name: str) -> Staged:
        found = cells.STARTS[name] if name in cells.STARTS else _written(Staged, name)
        if not cells.reaches(found):
            raise LogGradError(
                f"--start: no detector of stride {cells.STRIDE}: give the directory of a search for one"
            )
        return found

    def draw(self, rng: np.random.Generator, pruned: bool, shares: Shares[Staged]) -> Staged:
        return filling.filled(cells.random_cells(rng, pruned), shares, rng)

    def assemble(self, genotype: Staged, input_shape: tuple[int, int, int], classes: int) -> Graph:
        return cells.assemble(genotype, input_shape, classes)
