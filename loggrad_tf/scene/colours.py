"""Linear-light colours of the street: paint, cloth, skin, plaster. Albedo 0.02 to 0.9."""

import numpy as np

from loggrad_tf.scene.draw import Colour


def grey(rng: np.random.Generator, low: float = 0.03, high: float = 0.8) -> Colour:
    """A nearly neutral colour, its lightness log-uniform in ``low`` .. ``high``."""
    return tint(rng, float(np.exp(rng.uniform(np.log(low), np.log(high)))), 0.08)


def tint(rng: np.random.Generator, lightness: float, strength: float) -> Colour:
    """A colour of this luma with random hue; ``strength`` is the log spread of its channels."""
    spread = np.exp(rng.normal(0.0, strength, 3))
    spread *= 1.0 / (0.25 * spread[0] + 0.5 * spread[1] + 0.25 * spread[2])
    red, green, blue = np.clip(lightness * spread, 0.01, 0.95).tolist()
    return red, green, blue


def paint(rng: np.random.Generator) -> Colour:
    """Vehicle paint: black, white, silver, or a strong hue."""
    kind = rng.random()
    if kind < 0.22:
        return grey(rng, 0.015, 0.05)
    if kind < 0.5:
        return grey(rng, 0.45, 0.85)
    if kind < 0.65:
        return grey(rng, 0.12, 0.35)
    return tint(rng, float(rng.uniform(0.06, 0.4)), 0.6)


def cloth(rng: np.random.Generator) -> Colour:
    """Clothing: every lightness, often coloured."""
    return tint(rng, float(np.exp(rng.uniform(np.log(0.03), np.log(0.75)))), float(rng.choice([0.1, 0.45])))


def skin(rng: np.random.Generator) -> Colour:
    """Human skin, light to dark."""
    light = float(rng.uniform(0.08, 0.5))
    return min(0.9, light * 1.25), light * 0.9, light * 0.72


def hair(rng: np.random.Generator) -> Colour:
    """Hair: mostly dark, sometimes fair, red or grey."""
    return tint(rng, float(rng.choice([0.02, 0.03, 0.06, 0.15, 0.4])), 0.15)


def wall(rng: np.random.Generator) -> Colour:
    """Masonry, plaster, wood, sheet metal."""
    return tint(rng, float(np.exp(rng.uniform(np.log(0.08), np.log(0.7)))), 0.25)


def leaf(rng: np.random.Generator) -> Colour:
    """Foliage and grass."""
    light = float(rng.uniform(0.04, 0.2))
    return light * float(rng.uniform(0.6, 1.1)), light * 1.3, light * float(rng.uniform(0.3, 0.6))
