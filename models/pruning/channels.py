"""Structured pruning: which channels of a network may go, and which go when.

A channel belongs to a group of coupled ops, whose channels live and die together: a
depthwise convolution, a pool or an average keeps the channels it is given, and an addition
joins those of its operands. Pruning removes whole channels of groups, so that a smaller
network of the same form is left (:mod:`models.pruning.shrink`).

Which channels go is decided during training as in DPF (Lin et al. 2020, "Dynamic model
model pruning with feedback"): every few batches all channels are ranked anew and the weakest are
masked, while their weights go on learning from the gradient that they would have without the
mask; one that has become strong again returns. How many, and when, says
:class:`models.recipe.Pruning`. Masks follow from the weights alone. Here is the arithmetic;
TensorFlow is none of this module's business.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping

import numpy as np
from scipy.special import ndtr

from loggrad_tf.errors import LogGradError
from models.graph import WEIGHTED, Graph, Op

# Ops that make new channels from all they are given; every other kind keeps those of its inputs.
READERS = ("conv", "dense")


@dataclasses.dataclass(frozen=True)
class Group:
    """Channels that live and die together.

    Attributes:
      ops: names of the ops whose outputs hold these channels, in graph order. A flatten is not
        among them: it holds them once per pixel.
      channels: how many.
      prunable: these are neither the input's channels nor the logits.
      first: a layer that makes them is fed by the input, through pools at most.
    """

    ops: tuple[str, ...]
    channels: int
    prunable: bool
    first: bool

    @property
    def name(self) -> str:
        """The first of the ops: it names the group, as no op is in two."""
        return self.ops[0]


def membership(graph: Graph) -> tuple[int, ...]:
    """Per op of the graph, the index of its group in :func:`groups`; a flatten has its input's."""
    parents = list(range(len(graph.ops)))

    def root(i: int) -> int:
        while parents[i] != i:
            i = parents[i]
        return i

    for position, op in enumerate(graph.ops):
        if op.kind not in READERS:
            for source in op.inputs:
                low, high = sorted((root(position), root(source)))
                parents[high] = low
    roots = [root(i) for i in range(len(graph.ops))]
    order = {r: k for k, r in enumerate(dict.fromkeys(roots))}
    return tuple(order[r] for r in roots)


def groups(graph: Graph) -> tuple[Group, ...]:
    """All groups of coupled channels, in the order of their first ops."""
    member = membership(graph)
    fixed = {member[0], member[-1]}
    fed = _fed_by_input(graph)
    found = []
    for k in range(max(member) + 1):
        positions = [i for i, m in enumerate(member) if m == k and graph.ops[i].kind != "flatten"]
        ops = [graph.ops[i] for i in positions]
        found.append(
            Group(
                ops=tuple(op.name for op in ops),
                channels=ops[0].shape[-1],
                prunable=k not in fixed,
                first=any(i in fed for i in positions),
            )
        )
    return tuple(found)


def _fed_by_input(graph: Graph) -> set[int]:
    """Positions of the weighted ops that no other weighted op stands before."""
    bare: set[int] = {0}
    fed: set[int] = set()
    for position, op in enumerate(graph.ops[1:], start=1):
        if all(i in bare for i in op.inputs):
            (fed if op.kind in WEIGHTED else bare).add(position)
    return fed


def prunable(graph: Graph, exempt_first: bool = True) -> tuple[Group, ...]:
    """The groups that pruning may narrow."""
    return tuple(g for g in groups(graph) if g.prunable and not (exempt_first and g.first))


def resized(graph: Graph, widths: Mapping[str, int]) -> Graph:
    """The same network with other channel counts.

    Args:
      widths: channels by op name, 1 or more. One op of a group is enough; ops that are not
        named keep their channels.
    Raises:
      LogGradError: coupled ops disagree, a name is unknown or a flatten's, or the input's or
        the logits' channels would change.
    """
    member = membership(graph)
    all_groups = groups(graph)
    index = {name: k for k, group in enumerate(all_groups) for name in group.ops}
    chosen: dict[int, str] = {}
    for name, width in widths.items():
        if name not in index:
            raise LogGradError(f"op '{name}' has no channels of its own; known are {', '.join(index)}")
        if width < 1:
            raise LogGradError(f"op '{name}': {width} channels; at least one is needed")
        other = chosen.setdefault(index[name], name)
        if widths[other] != width:
            raise LogGradError(
                f"ops '{other}' and '{name}' are coupled, but are given {widths[other]} and {width} channels"
            )
        group = all_groups[index[name]]
        if not group.prunable and width != group.channels:
            raise LogGradError(
                f"op '{name}': the channels of input and output are given; {width} is not {group.channels}"
            )
    counts = [widths[chosen[k]] if k in chosen else g.channels for k, g in enumerate(all_groups)]
    ops: list[Op] = []
    for op, k in zip(graph.ops, member, strict=True):
        if op.kind == "flatten":
            shape: tuple[int, ...] = (math.prod(ops[op.inputs[0]].shape),)
        else:
            shape = (*op.shape[:-1], counts[k])
        ops.append(dataclasses.replace(op, shape=shape))
    return Graph(tuple(ops))


def uniformly(graph: Graph, sparsity: float, exempt_first: bool = True) -> Graph:
    """The network that is left when every prunable group loses the same share of its channels.

    An estimate of what training with :class:`Pruning` will leave. At least one channel of a
    group stays.

    Args:
      sparsity: share that goes, 0 to 1, 1 excluded.
    """
    if not 0 <= sparsity < 1:
        raise LogGradError(f"sparsity {sparsity}: give a share of 0 to 1, 1 excluded")
    return resized(
        graph,
        {g.name: max(1, g.channels - round(sparsity * g.channels)) for g in prunable(graph, exempt_first)},
    )


def exits(graph: Graph, exempt_first: bool = True) -> dict[str, str]:
    """Where prunable channels leave their group: op name -> name of its group.

    These are the ops that a convolution, a dense layer or a flatten reads. A channel that is 0
    at all of them could as well not exist, whatever it is inside its group.
    """
    member = membership(graph)
    names = {name for g in prunable(graph, exempt_first) for name in g.ops}
    all_groups = groups(graph)
    read = {i for op in graph.ops if op.kind in (*READERS, "flatten") for i in op.inputs}
    return {graph.ops[i].name: all_groups[member[i]].name for i in sorted(read) if graph.ops[i].name in names}


def spread(op: Op, kernel: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None) -> np.ndarray:
    """How much each output channel of a weighted op varies, as far as its weights tell; float64.

    Behind a batch norm a channel is ``gamma z + beta`` with z of mean 0 and variance 1, and this
    is its standard deviation, behind the ReLU if there is one, for normal z:
    ``E[relu] = beta Phi(r) + gamma phi(r)``, ``E[relu^2] = (beta^2 + gamma^2) Phi(r) + beta gamma phi(r)``,
    ``r = beta / gamma``. The norm of its kernel would tell nothing there, being divided out.
    Without a batch norm it is the L2 norm of the kernel, in proportion to the deviation.

    Args:
      kernel: in Keras layout.
      gamma, beta: of the batch norm, (channels,), or None.
    """
    if gamma is None or beta is None:
        kernel = kernel[..., 0] if op.kind == "depthwise" else kernel
        return np.sqrt(np.square(kernel, dtype=np.float64).sum(axis=tuple(range(kernel.ndim - 1))))
    gamma, beta = np.abs(gamma, dtype=np.float64), beta.astype(np.float64)
    if not op.relu:
        return gamma
    ratio = np.clip(beta / np.maximum(gamma, 1e-12), -30, 30)
    density = gamma * np.exp(-np.square(ratio) / 2) / math.sqrt(2 * math.pi)
    mean = beta * ndtr(ratio) + density
    square = (beta**2 + gamma**2) * ndtr(ratio) + beta * density
    return np.sqrt(np.maximum(square - mean**2, 0))


def saliency(
    graph: Graph,
    candidates: tuple[Group, ...],
    spreads: Mapping[str, np.ndarray],
    kernels: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """How much the readers of each channel would miss it, float64, by the group's name.

    The channel's :func:`spread`, averaged over the weighted ops of its group, times the L2 norm
    of all weights that read it: the square is its share of the variance of what the readers
    compute. Every factor is taken relative to its root mean square in the group, and so is the
    product. Layers thereby compare whatever their scale and fan-in, and none is wiped out for
    its small weights.

    Args:
      spreads: by the name of each weighted op of the groups.
      kernels: of each convolution and dense layer that reads the groups, in Keras layout,
        batch norm folded in.
    """
    scores = {}
    for group in candidates:
        made = [_relative(spreads[name]) for name in group.ops if name in spreads]
        read = np.zeros(group.channels)
        for op in readers(graph, {group.name}):
            kernel = kernels[op.name].reshape(-1, group.channels, op.shape[-1])
            read += np.square(kernel, dtype=np.float64).sum(axis=(0, 2))
        scores[group.name] = _relative(np.mean(made, axis=0) * np.sqrt(read))
    return scores


def readers(graph: Graph, names: Collection[str]) -> tuple[Op, ...]:
    """The convolutions and dense layers that read the groups of these names."""
    member = membership(graph)
    all_groups = groups(graph)
    return tuple(
        op for op in graph.ops if op.kind in READERS and all_groups[member[op.inputs[0]]].name in names
    )


def _relative(values: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.square(values).mean())
    return values / scale if scale > 0 else values


def live_channels(scores: Mapping[str, np.ndarray], sparsity: float) -> dict[str, np.ndarray]:
    """Which channels live when a share of all must go: bool, in the form of ``scores``.

    The lowest scores of all groups together go; the best channel of a group stays. Of equals
    the earlier one goes.
    """
    flat = np.concatenate([np.zeros(0), *scores.values()])
    starts = np.cumsum([0, *(len(s) for s in scores.values())])
    best = [start + int(np.argmax(s)) for start, s in zip(starts, scores.values(), strict=False)]
    order = np.argsort(flat, kind="stable")
    order = order[~np.isin(order, best)]
    live = np.ones(len(flat), bool)
    live[order[: round(sparsity * len(flat))]] = False
    return {name: live[a:b] for name, a, b in zip(scores, starts, starts[1:], strict=False)}
