"""Trainable thresholds: exact levels, the stated gradient, order and floor, and what comes out of them."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import ops, reference
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import Sensor
from loggrad_tf.transform.trainable import FLOOR, TrainableQuantizer, gradient_noise

STARTS = [(0.3,), (0.3, 0.9), (0.3, 0.9, 1.5)]
SENSOR = Sensor(bits=12, black=0, white=4095)


def frames(bits: int = 12, count: int = 4) -> np.ndarray:
    return np.random.default_rng(bits).integers(0, 2**bits, (count, 12, 10, 1)).astype(np.uint16)


@pytest.mark.seconds
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("border", ["mirror", "valid"])
def test_levels_are_those_of_the_snapped_ratios(start: tuple, bits: int, border: str) -> None:
    pixels = frames(bits)
    layer = TrainableQuantizer(start, border=border)
    layer.build(pixels.shape)
    draw = np.random.default_rng(1)
    for _ in range(2):
        ratios = layer.snapped()
        expected = ops.levels(pixels[..., 0], ratios, border=border)
        for how in (layer, tf.function(layer)):
            got = how(pixels)
            assert got.dtype == tf.float32
            np.testing.assert_array_equal(got[..., 0], expected)
        thresholds = np.asarray(layer.thresholds(), np.float64)
        assert ratios == tuple(reference.ratio_of(t) for t in thresholds)
        layer.moved.assign(draw.normal(0, 0.4, len(start)))


def test_starts_where_it_is_told() -> None:
    layer = TrainableQuantizer((0.3, 0.9))
    layer.build((None, 8, 8, 1))
    np.testing.assert_allclose(layer.thresholds(), (0.3, 0.9), atol=1e-6)
    assert layer.snapped() == (reference.ratio_of(0.3), reference.ratio_of(0.9))


@pytest.mark.parametrize("moved", [-100.0, -1.0, 0.0, 1.0, 100.0])
def test_order_and_floor_hold_wherever_the_weights_go(moved: float) -> None:
    layer = TrainableQuantizer((0.3, 0.9, 1.5), floor=0.1)
    layer.build((None, 8, 8, 1))
    layer.moved.assign([moved] * 3)
    thresholds = np.asarray(layer.thresholds())
    assert (np.diff(thresholds) >= 0).all() and thresholds[0] >= 0.1 - 1e-7
    ratios = layer.snapped()
    reference.check_ratios(ratios, reference.DEFAULT_SHIFT)
    assert reference.threshold_of(ratios[0]) >= 0.1


def test_the_gradient_is_that_of_the_stated_ramp() -> None:
    """Against differences of the ramp itself: area of the triangle up to x, written out."""

    def ramp(x: np.ndarray, width: float) -> np.ndarray:
        z = np.clip(x / width, -1, 1)
        return np.where(z < 0, (1 + z) ** 2 / 2, 1 - (1 - z) ** 2 / 2)

    pixels = frames(8, 2)
    g = reference.log_gradient(pixels[..., 0])
    upstream = np.random.default_rng(2).normal(0, 1, g.shape)

    def soft(thresholds: np.ndarray) -> float:
        q = sum(ramp(g - t, 0.5) - ramp(-g - t, 0.5) for t in thresholds)
        return float(np.sum(q * upstream))

    start, step = np.array([0.4, 1.0]), 1e-5
    expected = [(soft(start + step * unit) - soft(start - step * unit)) / (2 * step) for unit in np.eye(2)]
    layer = TrainableQuantizer(tuple(start), width=0.5, gain=1.0)
    layer.build(pixels.shape)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(pixels)[..., 0] * upstream.astype(np.float32))
    by_weight = tape.gradient(loss, layer.moved.value)
    with tf.GradientTape() as tape:
        thresholds = layer.thresholds()
    jacobian = np.asarray(tape.jacobian(thresholds, layer.moved.value))
    np.testing.assert_allclose(by_weight, jacobian.T @ np.array(expected), rtol=2e-3)


def test_gain_scales_the_gradient_alone() -> None:
    pixels, found = frames(), []
    for gain in (1.0, 4.0):
        layer = TrainableQuantizer((0.3,), gain=gain)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(pixels) * pixels.astype(np.float32))
        found.append((float(loss), float(tape.gradient(loss, layer.moved.value)[0])))
    assert found[0][0] == found[1][0] and found[0][1] != 0
    assert found[1][1] == pytest.approx(4 * found[0][1], rel=1e-5)


@pytest.mark.seconds
def test_finds_the_threshold_that_the_labels_hang_on() -> None:
    """Labels depend on how many pixels exceed 0.9; starts at 0.4, through plain Keras."""
    draw = np.random.default_rng(3)
    light = draw.uniform(500, 900, (400, 1, 1))
    g = draw.normal(0, draw.uniform(0.1, 0.8, (400, 1, 1)), (400, 8, 8))
    pixels = np.clip(light * np.exp(g), 0, 4095).astype(np.uint16)[..., None]
    share = np.mean(np.abs(reference.log_gradient(pixels[..., 0])) > 0.9, axis=(1, 2))
    raw = keras.Input((8, 8, 1), dtype="uint16")
    quantizer = TrainableQuantizer((0.4,), gain=1.0)
    square = keras.layers.Lambda(lambda q: q * q)(quantizer(raw))
    model = keras.Model(raw, keras.layers.GlobalAveragePooling2D()(square))
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    model.fit(pixels, share[:, None], epochs=20, batch_size=50, verbose=0)
    assert float(quantizer.thresholds()[0]) == pytest.approx(0.9, abs=0.05)


def test_survives_saving_inside_a_model_with_what_it_learnt(tmp_path: Path) -> None:
    raw = keras.Input((12, 10, 1), dtype="uint16")
    quantizer = TrainableQuantizer((0.3, 0.9), floor=0.07, width=0.4, gain=2.0, offset=2, border="valid")
    model = keras.Model(raw, quantizer(raw))
    quantizer.moved.assign([0.11, -0.2])
    model.save(tmp_path / "front.keras")
    loaded = keras.saving.load_model(tmp_path / "front.keras")
    np.testing.assert_array_equal(loaded(frames()), model(frames()))
    twin = loaded.layers[-1]
    assert twin.get_config() == quantizer.get_config() and twin.snapped() == quantizer.snapped()
    assert twin.snapped() != tuple(reference.ratio_of(t) for t in (0.3, 0.9))


@pytest.mark.parametrize(
    ("start", "name"), list(zip(STARTS, ["loggrad_1p5", "loggrad_2p25", "loggrad_2p75"], strict=True))
)
def test_front_end_makes_the_same_levels(start: tuple, name: str) -> None:
    layer = TrainableQuantizer(start, offset=3)
    levels = layer(frames())
    front_end = layer.front_end(SENSOR)
    assert front_end == FrontEnd(name, SENSOR, layer.snapped(), offset=3)
    np.testing.assert_array_equal(front_end.encode(frames()[..., 0]), levels)


def test_noise_of_the_gradient_is_what_a_noisy_flat_patch_shows() -> None:
    draw = np.random.default_rng(4)
    for light in (0.02, 0.18, 0.9):
        signal = light * 9000
        electrons = signal + np.sqrt(signal + 4.5**2) * draw.standard_normal((400, 400))
        measured = np.log(electrons)
        g = measured[::2, ::2] + measured[1::2, ::2] - measured[::2, 1::2] - measured[1::2, 1::2]
        assert np.std(g) == pytest.approx(gradient_noise(light), rel=0.03)
    assert pytest.approx(0.05, abs=1e-3) == FLOOR


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"thresholds": (0.9, 0.3)}, "strictly increasing"),
        ({"thresholds": (0.04,)}, "above the floor of 0.050"),
        ({"thresholds": ()}, "one to three"),
        ({"thresholds": (0.3, 0.4, 0.5, 0.6)}, "one to three"),
        ({"thresholds": (7.0,)}, "up to 2\\^20"),
        ({"thresholds": (0.3,), "width": 0.0}, "width 0.0"),
    ],
)
def test_nonsense_is_refused(changes: dict, text: str) -> None:
    with pytest.raises(LogGradError, match=text):
        TrainableQuantizer(**changes)
    with pytest.raises(LogGradError, match="light"):
        gradient_noise(light=0.0)
