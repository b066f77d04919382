"""Seconds and joules of a number of cycles on a board: estimates, each with its band.

    latency = cycles x cycles of the part for each / clock
    energy  = cycles x cycles of the part for each x energy per cycle

Cycles are those of :mod:`export.predict.costs`, which know no wait states; a part may take more for each of
them, which is in the band and not in the nominal value. Clocks are those that a board's start-up sets
(``clock_hz`` of board.json; of the emulated MPS2 and MPS3 boards that of their FPGA images). Nothing here was
measured on hardware. The other two constants are one per core, since published figures are few; a board may
take half or twice the energy of its core's entry.
"""

import dataclasses
from typing import Any

from loggrad_tf.errors import LogGradError


@dataclasses.dataclass(frozen=True)
class Constant:
    """A value with the range in which the truth is expected, its unit and where it is from."""

    low: float
    nominal: float
    high: float
    unit: str
    source: str

    def times(self, factor: float, unit: str) -> "Constant":
        """All three values, scaled to another unit."""
        return Constant(self.low * factor, self.nominal * factor, self.high * factor, unit, self.source)

    def plus(self, other: "Constant", factor: float = 1.0) -> "Constant":
        """Lows, nominals and highs added, the other's ``factor`` times; unit and source are this one's."""
        return dataclasses.replace(
            self,
            low=self.low + factor * other.low,
            nominal=self.nominal + factor * other.nominal,
            high=self.high + factor * other.high,
        )

    def product(self, other: "Constant", unit: str) -> "Constant":
        """Low by low and high by high: the widest band of a product of independent constants."""
        source = f"{self.source}; {other.source}" if self.source != other.source else self.source
        return Constant(
            self.low * other.low, self.nominal * other.nominal, self.high * other.high, unit, source
        )


_CYCLES, _PJ = "cycles per cycle without wait states", "pJ per cycle"
_VWW = "MLPerf Tiny, best visual wake words entry"
_TABLE = "cycles of Arm's reference manual; high: more of its ranges, and wait states"
_NO_TABLE = "no timings are published; instructions"

# What a wait state of the flash adds to a cycle at most: one for every line of 16 bytes of constants that is
# read, instructions being cached (of MLPerf Tiny: 0.02 visual wake words, 0.114 the streaming wake word).
WAIT = 0.115
# More than that an estimate without wait states cannot be out by and still be of use.
_MOST_WAITING = 2.0
# Cycles of an instruction where Arm publishes no table of them.
PER_INSTRUCTION = {"cortex-m7": 0.65, "cortex-m33": 1.0, "cortex-m55": 1.4}
CYCLES = {
    "cortex-m0": Constant(0.95, 1.0, 1.1, _CYCLES, _TABLE),
    "cortex-m0plus": Constant(0.95, 1.0, 1.1, _CYCLES, _TABLE),
    "cortex-m3": Constant(0.9, 1.0, 1.1, _CYCLES, _TABLE),
    "cortex-m4": Constant(0.95, 1.0, 1.1, _CYCLES, _TABLE),
    "cortex-m7": Constant(0.77, 1.0, 1.6, _CYCLES, f"{_NO_TABLE} x 0.65, best 0.5; {_VWW}: 1.12 MAC a cycle"),
    "cortex-m33": Constant(0.9, 1.0, 1.6, _CYCLES, f"{_NO_TABLE} x 1; {_VWW}: 0.79 MAC a cycle"),
    "cortex-m55": Constant(0.7, 1.0, 1.5, _CYCLES, f"{_NO_TABLE} x 1.4: MVE takes two a vector, half hidden"),
}

_L4R5 = Constant(180.0, 365.0, 730.0, _PJ, f"{_VWW}: STM32L4R5")
_U575 = Constant(131.0, 143.0, 290.0, _PJ, f"{_VWW}: STM32U575; low: xG24")
ENERGY = {
    "cortex-m4": _L4R5,
    "cortex-m7": Constant(220.0, 445.0, 890.0, _PJ, f"{_VWW}: STM32H7A3"),
    "cortex-m33": _U575,
    # Nothing was found of these: another core's constant stands in, with a wider band.
    "cortex-m0": dataclasses.replace(_L4R5, low=120.0, high=1100.0, source="stand-in: Cortex-M4"),
    "cortex-m0plus": dataclasses.replace(_L4R5, low=120.0, high=1100.0, source="stand-in: Cortex-M4"),
    "cortex-m3": dataclasses.replace(_L4R5, low=120.0, high=1100.0, source="stand-in: Cortex-M4"),
    "cortex-m55": dataclasses.replace(_U575, low=48.0, high=430.0, source="stand-in: Cortex-M33"),
}

# Visual wake words of MLPerf Tiny, 96x96x3, and its best entry on each part: energy, nJ a MAC, core.
WAKE_WORDS_MACS = 7.49e6
ENTRIES = {
    "STM32L4R5": (0.52, "cortex-m4"),
    "STM32H7A3": (0.40, "cortex-m7"),
    "STM32U575": (0.18, "cortex-m33"),
    "xG24": (0.152, "cortex-m33"),
}


def latency(cycles: float, board: dict[str, Any]) -> Constant:
    """Seconds that ``cycles`` take on a board (as in board.json)."""
    return _cycles(board).times(cycles / board["clock_hz"], "s")


def energy(cycles: float, board: dict[str, Any]) -> Constant:
    """Joules that ``cycles`` take; a low end is fewest cycles at least energy each."""
    each = _cycles(board).product(_of(ENERGY, board), "pJ per cycle without wait states")
    return each.times(cycles * 1e-12, "J")


def _cycles(board: dict[str, Any]) -> Constant:
    """Cycles of a board for each that is predicted: at the high end every line of constants is waited for."""
    of = _of(CYCLES, board)
    waiting = min(1.0 + WAIT * board["flash"].get("wait_states", 0), _MOST_WAITING)
    return dataclasses.replace(of, high=max(of.high, waiting))


def published(macs: float, part: str) -> Constant:
    """Joules of ``macs`` multiply-accumulates at the energy each of a part in :data:`ENTRIES`.

    The band is that of the core's energy a cycle, relative to its nominal value.
    """
    nanojoules, core = ENTRIES[part]
    nominal, each = 1e-9 * nanojoules * macs, ENERGY[core]
    low, high = (nominal * end / each.nominal for end in (each.low, each.high))
    return Constant(low, nominal, high, "J", f"{_VWW} on {part}: {nanojoules:g} nJ a MAC")


def _of(table: dict[str, Constant], board: dict[str, Any]) -> Constant:
    if board["core"] not in table:
        raise LogGradError(f"core {board['core']}: neither time nor energy is known")
    return table[board["core"]]
