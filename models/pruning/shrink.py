"""The smaller network that a network with dead channels is equal to.

A channel is dead if everything that reads it reads one and the same number at every place of
every image: 0 for a masked one, any constant for one whose kernel is zero. What its readers
make of that number is added to their biases, and the channel is left out. A reader that pads
with zeros sees another number at the border; for it a channel is dead at 0 only. Nothing is
approximated: the two networks differ by rounding.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from loggrad_tf.errors import LogGradError
from models.graph import SAME, WEIGHTED, Graph, Op
from models.pruning import channels as pruning
from models.variables import BN_EPSILON, Layers, by_layer, in_order, norm_of


def shrink(
    graph: Graph, weights: Sequence[np.ndarray], live: Mapping[str, np.ndarray]
) -> tuple[Graph, tuple[np.ndarray, ...]]:
    """Leave out the dead channels of some groups.

    Args:
      weights: in the order of ``keras_net.build(graph).get_weights()``.
      live: by the name of a prunable group (:func:`models.pruning.channels.groups`), bool per channel:
        False masks the channel where it leaves its group. At least one of a group lives. A
        group that is not named keeps all its channels.
    Returns:
      The smaller graph, of the same op names, and its weights in the same order.
    """
    layers = by_layer(graph, weights)
    all_groups = pruning.groups(graph)
    alive = [live.get(g.name, np.ones(g.channels, bool)) for g in all_groups]
    for group, channels in zip(all_groups, alive, strict=True):
        if len(channels) != group.channels or not channels.any():
            raise LogGradError(f"group '{group.name}': {channels.sum()} of {group.channels} channels live")
    seen = _constants(graph, layers, alive)
    dead = _dead(graph, seen, {k for k, g in enumerate(all_groups) if g.name in live})
    keep = [~d if not d.all() else a & (np.cumsum(a) == 1) for d, a in zip(dead, alive, strict=True)]
    small = pruning.resized(graph, {g.name: int(k.sum()) for g, k in zip(all_groups, keep, strict=True)})
    return small, in_order(small, _kept_weights(graph, layers, seen, keep))


def _constants(graph: Graph, layers: Layers, alive: list[np.ndarray]) -> list[np.ndarray]:
    """Per op, per channel: the number that a reader finds everywhere, NaN if it varies."""
    member = pruning.membership(graph)
    raw: list[np.ndarray] = []
    seen: list[np.ndarray] = []
    for op, k in zip(graph.ops, member, strict=True):
        if op.kind == "input":
            values = np.full(op.shape[-1], np.nan)
        elif op.kind in ("conv", "dense"):
            values = _answer(op, layers[op.name], seen[op.inputs[0]])
        elif op.kind == "depthwise":
            values = _answer(op, layers[op.name], raw[op.inputs[0]])
        elif op.kind == "add":
            whole = [graph.ops[i].shape == op.shape for i in op.inputs]
            terms = [
                np.where(full | (raw[i] == 0), raw[i], np.nan)
                for full, i in zip(whole, op.inputs, strict=True)
            ]
            values = np.sum(terms, axis=0)
        elif op.kind == "flatten":
            source = op.inputs[0]
            values = np.tile(seen[source], op.shape[0] // len(seen[source]))
        else:
            values = raw[op.inputs[0]]
        if op.bn:
            gamma, beta, mean, variance = (w.astype(np.float64) for w in layers[norm_of(op)])
            values = (values - mean) * gamma / np.sqrt(variance + BN_EPSILON) + beta
        if op.relu:
            values = np.maximum(values, 0)
        raw.append(values)
        masked = np.tile(~alive[k], len(values) // len(alive[k]))
        seen.append(np.where(masked, 0.0, values))
    return seen


def _answer(op: Op, arrays: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    """What a weighted op makes of inputs that are constant or NaN, before batch norm."""
    kernel, bias = (w.astype(np.float64) for w in arrays)
    if op.padding == SAME:
        values = np.where(values == 0, values, np.nan)
    if op.kind == "depthwise":
        taps, total = np.abs(kernel).sum(axis=(0, 1, 3)), kernel.sum(axis=(0, 1, 3))
        return bias + np.where(taps == 0, 0, total * values)
    axes = tuple(range(kernel.ndim - 2))
    taps, total = np.abs(kernel).sum(axis=axes), kernel.sum(axis=axes)
    return bias + np.where(taps == 0, 0, total * values[:, None]).sum(axis=0)


def _dead(graph: Graph, seen: list[np.ndarray], narrowed: set[int]) -> list[np.ndarray]:
    """Per group, bool per channel: every reader can do without it."""
    member = pruning.membership(graph)
    dead = [np.full(g.channels, k in narrowed) for k, g in enumerate(pruning.groups(graph))]
    for op in graph.ops:
        if op.kind not in pruning.READERS:
            continue
        source, k = op.inputs[0], member[op.inputs[0]]
        known = seen[source] == 0 if op.padding == SAME else np.isfinite(seen[source])
        dead[k] &= known.reshape(-1, len(dead[k])).all(axis=0)
    return dead


def _kept_weights(graph: Graph, layers: Layers, seen: list[np.ndarray], keep: list[np.ndarray]) -> Layers:
    """The layers' weights without the channels that are not kept, whose effect goes to the biases."""
    member = pruning.membership(graph)
    kept: Layers = {}
    for op, k in zip(graph.ops, member, strict=True):
        if op.kind not in WEIGHTED:
            continue
        kernel, bias = layers[op.name]
        stays = keep[k]
        if op.kind == "depthwise":
            kept[op.name] = [kernel[:, :, stays], bias[stays]]
        else:
            values = seen[op.inputs[0]]
            source = keep[member[op.inputs[0]]]
            source = np.tile(source, len(values) // len(source))
            gone = kernel[..., ~source, :].astype(np.float64)
            shift = (gone * values[~source][:, None]).sum(axis=tuple(range(kernel.ndim - 1)))
            moved = (bias + shift).astype(np.float32)
            kept[op.name] = [kernel[..., source, :][..., stays], moved[stays]]
        if op.bn:
            kept[norm_of(op)] = [w[stays] for w in layers[norm_of(op)]]
    return kept
