"""The hooks of the site: links that hold there, notebooks as pages, docstrings as Markdown."""

import base64
import importlib
import json
import textwrap
from types import ModuleType

import pytest

from tests.support import REPOSITORY

griffe = pytest.importorskip("griffe", reason="mkdocstrings not installed (see make setup)")
pytest.importorskip("mkdocs", reason="mkdocs not installed (see make setup)")


@pytest.fixture
def hook(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(REPOSITORY / "docs/hooks")
    return importlib.import_module(request.param)


KNOWN = {"index.md", "data.md", "architecture.md", "api/index.md", "tutorial.md", "pictures/a.png"}


@pytest.mark.parametrize("hook", ["pages"], indirect=True)
@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("data.md", "[map](../WORKSPACE.md#letters)", "[map](architecture.md#letters)"),
        ("api/index.md", "[map](../../WORKSPACE.md)", "[map](../architecture.md)"),
        ("architecture.md", "[data](docs/data.md)", "[data](data.md)"),
        ("architecture.md", "![a](docs/pictures/a.png)", "![a](pictures/a.png)"),
        ("data.md", "[first](../README.md)", "[first](index.md)"),
        ("data.md", "[run it](tutorial.ipynb)", "[run it](tutorial.md)"),
        ("tutorial.md", "[the notebook](tutorial.ipynb)", "[the notebook](tutorial.ipynb)"),
        ("data.md", "[`raw`](../loggrad_tf/data/raw.py)", "`raw`"),
        (
            "data.md",
            "[here](#limits), [there](https://a.b/c.md)",
            "[here](#limits), [there](https://a.b/c.md)",
        ),
        ("data.md", "[gone](gone.md), ![no picture](gone.png)", "[gone](gone.md), ![no picture](gone.png)"),
        ("data.md", "```\n[map](../WORKSPACE.md)\n```", "```\n[map](../WORKSPACE.md)\n```"),
    ],
)
def test_a_link_of_the_repository_holds_in_the_site(
    hook: ModuleType, page: str, link: str, there: str
) -> None:
    assert hook.resolved(link, page, KNOWN) == there


@pytest.mark.parametrize("hook", ["pages"], indirect=True)
def test_inline_code_is_broken_between_words_only(hook: ModuleType) -> None:
    html = "<p>a-b <code>run --flag=&lt;x&gt; now</code></p><pre><span></span><code>run --flag\n</code></pre>"
    word = '<span class="word">--flag=&lt;x&gt;</span>'
    assert hook.unbroken(html) == html.replace("--flag=&lt;x&gt;", word)


@pytest.mark.parametrize("hook", ["notebook"], indirect=True)
def test_a_notebook_shows_what_its_cells_gave(hook: ModuleType) -> None:
    picture = base64.b64encode(b"PNG").decode()
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": "5 s left"},
        {"output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"]},
        {"output_type": "display_data", "data": {"text/plain": "<Figure>", "image/png": picture}},
        {"output_type": "execute_result", "data": {"text/plain": "42"}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Text"]},
        {"cell_type": "code", "source": "f()", "outputs": outputs},
    ]
    text = json.dumps({"metadata": {"language_info": {"name": "python"}}, "cells": cells})
    page, pictures = hook.page("way.ipynb", text)
    assert pictures == {1: b"PNG"}
    shown = ["# Title\nText\n", "```python\nf()\n```\n", "```text\na\nb\n```\n"]
    assert page == "\n".join([*shown, "![What the cell above draws](way-1.png)\n", "```text\n42\n```\n"])


def _markdown(hook: ModuleType, docstring: str) -> str:
    code = "LIMIT = 1\nclass Box:\n    def open(self): ...\n"
    module = griffe.visit("shop", filepath=REPOSITORY / "shop.py", code=code)
    return hook.markdown(textwrap.dedent(docstring).strip(), module["Box.open"])


@pytest.mark.parametrize("hook", ["docstrings"], indirect=True)
def test_roles_are_links_to_what_they_mean_where_they_stand(hook: ModuleType) -> None:
    text = _markdown(hook, ":meth:`open`, :class:`Box`, :data:`LIMIT`, :func:`Box.open`, :mod:`other.thing`")
    link = '<autoref optional identifier="{}"><code>{}</code></autoref>'
    pairs = (
        ("shop.Box.open", "open"),
        ("shop.Box", "Box"),
        ("shop.LIMIT", "LIMIT"),
        ("shop.Box.open", "Box.open"),
        ("other.thing", "other.thing"),
    )
    assert text == ", ".join(link.format(*pair) for pair in pairs)


@pytest.mark.parametrize("hook", ["docstrings"], indirect=True)
def test_blocks_tables_and_sections_become_markdown(hook: ModuleType) -> None:
    text = _markdown(
        hook,
        """
        H*W of ``a*b``. Example::

            x = 2 * y  # :class:`Box`

        ==== =======
        name meaning
        ==== =======
        a    one two
        ==== =======
        Args:
          p, q: sides,
            both.
        Returns:
          the area.
        """,
    )
    assert text.split("\n\n") == [
        r"H\*W of ``a*b``. Example:",
        "    x = 2 * y  # Box",
        "| name | meaning |\n| --- | --- |\n| a | one two |",
        "Args:\n  p: sides,\n    both.\n  q: sides,\n    both.",
        "Returns:\n  the area.",
    ]


@pytest.mark.parametrize("hook", ["docstrings"], indirect=True)
def test_a_docstring_may_begin_with_its_attributes(hook: ModuleType) -> None:
    assert (
        _markdown(hook, "Attributes:\na: one.\nb: two\n  more.")
        == "Attributes:\n  a: one.\n  b: two\n    more."
    )


def test_every_header_of_the_c_library_is_shown() -> None:
    page = (REPOSITORY / "docs/api/headers.md").read_text()
    shown = [line for line in page.splitlines() if line.startswith('--8<-- "')]
    headers = {path.name for path in (REPOSITORY / "firmware/lib/include").glob("*.h")}
    assert len(shown) == len(headers)
    assert {line.rpartition("/")[2].rstrip('"') for line in shown} == headers
