"""What a sensor's noise makes of the log gradient."""

import math

from loggrad_tf.errors import LogGradError


def gradient_noise(light: float = 0.18, full_well: float = 9000.0, read_noise: float = 4.5) -> float:
    """Standard deviation of g, natural log, where nothing is to be seen but noise.

    A photosite that collects s electrons reads s with variance ``s + r^2``: shot and read noise (EMVA 1288,
    linear model). To first order ``Var log P = (s + r^2) / s^2`` for P well above the offset c, and
    g is a sum of four independent logarithms, so ``sigma(g) = 2 sqrt(s + r^2) / s``, two over the
    signal-to-noise ratio. The defaults are those of the sensor of :mod:`loggrad_tf.data.imitation`, at middle
    grey: 0.05. A threshold of one sigma gives an edge to 32 % of the pixels of a flat surface
    that bright, one of two sigma to 5 %.

    Args:
      light: share of the full well that is filled, above 0, up to 1.
      full_well: electrons.
      read_noise: r, electrons, one standard deviation.
    """
    if not (0 < light <= 1 and full_well > 0 and read_noise >= 0):
        raise LogGradError(
            f"noise at light {light}, full well {full_well}, read noise {read_noise}: light must lie in 0..1,"
            " 0 excluded, electrons must be positive"
        )
    signal = light * full_well
    return 2 * math.sqrt(signal + read_noise**2) / signal
