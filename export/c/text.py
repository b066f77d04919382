"""Small pieces of C text: wrapped lists, comments and strings that nothing can break out of."""

import re
from collections.abc import Iterable, Mapping

WIDTH = 110


def wrapped(items: Iterable[str]) -> str:
    """Items of an initialiser, indented, with commas, lines of at most WIDTH."""
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line]) + "\n"


def comment(text: str) -> str:
    """Text that cannot end a comment."""
    return re.sub(r"[^ -~]", "?", text)[:80].replace("*/", "* /").replace("/*", "/ *")


def quoted(text: str) -> str:
    """A C string literal."""
    plain = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{plain}"'


def filled(text: str, values: Mapping[str, object]) -> str:
    """A template with every @NAME@ replaced."""
    return re.sub(r"@([A-Z_0-9]+)@", lambda match: str(values[match[1]]), text)
