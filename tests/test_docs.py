"""README and the pages of docs/: snippets run, commands parse, links lead somewhere.

A command is parsed by the flags of its own door, and not run. What pages refer to in the code is looked at
by ``tests/test_rooms.py``.
"""

import functools
import hashlib
import json
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import loggrad
import loggrad_tf
from export import boards, firmware
from loggrad_tf.data import synthetic
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor
from tests.support import REPOSITORY, quantized

DOCS = sorted(path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "docs").glob("*.md"))
PAGES = ["README.md", *DOCS]
LINKED = [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@functools.cache
def text(page: str) -> str:
    return _COMMENT.sub("", (REPOSITORY / page).read_text())


def blocks(page: str, *languages: str) -> list[str]:
    return [body for language, body in _FENCE.findall(text(page)) if language in languages]


def prose(page: str) -> str:
    return _FENCE.sub("", text(page))


def commands(page: str) -> Iterator[list[str]]:
    """Command lines of a page, in blocks and in the text, as words."""
    lines = [line for block in blocks(page, "", "sh", "bash") for line in joined(block).splitlines()]
    for line in [*lines, *_SPAN.findall(prose(page))]:
        if re.match(r"(python -m|loggrad|make) ", line):
            yield shlex.split(line, comments=True)


def joined(block: str) -> str:
    return re.sub(r"\\\n\s*", " ", block)


def door(words: list[str]) -> tuple[str, list[str]] | None:
    """The module of a command and its arguments; None where the words name no door of ours."""
    if words[:2] == ["python", "-m"] and words[2] != "loggrad":
        return words[2], words[3:]
    words = words[words.index("loggrad") :] if "loggrad" in words[:3] else words
    if words[0] == "loggrad" and words[1:2] not in ([], ["VERB"], ["--help"]):
        return loggrad.DOORS[words[1]].removesuffix(".__main__"), words[2:]
    return None


def by_door() -> dict[str, list[tuple[str, list[str]]]]:
    """Module -> the pages and arguments that it is named with."""
    found = defaultdict(list)
    for page in (*PAGES, "CONTRIBUTING.md"):
        for words in commands(page):
            asked = door(words)
            if asked and asked[0] not in ("venv", "pip", "pytest"):
                found[asked[0]].append((page, [word for word in asked[1] if word != "--help"]))
    return found


# Runs a door up to its parser. Reads lists of arguments, writes for each what is wrong with it, and last the
# flags that there are.
_PARSE = """
import argparse, contextlib, io, json, runpy, sys
module, asked = sys.argv[1], json.load(sys.stdin)

class Parsed(BaseException):
    pass

wrong, names = [], set()
parse = argparse.ArgumentParser.parse_args
def parse_args(self, *args, **kwargs):
    self.allow_abbrev = False
    names.update(name for action in self._actions for name in action.option_strings)
    parse(self, *args, **kwargs)
    raise Parsed
argparse.ArgumentParser.parse_args = parse_args

from absl import flags
from loggrad_tf import cli
cli.run = lambda main: None
first, by_argparse = set(flags.FLAGS), False
result = []
for words in asked:
    sys.argv[1:] = words
    if by_argparse or not set(flags.FLAGS) - first:
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                runpy.run_module(module, run_name="__main__")
        except Parsed:
            by_argparse = True
        except SystemExit:
            wrong.append(said.getvalue())
    if not by_argparse and set(flags.FLAGS) - first:
        names.update(f"--{name}" for name in set(flags.FLAGS) - first)
        flags.FLAGS.unparse_flags()
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()
        try:
            if len(flags.FLAGS(sys.argv)) > 1:
                wrong.append("words beside the flags")
        except flags.Error as fault:
            wrong.append(str(fault))
    result.append(wrong[:])
    wrong.clear()
print(json.dumps([result, sorted(names)]))
"""


def parsed(module: str, asked: list[list[str]]) -> tuple[list[list[str]], list[str]]:
    """What a door's parser finds wrong with each list of arguments, and the names of its flags.

    A door that cannot be started is wrong with all of them.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PARSE, module],
        input=json.dumps(asked), cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        return [done.stderr.splitlines()[-1:] for _ in asked], []
    wrong, names = json.loads(done.stdout.splitlines()[-1])
    return wrong, names


@functools.cache
def of_pages(module: str) -> tuple[list[str], list[str]]:
    """What is wrong with the commands of all pages that name a door, and the names of its flags."""
    asked = by_door().get(module, [("no page", [])])
    wrong, names = parsed(module, [words for _, words in asked])
    return [f"{page}: {words}: {why}" for (page, words), why in zip(asked, wrong, strict=True) if why], names


@pytest.mark.seconds
@pytest.mark.parametrize("module", sorted(by_door()))
def test_commands_parse(module: str) -> None:
    faults, names = of_pages(module)
    assert not faults, "\n".join(faults)
    assert names or not any(words for _, words in by_door()[module])


@functools.cache
def flags_there_are() -> set[str]:
    """Of all doors of ``loggrad`` and of all that pages name."""
    modules = {module.removesuffix(".__main__") for module in loggrad.DOORS.values()} | set(by_door())
    names = {name for module in modules for name in of_pages(module)[1]}
    return names | {f"--no{name.removeprefix('--')}" for name in names} | {"--help", "--helpfull"}


@pytest.mark.seconds
@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_flags_in_the_text_exist(page: str) -> None:
    ours = [
        span for span in _SPAN.findall(prose(page)) if not re.search(r"(?<!\S)-\w", span)
    ]  # no compiler's
    named = {name for span in ours for name in re.findall(r"(?<!\S)--[a-z][\w-]*", span)}
    assert named <= flags_there_are(), named - flags_there_are()


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("module", "good", "bad"),
    [
        ("models.train", ["--epochs=3", "--out=x"], ["--epochs=many"]),
        ("loggrad_tf.preview", ["--out=x.png"], []),
        ("firmware.verify", ["--project", "x"], ["--project=x", "--layer=crc"]),
    ],
)
def test_the_parsers_tell_good_from_bad(module: str, good: list[str], bad: list[str]) -> None:
    (first, second, third), _ = parsed(module, [good, bad, good])
    assert (first, third) == ([], []) and second


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_what_make_is_asked_for_exists(page: str) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    for words in commands(page):
        if words[0] == "make":
            given = {word.partition("=")[0] for word in words[1:] if "=" in word}
            assert given <= variables and {w for w in words[1:] if "=" not in w} <= targets, words


@pytest.mark.seconds
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_python_snippets_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as it stands, on fewer drawn photographs."""
    draw = synthetic.write_archive
    monkeypatch.setattr(synthetic, "write_archive", lambda directory: draw(directory, 24, workers=1))
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for snippet in blocks(page, "python"):
        exec(compile(snippet, page, "exec"), {"__name__": "snippet"})


def calls(page: str) -> list[str]:
    """The C of a page that is to stand beside a generated network."""
    return [snippet for snippet in blocks(page, "c") if '#include "net.h"' in snippet]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated project of three named classes."""
    folder = tmp_path_factory.mktemp("docs")
    front_end = fixed("loggrad_1p5", Sensor(bits=12, black=0, white=4095))
    net = quantized.Net(5)
    x = net.conv(net.input((8, 8, 1), front_end.input_scale, front_end.input_zero_point), 4, 3, 2)
    model = net.flatbuffer(net.dense(net.mean(x), 3))
    (folder / "model.tflite").write_bytes(model)
    meaning = {
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "front_end": front_end.to_json(),
        "class_names": ["bicycle", "car", "person"],
    }
    (folder / "model.json").write_text(json.dumps(meaning))
    made = firmware.make(folder / "model.tflite", "host", firmware.Options(1))
    firmware.write(made, folder / "project")
    return folder / "project"


@pytest.mark.seconds
@pytest.mark.parametrize("page", [page for page in PAGES if calls(page)])
def test_snippets_that_call_the_network_compile(page: str, project: Path, tmp_path: Path) -> None:
    for snippet in calls(page):
        source = tmp_path / "snippet.c"
        source.write_text(snippet)
        flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
        places = [f"-I{project / 'src'}", f"-I{project / 'lib/include'}"]
        done = subprocess.run(["gcc", *flags, *places, source], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower().replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")


@functools.cache
def anchors(path: Path) -> set[str]:
    body = _FENCE.sub("", path.read_text())
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", body, re.MULTILINE)}


def broken(page: str) -> list[str]:
    """Relative links and images of a page that lead nowhere."""
    found = []
    for link in _LINK.findall(prose(page)):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (REPOSITORY / page).parent / target if target else REPOSITORY / page
        if not path.exists() or (anchor and anchor not in anchors(path.resolve())):
            found.append(link)
    return found


@pytest.mark.parametrize("page", LINKED)
def test_links_lead_somewhere(page: str) -> None:
    assert not broken(page)


def test_the_readme_is_one_screen_and_names_both_commands() -> None:
    readme = (REPOSITORY / "README.md").read_bytes()
    assert len(readme) <= 8000
    for said in (b"make search", b"make test", b".venv", b"loggrad doctor", b", 0 mismatches"):
        assert said in readme


def test_every_board_is_named() -> None:
    assert {name for name in boards.names() if f"`{name}`" not in text("docs/firmware.md")} == set()


def constant(path: str, name: str) -> str:
    """An integer at the head of a module, read and not imported: doors define flags of one name."""
    (found,) = re.findall(rf"^{name} = (\d+)$", (REPOSITORY / path).read_text(), re.MULTILINE)
    return str(found)


def test_the_changelog_names_the_versions_there_are() -> None:
    released = text("CHANGELOG.md").partition("## Unreleased")[2]
    said = re.findall(
        r"package and generated C ([\d.]+), `model.json` (\d+), journal of a search (\d+),"
        r" `project.json` [\w ]+ (\d+)",
        " ".join(released.split()),
    )
    version = loggrad_tf.__version__
    model, project = (
        constant("loggrad_tf/data/description.py", "VERSION"),
        constant("export/firmware.py", "VERSION"),
    )
    assert said == [(version, model, constant("search/run/rundir.py", "FORMAT"), project)]
    assert f"\nversion: {version}\n" in text("CITATION.cff")


def test_the_hooks_have_the_linter_of_the_lock() -> None:
    pinned = set(re.findall(r"ruff==[\d.]+", text(".pre-commit-config.yaml")))
    assert len(pinned) == 1
    assert f"\n{pinned.pop()} " in text("requirements.lock")
