"""Docstrings as Markdown: what they have of reStructuredText, for the pages of the API.

Roles such as ``:class:`FrontEnd``` become links to what they name, where the site has it, and code where it
has not; ``::`` before an indented block goes, and the block stays as it is; a table of ``====`` becomes one
of ``|``. Sections need no empty line above them, a docstring may begin with one, and ``a, b:`` in one is two
entries. A ``*`` is a ``*``: there is no emphasis.
"""

import re
import textwrap

import griffe

_ROLE = re.compile(r":(?:mod|class|func|meth|data|attr|exc):`([^`]+)`")
_SECTION = re.compile(r"(?<=[^\n])\n(?=(?:Args|Attributes|Raises|Returns|Yields):\n)")
_ENTRIES = re.compile(r"^( +)(\w+(?:, \w+)+):(.*(?:\n\1 +.*)*)", re.MULTILINE)
_TABLE = re.compile(r"^(=+(?: +=+)+)\n(.+)\n\1\n((?:.+\n)+?)\1$", re.MULTILINE)
_CODE = re.compile(r"(``.+?``)", re.DOTALL)


def _table(match: re.Match[str]) -> str:
    """A simple table of reStructuredText as one of Markdown; the rule of ``=`` says where columns are."""
    columns: list[tuple[int, int | None]] = [run.span() for run in re.finditer("=+", match[1])]
    columns[-1] = (columns[-1][0], None)
    rows = [
        [line[begin:end].strip() for begin, end in columns]
        for line in (match[2], *match[3].strip().split("\n"))
    ]
    rows.insert(1, ["---"] * len(columns))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _entry_each(match: re.Match[str]) -> str:
    indent, names, text = match.groups()
    return "\n".join(f"{indent}{name}:{text}" for name in names.split(", "))


def _path(name: str, where: griffe.Object) -> str:
    """The full dotted name that a role means in the place where it is written."""
    first, dot, rest = name.partition(".")
    for scope in (where, where.parent):
        if scope is not None and first in scope.all_members:
            return f"{scope.all_members[first].canonical_path}{dot}{rest}"
    try:
        return where.resolve(first) + dot + rest
    except griffe.NameResolutionError:
        return name


def _paragraph(text: str, where: griffe.Object) -> str:
    """What stands between two empty lines; indented, it is shown as it is."""
    if text.startswith("    "):
        return _ROLE.sub(r"\1", text).replace("``", "")
    if text.startswith(("Args:", "Attributes:")):
        text = _ENTRIES.sub(_entry_each, text)

    def role(match: re.Match[str]) -> str:
        path = _path(match[1], where)
        return f'<autoref optional identifier="{path}"><code>{match[1]}</code></autoref>'

    parts = _CODE.split(_TABLE.sub(_table, text))
    parts[::2] = [_ROLE.sub(role, part.replace("*", r"\*")) for part in parts[::2]]
    return "".join(parts).removesuffix("::") + (":" if text.endswith("::") else "")


def markdown(text: str, where: griffe.Object) -> str:
    """The docstring of an object as Markdown with sections in Google's style."""
    head, newline, rest = text.partition("\n")
    if head == "Attributes:" and not rest.startswith(" "):
        text = head + newline + textwrap.indent(rest, "  ")
    paragraphs = _SECTION.sub("\n\n", text).split("\n\n")
    return "\n\n".join(_paragraph(paragraph, where) for paragraph in paragraphs)


class Docstrings(griffe.Extension):
    """Rewrites every docstring of a package once it is read."""

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        self._rewrite(pkg)

    def _rewrite(self, found: griffe.Object) -> None:
        if found.docstring:
            found.docstring.value = markdown(found.docstring.value, found)
        for member in found.members.values():
            if not member.is_alias:
                self._rewrite(member)
