"""A network that trains in compiled code: its weights, steps and logits.

Maps hold the batch innermost, so every layer fills vector registers whatever its channels are, and all of a
step (augmentation, encoding, forward, backward, optimiser) is one call; see ``source/``. Every op of
:mod:`models.graph` is there, for inputs of one channel. One thread; the same arguments give the same bits on
the same processor.
"""

import ctypes
from collections.abc import Callable

import numpy as np

from loggrad_tf.errors import LogGradError
from models.graph import SAME, WEIGHTED, WINDOWED, Graph, Op
from models.recipe import OBJECT_WEIGHT, TrainConfig
from models.training.native import library
from models.training.native.inputs import Inputs, check
from models.variables import Layers, in_order, norm_of, shapes

_BETAS = (0.9, 0.999)


class Network:
    """A graph, its weights, and memory for batches of one size.

    Args:
      images: of a batch.
      layers: the weights to begin with; they are copied.
      population: the moving variance estimates the population's, as :class:`models.batch_norm.FusedBatchNorm`
        has it, and not as Keras' own layer.

    Attributes:
      layers: the weights, views of the memory that trains.
      gradients: of the last step, by layer: kernel and bias, or gamma and beta.

    Raises:
      LogGradError: an input of several channels, or an op that nothing reads.
    """

    def __init__(self, graph: Graph, images: int, layers: Layers, population: bool = True) -> None:
        _check(graph)
        self._graph, self._images = graph, images
        self.layers: Layers = {}
        self.gradients: Layers = {}
        self._parameters, self._averages = self._arrays(layers)
        self._gradients = np.zeros_like(self._parameters)
        self._name_gradients()
        self._library = library.load()
        described, sources = _described(graph)
        self._handle = self._library.native_create(
            library.pointer(described),
            len(described),
            library.pointer(sources),
            images,
            int(population),
            library.pointer(self._parameters),
            library.pointer(self._gradients),
            library.pointer(self._averages),
        )
        if not self._handle:
            raise MemoryError("no memory for the network's maps")

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.native_destroy(self._handle)

    def _arrays(self, layers: Layers) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and averages in one array each, op by op; ``self.layers`` are views of them."""
        trained, averaged = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)]
        names = _in_memory(self._graph)
        for name, is_norm in names:
            trained += [np.ravel(w) for w in layers[name][:2]]
            averaged += [np.ravel(w) for w in layers[name][2:]] if is_norm else []
        parameters = np.concatenate(trained).astype(np.float32)
        averages = np.concatenate(averaged).astype(np.float32)
        first = second = 0
        for name, _ in names:
            views = []
            for place, shape in enumerate(shapes(self._graph)[name]):
                size = int(np.prod(shape))
                if place < 2:
                    views.append(parameters[first : first + size].reshape(shape))
                    first += size
                else:
                    views.append(averages[second : second + size].reshape(shape))
                    second += size
            self.layers[name] = views
        return parameters, averages

    def _name_gradients(self) -> None:
        first = 0
        for name, _ in _in_memory(self._graph):
            self.gradients[name] = []
            for array in self.layers[name][:2]:
                self.gradients[name].append(self._gradients[first : first + array.size].reshape(array.shape))
                first += array.size

    def weights(self) -> tuple[np.ndarray, ...]:
        """A copy of the weights, in the order of ``keras_net.build(graph).get_weights()``."""
        return tuple(array.copy() for array in in_order(self._graph, self.layers))

    def mask(self, name: str, live: np.ndarray) -> None:
        """Let convolutions, dense layers and flattens see only the live channels of an op, bool (C,)."""
        position = [op.name for op in self._graph.ops].index(name)
        mask = np.ascontiguousarray(live, np.float32)
        self._library.native_mask(self._handle, position, library.pointer(mask))

    def logits(self, inputs: Inputs) -> np.ndarray:
        """The network's outputs by the moving averages, float32 (N, units) or (N, rows, columns, units)."""
        _check_inputs(self._graph, inputs)
        out = np.empty((len(inputs.pixels), *self._graph.ops[-1].shape), np.float32)
        status = self._library.native_predict(
            self._handle,
            ctypes.byref(inputs.struct),
            library.pointer(inputs.pixels),
            len(out),
            library.pointer(out),
        )
        check(status)
        return out


class Descent:
    """The training of a network: what :class:`models.training.descent.Descent` does.

    Args:
      rate: the learning rate of a step, counted from 0.
      config: the recipe.

    Attributes:
      done: steps made so far.
    """

    def __init__(self, network: Network, rate: Callable[[int], float], config: TrainConfig) -> None:
        self._network, self._rate = network, rate
        adam = config.optimizer == "adam"
        self._slots = np.zeros(network._parameters.size * (2 if adam else 1), np.float32)
        self._struct = library.DescentStruct(
            adam=adam,
            momentum=config.momentum,
            smoothing=config.label_smoothing,
            decay=config.weight_decay / rate(0),
            object_weight=1 if network._graph.cells is None else OBJECT_WEIGHT,
            slots=library.pointer(self._slots),
            powers=_BETAS,
        )
        self.done = 0

    def steps(self, inputs: Inputs, labels: np.ndarray, indices: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """Train on whole batches; returns loss and share of right answers of each, before its step.

        Args:
          labels: of all images of ``inputs``, integers (N,); for a detector what each cell is to say,
            (N, rows, columns), :data:`loggrad_tf.detect.grid.IGNORED` where nothing is asked.
          indices: int64, images of each batch in turn.
          draws: what becomes of each of them.
        """
        network = self._network
        _check_inputs(network._graph, inputs)
        count = len(indices) // network._images
        rates = np.array([self._rate(self.done + k) for k in range(count)], np.float32)
        reports = np.empty(count, library.REPORT)
        drawn_labels = labels[indices].astype(np.int32)
        status = network._library.native_train(
            network._handle,
            ctypes.byref(inputs.struct),
            ctypes.byref(self._struct),
            library.pointer(inputs.pixels),
            count,
            library.pointer(indices),
            library.pointer(draws),
            library.pointer(drawn_labels),
            library.pointer(rates),
            library.pointer(reports),
        )
        check(status)
        self.done += count
        return reports


def _check(graph: Graph) -> None:
    if graph.input_shape[-1] != 1:
        raise LogGradError(
            f"the network's input has {graph.input_shape[-1]} channels; native training takes 1"
        )
    read = {i for op in graph.ops for i in op.inputs}
    for position, op in enumerate(graph.ops[:-1]):
        if position not in read:
            raise LogGradError(f"op '{op.name}': nothing reads it")


def _check_inputs(graph: Graph, inputs: Inputs) -> None:
    if inputs.shape != graph.input_shape[:2]:
        raise LogGradError(f"images of {inputs.shape} pixels for a network of {graph.input_shape[:2]}")


def _in_memory(graph: Graph) -> list[tuple[str, bool]]:
    """Layers in the order in which C++ has their weights: name, and whether it is a batch norm."""
    found = []
    for op in graph.ops:
        found += [(op.name, False)] if op.kind in WEIGHTED else []
        found += [(norm_of(op), True)] if op.bn else []
    return found


def _described(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """The ops as C++ reads them, and their sources one after the other."""
    rows = []
    for op in graph.ops:
        height, width, channels = op.shape if len(op.shape) == 3 else (1, 1, op.shape[0])
        normed = (int(op.bn), int(op.relu), len(op.inputs))
        rows.append((library.KINDS.index(op.kind), height, width, channels, _window(graph, op), *normed))
    sources = np.array([i for op in graph.ops for i in op.inputs], np.int32)
    return np.array(rows, library.DESCRIPTION), sources


def _window(graph: Graph, op: Op) -> tuple[int, ...]:
    """Kernel, stride, and what is padded before the map; an op without a window has that of one pixel."""
    if op.kind not in WINDOWED:
        return 1, 1, 1, 1, 0, 0
    before = [0, 0]
    if op.padding == SAME:
        source = graph.ops[op.inputs[0]].shape
        for axis in range(2):
            covered = (op.shape[axis] - 1) * op.stride[axis] + op.kernel[axis]
            before[axis] = max(0, covered - source[axis]) // 2
    return (*op.kernel, *op.stride, *before)
