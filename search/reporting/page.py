"""The report as one HTML file: no network, no other file, and all that matters without its script.

The script adds what a mouse can ask: which candidate is under it, and where it came from. The page's own
policy forbids every script but that one, whatever a name or a failure may hold.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from export.c.text import filled
from loggrad_tf.data.sides import sides
from loggrad_tf.errors import LogGradError
from search.cost import objectives
from search.cost.quantities import ERROR, QUANTITIES, error_of
from search.reporting import course as report_course
from search.reporting import detection as report_detection
from search.reporting import front as report_front
from search.reporting import network as report_network
from search.reporting.reading import Run, Saved, command, labels, lineage, unlike_profile
from search.reporting.svg import SERIES, escape
from search.run import rival
from search.space.spaces import MUNAS
from search.strategy.method import Method

TEMPLATES = Path(__file__).parent / "templates"
MOST_RUNS = len(SERIES)
_SPLITS = {"val": "Validation", "test": "Test"}


def page(runs: Sequence[Run]) -> str:
    """The whole file, for one search or for several side by side.

    Raises:
      LogGradError: more searches than there are marks for.
    """
    if len(runs) > MOST_RUNS:
        raise LogGradError(f"--run: {len(runs)} searches, of which {MOST_RUNS} can be told apart: give fewer")
    names = labels(list(runs))
    body = _single(runs[0]) if len(runs) == 1 else _overlay(runs, names)
    script = (TEMPLATES / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return filled(
        (TEMPLATES / "report.html").read_text(),
        {
            "SCRIPT_HASH": f"sha256-{digest}",
            "TITLE": escape(_title(runs, names)),
            "WHERE": " · ".join(escape(run.directory) for run in runs),
            "STYLE": (TEMPLATES / "report.css").read_text(),
            "BODY": body,
            "DATA": report_front.script_data(runs, names),
            "SCRIPT": script,
        },
    )


def data_name(run: Run) -> str:
    """The data set without the folders that lead to it."""
    kind, _, where = run.config.data.partition(":")
    return f"{kind}:{Path(where).name}" if where else kind


def _title(runs: Sequence[Run], names: Sequence[str]) -> str:
    sets = " and ".join(dict.fromkeys(data_name(run) for run in runs))
    if len(runs) == 1:
        return f"Search: {runs[0].config.input} on {sets}"
    return f"{len(runs)} searches on {sets}: {', '.join(names)}"


def _section(title: str, *parts: str) -> str:
    return (
        f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(part for part in parts if part) + "\n</section>"
    )


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(a)}</dt><dd>{escape(b)}</dd>' for a, b in facts)}</dl>"


def bounds_text(run: Run) -> str:
    """All bounds in the units of the pictures."""
    found = []
    for name, bound in run.bounds.to_json().items():
        if bound is not None:
            q = error_of(run.detects) if name == ERROR.name else QUANTITIES[name]
            found.append(f"{q.label} {q.bound_text(bound)}")
    return "; ".join(found) or "none"


def _space_text(method: Method) -> str:
    return f"{method.padding} padding" if method.space == MUNAS else f"{method.space} space"


def _method_text(run: Run) -> str:
    method = run.config.method
    overrun = "not enforced" if method.max_overrun is None else f"{method.max_overrun:g} × bound at most"
    rungs = f"rungs after epochs {', '.join(map(str, method.rungs))}" if method.rungs else "no rungs"
    parents = f"population {method.population}{' and the front' if method.elitist else ''}"
    parents += ", ranked by loss" if method.rank_by == objectives.LOSS else ""
    return (
        f"{parents}, tournaments of {method.sample},"
        f" {method.train.epochs} epochs a candidate, {rungs},"
        f" {method.children} drawn for each trained, costs before training {overrun},"
        f" {_space_text(method)}, {'with' if method.pruning else 'without'} pruning"
    )


def _conditions(run: Run) -> str:
    config = run.config
    depth = f", {config.bits} bits" if config.bits else ""
    facts = [
        (
            "input format",
            f"{config.input}, {config.mode}, {' × '.join(map(str, reversed(sides(config.size))))}{depth}",
        ),
        ("pictures made to measure", config.fit),
        ("data set", config.data),
        ("manifest", config.manifest_sha256),
        ("classes", ", ".join(config.class_names)),
        ("profile", config.profile),
        ("method", _method_text(run)),
        ("bounds", bounds_text(run)),
        ("board", config.board),
        ("seed, workers", f"{config.seed}, {config.workers}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in sorted(config.versions.items()))),
    ]
    return _facts(facts)


def _again(run: Run) -> str:
    """The command, and what it cannot say."""
    unlike = unlike_profile(run.config)
    warning = ""
    if unlike:
        names = ", ".join(unlike)
        warning = (
            f'<p class="warning">No flag gives {escape(names)} of its training, and the profile of this'
            " version differs: take the version that did the search.</p>"
        )
    return f"<pre>{escape(command(run.config))}</pre>{warning}"


def _state(run: Run, name: str = "") -> str:
    """What is missing, in sentences."""
    notes = []
    if not run.finished:
        notes.append(
            f"{len(run.records)} of {run.asked} candidates have finished; the search goes on, or was stopped."
        )
    if run.torn:
        notes.append("The journal's last line is not complete and was left out.")
    if run.records and not run.points:
        notes.append("No candidate was trained in full, so there is no front.")
    lead = f"{name}: " if name else ""
    return "".join(f'<p class="warning">{escape(lead + note)}</p>' for note in notes)


def _lineage_box(runs: Sequence[Run], names: Sequence[str]) -> str:
    """A candidate and its ancestors: the chosen one's as it is, any other's by the script."""
    choice, chain = "", ""
    if len(names) > 1:
        options = "".join(f'<option value="{nth}">{escape(name)}</option>' for nth, name in enumerate(names))
        choice = f' of <select aria-label="search">{options}</select>'
    elif runs[0].chosen is not None:
        chain = "".join(_ancestor(runs[0], index) for index in lineage(runs[0].records, runs[0].chosen))
    asked = '<input type="number" min="0" aria-label="candidate">'
    return (
        f'<div id="lineage"><b>Lineage</b> <span class="scripted"> of candidate {asked}{choice}: point at a'
        f" dot, or click to keep it; Escape clears.</span><ol>{chain}</ol></div>"
    )


def _ancestor(run: Run, index: int) -> str:
    record = run.records[index]
    error = record.outcome.val_error
    loss = record.outcome.loss_text()
    name = "F1" if run.detects else "error"
    told = "" if error is None else report_front.large(error, run.detects)
    reached = f"failed: {record.outcome.failure}" if error is None else f"{name} {told}{loss}"
    text = f"#{index}  {reached}  —  {record.candidate.morph}"
    return f'<li data-index="{index}">{escape(text)}</li>'


def _single(run: Run) -> str:
    parts = [report_front.tiles(run), _state(run)]
    names = labels([run])
    if run.points or run.stopped:
        parts.append(
            _section(
                "Front",
                report_front.legend([run], names),
                report_front.panels([run]),
                _lineage_box([run], names),
                "<p>Stairs: the least error to be had at each cost. Costs are those of the network after"
                " pruning. A cost over its bound is underlined.</p>",
                report_front.front_table(run),
            )
        )
    if run.chosen is not None:
        part = "chosen network" if run.saved is None or run.saved.index is not None else "best network found"
        parts.append(_section(f"The {part}, #{run.chosen}", _network(run, run.chosen)))
    learned = report_course.learning(run)
    if learned:
        title = "Training of the front's members"
        parts.append(_section(title, _few_curves(run), f'<div class="pair">{learned}</div>'))
    shown = report_course.progress([run])
    if shown:
        parts.append(
            _section(
                "Progress",
                f'<div class="pair">{shown}</div>',
                f"<p>{escape(report_course.untimed(run))}</p>" if run.seconds else "",
            )
        )
    if run.records:
        parts.append(
            _section(
                "What came to nothing",
                "<h3>Rejected before training</h3>",
                report_course.rejected(run),
                "<h3>Stopped early</h3>",
                report_course.stopped(run),
                "<h3>Failed</h3>",
                report_course.failed(run),
            )
        )
    again = "<h3>The same search again</h3>" + _again(run)
    parts.append(_section("Conditions", _conditions(run), again))
    return "\n".join(part for part in parts if part)


def _few_curves(run: Run) -> str:
    most = report_course.CURVES
    return f"<p>The {most} of least error of {len(run.front)}.</p>" if len(run.front) > most else ""


def _network(run: Run, index: int) -> str:
    try:
        drawn, graph = report_network.chosen_graph(run, index)
    except LogGradError as error:
        return f'<p class="warning">It cannot be built: {escape(error)}</p>'
    costs = run.records[index].costs
    try:
        board = report_network.deployed(run, graph)
        board += f"<h3>Energy by stage, on {escape(run.config.board)}</h3>{report_network.energy(run, graph)}"
    except LogGradError as error:
        board = f'<p class="warning">There is no plan: {escape(error)}</p>'
    tables = (
        f"<h3>Layers, as μNAS counts them</h3>{report_network.munas_table(graph)}"
        f"<p>Peak memory {costs.peak_memory:,} B: the most that is alive at one time in the best order of"
        " execution, the input not counted.</p>"
        f"<h3>Nodes of the C for {escape(run.config.board)}</h3>{board}"
    )
    picture = report_network.drawing(drawn, graph, f"input, {run.config.input}")
    return f'{_kept(run)}{report_network.sees(graph)}<div class="best">{picture}<div>{tables}</div></div>'


def _kept(run: Run) -> str:
    saved = run.saved
    if saved is None:
        return ""
    ranked, who = "", "Kept"
    if saved.index is None:
        who = (
            "Nothing found within the bounds is better on validation than the hand-made"
            f" {rival.name_of(run.config)}, which is kept"
        )
    else:
        ranked = f" ({report_front.large(run.points[saved.index].error, run.detects)} in the search)"
    tables = "".join(
        report_network.confusion_table(_SPLITS.get(split, split), counted)
        for split, counted in saved.confusion.items()
    )
    error = "F1" if run.detects else "error"
    val, test = (report_front.large(one, run.detects) for one in (saved.val_error, saved.test_error))
    return (
        f"<p>{who} after {saved.epochs} epochs of training: validation {error} {val}{ranked}, test {error}"
        f" {test}.</p>"
        + _beside(run, saved)
        + (f'<div class="confusions">{tables}</div>' if tables else "")
        + report_detection.found(run, saved)
    )


def _beside(run: Run, saved: Saved) -> str:
    """What was found beside the hand-made network, if one competed."""
    if saved.beside is None:
        return ""
    made = f"hand-made {rival.name_of(run.config)}, trained alike"
    error = "F1" if run.detects else "error %"

    def cell(value: float) -> str:
        return f"<td>{report_front.large(value, run.detects).removesuffix(' %')}</td>"

    names = ("best found", made) if saved.index is not None else (made, "best found")
    rows = "".join(
        f'<tr><th class="words">{escape(name)}</th>{cell(val)}{cell(test)}</tr>'
        for name, (val, test) in zip(names, (saved.means, saved.beside), strict=True)
    )
    return (
        f'<table class="numbers"><thead><tr><th>finalist</th><th>validation {error}</th><th>test {error}</th>'
        f"</tr></thead><tbody>{rows}</tbody></table><p>Means over the seeds of the last trainings.</p>"
    )


def _overlay(runs: Sequence[Run], names: Sequence[str]) -> str:
    states = "".join(_state(run, name) for run, name in zip(runs, names, strict=True))
    bounds = [bounds_text(run) for run in runs]
    differ = (
        '<p class="warning">The searches have different bounds. A bound that one of them alone has is drawn'
        " in its colour; every front is over the costs that its own search bounds.</p>"
        if len(set(bounds)) > 1
        else ""
    )
    parts = [_section("Best of each search", report_front.runs_table(runs, names), states, differ)]
    if any(run.points or run.stopped for run in runs):
        parts.append(
            _section(
                "Fronts",
                report_front.legend(runs, names),
                report_front.panels(runs),
                _lineage_box(runs, names),
                "<p>Stairs: the least error to be had at each cost; their corners are marked, and between"
                " costs the members of each front. Costs are those of networks after pruning.</p>",
            )
        )
    shown = report_course.progress(runs)
    if shown:
        parts.append(
            _section("Progress", report_front.legend(runs, names), f'<div class="pair">{shown}</div>')
        )
    conditions = [
        f"<h3>{escape(name)}</h3>{_conditions(run)}{_again(run)}"
        for run, name in zip(runs, names, strict=True)
    ]
    parts.append(_section("Conditions", *conditions))
    return "\n".join(parts)
