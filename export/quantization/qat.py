"""Quantised training: fine-tune a trained network as the rounded one that a board computes.

The network is written as :func:`export.quantization.quantize.outputs` writes it for the converter, its
batch norm folded, and weights, biases and ranges are trained with rounding in place. Rounding passes its
gradient on (straight through); a scale's gradient follows from that (Esser et al. 2020, "Learned step size
quantization"). Scales and ranges are trained as factors of where they start, so that one learning rate
suits them all. What comes out is converted like any network, with the trained scales and ranges:
:func:`convert`.

Weights may have fewer bits than eight: b bits are the 2^b - 1 values -n..n times a scale, so two bits are
ternary weights {-a, 0, a}. The int8 tensor holds exact multiples of them, for two bits -127, 0, 127: with
-1, 0, 1 the biases, which share the accumulator's scale, would be rounded to multiples of a. Activations
always have eight bits.

tensorflow-model-optimization can do the training in place of :func:`train`: :mod:`export.quantization.tfmot`.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from export.quantization import quantize
from export.quantization.pairwise import pairwise
from export.quantization.quantize import Ranges
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models.graph import WEIGHTED, Graph, Op
from models.keras_net import FoldedWeights
from models.moves import Cells
from models.recipe import TrainConfig, steps_per_epoch
from models.training.batches import training_batches
from models.training.descent import Descent
from models.training.loop import Progress, diverged

BITS = range(2, 9)
INT8_BITS, TERNARY_BITS = 8, 2
# Shares of the largest weight that are tried as a scale of few bits.
_SHARES = np.linspace(0.1, 1.0, 91)


@dataclasses.dataclass(frozen=True)
class Tuning:
    """How to fine-tune.

    Attributes:
      epochs: passes over the training split.
      learning_rate: of Adam, at the start; it falls to zero along a cosine.
      bits: of the weights, 2..8; None rounds nothing at all, the control of what more training does.
      ternary_first: the convolutions that read the input have weights -a, 0 and a.
    """

    epochs: int = 10
    learning_rate: float = 3e-3
    bits: int | None = INT8_BITS
    ternary_first: bool = False

    def __post_init__(self) -> None:
        if self.bits is not None and self.bits not in BITS:
            raise LogGradError(f"weights of {self.bits} bits: choose {BITS[0]} to {BITS[-1]}")

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Quantized:
    """A network and how it is rounded.

    Attributes:
      graph: with additions of two operands only.
      weights: folded, not rounded.
      bits: of each op's kernel; an op without an entry is not rounded.
      reaches: the weight that becomes the largest value n of its bits: float32 (channels,), of a dense op ().
      ranges: of every rounded output; None: outputs are not rounded.
    """

    graph: Graph
    weights: FoldedWeights
    bits: dict[str, int]
    reaches: dict[str, np.ndarray]
    ranges: Ranges | None


def weight_bits(graph: Graph, tuning: Tuning) -> dict[str, int]:
    """Bits of every op with weights.

    Raises:
      LogGradError: ternary weights of a first convolution were asked for, and none reads the input.
    """
    if tuning.bits is None:
        return {}
    bits = {op.name: tuning.bits for op in graph.ops if op.kind in WEIGHTED}
    if tuning.ternary_first:
        first = [op.name for op in graph.ops if op.inputs == (0,) and op.kind in ("conv", "depthwise")]
        if not first:
            raise LogGradError("ternary_first: no convolution reads the input of this network; leave it out")
        bits |= dict.fromkeys(first, TERNARY_BITS)
    return bits


def quantized(graph: Graph, weights: FoldedWeights, inputs: np.ndarray, tuning: Tuning) -> Quantized:
    """Rounded as after training: ranges from some images, scales from the weights.

    At eight bits a scale is that of the largest weight, as :mod:`export.quantization.quantize` has it.
    Below, it is the one with the least squared error, and biases make up for what the errors of the weights
    add to the mean of an output (Nagel et al. 2019, "Data-free quantization through weight equalization and
    bias correction").

    Args:
      inputs: what the float network sees, float32 (N, H, W, C); a few hundred suffice.
    """
    graph = pairwise(graph)
    bits = weight_bits(graph, tuning)
    reaches = {
        op.name: _reach(op, weights.kernels[op.name], bits[op.name]) for op in graph.ops if op.name in bits
    }
    ranges = quantize.calibrate(graph, weights, inputs) if bits else None
    plain = Quantized(graph, weights, bits, reaches, ranges)
    if all(b == INT8_BITS for b in bits.values()):
        return plain
    return dataclasses.replace(plain, weights=FoldedWeights(weights.kernels, _corrected(plain, inputs)))


def train(
    start: Quantized,
    data: DataSet,
    front_end: FrontEnd,
    config: TrainConfig,
    seed: int,
    on_epoch: Progress | None = None,
) -> Quantized:
    """Fine-tune weights, scales and ranges of ``start`` on the training split.

    Same arguments and thread count give the same network, bit for bit.

    Args:
      config: see :func:`tuned`.
      on_epoch: called after each epoch with its number, from 0, and ``loss`` and ``error`` of its batches.
    Raises:
      LogGradError: the training diverged.
    """
    keras.utils.set_random_seed(seed)
    pixels, labels = data.subset("train")
    steps = steps_per_epoch(len(pixels), config) * config.epochs
    pixels = requantize(pixels, data.sensor, front_end.sensor)
    cells = Cells.of(start.graph, data)
    batches = training_batches(pixels, labels, start.graph.output_units, front_end, config, seed, cells=cells)
    network = _RoundedNetwork(start, front_end)
    image = keras.Input(start.graph.input_shape, name="pixels")
    descent = Descent(
        keras.Model(image, network(image)),
        functools.partial(config.rate, steps=steps),
        None,
        config.weight_decay,
        config.label_smoothing,
    )
    for epoch, entry in enumerate(descent.epochs(batches, range(config.epochs), on_epoch=on_epoch), 1):
        if diverged(entry):
            raise LogGradError(f"quantised training diverged in epoch {epoch}: lower its learning rate")
    return network.trained()


def tuned(train: TrainConfig, tuning: Tuning) -> TrainConfig:
    """The fine-tuning of a network that was trained by ``train``: its batches and augmentation, with Adam."""
    return dataclasses.replace(
        train,
        epochs=tuning.epochs,
        learning_rate=tuning.learning_rate,
        optimizer="adam",
        schedule="cosine",
        weight_decay=0.0,
    )


def logits(network: Quantized, front_end: FrontEnd, inputs: np.ndarray) -> np.ndarray:
    """Outputs of the rounded network, float32 (N, units) or a map of them, for float32 (N, H, W, C).

    What its int8 flatbuffer computes, but for the last bit of an activation now and then.
    """
    rounded = _RoundedNetwork(network, front_end)
    chunks = [rounded(tf.constant(inputs[i : i + 128])).numpy() for i in range(0, len(inputs), 128)]
    return np.concatenate(chunks)


def convert(network: Quantized, front_end: FrontEnd) -> bytes:
    """The int8 flatbuffer of a network that is rounded; its weights are exact multiples of the few bits'."""
    assert network.ranges is not None
    kernels, reaches = {}, {}
    for op in network.graph.ops:
        if op.kind not in WEIGHTED:
            continue
        bits, reach = network.bits[op.name], network.reaches[op.name]
        most = _most(bits)
        kernels[op.name] = np.asarray(_rounded(op, network.weights.kernels[op.name], reach, bits))
        # The int8 value of one step is 127 // most, so that all of them are whole.
        reaches[op.name] = np.float32(127 / (127 // most * most)) * reach
    weights = FoldedWeights(kernels, network.weights.biases)
    return quantize.convert(network.graph, weights, front_end, network.ranges, reaches)


class _RoundedNetwork(keras.layers.Layer):
    """float32 (batch, H, W, C) -> logits. Variables: weights, biases, factors of scales and of ranges."""

    def __init__(self, start: Quantized, front_end: FrontEnd) -> None:
        super().__init__()
        self._start, self._input = start, quantize.input_range(front_end)
        self._kernels = {n: self._variable(f"{n}_kernel", w) for n, w in start.weights.kernels.items()}
        self._biases = {n: self._variable(f"{n}_bias", w) for n, w in start.weights.biases.items()}
        self._scales = {
            n: self._variable(f"{n}_scale", np.ones_like(reach)) for n, reach in start.reaches.items()
        }
        limits = start.ranges.outputs if start.ranges else {}
        self._widths = {n: self._variable(f"{n}_range", np.ones(2)) for n in limits}

    def call(self, x: tf.Tensor) -> tf.Tensor:
        kernels = {op.name: self._kernel(op) for op in self._start.graph.ops if op.kind in WEIGHTED}
        biases = {name: tf.convert_to_tensor(bias) for name, bias in self._biases.items()}
        return quantize.outputs(self._start.graph, kernels, biases, x, self._output)[-1]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], *self._start.graph.ops[-1].shape)

    def trained(self) -> Quantized:
        """The network with what its variables are now."""
        start = self._start
        weights = FoldedWeights(_arrays(self._kernels), _arrays(self._biases))
        reaches = {name: np.asarray(self._reach(name)) for name in start.reaches}
        ranges = None
        if start.ranges is not None:
            ranges = Ranges({name: _floats(self._limits(name)) for name in self._widths})
        return dataclasses.replace(start, weights=weights, reaches=reaches, ranges=ranges)

    def _variable(self, name: str, value: np.ndarray) -> keras.Variable:
        return self.add_weight(
            shape=value.shape, initializer=lambda shape, dtype: tf.constant(value, dtype), name=name
        )

    def _kernel(self, op: Op) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self._kernels[op.name])
        bits = self._start.bits.get(op.name)
        return kernel if bits is None else _rounded(op, kernel, self._reach(op.name), bits)

    def _reach(self, name: str) -> tf.Tensor:
        return self._start.reaches[name] * _factor(self._scales[name])

    def _output(self, op: Op, value: tf.Tensor) -> tf.Tensor:
        if self._start.ranges is None:
            return value
        limits = self._limits(op.name) if op.inputs else self._input
        return tf.quantization.fake_quant_with_min_max_vars(value, *limits)

    def _limits(self, name: str) -> tuple[tf.Tensor, tf.Tensor]:
        assert self._start.ranges is not None
        low, high = self._start.ranges.outputs[name]
        factors = _factor(self._widths[name])
        return low * factors[0], high * factors[1]


def _factor(variable: keras.Variable) -> tf.Tensor:
    """Positive, whatever the training does."""
    return tf.maximum(tf.convert_to_tensor(variable), 0.05)


def _arrays(variables: Mapping[str, keras.Variable]) -> dict[str, np.ndarray]:
    return {name: variable.numpy() for name, variable in variables.items()}


def _floats(limits: tuple[tf.Tensor, tf.Tensor]) -> tuple[float, float]:
    return float(limits[0]), float(limits[1])


def _most(bits: int) -> int:
    """n of the values -n..n."""
    return 2 ** (bits - 1) - 1


def _rounded(op: Op, kernel: Any, reach: Any, bits: int) -> tf.Tensor:
    """Kernel on its grid: symmetric, one scale per output channel, dense one in all; straight through."""
    most = _most(bits)
    scale = reach / most
    if op.kind == "depthwise":
        scale = scale[:, None]
    steps = tf.clip_by_value(kernel / scale, -most, most)
    return (steps + tf.stop_gradient(tf.round(steps) - steps)) * scale


def _corrected(network: Quantized, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Biases less the mean error of what weights of fewer than eight bits give; borders are not looked at."""
    graph, weights = network.graph, network.weights
    biases = dict(weights.biases)
    sums: list[Any] = [0.0] * len(graph.ops)
    for start in range(0, len(inputs), 128):
        chunk = inputs[start : start + 128]
        for place, value in enumerate(quantize.outputs(graph, weights.kernels, biases, tf.constant(chunk))):
            sums[place] += len(chunk) * tf.reduce_mean(value, axis=range(value.ndim - 1)).numpy()
    for op in graph.ops:
        bits = network.bits.get(op.name, INT8_BITS)
        if bits == INT8_BITS:
            continue
        kernel, mean = weights.kernels[op.name], sums[op.inputs[0]] / len(inputs)
        error = np.asarray(_rounded(op, kernel, network.reaches[op.name], bits)) - kernel
        if op.kind == "depthwise":
            biases[op.name] = biases[op.name] - mean * error.sum(axis=(0, 1, 3))
        else:
            biases[op.name] = biases[op.name] - mean @ error.reshape(-1, *error.shape[-2:]).sum(axis=0)
    return biases


def _reach(op: Op, kernel: np.ndarray, bits: int) -> np.ndarray:
    largest = quantize.largest(op, kernel)
    if bits == INT8_BITS:
        return largest
    axes = {"dense": None, "depthwise": (0, 1, 3), "conv": (0, 1, 2)}[op.kind]
    tried = [np.float32(share) * largest for share in _SHARES]
    errors = [
        np.sum((np.asarray(_rounded(op, kernel, reach, bits)) - kernel) ** 2, axis=axes) for reach in tried
    ]
    best = np.argmin(errors, axis=0)
    return np.take_along_axis(np.array(tried), best[None], axis=0)[0] if best.ndim else tried[int(best)]
