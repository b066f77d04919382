"""How a search draws and trains its candidates: every knob of it, each defined here and nowhere else.

:mod:`search.run.options` makes a flag of each, :mod:`search.run.flag_table` a line of the documentation; the
values that belong together are the profiles of :mod:`search.run.profiles`.
"""

import dataclasses
from typing import Any

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from loggrad_tf.knob import NONE, Knob, flags_of, knob, named, parts, positive, rising, share
from models.graph import SAME, VALID
from models.recipe import CUBIC, PRUNING_SCHEDULES, TRAINERS, TrainConfig
from search.cost.costs import MODELS
from search.cost.objectives import ERROR, LOSS
from search.space.spaces import MUNAS, SPACES, START_NAMES, WRITTEN, MunasSpace, Space, StagedSpace


@dataclasses.dataclass(frozen=True)
class Final(JsonBase):
    """What the training in full changes of the search's; None: nothing.

    Attributes:
      epochs: of the training in full, if more than the search's.
      label_smoothing, shift, cutout: of :class:`models.recipe.TrainConfig`.
    """

    epochs: int = dataclasses.field(
        default=0,
        metadata=knob(
            "Epochs to train the best networks from scratch at the end, if more than the search's; of few"
            " images more, as --epochs.",
            flag="final_epochs",
            lower=0,
            rare=True,
        ),
    )
    label_smoothing: float | None = None
    shift: int | None = None
    cutout: int | None = None

    def to_json(self) -> dict[str, Any]:
        """What is changed, and the epochs."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def of(self, brief: TrainConfig) -> TrainConfig:
        """The training in full of networks that were trained as ``brief`` says; it is never shorter."""
        changes = self.to_json() | {"epochs": max(brief.epochs, self.epochs)}
        return dataclasses.replace(brief, **changes)


# Journals of searches that were begun before there was a choice do not name these.
_UNNAMED = ("optimizer", "initializer", "cutout", "trainer")

RUNG_SHARE = 0.1
# Knobs of muNAS' space; networks of the staged one all have batch norm and the same padding.
OF_MUNAS = ("varied", "always_bn", "padding")


def beginning(given: str) -> str:
    """The name of a network, or its JSON text; empty of ``none``."""
    if given != NONE and given not in START_NAMES and not given.startswith(WRITTEN):
        raise ValueError(f"give {', '.join(START_NAMES)}, none, or the directory of a search")
    return named(given)


@dataclasses.dataclass(frozen=True)
class Method(JsonBase):
    """How candidates are drawn and trained; what each knob is good for says :mod:`search.strategy.proposal`.

    None, False, 1, ``error``, () and an empty text are muNAS' ways, wherever a knob takes them.
    """

    rounds: int = dataclasses.field(metadata=knob("Candidates in all.", lower=1))
    population: int = dataclasses.field(
        metadata=knob("Ageing population, and so many are drawn at random first.", lower=1, rare=True)
    )
    sample: int = dataclasses.field(metadata=knob("Tournament size, with replacement.", lower=1, rare=True))
    model: str = dataclasses.field(
        metadata=knob(
            "Whose counts the default bounds are on: deployed (RAM of the generated C's image) or munas (1"
            " byte an element, input not counted); both are reported.",
            flag="resources",
            choices=MODELS,
            rare=True,
        )
    )
    pruning: bool = dataclasses.field(
        metadata=knob("A candidate has a sparsity too: channels are pruned in training.")
    )
    max_overrun: float | None = dataclasses.field(
        metadata=knob(
            "Repair or redraw, before training, networks with a cost above this many times its bound; none"
            " trains them all.",
            parse=positive,
            rare=True,
        )
    )
    unique: bool = dataclasses.field(metadata=knob("Never train a network twice.", rare=True))
    children: int = dataclasses.field(
        metadata=knob(
            "Draw so many and train the one where the front of costs is sparsest.", lower=1, rare=True
        )
    )
    elitist: bool = dataclasses.field(
        metadata=knob(
            "Members of the front that are within the bounds stay parents, whatever their age.", rare=True
        )
    )
    rank_by: str = dataclasses.field(
        metadata=knob(
            "Parents and finalists are those of least validation error, or loss.",
            choices=(ERROR, LOSS),
            rare=True,
        )
    )
    rungs: tuple[int, ...] = dataclasses.field(
        metadata=knob(
            "Epochs, separated by commas, at which trainings that learn slower than those of cheaper networks"
            " end, or none; of few images later, as --epochs.",
            parse=rising,
            rare=True,
        )
    )
    varied: bool = dataclasses.field(
        metadata=knob("Larger and more varied steps, in muNAS' space.", rare=True)
    )
    always_bn: bool = dataclasses.field(
        metadata=knob(
            "Batch norm behind every layer of muNAS' space, whatever the genotype says: on the board it is"
            " part of the convolution and costs nothing.",
            rare=True,
        )
    )
    padding: str = dataclasses.field(
        metadata=knob(
            "Convolutions of muNAS' space without zero padding, or with what keeps a map's size.",
            choices=(VALID, SAME),
            rare=True,
        )
    )
    start: str = dataclasses.field(
        metadata=knob(
            f"Begin with a network and its morphs in place of random ones: {', '.join(START_NAMES)}, or what"
            " an earlier search saved, by its directory.",
            parse=beginning,
            rare=True,
        )
    )
    train: TrainConfig = dataclasses.field(
        metadata=parts(
            epochs=Knob(
                "Training epochs per candidate; of fewer than 1,000 images in proportion more.", lower=1
            ),
            fused_bn=Knob("Batch norm by fewer, longer operations than Keras' own.", rare=True),
            trainer=Knob(
                "What trains candidates: tensorflow, or native, which g++ compiles here: the same steps in"
                " less time, from other random numbers.",
                choices=TRAINERS,
            ),
        )
    )
    final: Final
    finalists: int = dataclasses.field(
        metadata=knob(
            "So many are trained for --final_epochs; the best on validation is saved.", lower=1, rare=True
        )
    )
    final_seeds: int = dataclasses.field(
        metadata=knob(
            "Seeds that each of them is trained with; their mean chooses the network.", lower=1, rare=True
        )
    )
    space: str = dataclasses.field(
        default=MUNAS,
        metadata=knob(
            "Draw from stages as people make them, scaled to the bounds, or from muNAS' space.",
            choices=SPACES,
        ),
    )
    pruning_schedule: str = dataclasses.field(
        default=CUBIC,
        metadata=knob(
            "With --pruning, how many channels go when: by our formula, or by PolynomialDecay of"
            " tensorflow-model-optimization, which is the same.",
            choices=PRUNING_SCHEDULES,
        ),
    )

    rung_share: float = dataclasses.field(
        default=RUNG_SHARE,
        metadata=knob(
            "Share of the networks that cost no more which must have learned faster for a training to end at"
            " a rung; what learns fastest is not what is best once it is trained out.",
            parse=share,
            rare=True,
        ),
    )

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise LogGradError(f"space '{self.space}', not one of {', '.join(SPACES)}")
        if self.pruning_schedule not in PRUNING_SCHEDULES:
            known = ", ".join(PRUNING_SCHEDULES)
            raise LogGradError(f"pruning schedule '{self.pruning_schedule}', not one of {known}")

    def to_json(self) -> dict[str, Any]:
        """Fields by name; what journals of before do not name only where it is not the default."""
        found, usual = super().to_json(), TrainConfig()
        if self.space == MUNAS:
            del found["space"]
        if self.rung_share == RUNG_SHARE:
            del found["rung_share"]
        if self.pruning_schedule == CUBIC:
            del found["pruning_schedule"]
        for name in _UNNAMED:
            if getattr(self.train, name) == getattr(usual, name):
                del found["train"][name]
        return found

    @property
    def drawn_from(self) -> Space[Any]:
        """Its space."""
        if self.space == MUNAS:
            return MunasSpace(self.padding, self.always_bn, self.varied)
        return StagedSpace()

    @property
    def reached_rungs(self) -> tuple[int, ...]:
        """The rungs that lie below the epochs of a training."""
        return tuple(rung for rung in self.rungs if rung < self.train.epochs)


METHOD_FLAGS = flags_of(Method)
