"""``python -m benchmarks.shapes``: what networks of different shapes are worth when they are trained out.

Each shape is trained natively by the recipe ``long``, with each seed, and tested on all photographs of
another set, by default drawn ones; a test split of a few hundred photographs does not tell such networks
apart. What the staged space draws often (:mod:`search.space.staged`) was decided by this table.

A shape is a chain of layers (:mod:`benchmarks.chains`).
"""

import dataclasses
import functools

from absl import flags

from benchmarks.chains import chain
from benchmarks.other_set import all_of
from loggrad_tf import cli, parallel
from loggrad_tf.data import dataset, options
from loggrad_tf.data.request import Request
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from models.recipe import NATIVE, RECIPES
from models.training import fit, native_fit
from models.training.measure import judged
from search.cost.munas import resources

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(options)
SHAPES = (
    "8s2,p,10,p,16,p,32",
    "8s2,p,10,p,15,p,20,p,28",
    "8s2,p,10,p,16,p,28,p,48",
    "7s2,p,9,p,18,p,34,p,64",
    "8s2,p,10,p,16,p,28,p,48,f",
    "8s2,p,10,p,16,p,30,64k1",
    "7s2,p,9,p,14,p,24,r24,p,40,r40",
    "6s2,12s2,20s2,40s2",
    "5s2,p,7,p,12,p,20,p,32",
    "16s2,p,24,p,48,p,96",
)
flags.DEFINE_multi_string("shape", list(SHAPES), "A shape.")
flags.DEFINE_string("tested_on", "synthetic:3000@2", "Data set, all of which tests.")
flags.DEFINE_integer("seeds", 2, "Trainings of each.", lower_bound=1)
flags.DEFINE_integer("epochs", None, "Of each training [the recipe's].", lower_bound=1)


def _trained(job: tuple[str, int], asked: Request, tested_on: str, epochs: int | None) -> tuple[float, float]:
    """Error and loss on all photographs of ``tested_on``."""
    shape, seed = job
    data = dataset.opened(asked)
    others = all_of(tested_on, data, asked)
    recipe = RECIPES["long"](asked.size)
    recipe = dataclasses.replace(recipe, epochs=epochs or recipe.epochs, trainer=NATIVE)
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    result = fit.train(chain(shape, asked.size, len(data.class_names)), data, front_end, recipe, seed)
    scores = native_fit.logits(result.graph, result.weights, others, front_end, "test")
    return judged(scores, others.labels_of("test"))


def main(argv: list[str]) -> None:
    del argv
    asked = options.request()
    data = dataset.opened(asked)
    all_of(FLAGS.tested_on, data, asked)  # refused and drawn here, not by every process
    classes = len(data.class_names)
    graphs = [chain(shape, FLAGS.size, classes) for shape in FLAGS.shape]
    work = functools.partial(_trained, asked=asked, tested_on=FLAGS.tested_on, epochs=FLAGS.epochs)
    jobs = [(shape, seed) for shape in FLAGS.shape for seed in range(FLAGS.seeds)]
    results = parallel.run(work, jobs, "training shapes")
    print(f"{'shape':32} {'MACs':>9} {'weights':>8}  test error of each seed, %; loss, nats")
    for shape, graph in zip(FLAGS.shape, graphs, strict=True):
        errors, losses = "", ""
        for (trained, _), result in zip(jobs, results, strict=True):
            if isinstance(result, LogGradError):
                raise result
            if trained == shape:
                errors += f" {100 * result[0]:.2f}"
                losses += f" {result[1]:.3f}"
        counted = resources(graph)
        print(f"{shape:32} {counted.macs:9,d} {counted.size:8,d} {errors};{losses}")


if __name__ == "__main__":
    cli.run(main)
