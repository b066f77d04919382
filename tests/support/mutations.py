"""Files changed by a seed: bits and bytes of any, fields of those whose form is known."""

import io
import json
import re
import struct
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np

Random = np.random.Generator

_WORDS = (0, 1, 2, 255, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 0x7F800000, 0x7FC00000)
_TEXTS = (
    *(b"", b"0", b"-1", b"1.5", b"1e999", b"nan", b"NaN", b"Infinity", b"9" * 30, b"9" * 5000, b"\xff\xfe"),
    *(b"\0", b'"', b"'", b",", b"\n", b"\r", b"\xc3\x28", b"\xed\xa0\x80", b"<!DOCTYPE x>", b"&lol;"),
    *(b"../" * 9, b"x" * 200_000, b"[" * 100_000, b"<object>" * 20_000, b'{"a":' * 50_000),
)  # fmt: skip
_SHAPES = ("()", "(0,)", "(1,)", "(-1,)", "(10**15,)", f"({10**15},)", f"({2**62}, 8)", "(2, 3)", "(True,)")
_KINDS = ("|O", "<f8", "<i8", "<u2", ">u2", "|V3", "<U9", "<M8[s]", "|b1", "<c16", "nonsense", "<f4")


def _pick(items: Any, random: Random) -> Any:
    return items[int(random.integers(len(items)))]


def changed_bytes(data: bytes, random: Random) -> bytes:
    """One to four changes: bits, bytes, words of either order, parts removed, repeated or cut off.

    Half of them lie in the first 512 bytes, where headers are.
    """
    made = bytearray(data)
    for _ in range(int(_pick((1, 1, 2, 4), random))):
        end = min(len(made), 512) if random.integers(2) else len(made)
        at = int(random.integers(max(end, 1)))
        change = random.integers(8)
        if change == 0 and made:
            made[at % len(made)] ^= 1 << int(random.integers(8))
        elif change == 1 and made:
            made[at % len(made)] = int(random.integers(256))
        elif change == 2:
            made[at : at + 4] = int(_pick(_WORDS, random)).to_bytes(4, _pick(("little", "big"), random))
        elif change == 3:
            made[at : at + 2] = int(random.integers(65536)).to_bytes(2, "little")
        elif change == 4:
            del made[at : at + int(random.integers(1, 64))]
        elif change == 5:
            made[at:at] = made[at : at + int(random.integers(1, 64))]
        elif change == 6:
            made[at : at + 16] = bytes(min(16, len(made) - at))
        elif random.integers(2):
            del made[at:]
    return bytes(made)


def changed_text(data: bytes, random: Random) -> bytes:
    """A word or a number replaced, a line repeated, removed or moved, or something put between."""
    words = list(re.finditer(rb"[\w.+-]+", data))
    change = random.integers(5)
    if change < 2 and words:
        word = _pick(words, random)
        return data[: word.start()] + _pick(_TEXTS, random) + data[word.end() :]
    lines = data.split(b"\n")
    place = int(random.integers(len(lines)))
    if change == 2:
        lines.insert(place, _pick(lines, random))
    elif change == 3:
        del lines[place]
    else:
        lines[place] = lines[place][: int(random.integers(len(lines[place]) + 1))] + _pick(_TEXTS, random)
    return b"\n".join(lines)


def _values(random: Random) -> Any:
    deep: Any = 0
    for _ in range(int(random.integers(1, 60))):
        deep = [deep]
    return _pick(
        (
            *(None, True, False, 0, -1, 1, 2, 7, 1.5, -0.5, 2**31, 2**63, 2**64, -(2**63), 10**300, 1e308),
            *(
                float("nan"),
                float("inf"),
                "",
                "x",
                "../..",
                "\ud800",
                "9" * 400,
                [],
                {},
                [[]],
                [None],
                [1, "x"],
            ),
            *({"a": 1}, deep, [0] * 5000, {"": {}}),
        ),
        random,
    )


def changed_json(data: bytes, random: Random) -> bytes:
    """A value somewhere replaced, removed, renamed or moved to another place."""
    tree = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(tree)
    for _ in range(int(_pick((1, 1, 2), random))):
        node, key = _pick(places, random)
        change = random.integers(6)
        try:
            if change < 3:
                node[key] = _values(random)
            elif change == 3:
                other, its = _pick(places, random)
                node[key] = json.loads(json.dumps(other[its]))
            elif change == 4:
                del node[key]
            elif isinstance(node, dict):
                node[_pick(("x", "", "version"), random)] = node.pop(key)
            else:
                node.append(_values(random))
        except (KeyError, IndexError):
            continue
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def changed_array(data: bytes, random: Random) -> bytes:
    """The header or the values of a .npy file."""
    header = re.search(rb"\{.*\}", data[:1000])
    change = random.integers(5)
    if change == 0 or header is None:
        return changed_bytes(data, random)
    text = header[0].decode("latin1")
    if change == 1:
        text = re.sub(r"'shape': \([^)]*\)", f"'shape': {_pick(_SHAPES, random)}", text)
    elif change == 2:
        text = re.sub(r"'descr': '[^']*'", f"'descr': '{_pick(_KINDS, random)}'", text)
    elif change == 3:
        text = _pick(
            ("{" * 3000, "[" * 9000, "{'descr'}", "1", "", "(" * 200 + ")" * 200, text + "x"), random
        )
    else:
        text = text.replace("False", _pick(("True", "None", "0", "x"), random))
    if change == 4 and random.integers(2):
        values = bytearray(data)
        at = int(random.integers(header.end(), len(values) + 1))
        values[at : at + 4] = int(_pick(_WORDS, random)).to_bytes(4, "little")
        return bytes(values)
    packed = text.encode("latin1") + b"\n"
    return (
        b"\x93NUMPY\x01\0"
        + struct.pack("<H", min(len(packed), 65535))
        + packed
        + data[header.end() :].lstrip()
    )


def changed_archive(data: bytes, random: Random) -> bytes:
    """A member of a .npz file, its check sum made right; or the archive itself."""
    if random.integers(3) == 0:
        return changed_bytes(data, random)
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(made, "w") as new,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # two members of one name
        chosen = _pick(old.namelist(), random)
        way = random.integers(5)
        for name in old.namelist():
            content = old.read(name)
            if name == chosen and way == 0:
                continue
            if name == chosen and way == 1:
                name = _pick(("x.npy", "../x.npy", "w9999", "w000.npy"), random)
            elif name == chosen:
                content = changed_array(content, random)
            new.writestr(name, content, _pick((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), random))
    return made.getvalue()


def changed_png(data: bytes, random: Random) -> bytes:
    """A chunk of a PNG, its check sum made right."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + size]])
        at += 12 + size
    chunk = _pick(chunks, random)
    change = random.integers(4)
    if change == 0:
        chunks.insert(int(random.integers(len(chunks) + 1)), chunk)
    elif change == 1:
        chunks.remove(chunk)
    else:
        chunk[1] = changed_bytes(chunk[1], random)
    parts = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:8] + b"".join(parts)


_BY_SUFFIX = {
    ".json": (changed_json, changed_json, changed_text),
    ".jsonl": (changed_text,),
    ".csv": (changed_text, changed_text),
    ".xml": (changed_text, changed_text),
    ".txt": (changed_text,),
    ".npy": (changed_array, changed_array),
    ".npz": (changed_archive, changed_archive),
    ".png": (changed_png, changed_png),
}


def changed(name: str, data: bytes, random: Random) -> bytes:
    """A file of this name and content, changed as its suffix suggests or byte by byte."""
    suffix = name[name.rindex(".") :]
    return _pick((*_BY_SUFFIX.get(suffix, ()), changed_bytes), random)(data, random)


def changed_line(data: bytes, random: Random) -> bytes:
    """A value in one line of a file that has a JSON object a line."""
    lines = data.split(b"\n")
    place = int(random.integers(len(lines) - 1))
    lines[place] = changed_json(lines[place], random)
    return b"\n".join(lines)


_BY_SUFFIX[".jsonl"] = (changed_text, changed_line, changed_line)
