"""The street before a fixed camera: where each pixel's ray ends, and what it meets there.

A row of houses and gardens stands on one side, the camera on the other; between them lie a pavement, a
road of two lanes and a second pavement. Street coordinates in metres: ``p`` along the houses, ``q`` out
from their walls, ``z`` up. What stands behind the camera is not seen but casts its shadow.
"""

import dataclasses

import numpy as np

from loggrad_tf.scene.backdrop import at, bands, grain, mix, noise, surface
from loggrad_tf.scene.colours import grey, leaf, tint
from loggrad_tf.scene.draw import View

SKY, FACADE, GROUND = 0, 1, 2
FARTHEST = 250.0
_REACH = 400.0


@dataclasses.dataclass(frozen=True)
class Row:
    """Houses side by side: ``edges`` [n + 1] and ``heights`` [n] in metres; the first begins at -400 m."""

    edges: np.ndarray
    heights: np.ndarray

    def index(self, p: np.ndarray) -> np.ndarray:
        """Which house stands at ``p``, int [...]."""
        return np.clip(np.searchsorted(self.edges, p, side="right") - 1, 0, len(self.heights) - 1)

    def height(self, p: np.ndarray) -> np.ndarray:
        """Metres at ``p``."""
        return self.heights[self.index(p)]


@dataclasses.dataclass(frozen=True)
class Place:
    """A view of a street.

    Attributes:
      yaw: from the picture's plane to the street, radians; positive: it leads away to the right.
      distance: from the camera to the walls, straight across the street.
      pavement, road: widths; the near pavement begins at their sum.
      across: the houses that are seen.
      behind: those behind the camera; their walls stand at ``distance + 2``.
    """

    view: View
    yaw: float
    distance: float
    pavement: float
    road: float
    across: Row
    behind: Row

    @property
    def lanes(self) -> tuple[float, float]:
        """Middles of the far and of the near lane, as ``q``."""
        return self.pavement + 0.27 * self.road, self.pavement + 0.74 * self.road

    def at(self, p: float, q: float) -> tuple[float, float]:
        """Street coordinates -> X, Y of the view."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return float(p * c + (q - self.distance) * s), float(p * s - (q - self.distance) * c)

    def seen_along(self, across: float, q: float) -> float | None:
        """``p`` where a ray X/Y = ``across`` crosses the line ``q``; None if it does so behind or too far."""
        towards = np.cos(self.yaw) - across * np.sin(self.yaw)
        depth = (self.distance - q) / towards
        return float(across * depth * np.cos(self.yaw) + depth * np.sin(self.yaw)) if depth > 0 else None

    def street_axes(self, direction: np.ndarray) -> tuple[float, float, float]:
        """A direction of the view as its parts along ``p``, ``q`` and ``z``."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        x, y, z = (float(part) for part in direction)
        return x * c + y * s, x * s - y * c, z


@dataclasses.dataclass(frozen=True)
class Surfaces:
    """What each pixel shows of the empty street; arrays [height, width].

    Attributes:
      kind: uint8: sky, façade or ground.
      albedo: float32 [height, width, 3]; 0 in the sky.
      p, q, z: float32, metres.
      depth: float32, metres along the view's axis.
      window: int32: the number of the window, or -1.
    """

    kind: np.ndarray
    albedo: np.ndarray
    p: np.ndarray
    q: np.ndarray
    z: np.ndarray
    depth: np.ndarray
    window: np.ndarray


def random_place(rng: np.random.Generator, width: int, height: int) -> Place:
    """A street and a camera 2 to 5 m above it, looking across or along; both lanes are in the picture."""
    focal = width * float(rng.uniform(0.72, 1.15))
    steepest = float(np.arctan(0.86 * focal / (width / 2)))
    yaw = float(rng.uniform(0.1, min(1.0, steepest))) * float(rng.choice([-1.0, 1.0]))
    pavement, road = float(rng.uniform(2.2, 3.6)), float(rng.uniform(6.2, 7.4))
    distance = pavement + road + float(rng.uniform(3.0, 6.0))
    horizon = height * float(rng.uniform(0.12, 0.28))
    near_lane = distance - pavement - 0.74 * road
    eye = float(np.clip(rng.uniform(0.6, 0.95) * near_lane * (height - horizon) / focal, 2.0, 5.0))
    view = View(width, height, focal, horizon, eye)
    return Place(view, yaw, distance, pavement, road, _random_row(rng), _random_row(rng))


def _random_row(rng: np.random.Generator) -> Row:
    """Houses of two to four storeys, here and there a garden between them."""
    count = 90
    garden = (np.arange(count) % 2 == 1) & (rng.random(count) < 0.45)
    wide = np.where(garden, rng.uniform(3.0, 9.0, count), rng.uniform(8.0, 16.0, count))
    edges = -_REACH + np.concatenate([[0.0], np.cumsum(wide)])
    return Row(edges, np.where(garden, rng.uniform(1.2, 2.4, count), rng.uniform(5.5, 13.0, count)))


def surfaces(place: Place, rng: np.random.Generator) -> Surfaces:
    """Colour every pixel of the empty street."""
    across, up = place.view.rays()
    c, s = np.float32(np.cos(place.yaw)), np.float32(np.sin(place.yaw))
    fields = (noise(rng, 1.1), noise(rng, 0.4))
    depth = place.distance / np.maximum(c - across * s, np.float32(0.02))
    p, z = depth * (across * c + s), place.view.eye + depth * up
    ragged = 0.35 * at(fields[0], p * 9, p * 0)
    house = place.across.index(p)
    garden = place.across.heights < 3.0
    ceiling = place.across.heights[house] + np.where(garden[house], ragged, 0.0)
    facade = (z > 0) & (z < ceiling) & (depth < FARTHEST)
    trees = ~facade & (up < 0.03 + 0.012 * at(fields[0], across * 40, across * 0))
    floor = trees & (up < -1e-4)
    trees &= ~floor
    reach = np.minimum(place.view.eye / np.maximum(-up, np.float32(1e-4)), np.float32(FARTHEST))
    depth = np.where(facade, depth, np.where(floor, reach, np.float32(FARTHEST)))
    p = np.where(facade, p, depth * (across * c + s))
    q = np.where(~facade, place.distance + depth * (across * s - c), np.float32(0.0))
    z = np.where(facade, z, np.float32(0.0))
    kind = np.where(facade, FACADE, np.where(floor | trees, GROUND, SKY)).astype(np.uint8)
    albedo = np.zeros((*kind.shape, 3), np.float32)
    window = np.full(kind.shape, -1, np.int32)
    albedo[facade], window[facade] = _facades(place.across, garden, p[facade], z[facade], fields, rng)
    albedo[trees] = np.array(leaf(rng)) * np.exp(0.5 * at(fields[1], across * 90, up * 90))[trees][:, None]
    albedo[floor] = _floor(place, p[floor], q[floor], fields, rng)
    return Surfaces(
        kind, albedo, p.astype(np.float32), q.astype(np.float32), z.astype(np.float32), depth, window
    )


def _facades(
    row: Row, garden: np.ndarray, p: np.ndarray, z: np.ndarray, fields: tuple, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Plastered houses with windows and roofs, hedges between them: colours [n, 3], window numbers [n]."""
    count = len(row.heights)
    plaster, base = (
        np.array([tint(rng, float(rng.uniform(0.12, 0.6)), 0.1) for _ in range(count)], np.float32)
        for _ in range(2)
    )
    roof = np.array([tint(rng, float(rng.uniform(0.05, 0.18)), 0.25) for _ in range(count)], np.float32)
    frame = np.array([grey(rng, 0.1, 0.8) for _ in range(count)], np.float32)
    glass = np.array([grey(rng, 0.03, 0.2) for _ in range(count)], np.float32)
    hedge = np.array([leaf(rng) for _ in range(count)], np.float32)
    house = row.index(p)

    def of(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, count).astype(np.float32)[house]

    wide, storey = of(1.6, 3.4), of(2.5, 3.2)
    left = p - row.edges[house].astype(np.float32)
    column, floor = np.floor(left / wide), np.floor(z / storey)
    u = (left / wide - column - 0.5) / of(0.3, 0.62) + 0.5
    v = (z - floor * storey - of(0.7, 1.0)) / of(1.2, 1.5)
    below = z < row.heights[house] - of(0.6, 2.6)
    inside = (u > 0) & (u < 1) & (v > 0) & (v < 1) & below
    pane = inside & (np.abs(u - 0.5) < 0.43) & (np.abs(u - 0.5) > 0.03) & (np.abs(v - 0.5) < 0.45)
    colour = plaster[house] * np.exp(0.08 * at(fields[1], p * 30, z * 30))[..., None]
    colour = mix(colour, base[house], (z < of(0.2, 1.0)).astype(np.float32))
    colour = colour * (1.0 - 0.35 * bands(z, 2.85, 0.02))[..., None]
    colour = mix(colour, frame[house], inside.astype(np.float32))
    shine = 1.0 + 1.2 * bands(u + v + column * 0.37, 1.7, 0.4)
    colour = mix(colour, glass[house] * shine[..., None], pane.astype(np.float32))
    colour = mix(colour, roof[house], (~below).astype(np.float32))
    clumps = 0.5 * at(fields[0], p * 7, z * 7) + 0.5 * at(fields[1], p * 24, z * 24)
    green = hedge[house] * np.exp(0.6 * clumps)[..., None]
    colour = grain(mix(colour, green, garden[house].astype(np.float32)), p, z, fields, 0.12, 0.05)
    number = (house * 64 + column.astype(np.int64) % 8 * 8 + floor.astype(np.int64) % 8).astype(np.int32)
    return colour.astype(np.float32), np.where(pane & ~garden[house], number, -1)


def _floor(place: Place, p: np.ndarray, q: np.ndarray, fields: tuple, rng: np.random.Generator) -> np.ndarray:
    kerb, far_kerb = place.pavement, place.pavement + place.road
    paved = surface("paving", p, q, fields, rng)
    near = surface(str(rng.choice(["paving", "grass", "gravel", "asphalt"])), p, q, fields, rng)
    road = surface("asphalt", p, q, fields, rng)
    road = mix(road, 0.55 * road, (np.abs(q - kerb - 0.3) < 0.12).astype(np.float32))
    paint = np.array([0.6, 0.6, 0.56])
    middle = kerb + 0.5 * place.road
    dashes = (np.abs(q - middle) < 0.07) * bands(p, float(rng.uniform(4, 8)), float(rng.uniform(0.4, 0.6)))
    road = mix(road, paint, dashes.astype(np.float32))
    if rng.random() < 0.6:
        crossing = float(rng.uniform(-6, 10))
        stripes = (np.abs(p - crossing) < 1.6) * bands(q - kerb, 1.0, 0.5)
        road = mix(road, paint, stripes.astype(np.float32))
    floor = mix(road, paved, (q < kerb).astype(np.float32))
    floor = mix(floor, near, (q > far_kerb).astype(np.float32))
    floor = mix(floor, surface("grass", p, q, fields, rng), (q < 0).astype(np.float32))
    stone = (np.abs(q - kerb) < 0.1) | (np.abs(q - far_kerb) < 0.1)
    return mix(floor, np.array(grey(rng, 0.25, 0.55)), stone.astype(np.float32))


def shaded(place: Place, p: np.ndarray, q: np.ndarray, z: np.ndarray, sun: np.ndarray) -> np.ndarray:
    """Whether houses stand between these points and the sun (unit vector of the view, Z > 0), bool [...]."""
    along, out, high = place.street_axes(sun)
    if abs(out) < 1e-3:
        return np.zeros(np.shape(p), bool)
    row, wall_at = (place.behind, place.distance + 2.0) if out > 0 else (place.across, 0.0)
    reach = (wall_at - q) / out
    return (reach > 1e-3) & (z + reach * high < row.height(p + reach * along))


def lamplight(
    p: np.ndarray,
    q: np.ndarray,
    z: np.ndarray,
    facing: np.ndarray | float,
    lamps: tuple[tuple[float, float, float], ...],
) -> np.ndarray:
    """Irradiance of street lamps at (p, q, z); 1 on the ground straight below one, little above them.

    Args:
      facing: 1 where the surface looks up, 0 where it is a façade, which looks along q.
      lamps: their places in street coordinates.
    """
    total = np.zeros(np.shape(p), np.float32)
    for lamp in lamps:
        a, b, c = lamp[0] - p, lamp[1] - q, lamp[2] - z
        squared = a * a + b * b + c * c
        slope = np.where(np.asarray(facing) > 0, c, np.abs(b) * np.maximum(c, 0.0) / np.sqrt(squared))
        total += (np.maximum(slope, 0.0) * lamp[2] ** 2 / np.maximum(squared, 0.5) ** 1.5).astype(np.float32)
    return total
