"""A bicycle as a figure of tubes and wires: diamond, step-through and child's frames.

Axes as in :mod:`loggrad_tf.scene.draw`: the bicycle rolls along +x and stands on z = 0; no rider
(that would be a person). Sizes in metres, ranges from ordinary town, touring and racing bicycles.
"""

from collections.abc import Callable

import numpy as np

from loggrad_tf.scene.colours import grey, paint
from loggrad_tf.scene.draw import Colour, Face, Figure, Hull, Part, Wire, circle, tube

Turn = Callable[[np.ndarray], np.ndarray]
_AXLE = np.array([0.0, 1.0, 0.0])


def bicycle(rng: np.random.Generator) -> Figure:
    """A random bicycle; about 1.2 to 1.9 m long, 0.8 to 1.15 m high."""
    size = float(rng.uniform(0.72, 0.85) if rng.random() < 0.12 else rng.uniform(0.92, 1.08))
    wheel = float(rng.uniform(0.31, 0.355)) * size
    base = float(rng.uniform(0.98, 1.12)) * size
    tyre = float(rng.uniform(0.012, 0.03))
    frame, metal, dark = paint(rng), grey(rng, 0.3, 0.8), grey(rng, 0.02, 0.08)
    thick = float(rng.uniform(0.014, 0.026))

    rear = np.array([-0.43 * base, 0.0, wheel])
    front = np.array([0.57 * base, 0.0, wheel])
    crank = np.array([-0.02 * base, 0.0, wheel * rng.uniform(0.78, 0.9)])
    seat_height = float(rng.uniform(0.46, 0.58)) * size
    slope = float(rng.uniform(0.30, 0.36))
    seat = crank + seat_height * np.array([-slope, 0.0, 1.0])
    head_top = front + np.array([-0.26, 0.0, 0.54 + rng.uniform(-0.03, 0.05)]) * size
    head_low = head_top + np.array([0.045, 0.0, -0.13]) * size

    steer = float(rng.normal(0.0, 0.3))

    def turned(points: np.ndarray) -> np.ndarray:
        """Points of the fork, wheel and bars after steering about the head tube."""
        c, s = np.cos(steer), np.sin(steer)
        offset = points - head_top
        x, y = offset[..., 0], offset[..., 1]
        return head_top + np.stack([c * x - s * y, s * x + c * y, offset[..., 2]], axis=-1)

    step_through = bool(rng.random() < 0.35)
    low_joint = crank + (0.35 if step_through else 0.93) * (seat - crank)
    parts: list[Part] = [
        tube(crank, seat, thick, frame),
        tube(low_joint, head_top if not step_through else head_low, thick, frame),
        tube(crank, head_low, thick * 1.1, frame),
        tube(head_top, head_low, thick * 1.2, frame),
    ]
    if step_through and rng.random() < 0.5:
        parts.append(tube(crank + 0.6 * (seat - crank), head_top, thick * 0.8, frame))
    for side in (-0.05, 0.05):
        shift = np.array([0.0, side, 0.0])
        parts += [tube(crank + shift / 2, rear + shift, thick * 0.6, frame)]
        parts += [tube(seat + shift / 2, rear + shift, thick * 0.5, frame)]
        parts += [tube(turned(head_low + shift), turned(front + shift), thick * 0.7, frame)]
    steered_axle = turned(head_top + _AXLE) - head_top
    spokes = int(rng.integers(10, 19))
    parts += _wheel(rear, wheel, tyre, _AXLE, spokes, metal, dark, rng)
    parts += _wheel(turned(front), wheel, tyre, steered_axle, spokes, metal, dark, rng)
    parts += _saddle(seat, slope, size, metal, dark, rng)
    parts += _handlebar(head_top, size, metal, dark, turned, rng)
    parts += _drive(crank, rear, size, metal, dark, rng)
    parts += _extras(rear, turned(front), steered_axle, seat, wheel, frame, dark, turned, head_top, rng)
    return tuple(parts)


def _wheel(
    centre: np.ndarray,
    radius: float,
    tyre: float,
    axle: np.ndarray,
    spokes: int,
    metal: Colour,
    dark: Colour,
    rng: np.random.Generator,
) -> list[Part]:
    rim = circle(centre, radius - 2.4 * tyre, axle, 36)
    outer = circle(centre, radius - tyre, axle, 36)
    parts: list[Part] = [
        Wire(np.concatenate([rim, rim[:2]]), 0.008, metal, bias=-0.01),
        Wire(np.concatenate([outer, outer[:2]]), tyre, dark),
        tube(centre - 0.05 * axle, centre + 0.05 * axle, 0.024, metal),
    ]
    start = float(rng.uniform(0, 1))
    ends = circle(centre, radius - 2 * tyre, axle, 4 * spokes)[int(start * 4) :: 4]
    hubs = centre + np.where(np.arange(len(ends)) % 2, 0.03, -0.03)[:, None] * axle
    parts.append(Wire(np.stack([hubs, ends], axis=1).reshape(-1, 3), 0.0016, metal, bias=-0.02))
    return parts


def _saddle(
    seat: np.ndarray, slope: float, size: float, metal: Colour, dark: Colour, rng: np.random.Generator
) -> list[Part]:
    top = seat + float(rng.uniform(0.08, 0.2)) * size * np.array([-slope, 0.0, 1.0])
    leather: Colour = dark if rng.random() < 0.7 else (0.2, 0.09, 0.04)
    nose, back = top + np.array([0.15, 0.0, 0.01]), top + np.array([-0.11, 0.0, 0.03])
    wide = np.array([0.0, 0.06, 0.0])
    cover = Hull(
        np.stack([nose, back + wide, back - wide]), np.array([0.02, 0.035, 0.035]), leather, bias=0.02
    )
    return [tube(seat, top, 0.014, metal), cover]


def _handlebar(
    head: np.ndarray, size: float, metal: Colour, dark: Colour, turned: Turn, rng: np.random.Generator
) -> list[Part]:
    rise = float(rng.uniform(0.04, 0.14)) * size
    stem = head + np.array([-0.2 * rise, 0.0, rise])
    clamp = stem + np.array([rng.uniform(0.02, 0.1), 0.0, 0.02])
    half = float(rng.uniform(0.2, 0.33))
    kind = rng.choice(["flat", "drop", "swept"])
    parts: list[Part] = [tube(head, stem, 0.016, metal), tube(turned(stem), turned(clamp), 0.014, metal)]
    for side in (-half, half):
        if kind == "drop":
            bend = [[0, 0, 0], [0, side * 0.8, 0], [0.09, side * 0.82, 0], [0.11, side * 0.83, -0.07]]
            bend += [[0.04, side * 0.85, -0.13], [-0.04, side * 0.86, -0.13]]
        elif kind == "swept":
            bend = [[0, 0, 0], [0.04, side * 0.4, 0.05], [0.0, side * 0.8, 0.07], [-0.18, side, 0.03]]
        else:
            bend = [[0, 0, 0], [0.0, side * 0.5, 0.015], [-0.03, side, 0.01]]
        points = turned(clamp + np.array(bend))
        parts.append(Wire(points, 0.012, metal))
        parts.append(tube(points[-2] + 0.3 * (points[-1] - points[-2]), points[-1], 0.018, dark))
    return parts


def _drive(
    crank: np.ndarray, rear: np.ndarray, size: float, metal: Colour, dark: Colour, rng: np.random.Generator
) -> list[Part]:
    side = np.array([0.0, -0.055, 0.0])
    ring, sprocket = float(rng.uniform(0.075, 0.105)), 0.04
    disc = circle(crank + side, ring, _AXLE)
    angle = float(rng.uniform(0, 2 * np.pi))
    arm = 0.17 * size * np.array([np.cos(angle), 0.0, np.sin(angle)])
    parts: list[Part] = [
        Wire(np.concatenate([disc, disc[:2]]), 0.012, metal, bias=0.01),
        Wire(np.stack([crank + side + [0, 0, ring], rear + side + [0, 0, sprocket]]), 0.006, dark),
        Wire(np.stack([crank + side - [0, 0, ring], rear + side - [0, 0, sprocket]]), 0.006, dark),
    ]
    if rng.random() < 0.3:
        guard = np.stack([crank + side, rear + side])
        parts.append(Hull(guard, np.array([ring, 0.05]), paint(rng), bias=0.03, round=False))
    for sign in (-1.0, 1.0):
        pedal = crank + sign * arm + sign * 0.09 * _AXLE
        parts.append(tube(crank + sign * 0.06 * _AXLE, crank + sign * (arm + 0.06 * _AXLE), 0.011, metal))
        parts.append(tube(pedal - [0.045, 0, 0], pedal + [0.045, 0, 0], 0.018, dark))
    return parts


def _extras(
    rear: np.ndarray,
    front: np.ndarray,
    axle: np.ndarray,
    seat: np.ndarray,
    wheel: float,
    frame: Colour,
    dark: Colour,
    turned: Turn,
    head: np.ndarray,
    rng: np.random.Generator,
) -> list[Part]:
    parts: list[Part] = []
    if rng.random() < 0.45:
        cover = frame if rng.random() < 0.5 else dark
        for centre, about, low, high in ((rear, _AXLE, 20, 190), (front, axle, 30, 170)):
            forward = np.cross(about, [0.0, 0.0, 1.0])
            angle = np.radians(np.linspace(low, high, 14))[:, None]
            arc = centre + (wheel + 0.025) * (np.cos(angle) * forward + np.sin(angle) * [0, 0, 1])
            parts.append(Wire(arc, 0.02, cover, bias=0.01))
    if rng.random() < 0.35:
        top = rear + np.array([0.0, 0.0, wheel + 0.07])
        for side in (-0.05, 0.05):
            rail = np.array([[-0.2, side, 0.0], [0.2, side, 0.0]]) + top
            parts += [Wire(rail, 0.008, dark), Wire(np.stack([rail[0] + [0.12, 0, 0], rear]), 0.006, dark)]
        if rng.random() < 0.35:
            bag = top + np.array([[-0.15, 0.0, 0.1], [0.1, 0.0, 0.1], [-0.15, 0.0, 0.2], [0.1, 0.0, 0.2]])
            parts.append(Hull(bag, np.full(4, 0.07), paint(rng), bias=0.02))
    if rng.random() < 0.25:
        middle = head + np.array([0.2, 0.0, 0.08])
        low, high = middle - [0.11, 0.15, 0.14], middle + [0.14, 0.17, 0.08]
        corner = turned(np.array([[x, y, z] for z in (low[2], high[2]) for x, y in _square(low, high)]))
        wicker: Colour = (0.3, 0.18, 0.08) if rng.random() < 0.5 else dark
        for k in range(4):
            points = corner[[k, (k + 1) % 4, 4 + (k + 1) % 4, 4 + k]]
            parts.append(Face(points, wicker))
    if rng.random() < 0.3:
        parts.append(tube(rear + [0.2, 0.06, -0.05], np.array([rear[0] + 0.1, 0.2, 0.0]), 0.01, dark))
    return parts


def _square(low: np.ndarray, high: np.ndarray) -> tuple[tuple[float, float], ...]:
    return (low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])
