"""Painting solid figures in linear light: a pinhole view, a sun, three kinds of parts.

A figure is a tuple of parts in metres (x forward, y left, z up): flat faces, convex
hulls of balls (limbs, tubes, tyres) and round wires. The painter sorts the parts by
distance and fills polygons far to near; there is no depth buffer, so parts must not
pierce one another. World axes: X right, Y away from the camera, Z up, ground at Z = 0;
a point is seen at ``u = cx + f X / Y``, ``v = horizon - f (Z - eye) / Y``, then rolled.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw

SUPERSAMPLE = 2
NEAREST = 0.4
PEAK = 2.0
_TURN = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
_DIRECTIONS = np.stack([np.cos(_TURN), np.sin(_TURN)])

Colour = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Face:
    """A flat polygon. ``points`` [n, 3]; ``cull``: seen only from the side its normal points to.

    The normal follows the right-hand rule. ``bias`` metres are taken off the sorting distance,
    so that a window is painted after the door it sits in. ``lit`` 0 leaves the colour unshaded.
    """

    points: np.ndarray
    colour: Colour
    bias: float = 0.0
    cull: bool = False
    lit: float = 1.0


@dataclasses.dataclass(frozen=True)
class Hull:
    """The convex hull of balls: ``points`` [n, 3] centres, ``radii`` [n]."""

    points: np.ndarray
    radii: np.ndarray
    colour: Colour
    bias: float = 0.0
    round: bool = True


@dataclasses.dataclass(frozen=True)
class Wire:
    """A bent rod of one radius along ``points`` [n, 3]."""

    points: np.ndarray
    radius: float
    colour: Colour
    bias: float = 0.0


Part = Face | Hull | Wire
Figure = tuple[Part, ...]


@dataclasses.dataclass(frozen=True)
class Light:
    """Sun and sky. ``direction``: unit vector towards the sun (Z > 0); strengths are irradiances."""

    direction: np.ndarray
    sun: float
    sky: float

    def on(self, normal: np.ndarray) -> float:
        """Irradiance of a surface with this unit normal: Lambert's law plus a half-sphere of sky."""
        facing = max(0.0, float(normal @ self.direction))
        return self.sun * facing + self.sky * (0.65 + 0.35 * float(normal[2]))


@dataclasses.dataclass(frozen=True)
class View:
    """A pinhole camera ``eye`` metres above the ground; lengths in pixels, roll in radians."""

    width: int
    height: int
    focal: float
    horizon: float
    eye: float
    roll: float = 0.0

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World [n, 3] -> pixel coordinates [n, 2] and distances [n] along the axis, in metres."""
        depth = np.maximum(points[:, 1], NEAREST / 4)
        scale = self.focal / depth
        u = points[:, 0] * scale
        v = self.horizon - (points[:, 2] - self.eye) * scale - self.height / 2
        c, s = np.cos(self.roll), np.sin(self.roll)
        return np.stack([self.width / 2 + c * u - s * v, self.height / 2 + s * u + c * v], axis=1), depth

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Directions X/Y and (Z - eye)/Y of every pixel centre, float32 [height, width] each."""
        u = np.arange(self.width, dtype=np.float32)[None] + 0.5 - self.width / 2
        v = np.arange(self.height, dtype=np.float32)[:, None] + 0.5 - self.height / 2
        c, s = np.float32(np.cos(self.roll)), np.float32(np.sin(self.roll))
        across, down = c * u + s * v, c * v - s * u + self.height / 2
        return across / self.focal, (self.horizon - down) / self.focal


def placed(figure: Figure, position: tuple[float, float], yaw: float, lean: float = 0.0) -> Figure:
    """Turn a figure by ``yaw`` about the vertical, ``lean`` about its own x axis, and move it to (X, Y)."""
    cy, sy, cl, sl = np.cos(yaw), np.sin(yaw), np.cos(lean), np.sin(lean)
    leaning = np.array([[1, 0, 0], [0, cl, -sl], [0, sl, cl]])
    turning = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    matrix = (turning @ leaning).T
    offset = np.array([position[0], position[1], 0.0])
    return tuple(dataclasses.replace(part, points=part.points @ matrix + offset) for part in figure)


def mirrored(figure: Figure) -> Figure:
    """The figure seen in a mirror, left and right exchanged (faces keep looking outwards)."""
    flip = np.array([1.0, -1.0, 1.0])
    return tuple(
        dataclasses.replace(p, points=p.points[::-1] * flip)
        if isinstance(p, Face)
        else dataclasses.replace(p, points=p.points * flip)
        for p in figure
    )


def box(low: tuple[float, float, float], high: tuple[float, float, float], colour: Colour) -> Figure:
    """An upright box between two corners: six faces that look outwards."""
    corner = np.array([[(low, high)[i >> k & 1][k] for k in range(3)] for i in range(8)], dtype=float)
    sides = ((0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6))
    return tuple(Face(corner[list(side)], colour, cull=True) for side in sides)


def tube(a: np.ndarray, b: np.ndarray, radius: float, colour: Colour, taper: float = 1.0) -> Hull:
    """A rod from ``a`` to ``b`` with round ends; ``taper`` scales the radius at ``b``."""
    return Hull(np.stack([a, b]), np.array([radius, radius * taper]), colour)


def circle(centre: np.ndarray, radius: float, axis: np.ndarray, count: int = 28) -> np.ndarray:
    """``count`` points round ``centre`` in the plane across the unit vector ``axis``, [count, 3]."""
    helper = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    first = np.cross(helper, axis)
    first = first / np.linalg.norm(first)
    second = np.cross(axis, first)
    angle = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)[:, None]
    return centre + radius * (np.cos(angle) * first + np.sin(angle) * second)


def outline(centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Corners of the convex hull of discs [n, 2], [n]: the farthest point in each of 24 directions."""
    reach = centres @ _DIRECTIONS + radii[:, None]
    farthest = reach.argmax(axis=0)
    return centres[farthest] + radii[farthest, None] * _DIRECTIONS.T


def encode(linear: np.ndarray) -> np.ndarray:
    """Linear light 0..PEAK -> the canvas' 8-bit codes (gamma 2.2), any shape."""
    return np.rint(255.0 * np.clip(linear / PEAK, 0.0, 1.0) ** (1 / 2.2)).astype(np.uint8)


DECODE = (PEAK * (np.arange(256) / 255.0) ** 2.2).astype(np.float32)


class Canvas:
    """A picture in linear light and, beside it, the number of the figure each pixel shows."""

    def __init__(self, view: View, light: Light, backdrop: np.ndarray) -> None:
        """``backdrop``: float32 [height, width, 3], linear light."""
        size = (view.width * SUPERSAMPLE, view.height * SUPERSAMPLE)
        self._view, self._light = view, light
        self._picture = Image.fromarray(encode(backdrop)).resize(size, Image.Resampling.BILINEAR)
        self._number = Image.new("L", size, 0)
        self._brush, self._marker = ImageDraw.Draw(self._picture), ImageDraw.Draw(self._number)

    def paint(self, figure: Figure, number: int) -> None:
        """Paint a placed figure over what is there; ``number`` 0..255 marks its pixels."""
        eye = np.array([0.0, 0.0, self._view.eye])
        queue = []
        for part in figure:
            middle = part.points.mean(axis=0)
            if part.points[:, 1].min() < NEAREST:
                continue
            if isinstance(part, Face) and part.cull and _normal(part.points) @ (eye - middle) <= 0:
                continue
            queue.append((float(np.linalg.norm(middle - eye)) - part.bias, part))
        for _, part in sorted(queue, key=lambda item: -item[0]):
            self._fill(part, number)

    def _fill(self, part: Part, number: int) -> None:
        spot, depth = self._view.project(part.points)
        spot = spot * SUPERSAMPLE
        scale = self._view.focal * SUPERSAMPLE / depth
        if isinstance(part, Face):
            normal = _normal(part.points)
            if normal @ (np.array([0.0, 0.0, self._view.eye]) - part.points[0]) < 0:
                normal = -normal
            shade = 1.0 - part.lit + part.lit * self._light.on(normal)
            self._polygon(spot, _paint(part.colour, shade), number)
        elif isinstance(part, Wire):
            along = part.points[-1] - part.points[0]
            across = np.array([0.0, -0.8, 0.6]) if np.linalg.norm(along) < 1e-6 else _across(along)
            colour = _paint(part.colour, self._light.on(across))
            width = max(1, round(float(2 * part.radius * scale.mean())))
            line = _corners(spot)
            self._brush.line(line, fill=colour, width=width, joint="curve" if width > 3 else None)
            self._marker.line(line, fill=number, width=width, joint="curve" if width > 3 else None)
        else:
            radii = part.radii * scale
            facing = np.array([0.0, -1.0, 0.0])
            self._hull(spot, radii, _paint(part.colour, self._light.on(facing) * 0.8), number)
            if part.round and radii.max() > 3:
                lean = self._light.direction[[0, 2]] * np.array([1.0, -1.0])
                bright = 0.6 * self._light.on(facing) + 0.5 * self._light.on(self._light.direction)
                shifted = spot + 0.3 * radii[:, None] * lean
                self._hull(shifted, radii * 0.62, _paint(part.colour, bright), number)

    def _hull(self, spot: np.ndarray, radii: np.ndarray, colour: tuple[int, ...], number: int) -> None:
        self._polygon(outline(spot, np.maximum(radii, 0.6)), colour, number)

    def _polygon(self, spot: np.ndarray, colour: tuple[int, ...], number: int) -> None:
        corners = _corners(spot)
        self._brush.polygon(corners, fill=colour)
        self._marker.polygon(corners, fill=number)

    def numbers(self) -> np.ndarray:
        """Figure numbers at the painter's resolution, uint8 [height*SUPERSAMPLE, width*SUPERSAMPLE]."""
        return np.asarray(self._number)

    def linear(self) -> np.ndarray:
        """The picture in linear light, float32 [height, width, 3], averaged over sub-pixels."""
        fine = DECODE.take(np.asarray(self._picture))
        rows = fine[0::2] + fine[1::2]
        return (rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25)


def cast_shadow(view: View, light: Light, figures: list[Figure]) -> np.ndarray:
    """Where placed figures keep the sun off the ground, float32 [height, width] in 0..1."""
    mask = Image.new("L", (view.width, view.height), 0)
    brush = ImageDraw.Draw(mask)
    slope = light.direction[:2] / light.direction[2]
    for part in (part for figure in figures for part in figure):
        ground = part.points.copy()
        ground[:, :2] -= np.maximum(part.points[:, 2:], 0.0) * slope
        ground[:, 2] = 0.0
        if ground[:, 1].min() < NEAREST:
            continue
        spot, depth = view.project(ground)
        scale = view.focal / depth
        if isinstance(part, Face):
            brush.polygon(_corners(spot), fill=255)
        elif isinstance(part, Wire):
            width = max(1, round(float(1.5 * part.radius * scale.mean())))
            brush.line(_corners(spot), fill=255, width=width)
        else:
            brush.polygon(_corners(outline(spot, part.radii * scale * 0.7)), fill=255)
    return np.asarray(mask, dtype=np.float32) / np.float32(255)


def _paint(colour: Colour, shade: float) -> tuple[int, ...]:
    return tuple(round(255.0 * min(channel * shade / PEAK, 1.0) ** (1 / 2.2)) for channel in colour)


def _corners(spot: np.ndarray) -> list[tuple[float, ...]]:
    return [tuple(corner) for corner in spot.tolist()]


def _across(along: np.ndarray) -> np.ndarray:
    """Unit normal of a rod that looks most towards the camera and up."""
    along = along / np.linalg.norm(along)
    towards = np.array([0.0, -0.8, 0.6])
    rest = towards - (towards @ along) * along
    size = float(np.linalg.norm(rest))
    return rest / size if size > 1e-6 else towards


def _normal(points: np.ndarray) -> np.ndarray:
    """Unit normal of a polygon by Newell's method; zero for a degenerate one."""
    x, y, z = points.T
    xn, yn, zn = np.concatenate([points[1:], points[:1]]).T
    normal = np.array([(y - yn) @ (z + zn), (z - zn) @ (x + xn), (x - xn) @ (y + yn)])
    size = float(np.sqrt(normal @ normal))
    return normal / size if size > 0 else normal
