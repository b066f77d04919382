"""``python -m benchmarks.frontend``: images a second of the quantiser against the obvious composition.

Both run in the same process as maps of a tf.data pipeline over the same 96 x 96 RAW images,
in turns, and the medians are compared. The obvious composition is what a reader of the paper
would write first: float32 logarithm, Conv2D with the 3x3 filter, comparisons with +-t; also
with XLA, since ours is compiled. The int64 form of ours shows what float64 saves.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
from absl import flags

from loggrad_tf import cli, quiet
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import Sensor

quiet.import_tensorflow()
import tensorflow as tf  # noqa: E402

from loggrad_tf.transform import ops  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_integer("batch", 128, "Images per batch.", lower_bound=1)
flags.DEFINE_integer("batches", 20, "Batches per measurement.", lower_bound=1)
flags.DEFINE_integer("repeats", 7, "Measurements per method, in turns.", lower_bound=1)
flags.DEFINE_integer("size", 96, "Side of the images in pixels.", lower_bound=3)
flags.DEFINE_enum("input", "loggrad_1p5", list(frontend.LEVELS), "Input format.")

Transform = Callable[[tf.Tensor], tf.Tensor]


def obvious(front_end: FrontEnd, compiled: bool) -> Transform:
    """Log, Conv2D, comparisons: float32 throughout."""
    # Conv2D correlates, so the paper's kernel is turned by half a turn.
    kernel = tf.constant([[0, 1, 0], [1, 0, -1], [0, -1, 0]], tf.float32)[..., None, None]

    def transform(pixels: tf.Tensor) -> tf.Tensor:
        logs = tf.math.log(tf.cast(pixels, tf.float32) + 1.0)[..., None]
        padded = tf.pad(logs, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="REFLECT")
        g = tf.nn.conv2d(padded, kernel, 1, "VALID")
        q = tf.zeros_like(g)
        for t in front_end.thresholds:
            q += tf.cast(g > t, tf.float32) - tf.cast(g < -t, tf.float32)
        return q

    return tf.function(transform, jit_compile=compiled)


def int64_form(front_end: FrontEnd) -> Transform:
    """The definition, word for word, in int64."""

    def transform(pixels: tf.Tensor) -> tf.Tensor:
        up, down, left, right = ops.neighbours(tf.cast(pixels, tf.int64) + front_end.offset)
        lighter, darker = up * left, down * right
        q = tf.zeros_like(lighter, tf.float32)
        scale = 2**front_end.shift
        for k in front_end.ratios:
            q += tf.cast(lighter * scale > k * darker, tf.float32)
            q -= tf.cast(darker * scale > k * lighter, tf.float32)
        return q[..., None]

    return tf.function(transform)


def rate(transform: Transform, images: tf.Tensor, batches: int) -> float:
    """Images a second through ``dataset.map(transform)``."""
    pipeline = tf.data.Dataset.from_tensors(images).repeat(batches).map(transform)
    started = time.perf_counter()
    for _ in pipeline:
        pass
    return batches * len(images) / (time.perf_counter() - started)


def main(argv: list[str]) -> None:
    del argv
    sensor = Sensor(bits=12, black=0, white=4095)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4096, (FLAGS.batch, FLAGS.size, FLAGS.size)).astype(np.uint16)
    front_end = frontend.fit(FLAGS.input, sensor, pixels)
    methods = {
        "this project": ops.encoder(front_end),
        "obvious composition": obvious(front_end, compiled=False),
        "obvious composition, XLA": obvious(front_end, compiled=True),
        "definition in int64": int64_form(front_end),
    }
    images = tf.constant(pixels)
    exact = front_end.encode(pixels)
    differing = {name: int((method(images).numpy() != exact).sum()) for name, method in methods.items()}
    rates: dict[str, list[float]] = {name: [] for name in methods}
    for repeat in range(FLAGS.repeats + 1):
        for name, method in methods.items():
            measured = rate(method, images, FLAGS.batches)
            if repeat:
                rates[name].append(measured)
    median = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{FLAGS.input}, {FLAGS.size} x {FLAGS.size}, batches of {FLAGS.batch}, {exact.size:,} levels")
    print(f"{'method':26s} {'images/s':>10s} {'this project is':>16s} {'inexact':>8s}")
    for name, value in median.items():
        ratio = median["this project"] / value
        print(f"{name:26s} {value:10,.0f} {ratio:14.1f} x {differing[name]:8d}")


if __name__ == "__main__":
    cli.run(main)
