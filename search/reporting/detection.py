"""What the saved detector of a search finds: its scores by split, and frames with what it made of them."""

import base64

from search.reporting.reading import Run, Saved
from search.reporting.svg import escape
from search.run.finalists import FOUND

_SPLITS = {"val": "validation", "test": "test"}


def found(run: Run, saved: Saved) -> str:
    """Tables and picture; empty of a classifier."""
    return _table(run, saved) + _frames(run) if saved.detection else ""


def _table(run: Run, saved: Saved) -> str:
    names = run.config.class_names
    head = ["split", "frames", "objects", "precision", "recall", "F1"]
    head += [*(f"AP {name}" for name in names), "count error", "of the mean"]
    rows = []
    for split, one in saved.detection.items():
        cells = [f"{one.frames:,}", f"{one.there:,}"]
        cells += [f"{share:.1%}" for share in (one.precision, one.recall)]
        cells += [f"{value:.3f}" for value in (one.f1, *one.average_precision)]
        cells += [f"{value:.2f}" for value in (one.count_error, one.mean_count_error)]
        body = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr><th class="words">{escape(_SPLITS.get(split, split))}</th>{body}</tr>')
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    return (
        f'<div class="wide"><table class="numbers"><thead><tr>{titles}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div><p>AP is the average precision of a class; a count"
        " error is of a frame and class, beside that of always answering the mean.</p>"
    )


def _frames(run: Run) -> str:
    """The picture that the search drew, if it is there."""
    path = run.directory / FOUND
    if not path.is_file():
        return ""
    image = base64.b64encode(path.read_bytes()).decode()
    names = ("found", "missed", "invented")
    legend = "".join(f'<span class="key"><i class="{name}"></i> {name}</span>' for name in names)
    return (
        f'<h3>Frames of the test split</h3><p class="legend">{legend}</p><img class="frames" alt="frames of'
        f' the test split with what was found, missed and invented" src="data:image/png;base64,{image}">'
    )
