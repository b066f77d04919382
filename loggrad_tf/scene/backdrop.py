"""What stands behind and under the objects: ground, a façade or hedge, sky; linear light.

Every pixel's ray meets a vertical wall plane or the ground plane; patterns (bricks, boards,
windows, paving, grass, lane marks) are functions of the coordinates on that plane, so their
perspective is that of the objects standing there.
"""

import dataclasses
import functools

import numpy as np

from loggrad_tf.scene.colours import grey, leaf, tint, wall
from loggrad_tf.scene.draw import Light, View

_TILE = 256
_WALLS = ("bricks", "boards", "shutter", "plaster", "blocks", "hedge", "trees", "open")
_GROUNDS = ("asphalt", "paving", "cobbles", "grass", "gravel")


@dataclasses.dataclass(frozen=True)
class Street:
    """Where the wall stands: ``distance`` m ahead, turned by ``yaw``; ``kerb`` m of pavement before it."""

    distance: float
    yaw: float
    height: float
    kerb: float


def noise(rng: np.random.Generator, slope: float) -> np.ndarray:
    """A random piece of :func:`_field`."""
    field = _field(slope, int(rng.integers(4)))
    return np.roll(field, rng.integers(0, _TILE, 2), axis=(0, 1))


@functools.lru_cache
def _field(slope: float, index: int) -> np.ndarray:
    """Tileable noise, amplitude spectrum ``f^-slope`` up to half the Nyquist frequency.

    Zero mean, unit variance, float32 [256, 256]; two samples a cell, so that the nearest one will do.
    """
    square = np.fft.fftfreq(_TILE)[:, None] ** 2 + np.fft.rfftfreq(_TILE)[None] ** 2
    square[0, 0] = np.inf
    phase = np.random.default_rng(index).uniform(0, 2 * np.pi, square.shape)
    spectrum = np.where(square < 0.0625, square ** (-slope / 2), 0.0) * np.exp(1j * phase)
    field = np.fft.irfft2(spectrum, s=(_TILE, _TILE))
    return ((field - field.mean()) / field.std()).astype(np.float32)


def at(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Look up a tileable field, coordinates in cells, any shape."""
    column = (x * np.float32(2)).astype(np.int32) % _TILE
    row = (y * np.float32(2)).astype(np.int32) % _TILE
    return field.ravel()[row * _TILE + column]


def random_street(rng: np.random.Generator, farthest: float) -> Street:
    """A street whose wall lies behind ``farthest`` metres."""
    return Street(
        distance=farthest + float(rng.uniform(1.0, 9.0)),
        yaw=float(rng.normal(0.0, 0.25)),
        height=float(rng.uniform(2.0, 4.0) if rng.random() < 0.25 else rng.uniform(5.0, 14.0)),
        kerb=float(rng.uniform(0.5, 4.0)),
    )


def backdrop(view: View, light: Light, street: Street, rng: np.random.Generator) -> np.ndarray:
    """The empty scene, float32 [height, width, 3]."""
    across, up = view.rays()
    cy, sy = np.float32(np.cos(street.yaw)), np.float32(np.sin(street.yaw))
    along = across * street.distance / np.maximum(cy - across * sy, 0.2)
    reach = street.distance + along * sy
    z = view.eye + reach * up
    fields = (noise(rng, 1.1), noise(rng, 0.4))
    kind = str(rng.choice(_WALLS, p=[0.17, 0.1, 0.1, 0.17, 0.12, 0.12, 0.14, 0.08]))
    picture = _sky(up, across, light, fields, rng)
    ceiling = np.full_like(z, street.height)
    if kind in ("hedge", "trees"):
        ceiling += 0.4 * at(fields[0], along * 12, along * 0)
    elif kind == "open":
        ceiling = (
            1.2
            + 0.8 * at(fields[0], along * 3, along * 0)
            + 1.5 * (at(fields[1], along // 5, along * 0) > 0.5)
        )
    facade = (z > 0) & (z < ceiling)
    make = _foliage if kind in ("hedge", "trees") else functools.partial(_masonry, kind)
    facing = light.on(np.array([street.yaw * 0.5, -1.0, 0.0]))
    picture[facade] = make(along[facade], z[facade], fields, rng) * np.float32(facing)
    ground = (z <= 0) & (up < 0)
    depth = view.eye / np.maximum(-up[ground], 1e-3)
    x, y = across[ground] * depth, depth
    p, q = cy * x + sy * (y - street.distance), cy * (street.distance - y) + sy * x
    picture[ground] = _ground(p, q, street, fields, rng) * np.float32(light.on(np.array([0.0, 0.0, 1.0])))
    return picture


def _sky(
    up: np.ndarray, across: np.ndarray, light: Light, fields: tuple, rng: np.random.Generator
) -> np.ndarray:
    tone = np.array([1.0 - 0.2 * light.sun, 1.0, 1.0 + 0.15 * light.sun])
    base = (np.array(tint(rng, 0.75, 0.05)) * tone).astype(np.float32)
    clouds = 1.0 + rng.uniform(0.0, 0.2) * at(fields[0], across * 60, up * 90)
    return (base * (light.sky + 0.4) * (clouds * (1.0 - 0.2 * np.clip(up, 0, 1)))[..., None]).astype(
        np.float32
    )


def bands(x: np.ndarray, period: float, share: float, offset: float = 0.0) -> np.ndarray:
    """1 on the first ``share`` of every period, else 0."""
    turns = x * np.float32(1.0 / period) + np.float32(offset)
    return (turns - np.floor(turns) < share).astype(np.float32)


def grain(
    albedo: np.ndarray, x: np.ndarray, y: np.ndarray, fields: tuple, stain: float, fine: float
) -> np.ndarray:
    factor = np.exp(stain * at(fields[0], x * 9, y * 9) + fine * at(fields[1], x * 50, y * 50))
    return albedo * factor[..., None].astype(np.float32)


def mix(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return a + (b.astype(np.float32) - a) * mask[..., None]


def _masonry(kind: str, t: np.ndarray, z: np.ndarray, fields: tuple, rng: np.random.Generator) -> np.ndarray:
    main, second = np.array(wall(rng)), np.array(wall(rng))
    flat: np.ndarray = np.broadcast_to(main.astype(np.float32), (*t.shape, 3))
    if kind == "bricks":
        tall, wide = float(rng.uniform(0.07, 0.14)), float(rng.uniform(0.22, 0.4))
        row = np.floor(z / tall)
        tone = at(fields[1], np.floor(t / wide + 0.5 * (row % 2)) * 7.3, row * 3.1)
        joint = np.maximum(bands(z, tall, 0.14), bands(t + 0.5 * wide * (row % 2), wide, 0.06))
        flat = mix(flat * np.exp(0.18 * tone)[..., None], second, joint)
    elif kind == "boards":
        period = float(rng.uniform(0.12, 0.3))
        flat = flat * (1.0 - 0.5 * bands(t if rng.random() < 0.5 else z, period, 0.12))[..., None]
    elif kind == "shutter":
        flat = flat * (0.75 + 0.3 * np.sin(2 * np.pi * z / rng.uniform(0.08, 0.2)))[..., None]
    elif kind == "blocks":
        wide, tall = rng.uniform(0.6, 1.6), rng.uniform(0.4, 1.0)
        tone = at(fields[1], np.floor(t / wide) * 5.7, np.floor(z / tall) * 3.3)
        joint = np.maximum(bands(t, wide, 0.03), bands(z, tall, 0.04))
        flat = flat * (np.exp(0.2 * tone) * (1 - 0.6 * joint))[..., None]
    flat = grain(flat, t, z, fields, float(rng.uniform(0.05, 0.3)), float(rng.uniform(0.02, 0.15)))
    if kind != "shutter" and rng.random() < 0.75:
        flat = _windows(flat, t, z, rng)
    if rng.random() < 0.4:
        flat = mix(flat, second, (z < rng.uniform(0.2, 1.0)).astype(np.float32))
    return flat


def _windows(flat: np.ndarray, t: np.ndarray, z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of windows (and ground-floor doors) with frames, cross-bars and a reflection."""
    period, storey = float(rng.uniform(1.4, 4.0)), float(rng.uniform(2.4, 3.4))
    wide = float(rng.uniform(0.35, 0.8))
    low = 0.0 if rng.random() < 0.35 else float(rng.uniform(0.6, 1.1))
    u, v = (
        ((t / period + rng.random()) % 1.0 - 0.5 * (1 - wide)) / wide,
        ((z % storey) - low) / (storey - low - 0.5),
    )
    inside = ((u > 0) & (u < 1) & (v > 0) & (v < 1)).astype(np.float32)
    edge = 0.05 / wide
    pane = ((u > edge) & (u < 1 - edge) & (v > 0.04) & (v < 0.96)).astype(np.float32)
    bars = np.maximum(
        bands(u, 1 / int(rng.integers(1, 4)), 0.06), bands(v, 1 / int(rng.integers(1, 4)), 0.05)
    )
    frame, glass = np.array(grey(rng, 0.03, 0.8)), np.array(grey(rng, 0.02, 0.35))
    shine = 1.0 + rng.uniform(0, 1.5) * bands(u + v, 1.3, 0.35)
    flat = mix(flat, frame, inside)
    return mix(flat, glass * shine[..., None], pane * (1 - bars))


def _foliage(t: np.ndarray, z: np.ndarray, fields: tuple, rng: np.random.Generator) -> np.ndarray:
    fine = float(rng.uniform(14, 40))
    clumps = 0.5 * at(fields[0], t * fine / 4, z * fine / 4) + 0.5 * at(fields[1], t * fine, z * fine)
    green = np.array(leaf(rng), dtype=np.float32) * np.exp(rng.uniform(0.4, 0.9) * clumps)[..., None]
    if rng.random() < 0.5:
        trunk = bands(t + 0.08 * z, float(rng.uniform(0.8, 2.5)), float(rng.uniform(0.06, 0.15)))
        green = mix(green, np.array(grey(rng, 0.03, 0.2)), trunk * (z < rng.uniform(1.0, 3.0)))
    return green


def _ground(
    p: np.ndarray, q: np.ndarray, street: Street, fields: tuple, rng: np.random.Generator
) -> np.ndarray:
    """``p`` metres along the wall, ``q`` metres out from it."""
    near, far = str(rng.choice(_GROUNDS)), str(rng.choice(_GROUNDS))
    floor = surface(near, p, q, fields, rng)
    if rng.random() < 0.7:
        walk = surface(far, p, q, fields, rng)
        floor = mix(floor, walk, (q < street.kerb).astype(np.float32))
        stone = (np.abs(q - street.kerb) < 0.08).astype(np.float32)
        floor = mix(floor, np.array(grey(rng, 0.15, 0.6)), stone)
    if rng.random() < 0.3:
        line = street.kerb + float(rng.uniform(0.5, 3.0))
        mark = (np.abs(q - line) < 0.07) * bands(p, float(rng.uniform(1, 4)), float(rng.uniform(0.5, 1.0)))
        floor = mix(floor, np.array([0.7, 0.7, 0.65]), mark.astype(np.float32))
    return floor


def surface(kind: str, p: np.ndarray, q: np.ndarray, fields: tuple, rng: np.random.Generator) -> np.ndarray:
    tone = np.array(leaf(rng) if kind == "grass" else grey(rng, 0.07, 0.45))
    flat: np.ndarray = np.broadcast_to(tone.astype(np.float32), (*p.shape, 3))
    if kind == "grass":
        return grain(flat, p, q, fields, 0.3, 0.5)
    if kind == "gravel":
        return grain(flat, p, q, fields, 0.15, 0.35)
    if kind in ("paving", "cobbles"):
        side = float(rng.uniform(0.1, 0.18) if kind == "cobbles" else rng.uniform(0.3, 0.8))
        row = np.floor(q / side)
        cell = np.floor(p / side + 0.5 * (row % 2))
        joint = np.maximum(bands(q, side, 0.08), bands(p + 0.5 * side * (row % 2), side, 0.08))
        flat = flat * (np.exp(0.15 * at(fields[1], cell * 5.3, row * 3.7)) * (1 - 0.45 * joint))[..., None]
    return grain(flat, p, q, fields, 0.15, 0.1)
