"""How many channels are masked after which batch: by our own formula, or by tfmot's ``PolynomialDecay``.

``tfmot`` is tensorflow-model-optimization. Its pruning takes single weights, which no kernel of ours skips;
its schedule is that of Zhu & Gupta (2017), as ours is, and is asked for the same batches. It is evaluated in
a process of its own (:mod:`loggrad_tf.own_process`), once for all trainings of one length, and comes back as
numbers: float32, so a share may differ from ours in its eighth digit.
"""

import functools

from loggrad_tf import own_process, quiet
from models.recipe import TFMOT, Pruning

# tfmot refuses a final sparsity of 1; shares of this one are exact shares of 1.
_HALF = 0.5


def sparsities(settings: Pruning, total: int) -> dict[int, float]:
    """The share to mask after each batch, of ``total``, after which channels are ranked.

    Raises:
      LogGradError: tensorflow-model-optimization is asked for and not installed.
    """
    cubic = {
        n: share for n in range(1, total + 1) if (share := settings.sparsity_after(n, total)) is not None
    }
    if settings.schedule != TFMOT:
        return cubic
    begin, end = settings.span(total)
    return dict(zip(cubic, (cubic[end] * share for share in _decay(begin, end, tuple(cubic))), strict=True))


@functools.lru_cache(maxsize=16)
def _decay(begin: int, end: int, batches: tuple[int, ...]) -> tuple[float, ...]:
    return own_process.call(_polynomial_decay, begin, end, batches)


def _polynomial_decay(begin: int, end: int, batches: tuple[int, ...]) -> tuple[float, ...]:
    """tfmot's shares of the final sparsity; to be called in a process of its own."""
    quiet.import_tensorflow()
    from tensorflow_model_optimization.sparsity.keras import PolynomialDecay

    schedule = PolynomialDecay(0.0, _HALF, begin, end, power=3)
    return tuple(float(schedule(batch)[1]) / _HALF for batch in batches)
