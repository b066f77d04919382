"""Keras models as people write them: small, of all layers that are understood, with random weights."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from loggrad_tf import GradientQuantizer, LogGradient, TrainableQuantizer
from models.batch_norm import FusedBatchNorm

SIDE = 13


def randomised(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model with random weights, biases and statistics; gains of both signs."""
    draw = np.random.default_rng(seed)
    for variable in model.variables:
        if "seed" in variable.path or variable.name == "moved":
            continue
        scale = 1 / np.sqrt(max(1, np.prod(variable.shape[:-1])))
        value = draw.normal(0, scale, variable.shape)
        if variable.name == "moving_variance":
            value = draw.uniform(0.5, 2, variable.shape)
        elif variable.name in ("gamma", "beta", "bias", "moving_mean"):
            value = draw.normal(0, 0.7, variable.shape)
        variable.assign(value)
    return model


def _sequence(*parts: Any) -> keras.Model:
    return keras.Sequential([keras.Input((SIDE, SIDE, 1)), *parts])


def _functional(body: Callable[[Any], Any]) -> keras.Model:
    pixels = keras.Input((SIDE, SIDE, 1))
    return keras.Model(pixels, body(pixels))


def _residual(x: Any) -> Any:
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    for _ in range(2):
        y = layers.BatchNormalization()(x)
        y = layers.ReLU()(y)
        y = layers.Conv2D(6, 3, padding="same", use_bias=False)(y)
        x = layers.Add()([x, layers.Dropout(0.2)(y)])
    return layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.ReLU()(x)))


def _operators(x: Any) -> Any:
    x = layers.Conv2D(4, 3, padding="same")(x)
    inner = keras.Sequential([layers.Conv2D(4, 1), layers.BatchNormalization(), layers.ReLU()])
    x = keras.ops.relu(x + inner(x))
    return layers.Dense(3)(layers.Flatten()(layers.AveragePooling2D(3, 2)(x)))


def _nested(x: Any) -> Any:
    block = layers.Conv2D(4, 3, strides=2)
    inside = keras.Input((SIDE, SIDE, 1))
    y = layers.SeparableConv2D(6, 3, padding="same", activation="relu")(block(inside))
    inner = keras.Model(inside, layers.MaxPooling2D(2)(y))
    outer = keras.Sequential([keras.Input((SIDE, SIDE, 1)), inner, layers.GlobalMaxPooling2D()])
    return layers.Dense(1, activation="sigmoid")(outer(x))


def _padded_sum(x: Any) -> Any:
    a = layers.Conv2D(3, 3)(x)
    b = layers.ZeroPadding2D(((0, 2), (0, 1)))(layers.Conv2D(3, (5, 4))(x))
    return layers.Dense(4)(layers.Flatten()(layers.Add()([a, b])))


def _shared_relu(x: Any) -> Any:
    relu = layers.ReLU()
    x = relu(layers.Conv2D(4, 3)(x))
    y = layers.Conv2D(4, 3)(x)
    z = layers.Add()([relu(y), y])
    return layers.Dense(3)(layers.Flatten()(z))


# A model that is made anew, by what is special in it.
MODELS: dict[str, Callable[[], keras.Model]] = {
    "convolution, pool, dense": lambda: _sequence(
        layers.Conv2D(4, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(6, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(3, activation="softmax"),
    ),
    "batch norm behind convolutions": lambda: _sequence(
        layers.Conv2D(4, 3, strides=2, use_bias=False, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.DepthwiseConv2D(3, use_bias=False),
        layers.BatchNormalization(scale=False),
        layers.Activation("relu"),
        layers.Conv2D(5, (1, 2)),
        FusedBatchNorm(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
        layers.BatchNormalization(center=False),
        layers.Softmax(),
    ),
    "batch norm behind ReLU": lambda: _sequence(
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.Conv2D(5, 3, padding="same", activation="relu"),
        layers.BatchNormalization(epsilon=0.01),
        layers.MaxPooling2D(2),
        layers.DepthwiseConv2D(3, activation="relu"),
        layers.BatchNormalization(),
        layers.AveragePooling2D(2, 1),
        layers.Conv2D(4, 2, activation="relu"),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(5, activation="relu"),
        layers.BatchNormalization(),
        layers.Dense(2, activation="softmax"),
    ),
    "batch norm of the input and of means": lambda: _sequence(
        layers.BatchNormalization(),
        layers.Conv2D(4, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.BatchNormalization(),
        layers.BatchNormalization(),
        layers.Dense(3),
    ),
    "pool between convolution and ReLU": lambda: _sequence(
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.ReLU(),
        layers.Conv2D(4, 3),
        layers.AveragePooling2D(2),
        layers.ReLU(),
        layers.Flatten(),
        layers.ReLU(),
        layers.Dense(1),
    ),
    "pools that pad": lambda: _sequence(
        layers.Conv2D(4, 3),
        layers.MaxPooling2D(3, 2, padding="same"),
        layers.AveragePooling2D(3, 2, padding="same"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(3),
    ),
    "zeros in front of a stride": lambda: _sequence(
        layers.ZeroPadding2D(2),
        layers.Conv2D(4, 5, strides=1, activation="relu"),
        layers.ZeroPadding2D(((1, 1), (1, 1))),
        layers.DepthwiseConv2D(3, strides=2),
        layers.Dense(5, activation="relu"),
        layers.Reshape((-1,)),
        layers.Dense(3, activation="sigmoid"),
    ),
    "residual, normalised first": lambda: _functional(_residual),
    "operators": lambda: _functional(_operators),
    "models in models": lambda: _functional(_nested),
    "sum of padded maps": lambda: _functional(_padded_sum),
    "ReLU called twice": lambda: _functional(_shared_relu),
    "dropout and its like": lambda: _sequence(
        layers.RandomFlip(), layers.GaussianNoise(0.1), layers.Conv2D(2, 3), layers.SpatialDropout2D(0.1),
        layers.ReLU(), layers.Identity(), layers.Flatten(), layers.Dense(3),
    ),
}  # fmt: skip
FRONTS: dict[str, Callable[[], keras.layers.Layer]] = {
    "loggrad_1p5": lambda: GradientQuantizer((5500,)),
    "loggrad_2p25": lambda: TrainableQuantizer((0.3, 0.8), border="valid"),
    "loggrad_2p75": lambda: GradientQuantizer((1400, 2000, 3000), shift=10, offset=3),
    "loggrad_fp": lambda: LogGradient(offset=2),
}


def behind(front: keras.layers.Layer, sides: tuple[int, int] = (SIDE, SIDE)) -> keras.Model:
    """A network of three classes behind a front layer."""
    pixels = keras.Input((*sides, 1), dtype="uint16", name="raw")
    x = layers.Conv2D(4, 3, use_bias=False)(front(layers.RandomFlip("horizontal")(pixels)))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(pixels, layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(x)))
