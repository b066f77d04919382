"""Figures 7, 8 and 13: how similar the filters of 2conv1fc are to each other, by input.

The claim: with log gradients more filters of a layer are nearly equal (about 11 times more with s > 0.98 to
another one than with RAW), so more of them can be pruned. The paper's network has 150 and 5 filters, its
training is appendix C.2 (:data:`experiments.recipes.PAPER`). What the paper lacks: the same filters
before training, and what becomes of the accuracy when similar filters are merged.
"""

import dataclasses
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from experiments import cosines, plots
from experiments.recipes import PAPER
from experiments.study import Claim, Result, Study, front_end, held_out, network, right, training
from models.graph import Graph, macs, weight_count
from models.recipe import GLOROT, NATIVE, TrainConfig
from models.training.native.initial import initial
from models.training.native_fit import generators
from models.zoo import two_conv_one_fc

INPUTS = ("raw16", "jpeg8", "loggrad_fp", "loggrad_1p5", "loggrad_2p25")
SECOND_LAYER = 5
UNTRAINED = "untrained"
LEVELS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
NEARLY_EQUAL = LEVELS[-1]
LAYERS = ("conv_1", "conv_3")
TITLES = {"conv_1": "first layer", "conv_3": "second layer"}
BINS = np.linspace(-1.0, 1.0, 21)
SHOWN = 5
LOOK = {UNTRAINED: {"color": "#000000", "ls": ":", "label": "before training"}}


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile; ``filters`` of the first layer, ``recipe`` without the epochs."""

    size: int
    epochs: int
    seeds: int
    filters: int
    inputs: tuple[str, ...]
    recipe: dict[str, Any] = dataclasses.field(default_factory=lambda: PAPER)


# With the paper's first weights the five filters of the second layer died in two of three trainings seen at
# 96x96 (no photograph turned them on again); with Keras' in none.
LIVING = PAPER | {"trainer": NATIVE, "initializer": GLOROT}
SCALES = {
    "quick": Scale(size=48, epochs=6, seeds=1, filters=24, inputs=INPUTS[:4]),
    "long": Scale(96, 40, seeds=3, filters=150, inputs=("raw16", "jpeg8", "loggrad_1p5"), recipe=LIVING),
    "paper": Scale(size=224, epochs=40, seeds=3, filters=150, inputs=INPUTS),
}
# input -> layer -> kernel of each seed, (rows, columns, channels, filters).
Kernels = dict[str, dict[str, list[np.ndarray]]]


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = study.data(scale.size)
    pixels, labels = held_out(data)
    fronts = {name: front_end(data, name) for name in scale.inputs}
    graph = two_conv_one_fc(scale.size, len(data.class_names), scale.filters, SECOND_LAYER)
    cases = [(name, seed) for seed in range(scale.seeds) for name in scale.inputs]
    recipe = scale.recipe | {"epochs": scale.epochs}
    jobs = [
        training(f"{name}, {scale.filters} filters", graph, data, fronts[name], recipe, seed)
        for name, seed in cases
    ]
    kernels: Kernels = {name: {layer: [] for layer in LAYERS} for name in (UNTRAINED, *scale.inputs)}
    rows = _layers(graph)
    for seed in range(scale.seeds):
        first = _untrained(graph, seed, TrainConfig(**recipe))
        for layer in LAYERS:
            kernels[UNTRAINED][layer].append(first[layer])
            rows += _similar(UNTRAINED, seed, layer, first[layer])
    for (name, seed), folder in zip(cases, study.run(jobs), strict=True):
        model = network(folder).model()
        trained = _kernels(model)
        for layer in LAYERS:
            kernels[name][layer].append(trained[layer])
            rows += _similar(name, seed, layer, trained[layer])
        found = right(model, fronts[name], pixels, labels)
        rows.append(_row(name, seed, "", "accuracy", "", float(found.mean())))
        for least in LEVELS:
            left = _merge(model, trained, least)
            found = right(model, fronts[name], pixels, labels)
            rows.append(_row(name, seed, LAYERS[0], "filters left, merged", least, left))
            rows.append(_row(name, seed, LAYERS[0], "accuracy, merged", least, float(found.mean())))
    about = f"{scale.size}x{scale.size}, {scale.epochs} epochs, {plots.source(study.spec)}"
    figures = {
        "network": _diagram(graph),
        "similarity": _histograms(kernels, about),
        "filters": _pictures(kernels, about),
        "merged": _merging(rows, scale, about),
    }
    return Result(
        rows, figures, [_claim_pairs(rows, scale), _claim_tails(rows, scale), _claim_merging(rows, scale)]
    )


def _row(
    name: str, seed: int | str, layer: str, measure: str, at: float | str, value: float
) -> dict[str, Any]:
    return {
        "input": name,
        "seed": seed,
        "layer": layer,
        "measure": measure,
        "at": at,
        "value": round(value, 5),
    }


def _layers(graph: Graph) -> list[dict[str, Any]]:
    """MACs and weights of each layer."""
    found = []
    for op in graph.ops[1:]:
        found.append(_row("", "", op.name, "macs", "", macs(graph, op)))
        found.append(_row("", "", op.name, "weights", "", weight_count(graph, op)))
    return found


def _untrained(graph: Graph, seed: int, config: TrainConfig) -> dict[str, np.ndarray]:
    """Kernels that the training of ``seed`` begins with; its inputs have them in common."""
    if config.trainer == NATIVE:
        layers = initial(graph, config.initializer, generators(seed)[0])
        return {layer: layers[layer][0] for layer in LAYERS}
    import keras

    from models import keras_net

    keras.utils.set_random_seed(seed)
    return _kernels(keras_net.build(graph, initializer=config.initializer))


def _kernels(model: Any) -> dict[str, np.ndarray]:
    return {layer: np.asarray(model.get_layer(layer).get_weights()[0]) for layer in LAYERS}


def _similar(name: str, seed: int, layer: str, kernel: np.ndarray) -> list[dict[str, Any]]:
    s = cosines.similarities(kernel)
    found = [
        _row(name, seed, layer, "pairs", "", len(s)),
        _row(name, seed, layer, "mean |s|", "", float(np.abs(s).mean())),
        _row(name, seed, layer, "largest s", "", float(s.max())),
    ]
    found += [_row(name, seed, layer, "pairs above", at, int((s > at).sum())) for at in LEVELS]
    found += [_row(name, seed, layer, "filters above", at, cosines.alike(kernel, at)) for at in LEVELS]
    counts = zip(BINS[:-1], np.histogram(s, BINS)[0], strict=True)
    found += [_row(name, seed, layer, "histogram from", round(float(at), 3), int(n)) for at, n in counts]
    return found


def _merge(model: Any, trained: dict[str, np.ndarray], least: float) -> int:
    """Merge filters of the trained first layer in the model; returns how many are left."""
    first, second = LAYERS
    together = cosines.groups(trained[first], least)
    for layer, kernel in zip(LAYERS, cosines.merged(trained[first], trained[second], together), strict=True):
        model.get_layer(layer).set_weights([kernel, model.get_layer(layer).get_weights()[1]])
    return len(together)


def _values(
    rows: list[dict[str, Any]], name: str, layer: str, measure: str, at: float | str = ""
) -> np.ndarray:
    """Of each seed."""
    wanted = (name, layer, measure, at)
    return np.array([r["value"] for r in rows if (r["input"], r["layer"], r["measure"], r["at"]) == wanted])


def _diagram(graph: Graph) -> Any:
    """Figure 7: the layers, the maps between them, and what each costs."""
    figure, axes = plots.figure(width=11.0, height=3.0)
    panel = axes[0, 0]
    panel.axis("off")
    shown = [op for op in graph.ops if op.kind != "flatten"]
    for place, op in enumerate(shown):
        colour = {"conv": "#56B4E9", "dense": "#E69F00"}.get(op.kind, "#DDDDDD")
        panel.add_patch(Rectangle((place - 0.38, 0.3), 0.76, 0.4, fc=colour, ec="black", lw=1))
        window = "x".join(map(str, op.kernel))
        text = {
            "input": "input",
            "conv": f"conv {window}\nReLU",
            "max_pool": f"max pool\n{window}",
            "dense": "dense",
        }[op.kind]
        panel.text(place, 0.5, text, ha="center", va="center", fontsize=12)
        panel.text(place, 0.76, "x".join(map(str, op.shape)), ha="center", va="bottom", fontsize=12)
        if op.kind in ("conv", "dense"):
            cost = f"{macs(graph, op):,} MACs\n{weight_count(graph, op):,} weights"
            panel.text(place, 0.25, cost, ha="center", va="top", fontsize=11)
        if place:
            panel.annotate("", (place - 0.39, 0.5), (place - 0.61, 0.5), arrowprops={"arrowstyle": "->"})
    panel.set_xlim(-0.5, len(shown) - 0.5)
    panel.set_ylim(0, 1)
    panel.set_title("2conv1fc: layers, and the shapes of their outputs", fontsize=12)
    return figure


def _histograms(kernels: Kernels, about: str) -> Any:
    """Figure 8: of s above, of |s| summed up below; a column for each layer."""
    figure, axes = plots.figure(columns=len(LAYERS), rows=2, width=5.6, height=3.7)
    steps = np.linspace(0.0, 1.0, 201)
    for column, layer in enumerate(LAYERS):
        above, below = axes[:, column]
        for name, of in kernels.items():
            s = np.concatenate([cosines.similarities(kernel) for kernel in of[layer]])
            look = {"color": plots.COLOURS.get(name), "label": plots.NAMES.get(name)} | LOOK.get(name, {})
            shares = np.histogram(s, BINS)[0] / len(s)
            middles = (BINS[:-1] + BINS[1:]) / 2
            mark = plots.MARKERS.get(name, "x")
            above.plot(middles[shares > 0], shares[shares > 0], marker=mark, ms=5, lw=1.5, **look)
            below.plot(steps, [(np.abs(s) <= x).mean() for x in steps], lw=1.8, **look)
        pairs = sum(len(cosines.similarities(kernel)) for kernel in kernels[UNTRAINED][layer])
        above.set_title(f"{TITLES[layer]}, {pairs:,} pairs", fontsize=12)
        above.set_yscale("log")
        above.set_xlim(-1.02, 1.02)
        above.set_ylim(0.5 / pairs, 1.5)
        above.set_xlabel("cosine similarity $s$", fontsize=12)
        above.set_ylabel("share of the pairs, bins of 0.1", fontsize=11)
        below.set_xlabel("absolute similarity $|s|$", fontsize=12)
        below.set_ylabel("share of the pairs up to $|s|$", fontsize=11)
        below.axvline(NEARLY_EQUAL, color="black", lw=0.8, ls="--")
    axes[1, 0].legend(fontsize=10)
    figure.suptitle(f"Filters of 2conv1fc, {about}")
    return figure


def _pictures(kernels: Kernels, about: str) -> Any:
    """Figure 13: the most similar pairs of the first layer, a row for each input, of the first seed."""
    figure, axes = plots.figure(columns=SHOWN, rows=len(kernels), width=2.0, height=1.35)
    for row, (name, of) in enumerate(kernels.items()):
        kernel = of[LAYERS[0]][0]
        pairs = cosines.most_similar(kernel, SHOWN)
        for panel in axes[row]:
            panel.axis("off")
        for panel, pair in zip(axes[row], pairs, strict=False):
            # A column of nothing between the two; each in shades of its own largest weight.
            images = [
                kernel[:, :, 0, i] / np.abs(kernel[:, :, 0, i]).max() for i in (pair.first, pair.second)
            ]
            gap = np.full((len(images[0]), 1), np.nan)
            panel.imshow(np.hstack([images[0], gap, images[1]]), cmap="gray", vmin=-1, vmax=1)
            mark = " *" if pair.s > NEARLY_EQUAL else ""
            panel.set_title(f"$s$ = {pair.s:.3f}{mark}", fontsize=11)
        label = plots.NAMES.get(name, "before training").replace(", ", ",\n")
        axes[row, 0].text(
            -0.1, 0.5, label, transform=axes[row, 0].transAxes, ha="right", va="center", fontsize=11
        )
    figure.suptitle(f"Most similar filters of the first layer (* above {NEARLY_EQUAL}), {about}", fontsize=12)
    return figure


def _merging(rows: list[dict[str, Any]], scale: Scale, about: str) -> Any:
    figure, axes = plots.figure(width=6.4, height=4.4)
    panel = axes[0, 0]
    for name in scale.inputs:
        left = np.array([_values(rows, name, LAYERS[0], "filters left, merged", at).mean() for at in LEVELS])
        found = np.array([_values(rows, name, LAYERS[0], "accuracy, merged", at) for at in LEVELS]).T
        whole = _values(rows, name, "", "accuracy")[:, None]
        plots.series(panel, [*left, scale.filters], np.hstack([found, whole]), name)
    panel.set_xlabel("filters of the first layer that are left", fontsize=12)
    panel.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], min_n_ticks=3))
    plots.percent(panel, "accuracy, validation and test")
    figure.legend(*panel.get_legend_handles_labels(), fontsize=10, loc="outside lower center", ncols=2)
    levels = ", ".join(f"{at:g}" for at in reversed(LEVELS))
    panel.set_title(
        f"Filters merged above s = {levels}\n(right to left), not trained again; {about}", fontsize=10
    )
    return figure


def _counts(rows: list[dict[str, Any]], name: str, layer: str, at: float) -> str:
    return f"{int(_values(rows, name, layer, 'pairs above', at).sum())}"


def _claim_pairs(rows: list[dict[str, Any]], scale: Scale) -> Claim:
    def count(name: str, what: str) -> int:
        return int(_values(rows, name, LAYERS[0], f"{what} above", NEARLY_EQUAL).sum())

    raw, found = count("raw16", "filters"), []
    for name in (*scale.inputs, UNTRAINED):
        filters, pairs = count(name, "filters"), count(name, "pairs")
        ratio = f" ({filters / raw:.1f} times RAW)" if raw and name not in ("raw16", UNTRAINED) else ""
        largest = _values(rows, name, LAYERS[0], "largest s").max()
        found.append(
            f"{plots.NAMES.get(name, 'before training')}: {filters} filters{ratio}, {pairs} pairs, largest s"
            f" {largest:.3f}"
        )
    return Claim(
        "App. D, Fig. 13: with float and 1.5-bit log gradients about 11 times more filters have s > 0.98 than"
        " with RAW",
        f"filters of the first layer ({scale.filters}, {scale.seeds} seed{'s' * (scale.seeds > 1)}) in a pair"
        f" above {NEARLY_EQUAL}: {'; '.join(found)}",
    )


def _claim_tails(rows: list[dict[str, Any]], scale: Scale) -> Claim:
    found = []
    for layer in LAYERS:
        texts = [
            f"{plots.NAMES.get(name, 'before training')} {_values(rows, name, layer, 'mean |s|').mean():.3f},"
            f" {_counts(rows, name, layer, 0.9)} pairs above 0.9"
            for name in (*scale.inputs, UNTRAINED)
        ]
        found.append(f"{TITLES[layer]}, mean |s|: {'; '.join(texts)}")
    return Claim(
        "Fig. 8: float and 1.5-bit log gradients have heavier tails near s = 1 than RAW, JPEG to a lesser"
        " extent",
        ". ".join(found),
    )


def _claim_merging(rows: list[dict[str, Any]], scale: Scale) -> Claim:
    """Fewest filters with a loss of at most a point."""
    found = []
    for name in scale.inputs:
        whole = _values(rows, name, "", "accuracy").mean()
        fewest, at_least = float(scale.filters), 1.0
        for at in reversed(LEVELS):
            accuracy = _values(rows, name, LAYERS[0], "accuracy, merged", at).mean()
            if accuracy < whole - 0.01:
                break
            fewest = _values(rows, name, LAYERS[0], "filters left, merged", at).mean()
            at_least = at
        above = f" (s > {at_least:g})" if at_least < 1 else ""
        found.append(f"{plots.NAMES[name]}: {whole:.1%}, {fewest:.0f} of {scale.filters}{above}")
    return Claim(
        "Section 3.2: similar filters can be pruned, so log gradients make the network more prunable",
        "filters of the first layer that are left when similar ones are merged, not trained again, at a loss"
        f" of at most one point: {'; '.join(found)}",
    )
