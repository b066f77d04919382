"""Frames of a fixed camera: one street by hour and weather, with what passes through it.

The street's surfaces, its furniture and the sensor are drawn once from a seed; the sun, shadows, lamps, lit
windows, veil and exposure follow the clock. Radiance is in units of the light on the ground at that hour
(:mod:`loggrad_tf.scene.hours`). The camera meters it up to its longest exposure and highest gain, so nights
are dark and noisy. Not modelled: rain, reflections, motion blur, shadows of figures on walls.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from loggrad_tf.scene import place as streets
from loggrad_tf.scene.backdrop import at, noise
from loggrad_tf.scene.camera import BITS, BLACK, WHITE, Shot, photograph
from loggrad_tf.scene.draw import SUPERSAMPLE, Canvas, Colour, Figure, Light, cast_shadow
from loggrad_tf.scene.hours import LAMP, Day, Hour, elevation, hour_of
from loggrad_tf.scene.place import GROUND, SKY, Place, Surfaces
from loggrad_tf.scene.traffic import Stand, far_to_near, furniture, passing
from loggrad_tf.transform.sensor import BAYER, Sensor

WIDTH, HEIGHT = 640, 480
# In photosites; a gray frame has half of each.
TINY = 16.0
# Shares: less is seen of a difficult one; of one at the picture's edge; of one that is not annotated.
_HIDDEN, _CUT, _NOTHING = 0.4, 0.3, 0.04
# Metres above the ground at which light falls on figures; share of windows that are lit at night.
_BREAST, _AWAKE = 0.9, 0.22
_LAMP_TINT = np.array([1.2, 1.0, 0.55], np.float32)
_HEADLIGHT, _TAIL = np.array([9.0, 9.0, 8.0], np.float32), np.array([1.5, 0.1, 0.05], np.float32)
_LUMA = np.array([0.25, 0.5, 0.25])
_FIRST_FURNITURE = 100
_ZENITH = Light(np.array([0.0, 0.0, 1.0]), 1.0, 0.0)


@dataclasses.dataclass(frozen=True)
class FixedCamera:
    """A street, what stands in it, and the sensor that looks at it.

    Attributes:
      south: where south is in the view, radians from X towards Y.
      lit: irradiance of the street lamps on each pixel, float32; 1 straight below one.
      shot: the sensor's settings by day; ``exposure`` is what its metering aims at.
      darkest: mean radiance that is metered with the longest exposure and the highest gain.
      traffic: how many pass at once by day, on average.
    """

    place: Place
    surfaces: Surfaces
    furniture: tuple[Stand, ...]
    lamps: tuple[tuple[float, float, float], ...]
    south: float
    lit: np.ndarray
    shot: Shot
    darkest: float
    traffic: float


@dataclasses.dataclass(frozen=True)
class Seen:
    """One annotated object. ``box``: left, top, right, bottom in photosites, half open, half steps."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool
    occluded: bool
    truncated: bool


@dataclasses.dataclass(frozen=True)
class Frame:
    """RAW codes uint16 [480, 640], their colour filter, and the objects that can be seen."""

    codes: np.ndarray
    cfa: str
    objects: tuple[Seen, ...]


def fixed_camera(rng: np.random.Generator) -> FixedCamera:
    """A random camera over a random street."""
    place = streets.random_place(rng, WIDTH, HEIGHT)
    surfaces = streets.surfaces(place, rng)
    standing, lamps = furniture(place, rng)
    lit = streets.lamplight(surfaces.p, surfaces.q, surfaces.z, surfaces.kind == GROUND, lamps)
    blur = float(rng.uniform(0.5, 1.0))
    shot = Shot(
        sensor=Sensor(BITS, BLACK, WHITE, str(rng.choice(BAYER))),
        exposure=float(2.0 ** rng.uniform(-0.3, 0.7)),
        balance=(float(rng.uniform(0.45, 0.7)), 1.0, float(rng.uniform(0.5, 0.75))),
        electrons=float(rng.uniform(2.0, 6.0)),
        read_noise=float(rng.uniform(1.0, 2.5)),
        blur=(blur, blur),
    )
    return FixedCamera(
        place,
        surfaces,
        standing,
        lamps,
        south=float(rng.uniform(0.0, 2 * np.pi)),
        lit=np.where(surfaces.kind == SKY, np.float32(0.0), lit),
        shot=shot,
        darkest=LAMP * float(rng.uniform(0.12, 0.35)),
        traffic=float(rng.uniform(1.6, 2.8)),
    )


def take(
    camera: FixedCamera, day: Day, minute: float, standing: tuple[Stand, ...], rng: np.random.Generator
) -> Frame:
    """One frame at ``minute`` of the day.

    Args:
      standing: what is parked there that day.
    """
    hour = hour_of(day, minute, camera.south)
    quiet = 0.5 if elevation(day, minute)[0] < 0 else 1.0
    moving = passing(camera.place, (*camera.furniture, *standing), camera.traffic * quiet, rng)
    objects = (*standing, *moving)
    number = {stand: k + 1 for k, stand in enumerate(objects)}
    number |= {stand: _FIRST_FURNITURE + k for k, stand in enumerate(camera.furniture)}
    stands = far_to_near([*camera.furniture, *objects])
    driving = [stand for stand in moving if stand.name == "car"]
    canvas = Canvas(camera.place.view, _figure_light(hour), _empty(camera, hour, stands, driving, rng))
    painted = {}
    depth = np.full(256, np.inf, np.float32)
    for stand in stands:
        mark = number[stand]
        canvas.paint(_lit_as(stand, camera, hour), mark)
        depth[mark] = camera.place.at(stand.p, stand.q)[1]
        if stand.name:
            painted[mark] = int((canvas.numbers() == mark).sum())
    numbers = canvas.numbers()
    coarse = numbers[::SUPERSAMPLE, ::SUPERSAMPLE]
    far = np.where(coarse > 0, depth[coarse], camera.surfaces.depth)
    radiance = _veiled(canvas.linear(), far, hour, day)
    if hour.lamps:
        _add_lights(radiance, camera, hour, [(stand, number[stand]) for stand in driving], numbers)
    codes = photograph(radiance, _metered(camera, radiance, hour), rng)
    seen = (_annotated(camera, numbers, stand, number[stand], painted) for stand in objects)
    return Frame(codes, camera.shot.sensor.cfa, tuple(one for one in seen if one is not None))


def _metered(camera: FixedCamera, radiance: np.ndarray, hour: Hour) -> Shot:
    """Settings for a frame in units of ``hour.unit``: as bright as aimed at, or as its limits allow."""
    mean = float(radiance.mean(axis=(0, 1)) @ _LUMA) * hour.unit
    gain = float(np.clip(4.0 * camera.darkest / mean, 1.0, 4.0))
    return dataclasses.replace(
        camera.shot,
        exposure=camera.shot.exposure * min(1.0, mean / camera.darkest),
        electrons=camera.shot.electrons / gain,
        read_noise=camera.shot.read_noise * gain**0.5,
    )


def _figure_light(hour: Hour) -> Light:
    """What figures are painted in: the day's light, or at night one from above."""
    if hour.by_day > 0.5:
        return Light(hour.direction, hour.sun / hour.unit, hour.sky / hour.unit)
    return Light(np.array([0.0, -0.35, 0.94]), 0.5, 0.5)


def _empty(
    camera: FixedCamera, hour: Hour, stands: list[Stand], driving: list[Stand], rng: np.random.Generator
) -> np.ndarray:
    """The street without its figures, but with their shadows: radiance, float32 [height, width, 3]."""
    surfaces = camera.surfaces
    ground = (surfaces.kind == GROUND).astype(np.float32)
    below = cast_shadow(camera.place.view, _ZENITH, [stand.figure for stand in stands])
    free = 1.0 - 0.6 * ndimage.gaussian_filter(below, 2.0) * ground
    picture = surfaces.albedo * _daylight(camera, hour, stands, ground, free)[..., None]
    if hour.lamps:
        dark = 1.0 - hour.by_day
        night = dark * (camera.lit * free + _cones(surfaces, driving, ground))
        awake = rng.random(int(surfaces.window.max()) + 2)[surfaces.window] < _AWAKE * dark
        inside = (awake & (surfaces.window >= 0)) * np.float32(0.7 * dark)
        picture = picture + (surfaces.albedo * night[..., None] + inside[..., None]) * _LAMP_TINT
    picture = np.where(surfaces.kind[..., None] == SKY, _sky(camera, hour, rng), picture)
    return picture.astype(np.float32)


def _daylight(
    camera: FixedCamera, hour: Hour, stands: list[Stand], ground: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """Irradiance of each pixel by sun and sky in units of ``hour.unit``, float32 [height, width].

    Args:
      free: how much of the sky each pixel of the ground sees.
    """
    place, surfaces = camera.place, camera.surfaces
    light = hour.sky * free * np.where(ground > 0, np.float32(1.0), np.float32(0.65))
    if hour.sun > 0:
        cast = cast_shadow(place.view, _figure_light(hour), [stand.figure for stand in stands])
        lit = 1.0 - ndimage.gaussian_filter(cast, 0.7) * ground
        lit *= ~streets.shaded(place, surfaces.p, surfaces.q, surfaces.z, hour.direction)
        facing = max(place.street_axes(hour.direction)[1], 0.0)
        light = light + hour.sun * lit * np.where(ground > 0, hour.direction[2], facing)
    return (light / hour.unit).astype(np.float32)


def _sky(camera: FixedCamera, hour: Hour, rng: np.random.Generator) -> np.ndarray:
    across, up = camera.place.view.rays()
    share = hour.sky / hour.unit
    blue = np.array([0.85, 1.0, 1.25]) if hour.sun > 0 else np.array([0.98, 1.0, 1.03])
    bright = (0.25 * hour.by_day + 0.65 * share) * (1.15 - 0.5 * np.clip(up, 0, 1))
    clouds = 1.0 + 0.12 * at(noise(rng, 1.1), across * 50, up * 90)
    return (bright * clouds)[..., None].astype(np.float32) * blue.astype(np.float32)


def _veiled(radiance: np.ndarray, depth: np.ndarray, hour: Hour, day: Day) -> np.ndarray:
    """Air between: things fade with their distance into its light; and the colour of the day."""
    through = np.exp2(-np.minimum(depth, 4.0 * streets.FARTHEST) / np.float32(hour.sight))[..., None]
    air = 0.06 + 0.64 * hour.by_day
    tone = np.array(day.tone, np.float32)
    return ((radiance * through + np.float32(air) * (1.0 - through)) * tone).astype(np.float32)


def _lit_as(stand: Stand, camera: FixedCamera, hour: Hour) -> Figure:
    """The figure in colours as bright as the light at its place makes it."""
    p, q = np.array([stand.p]), np.array([stand.q])
    shade = hour.sun > 0 and bool(streets.shaded(camera.place, p, q, np.array([_BREAST]), hour.direction)[0])
    day = hour.sky / (hour.unit - hour.lamps) if shade else 1.0
    factor = np.full(3, day if hour.by_day > 0.5 else day * hour.by_day)
    if hour.lamps:
        lamps = float(streets.lamplight(p, q, np.array([_BREAST]), 1.0, camera.lamps)[0])
        factor = factor + (1.0 - hour.by_day) * max(lamps, 0.08) * _LAMP_TINT
    return tuple(dataclasses.replace(part, colour=_times(part.colour, factor)) for part in stand.figure)


def _times(colour: Colour, factor: np.ndarray) -> Colour:
    return colour[0] * float(factor[0]), colour[1] * float(factor[1]), colour[2] * float(factor[2])


def _cones(surfaces: Surfaces, driving: list[Stand], ground: np.ndarray) -> np.ndarray:
    """Headlights on the road before the cars, as shares of a street lamp's light."""
    total = np.zeros(surfaces.p.shape, np.float32)
    for car in driving:
        ahead = car.heading * (surfaces.p - car.p) - car.length / 2
        aside = (surfaces.q - car.q) / (0.8 + 0.12 * np.maximum(ahead, 0.0))
        near = np.clip(ahead / 1.5, 0.0, 1.0) / (1.0 + (ahead / 7.0) ** 2)
        total += (1.6 * near * np.exp(-0.5 * aside**2) * ground).astype(np.float32)
    return total


def _add_lights(
    radiance: np.ndarray,
    camera: FixedCamera,
    hour: Hour,
    driving: list[tuple[Stand, int]],
    numbers: np.ndarray,
) -> None:
    """Street lamps, headlights and tail lights as bright discs with a glow, where nothing hides them."""
    place, strength = camera.place, np.float32(1.0 - hour.by_day)
    spots: list[tuple[tuple[float, float, float], float, np.ndarray, int | None]] = [
        (lamp, 0.13, 8.0 * _LAMP_TINT, None) for lamp in camera.lamps
    ]
    for car, mark in driving:
        for end, size, colour in ((1.0, 0.09, _HEADLIGHT), (-1.0, 0.07, _TAIL)):
            towards = end * car.heading
            if -car.p * towards > car.length / 2:
                p = car.p + towards * car.length / 2
                spots += [((p, car.q + side, 0.68), size, colour, mark) for side in (-0.58, 0.58)]
    for (p, q, z), size, colour, owner in spots:
        x, y = place.at(p, q)
        u, v = place.view.project(np.array([[x, y, z]]))[0][0]
        if y < 1.5 or not (2 <= u < WIDTH - 2 and 2 <= v < HEIGHT - 2):
            continue
        row, column = int(v * SUPERSAMPLE), int(u * SUPERSAMPLE)
        if owner is None or owner in numbers[row - 3 : row + 4, column - 3 : column + 4]:
            _glow(radiance, u, v, max(size * place.view.focal / y, 0.7), strength * colour)


def _glow(radiance: np.ndarray, u: float, v: float, radius: float, colour: np.ndarray) -> None:
    """Add a disc of ``radius`` pixels, and scattered light round it."""
    reach = int(12 * radius) + 2
    top, left = max(int(v) - reach, 0), max(int(u) - reach, 0)
    patch = radiance[top : int(v) + reach, left : int(u) + reach]
    y, x = np.mgrid[: patch.shape[0], : patch.shape[1]].astype(np.float32)
    away = ((x + left + 0.5 - u) ** 2 + (y + top + 0.5 - v) ** 2) / np.float32(radius**2)
    light = np.exp(-(away**2)) + 0.05 * np.exp(-away / 8.0) + 0.008 * np.exp(-away / 60.0)
    patch += light[..., None] * colour


def _annotated(
    camera: FixedCamera, numbers: np.ndarray, stand: Stand, mark: int, painted: dict[int, int]
) -> Seen | None:
    """The box of what can be seen of an object; None if that is next to nothing."""
    shown = numbers == mark
    columns, rows = np.flatnonzero(shown.any(axis=0)), np.flatnonzero(shown.any(axis=1))
    share = int(shown.sum()) / max(painted[mark], 1)
    if len(rows) < 6 or share < _NOTHING:
        return None
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    box = tuple(float(side) / SUPERSAMPLE for side in (left, top, right, bottom))
    spots, _ = camera.place.view.project(np.concatenate([part.points for part in stand.figure]))
    low, high = spots.min(axis=0), spots.max(axis=0)
    kept = np.clip(np.minimum(high, (WIDTH, HEIGHT)) - np.maximum(low, 0.0), 0.0, None)
    inside = float(np.prod(kept / np.maximum(high - low, 1e-6)))
    tiny = max(box[2] - box[0], box[3] - box[1]) < TINY
    edges = left == 0 or top == 0 or right == numbers.shape[1] or bottom == numbers.shape[0]
    return Seen(
        stand.name,
        (box[0], box[1], box[2], box[3]),
        difficult=bool(tiny or share < _HIDDEN or (edges and inside < _CUT)),
        occluded=share < 0.95,
        truncated=bool(edges),
    )
