"""Quantised training: small_bn in float, rounded after training, and fine-tuned while rounded, by input.

The paper keeps weights and activations in floating point (section 3.1) and names quantised training as future
work (section 5). Here activations have 8 bits and weights 8, 4, 3 or 2, one scale a channel
(:mod:`export.quantization.qat`), and one network has ternary weights in its first layer only. Fine-tuning
is more training, so the float network is trained as long for a control. Rounding after training takes the
scales of least squared error and corrects the biases. Accuracy at 8 bits is that of the int8 flatbuffer in
TFLite's reference kernels; below, that of the rounded network, which the flatbuffer follows
(``tests/export/quantization/test_qat.py``). At 8 and 4 bits tensorflow-model-optimization fine-tunes the same
network once more, from the same start and on the same batches (:mod:`export.quantization.tfmot`).
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from experiments import plots
from experiments.figures import fig10_brightness
from experiments.jobs import AGAIN, Training, open_data
from experiments.study import Claim, Result, Study, front_end, held_out, network
from export.quantization.settings import OURS
from loggrad_tf import json_base
from loggrad_tf.data.dataset import DataSet
from models.recipe import TFMOT

INPUTS = ("jpeg8", "raw16", "loggrad_1p5", "loggrad_2p25")
BITS = (8, 4, 3, 2)
# Those that tensorflow-model-optimization trains too.
TFMOT_BITS = (8, 4)
BOARD = "netduinoplus2"
CALIBRATION = 512
FOUND = "found.json"
# What is tuned besides all weights of 8, 4, 3 and 2 bits; a name is one of the column ``weights``.
CONTROL, TERNARY = "float, trained on", "8 bits, ternary first layer"
# Within so much of float int8 is called as good.
AS_GOOD = 0.005


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile; ``tuning`` are the epochs of quantised training."""

    size: int
    epochs: int
    seeds: int
    tuning: int


SCALES = {
    "quick": Scale(size=48, epochs=12, seeds=1, tuning=4),
    "long": Scale(size=96, epochs=40, seeds=3, tuning=8),
    "paper": Scale(size=224, epochs=40, seeds=3, tuning=10),
}


@dataclasses.dataclass(frozen=True)
class Rounding:
    """Round one trained network, fine-tune it, and measure it before and after on held-out images.

    Attributes:
      trained: the job of the network.
      folder: of that job's result.
      tuning: JSON form of :class:`export.quantization.qat.Tuning`.
      trainer: of :data:`export.quantization.settings.TRAINERS`.
    """

    trained: Training
    folder: Path
    tuning: dict[str, Any]
    trainer: str = OURS

    @property
    def title(self) -> str:
        return f"{self.trained.front_end.format}, {self.arm}, seed {self.trained.seed}"

    @property
    def arm(self) -> str:
        """What the tables call it."""
        return arm(self.tuning, self.trainer)

    def to_json(self) -> dict[str, Any]:
        by = {} if self.trainer == OURS else {"trainer": self.trainer}
        return {"network": self.trained.to_json(), "tuning": self.tuning, "board": BOARD} | by

    def run(self, directory: Path) -> str:
        from export.quantization import qat, tfmot
        from models import keras_net

        data, saved = open_data(self.trained.data), network(self.folder)
        tuning, front = qat.Tuning(**self.tuning), saved.front_end
        pixels, _ = data.subset("train")
        sample = front.encode(np.asarray(pixels[:: -(-len(pixels) // CALIBRATION)]))
        weights = keras_net.fold(saved.graph, saved.model())
        before = qat.quantized(saved.graph, weights, sample, tuning)
        train = tfmot.train if self.trainer == TFMOT else qat.train
        after = train(before, data, front, qat.tuned(saved.train, tuning), saved.seed)
        found: dict[str, Any] = {
            "before": _measured(before, data, front),
            "after": _measured(after, data, front),
        }
        if tuning.bits is not None:
            found["board"] = _planned(qat.convert(after, front), front)
        (directory / FOUND).write_text(json.dumps(found, indent=1) + "\n")
        return f"{found['before']['accuracy']:.1%} before, {found['after']['accuracy']:.1%} after"


def arm(tuning: dict[str, Any], trainer: str = OURS) -> str:
    """What the tables call a tuning."""
    if tuning["bits"] is None:
        return CONTROL
    weights = TERNARY if tuning["ternary_first"] else f"{tuning['bits']} bits"
    return weights if trainer == OURS else f"{weights}, {trainer}"


def _measured(rounded: Any, data: DataSet, front: Any) -> dict[str, float]:
    """Accuracy, of eight bits the flatbuffer's, and how often that agrees with the rounded network."""
    from export.quantization import qat
    from export.tflite.interpreter import ReferenceInterpreter
    from models.training.measure import classify

    pixels, labels = held_out(data)
    chunks = [pixels[i : i + 256] for i in range(0, len(pixels), 256)]
    classes = np.concatenate([classify(qat.logits(rounded, front, front.encode(c))) for c in chunks])
    found = {"accuracy": float(np.mean(classes == labels))}
    if max(rounded.bits.values(), default=0) == BITS[0]:
        interpreter = ReferenceInterpreter(qat.convert(rounded, front))
        scale, zero_point = interpreter.output_quantization
        outputs = np.concatenate([interpreter.run(front.encode_int8(c)) for c in chunks])
        int8 = classify(scale * (outputs.astype(np.float64) - zero_point))
        found = {"accuracy": float(np.mean(int8 == labels)), "agreement": float(np.mean(int8 == classes))}
    return found


def _planned(flatbuffer: bytes, front_end: Any) -> dict[str, int]:
    """Bytes and instructions of the plan for :data:`BOARD`."""
    from export import boards
    from export.plan.input import describe
    from export.predict import costs, footprint
    from export.tflite import graph as tflite_graph

    facts, graph = boards.read(BOARD), tflite_graph.parse(flatbuffer)
    tensor = graph.tensors[graph.input]
    source = describe(front_end, tensor.shape, tensor.scale, tensor.zero_point)
    plan = footprint.plan(graph, source, facts)
    instructions = costs.predict(plan, source, facts["core"])
    # Packing levels to codes of a table is a node of its own, before the convolution that reads them.
    first = [node.kind in ("conv", "table_conv") for node in plan.network.nodes].index(True)
    return {
        "constants": plan.constant_bytes,
        "instructions": sum(instructions),
        "first_layer": sum(instructions[: first + 1]),
    }


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = study.data(scale.size)
    cases = [(name, seed) for name in INPUTS for seed in range(scale.seeds)]
    fronts = {name: front_end(data, name) for name in INPUTS}
    trainings = [fig10_brightness.small(data, fronts[name], scale.epochs, seed) for name, seed in cases]
    folders = study.run(trainings)
    arms = [(None, False, OURS), *((bits, False, OURS) for bits in BITS), (BITS[0], True, OURS)]
    arms += [(bits, False, TFMOT) for bits in TFMOT_BITS]
    jobs = [
        Rounding(training, folder, {"epochs": scale.tuning, "bits": bits, "ternary_first": first}, trainer)
        for training, folder in zip(trainings, folders, strict=True)
        for bits, first, trainer in arms
    ]
    rows = []
    for job, folder in zip(jobs, study.run(jobs), strict=True):
        rows += _rows(job, json_base.read_value(dict[str, dict[str, float]], folder / FOUND, AGAIN))
    found = {
        (name, weights, tuned): np.array(
            [r["accuracy"] for r in rows if (r["input"], r["weights"], r["tuned"]) == (name, weights, tuned)]
        )
        for name in INPUTS
        for weights in dict.fromkeys(job.arm for job in jobs)
        for tuned in (0, 1)
    }
    figures = {"weight_bits": _bits_figure(found, scale, study.spec), "int8": _int8_figure(found, scale)}
    claims = [_int8_claim(found), _bits_claim(found), _ternary_claim(found, rows), _tfmot_claim(found)]
    return Result(rows, figures, claims)


def _rows(job: Rounding, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Before and after the tuning; the control before is the float network itself."""
    from models.graph import WEIGHTED, weight_shapes

    graph, bits = job.trained.graph, job.tuning["bits"]
    sizes = [np.prod(weight_shapes(graph, op)[0]) for op in graph.ops if op.kind in WEIGHTED]
    packed = sum(int(size) for size in sizes) * (bits or 32)
    if job.tuning["ternary_first"]:
        packed += int(sizes[0]) * (2 - bits)
    return [
        {
            "input": job.trained.front_end.format,
            "weights": job.arm,
            "tuned": tuned,
            "seed": job.trained.seed,
            "accuracy": round(found[when]["accuracy"], 5),
            "agreement": found[when].get("agreement", ""),
            "packed_weight_bytes": -(-packed // 8),
            "board_constant_bytes": found.get("board", {}).get("constants", ""),
            "board_instructions": found.get("board", {}).get("instructions", ""),
            "first_layer_instructions": found.get("board", {}).get("first_layer", ""),
        }
        for tuned, when in enumerate(("before", "after"))
    ]


Found = dict[tuple[str, str, int], np.ndarray]


def _bits_figure(found: Found, scale: Scale, spec: str) -> Any:
    figure, panels = plots.figure(2, 2, width=4.6, height=3.4, sharex=True, sharey=True)
    for panel, name in zip(panels.flat, INPUTS, strict=True):
        for tuned, label in ((0, "rounded after training"), (1, "trained while rounded")):
            values = np.array([found[name, f"{bits} bits", tuned] for bits in BITS]).T
            style = {"color": plots.CYCLE[1 - tuned], "marker": plots.SHAPES[tuned]}
            plots.series(panel, BITS, values, label, **style)
        values = np.array([found[name, f"{bits} bits, {TFMOT}", 1] for bits in TFMOT_BITS]).T
        style = {"color": plots.CYCLE[2], "marker": plots.SHAPES[2]}
        plots.series(panel, TFMOT_BITS, values, "the same, by tfmot", **style)
        for tuned, dashes, label in ((0, "--", "float"), (1, ":", "float, trained as long")):
            panel.axhline(found[name, CONTROL, tuned].mean(), color="black", ls=dashes, lw=1.4, label=label)
        panel.set_xticks(BITS, [str(bits) for bits in BITS])
        panel.set_title(plots.NAMES[name], fontsize=12)
    for panel in panels[:, 0]:
        plots.percent(panel, "accuracy")
    for panel in panels[1]:
        panel.set_xlabel("bits of a weight (activations 8)", fontsize=12)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=10)
    figure.suptitle(
        f"small_bn, {scale.size}x{scale.size}, {scale.tuning} epochs of tuning, {plots.source(spec)}"
    )
    return figure


def _int8_figure(found: Found, scale: Scale) -> Any:
    """Points lost or won against float, seed by seed."""
    arms = {
        "int8, after training": ("8 bits", 0),
        "int8, trained while rounded": ("8 bits", 1),
        "int8, trained by tfmot": (f"8 bits, {TFMOT}", 1),
        "trained while rounded, ternary first layer": (TERNARY, 1),
        "float, trained as long": (CONTROL, 1),
    }
    figure, axes = plots.figure(width=7.0, height=4.2)
    panel = axes[0, 0]
    panel.axhspan(-100 * AS_GOOD, 100 * AS_GOOD, color="black", alpha=0.08, lw=0)
    panel.axhline(0, color="black", lw=1)
    for place, (label, (weights, tuned)) in enumerate(arms.items()):
        look = {"color": plots.CYCLE[place], "marker": plots.SHAPES[place]}
        for x, name in enumerate(INPUTS):
            change = 100 * _change(found, name, weights, tuned)
            at = x + 0.15 * (place - 2)
            panel.scatter([at] * len(change), change, s=18, alpha=0.5, lw=0, **look)
            panel.scatter([at], [change.mean()], s=80, label=label if x == 0 else None, **look)
    panel.set_xticks(range(len(INPUTS)), [plots.NAMES[name] for name in INPUTS], fontsize=10)
    panel.set_ylabel("accuracy against float, points", fontsize=12)
    panel.legend(fontsize=10)
    panel.set_title(f"small_bn, {scale.size}x{scale.size}; gray: {100 * AS_GOOD:g} points", fontsize=12)
    return figure


def _change(found: Found, name: str, weights: str, tuned: int) -> np.ndarray:
    """Accuracy less that of the float network of the same seed."""
    return found[name, weights, tuned] - found[name, CONTROL, 0]


def _points(values: np.ndarray) -> str:
    """``-0.31 points (-0.6 to +0.1)``"""
    mean = f"{100 * values.mean():+.2f} points"
    return mean if len(values) == 1 else f"{mean} ({100 * values.min():+.1f} to {100 * values.max():+.1f})"


def _int8_claim(found: Found) -> Claim:
    texts = []
    for name in INPUTS:
        plain, tuned = (_change(found, name, "8 bits", t) for t in (0, 1))
        control = _change(found, name, CONTROL, 1)
        texts.append(
            f"{plots.NAMES[name]}: {plots.spread(found[name, CONTROL, 0])} in float; int8 after training"
            f" {_points(plain)}, trained while rounded {_points(tuned)}, float trained as long"
            f" {_points(control)}"
        )
    good = [
        sum(_change(found, name, "8 bits", tuned).mean() >= -AS_GOOD for name in INPUTS) for tuned in (0, 1)
    ]
    within = (
        f"within {100 * AS_GOOD:g} points of float or better: {good[0]} of {len(INPUTS)} inputs after"
        f" training, {good[1]} trained while rounded"
    )
    return Claim(
        "Section 3.1: weights and activations stay in floating point; quantising them is future work",
        "; ".join([*texts, within]),
    )


def _bits_claim(found: Found) -> Claim:
    texts = []
    for name in INPUTS:
        few = [
            f"{bits} bits {plots.spread(found[name, f'{bits} bits', 0])} and"
            f" {plots.spread(found[name, f'{bits} bits', 1])}"
            for bits in BITS[1:]
        ]
        texts.append(f"{plots.NAMES[name]}, after training and trained while rounded: {', '.join(few)}")
    least = {name: _fewest(found, name) for name in INPUTS}
    reach = ", ".join(f"{plots.NAMES[name]} {bits or 'none'}" for name, bits in least.items())
    return Claim(
        "Section 5: future work should consider quantised training to reduce the internal compute precision",
        "; ".join([*texts, f"fewest bits within a point of float trained as long: {reach}"]),
    )


def _fewest(found: Found, name: str) -> int | None:
    """Of weights that lose no more than a point to a float network of the same training."""
    control = found[name, CONTROL, 1].mean()
    good = [bits for bits in BITS if found[name, f"{bits} bits", 1].mean() >= control - 0.01]
    return min(good, default=None)


def _ternary_claim(found: Found, rows: list[dict[str, Any]]) -> Claim:
    def first_layer(name: str, weights: str) -> float:
        mine = [r for r in rows if (r["input"], r["weights"]) == (name, weights)]
        return float(np.mean([r["first_layer_instructions"] for r in mine]))

    texts = []
    for name in INPUTS:
        gain = found[name, TERNARY, 1] - found[name, "8 bits", 1]
        texts.append(
            f"{plots.NAMES[name]} {_points(gain)}, first layer {first_layer(name, '8 bits'):,.0f} ->"
            f" {first_layer(name, TERNARY):,.0f} instructions"
        )
    return Claim(
        f"Not in the paper: ternary weights in the first layer against 8 bits, both trained while rounded;"
        f" instructions as predicted for {BOARD}",
        "; ".join(texts),
    )


def _tfmot_claim(found: Found) -> Claim:
    texts = []
    for name in INPUTS:
        gains = ", ".join(
            f"{bits} bits {plots.spread(found[name, f'{bits} bits', 1])} and"
            f" {plots.spread(found[name, f'{bits} bits, {TFMOT}', 1])},"
            f" {_points(found[name, f'{bits} bits, {TFMOT}', 1] - found[name, f'{bits} bits', 1])}"
            for bits in TFMOT_BITS
        )
        texts.append(f"{plots.NAMES[name]}: {gains}")
    return Claim(
        "Not in the paper: trained while rounded by this project and by tensorflow-model-optimization, from"
        " the same start on the same batches",
        "; ".join(texts),
    )
