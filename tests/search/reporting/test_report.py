"""search.report: one page that is true to the journal, harmless, and works in a browser."""

import base64
import dataclasses
import functools
import hashlib
import html.parser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from export import boards
from loggrad_tf.confusion import Confusion
from loggrad_tf.errors import LogGradError
from models.graph import WEIGHTED
from models.pruning.channels import prunable
from search.cost.objectives import overrun, pareto_front
from search.record.history import Candidate, Record, failed
from search.record.journal import JOURNAL
from search.reporting import course as report_course
from search.reporting import page as report_page
from search.reporting import png as report_png
from search.reporting import reading
from search.reporting.network import drawing, lanes_of, munas_table, rows_of
from search.reporting.svg import SERIES, Axis
from search.run import rival, rundir
from search.strategy.evolution import record_of
from search.strategy.proposal import build, training_seed
from tests.support import REPOSITORY
from tests.support.report_cases import CONFIG, EVERY_BOUND, invented, searched, write_run

BROWSER = next(
    (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), ""
)
SMALL = dataclasses.replace(CONFIG, size=32, method=dataclasses.replace(CONFIG.method, rounds=26))
LONG = dataclasses.replace(
    CONFIG,
    method=dataclasses.replace(
        CONFIG.method,
        rounds=2000,
        rungs=(8, 20, 40),
        train=dataclasses.replace(CONFIG.method.train, epochs=80),
    ),
)


@functools.cache
def _searched() -> tuple[Record, ...]:
    return tuple(searched(SMALL, 26))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_run(tmp_path / "small", SMALL, _searched())


def _page(*directories: Path) -> str:
    return report_page.page([reading.read(directory) for directory in directories])


class _Elements(html.parser.HTMLParser):
    """Names of the elements; an element that is not closed in its turn is an error."""

    VOID = ("meta", "input", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def _panels(page: str) -> list[str]:
    return re.findall(r'<svg class="panel".*?</svg>', page, re.S)


def _paths(panel: str, cls: str) -> str:
    return "".join(re.findall(rf'<path class="{cls}" d="([^"]*)"', panel))


@pytest.mark.seconds
def test_page_is_whole_and_shows_every_candidate(tmp_path: Path) -> None:
    records = invented(400, epochs=40)
    directory = write_run(tmp_path / "run", LONG, records)
    page, run = _page(directory), reading.read(directory)
    _Elements(page)
    panels = _panels(page)
    assert len(panels) == 6, "error against three costs, and these against each other"
    for panel in panels:
        assert _paths(panel, "trained").count("h0") == len(run.points)
        assert _paths(panel, "stopped").count("m0") == len(run.stopped)
        assert _paths(panel, "mark").count("z") == len(run.front)
        assert panel.count('class="bound"') == 2
    assert run.front == pareto_front(run.points, LONG.bounds)
    assert [panel.count('class="stairs"') for panel in panels] == [1, 1, 1, 0, 0, 0]
    rows = re.findall(r'<tr data-run="0" data-index="(\d+)"', page)
    assert sorted(map(int, rows)) == sorted(run.front)
    assert page.count('class="learned') == 2 * min(len(run.front), 60)
    for text in ("400 / 2,000", LONG.manifest_sha256, "worker was killed by SIGKILL 3", "tensorflow 2.21.0"):
        assert text in page
    failures = sum(r.outcome.failure is not None for r in records)
    assert f"<b>{failures}</b><span>failed</span>" in page
    crowded = re.search(r"a sibling lay where the front is sparser</th><td>([\d,]+)</td>", page)
    assert crowded and crowded[1] == "2,800"


@pytest.mark.seconds
def test_nothing_is_fetched_and_only_its_own_script_may_run(small: Path) -> None:
    page = _page(small)
    assert not re.search(r"https?:|src=|href=|url\(|@import|//[a-z]", page)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


def test_hostile_text_is_only_text(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"
    records = [
        dataclasses.replace(r, candidate=dataclasses.replace(r.candidate, morph=evil))
        for r in invented(60, epochs=2, reason=evil)
    ]
    config = dataclasses.replace(LONG, data=f"folder:/{evil}", class_names=(evil, "b"), versions={evil: evil})
    page = _page(write_run(tmp_path / "run", config, records))
    names = _Elements(page).names
    assert names.count("script") == 2 and "img" not in names
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert data and json.loads(data[1])["runs"][0]["morph"][0] == evil


def test_network_is_the_chosen_one_and_its_costs_add_up(small: Path) -> None:
    page, run = _page(small), reading.read(small)
    assert run.chosen is not None
    costs = run.records[run.chosen].costs
    totals = re.findall(r"<tfoot><tr>(.*?)</tr>", page)
    munas, plan = (re.findall(r"<td>([^<]*)</td>", total) for total in totals)
    assert munas[-2:] == [f"{costs.size:,}", f"{costs.macs:,}"]
    assert plan[-2] == f"{costs.instructions:,}"
    cycles = int(plan[-1].replace(",", ""))
    assert costs.latency == pytest.approx(cycles / boards.read(run.config.board)["clock_hz"])
    assert f"RAM {costs.ram:,} B" in page and f"flash {costs.flash:,} B" in page
    assert f"Peak memory {costs.peak_memory:,} B" in page
    assert f"The chosen network, #{run.chosen}" in page


def test_energy_of_the_chosen_network_by_stage(small: Path) -> None:
    page, run = _page(small), reading.read(small)
    assert run.chosen is not None
    table = re.findall(r"<th>µJ a frame</th>.*?</table>", page)[0]
    for title in ("log-gradient sensor", "made by the board from RAW", "camera with ISP"):
        assert title in table
    stages = dict(re.findall(r'<th class="words">([^<]*)</th>(.*?)</tr>', table))
    nominal = {
        name: [float(v.replace(",", "")) for v in re.findall(r"<td>([\d,.]+)<br>", cells)]
        for name, cells in stages.items()
    }
    generated = nominal["front end"][1] + nominal["CNN"][1]
    assert generated == pytest.approx(1e6 * run.records[run.chosen].costs.energy, abs=0.02)
    assert len(nominal["ISP"]) == 1 and len(nominal["total"]) == 3


def test_pruned_network_is_drawn_as_it_was_left(small: Path, tmp_path: Path) -> None:
    index, settings = reading.read(small).chosen, SMALL.settings()
    assert index is not None
    record = _searched()[index]
    drawn = build(record.candidate.genotype, settings)
    group = next(g for g in prunable(drawn) if g.channels > 2)
    ops = [op.name for op in drawn.ops if op.name in group.ops and op.kind in WEIGHTED]
    outcome = dataclasses.replace(record.outcome, widths=tuple((name, group.channels - 2) for name in ops))
    pruned = record_of(record.candidate, outcome, settings)
    assert pruned.costs.size < record.costs.size
    records = [*_searched()[:index], pruned, *_searched()[index + 1 :]]
    page = _page(write_run(tmp_path / "pruned", SMALL, records))
    picture = re.findall(r'<svg class="network".*?</svg>', page)[0]
    assert picture.count(f" of {group.channels}") == len(ops)
    total = re.findall(r"<tfoot><tr>(.*?)</tr>", page)[0]
    assert re.findall(r"<td>([^<]*)</td>", total)[-2:] == [f"{pruned.costs.size:,}", f"{pruned.costs.macs:,}"]


def test_network_that_cannot_be_planned_is_shown_without_a_plan(tmp_path: Path) -> None:
    config = dataclasses.replace(LONG, board="nowhere")
    page = _page(write_run(tmp_path / "run", config, invented(30)))
    assert "There is no plan: board &#x27;nowhere&#x27;" in page and '<svg class="network"' in page


def test_drawing_has_a_place_for_every_op() -> None:
    settings = LONG.settings()
    for record in invented(60, epochs=1):
        graph = build(record.candidate.genotype, settings)
        rows, lanes = rows_of(graph), lanes_of(graph)
        assert len(set(zip(rows, lanes, strict=True))) == len(graph.ops)
        assert all(rows[i] < rows[k] for k, op in enumerate(graph.ops) for i in op.inputs)
        assert all(lanes[k] == 0 for k, op in enumerate(graph.ops) if op.kind in ("add", "dense", "input"))
        picture = drawing(graph, graph, "input")
        assert picture.count('class="box"') == len(graph.ops)
        assert picture.count('class="edge"') == sum(len(op.inputs) for op in graph.ops)
        assert (
            munas_table(graph).count("<tr>")
            == 1 + sum(o.kind not in ("input", "flatten") for o in graph.ops) + 1
        )


@pytest.mark.seconds
@pytest.mark.parametrize("repeat", [0, 2])
def test_kept_network_is_the_chosen_one(small: Path, repeat: int) -> None:
    other = max(reading.read(small).points)
    seeds = dataclasses.replace(SMALL, method=dataclasses.replace(SMALL.method, final_seeds=3))
    rundir.write_config(small, seeds)
    (small / "best").mkdir()
    saved: dict[str, Any] = {"seed": training_seed(SMALL.seed, other, repeat), "train": {"epochs": 40}}
    saved["metrics"] = {"val_error": 0.1234, "test_error": 0.2345}
    (small / "best" / "network.json").write_text(json.dumps(saved))
    assert reading.read(small).chosen == other
    page = re.sub("<[^>]*>", "", _page(small))
    assert "Kept after 40 epochs of training: validation error 12.34 % (" in page
    assert "12.34 %validation error after 40 epochs" in page and "23.45 %test error" in page
    assert "over its bounds: validation error 12.34 of 5 %" in page and "within all bounds" not in page
    assert "answered as" not in page, "a network that was saved before confusions were counted"
    table = Confusion(SMALL.class_names, ((3, 0, 1), (0, 4, 0), (0, 0, 0))).to_json()
    saved["confusion"] = {"val": table, "test": table}
    (small / "best" / "network.json").write_text(json.dumps(saved))
    _Elements(_page(small))
    page = re.sub(" +", " ", re.sub("<[^>]*>", " ", _page(small)))
    for split in ("Validation", "Test"):
        assert (
            f"{split} true class, answered as: bicycle car person right bicycle 3 0 1 75.0% car 0 4 0 100.0%"
            " person 0 0 0 – all 87.5% always answering bicycle 50.0%"
        ) in page.replace("\n", "")
    saved["confusion"] = {"val": table | {"counts": [[1]]}}
    (small / "best" / "network.json").write_text(json.dumps(saved))
    assert reading.read(small).saved is None
    del saved["confusion"]
    (small / "best" / "network.json").write_text(json.dumps(saved))
    longer = dataclasses.replace(
        seeds, method=dataclasses.replace(seeds.method, rounds=SMALL.method.rounds + 1)
    )
    rundir.write_config(small, longer)
    assert reading.read(small).saved is None  # it was the choice of fewer rounds
    rundir.write_config(small, seeds)
    (small / "best" / "network.json").write_text("{torn")
    assert reading.read(small).saved is None


@pytest.mark.seconds
@pytest.mark.parametrize("hand_made", [False, True])
def test_the_hand_made_network_has_a_row(small: Path, hand_made: bool) -> None:
    run = reading.read(small)
    assert run.chosen is not None
    (small / "best").mkdir()
    seed = training_seed(SMALL.seed, rival.INDEX if hand_made else run.chosen, 0)
    metrics = {"val_error": 0.12, "test_error": 0.23, "mean_val_error": 0.13, "mean_test_error": 0.24}
    saved: dict[str, Any] = {"seed": seed, "train": {"epochs": 40}, "metrics": metrics}
    metrics |= {"beside_val_error": 0.14, "beside_test_error": 0.25}
    (small / "best" / "network.json").write_text(json.dumps(saved))
    kept = reading.read(small)
    assert kept.chosen == run.chosen and kept.saved is not None
    assert kept.saved.index == (None if hand_made else run.chosen)
    page = _page(small)
    _Elements(page)
    page = re.sub(" +", " ", re.sub("<[^>]*>", " ", page))
    names = ["best found", "hand-made small_bn, trained alike"]
    first, second = names[::-1] if hand_made else names
    assert f"{first} 13.00 24.00 {second} 14.00 25.00" in page
    told = (
        "Nothing found within the bounds is better on validation than the hand-made small_bn, which is kept"
    )
    assert (told in page) == hand_made
    assert ("best network found" in page) == hand_made and ("chosen network" in page) != hand_made
    assert ("test error of the hand-made small_bn" in page) == hand_made
    assert ("12.00 % validation error after 40 epochs of" in page) != hand_made


@pytest.mark.parametrize("tail", [b'{"event":"candi', b'{"event":"candidate","ind\n'])
def test_running_search_is_only_read(small: Path, tail: bytes) -> None:
    whole = _page(small)
    with (small / JOURNAL).open("ab") as file:
        file.write(tail)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in small.rglob("*") if p.is_file()}
    torn = _page(small)
    after = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in small.rglob("*") if p.is_file()}
    assert after == before
    assert "last line is not complete" in torn and "last line is not complete" not in whole
    assert reading.read(small).records == _searched()


def _edit(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (JOURNAL, b'"index":3', b'"index":4', "line 5 is damaged (candidate 4 where 3 belongs)"),
        (JOURNAL, b'"event":"begin"', b'"event":"end"', "line 1 is damaged (it does not belong"),
        (JOURNAL, b'"parent":null', b'"parent":7', "candidate 0 has parent 7"),
        (JOURNAL, b'{"costs"', b'"costs"', "line 2 is damaged"),
        ("config.json", b'"quick"', b'"slow"', "unknown profile 'slow'"),
        ("config.json", b'"seed"', b'"sead"', "config.json: damaged"),
    ],
)
def test_damage_is_named(small: Path, name: str, old: bytes, new: bytes, said: str) -> None:
    _edit(small / name, old, new)
    with pytest.raises(LogGradError, match=re.escape(said)):
        reading.read(small)


def _failing(count: int) -> list[Record]:
    return [dataclasses.replace(r, outcome=failed(f"reason {r.candidate.index}")) for r in invented(count, 1)]


def test_searches_with_little_to_show(tmp_path: Path) -> None:
    none = write_run(tmp_path / "none", SMALL, [])
    (none / JOURNAL).write_bytes(b"")
    assert "0 of 26 candidates have finished" in _page(none)
    (none / JOURNAL).unlink()
    assert "0 of 26 candidates have finished" in _page(none)
    broken = write_run(tmp_path / "broken", LONG, _failing(90))
    page = _page(broken)
    _Elements(page)
    assert not _panels(page) and "No candidate was trained in full" in page
    assert "reason 7" in page and "50 more failed for 50 other reasons" in page
    early = [r for r in invented(60) if r.outcome.stopped]
    early = [
        dataclasses.replace(r, candidate=Candidate(i, r.candidate.genotype, None, "random"))
        for i, r in enumerate(early)
    ]
    page = _page(write_run(tmp_path / "early", LONG, early))
    assert len(_panels(page)) == 6 and "The chosen network" not in page
    page = _page(none, broken, write_run(tmp_path / "one", LONG, invented(1)))
    _Elements(page)
    assert page.count("none trained in full yet") == 2


@pytest.mark.seconds
def test_durations_may_be_missing(tmp_path: Path) -> None:
    untimed = write_run(tmp_path / "untimed", LONG, invented(50), seconds=None)
    page = _page(untimed)
    assert "best error by candidates" in page and "training time" not in page
    partly = write_run(tmp_path / "partly", LONG, invented(50))
    (partly / "timing.jsonl").write_text('{"index":0,"seconds":5}\nnonsense\n{"index":1,"seco')
    assert "durations of 49 of 50 candidates are not known" in _page(partly)


@pytest.mark.seconds
def test_course_of_a_search(tmp_path: Path) -> None:
    records = invented(300, epochs=80)
    seconds = {r.candidate.index: float(1 + r.candidate.index % 3) for r in records}
    directory = write_run(tmp_path / "run", LONG, records)
    lines = [json.dumps({"index": i, "seconds": s}) for i, s in {**seconds, 0: 99.0}.items()]
    again = json.dumps({"index": 0, "seconds": seconds[0]})
    (directory / "timing.jsonl").write_text("\n".join([*lines, again]) + "\n")
    run = reading.read(directory)
    assert report_course.training_time(run) == list(np.cumsum(list(seconds.values())))
    least, expected = 2.0, []
    for record in records:
        error, fits = record.outcome.val_error, overrun(record.costs, LONG.bounds) <= 1
        if record.ranked and fits and error is not None and error < least:
            least = error
            expected.append((record.candidate.index, error))
    assert report_course.best_so_far(run) == expected and len(expected) > 2
    table = re.sub("<[^>]*>", " ", report_course.stopped(run)).split()
    stopped = len(run.stopped)
    reached = len(run.points) + stopped
    share = f"{stopped / reached:.0%}"
    rows = f"8 {reached} 0 0% 20 {reached} {stopped} {share} 40 {len(run.points)} 0 0%"
    assert rows in " ".join(table) and f"{60 * stopped:,} epochs" in report_course.stopped(run)
    drawn = dict(re.findall(r'words">([^<]*)</th><td>([\d,]+)</td>', report_course.rejected(run)))
    counts = {name: sum(dict(r.candidate.rejected)[name] for r in records) for name in ("duplicate", "ram")}
    assert drawn["trained already"] == f"{counts['duplicate']:,}"
    assert drawn["RAM over its bound"] == f"{counts['ram']:,}"
    tips = re.findall(r"<title>([\d,]+) with candidates (\d+) to (\d+)<", report_course.rejected(run))
    assert sum(int(n.replace(",", "")) for n, _, _ in tips) == sum(
        times for r in records for _, times in r.candidate.rejected
    )
    for times, first, last in tips[:40]:
        within = records[int(first) : int(last) + 1]
        assert int(times) in {sum(dict(r.candidate.rejected)[n] for r in within) for n in ("crowded", "ram")}


@pytest.mark.seconds
def test_two_searches_over_each_other(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", LONG, invented(200))
    bounds = dataclasses.replace(LONG.bounds, ram=40_000, flash=1e9)
    other = write_run(
        tmp_path / "two", dataclasses.replace(LONG, input="jpeg8", bounds=bounds), invented(300)
    )
    page = _page(one, other)
    _Elements(page)
    panels = _panels(page)
    assert len(panels) == 4 + 6, "the costs that any of them bounds"
    ram = panels[2]
    for colour, _ in SERIES[:2]:
        assert 'class="stairs" d="M' in ram and f'stroke="{colour}"' in ram
    lines = re.findall(r'class="bound" d="[^"]*" stroke="([^"]*)"', ram)
    assert lines == [SERIES[0][0], SERIES[1][0], "#1a1a1a"], "own bounds in own colours, a shared one black"
    assert "bound 1G →" in panels[3], "a bound far off does not stretch the axis"
    assert "different bounds" in page and "loggrad_1p5, jpeg8" in page
    chosen = [reading.read(d).chosen for d in (one, other)]
    assert re.findall(r'<tr data-run="(\d)" data-index="(\d+)">', page) == [
        ("0", str(chosen[0])),
        ("1", str(chosen[1])),
    ]


def test_names_tell_runs_apart(tmp_path: Path) -> None:
    records = invented(3)
    one, two = (reading.read(write_run(tmp_path / name, LONG, records)) for name in "ab")
    third = reading.read(write_run(tmp_path / "c", dataclasses.replace(LONG, input="raw16"), records))
    assert reading.labels([one, third]) == ["loggrad_1p5", "raw16"]
    assert reading.labels([one, two]) == ["a", "b"]
    with pytest.raises(LogGradError, match="8 searches, of which 7"):
        report_page.page([one] * 8)


@pytest.mark.seconds
def test_long_search_makes_a_small_page(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "long", dataclasses.replace(LONG, bounds=EVERY_BOUND), invented(2000))
    page = _page(directory)
    assert len(_panels(page)) == 28
    assert len(page.encode()) < 3e6


@pytest.mark.seconds
def test_png_has_a_colour_for_each_search(tmp_path: Path) -> None:
    runs = []
    for name in ("loggrad_1p5", "jpeg8", "raw16"):
        config = dataclasses.replace(LONG, input=name)
        runs.append(reading.read(write_run(tmp_path / name, config, invented(120))))
    report_png.write_png(tmp_path / "fronts.png", runs)
    image = np.array(Image.open(tmp_path / "fronts.png").convert("RGB")).astype(int)
    assert image.shape[1] > 2000
    for nth, (colour, _) in enumerate(SERIES[:4]):
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert bool((np.abs(image - rgb).max(axis=2) < 8).any()) == (nth < 3)
    empty = reading.read(write_run(tmp_path / "empty", LONG, []))
    with pytest.raises(LogGradError, match="no front"):
        report_png.write_png(tmp_path / "no.png", [empty])


@pytest.mark.parametrize("log", [False, True])
def test_ticks_are_few_and_within(log: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        low = float(10 ** rng.uniform(-6, 6))
        axis = Axis(low, low * float(10 ** rng.uniform(0.05, 6)), 0, 100, log)
        ticks = axis.ticks()
        assert 2 <= len(ticks) <= 9 and ticks == sorted(set(ticks))
        places = [axis.at(tick) for tick in ticks]
        assert places[0] >= -1e-6 and places[-1] <= 100 + 1e-6
        assert max(np.diff([0, *places, 100])) < 51


def _report(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search.report", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)


@pytest.mark.seconds
def test_door(small: Path, tmp_path: Path) -> None:
    done = _report(f"--run={small}", f"--png={tmp_path / 'fronts.png'}")
    assert done.returncode == 0, done.stderr
    assert (small / "report.html").read_text() == _page(small)
    assert (tmp_path / "fronts.png").is_file() and not list(small.glob(".*"))
    other = write_run(tmp_path / "other", dataclasses.replace(SMALL, input="raw16"), _searched())
    assert _report(f"--run={small}", f"--run={other}").returncode == 0
    assert (small / "comparison.html").read_text() == _page(small, other)


@pytest.mark.seconds
def test_bad_requests_are_one_line(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments, said in (
        ([], "--run is missing"),
        ([f"--run={tmp_path / 'nowhere'}"], "no search there (config.json is missing)"),
        ([f"--run={small}", f"--run={small}/../small"], "is given twice"),
        ([f"--run={small}", f"--out={tmp_path}/file/report.html"], "cannot be written"),
    ):
        done = _report(*arguments)
        assert done.returncode == 1 and done.stdout == ""
        assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1


_WATCHED = "<script>window.failures = []; onerror = (text) => { failures.push(text); };</script>"
# Points at the chosen candidate in the first picture, clicks on it, asks for another, presses Escape.
_VISIT = """<script>
(() => {
  const panel = document.querySelector("svg.panel"), box = panel.getBoundingClientRect();
  const mark = panel.querySelectorAll(".mark");
  const at = mark[mark.length - 1].getBoundingClientRect();
  const where = { clientX: at.left + at.width / 2, clientY: at.top + at.height / 2, bubbles: true };
  const rings = () => document.querySelectorAll(".panel .ring").length;
  const listed = () => [...document.querySelectorAll("#lineage li")].map((one) => Number(one.dataset.index));
  const found = { panels: document.querySelectorAll("svg.panel").length, at_rest: rings(), listed: listed() };
  panel.dispatchEvent(new PointerEvent("pointermove", where));
  found.hovered = rings();
  found.tip = document.getElementById("tip").hidden ? "" : document.getElementById("tip").textContent;
  panel.dispatchEvent(new PointerEvent("pointerleave"));
  found.left = rings();
  panel.dispatchEvent(new MouseEvent("click", where));
  found.clicked = rings();
  found.chain = listed();
  found.rows = document.querySelectorAll("tr.selected").length;
  found.curves = document.querySelectorAll(".learned.selected").length;
  const asked = document.querySelector("#lineage input");
  asked.value = FAILED;
  asked.dispatchEvent(new Event("input"));
  found.failed = document.querySelector("#lineage li").textContent;
  document.querySelectorAll("tr[data-index]")[0].click();
  found.by_row = listed()[0];
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
  panel.dispatchEvent(new PointerEvent("pointerleave"));
  found.cleared = rings() + listed().length;
  found.wider = document.documentElement.scrollWidth - innerWidth;
  found.failures = failures;
  const verdict = document.createElement("pre");
  verdict.id = "verdict";
  verdict.textContent = JSON.stringify(found);
  document.body.append(verdict);
})();
</script>"""


def _dom(page: str, place: Path) -> str:
    place.write_text(page)
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1400,2000",
        "--dump-dom",
    ]
    place.with_name("profile").mkdir(exist_ok=True)
    command += [f"--user-data-dir={place.with_name('profile')}", f"file://{place}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.seconds
@pytest.mark.skipif(not BROWSER, reason="no chromium, chromium-browser or google-chrome on PATH")
def test_in_a_browser(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", LONG, invented(300, epochs=40))
    run, page = reading.read(directory), _page(directory)
    assert run.chosen is not None
    first_failed = run.failed[0].candidate.index
    visit = _VISIT.replace("FAILED", str(first_failed))
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', _WATCHED, page)
    dom = _dom(page.replace("</body>", f"{visit}</body>"), tmp_path / "visited.html")
    verdict = re.search(r'<pre id="verdict">(.*?)</pre>', dom)
    assert verdict, dom[-2000:]
    found = json.loads(html.unescape(verdict[1]))
    chain = reading.lineage(run.records, run.chosen)
    assert len(chain) > 1, "the case is to have ancestors"
    assert found["failures"] == [] and found["panels"] == 6
    assert (found["at_rest"], found["listed"]) == (0, chain)
    assert found["hovered"] == found["clicked"] == 6 * len(chain) and found["left"] == 0
    assert found["tip"].startswith(f"#{run.chosen}") and "scale filters" in found["tip"]
    assert found["chain"] == chain
    assert (found["rows"], found["curves"]) == (1, 2), "its row, and its curves of loss and error"
    assert found["failed"].startswith(f"#{first_failed}  failed: worker was killed")
    assert found["by_row"] == min(run.front, key=lambda i: (run.front[i].error, i))
    assert found["cleared"] == 0
    assert found["wider"] <= 0


@pytest.mark.seconds
@pytest.mark.skipif(not BROWSER, reason="no chromium, chromium-browser or google-chrome on PATH")
def test_policy_lets_the_own_script_run_and_no_other(tmp_path: Path) -> None:
    page = _page(write_run(tmp_path / "run", LONG, invented(60, epochs=4)))
    intruder = "<script>document.documentElement.dataset.intruder = 1;</script></body>"
    dom = _dom(page.replace("</body>", intruder), tmp_path / "intruded.html")
    assert 'class="with-script"' in dom
    assert "data-intruder" not in dom
