"""How a float network becomes int8, as values; without TensorFlow, so a command can name defaults."""

import dataclasses

from loggrad_tf.errors import LogGradError
from models.recipe import TFMOT

# Who trains rounded: :mod:`export.quantization.qat`, or :mod:`export.quantization.tfmot`.
OURS = "ours"
TRAINERS = (OURS, TFMOT)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What may be chosen of a conversion.

    Attributes:
      calibration: training images that set the ranges of the activations.
      epochs: of quantised training; None: the network is converted as it is.
      ternary_first: weights -a, 0, a of the convolution that reads the input, with quantised training only.
      trainer: of quantised training, one of :data:`TRAINERS`.
    """

    calibration: int = 512
    epochs: int | None = None
    ternary_first: bool = False
    trainer: str = OURS

    def __post_init__(self) -> None:
        if self.calibration < 1 or (self.epochs is not None and self.epochs < 1):
            raise LogGradError(
                f"a conversion with {self.calibration} images and {self.epochs} epochs: give at least 1"
            )
        if self.ternary_first and self.epochs is None:
            raise LogGradError("--ternary_first: such weights have to be trained; add --qat")
        if self.trainer not in TRAINERS:
            raise LogGradError(f"trainer '{self.trainer}': choose one of {', '.join(TRAINERS)}")
        if self.trainer != OURS and self.epochs is None:
            raise LogGradError(f"--trainer={self.trainer}: nothing is trained without --qat; add it")
