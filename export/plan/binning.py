"""Binning on the board: which loop of lg_bin.h does :mod:`loggrad_tf.transform.binning`, and its sums."""

from loggrad_tf.transform.sensor import Sensor


def is_wide(sensor: Sensor, factor: int) -> bool:
    """Do sums of all rows but the last need more than 16 bits?"""
    return factor * (factor - 1) * sensor.span >= 2**16


def loop(sensor: Sensor, factor: int, code_bytes: int) -> str:
    """Name of the function of lg_bin.h."""
    return f"lg_bin_{factor}_{8 * code_bytes}{'_wide' if is_wide(sensor, factor) else ''}"


def sums_macro(sensor: Sensor, factor: int) -> str:
    """Name of the macro of lg_bin.h that counts the elements of ``uint16_t sums[]``."""
    return f"LG_BIN_SUMS{'_WIDE' if is_wide(sensor, factor) else ''}"


def sums_bytes(sensor: Sensor, factor: int, pixels: int) -> int:
    """Bytes of ``uint16_t sums[]`` for a row of ``pixels``."""
    return 2 * (pixels + (pixels + 1) // 2 if is_wide(sensor, factor) else pixels)
