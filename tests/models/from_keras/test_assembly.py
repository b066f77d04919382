"""What the graph has no word for is refused by the layer's name, with what to use in its place."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from loggrad_tf import GradientQuantizer
from loggrad_tf.errors import LogGradError
from models.from_keras.network import read


class OwnLayer(layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs


class OwnModel(keras.Model):
    def call(self, inputs: Any) -> Any:
        return inputs


def sequence(*parts: Any, shape: tuple[int | None, ...] = (12, 12, 1)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *parts])


def ending(*parts: Any) -> keras.Model:
    return sequence(layers.Conv2D(4, 3, name="first"), *parts, layers.Flatten(), layers.Dense(3))


def dense(shape: tuple[int, ...]) -> keras.Model:
    return sequence(layers.Flatten(), layers.Dense(3), shape=shape)


def functional(body: Callable[[Any], Any]) -> keras.Model:
    pixels = keras.Input((12, 12, 1), name="pixels")
    return keras.Model(pixels, body(pixels))


def _twice(x: Any) -> Any:
    shared = layers.Conv2D(1, 3, padding="same", name="shared")
    return layers.Dense(3)(layers.Flatten()(shared(shared(x))))


def _model_twice(x: Any) -> Any:
    shared = keras.Sequential([layers.Conv2D(1, 3, padding="same")], name="shared")
    return layers.Dense(3)(layers.Flatten()(shared(shared(x))))


def _two_inputs() -> keras.Model:
    one, two = keras.Input((12, 12, 1)), keras.Input((12, 12, 1))
    return keras.Model([one, two], layers.Flatten()(layers.Add()([one, two])), name="two")


def _vectors(x: Any) -> Any:
    x = layers.Flatten()(x)
    return layers.Add(name="sum")([layers.Dense(3)(x), layers.Dense(3)(x)])


def _broadcast(x: Any) -> Any:
    y = layers.AveragePooling2D(12)(x)
    return layers.Dense(3)(layers.Flatten()(layers.Add(name="sum")([x, y])))


def _late_front(x: Any) -> Any:
    x = GradientQuantizer((5000,), name="levels")(layers.MaxPooling2D(2)(x))
    return layers.Dense(3)(layers.Flatten()(x))


REFUSED: dict[str, tuple[Callable[[], keras.Model], str]] = {
    "activation": (
        lambda: ending(layers.Conv2D(4, 3, activation="gelu", name="bent")),
        r"layer 'bent' \(Conv2D\): activation 'gelu': train it with 'relu'",
    ),
    "activation layer": (
        lambda: ending(layers.LeakyReLU(name="leak")),
        r"layer 'leak' \(LeakyReLU\): cannot be converted: train it with ReLU",
    ),
    "ReLU6": (lambda: ending(layers.ReLU(6.0, name="six")), r"'six' \(ReLU\): max_value is 6.0: train"),
    "slope": (lambda: ending(layers.ReLU(negative_slope=0.1)), "negative_slope is 0.1: train it with ReLU"),
    "dilation": (lambda: ending(layers.Conv2D(4, 3, dilation_rate=2)), r"dilation_rate is \(2, 2\): use a"),
    "groups": (lambda: ending(layers.Conv2D(4, 3, groups=2)), "groups is 2: use DepthwiseConv2D"),
    "multiplier": (lambda: ending(layers.DepthwiseConv2D(3, depth_multiplier=2)), "multiplier is 2: follow"),
    "concatenation": (
        lambda: functional(lambda x: layers.Dense(3)(layers.Flatten()(layers.Concatenate()([x, x])))),
        r"\(Concatenate\): cannot be converted: join branches with Add",
    ),
    "lambda": (lambda: ending(layers.Lambda(lambda x: x, name="code")), r"'code' \(Lambda\).*no code is run"),
    "scale": (lambda: ending(layers.Rescaling(2.0)), r"\(Rescaling\).*leave it out: the input"),
    "class of its own": (lambda: ending(OwnLayer(name="mine")), r"'mine' \(OwnLayer\): cannot be converted"),
    "model of its own class": (OwnModel, r"\(OwnModel\): a model of its own class: build it as a Functional"),
    "never built": (lambda: keras.Sequential([layers.Dense(3)]), "a Sequential model without an Input"),
    "layer twice": (lambda: functional(_twice), r"'shared' \(Conv2D\): is called twice: give every"),
    "model twice": (lambda: functional(_model_twice), r"'shared' \(Sequential\): is called twice"),
    "two inputs": (_two_inputs, r"'two' \(Functional\): 2 inputs: give it the pixels alone"),
    "colour": (lambda: dense((12, 12, 3)), r"takes \(12, 12, 3\)"),
    "any size": (
        lambda: sequence(layers.GlobalAveragePooling2D(), layers.Dense(3), shape=(None, None, 1)),
        r"takes \(None, None, None, 1\): give it keras.Input",
    ),
    "map": (lambda: sequence(layers.Conv2D(3, 3, name="last")), r"'last' \(Conv2D\): gives a map: end with"),
    "number added": (
        lambda: functional(lambda x: layers.Dense(3)(layers.Flatten()(x + 1.0))),
        r"\(Add\): is called with 1.0: call it with maps alone",
    ),
    "number multiplied": (
        lambda: functional(lambda x: layers.Dense(3)(layers.Flatten()(x * 0.5))),
        r"\(Multiply\): cannot be converted: leave it out",
    ),
    "vectors added": (lambda: functional(_vectors), r"'sum' \(Add\): reads \(3,\): give it a map"),
    "broadcast": (lambda: functional(_broadcast), r"'sum' \(Add\): adds .*: give it two or more maps"),
    "zeros that are not same": (
        lambda: ending(layers.ZeroPadding2D(1, name="zeros"), layers.Conv2D(2, 3, strides=2, name="c")),
        r"'zeros' \(ZeroPadding2D\): pads .* in front of 'c': leave it out and give",
    ),
    "zeros in front of a pool": (
        lambda: ending(layers.ZeroPadding2D(1, name="zeros"), layers.MaxPooling2D(2, name="pool")),
        r"'zeros' \(ZeroPadding2D\): its zeros are read by 'pool': put it in front of a convolution",
    ),
    "softmax inside": (lambda: ending(layers.Conv2D(3, 1, activation="softmax")), "sigmoid inside"),
    "softmax of one": (
        lambda: sequence(layers.Flatten(), layers.Dense(1, "softmax", name="one")),
        r"'one' \(Dense\): softmax of one unit is always 1: use sigmoid",
    ),
    "normalised end": (
        lambda: sequence(layers.Flatten(), layers.Dense(3, "relu"), layers.BatchNormalization(name="bn")),
        r"'bn' \(BatchNormalization\): the last layer: end with Dense",
    ),
    "other axis": (lambda: ending(layers.BatchNormalization(axis=1)), "axis is 1: normalise the last axis"),
    "kept sides": (lambda: ending(layers.GlobalAveragePooling2D(keepdims=True)), "keepdims is True: use"),
    "front inside": (lambda: functional(_late_front), r"'levels' \(GradientQuantizer\): stands inside"),
    "too many weights": (
        lambda: sequence(layers.Flatten(), layers.Dense(2**16), layers.Dense(2**9), shape=(8, 8, 1)),
        "more than 16777216 weights: no board holds them",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_graph_cannot_express_is_refused(name: str) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(LogGradError, match=reason) as caught:
        read(make())
    assert "\n" not in str(caught.value)
