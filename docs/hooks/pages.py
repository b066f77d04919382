"""Pages of the site that do not lie under docs/, and where the links of all pages lead.

A link is written as it holds in the repository. Here it is made to hold in the site: to a page, if the
file is one (:data:`ELSEWHERE`); to the picture, which is taken along; and what is no page, such as a source
file, becomes its text. A link to what is not in the repository either is left to ``mkdocs --strict``.
Inline code is broken between words only.
"""

import posixpath
import re
from pathlib import Path

import notebook
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
# A file of the repository -> its page.
ELSEWHERE = {
    "WORKSPACE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "experiments/RESULTS.md": "experiments.md",
    "firmware/boards/README.md": "boards.md",
    "firmware/lib/README.md": "c-library.md",
}
PICTURES = (".png", ".svg", ".jpg")
_SOURCE_OF = {page: source for source, page in ELSEWHERE.items()}
_FENCE = re.compile(r"^( *)(```+).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"(?<!<pre><span></span>)(?<!<pre>)<code>([^<]+)</code>")
_HYPHENED = re.compile(r"\S*-\S*")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def source_of(page: str) -> str:
    """The file of the repository that a page of the site is made from."""
    return _SOURCE_OF.get(page, f"docs/{page}")


def page_of(source: str) -> str:
    """Where a file of the repository is in the site, if it is there."""
    if source == "README.md":
        return "index.md"
    if source.endswith(".ipynb"):
        source = source.removesuffix(".ipynb") + ".md"
    return ELSEWHERE.get(source, source.removeprefix("docs/"))


def _target(page: str, link: str) -> tuple[str, str]:
    """The file of the repository that a relative link of a page names, and the heading in it."""
    path, _, heading = link.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source_of(page)), path)), heading


def _is_relative(link: str) -> bool:
    return not link.startswith(("#", "/")) and "://" not in link and not link.startswith("mailto:")


def resolved(markdown: str, page: str, known: set[str]) -> str:
    """The text of a page with links that hold in the site.

    Args:
      page: its path in the site.
      known: paths of all pages and pictures of the site.
    """

    def link(match: re.Match[str]) -> str:
        mark, text, where = match.groups()
        if not _is_relative(where):
            return match[0]
        source, heading = _target(page, where)
        found = page_of(source)
        if found == page:  # a notebook's page has the notebook
            return match[0]
        if found in known:
            here = posixpath.relpath(found, posixpath.dirname(page) or ".")
            return f"{mark}[{text}]({here}{'#' + heading if heading else ''})"
        return text if not mark and (ROOT / source).exists() else match[0]

    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(link, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join(parts) + _LINK.sub(link, markdown[end:])


def _pictures(files: Files) -> set[str]:
    """Pictures that pages show and that lie outside docs/, as paths in the repository."""
    found = set()
    for file in files.documentation_pages():
        for mark, _, where in _LINK.findall(file.content_string):
            source = _target(file.src_uri, where)[0]
            outside = _is_relative(where) and not source.startswith("docs/")
            if mark and outside and source.endswith(PICTURES) and (ROOT / source).is_file():
                found.add(source)
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and pictures from elsewhere, and each notebook as a page."""
    for source, page in ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        text, pictures = notebook.page(Path(file.src_uri).name, file.content_string)
        name = file.src_uri.removesuffix(".ipynb")
        files.append(File.generated(config, f"{name}.md", content=text))
        for number, picture in pictures.items():
            files.append(File.generated(config, f"{name}-{number}.png", content=picture))
    for source in sorted(_pictures(files)):
        files.append(File.generated(config, source, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return resolved(markdown, page.file.src_uri, set(files.src_uris))


def unbroken(html: str) -> str:
    """A page in whose inline code no line ends after a hyphen, as between ``--`` and ``flag=value``."""

    def code(match: re.Match[str]) -> str:
        return "<code>" + _HYPHENED.sub(r'<span class="word">\g<0></span>', match[1]) + "</code>"

    return _INLINE_CODE.sub(code, html)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return unbroken(html)
