"""Figure 1: one photograph on its way, from the RAW codes to the class that a network answers.

Not the paper's drawing but what happens to a photograph: RAW codes, their log gradient g, the levels that
the network is given, and its answer. ``small_bn`` answers, trained as in figure 10. The photograph is one
of the test split with few edges and a right answer: it shows the way, and the claim has the accuracy.
"""

import dataclasses
from typing import Any

import numpy as np
from scipy.special import softmax

from experiments import plots
from experiments.figures import fig10_brightness as fig10
from experiments.study import Claim, Result, Study, front_end, network
from loggrad_tf.data import views
from loggrad_tf.transform.frontend import FrontEnd

INPUT = "loggrad_1p5"
# Share of levels that are not 0 in a photograph with few edges; thresholds are made for 40 % over all.
FEW = 0.3
# Natural-log units that are black and white.
RANGE = 1.5


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile."""

    size: int
    epochs: int


SCALES = {
    "quick": Scale(size=96, epochs=24),
    "long": Scale(size=96, epochs=40),
    "paper": Scale(size=224, epochs=40),
}


def chosen(shares: np.ndarray, labels: np.ndarray, busy: np.ndarray) -> int:
    """The photograph that is shown: few edges and answered rightly, the surest of them.

    Args:
      shares: what the network gives each class, (N, classes).
      labels: (N,).
      busy: share of levels that are not 0, (N,).

    Returns:
      Its index. Where no photograph has both, it is the surest of all.
    """
    sure = shares.max(axis=1)
    fit = (shares.argmax(axis=1) == labels) & (busy <= FEW)
    return int(np.argmax(np.where(fit, sure + 1, sure)))


def run(study: Study) -> Result:
    from models.training.measure import predict

    scale = study.scale(SCALES)
    data = study.data(scale.size)
    front = front_end(data, INPUT)
    (folder,) = study.run([fig10.small(data, front, scale.epochs, 0)])
    pixels, labels = data.subset("test")
    shares = by_class(predict(network(folder).model(), front, pixels))
    busy = (front.encode(pixels) != 0).mean(axis=(1, 2, 3))
    index = chosen(shares, labels, busy)
    rows = [
        {
            "photograph": index,
            "is": data.class_names[labels[index]],
            "class": name,
            "share": round(float(share), 5),
        }
        for name, share in zip(data.class_names, shares[index], strict=True)
    ]
    right = float(np.mean(shares.argmax(axis=1) == labels))
    figure = _figure(front, pixels[index], data.class_names, shares[index])
    return Result(rows, {"overview": figure}, [_claim(right, len(labels))])


def by_class(logits: np.ndarray) -> np.ndarray:
    """What a network gives each class, (N, classes); of two classes only the second has an output."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    shares: np.ndarray = softmax(logits, axis=1)
    return shares


def _figure(front: FrontEnd, pixels: np.ndarray, names: tuple[str, ...], shares: np.ndarray) -> Any:
    """Four panels with arrows between them; P of ``pixels`` (H, W)."""
    figure, axes = plots.figure(4, 1, width=2.6, height=3.2)
    gradient = FrontEnd("loggrad_fp", front.sensor).encode(pixels[None])[0, ..., 0]
    levels = front.encode(pixels[None])[0, ..., 0]
    pictures = (
        (views.shown(pixels), (0, 255), "RAW photograph", f"{front.sensor.bits}-bit codes of the sensor"),
        (gradient, (-RANGE, RANGE), "log gradient", "ratios of neighbours:\nno ISP"),
        (levels, (-1, 1), "3 levels", "\u22121 black, 0 gray, 1 white:\n1.58 bits a pixel"),
    )
    for panel, (picture, (low, high), title, below) in zip(axes[0], pictures, strict=False):
        panel.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        panel.set(xticks=[], yticks=[])
        panel.grid(False)
        panel.set_title(title, fontsize=15)
        panel.set_xlabel(below, fontsize=12)
    _answer(axes[0, 3], names, shares)
    for left, right in zip(axes[0], axes[0, 1:], strict=False):
        arrow = right.annotate(
            "",
            xy=(-0.03, 0.5),
            xytext=(1.03, 0.5),
            xycoords=right.transAxes,
            textcoords=left.transAxes,
            arrowprops={"arrowstyle": "-|>", "mutation_scale": 18, "color": plots.CYCLE[0], "lw": 2.5},
        )
        arrow.set_in_layout(False)
    figure.get_layout_engine().set(wspace=0.1, w_pad=0.05)
    return figure


def _answer(panel: Any, names: tuple[str, ...], shares: np.ndarray) -> None:
    """A bar a class, the answer in colour."""
    best = int(np.argmax(shares))
    colours = [plots.CYCLE[0] if k == best else "#BBBBBB" for k in range(len(names))]
    panel.barh(range(len(names)), shares, color=colours, height=0.35)
    for k, name in enumerate(names):
        weight = "bold" if k == best else "normal"
        panel.text(0.03, k - 0.25, name, fontsize=14, weight=weight, va="bottom")
    panel.set(xticks=[], yticks=[], xlim=(0, 1.05), ylim=(len(names) - 0.5, -0.8))
    panel.set_box_aspect(1)
    panel.grid(False)
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    panel.set_title("class", fontsize=15)
    panel.set_xlabel("the answer of a\nsmall network", fontsize=12)


def _claim(right: float, count: int) -> Claim:
    return Claim(
        "Fig. 1: a camera of log gradients needs no image signal processor before the network",
        f"small_bn on 3 levels, no image signal processor: {100 * right:.1f} % of {count} test photographs"
        " right (one seed)",
    )
