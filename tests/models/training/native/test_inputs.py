"""The native trainer's inputs: levels bit for bit, and augmentation by the rules of batches.py."""

import dataclasses

import numpy as np
import pytest

from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FORMATS, FrontEnd
from loggrad_tf.transform.sensor import Sensor
from models.moves import moved
from models.recipe import TrainConfig
from models.training import batches
from models.training.native import library
from models.training.native.inputs import Inputs
from tests.support.native_cases import needs_compiler

pytestmark = needs_compiler
SENSORS = [Sensor(12, 0, 4095), Sensor(8, 3, 250), Sensor(16, 0, 65535)]


def pixels_of(sensor: Sensor, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Half of them anything, half so near each other that products come close to a threshold."""
    rng = np.random.default_rng(seed)
    anything = rng.integers(0, sensor.span + 1, shape)
    near = np.clip(sensor.span // 2 + rng.integers(-3, 4, shape), 0, sensor.span)
    return np.where(rng.random(shape) < 0.5, anything, near).astype(np.uint16)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sensor", SENSORS, ids=str)
@pytest.mark.parametrize("border", ["mirror", "valid"])
@pytest.mark.parametrize("offset", [1, 64])
def test_the_input_is_that_of_encode_bit_for_bit(name: str, sensor: Sensor, border: str, offset: int) -> None:
    front_end = dataclasses.replace(frontend.fixed(name, sensor), border=border, offset=offset)
    for shape in ((7, 19, 23), (3, 3, 3), (2, 32, 5)):
        pixels = pixels_of(sensor, shape)
        expected = front_end.encode(pixels)
        np.testing.assert_array_equal(Inputs(pixels, front_end).encoded(), expected)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 1)])
def test_a_side_of_one_pixel(name: str, shape: tuple[int, int]) -> None:
    front_end = frontend.fixed(name, SENSORS[0])
    pixels = pixels_of(SENSORS[0], (4, *shape))
    np.testing.assert_array_equal(Inputs(pixels, front_end).encoded(), front_end.encode(pixels))


def test_products_at_a_threshold_are_not_above_it() -> None:
    """(U + c)(L + c) 2^S = K (D + c)(R + c), exactly: level 0."""
    front_end = FrontEnd("loggrad_1p5", Sensor(16, 0, 65535), (2**13,))
    image = np.array([[0, 2 * 10000 + 1, 0], [10000, 5, 10000], [0, 10000, 0]], np.uint16)
    found = Inputs(image[None], front_end).encoded()[0, 1, 1, 0]
    assert found == 0 == front_end.encode(image)[1, 1, 0]
    image[0, 1] += 1
    assert Inputs(image[None], front_end).encoded()[0, 1, 1, 0] == 1


def mirrored(places: np.ndarray, size: int) -> np.ndarray:
    return (size - 1) - np.abs((size - 1) - np.abs(places))


def drawn(front_end: FrontEnd, shape: tuple[int, ...], config: TrainConfig) -> tuple[Inputs, np.ndarray]:
    inputs = Inputs(pixels_of(front_end.sensor, shape), front_end, config.cutout)
    return inputs, inputs.draws(np.random.default_rng(5), shape[0], config)


@pytest.mark.parametrize("cfa", ["mono", "RGGB"])
@pytest.mark.parametrize("width", [12, 13])
def test_images_are_moved_as_the_draws_say(cfa: str, width: int) -> None:
    """On a mosaic every colour stays where the filter has it."""
    front_end = FrontEnd("raw16", Sensor(12, 0, 4095, cfa))
    config = TrainConfig(flip=True, shift=5, cutout=4)
    inputs, draws = drawn(front_end, (300, 10, width), config)
    found = inputs.encoded(draws)[..., 0]
    last = width - 2 if cfa != "mono" and width % 2 == 0 else width - 1
    for image, draw, seen in zip(inputs.pixels, draws, found, strict=True):
        rows = mirrored(np.arange(10) + draw["rows"], 10)
        columns = mirrored(np.arange(width) + draw["columns"], width)
        if draw["mirrored"]:
            columns = mirrored(last - columns, width)
        expected = front_end.encode(image[np.ix_(rows, columns)])[..., 0]
        if draw["cut"]:
            y, x = np.mgrid[:10, :width]
            inside = (draw["top"] <= y) & (y < draw["top"] + 4) & (draw["left"] <= x) & (x < draw["left"] + 4)
            expected = np.where(inside, 0, expected)
        np.testing.assert_array_equal(seen, expected)
        if cfa != "mono":
            assert ((rows - np.arange(10)) % 2 == 0).all() and ((columns - np.arange(width)) % 2 == 0).all()


def test_the_draws_are_as_frequent_as_tensorflows() -> None:
    config = TrainConfig(flip=True, shift=3, cutout=4)
    _, draws = drawn(frontend.fixed("loggrad_1p5", SENSORS[0]), (4000, 8, 10), config)
    for name in ("mirrored", "cut"):
        assert draws[name].mean() == pytest.approx(0.5, abs=0.04)
    for name in ("rows", "columns"):
        assert sorted(set(draws[name])) == list(range(-3, 4))
        assert np.bincount(draws[name] + 3).min() > 4000 / 7 * 0.8
    assert (draws["top"].min(), draws["top"].max()) == (-2, 5)
    assert (draws["left"].min(), draws["left"].max()) == (-2, 7)


@pytest.mark.parametrize("shape", [(10, 23), (24, 9)])
def test_images_are_scaled_as_numpy_has_it_bit_for_bit(shape: tuple[int, int]) -> None:
    front_end = FrontEnd("loggrad_2p25", Sensor(16, 0, 65535), (5000, 7000))
    config = TrainConfig(flip=True, shift=3, zoom=1.0)
    pixels = pixels_of(front_end.sensor, (300, *shape))
    pixels[:5] = 65535
    inputs = Inputs(pixels, front_end)
    draws = inputs.draws(np.random.default_rng(5), 300, config)
    assert draws["extra"].min() < -30000 and draws["extra"].max() > 60000 and draws["mirrored"].any()
    expected = moved(pixels, inputs.moves(draws))
    assert (expected[:5] == 65535).all()
    np.testing.assert_array_equal(inputs.encoded(draws), front_end.encode(expected))


def test_a_mosaic_is_not_scaled() -> None:
    _, draws = drawn(FrontEnd("raw16", Sensor(12, 0, 4095, "RGGB")), (50, 8, 8), TrainConfig(zoom=0.5))
    assert not draws["extra"].any()


def test_an_even_shift_of_one_moves_no_mosaic() -> None:
    front_end = FrontEnd("raw16", Sensor(12, 0, 4095, "RGGB"))
    _, draws = drawn(front_end, (50, 8, 8), TrainConfig(shift=1))
    assert not draws["rows"].any() and not draws["columns"].any()


def test_nothing_asked_for_nothing_done() -> None:
    inputs, draws = drawn(frontend.fixed("loggrad_2p75", SENSORS[0]), (20, 9, 9), TrainConfig())
    assert draws.dtype == library.DRAW and not draws.view(np.int32).any()
    np.testing.assert_array_equal(inputs.encoded(draws), inputs.encoded())


@pytest.mark.seconds
def test_the_same_moves_make_the_same_images_in_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the indices that batches.augment takes pixels with."""
    import tensorflow as tf

    taken: list[tuple[np.ndarray, np.ndarray]] = []
    take = batches._take

    def listen(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        taken.append((rows, columns))
        return take(pixels, rows, columns)

    monkeypatch.setattr(batches, "_take", listen)
    front_end = frontend.fixed("loggrad_1p5", Sensor(12, 0, 4095, "RGGB"))
    pixels = pixels_of(front_end.sensor, (40, 12, 12))
    moved = batches.augment(tf.constant(pixels), tf.constant([3, 4], tf.int64), True, 4, mosaic=True)
    rows, columns = taken[0]
    draws = np.zeros(40, library.DRAW)
    for k in range(40):
        candidates = [
            (r, c, m)
            for r in range(-4, 5, 2)
            for c in range(-4, 5, 2)
            for m in (0, 1)
            if (mirrored(np.arange(12) + r, 12) == rows[k]).all()
            and (
                (mirrored(10 - mirrored(np.arange(12) + c, 12), 12) if m else mirrored(np.arange(12) + c, 12))
                == columns[k]
            ).all()
        ]
        assert len(candidates) == 1
        draws[k]["rows"], draws[k]["columns"], draws[k]["mirrored"] = candidates[0]
    np.testing.assert_array_equal(
        Inputs(pixels, front_end).encoded(draws), front_end.encode(np.asarray(moved))
    )
