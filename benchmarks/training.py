"""``python -m benchmarks.training``: CPU-seconds that a candidate's training takes, beside Keras' own.

    prepare   the first step: build, trace
    epoch     of 31 batches of 64 images of 96x96, augmented and encoded

``ours`` is :class:`models.training.descent.Descent` with our batch norm, as the search trains; ``fit`` is
``keras.Model.fit`` with ``keras.optimizers.SGD`` on the same model and batches; ``keras`` is that with
Keras' own batch norm as well; ``native`` is the compiled training step (:mod:`models.training.native`). One
thread, drawn pixels; the networks are ``small_bn`` and candidates of both search spaces.

A second table has the batch norm alone, forwards and backwards over 64 maps of 47x47 pixels: ``ours``
is :class:`models.batch_norm.FusedBatchNorm`, ``kernel`` TensorFlow's fused kernel, ``keras`` Keras' layer.
"""

import itertools
import time
from collections.abc import Callable

import numpy as np
from absl import flags

from loggrad_tf import cli
from loggrad_tf.transform import frontend
from loggrad_tf.transform.sensor import Sensor
from models.graph import Graph
from models.recipe import GLOROT, TrainConfig
from models.training.native import library
from models.training.native import network as native_network
from models.training.native.initial import initial
from models.training.native.inputs import Inputs
from search.cost.munas import resources
from search.space import staged
from search.space.assembly import assemble
from search.space.genotype import random_genotype, scaled
from search.strategy.proposal import rng_of
from search.workers.evaluator import start_tensorflow

FLAGS = flags.FLAGS
flags.DEFINE_integer("networks", 3, "Candidates of each space to measure.", lower_bound=0)

SIDE, BATCH, STEPS = 96, 64, 31
CHANNELS, MAP, REPEATS = (4, 6, 7, 8, 10, 15, 16), 47, 20


def main(argv: list[str]) -> None:
    del argv
    start_tensorflow()
    import keras

    from models import keras_net, zoo
    from models.training.batches import training_batches
    from models.training.descent import Descent

    sensor = Sensor(12, 0, 4095)
    front_end = frontend.fixed("loggrad_1p5", sensor)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4096, (STEPS * BATCH, SIDE, SIDE)).astype(np.uint16)
    labels = rng.integers(0, 3, len(pixels))
    config = TrainConfig(batch_size=BATCH, flip=True, shift=4)
    batches = training_batches(pixels, labels, 3, front_end, config, 0)
    for _ in batches.take(1):  # the transform is compiled once a process
        pass

    def ours(graph: Graph) -> Callable[[], object]:
        descent = Descent(keras_net.build(graph), lambda step: 0.03, 0.9, 1e-4, 0.0)
        return lambda: descent.epoch(batches)

    def fit(graph: Graph, fused: bool = True) -> Callable[[], object]:
        model = keras_net.build(graph, fused)
        optimizer = keras.optimizers.SGD(0.03, momentum=0.9, weight_decay=1e-4 / 0.03)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)
        return lambda: model.fit(batches, epochs=1, verbose=0, shuffle=False)

    def native(graph: Graph) -> Callable[[], object]:
        network = native_network.Network(graph, BATCH, initial(graph, GLOROT, rng))
        descent = native_network.Descent(network, lambda step: 0.03, config)
        inputs = Inputs(pixels, front_end)

        def epoch() -> object:
            order = rng.permutation(len(pixels))
            return descent.steps(inputs, labels, order, inputs.draws(rng, len(order), config))

        return epoch

    library.load()  # compiled once a machine
    ways = {"ours": ours, "fit": fit, "keras": lambda graph: fit(graph, False), "native": native}
    print(f"{'network':28s} {'':8s} {'prepare':>9s} {'epoch':>9s} {'8 epochs':>9s} {'ratio':>6s}")
    for title, graph in [("small_bn", zoo.small_bn(SIDE, 3)), *_candidates(FLAGS.networks)]:
        least = None
        for name, way in ways.items():
            keras.backend.clear_session()
            begin = time.process_time()
            epoch = way(graph)
            epoch()
            first = time.process_time() - begin
            begin = time.process_time()
            epoch()
            epoch()
            later = (time.process_time() - begin) / 2
            total = first + 7 * later
            least = least or total
            times = f"{max(first - later, 0):8.2f}s {later:8.2f}s {total:8.2f}s {total / least:6.2f}"
            full = f"{title}, {resources(graph).macs / 1e6:.2f} M MACs"
            print(f"{full if name == 'ours' else '':28s} {name:8s} {times}", flush=True)
    _batch_norms()


def _candidates(count: int) -> list[tuple[str, Graph]]:
    """The first ``count`` random networks of each space that take at most a million MACs."""
    found = []
    for title, drawn in (
        ("muNAS", lambda rng: assemble(scaled(random_genotype(rng), 0.2), (SIDE, SIDE, 1), 3)),
        (
            "staged",
            lambda rng: staged.assemble(staged.scaled(staged.random_staged(rng), 0.3), (SIDE, SIDE, 1), 3),
        ),
    ):
        graphs = (drawn(rng_of(0, index)) for index in range(1000))
        small = (graph for graph in graphs if resources(graph).macs <= 1e6)
        found += [(f"{title}, {len(graph.ops)} ops", graph) for graph in itertools.islice(small, count)]
    return found


def _batch_norms() -> None:
    import keras
    import tensorflow as tf

    from models.batch_norm import FusedBatchNorm

    def kernel(x: tf.Tensor, training: bool) -> tf.Tensor:
        ones = tf.ones(x.shape[-1])
        return tf.compat.v1.nn.fused_batch_norm(x, ones, ones, is_training=training)[0]

    def milliseconds(layer: Callable[..., tf.Tensor], x: tf.Tensor) -> float:
        def step() -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(layer(x, training=True) * x)
            return tape.gradient(loss, x)

        compiled = tf.function(step, autograph=False)
        compiled()
        begin = time.process_time()
        for _ in range(REPEATS):
            compiled()
        return (time.process_time() - begin) / REPEATS * 1000

    print(f"\n{'channels':>8s} {'ours':>9s} {'kernel':>9s} {'keras':>9s} {'kernel/ours':>12s}")
    for channels in CHANNELS:
        x = tf.random.stateless_normal((BATCH, MAP, MAP, channels), (0, 0))
        layers = (FusedBatchNorm(), kernel, keras.layers.BatchNormalization())
        times = [milliseconds(layer, x) for layer in layers]
        listed = " ".join(f"{each:6.1f} ms" for each in times)
        print(f"{channels:8d} {listed} {times[1] / times[0]:12.2f}", flush=True)


if __name__ == "__main__":
    cli.run(main)
