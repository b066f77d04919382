"""Profiles: values of all knobs that belong together.

``quick`` takes minutes on two cores; of detectors it is ``detect``. ``paper`` is the paper's appendix C.1
(2000 candidates of 80 epochs, pruning) with everything that makes it cheaper. ``faithful`` is the same as
muNAS did it: whatever is drawn is trained to the end.

Epochs and rungs of a profile are meant for :data:`loggrad_tf.data.summary.FEW` training images or more
(:func:`for_images`).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from loggrad_tf.data.sides import Size, sides
from loggrad_tf.data.summary import FEW
from loggrad_tf.knob import Flag, text
from models.graph import SAME, VALID
from models.recipe import DETECTOR_RECIPES, LONGEST, NATIVE, OVERFITTING, TrainConfig, cutout_of
from search.cost.objectives import ERROR, LOSS, Bounds
from search.space.spaces import STAGED
from search.strategy.method import METHOD_FLAGS, Final, Method

# A million multiply-accumulates, the default bound on those, at the 0.52 nJ of a Cortex-M4.
ENERGY = 5e-4
# An error is 1 - F1 there; of whole frames the stem alone takes a million.
DETECTOR_BOUNDS = Bounds(error=0.5, peak_memory=16_000, macs=3_000_000)

_FAITHFUL = Method(
    rounds=2000,
    population=100,
    sample=25,
    model="munas",
    pruning=True,
    max_overrun=None,
    unique=False,
    children=1,
    elitist=False,
    rank_by=ERROR,
    rungs=(),
    varied=False,
    always_bn=False,
    padding=VALID,
    start="",
    train=TrainConfig(fused_bn=False),
    final=Final(),
    finalists=1,
    final_seeds=1,
)
_PAPER = dataclasses.replace(
    _FAITHFUL,
    model="deployed",
    max_overrun=1.0,
    unique=True,
    children=8,
    rungs=(8, 20, 40),
    varied=True,
    always_bn=True,
    train=TrainConfig(),
)
_QUICK = dataclasses.replace(
    _PAPER,
    rounds=64,
    # Many random draws first: they are good ones, and what evolution prefers after so brief trainings ends no
    # better (docs/results.md).
    population=24,
    sample=8,
    rung_share=0.5,
    rank_by=LOSS,
    children=1,
    pruning=False,
    always_bn=False,
    padding=SAME,
    space=STAGED,
    rungs=(2, 4),
    # Candidates are trained as those in full are: what is best by another recipe is not what is best by this.
    train=TrainConfig(epochs=8, batch_size=64, schedule="cosine", flip=True, shift=8, label_smoothing=0.1),
    final=Final(epochs=100),
    finalists=3,
)
PROFILES = {"quick": _QUICK, "paper": _PAPER, "faithful": _FAITHFUL}
DETECT = "detect"
_DETECT = dataclasses.replace(
    _QUICK,
    rank_by=ERROR,
    train=dataclasses.replace(DETECTOR_RECIPES["quick"], epochs=6, trainer=NATIVE),
    final=Final(epochs=DETECTOR_RECIPES["quick"].epochs),
)
# Those that flags name, and that of detectors.
ALL_PROFILES = {**PROFILES, DETECT: _DETECT}
# Seconds of a search for detectors that is told neither a budget nor how many of everything.
DETECT_BUDGET = 900.0
# Those that end as the paper's searches do: no hand-made network competes with what is found, and finalists
# are judged by what the search ranks by.
PLAIN = ("paper", "faithful")


def for_images(profile: Method, images: int) -> Method:
    """A profile's method for a training split of so many images.

    Of fewer than ``FEW``, epochs and rungs grow until a training, and each rung of it, has seen as many
    images as of ``FEW``. After two epochs of three steps no network has learned anything, and all would be
    stopped. Fewer than a batch are one step an epoch, as a batch is, and have no more epochs than that.
    """
    if images >= FEW:
        return profile
    images = max(images, min(profile.train.batch_size, FEW))

    def as_long(epochs: int) -> int:
        return -(-epochs * FEW // images)

    return dataclasses.replace(
        profile,
        rungs=tuple(as_long(rung) for rung in profile.rungs),
        train=dataclasses.replace(profile.train, epochs=as_long(profile.train.epochs)),
        final=dataclasses.replace(profile.final, epochs=as_long(profile.final.epochs)),
    )


def longest(images: int, profile: str = "quick") -> int:
    """Epochs beyond which a training gains nothing: those of the recipe ``long``, of few images more."""
    epochs = DETECTOR_RECIPES["long"].epochs if profile == DETECT else LONGEST
    method = ALL_PROFILES[profile]
    final = dataclasses.replace(method.final, epochs=epochs)
    return for_images(dataclasses.replace(method, final=final), images).final.epochs


def trained_out(name: str, method: Method, size: Size) -> Method:
    """``method`` of profile ``name``; finalists that train so long that they would overfit have squares cut
    out of their inputs, but for detectors. No image is moved by more than it is wide.

    Args:
      size: of the networks' input.
    """
    if name in PLAIN:
        return method
    cutout = cutout_of(size) if method.final.epochs >= OVERFITTING and name != DETECT else None
    return dataclasses.replace(
        method,
        train=dataclasses.replace(method.train, shift=min(method.train.shift, min(sides(size)) - 1)),
        final=dataclasses.replace(method.final, cutout=cutout),
    )


def default_bounds(
    model: str, board: Mapping[str, Any] | None = None, energy: bool = False, detects: bool = False
) -> Bounds:
    """The bounds of a search that names none.

    Args:
      model: whose counts they are on; of ``deployed`` the whole image has what the paper gives the maps.
      board: facts of a board with memory, of which an image may fill all; then nothing bounds its weights.
      energy: it is an objective, bounded by :data:`ENERGY`.
      detects: a detector sees whole frames, not crops.
    """
    found = DETECTOR_BOUNDS if detects else Bounds()
    if board is not None:
        memory = {"ram": board["ram"]["length"], "flash": board["flash"]["length"]}
        found = dataclasses.replace(found, peak_memory=None, size=None, **memory)
    elif model != "munas":
        found = dataclasses.replace(found, peak_memory=None, ram=found.peak_memory)
    return dataclasses.replace(found, energy=ENERGY) if energy else found


def values(flag: Flag) -> dict[str, str]:
    """What a knob of a method or of bounds is in each profile, as text."""
    owners = PROFILES if flag in METHOD_FLAGS else BOUNDS
    return {name: text(flag.of(owner)) for name, owner in owners.items()}


def in_short(flag: Flag) -> str:
    """The same in a few words, for the help of its flag."""
    quick, paper, faithful = values(flag).values()
    found = quick if quick == paper else f"quick {quick}, paper {paper}"
    return found if faithful == paper else f"{found}; faithful {faithful}"


BOUNDS = {name: default_bounds(profile.model) for name, profile in PROFILES.items()}
