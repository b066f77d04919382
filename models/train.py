"""``python -m models.train --net small_bn --input loggrad_1p5 --out DIR``: train one fixed network.

Saves the network where ``export.convert --run DIR`` finds it, and prints its errors on
validation and test. The defaults are the recipe that the hand-made baseline was measured with.
"""

import sys
from pathlib import Path

from absl import flags

from loggrad_tf import cli, files, quiet
from loggrad_tf.data import dataset, options
from loggrad_tf.data.summary import few
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from models import bundle, progress, zoo
from models.pruning.channels import prunable
from models.recipe import Pruning, TrainConfig

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(options)
flags.DEFINE_enum("net", "small_bn", list(zoo.NETWORKS), "Fixed network.")
flags.DEFINE_string("input", "loggrad_1p5", f"Input format: {', '.join(frontend.FORMATS)}.")
flags.DEFINE_integer("epochs", 40, "Passes over the training images.", lower_bound=1)
flags.DEFINE_integer("batch", 64, "Images per step.", lower_bound=1)
flags.DEFINE_integer("shift", 4, "Augmentation: largest shift in pixels.", lower_bound=0)
flags.DEFINE_bool("flip", True, "Augmentation: mirror half of the images.")
flags.DEFINE_enum(
    "thresholds",
    "quantile",
    ["quantile", "fixed", "trained"],
    "Of the quantised inputs: quantiles of the training images; the same without data; or trained with the"
    " network from the quantiles on, then frozen.",
)
flags.DEFINE_float("sparsity", None, "Prune this share of the channels, 0 to 1, while training.")
flags.DEFINE_integer("seed", 0, "Decides weights, order and augmentation.", lower_bound=0)
flags.DEFINE_string("out", None, "Directory for the trained network.")


def main(argv: list[str]) -> None:
    del argv
    if FLAGS.out is None:
        raise LogGradError("--out is missing: name a directory for the trained network")
    frontend.check_format(FLAGS.input)
    moving = FLAGS.thresholds == "trained"
    if moving and (FLAGS.sparsity is not None or FLAGS.input not in frontend.LEVELS):
        raise LogGradError(
            f"--thresholds=trained: not with --sparsity, and only with --input={', '.join(frontend.LEVELS)}"
        )
    pruning = Pruning.early(FLAGS.sparsity) if FLAGS.sparsity is not None else None
    out = Path(FLAGS.out)
    files.check_place(out, "out")
    # TensorFlow takes seconds to load; wrong flags must not wait for it.
    quiet.import_tensorflow()
    from models.training import fit, measure
    from models.training import thresholds as threshold_training

    bundle.check_replaceable(out)
    data = dataset.opened(options.request())
    if (warning := few(data)) is not None:
        print(f"warning: {warning}", file=sys.stderr)
    if FLAGS.thresholds == "fixed":
        front_end = frontend.fixed(FLAGS.input, data.sensor)
    else:
        front_end = frontend.fit(FLAGS.input, data.sensor, data.subset("train")[0])
    graph = zoo.NETWORKS[FLAGS.net](FLAGS.size, len(data.class_names))
    config = TrainConfig(
        epochs=FLAGS.epochs, batch_size=FLAGS.batch, schedule="cosine", flip=FLAGS.flip, shift=FLAGS.shift
    )
    show = progress.of_epochs(FLAGS.net, config.epochs)
    if moving:
        how = threshold_training.ThresholdConfig()
        found = threshold_training.train(graph, data, front_end, config, how, FLAGS.seed, show)
        result, front_end = found.trained, found.front_end
        print(" ".join(f"t{i} = {t:.3f}" for i, t in enumerate(front_end.thresholds, 1)))
    else:
        result = fit.train(graph, data, front_end, config, FLAGS.seed, show, pruning)
    metrics = {"val_error": result.val_error}
    trained = bundle.Bundle(
        graph=result.graph,
        front_end=front_end,
        class_names=data.class_names,
        weights=result.weights,
        data=data.reference,
        train=config,
        seed=FLAGS.seed,
        metrics=metrics,
        pruning=pruning,
    )
    metrics["test_error"] = measure.evaluate(trained.model(), data, front_end, "test")
    bundle.save(out, trained)
    if pruning is not None:
        before, after = (
            sum(group.channels for group in prunable(g, pruning.exempt_first)) for g in (graph, result.graph)
        )
        print(f"{after} of {before} prunable channels left")
    baseline = measure.majority_error(data, "test")
    print(
        f"{FLAGS.net} on {FLAGS.input}: validation error {metrics['val_error']:.2%}, test error"
        f" {metrics['test_error']:.2%} (always the largest class: {baseline:.2%}); saved in {FLAGS.out}"
    )
    if (warning := measure.guesses(metrics["test_error"], data, "test")) is not None:
        print(f"warning: {warning}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
