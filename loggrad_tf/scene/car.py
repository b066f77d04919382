"""A car as a lofted body: stations along its length, a greenhouse on top, four wheels.

Axes as in :mod:`loggrad_tf.scene.draw`: the car drives along +x, stands on z = 0, is centred on x = 0.
One set of proportions covers hatchback, saloon, estate, off-roader, van and pick-up.
"""

import dataclasses

import numpy as np

from loggrad_tf.scene.colours import grey, paint
from loggrad_tf.scene.draw import Colour, Face, Figure, Hull, Part, circle, tube


@dataclasses.dataclass(frozen=True)
class _Shape:
    """Proportions in metres; x positions along the car from rear to front."""

    length: float
    width: float
    clearance: float
    belt: float
    bonnet: float
    boot: float
    roof: float
    rear_foot: float
    rear_top: float
    front_top: float
    front_foot: float
    wheel: float


_KINDS = {
    # length, belt, bonnet, boot, roof, then greenhouse feet and tops as shares of the length
    "hatchback": (3.9, 0.92, 0.84, 0.90, 1.46, -0.49, -0.40, 0.06, 0.26),
    "saloon": (4.6, 0.90, 0.80, 0.92, 1.43, -0.37, -0.22, 0.06, 0.23),
    "estate": (4.6, 0.92, 0.82, 0.92, 1.47, -0.49, -0.43, 0.06, 0.23),
    "off-roader": (4.4, 1.10, 1.04, 1.10, 1.78, -0.49, -0.45, 0.08, 0.21),
    "van": (4.8, 1.10, 1.00, 1.10, 1.98, -0.495, -0.48, 0.20, 0.38),
    "pick-up": (5.1, 1.05, 1.00, 1.00, 1.72, -0.12, -0.09, 0.10, 0.22),
    "coupe": (4.3, 0.84, 0.74, 0.84, 1.28, -0.46, -0.16, 0.02, 0.20),
}


def car(rng: np.random.Generator) -> Figure:
    """A random car; 3.6 to 5.4 m long, 1.2 to 2.1 m high."""
    s = _shape(rng)
    body, black, chrome = paint(rng), grey(rng, 0.015, 0.04), grey(rng, 0.35, 0.7)
    glass = grey(rng, 0.02, 0.22)
    return tuple(
        _wheels(s, chrome, black, rng)
        + _body(s, body, black)
        + _greenhouse(s, body, glass, black)
        + _details(s, body, glass, black, chrome, rng)
    )


def _shape(rng: np.random.Generator) -> _Shape:
    kind = str(rng.choice(list(_KINDS), p=[0.28, 0.24, 0.12, 0.14, 0.1, 0.05, 0.07]))
    length, belt, bonnet, boot, roof, *feet = _KINDS[kind]
    stretch, tall = float(rng.uniform(0.93, 1.07)), float(rng.uniform(0.95, 1.06))
    length *= stretch
    rear_foot, rear_top, front_top, front_foot = (
        length * (share + float(rng.uniform(-0.012, 0.012))) for share in feet
    )
    return _Shape(
        length=length,
        width=float(rng.uniform(1.65, 1.9)),
        clearance=float(rng.uniform(0.16, 0.24)) + (0.1 if kind == "off-roader" else 0.0),
        belt=belt * tall,
        bonnet=bonnet * tall,
        boot=boot * tall,
        roof=roof * tall,
        rear_foot=max(rear_foot, -0.497 * length),
        rear_top=max(rear_top, -0.485 * length),
        front_top=front_top,
        front_foot=front_foot,
        wheel=float(rng.uniform(0.29, 0.34)) + (0.05 if kind in ("off-roader", "pick-up") else 0.0),
    )


def _axles(s: _Shape) -> tuple[float, float]:
    return -0.30 * s.length, 0.315 * s.length


def _body(s: _Shape, body: Colour, black: Colour) -> list[Part]:
    """Stations (x, half-width, low, waist, top) from the rear bumper to the front one."""
    half, end = s.width / 2, s.length / 2
    low = s.clearance
    stations = [
        (-end, 0.86 * half, low + 0.1, 0.55, s.boot - 0.05),
        (-end + 0.06, 0.92 * half, low + 0.06, 0.56, s.boot),
        (-end + 0.4, half, low, 0.58, s.boot),
        (s.rear_foot + 0.05 if s.rear_foot > -end + 0.5 else -end + 0.8, half, low, 0.6, s.belt),
        (s.front_foot, half, low, 0.6, s.belt),
        (max(end - 0.65, s.front_foot + 0.05), 0.98 * half, low, 0.58, s.bonnet),
        (end - 0.16, 0.88 * half, low + 0.02, 0.54, s.bonnet - 0.1),
        (end, 0.74 * half, low + 0.08, 0.5, s.bonnet - 0.22),
    ]
    rings = [
        np.array(
            [
                [x, 0.93 * w, b],
                [x, w, mid],
                [x, 0.92 * w, top],
                [x, -0.92 * w, top],
                [x, -w, mid],
                [x, -0.93 * w, b],
            ]
        )
        for x, w, b, mid, top in stations
    ]
    parts: list[Part] = []
    for back, fore in zip(rings, rings[1:], strict=False):
        for k in range(5):
            parts.append(Face(np.stack([back[k], back[k + 1], fore[k + 1], fore[k]]), body, cull=True))
        parts.append(Face(np.stack([back[5], back[0], fore[0], fore[5]]), black, cull=True))
    parts.append(Face(rings[0][::-1], body, cull=True))
    parts.append(Face(rings[-1], body, cull=True))
    return parts


def _greenhouse(s: _Shape, body: Colour, glass: Colour, black: Colour) -> list[Part]:
    half, top = 0.9 * s.width / 2, 0.70 * s.width / 2
    foot = np.array([[s.rear_foot, half, s.belt], [s.front_foot, half, s.belt - 0.02]])
    roof = np.array([[s.rear_top, top, s.roof - 0.04], [s.front_top, top, s.roof - 0.02]])
    crown = np.array([[(s.rear_top + s.front_top) / 2, 0.95 * top, s.roof]])
    left = np.concatenate([foot, roof[::-1]])
    flip = np.array([1.0, -1.0, 1.0])
    right = (left * flip)[::-1]
    up = 0.12
    parts: list[Part] = [
        Face(left[::-1], body, bias=up, cull=True),
        Face(right[::-1], body, bias=up, cull=True),
    ]
    pillars = (
        [0.05, 0.48, 0.53, 0.95] if s.rear_foot > -0.2 * s.length else [0.04, 0.33, 0.36, 0.66, 0.69, 0.96]
    )
    for side in (left, left * flip):
        for a, b in zip(pillars[::2], pillars[1::2], strict=True):
            pane = _pane(side, a, b, 0.06, 0.86)
            outward = pane[::-1] if side is left else pane
            parts.append(Face(outward, glass, bias=up + 0.06, cull=True, lit=0.6))
    windscreen = np.stack([foot[1] * flip, foot[1], roof[1], roof[1] * flip])
    rear_window = np.stack([foot[0], foot[0] * flip, roof[0] * flip, roof[0]])
    for screen in (windscreen, rear_window):
        parts.append(Face(screen, body, bias=up, cull=True))
        parts.append(Face(_pane(screen, 0.06, 0.94, 0.06, 0.9), glass, bias=up + 0.05, cull=True))
        glare = _pane(screen, 0.55, 0.8, 0.1, 0.85)
        lighter = (glass[0] + 0.12, glass[1] + 0.13, glass[2] + 0.15)
        parts.append(Face(glare, lighter, bias=up + 0.07, cull=True))
    for a, b in ((roof[0], crown[0]), (crown[0], roof[1])):
        parts.append(Face(np.stack([a, a * flip, b * flip, b]), body, bias=up + 0.05, cull=True))
    return parts


def _pane(quad: np.ndarray, left: float, right: float, low: float, high: float) -> np.ndarray:
    """A window inside a quad given as foot-left, foot-right, top-right, top-left; shares of its sides."""

    def at(u: float, v: float) -> np.ndarray:
        foot, top = quad[0] + u * (quad[1] - quad[0]), quad[3] + u * (quad[2] - quad[3])
        return foot + v * (top - foot)

    return np.stack([at(left, low), at(right, low), at(right, high), at(left, high)])


def _wheels(s: _Shape, chrome: Colour, black: Colour, rng: np.random.Generator) -> list[Part]:
    parts: list[Part] = []
    side = np.array([0.0, 1.0, 0.0])
    spokes, wide = int(rng.integers(0, 9)), float(rng.uniform(0.58, 0.74))
    for x in _axles(s):
        for sign in (-1.0, 1.0):
            out = np.array([x, sign * (s.width / 2 + 0.005), s.wheel])
            inner = out - sign * 0.2 * side
            tread = np.concatenate([circle(out, s.wheel, side, 20), circle(inner, s.wheel, side, 20)])
            parts.append(Hull(tread, np.zeros(len(tread)), black, bias=-2.0, round=False))
            facing = sign * side
            arch = circle(out + [0, 0, 0.02], 1.17 * s.wheel, facing, 24)
            arch = arch[arch[:, 2] > s.clearance]
            parts.append(Face(_ordered(arch, sign), (0.008, 0.008, 0.008), bias=1.2, cull=True))
            parts.append(Face(circle(out, s.wheel, facing), black, bias=1.25, cull=True))
            parts.append(Face(circle(out, wide * s.wheel, facing), chrome, bias=1.3, cull=True, lit=0.7))
            if spokes >= 4:
                hole = circle(out, 0.72 * wide * s.wheel, facing, 4 * spokes)
                for k in range(spokes):
                    gap = np.concatenate(
                        [hole[4 * k : 4 * k + 3], 0.75 * out[None] + 0.25 * hole[4 * k + 1][None]]
                    )
                    parts.append(Face(gap, black, bias=1.35, cull=True))
    return parts


def _ordered(points: np.ndarray, sign: float) -> np.ndarray:
    """Arch points by angle about their middle, so that the face looks along ``sign`` y."""
    offset = points - points.mean(axis=0)
    order = np.argsort(sign * np.arctan2(offset[:, 0], offset[:, 2]))
    return points[order]


def _details(
    s: _Shape, body: Colour, glass: Colour, black: Colour, chrome: Colour, rng: np.random.Generator
) -> list[Part]:
    half, end = s.width / 2, s.length / 2
    flip = np.array([1.0, -1.0, 1.0])
    shade = (0.45 * body[0], 0.45 * body[1], 0.45 * body[2])
    parts: list[Part] = []

    def front(y0: float, y1: float, z0: float, z1: float, colour: Colour, lit: float = 1.0) -> None:
        points = np.array([[end + 0.01, y, z] for y, z in ((y0, z0), (y1, z0), (y1, z1), (y0, z1))])
        parts.append(Face(points, colour, bias=0.4, cull=True, lit=lit))

    def rear(y0: float, y1: float, z0: float, z1: float, colour: Colour, lit: float = 1.0) -> None:
        points = np.array([[-end - 0.01, y, z] for y, z in ((y1, z0), (y0, z0), (y0, z1), (y1, z1))])
        parts.append(Face(points, colour, bias=0.4, cull=True, lit=lit))

    nose, tail = s.bonnet - 0.24, s.boot - 0.14
    grille = float(rng.uniform(0.3, 0.5)) * half
    trim = black if rng.random() < 0.6 else chrome
    front(-grille, grille, nose - 0.16, nose - 0.02, trim)
    front(-0.6 * half, 0.6 * half, s.clearance + 0.12, s.clearance + 0.22, black)
    front(-0.26, 0.26, 0.42, 0.52, (0.75, 0.75, 0.7))
    rear(-0.26, 0.26, 0.52, 0.63, (0.75, 0.72, 0.5))
    rear(-0.8 * half, 0.8 * half, s.clearance + 0.16, s.clearance + 0.3, black if trim == black else shade)
    lamp, glow = float(rng.uniform(0.1, 0.16)), (0.85, 0.85, 0.8)
    for sign in (1.0, -1.0):
        if rng.random() < 0.3:
            spot = np.array([[end + 0.005, sign * 0.58 * half, nose - 0.09]])
            parts.append(Hull(spot, np.array([0.09]), glow, bias=0.5))
        else:
            inner = np.array([end + 0.01, 0.5 * half, nose - 0.02])
            outer = np.array([end - 0.17, 0.89 * half, nose + 0.07])
            down = np.array([0.0, 0.0, -lamp])
            quad = np.stack([inner + down, outer + down, outer, inner])
            parts.append(Face(quad if sign > 0 else (quad * flip)[::-1], glow, bias=0.45, cull=True, lit=0.5))
        y0, y1 = sorted((sign * 0.6 * half, sign * 0.85 * half))
        rear(y0, y1, tail - 0.05 - 1.4 * lamp, tail, (0.3, 0.02, 0.02), 0.6)
    rear(-0.62 * half, 0.62 * half, tail - 0.005, tail + 0.012, shade)
    rear_axle, front_axle = _axles(s)
    door_x = [s.front_foot - 0.32, (s.front_foot + s.rear_foot) / 2 - 0.1]
    if s.rear_foot < -0.3 * s.length and rng.random() < 0.75:
        door_x.append(rear_axle + 1.25 * s.wheel)
    for sign in (1.0, -1.0):
        y = sign * (half + 0.005)
        line = [[x, y, z] for x in door_x for z in (s.belt - 0.02, 0.6, s.clearance + 0.12)]
        for k in range(len(door_x)):
            parts.append(_flank_line(np.array(line[3 * k : 3 * k + 3]), 0.008, shade))
            handle = np.array([[door_x[k] - 0.3, y, s.belt - 0.13], [door_x[k] - 0.15, y, s.belt - 0.13]])
            parts.append(_flank_line(handle, 0.018, shade if k else body))
        sill = np.array(
            [
                [rear_axle + 1.2 * s.wheel, y, s.clearance + 0.08],
                [front_axle - 1.2 * s.wheel, y, s.clearance + 0.08],
            ]
        )
        parts.append(_flank_line(sill, 0.035, shade))
        mirror = np.array([[s.front_foot - 0.35, sign * (half + 0.1), s.belt + 0.06]])
        parts.append(Hull(mirror, np.array([0.075]), body if rng.random() < 0.7 else black, bias=0.3))
    if rng.random() < 0.15:
        for sign in (1.0, -1.0):
            rail = np.array(
                [
                    [s.rear_top + 0.1, sign * 0.6 * half, s.roof],
                    [s.front_top - 0.1, sign * 0.6 * half, s.roof],
                ]
            )
            parts.append(tube(rail[0], rail[1], 0.025, black))
    return parts


def _flank_line(points: np.ndarray, radius: float, colour: Colour) -> Face:
    """A line on the flank as a thin face, so that it hides with the side it lies on."""
    spread = np.array([0.0, 0.0, 0.0])
    spread[0 if abs(points[-1, 2] - points[0, 2]) > abs(points[-1, 0] - points[0, 0]) else 2] = radius
    outline = np.concatenate([points - spread, (points + spread)[::-1]])
    area = np.cross(outline, np.roll(outline, -1, axis=0)).sum(axis=0)
    return Face(outline if area[1] * points[0, 1] > 0 else outline[::-1], colour, bias=0.3, cull=True)
