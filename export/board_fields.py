"""What ``board.json`` holds: every field, what it means, and a check of a board that somebody else wrote.

The table in docs/own-board.md is :func:`table`, so the page and the check cannot say different things.
Refused are fields that are missing, unknown, of another type or outside their range, and fields that
contradict each other; the error is one line that names the field and says what it means.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import BAYER, MONO, Sensor

CORES = (
    *("cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4"),
    *("cortex-m7", "cortex-m33", "cortex-m55"),
)
CHANNELS = ("semihosting", "uart")
_UNITS = ("cycles", "instructions")
_MOST = 2**32 - 1
_KINDS = {int: "an integer", str: "a text", list: "a list of texts", dict: "an object", bool: "true"}


@dataclasses.dataclass(frozen=True)
class Field:
    """One field.

    Attributes:
      kind: int, str, bool (true only), list of strings, or dict, whose own fields follow.
      meaning: a phrase.
      least: of an integer.
      choices: the only values; empty: any.
      null: ``null`` is a value, for what the board has not.
      optional: may be left out.
    """

    kind: type
    meaning: str
    least: int = 0
    choices: tuple[str, ...] = ()
    null: bool = False
    optional: bool = False


# In the order of the files; a dot leads into an object.
FIELDS = {
    "name": Field(str, "the folder's name: letters, digits, `-` and `_`"),
    "title": Field(str, "what pages and reports call the board"),
    "core": Field(str, "the core, whose kernels and costs it gets", choices=CORES),
    "clock_hz": Field(int, "clock of the core that `lg_board_init` sets; times are estimated with it", 1),
    "flags": Field(list, "options of the compiler and the linker: instruction set, core, FPU"),
    "flash": Field(dict, "the memory that code and constants lie in"),
    "flash.origin": Field(int, "its first address, where the chip looks for the vector table"),
    "flash.length": Field(int, "its bytes, all free for the image", 1),
    "flash.wait_states": Field(
        int, "cycles more of an access that no cache or buffer answers (left out: 0)", optional=True
    ),
    "flash.caches": Field(str, "what it gives at once, and what lies ahead of it", optional=True),
    "ram": Field(dict, "the memory that stack and variables lie in"),
    "ram.origin": Field(int, "its first address"),
    "ram.length": Field(int, "its bytes, contiguous", 1),
    "stack": Field(int, "bytes of stack at the start of RAM, a multiple of 8", 8),
    "qemu": Field(dict, "how QEMU runs it; null: it does not", null=True),
    "qemu.machine": Field(str, "the name that `qemu-system-arm -M` takes"),
    "qemu.args": Field(list, "its further arguments: no window, instructions counted, semihosting served"),
    "counter": Field(dict, "what `lg_board_ticks` counts; null: it returns 0", null=True),
    "counter.numerator": Field(int, "of the units in a tick", 1),
    "counter.denominator": Field(int, "of the units in a tick", 1),
    "counter.unit": Field(str, "instructions under QEMU, else cycles of the core", choices=_UNITS),
    "channel": Field(str, "how the image talks to the host if nobody chooses", choices=CHANNELS),
    "statics": Field(dict, "bytes of variables of the board's sources, for each channel that it has"),
    "statics.semihosting": Field(int, "with semihosting, through a debugger or QEMU", optional=True),
    "statics.uart": Field(int, "with the serial line", optional=True),
    "common": Field(list, "sources of `firmware/boards/common` that are compiled with `board.c`"),
    "camera": Field(
        dict, "the sensor that `lg_board_camera_line` reads; null: none", null=True, optional=True
    ),
    "camera.title": Field(str, "what photographs call it"),
    "camera.bits": Field(int, "depth of its codes, 8 to 16", 8),
    "camera.black": Field(int, "code of no light"),
    "camera.white": Field(int, "code of saturation", 1),
    "camera.cfa": Field(str, "colour filters from the window's first photosite on", choices=(MONO, *BAYER)),
    "camera.side": Field(int, "of the largest square window, in photosites: the most rows", 1),
    "camera.width": Field(int, "columns of the widest window, if more than `camera.side`", 1, optional=True),
    "camera.lines": Field(int, "the longest exposure that `lg_board_camera_expose` takes", 1),
    "camera.line_us": Field(int, "microseconds of a line of exposure", 1),
    "link": Field(list, "further options of the linker: the C library"),
    "flash_tools": Field(dict, "programmers that write to it, the best first; null: none does", null=True),
    "flash_tools.openocd": Field(list, "scripts (`.cfg`) and commands of OpenOCD", optional=True),
    "flash_tools.pyocd": Field(str, "pyOCD's name of the chip", optional=True),
    "flash_tools.probe-rs": Field(str, "probe-rs' name of the chip", optional=True),
    "flash_tools.st-flash": Field(bool, "st-flash writes it", optional=True),
    "flash_tools.jlink": Field(str, "J-Link's name of the device", optional=True),
    "flash_tools.bossac": Field(bool, "bossac writes it, through its boot loader", optional=True),
    "flash_tools.uf2": Field(
        int, "family number of UF2 files, for a boot loader with a drive", optional=True
    ),
}


def largest_window(camera: Mapping[str, Any]) -> tuple[int, int]:
    """The most rows and columns of a board.json's ``camera``, in photosites."""
    return camera["side"], camera.get("width", camera["side"])


def keys(facts: Mapping[str, Any]) -> Iterator[str]:
    """The names of :data:`FIELDS` that a board.json holds, in its order."""
    for key, value in facts.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in value)


def check(facts: Any, path: Path, common: Path) -> dict[str, Any]:
    """``facts`` as they were read from the board.json at ``path``, if nothing is wrong with them.

    Args:
      common: the folder of sources that boards share.
    Raises:
      LogGradError: what is wrong with which field, and what the field means.
    """
    if not isinstance(facts, dict):
        raise LogGradError(f"{path}: no JSON object: see docs/own-board.md")
    for key in keys(facts):
        if key not in FIELDS:
            raise LogGradError(f"{path}: unknown field '{key}': see docs/own-board.md")
    for key, field in FIELDS.items():
        outer, _, inner = key.rpartition(".")
        place = facts.get(outer) if outer else facts
        if place is None:
            continue
        if inner not in place:
            if not field.optional:
                raise _wrong(path, key, "is missing")
        elif not (place[inner] is None and field.null):
            _check_value(path, key, place[inner])
    _check_together(facts, path, common)
    return facts


def _wrong(path: Path, key: str, what: str) -> LogGradError:
    return LogGradError(f"{path}: '{key}' {what}; it means: {FIELDS[key].meaning}")


def _check_value(path: Path, key: str, value: Any) -> None:
    field = FIELDS[key]
    fits = isinstance(value, field.kind) and (field.kind is bool) == isinstance(value, bool)
    if fits and field.kind is list:
        fits = all(isinstance(one, str) for one in value)
    if not fits or value is False:
        raise _wrong(path, key, f"is {_shown(value)}, {_KINDS[field.kind]} is needed")
    if field.kind is int and not field.least <= value <= _MOST:
        raise _wrong(path, key, f"is {_shown(value)}, {field.least} to {_MOST} is needed")
    if field.choices and value not in field.choices:
        raise _wrong(path, key, f"is {_shown(value)}, one of {', '.join(field.choices)} is needed")


def _check_together(facts: dict[str, Any], path: Path, common: Path) -> None:
    if facts["name"] != path.parent.name or not re.fullmatch(r"[\w-]{1,100}", facts["name"], re.ASCII):
        raise _wrong(path, "name", f"is {_shown(facts['name'])} in a folder {path.parent.name}")
    if facts["name"] == common.name:
        raise _wrong(path, "name", f"is '{common.name}', where a project has the shared sources")
    if facts["stack"] % 8 or facts["stack"] >= facts["ram"]["length"]:
        raise _wrong(path, "stack", f"is {facts['stack']}, of {facts['ram']['length']} B of RAM")
    if facts["channel"] not in facts["statics"]:
        raise _wrong(path, "channel", f"is '{facts['channel']}', which 'statics' has no bytes for")
    if (camera := facts.get("camera")) is not None:
        try:
            Sensor(camera["bits"], camera["black"], camera["white"], camera["cfa"])
        except LogGradError as error:
            raise _wrong(path, "camera", f"is of no {error}") from None
        if largest_window(camera)[1] < camera["side"]:
            raise _wrong(path, "camera.width", f"is {camera['width']}, 'camera.side' {camera['side']}")
    for source in facts["common"]:
        if not re.fullmatch(r"\w+\.c", source) or not (common / source).is_file():
            raise _wrong(path, "common", f"has {_shown(source)}, which is not there")


def _shown(value: Any) -> str:
    text = f"a {type(value).__name__}" if isinstance(value, dict | list) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def table() -> str:
    """A Markdown table: field, value, meaning."""
    rows = [("field", "value", "meaning"), ("---", "---", "---")]
    for key, field in FIELDS.items():
        value = " or ".join(f"`{choice}`" for choice in field.choices) or _KINDS[field.kind]
        value += ", or null" if field.null else ", or left out" if field.optional else ""
        rows.append((f"`{key}`", value, field.meaning))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
