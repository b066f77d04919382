"""The site: it builds without a warning, every link of it leads somewhere, and it needs no other server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.support import REPOSITORY

pytest.importorskip("mkdocs", reason="mkdocs not installed (see make setup)")
pytestmark = pytest.mark.seconds

# What a browser fetches to show a page: tag -> attribute.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page refers to, and the places in it that others may refer to.

    Attributes:
      links: of ``a``.
      fetched: of what is needed to show it.
      anchors: every ``id``.
      text: all of it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found["id"]} if "id" in found else set()
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        # A canonical address or one of a neighbour is fetched by nobody.
        named = tag == "link" and found.get("rel") in ("canonical", "prev", "next")
        if FETCHED.get(tag) in found and not named:
            self.fetched.append(found[FETCHED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    told = [line for line in done.stderr.splitlines() if not line.startswith("INFO ")]
    assert (done.returncode, done.stdout, told) == (0, "", [])
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def _broken(site: Path, pages: dict[Path, Page]) -> Iterator[str]:
    for path, page in pages.items():
        for link in (*page.links, *page.fetched):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            # The page of what is not found is served from anywhere, so its links begin at the root.
            start = site if parts.path.startswith("/") else path.parent
            target = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield f"{path.relative_to(site)}: {link}"
            elif parts.fragment and target in pages and parts.fragment not in {"", *pages[target].anchors}:
                yield f"{path.relative_to(site)}: no such heading: {link}"


def test_every_link_picture_and_heading_is_there(site: Path, pages: dict[Path, Page]) -> None:
    assert list(_broken(site, pages)) == []


def test_no_page_needs_another_server(site: Path, pages: dict[Path, Page]) -> None:
    fetched = [(path.name, one) for path, page in pages.items() for one in page.fetched]
    assert [one for one in fetched if urlsplit(one[1]).netloc] == []
    styles = list(site.rglob("*.css"))
    assert len(fetched) > 100 and styles
    for path in styles:
        assert "url(http" not in path.read_text() and "@import" not in path.read_text(), path


def test_docstrings_leave_no_markup_of_another_language(site: Path, pages: dict[Path, Page]) -> None:
    api = {path: page for path, page in pages.items() if path.parent.name == "api"}
    assert len(api) > 5
    for path, page in api.items():
        for role in (":mod:", ":class:", ":func:", ":meth:", ":data:", ":attr:", "<autoref"):
            assert role not in page.text, f"{path.name}: {role}"


def test_the_api_has_every_name_of_loggrad_tf(site: Path, pages: dict[Path, Page]) -> None:
    import loggrad_tf

    anchors = set().union(*(page.anchors for page in pages.values()))
    for name, module in loggrad_tf._MODULES.items():
        assert f"{module}.{name}" in anchors


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium not installed (see make test-tools)")
def test_search_answers_from_files_alone(site: Path) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
    address = f"{(site / 'index.html').as_uri()}?q=requantize"
    done = subprocess.run([*command, "--dump-dom", address], capture_output=True, text=True, timeout=120)
    assert "md-search-result__item" in done.stdout and "api/transform.html" in done.stdout
