"""One Keras layer as steps: what each supported class computes when it infers, and what is refused of it.

A step is one computation of :mod:`models.from_keras.assembly`. A layer may be several (a separable
convolution, an activation argument) or none (dropout). Configurations come from files of others, so every
value is checked; nothing here needs Keras.

Refused, each with the layer's name and what to use in its place: other activations than ReLU, dilation,
groups, channels first, depth multipliers, and every class that is not in :data:`READERS`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NoReturn

from loggrad_tf.errors import LogGradError
from models.graph import SAME, VALID

# Kinds of steps that are no kinds of ops; an entry is the input of a model in a model.
BATCH_NORM, RELU, PAD, GLOBAL_MAX, FRONT, DECISION = "bn", "relu", "pad", "global_max", "front", "decision"
ENTRY = "entry"
# Steps without weights: their layer may be called more than once.
SHAREABLE = (RELU, PAD, GLOBAL_MAX, DECISION, "max_pool", "avg_pool", "global_avg", "flatten", "add")
# Of a window, a stride or a width; more than any board holds.
_MOST = 2**16

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Source:
    """A layer of a Keras model.

    Attributes:
      path: names of the models that it lies in, and its own.
      cls: its class.
    """

    path: tuple[str, ...]
    cls: str

    def refuse(self, why: str, instead: str) -> NoReturn:
        name = "/".join(self.path)[:80]
        raise LogGradError(f"layer '{name}' ({self.cls[:40]}): {why}: {instead}")


@dataclasses.dataclass(frozen=True)
class Step:
    """One computation.

    Attributes:
      kind: a kind of op (:data:`models.graph.KINDS`), or one of this module's.
      source: the layer that it comes from.
      inputs: positions of earlier steps.
      shape: of an input, (H, W, C); of an entry, with None for any number.
      channels: filters or units.
      kernel, stride, padding: of windows.
      part: the attribute of the layer that is the kernel; of a decision, ``softmax`` or ``sigmoid``.
      bias: the layer has one, and it is added here.
      amounts: of padding, ((top, bottom), (left, right)).
    """

    kind: str
    source: Source
    inputs: tuple[int, ...] = ()
    shape: tuple[int | None, ...] = ()
    channels: int = 0
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: str = VALID
    part: str = "kernel"
    bias: bool = True
    amounts: tuple[Pair, Pair] = ((0, 0), (0, 0))


class Options:
    """The checked values of one layer's configuration."""

    def __init__(self, source: Source, config: Any) -> None:
        self.source = source
        if not isinstance(config, dict):
            source.refuse("has no configuration", "save the model anew")
        self._config: dict[str, Any] = config

    def get(self, key: str, default: Any = None) -> Any:
        return self._config.get(key, default)

    def only(self, key: str, allowed: tuple[Any, ...], instead: str) -> None:
        """Refuse a value other than ``allowed``; a key that is missing has the first."""
        value = self.get(key, allowed[0])
        if value not in allowed:
            self.source.refuse(f"{key} is {_shown(value)}", instead)

    def number(self, key: str) -> int:
        value = self.get(key)
        if not _is_size(value):
            self.source.refuse(f"{key} is {_shown(value)}", f"give a whole number from 1 to {_MOST}")
        return int(value)

    def pair(self, key: str, default: Any = None) -> Pair:
        value = self.get(key)
        value = default if value is None else value
        value = [value, value] if _is_size(value) else value
        if not (isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_size, value))):
            self.source.refuse(f"{key} is {_shown(value)}", f"give two whole numbers from 1 to {_MOST}")
        return int(value[0]), int(value[1])

    def padding(self) -> str:
        self.only("padding", (VALID, SAME), f"use padding='{VALID}' or '{SAME}'")
        return str(self.get("padding", VALID))

    def channels_last(self) -> None:
        self.only("data_format", ("channels_last", None), "use data_format='channels_last'")

    def step(self, kind: str, **values: Any) -> Step:
        return Step(kind, self.source, **values)


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | list | tuple | None) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}..."


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST


def activation(options: Options) -> list[Step]:
    """The step of an ``activation`` argument; none for a linear one."""
    name = options.get("activation")
    if name in (None, "linear"):
        return []
    if name == "relu":
        return [options.step(RELU)]
    if name in ("softmax", "sigmoid"):
        return [options.step(DECISION, part=name)]
    options.source.refuse(f"activation {_shown(name)}", "train it with 'relu'")


def _plain(options: Options) -> None:
    options.channels_last()
    options.only("dilation_rate", (1, [1, 1], (1, 1)), "use a larger kernel or a stride")
    options.only("groups", (1,), "use DepthwiseConv2D and a 1x1 Conv2D")
    options.only("depth_multiplier", (1,), "follow it by a 1x1 Conv2D")
    options.only("lora_rank", (None,), "merge its weights first")


def _window(options: Options) -> dict[str, Any]:
    return {
        "kernel": options.pair("kernel_size"),
        "stride": options.pair("strides", 1),
        "padding": options.padding(),
    }


def _bias(options: Options) -> bool:
    options.only("use_bias", (True, False), "give true or false")
    return bool(options.get("use_bias", True))


def _conv(options: Options) -> list[Step]:
    _plain(options)
    values = _window(options) | {"channels": options.number("filters"), "bias": _bias(options)}
    return [options.step("conv", **values), *activation(options)]


def _depthwise(options: Options) -> list[Step]:
    _plain(options)
    return [options.step("depthwise", **_window(options), bias=_bias(options)), *activation(options)]


def _separable(options: Options) -> list[Step]:
    _plain(options)
    channels, bias = options.number("filters"), _bias(options)
    return [
        options.step("depthwise", **_window(options), part="depthwise_kernel", bias=False),
        options.step("conv", channels=channels, part="pointwise_kernel", bias=bias),
        *activation(options),
    ]


def _dense(options: Options) -> list[Step]:
    options.only("lora_rank", (None,), "merge its weights first")
    options.only("quantization_config", (None,), "save it as it was before Keras quantised it")
    return [
        options.step("dense", channels=options.number("units"), bias=_bias(options)),
        *activation(options),
    ]


def _batch_norm(options: Options) -> list[Step]:
    options.only("axis", (-1, 3, [-1], [3]), "normalise the last axis, axis=-1")
    options.only("renorm", (False,), "leave renorm out")
    return [options.step(BATCH_NORM)]


def _relu(options: Options) -> list[Step]:
    options.only("max_value", (None,), "train it with ReLU(), without a largest value")
    for key in ("negative_slope", "threshold"):
        options.only(key, (0, None), f"train it with ReLU(), without {key}")
    return [options.step(RELU)]


def _softmax(options: Options) -> list[Step]:
    options.only("axis", (-1, 1, [-1], [1]), "use axis=-1")
    return [options.step(DECISION, part="softmax")]


def _pool(kind: str) -> Callable[[Options], list[Step]]:
    def read(options: Options) -> list[Step]:
        options.channels_last()
        kernel = options.pair("pool_size", 2)
        stride = options.pair("strides", kernel)
        return [options.step(kind, kernel=kernel, stride=stride, padding=options.padding())]

    return read


def _global(kind: str) -> Callable[[Options], list[Step]]:
    def read(options: Options) -> list[Step]:
        options.channels_last()
        options.only("keepdims", (False,), "use keepdims=False, and Dense in place of a 1x1 Conv2D")
        return [options.step(kind)]

    return read


def _flatten(options: Options) -> list[Step]:
    options.channels_last()
    return [options.step("flatten")]


def _reshape(options: Options) -> list[Step]:
    shape = options.get("target_shape")
    if not isinstance(shape, list | tuple) or len(shape) != 1:
        options.source.refuse(f"target_shape is {_shown(shape)}", "only what Flatten does is known; use that")
    return [options.step("flatten")]


def _zero_padding(options: Options) -> list[Step]:
    options.channels_last()
    value = options.get("padding")
    sides = [value, value] if isinstance(value, int) else value
    if isinstance(sides, list | tuple) and len(sides) == 2:
        pairs = [[side, side] if isinstance(side, int) else side for side in sides]
        if all(isinstance(p, list | tuple) and len(p) == 2 and all(map(_is_amount, p)) for p in pairs):
            (top, bottom), (left, right) = pairs
            return [options.step(PAD, amounts=((top, bottom), (left, right)))]
    options.source.refuse(f"padding is {_shown(value)}", "give ((top, bottom), (left, right))")


def _is_amount(value: Any) -> bool:
    return value == 0 or _is_size(value)


def _gradient(options: Options) -> list[Step]:
    options.only("border", ("mirror", VALID), f"use border='mirror' or '{VALID}'")
    return [options.step(FRONT, padding=VALID if options.get("border") == VALID else SAME)]


def _one(kind: str) -> Callable[[Options], list[Step]]:
    return lambda options: [options.step(kind)]


def _nothing(options: Options) -> list[Step]:
    del options
    return []


# Layers of which nothing is left when a model infers.
_IDENTITIES = (
    "Dropout", "SpatialDropout2D", "GaussianDropout", "AlphaDropout", "GaussianNoise", "Identity",
    "ActivityRegularization", "RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom",
)  # fmt: skip

# By class, of Keras' own layers.
READERS: dict[str, Callable[[Options], list[Step]]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "ReLU": _relu,
    "Activation": activation,
    "Softmax": _softmax,
    "MaxPooling2D": _pool("max_pool"),
    "AveragePooling2D": _pool("avg_pool"),
    "GlobalAveragePooling2D": _global("global_avg"),
    "GlobalMaxPooling2D": _global(GLOBAL_MAX),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Add": _one("add"),
    "ZeroPadding2D": _zero_padding,
    **dict.fromkeys(_IDENTITIES, _nothing),
}
# By registered name, of this project's layers.
OWN_READERS: dict[str, Callable[[Options], list[Step]]] = {
    "loggrad>GradientQuantizer": _gradient,
    "loggrad>LogGradient": _gradient,
    "loggrad>TrainableQuantizer": _gradient,
    "loggrad>FusedBatchNorm": _one(BATCH_NORM),
}
# By module and class, of what ``x + y`` and ``keras.ops.relu(x)`` leave in a model.
OPERATION_READERS: dict[tuple[str, str], Callable[[Options], list[Step]]] = {
    ("keras.src.ops.numpy", "Add"): _one("add"),
    ("keras.src.ops.nn", "Relu"): _one(RELU),
}
# What to do without a class that is not known.
_INSTEAD = {
    "Lambda": "no code is run from a file; write it with the layers that are known",
    "Concatenate": "join branches with Add",
    "Multiply": "leave it out, or join branches with Add",
    "Rescaling": "leave it out: the input format has its scale",
    "Normalization": "leave it out: the input format has its scale",
    **dict.fromkeys(("LayerNormalization", "GroupNormalization"), "use BatchNormalization"),
    **dict.fromkeys(("LeakyReLU", "PReLU", "ELU"), "train it with ReLU"),
}
_KNOWN = (
    "build it of Conv2D, DepthwiseConv2D, SeparableConv2D, Dense, BatchNormalization, ReLU, pooling, Flatten,"
    " Add, ZeroPadding2D and dropout"
)


def read(source: Source, module: Any, registered: Any, config: Any) -> list[Step]:
    """The steps of one layer, each on the result of the one before; their ``inputs`` are empty.

    Args:
      module, registered: what its file says of its class.

    Raises:
      LogGradError: an unknown class, or options that the graph has no word for.
    """
    options = Options(source, config)
    reader = None
    if isinstance(registered, str) and registered in OWN_READERS:
        reader = OWN_READERS[registered]
    elif module == "keras.layers" and registered is None:
        reader = READERS.get(source.cls)
    elif isinstance(module, str):
        reader = OPERATION_READERS.get((module, source.cls))
    if reader is None:
        source.refuse("cannot be converted", _INSTEAD.get(source.cls, _KNOWN))
    return reader(options)
