"""Light by hour and weather: the sun's path, twilight, street lamps, and how far one sees.

Irradiances are shares of a clear noon's, so a night under street lamps is thousands of times darker than a
day, as it is. The sun follows latitude 50 degrees; dusk fades by a factor of e for each degree that it sinks.
"""

import dataclasses

import numpy as np

_LATITUDE = np.radians(50.0)
# Of a street lamp straight below it: 20 lux, where a clear noon has 100 000.
LAMP = 2e-4
_STARS = 2e-6
# Lamps and headlights are lit below this height of the sun, degrees.
_LIT = 1.5
# Share of the sun that comes through, of the sky's light, and metres at which a thing is half veiled.
WEATHERS = {
    "clear": (1.0, 1.0, 3000.0),
    "cloudy": (0.45, 1.2, 1500.0),
    "overcast": (0.0, 0.9, 600.0),
    "haze": (0.2, 1.1, 45.0),
}
_OFTEN = (0.45, 0.2, 0.2, 0.15)


@dataclasses.dataclass(frozen=True)
class Day:
    """One day: the weather, the sun's declination in radians, a colour of the light (green = 1)."""

    weather: str
    declination: float
    tone: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Hour:
    """Light at one time of one day.

    Attributes:
      direction: unit vector towards the sun in the view's axes, Z > 0; after sunset where it set.
      sun: irradiance square to it; 0 if it is not seen.
      sky: irradiance of the ground by the sky.
      lamps: irradiance below a street lamp; 0 by day.
      sight: metres at which half of what is seen is veil.
    """

    direction: np.ndarray
    sun: float
    sky: float
    lamps: float
    sight: float

    @property
    def unit(self) -> float:
        """What the ground has where neither house nor figure shades it."""
        return self.sun * float(self.direction[2]) + self.sky + self.lamps

    @property
    def by_day(self) -> float:
        """Share of daylight in ``unit``: 1 by day, nearly 0 at night."""
        return 1.0 - self.lamps / self.unit


def random_day(rng: np.random.Generator) -> Day:
    """A day from March to September."""
    weather = str(rng.choice(list(WEATHERS), p=_OFTEN))
    warm = float(rng.normal(0.0, 0.06))
    return Day(weather, float(np.radians(rng.uniform(-8.0, 23.4))), (1.0 + warm, 1.0, 1.0 - warm))


def elevation(day: Day, minute: float) -> tuple[float, float]:
    """Height of the sun and its azimuth from the south, westwards, both in radians; minutes of solar time."""
    turn = np.pi * (minute / 720.0 - 1.0)
    sine = np.sin(_LATITUDE) * np.sin(day.declination) + np.cos(_LATITUDE) * np.cos(day.declination) * np.cos(
        turn
    )
    west = np.cos(day.declination) * np.sin(turn)
    south = np.sin(_LATITUDE) * np.cos(day.declination) * np.cos(turn) - np.cos(_LATITUDE) * np.sin(
        day.declination
    )
    return float(np.arcsin(sine)), float(np.arctan2(west, south))


def hour_of(day: Day, minute: float, south: float) -> Hour:
    """Light at ``minute`` of the day; ``south``: its direction in the view, radians from X towards Y."""
    high, azimuth = elevation(day, minute)
    through, diffuse, sight = WEATHERS[day.weather]
    degrees = float(np.degrees(high))
    sun = through * float(np.exp(-0.18 / max(np.sin(high), 0.02))) if degrees > 1.0 else 0.0
    dusk = 0.012 * float(np.exp(min(degrees, 0.0)))
    sky = diffuse * (dusk + 0.22 * max(np.sin(high), 0.0)) + _STARS
    if through == 0.0:
        sky += 0.25 * max(np.sin(high), 0.0)
    shown = max(high, np.radians(4.0))
    turned = south - azimuth
    direction = np.array([np.cos(shown) * np.cos(turned), np.cos(shown) * np.sin(turned), np.sin(shown)])
    return Hour(direction, sun, sky, LAMP if degrees < _LIT else 0.0, sight)
