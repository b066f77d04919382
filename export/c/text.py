"""Small pieces of C text: wrapped lists, names, comments and strings that nothing can break out of."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from loggrad_tf.errors import LogGradError

TEMPLATES = Path(__file__).parent / "templates"
WIDTH = 110
# What a network is called if nobody names it: its public symbols begin with it, its files too.
NAME = "net"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME = 32
# Headers of C that a header of the same name, in a folder that is looked through first, would hide.
_HEADERS = (
    *("assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits", "locale"),
    *("math", "setjmp", "signal", "stdalign", "stdarg", "stdatomic", "stdbool", "stddef", "stdint", "stdio"),
    *("stdlib", "stdnoreturn", "string", "strings", "tgmath", "threads", "time", "uchar", "unistd", "wchar"),
    "wctype",
)
_PREFIX = re.compile(rf"\b{NAME}(?=_|\.[ch]\b)|\b{NAME.upper()}(?=_)")
# Targets of the generated CMakeLists.txt, and names that CMake or a source has itself.
_TARGETS = ("lg", "main", "firmware", "all", "clean", "help", "install", "package", "test", "depend")
# What a prefix is not looked for in: comments and strings.
_TEXT = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\])*"', re.DOTALL)


def check_name(name: str) -> str:
    """``name``, which C symbols and files of a project can begin with.

    Raises:
      LogGradError: they cannot.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise LogGradError(
            f"--name={name[:40]}: give at most {_LONGEST_NAME} small letters, digits and single _,"
            " a letter first"
        )
    if name in (*_TARGETS, *_HEADERS) or name.startswith("lg_"):
        raise LogGradError(f"--name={name}: the library, CMake or C has that name already: choose another")
    return name


def named(code: str, name: str, *, prose: bool = False) -> str:
    """C in which ``net_``, ``NET_``, ``net.h`` and ``net.c`` are of ``name``.

    Args:
      prose: in comments and strings too, where they are ours and not the model's.
    """

    def rename(text: str) -> str:
        return _PREFIX.sub(lambda match: name if match[0] == NAME else name.upper(), text)

    if prose:
        return rename(code)
    kept = _TEXT.findall(code)
    return "".join(
        part for pair in zip(map(rename, _TEXT.split(code)), [*kept, ""], strict=True) for part in pair
    )


def wrapped(items: Iterable[str]) -> str:
    """Items of an initialiser, indented, with commas, lines of at most WIDTH."""
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line]) + "\n"


def comment(text: str, most: int = 80) -> str:
    """Text that cannot end a comment, of at most ``most`` characters."""
    return re.sub(r"[^ -~]", "?", text)[:most].replace("*/", "* /").replace("/*", "/ *")


def aligned(code: str) -> str:
    """C in which the comments behind macros stand below one another."""
    found = [line.rpartition(" /* ") for line in code.split("\n")]
    macros = [(head.rstrip(), note) if head.startswith("#define") else None for head, _, note in found]
    width = max((len(one[0]) for one in macros if one), default=0)
    lines = code.split("\n")
    return "\n".join(
        f"{one[0]:{width}} /* {one[1]}" if one else line for one, line in zip(macros, lines, strict=True)
    )


def quoted(text: str) -> str:
    """A C string literal."""
    plain = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{plain}"'


def literal(value: float) -> str:
    """A C constant of type float: the nearest to ``value``."""
    text = f"{value:.9g}"
    return text + ("f" if re.search("[.e]", text) else ".0f")


def filled(text: str, values: Mapping[str, object]) -> str:
    """A template with every @NAME@ replaced."""
    return re.sub(r"@([A-Z_0-9]+)@", lambda match: str(values[match[1]]), text)


def template(file: str, values: Mapping[str, object] | None = None) -> str:
    """A part of a file, with its values; its first line, which names the licence, is left out."""
    _, _, text = (TEMPLATES / file).read_text().partition("\n")
    return filled(text, values or {})
