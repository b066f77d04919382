"""TensorFlow's levels, in every way of calling them, against the specification."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend, ops, reference
from loggrad_tf.transform.frontend import FORMATS
from loggrad_tf.transform.layers import GradientQuantizer, LogGradient
from loggrad_tf.transform.sensor import Sensor
from tests.loggrad_tf.transform.test_reference import RATIOS, frames


@pytest.mark.seconds
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_levels_equal_the_specification_everywhere(bits: int, count: int) -> None:
    ratios = RATIOS[count]
    graph = tf.function(lambda p: ops.levels(p, ratios))
    compiled = tf.function(lambda p: ops.levels(p, ratios), jit_compile=True)
    for name, frame in frames(bits).items():
        pixels = frame.astype(np.uint8 if bits == 8 else np.uint16)
        expected = reference.levels(pixels, ratios)
        for how, got in (
            ("eager", ops.levels(pixels, ratios)),
            ("graph", graph(tf.constant(pixels))),
            ("compiled", compiled(tf.constant(pixels))),
            ("layer", GradientQuantizer(ratios)(pixels[None, ..., None])[0, ..., 0]),
        ):
            np.testing.assert_array_equal(got, expected, err_msg=f"{name}, {how}")


def test_products_at_the_edge_of_64_bits_are_exact() -> None:
    """Pairs of 16-bit pixels whose product ratio is the nearest possible to K / 2^S."""
    rng = np.random.default_rng(0)
    for ratio in (2**20, 2**20 - 1, 4097, 5529):
        pixels = rng.integers(60000, 65536, (40, 40)).astype(np.uint16)
        pixels[::2] = np.minimum(65535, pixels[::2].astype(int) * 4096 // min(ratio, 5529))
        np.testing.assert_array_equal(ops.levels(pixels, (ratio,)), reference.levels(pixels, (ratio,)))
    # (U+1)(L+1) 2^S and K (D+1)(R+1) equal, one above and one below.
    for up in (4096 * 8 - 2, 4096 * 8 - 1, 4096 * 8):
        pixels = np.full((3, 3), 4095, np.uint16)
        pixels[0, 1] = up
        pixels[1, 0] = 4095
        assert ops.levels(pixels, (2**15,))[1, 1] == reference.levels(pixels, (2**15,))[1, 1]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("border", ["mirror", "valid"])
def test_encode_equals_the_front_end_in_a_pipeline(name: str, border: str) -> None:
    sensor = Sensor(bits=12, black=100, white=3900)
    pixels = np.random.default_rng(3).integers(0, sensor.span + 1, (10, 15, 14)).astype(np.uint16)
    ratios = frontend.fit(name, sensor, pixels).ratios
    front_end = frontend.FrontEnd(name, sensor, ratios, border=border)
    dataset = tf.data.Dataset.from_tensor_slices(pixels).batch(4).map(ops.encoder(front_end))
    got = np.concatenate(list(dataset.as_numpy_iterator()))
    expected = front_end.encode(pixels)
    if name == "loggrad_fp":
        np.testing.assert_allclose(got, expected, atol=4e-6)
    else:
        np.testing.assert_array_equal(got, expected)


def test_layers_survive_saving_inside_a_model(tmp_path: Path) -> None:
    pixels = np.random.default_rng(4).integers(0, 65536, (2, 12, 10, 1)).astype(np.uint16)
    raw = keras.Input((12, 10, 1), dtype="uint16")
    model = keras.Model(raw, [LogGradient()(raw), GradientQuantizer(RATIOS[2], border="valid")(raw)])
    model.save(tmp_path / "front.keras")
    loaded = keras.saving.load_model(tmp_path / "front.keras")
    gradient, levels = loaded(pixels)
    assert gradient.shape == (2, 12, 10, 1) and levels.shape == (2, 10, 8, 1)
    np.testing.assert_allclose(gradient[..., 0], reference.log_gradient(pixels[..., 0]), atol=2e-5)
    np.testing.assert_array_equal(levels[..., 0], reference.levels(pixels[..., 0], RATIOS[2], border="valid"))
    assert [tuple(o.shape) for o in loaded.outputs] == [(None, 12, 10, 1), (None, 10, 8, 1)]


def test_layers_take_whole_numbers_in_floats_without_loss() -> None:
    pixels = np.array([[0, 65535], [65534, 65533]], np.float32)[None, ..., None]
    q = GradientQuantizer((4097,))(pixels)
    np.testing.assert_array_equal(q[0, ..., 0], reference.levels(pixels[0, ..., 0].astype(int), (4097,)))


def test_layers_refuse_other_shapes() -> None:
    with pytest.raises(LogGradError, match="RAW pixels"):
        LogGradient()(np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(LogGradError, match="border 'zero'"):
        GradientQuantizer(RATIOS[1], border="zero")
