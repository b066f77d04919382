"""Accuracy by where the photographs come from, and on crops of a source whose class was left out.

The classes of a set that was put together may come from different sources, and then a network can answer by
the source. Two checks: accuracy for each source and class with the number of crops, and a training without
the crops that go against the rule (:data:`STRANGERS`), tested on exactly those. Crops of the same
photographs as those are not trained on either. Sources are known for ``folder:DIR`` with a manifest that
has the column :data:`COLUMN`; any other set is one domain.
"""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from experiments import conditions, plots, sets
from experiments.figures import fig10_brightness
from experiments.jobs import open_data
from experiments.study import Claim, Result, Study, front_end, network
from loggrad_tf.data.dataset import DataSet, open_prepared
from loggrad_tf.transform.frontend import FrontEnd

INPUTS = fig10_brightness.INPUTS
# By the splits of the set: where its photographs come from is asked of one network.
SCALES = {name: scale for name, scale in fig10_brightness.SCALES.items() if scale.folds == 1}
COLUMN = "domain"
ONE = "all"
LEFT_OUT = "left out"
# Classes, and what the names of the domains begin with that they hardly ever come from.
Rules = tuple[tuple[str, tuple[str, ...]], ...]
STRANGERS: Rules = (("bicycle", ("voc", "coco")), ("car", ("rf_",)), ("person", ("rf_",)))


@dataclasses.dataclass(frozen=True)
class WithoutStrangers:
    """The data set whose test split are the strangers of all splits; nothing of their photographs is left.

    Attributes:
      data: the prepared set's folder.
      manifest_sha256: of that set.
      domains: of each of its crops.
      rules: classes, and the sources that are strange to them, as :data:`STRANGERS`.
    """

    data: Path
    manifest_sha256: str
    domains: tuple[str, ...]
    rules: Rules

    @property
    def title(self) -> str:
        return "data set without strangers"

    def to_json(self) -> dict[str, Any]:
        strangers = [[label, list(prefixes)] for label, prefixes in self.rules]
        return {
            "manifest_sha256": self.manifest_sha256,
            "domains": list(self.domains),
            "strangers": strangers,
        }

    def run(self, directory: Path) -> str:
        data = open_data(self.data)
        strange = strangers(data, self.domains, self.rules)
        photographs = np.array([line["source"] for line in sets.manifest(data)])
        known = (data.split != 2) & ~np.isin(photographs, photographs[strange])
        chosen = np.flatnonzero(known | strange)
        split = np.where(strange, 2, data.split)[chosen]
        sets.write(directory / sets.SET, data, chosen, split)
        return f"{known.sum()} crops to train and validate, {strange.sum()} to test"


def domains_of(spec: str, data: DataSet) -> tuple[str, ...] | None:
    """The domain of each crop, in the arrays' order; None where the source does not tell."""
    kind, _, where = spec.partition(":")
    path = Path(where).expanduser() / "manifest.csv"
    if kind != "folder" or not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    if not lines or COLUMN not in lines[0]:
        return None
    known = {line["file"]: line[COLUMN] for line in lines}
    return tuple(known[line["file"]] for line in sets.manifest(data))


def strangers(data: DataSet, domains: tuple[str, ...], rules: Rules) -> np.ndarray:
    """Which crops go against the rule that their class comes from another source, bool (N,)."""
    found = np.zeros(len(data.labels), bool)
    for label, prefixes in rules:
        if label in data.class_names:
            there = np.array([name.startswith(prefixes) for name in domains])
            found |= there & (data.labels == data.class_names.index(label))
    return found


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = study.data(scale.size)
    found = domains_of(study.spec, data)
    domains = np.array(found or [ONE] * len(data.labels))
    places = np.concatenate([np.flatnonzero(data.split == part) for part in (1, 2)])
    rows = _rows(study, scale, data, places, domains[places])
    strange = strangers(data, found, STRANGERS) if found else np.zeros(len(domains), bool)
    if found and strange.any():
        [folder] = study.run([WithoutStrangers(data.path, data.manifest_sha256, found, STRANGERS)])
        without = open_prepared(folder / sets.SET)
        tested = np.flatnonzero(without.split == 2)
        rows += _rows(study, scale, without, tested, np.array([LEFT_OUT] * len(tested)))
    names = data.class_names
    return Result(rows, {"domains": _figure(rows, names)}, _claims(rows, names, found is not None))


def _rows(
    study: Study, scale: fig10_brightness.Scale, data: DataSet, places: np.ndarray, domains: np.ndarray
) -> list[dict[str, Any]]:
    """Train every input on ``data``; count the answers on some crops by domain and class."""
    pixels, labels = np.asarray(data.pixels[places]), data.labels[places]
    fronts = {name: front_end(data, name) for name in INPUTS}
    cases = [(front, seed) for front in fronts.values() for seed in range(scale.seeds)]
    folders = study.run([fig10_brightness.small(data, front, scale.epochs, seed) for front, seed in cases])
    rows = []
    for (front, seed), folder in zip(cases, folders, strict=True):
        answers = _answers(folder, front, pixels)
        for domain in sorted(set(domains)):
            for label, name in enumerate(data.class_names):
                mine = answers[(domains == domain) & (labels == label)]
                if len(mine):
                    counts = np.bincount(mine, minlength=len(data.class_names))
                    rows.append(
                        {
                            "input": front.format,
                            "seed": seed,
                            "domain": domain,
                            "class": name,
                            "crops": len(mine),
                            "accuracy": round(float(counts[label]) / len(mine), 5),
                        }
                        | {
                            f"as_{other}": int(count)
                            for other, count in zip(data.class_names, counts, strict=True)
                        }
                    )
    return rows


def _answers(folder: Path, front: FrontEnd, pixels: np.ndarray) -> np.ndarray:
    return conditions.answers([conditions.forward(network(folder).model())], front, pixels)[0]


def _cell(rows: list[dict[str, Any]], name: str, domain: str, label: str) -> tuple[float, int]:
    """Accuracy, mean over seeds, and crops; nan and 0 for none."""
    mine = [r for r in rows if (r["input"], r["domain"], r["class"]) == (name, domain, label)]
    return (float(np.mean([r["accuracy"] for r in mine])), mine[0]["crops"]) if mine else (np.nan, 0)


def _ordered(rows: list[dict[str, Any]]) -> list[str]:
    """Domains by name, what was left out of the training last."""
    return sorted({r["domain"] for r in rows}, key=lambda domain: (domain == LEFT_OUT, domain))


def _figure(rows: list[dict[str, Any]], names: tuple[str, ...]) -> Any:
    domains = _ordered(rows)
    figure, axes = plots.figure(len(INPUTS), 1, width=2.9, height=1.9 + 0.5 * len(domains), sharey=True)
    for place, name in enumerate(INPUTS):
        panel = axes[0, place]
        cells = [[_cell(rows, name, domain, label) for label in names] for domain in domains]
        shares = np.array([[share for share, _ in line] for line in cells])
        image = panel.imshow(shares, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        panel.grid(False)
        for y, line in enumerate(cells):
            for x, (share, count) in enumerate(line):
                if count:
                    colour = "black" if share > 0.55 else "white"
                    text = f"{100 * share:.0f} %\nof {count}"
                    panel.text(x, y, text, ha="center", va="center", fontsize=9, color=colour)
        panel.set_xticks(range(len(names)), names)
        panel.set_yticks(range(len(domains)), domains)
        if LEFT_OUT in domains:
            panel.axhline(len(domains) - 1.5, color="black", lw=2)
        panel.set_title(plots.NAMES[name].replace(", ", "\n"), fontsize=11)
    axes[0, 0].set_ylabel("domain", fontsize=11)
    bar = figure.colorbar(image, ax=axes[0, -1], fraction=0.05)
    plots.percent(bar.ax, "recognised")
    return figure


def _claims(rows: list[dict[str, Any]], names: tuple[str, ...], known: bool) -> list[Claim]:
    paper = "Not in the paper, whose photographs come from one camera"
    if not known:
        counts = [_cell(rows, "loggrad_1p5", ONE, label) for label in names]
        found = ", ".join(
            f"{label} {100 * share:.1f} % of {count}"
            for label, (share, count) in zip(names, counts, strict=True)
        )
        return [Claim(paper, f"the set names no domains: everything is one; 1.5 bit: {found}")]
    domains = [domain for domain in _ordered(rows) if domain != LEFT_OUT]
    texts = [f"{plots.NAMES[name]}: {_by_domain(rows, name, domains, names)}" for name in INPUTS]
    claims = [Claim(paper, f"right by domain, validation and test: {'; '.join(texts)}")]
    left_out = [r for r in rows if r["domain"] == LEFT_OUT]
    if left_out:
        texts = [f"{plots.NAMES[name]}: {_strange(left_out, name, names)}" for name in INPUTS]
        claims.append(Claim(f"{paper}: does the source give the class away?", "; ".join(texts)))
    return claims


def _by_domain(rows: list[dict[str, Any]], name: str, domains: list[str], names: tuple[str, ...]) -> str:
    found = []
    for domain in domains:
        cells = [cell for label in names if (cell := _cell(rows, name, domain, label))[1]]
        crops = sum(count for _, count in cells)
        share = sum(share * count for share, count in cells) / crops
        found.append(f"{domain} {100 * share:.1f} % of {crops}")
    return ", ".join(found)


def _strange(left_out: list[dict[str, Any]], name: str, names: tuple[str, ...]) -> str:
    """What became of the crops that no training saw, class by class; the wrong answers by their name."""
    found = []
    for label in names:
        mine = [r for r in left_out if (r["input"], r["class"]) == (name, label)]
        if not mine:
            continue
        shares = {other: np.mean([r[f"as_{other}"] / r["crops"] for r in mine]) for other in names}
        wrong = ", ".join(
            f"{100 * share:.0f} % called {other}" for other, share in shares.items() if other != label
        )
        found.append(f"{label} {100 * shares[label]:.0f} % of {mine[0]['crops']} right ({wrong})")
    return ", ".join(found)
