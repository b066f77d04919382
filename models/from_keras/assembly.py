"""Steps of a Keras model -> op graph, and where each op's weights come from.

ReLUs and batch normalisations have no ops of their own where that changes nothing:

    batch norm behind a convolution or a dense layer      folded into it
    batch norm in front of one that pads nothing          folded into that
    ReLU behind them, an addition, or pools behind those  the op's own
    ReLU of what is never negative, a last softmax        left out

What is left of them becomes a depthwise 1x1 convolution. Padding with zeros becomes ``padding="same"`` of the
convolution behind it, or the addition's own padding, where it is exactly that. Everything else is refused
with the layer's name. The result computes what the model computes, but for rounding in float32.
"""

import dataclasses
import math

from loggrad_tf.data.sides import Size, size_of
from loggrad_tf.errors import LogGradError
from models.from_keras.layers import (
    BATCH_NORM,
    DECISION,
    ENTRY,
    FRONT,
    GLOBAL_MAX,
    PAD,
    RELU,
    Pair,
    Source,
    Step,
)
from models.graph import SAME, VALID, WEIGHTED, Graph, Op, weight_count, window_output

# No board holds more: weights of a network, values of a map.
MOST_WEIGHTS, MOST_VALUES = 2**24, 2**22
_TAKES_RELU = (*WEIGHTED, "add")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Where the kernel and bias of one op come from.

    Attributes:
      source: the layer that holds them; None for a kernel of ones.
      part: its attribute that is the kernel.
      bias: it has one for this op.
      before: batch normalisations of what the op reads, in order.
      after: batch normalisations of what it gives, in order.
    """

    source: Source | None
    part: str = "kernel"
    bias: bool = False
    before: tuple[Source, ...] = ()
    after: tuple[Source, ...] = ()


@dataclasses.dataclass(frozen=True)
class Assembly:
    """Attributes:
    graph: without batch normalisations.
    recipes: by the name of each op with weights.
    front: the layer that makes the network's input of pixels, if the model begins with one.
    size: of the pictures that the model takes.
    """

    graph: Graph
    recipes: dict[str, Recipe]
    front: Source | None
    size: Size


@dataclasses.dataclass(frozen=True)
class _Value:
    """What a step gives: an op's output, and what is still to be done to it.

    Attributes:
      op: its position.
      norms: batch normalisations that no op does yet.
      padding: zeros round it that no op adds yet, and the layer that asks for them.
      nonnegative: it has no value below zero.
      relu_at: the op that a ReLU of this value could as well stand behind, if there is one.
    """

    op: int
    norms: tuple[Source, ...] = ()
    padding: tuple[tuple[Pair, Pair], Source] | None = None
    nonnegative: bool = False
    relu_at: int | None = None


def assemble(steps: tuple[Step, ...]) -> Assembly:
    """The graph of a model's steps.

    Raises:
      LogGradError: what the graph cannot express, by the name of its layer.
    """
    return _Assembler(steps).assembly()


class _Assembler:
    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._steps = _without_decision(steps)
        self._decision = steps[-1].part if steps[-1].kind == DECISION else None
        self._reads = [0] * len(self._steps)
        for step in self._steps:
            for i in step.inputs:
                self._reads[i] += 1
        self._ops: list[Op] = []
        self._recipes: list[Recipe | None] = []
        self._done: dict[tuple[int, tuple[Source, ...]], int] = {}
        self._front: Source | None = None
        self._sides = (0, 0)

    def assembly(self) -> Assembly:
        values: list[_Value] = []
        for step in self._steps:
            values.append(self._value(step, [values[i] for i in step.inputs]))
        last, value = self._steps[-1].source, values[-1]
        if value.norms:
            value.norms[-1].refuse("the last layer", "end with Dense")
        if len(self._ops[-1].shape) != 1 or value.padding:
            last.refuse("gives a map", "end with GlobalAveragePooling2D or Flatten, and Dense")
        if self._ops[-1].shape == (1,) and self._decision == "softmax":
            last.refuse("softmax of one unit is always 1", "use sigmoid")
        graph = Graph(tuple(self._ops))
        if sum(weight_count(graph, op) for op in graph.ops) > MOST_WEIGHTS:
            raise LogGradError(f"more than {MOST_WEIGHTS} weights: no board holds them; use smaller layers")
        recipes = {op.name: r for op, r in zip(self._ops, self._recipes, strict=True) if r is not None}
        return Assembly(graph, recipes, self._front, size_of(*self._sides))

    def _value(self, step: Step, values: list[_Value]) -> _Value:
        if step.kind == "input":
            return self._input(step)
        if step.kind == "add":
            return self._add(step, values)
        # Nobody else reads what this step reads.
        sole = self._reads[step.inputs[0]] == 1
        value = values[0] if sole else dataclasses.replace(values[0], relu_at=None)
        if step.kind == ENTRY:
            return self._entry(step, value)
        if step.kind in ("conv", "depthwise"):
            return self._convolution(step, value)
        if value.padding is not None:
            value.padding[1].refuse(
                f"its zeros are read by '{step.source.path[-1]}'",
                "put it in front of a convolution, or of an addition at the bottom and right",
            )
        by_kind = {
            FRONT: self._gradient,
            BATCH_NORM: self._norm,
            RELU: self._relu,
            PAD: self._pad,
            "dense": self._dense,
            "flatten": self._flatten,
            "global_avg": self._average,
            GLOBAL_MAX: self._maximum,
        }
        return by_kind.get(step.kind, self._pool)(step, value)

    def _input(self, step: Step) -> _Value:
        height, width, channels = step.shape
        if height is None or width is None or channels != 1 or min(height, width) < 1:
            step.source.refuse(f"takes {step.shape}", "give it pictures in gray, (height, width, 1)")
        self._sides = (height, width)
        return _Value(self._append("input", (), (height, width, 1), step.source))

    def _entry(self, step: Step, value: _Value) -> _Value:
        """What a model in a model is called with, which is what it was built for."""
        given = self._padded(value)
        if len(step.shape) != len(given) or any(
            side not in (None, one) for side, one in zip(step.shape, given, strict=True)
        ):
            step.source.refuse(f"takes {step.shape}, and is given {given}", "build the model anew")
        return value

    def _padded(self, value: _Value) -> tuple[int, ...]:
        """The shape of a value with the zeros round it."""
        shape = self._ops[value.op].shape
        if value.padding is None:
            return shape
        sides = zip(shape, value.padding[0], strict=False)
        return *(side + first + last for side, (first, last) in sides), *shape[2:]

    def _gradient(self, step: Step, value: _Value) -> _Value:
        place = step.inputs[0]
        while self._steps[place].kind == ENTRY and self._reads[place] == 1:
            (place,) = self._steps[place].inputs
        if self._steps[place].kind != "input" or self._reads[place] != 1:
            step.source.refuse("stands inside the network", "let it alone read the model's input")
        self._front = step.source
        if step.padding == VALID:
            height, width = self._sides
            self._ops[0] = dataclasses.replace(self._ops[0], shape=(height - 2, width - 2, 1))
        return value

    def _convolution(self, step: Step, value: _Value) -> _Value:
        channels = self._map(step, value)[2]
        padding, value = self._padding(step, value)
        if padding == SAME and any(self._zeros(step, value)):
            value = self._normalised(value)
        op = self._windowed(step, value, step.channels if step.kind == "conv" else channels, padding)
        self._recipes[op] = Recipe(step.source, step.part, step.bias, value.norms)
        return _Value(op, relu_at=op)

    def _dense(self, step: Step, value: _Value) -> _Value:
        shape = self._ops[value.op].shape
        kind = "dense" if len(shape) == 1 else "conv"
        op = self._append(kind, (value.op,), (*shape[:-1], step.channels), step.source)
        self._recipes[op] = Recipe(step.source, step.part, step.bias, value.norms)
        return _Value(op, relu_at=op)

    def _norm(self, step: Step, value: _Value) -> _Value:
        recipe = self._recipes[value.op]
        if recipe is not None and value.relu_at == value.op:
            self._recipes[value.op] = dataclasses.replace(recipe, after=(*recipe.after, step.source))
            return value
        return _Value(value.op, (*value.norms, step.source))

    def _relu(self, step: Step, value: _Value) -> _Value:
        if value.nonnegative:
            return value
        place, op = value.relu_at, value.op
        if value.norms or place is None:
            place = op = self._one_to_one(value, step.source)
        self._ops[place] = dataclasses.replace(self._ops[place], relu=True)
        return _Value(op, nonnegative=True)

    def _pad(self, step: Step, value: _Value) -> _Value:
        return dataclasses.replace(self._normalised(value), padding=(step.amounts, step.source), relu_at=None)

    def _flatten(self, step: Step, value: _Value) -> _Value:
        shape = self._ops[value.op].shape
        if len(shape) == 1:
            return value
        op = self._append("flatten", (value.op,), (math.prod(shape),), step.source)
        return dataclasses.replace(value, op=op)

    def _average(self, step: Step, value: _Value) -> _Value:
        op = self._append("global_avg", (value.op,), self._map(step, value)[2:], step.source)
        return _Value(op, value.norms, nonnegative=value.nonnegative)

    def _maximum(self, step: Step, value: _Value) -> _Value:
        whole = self._map(step, value)[:2]
        pooled = self._pool(dataclasses.replace(step, kind="max_pool", kernel=whole, stride=whole), value)
        return self._flatten(step, pooled)

    def _pool(self, step: Step, value: _Value) -> _Value:
        """The largest values, or averages; a mean of normalised values is a normalised mean."""
        channels = self._map(step, value)[2]
        largest = step.kind == "max_pool"
        value = self._normalised(value) if largest else value
        padding = SAME if step.padding == SAME and any(self._zeros(step, value)) else VALID
        op = self._windowed(step, value, channels, padding)
        return dataclasses.replace(value, op=op, relu_at=value.relu_at if largest else None)

    def _add(self, step: Step, values: list[_Value]) -> _Value:
        whole = set()
        for value in values:
            self._map(step, value)
            if value.padding is not None and any(first for first, _ in value.padding[0]):
                value.padding[1].refuse("zeros at the top or left of a sum", "put them bottom and right")
            whole.add(self._padded(value))
        plain = [self._normalised(value) for value in values]
        shapes = [self._ops[value.op].shape for value in plain]
        if len(values) < 2 or len(whole) != 1:
            step.source.refuse(f"adds {sorted(whole)}", "give it two or more maps of one shape")
        shape = whole.pop()
        if (max(s[0] for s in shapes), max(s[1] for s in shapes)) != shape[:2]:
            step.source.refuse("every map that it reads is padded", "leave one of them unpadded")
        op = self._append("add", tuple(value.op for value in plain), shape, step.source)
        return _Value(op, nonnegative=all(value.nonnegative for value in plain), relu_at=op)

    def _padding(self, step: Step, value: _Value) -> tuple[str, _Value]:
        """How a convolution pads: what it says, or what a layer of zeros in front of it comes to."""
        if value.padding is None:
            return step.padding, value
        amounts, source = value.padding
        shape = self._ops[value.op].shape
        for axis, zeros in enumerate(self._zeros(step, value)):
            size, (first, last) = shape[axis], amounts[axis]
            k, s = step.kernel[axis], step.stride[axis]
            outputs = window_output(size + first + last, k, s, VALID)
            if step.padding != VALID or first != zeros // 2 or outputs != window_output(size, k, s, SAME):
                source.refuse(
                    f"pads {amounts} in front of '{step.source.path[-1]}'",
                    "leave it out and give the convolution padding='same'",
                )
        return SAME, dataclasses.replace(value, padding=None)

    def _zeros(self, step: Step, value: _Value) -> tuple[int, int]:
        """Rows and columns of zeros that ``same`` would add to a map."""
        height, width, _ = self._map(step, value)
        found = [
            max((window_output(size, k, s, SAME) - 1) * s + k - size, 0)
            for size, k, s in zip((height, width), step.kernel, step.stride, strict=True)
        ]
        return found[0], found[1]

    def _normalised(self, value: _Value) -> _Value:
        """The same with all its batch normalisations done; the op that does them serves every reader."""
        if not value.norms:
            return value
        key = value.op, value.norms
        if key not in self._done:
            self._done[key] = self._one_to_one(value, value.norms[-1])
        return _Value(self._done[key])

    def _one_to_one(self, value: _Value, source: Source) -> int:
        """A depthwise 1x1 convolution of ones and the value's batch normalisations."""
        shape = self._ops[value.op].shape
        if len(shape) != 3:
            source.refuse("reads a vector that no Dense made", "put it before the pooling")
        op = self._append("depthwise", (value.op,), shape, source)
        self._recipes[op] = Recipe(None, before=value.norms)
        return op

    def _windowed(self, step: Step, value: _Value, channels: int, padding: str) -> int:
        height, width, _ = self._map(step, value)
        rows = window_output(height, step.kernel[0], step.stride[0], padding)
        columns = window_output(width, step.kernel[1], step.stride[1], padding)
        op = self._append(step.kind, (value.op,), (rows, columns, channels), step.source)
        self._ops[op] = dataclasses.replace(
            self._ops[op], kernel=step.kernel, stride=step.stride, padding=padding
        )
        return op

    def _map(self, step: Step, value: _Value) -> tuple[int, int, int]:
        shape = self._ops[value.op].shape
        if len(shape) != 3:
            step.source.refuse(f"reads {shape}", "give it a map (height, width, channels)")
        return shape[0], shape[1], shape[2]

    def _append(self, kind: str, inputs: tuple[int, ...], shape: tuple[int, ...], source: Source) -> int:
        if min(shape) < 1:
            source.refuse(f"gives {shape}", "use a smaller kernel, stride or pool")
        if math.prod(shape) > MOST_VALUES:
            source.refuse(f"gives {shape}", f"no board holds more than {MOST_VALUES} values")
        place = len(self._ops)
        self._ops.append(Op(kind, inputs, shape, name=f"{kind}_{place}" if place else "input"))
        self._recipes.append(None)
        return place


def _without_decision(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps to the logits: a last softmax or sigmoid changes no class."""
    *rest, last = steps
    for step in rest:
        if step.kind == DECISION:
            step.source.refuse("softmax or sigmoid inside the network", "leave it to the last layer")
    return tuple(rest) if last.kind == DECISION else steps
