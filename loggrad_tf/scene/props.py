"""Street furniture, so that no single cue gives a class away: wheels, poles and boxes that are none.

Each function returns a figure on z = 0 (see :mod:`loggrad_tf.scene.draw`); sizes in metres.
"""

from collections.abc import Callable

import numpy as np

from loggrad_tf.scene.colours import cloth, grey, leaf, paint, tint, wall
from loggrad_tf.scene.draw import Face, Figure, Hull, Part, Wire, box, circle, tube

_UP = np.array([0.0, 0.0, 1.0])
_SIDE = np.array([0.0, 1.0, 0.0])


def post(rng: np.random.Generator) -> Figure:
    """A pole: lamp post, bollard, or road sign with a round, square or triangular plate."""
    height = float(rng.uniform(0.7, 1.1) if rng.random() < 0.35 else rng.uniform(1.8, 4.0))
    radius = float(rng.uniform(0.025, 0.1))
    parts: list[Part] = [tube(np.zeros(3), height * _UP, radius, grey(rng))]
    if height > 1.8 and rng.random() < 0.6:
        size = float(rng.uniform(0.2, 0.4))
        corners = int(rng.choice([3, 4, 8, 24]))
        plate = circle(
            (height - size) * _UP + [radius + 0.02, 0, 0], size, np.array([1.0, 0.0, 0.0]), corners
        )
        parts.append(Face(plate, paint(rng), bias=0.1))
        inner = circle(
            (height - size) * _UP + [radius + 0.03, 0, 0], 0.75 * size, np.array([1.0, 0, 0]), corners
        )
        parts.append(Face(inner, grey(rng, 0.4, 0.8), bias=0.15, cull=True))
    elif rng.random() < 0.4:
        parts.append(Hull(height * _UP[None], np.array([radius * 1.8 + 0.05]), grey(rng, 0.2, 0.9)))
    return tuple(parts)


def fence(rng: np.random.Generator) -> Figure:
    """Railings or pickets, 1.5 to 4 m long across y."""
    length, height = float(rng.uniform(1.5, 4.0)), float(rng.uniform(0.7, 1.3))
    colour, radius = grey(rng), float(rng.uniform(0.01, 0.03))
    parts: list[Part] = []
    for y in np.arange(-length / 2, length / 2, float(rng.uniform(0.12, 0.4))):
        parts.append(Wire(np.array([[0, y, 0], [0, y, height]]), radius, colour))
    for z in (0.15, height * 0.92):
        parts.append(Wire(np.array([[0, -length / 2, z], [0, length / 2, z]]), radius, colour))
    return tuple(parts)


def bin_(rng: np.random.Generator) -> Figure:
    """A round litter bin or barrel."""
    radius, height = float(rng.uniform(0.2, 0.4)), float(rng.uniform(0.6, 1.2))
    body = np.concatenate(
        [circle(z * _UP + 0.02 * _UP, r, _UP, 16) for z, r in ((0, 0.85 * radius), (height, radius))]
    )
    top = circle((height + 0.03) * _UP, radius, _UP, 16)
    return Hull(body, np.full(32, 0.01), paint(rng)), Face(top, grey(rng, 0.02, 0.3), bias=0.2)


def tree(rng: np.random.Generator) -> Figure:
    """A trunk with a crown, or a potted shrub."""
    tall = float(rng.uniform(0.4, 0.8) if rng.random() < 0.4 else rng.uniform(1.5, 3.0))
    radius, green = float(rng.uniform(0.06, 0.2)), leaf(rng)
    spread = float(rng.uniform(0.25, 0.5)) * max(1.0, tall / 1.5)
    parts: list[Part] = [tube(np.zeros(3), tall * _UP, radius, (0.09, 0.06, 0.04), 0.7)]
    for _ in range(14):
        centre = rng.normal(0, 1, 3) * spread * [0.6, 0.6, 0.5] + (tall + 0.5 * spread) * _UP
        shade = float(rng.uniform(0.6, 1.5))
        colour = (green[0] * shade, green[1] * shade, green[2] * shade)
        parts.append(Hull(centre[None], np.array([spread * rng.uniform(0.25, 0.5)]), colour))
    return tuple(parts)


def crate(rng: np.random.Generator) -> Figure:
    """A container, cabinet or kiosk, sometimes on castors, with a panel on its front."""
    x, y, z = float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.3, 1.6)), float(rng.uniform(0.5, 1.8))
    colour = wall(rng) if rng.random() < 0.5 else paint(rng)
    lift = 0.16 if rng.random() < 0.5 else 0.0
    parts = list(box((-x, -y / 2, lift), (0.0, y / 2, z), colour))
    panel = np.array(
        [
            [0.01, -0.4 * y, 0.5 * z],
            [0.01, 0.4 * y, 0.5 * z],
            [0.01, 0.4 * y, 0.92 * z],
            [0.01, -0.4 * y, 0.92 * z],
        ]
    )
    parts.append(Face(panel, grey(rng, 0.02, 0.6), bias=0.3, cull=True))
    if lift:
        for wx in (-x + 0.1, -0.1):
            for wy in (-y / 2 + 0.1, y / 2 - 0.1):
                wheel = np.array([[wx, wy, 0.09]])
                parts.append(Hull(wheel, np.array([0.09]), (0.02, 0.02, 0.02), bias=0.2))
    return tuple(parts)


def cart(rng: np.random.Generator) -> Figure:
    """A pram or hand cart: two or four spoked wheels, a tub, a push bar."""
    radius, colour = float(rng.uniform(0.13, 0.3)), cloth(rng)
    long, metal = float(rng.uniform(0.5, 0.9)), grey(rng)
    parts: list[Part] = []
    for x in (0.0, long) if rng.random() < 0.7 else (0.4 * long,):
        for y in (-0.25, 0.25):
            hub = np.array([x, y, radius])
            rim = circle(hub, radius - 0.02, _SIDE, 24)
            parts.append(Wire(np.concatenate([rim, rim[:2]]), 0.02, (0.02, 0.02, 0.02)))
            parts.append(Wire(_spokes(hub, rim[::4]), 0.004, metal))
    low = radius * 1.3 + 0.05
    parts += list(box((-0.05, -0.2, low), (long, 0.2, low + float(rng.uniform(0.2, 0.45))), colour))
    handle = np.array(
        [[0, 0.2, low + 0.2], [-0.35, 0.2, low + 0.6], [-0.35, -0.2, low + 0.6], [0, -0.2, low + 0.2]]
    )
    return (*parts, Wire(handle, 0.014, metal))


def bench(rng: np.random.Generator) -> Figure:
    """A park bench, seat 0.45 m high, facing +x."""
    wood, half = tint(rng, float(rng.uniform(0.05, 0.3)), 0.25), float(rng.uniform(0.5, 0.9))
    parts: list[Part] = []
    for y in (-half + 0.1, half - 0.1):
        parts.append(
            Wire(np.array([[0.2, y, 0], [0.2, y, 0.42], [-0.2, y, 0.42], [-0.3, y, 0.85]]), 0.025, grey(rng))
        )
        parts.append(Wire(np.array([[-0.2, y, 0.0], [-0.2, y, 0.42]]), 0.025, grey(rng)))
    for x in (-0.15, 0.0, 0.15):
        parts += list(box((x - 0.06, -half, 0.42), (x + 0.06, half, 0.45), wood))
    for z in (0.58, 0.76):
        parts += list(box((-0.28, -half, z - 0.05), (-0.25, half, z + 0.05), wood))
    return tuple(parts)


def tyres(rng: np.random.Generator) -> Figure:
    """A lone wheel or hoop leaning there: round, spoked or not, but no bicycle."""
    radius, count = float(rng.uniform(0.25, 0.45)), int(rng.choice([0, 0, 6, 12]))
    thick, colour = float(rng.uniform(0.02, 0.08)), grey(rng, 0.02, 0.2)
    axis = np.array([0.25, 0.95, 0.18])
    axis /= np.linalg.norm(axis)
    hub = radius * _UP
    rim = circle(hub, radius - thick, axis, 30)
    parts: list[Part] = [Wire(np.concatenate([rim, rim[:2]]), thick, colour)]
    if count:
        parts.append(Wire(_spokes(hub, circle(hub, radius - thick, axis, count)), 0.008, grey(rng)))
    return tuple(parts)


def _spokes(hub: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """One line from the hub to every end and back, [2 n, 3]."""
    return np.stack([np.broadcast_to(hub, ends.shape), ends], axis=1).reshape(-1, 3)


def dummy(rng: np.random.Generator) -> Figure:
    """Upright and person-sized but no person: a parking meter, hydrant, pump or statue's plinth."""
    colour, height = paint(rng), float(rng.uniform(0.7, 1.7))
    wide = float(rng.uniform(0.1, 0.22))
    parts: list[Part] = [tube(np.zeros(3), 0.55 * height * _UP, 0.6 * wide, colour)]
    parts += list(box((-wide, -wide, 0.5 * height), (wide, wide, 0.9 * height), colour))
    parts.append(Hull((0.92 * height * _UP)[None], np.array([0.8 * wide]), grey(rng), bias=0.1))
    if rng.random() < 0.5:
        arms = np.array([[0.0, -2.2 * wide, 0.7 * height], [0.0, 2.2 * wide, 0.7 * height]])
        parts.append(Hull(arms, np.full(2, 0.4 * wide), colour))
    return tuple(parts)


PROPS: tuple[Callable[[np.random.Generator], Figure], ...] = (
    post,
    fence,
    bin_,
    tree,
    crate,
    cart,
    bench,
    tyres,
    dummy,
)
