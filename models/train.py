"""``python -m models.train --net=small_bn --input=loggrad_1p5 --out=DIR``: train one network.

``--net`` is a fixed network. ``--recipe=quick`` is what the hand-made baseline was measured with; ``long``
trains it out: 300 epochs, with label smoothing, larger shifts, and squares cut out of the network's input.
``--like=RUN`` is the network of a search, or a saved one, trained anew from scratch: as wide as pruning left
it, with its recipe, seed, input format, size, mode and sensor, on its data set as that is now, or on
``--data``; flags that are given win. Its thresholds are fitted to the training images, and its last layer to
the number of classes. On data that has not changed that is the very training of a search's finalist, bit for
bit.

``--from=RUN`` goes on with the weights of that network, when its data set has grown: the same thresholds,
classes and size, its recipe for half of the epochs. Both networks are then set side by side on
the set as it is now. Its test photographs must be new to the old one, as they are in a set of
``firmware.collect`` (:mod:`loggrad_tf.data.collected`) and where lists or a manifest keep the splits.

``--task=detect`` trains a detector, ``cells``, with a recipe of its own: 40 epochs, ``long`` 150, in which
frames are also scaled. ``--like`` and ``--from`` take detectors too.

Saves the network where ``export.convert --run DIR`` finds it, and prints its errors on
validation and test, and what it takes for what; of a detector how many objects it finds, how many it invents,
and how well it counts.
"""

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from loggrad_tf import cli, files, quiet
from loggrad_tf.data import dataset, options
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.request import Request
from loggrad_tf.data.summary import doubts
from loggrad_tf.detect import scores as detect_scores
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import Sensor
from models import bundle, progress, zoo
from models.bundle import Bundle, Description
from models.graph import Graph, adapted
from models.pruning.channels import prunable
from models.recipe import CUBIC, NATIVE, PRUNING_SCHEDULES, RECIPES, TRAINERS, Pruning, TrainConfig, recipe
from models.training.native import build
from models.training.reproducible import start_tensorflow

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(options)
flags.DEFINE_enum(
    "net",
    None,
    [*zoo.NETWORKS, *zoo.DETECTORS],
    "Fixed network [small_bn; with --task=detect cells, the only one for it].",
)
flags.DEFINE_string(
    "like", None, "In place of --net: directory of a search run or of a saved network, to be trained anew."
)
flags.DEFINE_string(
    "from", None, "In place of --net: directory of a search run or of a saved network, to be trained on."
)
flags.DEFINE_string("input", "loggrad_1p5", f"Input format: {', '.join(frontend.FORMATS)}.")
flags.DEFINE_enum("recipe", "quick", list(RECIPES), "How to train, where the flags marked * do not say.")
flags.DEFINE_integer(
    "epochs", None, "* Passes over the training images [40; long 300, of a detector 150].", lower_bound=1
)
flags.DEFINE_integer("batch", None, "* Images per step [64].", lower_bound=1)
flags.DEFINE_integer(
    "shift", None, "* Augmentation: largest shift in pixels [4; long 8; of a detector 8].", lower_bound=0
)
flags.DEFINE_bool("flip", None, "* Augmentation: mirror half of the images [true].")
flags.DEFINE_enum(
    "thresholds",
    "quantile",
    ["quantile", "fixed", "trained"],
    "Of the quantised inputs: quantiles of the training images; the same without data; or trained with the"
    " network from the quantiles on, then frozen.",
)
flags.DEFINE_enum(
    "trainer",
    None,
    list(TRAINERS),
    "* tensorflow, or native, which g++ compiles here: the same steps in less time, from other random numbers"
    " [tensorflow].",
)
flags.DEFINE_float("sparsity", None, "Prune this share of the channels, 0 to 1, while training.")
flags.DEFINE_enum(
    "pruning_schedule",
    CUBIC,
    list(PRUNING_SCHEDULES),
    "With --sparsity, how many channels go when: by our formula, or by PolynomialDecay of"
    " tensorflow-model-optimization, which is the same.",
)
flags.DEFINE_integer("seed", 0, "Decides weights, order and augmentation.", lower_bound=0)
flags.DEFINE_string("out", None, "Directory for the trained network.")


# Training on takes this share of the recipe's epochs. With lower rates than the recipe's it is worse.
ON_EPOCHS = 0.5
# What the weights of a network decide.
_DECIDED = ("size", "mode", "fit", "task", "input", "recipe", "thresholds", "sparsity")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be trained, before the data set is known.

    Attributes:
      name: of the network, for people.
      request: the data set.
      format: of the input.
      config: the recipe.
      seed: decides weights, order and augmentation.
      like: the network that is trained anew, or on; None for a fixed one.
      start: its weights, if it is trained on.
    """

    name: str
    request: Request
    format: str
    config: TrainConfig
    seed: int
    like: Description | None
    start: tuple[np.ndarray, ...] | None = None

    def graph(self, classes: int) -> Graph:
        if self.like is None:
            return (zoo.NETWORKS | zoo.DETECTORS)[self.name](self.request.size, classes)
        return adapted(self.like.graph, self.request.size, classes)

    def sensor(self, data: DataSet) -> Sensor:
        """What the network is trained for: the data set's sensor, or still that of the network before."""
        if self.like is None:
            return data.sensor
        return dataclasses.replace(self.like.front_end.sensor, cfa=data.sensor.cfa)


def _given(name: str, usual: Any) -> Any:
    """A flag's value if it was given, else what is usual."""
    return FLAGS[name].value if FLAGS[name].present else usual


def _recipe(usual: TrainConfig) -> TrainConfig:
    """``usual``, with what the flags say in place of what it holds."""
    return dataclasses.replace(
        usual,
        epochs=_given("epochs", usual.epochs),
        batch_size=_given("batch", usual.batch_size),
        flip=_given("flip", usual.flip),
        shift=_given("shift", usual.shift),
        trainer=_given("trainer", usual.trainer),
    )


def _plan(like: Bundle | None) -> Plan:
    """What the flags ask for, and ``like`` where they say nothing."""
    if like is None:
        request = options.request()
        known = zoo.DETECTORS if request.detects else zoo.NETWORKS
        name = FLAGS.net or ("cells" if request.detects else "small_bn")
        if name not in known:
            raise LogGradError(f"--net={name}: --task={request.task} takes {' or '.join(known)}: give that")
        config = _recipe(recipe(FLAGS.recipe, request.size, request.detects))
        return Plan(name, request, FLAGS.input, config, FLAGS.seed, None)
    request = _request(like)
    if request.detects != (like.graph.cells is not None):
        raise LogGradError(
            f"--task={request.task}: the network of --like was trained for --task={like.data.task}, and"
            " answers in another form: leave --task out, or give --net"
        )
    named = FLAGS["recipe"].present
    config = _recipe(recipe(FLAGS.recipe, request.size, request.detects) if named else like.train)
    format_ = _given("input", like.front_end.format)
    return Plan(f"the network of {FLAGS.like}", request, format_, config, _given("seed", like.seed), like)


def _going_on(old: Bundle) -> Plan:
    """Training on, from the weights of ``old``.

    Raises:
      LogGradError: a flag that asks for something that the weights do not know.
    """
    for name in _DECIDED:
        if FLAGS[name].present:
            raise LogGradError(f"--{name}: decided by --from; leave it out, or give --like to train anew")
    epochs = max(round(ON_EPOCHS * old.train.epochs), 1)
    config = dataclasses.replace(old.train, epochs=epochs)
    name = f"the network of {FLAGS['from'].value}, trained further"
    return Plan(
        name, _request(old), old.front_end.format, _recipe(config), _given("seed", old.seed), old, old.weights
    )


def _request(like: Bundle) -> Request:
    """The data set that a network was trained on, with what the flags say in place of what it was."""
    data = like.data
    return Request(
        spec=_given("data", data.spec),
        size=_given("size", data.size),
        mode=_given("mode", data.mode),
        fit=_given("fit", data.fit),
        task=_given("task", data.task),
    )


def _front_end(plan: Plan, data: DataSet) -> FrontEnd:
    if plan.start is not None:
        assert plan.like is not None
        return plan.like.front_end
    sensor = plan.sensor(data)
    if FLAGS.thresholds == "fixed":
        return frontend.fixed(plan.format, sensor)
    return frontend.fit(plan.format, sensor, data.subset("train")[0], data.sensor, data.noise)


def main(argv: list[str]) -> None:
    del argv
    if FLAGS.out is None:
        raise LogGradError("--out is missing: name a directory for the trained network")
    if (FLAGS["net"].present > 0) + (FLAGS.like is not None) + (FLAGS["from"].value is not None) > 1:
        raise LogGradError("--net, --like and --from each name a network: give one of them")
    old = _named("from")
    like = _named("like") if old is None else old
    plan = _plan(like) if old is None else _going_on(old)
    frontend.check_format(plan.format, "--input")
    moving = FLAGS.thresholds == "trained"
    if moving and (FLAGS.sparsity is not None or plan.format not in frontend.LEVELS):
        raise LogGradError(
            f"--thresholds=trained: not with --sparsity, and only with --input={', '.join(frontend.LEVELS)}"
        )
    if moving and plan.request.detects:
        raise LogGradError("--thresholds=trained: not with --task=detect: its thresholds are quantiles")
    if moving and plan.config.trainer == NATIVE:
        raise LogGradError("--thresholds=trained: TensorFlow trains them, leave --trainer=native out")
    if FLAGS["pruning_schedule"].present and FLAGS.sparsity is None:
        raise LogGradError(f"--pruning_schedule={FLAGS.pruning_schedule}: nothing is pruned; add --sparsity")
    pruning = Pruning.early(FLAGS.sparsity, FLAGS.pruning_schedule) if FLAGS.sparsity is not None else None
    out = Path(FLAGS.out)
    files.check_place(out, "out")
    # TensorFlow takes seconds to load; wrong flags must not wait for it.
    native = plan.config.trainer == NATIVE
    if native:
        build.built()
    elif like is None:
        quiet.import_tensorflow()
    else:
        start_tensorflow()
    from models.training import fit, measure

    bundle.check_replaceable(out)
    data = dataset.opened(plan.request)
    for warning in doubts(data):
        print(f"warning: {warning}", file=sys.stderr)
    if old is not None and data.class_names != old.class_names:
        raise LogGradError(
            f"{plan.request.spec}: its classes are {', '.join(data.class_names)}, the network knows"
            f" {', '.join(old.class_names)}: train it anew, with --like"
        )
    front_end, graph = _front_end(plan, data), plan.graph(len(data.class_names))
    show = progress.of_epochs(plan.name, plan.config.epochs, data.detects)
    if moving:
        from models.training import thresholds as threshold_training

        how = threshold_training.ThresholdConfig()
        if data.noise is not None:
            how = dataclasses.replace(how, floor=data.noise)
        found = threshold_training.train(graph, data, front_end, plan.config, how, plan.seed, show)
        result, front_end = found.trained, found.front_end
        print(" ".join(f"t{i} = {t:.3f}" for i, t in enumerate(front_end.thresholds, 1)))
    else:
        result = fit.train(graph, data, front_end, plan.config, plan.seed, show, pruning, start=plan.start)
    trained = Bundle(
        graph=result.graph,
        front_end=front_end,
        class_names=data.class_names,
        weights=result.weights,
        data=data.reference,
        train=plan.config,
        seed=plan.seed,
        metrics={},
        pruning=pruning,
        threshold=result.threshold,
    )
    scores = functools.cache(_scores(trained, data))
    metrics = {"val_error": result.val_error}
    if data.detects:
        objects = _found(trained, scores, data)
        metrics["test_error"] = 1 - objects["test"].f1
        trained = dataclasses.replace(trained, detection=objects)
    else:
        metrics["test_error"] = measure.judged(scores("test"), data.labels_of("test"))[0]
        trained = dataclasses.replace(trained, confusion=measure.tabled(scores, data))
    bundle.save(out, dataclasses.replace(trained, metrics=metrics))
    if pruning is not None:
        before, after = (
            sum(group.channels for group in prunable(g, pruning.exempt_first)) for g in (graph, result.graph)
        )
        print(f"{after} of {before} prunable channels left")
    if data.detects:
        _report_detector(plan.name, bundle.load(out), scores, data)
    else:
        _report(plan.name, bundle.load(out), data)
    if old is not None:
        of_old = functools.cache(_scores(old, data))
        if data.detects:
            _detectors_side_by_side(trained, old, of_old, data)
        else:
            _set_side_by_side(scores, of_old, data)


def _named(flag: str) -> Bundle | None:
    """The saved network that a flag names, if it is given."""
    given = FLAGS[flag].value
    return None if given is None else bundle.load(bundle.find(Path(given), flag))


def _set_side_by_side(
    new: Callable[[str], np.ndarray], old: Callable[[str], np.ndarray], data: DataSet
) -> None:
    """Print what two networks get wrong of the set as it is now; new and old give their logits on a split."""
    from models.training.measure import classify

    print(f"{'on ' + data.spec:24.24} {'before':>8} {'now':>8}  mended  spoilt")
    for split in ("val", "test"):
        labels = data.labels_of(split)
        before, now = (classify(scores(split)) != labels for scores in (old, new))
        print(
            f"{split + f', {len(labels)} photographs':24} {before.mean():8.2%} {now.mean():8.2%}"
            f"  {(before & ~now).sum():6d}  {(now & ~before).sum():6d}"
        )
        if now.sum() > before.sum():
            print(f"warning: worse on {split} than before: keep {FLAGS['from'].value}", file=sys.stderr)


def _scores(trained: Bundle, data: DataSet) -> Callable[[str], np.ndarray]:
    """What gives a network's logits on a split, by what trained it."""
    if trained.train.trainer == NATIVE:
        from models.training import native_fit

        return lambda split: native_fit.logits(trained.graph, trained.weights, data, trained.front_end, split)
    from models.training import measure

    model = trained.model()
    return lambda split: measure.logits(model, data, trained.front_end, split)


def _found(
    trained: Bundle, scores: Callable[[str], np.ndarray], data: DataSet
) -> dict[str, detect_scores.Scores]:
    """What a detector finds on ``val`` and ``test``, at its own threshold."""
    from models.training import detection

    if trained.threshold is None:
        raise LogGradError(
            "the training diverged: its scores are no numbers any more; train it with another seed"
        )
    return {
        split: detection.scored(scores(split), data, split, trained.threshold) for split in ("val", "test")
    }


def _report_detector(name: str, saved: Bundle, scores: Callable[[str], np.ndarray], data: DataSet) -> None:
    from models.training import detection

    assert saved.detection is not None and saved.threshold is not None
    print(detection.told(saved.detection, saved.class_names))
    print(f"test: {detection.recalls(detection.by_side(scores('test'), data, 'test', saved.threshold))}")
    print(
        f"{name} on {saved.front_end.format}: validation F1 {saved.detection['val'].f1:.3f}, test F1"
        f" {saved.detection['test'].f1:.3f}; saved in {FLAGS.out}"
    )
    for warning in detection.doubts(saved.detection["test"], "test"):
        print(f"warning: {warning}", file=sys.stderr)


def _detectors_side_by_side(
    new: Bundle, old: Bundle, scores: Callable[[str], np.ndarray], data: DataSet
) -> None:
    """Print what two detectors find on the set as it is now; ``scores`` gives the old one's on a split."""
    assert new.detection is not None
    before = _found(old, scores, data)
    print(f"{'on ' + data.spec:24.24} {'F1 before':>10} {'F1 now':>10}")
    for split, now in new.detection.items():
        print(f"{split + f', {now.frames} photographs':24} {before[split].f1:10.3f} {now.f1:10.3f}")
        if now.f1 < before[split].f1:
            print(f"warning: worse on {split} than before: keep {FLAGS['from'].value}", file=sys.stderr)


def _report(name: str, saved: Bundle, data: DataSet) -> None:
    from models.training import measure

    metrics, confusion = saved.metrics, saved.confusion or {}
    print(f"test:\n{confusion['test'].text()}")
    baseline = measure.majority_error(data, "test")
    print(
        f"{name} on {saved.front_end.format}: validation error {metrics['val_error']:.2%}, test error"
        f" {metrics['test_error']:.2%} (always the largest class: {baseline:.2%}); saved in {FLAGS.out}"
    )
    if (warning := measure.guesses(metrics["test_error"], data, "test")) is not None:
        print(f"warning: {warning}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
