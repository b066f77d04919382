"""What the search spaces refuse, in one form, and the limits that they share."""

from loggrad_tf.errors import LogGradError

MIN_SPARSITY, MAX_SPARSITY = 0.1, 0.85


def require(holds: bool, what: str) -> None:
    """Refuse a genotype.

    Raises:
      LogGradError: it does not hold.
    """
    if not holds:
        raise LogGradError(f"genotype outside the search space: {what}")


def require_sparsity(sparsity: float | None) -> None:
    """Refuse a sparsity that is neither None nor 0.1 to 0.85, as :func:`require`."""
    if sparsity is not None:
        require(MIN_SPARSITY <= sparsity <= MAX_SPARSITY, f"sparsity {sparsity}, not 0.1 to 0.85")
