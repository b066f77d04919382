"""Street photographs before the camera: bicycles, cars and persons in linear light.

``draw_scene`` poses one to three objects and some street furniture on a ground plane before a
façade or foliage, lights them with one sun, and returns radiance and the objects' boxes. A
stand-in for a photo collection, not a renderer: no reflections, no shadows on walls, no rider.
Light falls as ``radiance = illumination * (albedo * irradiance)``, hazed towards its mean.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from loggrad_tf.scene.backdrop import at, backdrop, noise, random_street
from loggrad_tf.scene.bicycle import bicycle
from loggrad_tf.scene.car import car
from loggrad_tf.scene.colours import tint
from loggrad_tf.scene.draw import SUPERSAMPLE, Canvas, Figure, Light, View, cast_shadow, mirrored, placed
from loggrad_tf.scene.person import person
from loggrad_tf.scene.props import PROPS, fence, post, tree

CLASSES = ("bicycle", "car", "person")
_DRAW: dict[str, Callable[[np.random.Generator], Figure]] = {"bicycle": bicycle, "car": car, "person": person}
_LEAST_VISIBLE = 0.4
_LEAST_PIXELS = 72


@dataclasses.dataclass(frozen=True)
class SceneObject:
    """One annotated object. ``box``: left, top, right, bottom in pixels, half open, half-pixel steps."""

    name: str
    number: int
    box: tuple[float, float, float, float]
    occluded: bool
    truncated: bool


@dataclasses.dataclass(frozen=True)
class Scene:
    """A picture with its objects.

    ``radiance`` float32 [H, W, 3], linear; ``numbers`` uint8 [2H, 2W]: the object a point shows, or 0.
    """

    radiance: np.ndarray
    numbers: np.ndarray
    objects: tuple[SceneObject, ...]


@dataclasses.dataclass(frozen=True)
class _Stand:
    """A figure at its place; ``number`` 0 for street furniture."""

    figure: Figure
    depth: float
    number: int


def draw_scene(rng: np.random.Generator, width: int, height: int) -> Scene:
    """A random street scene of ``width`` x ``height`` pixels; the same generator state, the same scene."""
    view = View(
        width,
        height,
        focal=width * float(np.exp(rng.uniform(np.log(0.9), np.log(2.0)))),
        horizon=height * float(rng.uniform(0.16, 0.42)),
        eye=float(rng.uniform(0.9, 1.8)),
        roll=float(np.radians(rng.normal(0.0, 2.0))),
    )
    light = _daylight(rng)
    names = [str(name) for name in rng.choice(CLASSES, int(rng.choice([1, 2, 3], p=[0.1, 0.25, 0.65])))]
    stands = [_pose(rng, view, name, k, len(names)) for k, name in enumerate(names)]
    street = random_street(rng, max(stand.depth for stand in stands) + 2.5)
    stands += _furniture(rng, view, [stand.depth for stand in stands], street.distance)
    stands.sort(key=lambda stand: -stand.depth)
    shadow = ndimage.gaussian_filter(cast_shadow(view, light, [s.figure for s in stands]), 0.8)
    empty = backdrop(view, light, street, rng)
    depth_of_shadow = light.sun * light.direction[2] / light.on(np.array([0.0, 0.0, 1.0]))
    canvas = Canvas(view, light, empty * (1.0 - np.float32(depth_of_shadow) * shadow)[..., None])
    painted: dict[int, int] = {}
    for stand in stands:
        canvas.paint(stand.figure, stand.number)
        if stand.number:
            painted[stand.number] = int((canvas.numbers() == stand.number).sum())
    numbers = canvas.numbers().copy()
    objects = (_annotate(numbers, name, k + 1, painted[k + 1]) for k, name in enumerate(names))
    radiance = (
        canvas.linear() * _texture(rng, numbers)[..., None] * _illumination(rng, width, height)[..., None]
    )
    if rng.random() < 0.4:
        veil = float(rng.uniform(0.15, 0.75))
        haze = radiance.mean() * np.array(tint(rng, float(rng.uniform(0.7, 1.3)), 0.06), dtype=np.float32)
        radiance = (1 - veil) * radiance + veil * haze
    return Scene(radiance.astype(np.float32), numbers, tuple(item for item in objects if item is not None))


def _daylight(rng: np.random.Generator) -> Light:
    high, turn = float(np.radians(rng.uniform(25, 70))), float(rng.uniform(0, 2 * np.pi))
    direction = np.array([np.cos(high) * np.cos(turn), np.cos(high) * np.sin(turn), np.sin(high)])
    sun = float(rng.uniform(0.0, 0.15) if rng.random() < 0.35 else rng.uniform(0.4, 0.9))
    return Light(direction, sun, float(rng.uniform(0.25, 0.5)))


def _pose(rng: np.random.Generator, view: View, name: str, index: int, count: int) -> _Stand:
    """Build one object, choose its size in the picture and from that its distance."""
    figure = _DRAW[name](rng)
    if rng.random() < 0.5:
        figure = mirrored(figure)
    yaw = float(rng.uniform(0, 2 * np.pi))
    if name != "person" and rng.random() < 0.35:
        yaw = float(rng.normal(np.pi / 2, 0.45)) * float(rng.choice([-1.0, 1.0]))
    lean = float(rng.normal(0.0, 0.07)) if name == "bicycle" else 0.0
    corner = np.concatenate([p.points for p in placed(figure, (0.0, 0.0), yaw, lean)])
    tall = float(corner[:, 2].max())
    extent = max(tall, float(np.ptp(corner[:, 0])))
    largest = {1: 0.92, 2: 0.8, 3: 0.62}[count] * view.height
    size = float(np.exp(rng.uniform(np.log(0.38 * view.height), np.log(largest))))
    below = 0.98 * view.height - view.horizon
    depth = max(view.focal * extent / size, view.focal * view.eye / below)
    if name != "car" and rng.random() < 0.2:
        cut = float(rng.uniform(0.05, 0.45))
        nearest = view.focal * extent / (1.4 * view.height)
        depth = max(view.focal * (view.eye - cut * tall) / below, nearest)
    depth = max(depth, float(np.ptp(corner[:, 1])) / 2 + 1.2)
    column = view.width * ((index + 0.5) / count + float(rng.normal(0.0, 0.1)))
    x = (column - view.width / 2) / view.focal * depth
    return _Stand(placed(figure, (x, depth), yaw, lean), depth, index + 1)


def _furniture(rng: np.random.Generator, view: View, depths: list[float], wall: float) -> list[_Stand]:
    """Clutter behind and beside the objects and, now and then, something slender in front of one."""
    stands = []
    for _ in range(int(rng.integers(2, 8))):
        prop = PROPS[int(rng.integers(len(PROPS)))](rng)
        depth = float(rng.uniform(min(1.1 * min(depths), wall - 1.0), wall - 0.8))
        stands.append((prop, depth))
    if rng.random() < 0.6:
        make = (post, fence, tree)[int(rng.integers(3))]
        depth = max(1.5, 0.75 * float(rng.choice(depths)))
        stands.append((make(rng), depth))
    reach = 0.55 * view.width / view.focal
    return [
        _Stand(
            placed(prop, (float(rng.uniform(-reach, reach)) * depth, depth), float(rng.uniform(0, 6.3))),
            depth,
            0,
        )
        for prop, depth in stands
    ]


def _annotate(numbers: np.ndarray, name: str, number: int, painted: int) -> SceneObject | None:
    """The box of what can be seen of an object; None if it is too small or mostly hidden."""
    seen = numbers == number
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    if len(rows) == 0:
        return None
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    share = int(seen.sum()) / painted
    if share < _LEAST_VISIBLE or max(right - left, bottom - top) < _LEAST_PIXELS * SUPERSAMPLE:
        return None
    edges = left == 0 or top == 0 or right == numbers.shape[1] or bottom == numbers.shape[0]
    box = tuple(float(side) / SUPERSAMPLE for side in (left, top, right, bottom))
    return SceneObject(name, number, (box[0], box[1], box[2], box[3]), share < 0.95, bool(edges))


def _texture(rng: np.random.Generator, numbers: np.ndarray) -> np.ndarray:
    """Fine structure of cloth, paint and dirt: a factor for every pixel, float32 [H, W]."""
    amplitude = np.concatenate([[0.05], rng.uniform(0.0, 0.17, 255)]).astype(np.float32)
    coarse = numbers[::SUPERSAMPLE, ::SUPERSAMPLE]
    y, x = np.mgrid[: coarse.shape[0], : coarse.shape[1]].astype(np.float32) * np.float32(
        rng.uniform(0.7, 2.0)
    )
    return np.exp(amplitude[coarse] * at(noise(rng, 0.7), x, y))


def _illumination(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Uneven light over the picture: a slope, cast shadows with soft edges, dapples; float32 [H, W]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u, v = x / width - 0.5, y / height - 0.5
    slope = rng.normal(0.0, 0.5, 2)
    factor = np.exp(slope[0] * u + slope[1] * v)
    kind = rng.random()
    if kind < 0.35:
        angle, soft = float(rng.uniform(0, np.pi)), float(rng.uniform(0.003, 0.05))
        line = np.cos(angle) * u + np.sin(angle) * v - rng.uniform(-0.3, 0.3)
        if kind < 0.12:
            line = np.abs(line % 0.3 - 0.15) - float(rng.uniform(0.03, 0.1))
        dark = 1.0 / (1.0 + np.exp(np.clip(line / soft, -30, 30)))
    elif kind < 0.5:
        spots = at(noise(rng, 1.0), x * np.float32(0.4), y * np.float32(0.4))
        dark = 1.0 / (1.0 + np.exp(-4.0 * spots))
    else:
        return factor.astype(np.float32)
    return (factor * (1.0 - float(rng.uniform(0.3, 0.75)) * dark)).astype(np.float32)
