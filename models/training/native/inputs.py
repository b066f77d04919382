"""What a network is given: pixels drawn and moved by NumPy's numbers, encoded in C++ bit for bit as
:meth:`loggrad_tf.transform.frontend.FrontEnd.encode` has it."""

import ctypes

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import MONO
from models.moves import Moves, extra_of
from models.recipe import TrainConfig
from models.training.native import library


class Inputs:
    """Linear pixels behind a front end.

    Args:
      pixels: P of ``front_end.sensor``, uint16 (N, H, W).
      cutout: side of the square that is cut out of some images.
    """

    def __init__(self, pixels: np.ndarray, front_end: FrontEnd, cutout: int = 0) -> None:
        self.pixels = np.ascontiguousarray(pixels, np.uint16)
        _, rows, columns = self.pixels.shape
        kind, values, logarithms = library.LEVELS, np.zeros(0, np.float32), np.zeros(0)
        self._mosaic = front_end.sensor.cfa != MONO
        span = np.arange(front_end.sensor.span + 1, dtype=np.uint16)
        if front_end.format == "loggrad_fp":
            # The logarithms that reference.log_gradient adds up.
            kind, logarithms = library.LOG_GRADIENT, np.log(span.astype(np.float64) + front_end.offset)
        elif not front_end.levels:
            kind, values = library.TABLE, np.ascontiguousarray(front_end.encode(span[None])[0, :, 0])
        gradient = kind != library.TABLE
        if not gradient and self.pixels.size and self.pixels.max() > front_end.sensor.span:
            raise LogGradError(f"pixel {self.pixels.max()} is beyond the sensor's {front_end.sensor.span}")
        ratios = np.array(front_end.ratios, np.int32)
        self._held = (values, logarithms, ratios)
        valid = int(gradient and front_end.border == "valid")
        self.shape = rows - 2 * valid, columns - 2 * valid
        self.struct = library.FrontEndStruct(
            format=kind,
            rows=rows,
            columns=columns,
            valid=valid,
            offset=front_end.offset,
            shift=front_end.shift,
            ratio_count=len(ratios),
            ratios=library.pointer(ratios),
            values=library.pointer(values),
            logarithms=library.pointer(logarithms),
            last=columns - 2 if self._mosaic and columns % 2 == 0 else columns - 1,
            cutout=cutout,
        )

    def draws(self, generator: np.random.Generator, count: int, config: TrainConfig) -> np.ndarray:
        """What becomes of ``count`` images, :data:`models.training.native.library.DRAW`.

        As :func:`models.training.batches.augment` and :func:`models.training.batches.cut_out` draw it.
        """
        drawn = np.zeros(count, library.DRAW)
        if config.shift:
            step = 2 if self._mosaic else 1
            steps = config.shift // step
            for name in ("rows", "columns"):
                drawn[name] = step * generator.integers(-steps, steps + 1, count)
        if config.flip:
            drawn["mirrored"] = generator.random(count) < 0.5
        if config.zoom and not self._mosaic:
            drawn["extra"] = extra_of(generator.uniform(-1, 1, count), config.zoom)
        if config.cutout:
            half = config.cutout // 2
            drawn["cut"] = generator.random(count) < 0.5
            for name, size in zip(("top", "left"), self.shape, strict=True):
                drawn[name] = generator.integers(-half, size - half, count)
        return drawn

    def moves(self, draws: np.ndarray) -> Moves:
        """How draws move the images."""
        fields = (draws[name] for name in ("rows", "columns", "mirrored", "extra"))
        return Moves(self.struct.last, *fields)

    def encoded(self, draws: np.ndarray | None = None) -> np.ndarray:
        """All images as the network sees them, float32 (N, H, W, 1).

        Args:
          draws: one an image; None leaves the images as they are.
        """
        out = np.empty((len(self.pixels), *self.shape, 1), np.float32)
        given = None if draws is None else library.pointer(draws)
        status = library.load().native_encode(
            ctypes.byref(self.struct),
            library.pointer(self.pixels),
            len(self.pixels),
            given,
            library.pointer(out),
        )
        check(status)
        return out


def check(status: int) -> None:
    """Raises MemoryError for what a compiled function returns when it finds none."""
    if status:
        raise MemoryError("no memory for a training step")
