"""How the fixed networks are trained: values of :class:`models.recipe.TrainConfig` but for the epochs.

What two experiments train alike, they train once (:mod:`experiments.jobs`).
"""

from typing import Any

from models.recipe import NATIVE, RECIPES

# Appendix C.2: 2conv1fc on 224x224, in PyTorch.
PAPER: dict[str, Any] = {
    "batch_size": 64, "optimizer": "adam", "learning_rate": 0.001, "schedule": "exponential",
    "weight_decay": 0.0, "initializer": "fan_in",
}  # fmt: skip
# The same on fewer photographs than the paper's, and with Keras' first weights.
TWO_CONV = PAPER | {"flip": True, "shift": 4, "initializer": "glorot"}
# The recipe of python -m models.train, for networks with batch norm.
SMALL_BN: dict[str, Any] = {
    "batch_size": 64, "schedule": "cosine", "learning_rate": 0.03, "flip": True, "shift": 4,
}  # fmt: skip


def short(size: int) -> dict[str, Any]:
    """:data:`SMALL_BN`, of images of any size."""
    del size
    return SMALL_BN


def long(size: int) -> dict[str, Any]:
    """Trains a small network with batch norm out, in compiled code; epochs included."""
    return RECIPES["long"](size).to_json() | {"trainer": NATIVE}


def long_of_field(size: int) -> dict[str, Any]:
    """:func:`long` with shifts of a sixth of the side, as it has them at 48x48: read-outs of one frame are
    shifted alike."""
    return long(size) | {"shift": size // 6}
