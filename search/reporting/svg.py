"""Pictures in SVG, as text: axes, ticks, marks and curves. What they show is none of this module's business.

Lengths are units of a picture's view box, which is about as many pixels wide as the page gives it; letters
are 13 units tall so that they can be read at half size. Nothing here trusts its text: :func:`escape` stands
before everything that is not a number.
"""

import dataclasses
import html
import itertools
import math
from collections.abc import Iterable, Sequence

# Okabe and Ito's colours; each series has a shape of its own too, and can be told apart without colour.
GREY, BLACK, BLUE, VERMILLION = "#8a8a8a", "#1a1a1a", "#0072B2", "#D55E00"
SERIES = (
    (BLUE, "square"),
    (VERMILLION, "triangle"),
    ("#009E73", "diamond"),
    ("#CC79A7", "circle"),
    ("#E69F00", "plus"),
    ("#56B4E9", "down"),
    (BLACK, "cross"),
)
Spot = tuple[float, float]


def _ring(corners: int, turn: float, *radii: float) -> tuple[Spot, ...]:
    """Corners round the origin, evenly spaced from ``turn`` (0 is up), at the radii in turns."""
    angles = [2 * math.pi * (turn + i) / corners for i in range(corners)]
    return tuple(
        (radii[i % len(radii)] * math.sin(angle), -radii[i % len(radii)] * math.cos(angle))
        for i, angle in enumerate(angles)
    )


_HALF = ((-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4))
_PLUS = (*_HALF, *((-x, -y) for x, y in _HALF))
# Corners of marks of about the same area, for a size of 1.
_SHAPES: dict[str, tuple[Spot, ...]] = {
    "square": _ring(4, 0.5, 1.2),
    "triangle": _ring(3, 0, 1.35),
    "down": _ring(3, 0.5, 1.35),
    "diamond": _ring(4, 0, 1.3),
    "circle": _ring(16, 0, 1.0),
    "plus": _PLUS,
    "cross": tuple(((x - y) * 0.71, (x + y) * 0.71) for x, y in _PLUS),
    "star": _ring(10, 0, 1.5, 0.6),
}


def escape(text: object) -> str:
    """Text that cannot end an element or an attribute."""
    return html.escape(str(text), quote=True)


def number(value: float) -> str:
    """A value on an axis: 0.5, 20, 1.5k, 2M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.4g}{letter}"
    return f"{value:.4g}"


def place(value: float) -> str:
    """A coordinate, to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")


@dataclasses.dataclass(frozen=True)
class Axis:
    """A scale from values ``low .. high`` to places ``start .. end``, linear or logarithmic.

    ``whole``: it counts things, so that its ticks are whole numbers.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def at(self, value: float) -> float:
        low, high = self._warped(self.low), self._warped(self.high)
        return self.start + (self._warped(value) - low) / (high - low) * (self.end - self.start)

    def _warped(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value

    def ticks(self, most: int = 7) -> list[float]:
        """Round values within the axis, at most ``most`` or so."""
        if self.log:
            return _log_ticks(self.low, self.high, most)
        least = 1.0 if self.whole else 0.0
        return _linear_ticks(self.low, self.high, most, least)

    @property
    def data(self) -> str:
        """For the page's script: low, high, start, end, 1 if logarithmic."""
        return f"{self.low:.9g} {self.high:.9g} {place(self.start)} {place(self.end)} {int(self.log)}"


def _linear_ticks(low: float, high: float, most: int, least: float = 0.0) -> list[float]:
    """Multiples of a round step of at least ``least``."""
    rough = max((high - low) / most, least)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for factors in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high]
        if len(found) <= most:
            break
    if len(found) > most:
        found = found[:: -(-len(found) // most)]
    return found if len(found) >= 4 or high > 20 * low else _linear_ticks(low, high, most)


def span(values: Iterable[float], log: bool, reach: float = 0.05) -> tuple[float, float]:
    """The ends of an axis that shows ``values``, with a margin of ``reach`` of its length."""
    found = sorted(values)
    low, high = (found[0], found[-1]) if found else (1.0, 10.0)
    if log:
        low = max(low, 1e-9)
        ratio = max(high / low, 1.5) ** reach
        return low / ratio, high * ratio
    margin = (high - low) * reach or abs(high) * reach or 1.0
    return low - margin, high + margin


def label(x: float, y: float, text: object, anchor: str = "middle", cls: str = "", extra: str = "") -> str:
    named = f' class="{cls}"' if cls else ""
    return f'<text x="{place(x)}" y="{place(y)}" text-anchor="{anchor}"{named}{extra}>{escape(text)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, cls: str, extra: str = "") -> str:
    return f'<path class="{cls}" d="M{place(x1)} {place(y1)}L{place(x2)} {place(y2)}"{extra}/>'


def frame(x: Axis, y: Axis, x_title: str, y_title: str, x_scale: float = 1, y_scale: float = 1) -> str:
    """Grid, tick labels and titles. Scales turn values into the unit that the titles give."""
    parts = []
    shown = dataclasses.replace(x, low=x.low * x_scale, high=x.high * x_scale)
    for tick in shown.ticks():
        at = shown.at(tick)
        parts.append(line(at, y.start, at, y.end, "grid"))
        parts.append(label(at, y.start + 18, number(tick)))
    shown = dataclasses.replace(y, low=y.low * y_scale, high=y.high * y_scale)
    for tick in shown.ticks():
        at = shown.at(tick)
        parts.append(line(x.start, at, x.end, at, "grid"))
        parts.append(label(x.start - 7, at + 4.5, number(tick), "end"))
    parts.append(f'<path class="axis" d="M{place(x.start)} {place(y.end)}V{place(y.start)}H{place(x.end)}"/>')
    parts.append(label((x.start + x.end) / 2, y.start + 38, x_title, cls="title"))
    middle = (y.start + y.end) / 2
    turn = f' transform="rotate(-90 14 {place(middle)})"'
    parts.append(label(14, middle, y_title, cls="title", extra=turn))
    return "".join(parts)


def dots(spots: Iterable[Spot], cls: str, colour: str | None = None) -> str:
    """Many round dots as one path: a line of no length with round ends each."""
    path = "".join(f"M{place(x)} {place(y)}h0" for x, y in spots)
    return f'<path class="{cls}" d="{path}"{_stroke(colour)}/>' if path else ""


def crosses(spots: Iterable[Spot], cls: str, size: float = 2.4, colour: str | None = None) -> str:
    """Many small crosses as one path."""
    full = place(2 * size)
    arms = f"l{full} {full}m0-{full}l-{full} {full}"
    path = "".join(f"M{place(x - size)} {place(y - size)}{arms}" for x, y in spots)
    return f'<path class="{cls}" d="{path}"{_stroke(colour)}/>' if path else ""


def _stroke(colour: str | None) -> str:
    return f' stroke="{colour}"' if colour else ""


def marks(shape: str, spots: Iterable[Spot], size: float, colour: str, extra: str = "") -> str:
    """Many filled marks of a series as one path."""
    corners = [(x * size, y * size) for x, y in _SHAPES[shape]]
    steps = "".join(
        f"l{place(x2 - x1)} {place(y2 - y1)}" for (x1, y1), (x2, y2) in itertools.pairwise(corners)
    )
    left, top = corners[0]
    path = "".join(f"M{place(x + left)} {place(y + top)}{steps}z" for x, y in spots)
    return f'<path class="mark" d="{path}" fill="{colour}"{extra}/>' if path else ""


def curve(spots: Sequence[Spot], cls: str, extra: str = "") -> str:
    """A line through all spots."""
    if not spots:
        return ""
    path = "M" + "L".join(f"{place(x)} {place(y)}" for x, y in spots)
    return f'<path class="{cls}" d="{path}"{extra}/>'


def stairs(spots: Sequence[Spot], end: float, cls: str, extra: str = "") -> str:
    """Steps through spots of rising x: level until the next one, the last until ``end``."""
    if not spots:
        return ""
    path = f"M{place(spots[0][0])} {place(spots[0][1])}"
    for x, y in spots[1:]:
        path += f"H{place(x)}V{place(y)}"
    return f'<path class="{cls}" d="{path}H{place(end)}"{extra}/>'


def picture(width: float, height: float, body: str, name: str, cls: str = "", extra: str = "") -> str:
    """A picture as wide as its place on the page; ``name`` says what it shows."""
    return (
        f'<svg class="{cls}" viewBox="0 0 {place(width)} {place(height)}" role="img"'
        f' aria-label="{escape(name)}"{extra}>{body}</svg>'
    )
