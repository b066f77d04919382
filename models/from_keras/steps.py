"""A Keras model's configuration -> steps in order of execution: models in models are laid out flat.

The configuration is the one that a .keras file holds and ``keras.saving.serialize_keras_object`` gives, of a
Functional or Sequential model. It may come from a stranger: every model and every layer with weights is
visited once, so the work is bounded by the size of the configuration; and there is no layer and no call of
one that was not visited, so that whoever builds the model of the configuration builds what was read.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from loggrad_tf.errors import LogGradError
from models.from_keras import layers
from models.from_keras.layers import Source, Step

MODELS = ("Functional", "Sequential")
# Models in models, and steps of all of them.
_DEEPEST, _LONGEST = 16, 2**10
_TENSOR = "__keras_tensor__"
# A call of a layer: its name, and which of its calls.
_Node = tuple[str, int]


def of(config: Any) -> tuple[Step, ...]:
    """The steps of a model; the first is its input, the last its output.

    Raises:
      LogGradError: something that the graph has no word for, or a damaged configuration.
    """
    walk = _Walk()
    output = walk.model(_fields(config), (), ())
    if output != len(walk.steps) - 1:
        raise LogGradError("the model's output is not what it computes last: damaged model")
    return tuple(walk.steps)


def is_model(entry: dict[str, Any]) -> bool:
    """Is an entry of a configuration a model of layers?"""
    return entry.get("class_name") in MODELS


def _fields(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise LogGradError("a layer without a configuration: damaged model")
    return entry


def _name(entry: dict[str, Any]) -> str:
    name = entry["config"].get("name")
    if not isinstance(name, str):
        raise LogGradError("a layer without a name: damaged model")
    return name


def _children(entry: dict[str, Any]) -> list[dict[str, Any]]:
    children = entry["config"].get("layers")
    if not isinstance(children, list) or not children:
        raise LogGradError("a model without layers: damaged, or never built")
    if len({_name(_fields(child)) for child in children}) < len(children):
        raise LogGradError("two layers of one name: damaged model")
    return children


class _Walk:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._seen: set[tuple[str, ...]] = set()

    def model(self, entry: dict[str, Any], path: tuple[str, ...], inputs: tuple[int, ...]) -> int:
        """Lay out a model; returns the position of its output.

        Args:
          path: names of the models that it lies in, and its own; () for the outermost.
          inputs: positions of what it is called with; () for the outermost.
        """
        source = Source(path or (str(entry["config"].get("name")),), str(entry.get("class_name")))
        if not is_model(entry):
            source.refuse("a model of its own class", "build it as a Functional or Sequential model")
        if len(path) > _DEEPEST:
            source.refuse(f"lies more than {_DEEPEST} models deep", "build it flat")
        if entry["class_name"] == "Sequential":
            return self._sequential(entry, path, inputs)
        return self._functional(entry, source, path, inputs)

    def _sequential(self, entry: dict[str, Any], path: tuple[str, ...], inputs: tuple[int, ...]) -> int:
        children = _children(entry)
        if children[0].get("class_name") == "InputLayer":
            first = self._input(children[0], path, inputs)
            children = children[1:]
        elif inputs:
            first = inputs[0]
        else:
            raise LogGradError("a Sequential model without an Input: give it keras.Input(shape) first")
        for child in children:
            first = self._call(child, (*path, _name(child)), (first,))
        return first

    def _functional(
        self, entry: dict[str, Any], source: Source, path: tuple[str, ...], inputs: tuple[int, ...]
    ) -> int:
        children = {_name(child): child for child in _children(entry)}
        begins = list(_nodes(entry["config"].get("input_layers")))
        ends = list(_nodes(entry["config"].get("output_layers")))
        if len(begins) != 1 or len(inputs) > 1:
            source.refuse(f"{max(len(begins), len(inputs))} inputs", "give it the pixels alone")
        if len(ends) != 1:
            source.refuse(f"{len(ends)} outputs", "give it the scores of the classes alone")
        begin = begins[0]
        if begin[0] not in children:
            raise LogGradError(f"model '{source.path[-1]}' without its input: damaged model")
        done = {begin: self._input(children[begin[0]], path, inputs)}
        # Depth first, without recursion; a node is open while what it reads is laid out.
        stack, opened = [ends[0]], set[_Node]()
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
                continue
            if node[0] not in children:
                raise LogGradError(f"layer '{node[0][:80]}' is read, but not there: damaged model")
            child = children[node[0]]
            reads = self._reads(child, (*path, node[0]), node[1])
            missing = [one for one in reads if one not in done]
            if opened.intersection(missing):
                raise LogGradError(f"layer '{node[0][:80]}' reads itself: damaged model")
            if missing:
                opened.add(node)
                stack += reversed(missing)
                continue
            done[node] = self._call(child, (*path, node[0]), tuple(done[one] for one in reads))
            stack.pop()
        seen = {name for name, _ in done}
        for name, child in children.items():
            calls = len(child["inbound_nodes"]) if name in seen and name != begin[0] else 1
            if not all((name, call) in done for call in range(calls)):
                unused = Source((*path, name), str(child.get("class_name")))
                unused.refuse("the model's output does not come from it", "leave it out")
        return done[ends[0]]

    def _input(self, entry: dict[str, Any], path: tuple[str, ...], inputs: tuple[int, ...]) -> int:
        """The input of a model: of the outermost its pixels, of another what it is called with."""
        source = Source((*path, _name(entry)), str(entry.get("class_name")))
        its_class = entry.get("module"), entry.get("class_name"), entry.get("registered_name")
        if its_class != ("keras.layers", "InputLayer", None) or entry.get("inbound_nodes"):
            source.refuse("is no input", "begin the model with keras.Input(shape)")
        shape = entry["config"].get("batch_shape")
        if not isinstance(shape, list | tuple) or not all(_is_side(side) for side in shape):
            source.refuse(f"takes {str(shape)[:40]}", "give it keras.Input((height, width, 1))")
        if not inputs and (len(shape) != 4 or None in shape[1:]):
            source.refuse(f"takes {str(shape)[:40]}", "give it keras.Input((height, width, 1))")
        return self._append(Step(layers.ENTRY if inputs else "input", source, inputs, tuple(shape[1:])))

    def _append(self, step: Step) -> int:
        if len(self.steps) == _LONGEST:
            raise LogGradError(
                f"a model of more than {_LONGEST} steps: no board computes it; use fewer layers"
            )
        self.steps.append(step)
        return len(self.steps) - 1

    def _call(self, entry: dict[str, Any], path: tuple[str, ...], inputs: tuple[int, ...]) -> int:
        """Lay out one call of a layer or a model."""
        source = Source(path, str(entry.get("class_name")))
        if is_model(entry):
            self._once(source)
            return self.model(entry, path, inputs)
        found = layers.read(source, entry.get("module"), entry.get("registered_name"), entry["config"])
        if any(step.kind not in layers.SHAREABLE for step in found):
            self._once(source)
        for step in found:
            if len(inputs) != 1 and step.kind != "add":
                source.refuse(f"reads {len(inputs)} maps", "give it one")
            inputs = (self._append(dataclasses.replace(step, inputs=inputs)),)
        if len(inputs) != 1:
            source.refuse(f"reads {len(inputs)} maps", "give it one")
        return inputs[0]

    def _once(self, source: Source) -> None:
        if source.path in self._seen:
            source.refuse("is called twice", "give every place a layer of its own")
        self._seen.add(source.path)

    def _reads(self, entry: dict[str, Any], path: tuple[str, ...], call: int) -> list[_Node]:
        """What one call of a layer reads."""
        source = Source(path, str(entry.get("class_name")))
        calls = entry.get("inbound_nodes")
        if not isinstance(calls, list) or not 0 <= call < len(calls) or not isinstance(calls[call], dict):
            source.refuse("is read, but never called", "damaged model; save it anew with Keras 3")
        args, named = calls[call].get("args"), calls[call].get("kwargs")
        found: list[_Node] = []
        if isinstance(named, dict):
            # Who runs the model says whether it trains, whatever its calls say.
            named = {k: v for k, v in named.items() if k != "training" or not isinstance(v, bool)}
        for value in (*_leaves(args), *_leaves(named)):
            if isinstance(value, dict):
                found += _nodes(value["config"].get("keras_history"))
            elif value not in (None, False):
                if not is_model(entry):  # a class that is not known says that, whatever it is called with
                    layers.read(source, entry.get("module"), entry.get("registered_name"), entry["config"])
                source.refuse(f"is called with {str(value)[:40]}", "call it with maps alone")
        return found


def _is_side(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _leaves(value: Any) -> Iterator[Any]:
    """Tensors and constants of a call's arguments."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, list | tuple):
            stack += reversed(one)
        elif isinstance(one, dict) and not (
            one.get("class_name") == _TENSOR and isinstance(one.get("config"), dict)
        ):
            stack += reversed(list(one.values()))
        else:
            yield one


def _nodes(value: Any) -> Iterator[_Node]:
    """Of ``[name, call, output]``, or a list or a dict of those: names and calls."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            one = list(one.values())
        if not isinstance(one, list | tuple):
            raise LogGradError("a connection without its ends: damaged model")
        if len(one) == 3 and isinstance(one[0], str):
            name, call, output = one
            if not isinstance(call, int) or output != 0:
                raise LogGradError(f"layer '{name[:80]}': a connection of several outputs is not known")
            yield name, call
        else:
            stack += reversed(one)
