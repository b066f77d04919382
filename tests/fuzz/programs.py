"""Harnesses in C, by clang with libFuzzer and sanitizers: board's program, calls of a network, quantiser.

The first two are compiled round one random network of a seed, int8 rows or RAW behind a front end, with
frames and TFLite's scores of them in ``expected.h``. The library is compiled once.
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export import firmware
from firmware import channel, project, verify
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor
from tests.support.random_nets import random_net

SOURCES = Path(__file__).parent / "c"
# Those round a network, and all.
OF_NETWORKS = ("protocol", "network")
NAMES = (*OF_NETWORKS, "quantizer")
LIBRARY = "liblg.a"
FRAMES = 4
FORMATS = (None, "loggrad_1p5", None, "loggrad_2p75")
SENSORS = (Sensor(bits=10, black=64, white=1000), Sensor(bits=8, black=16, white=255))
_FLAGS = ["-std=c99", "-g", "-O2", "-fno-sanitize-recover=all"]
_SANITIZERS = "address,undefined"


@functools.cache
def lacking() -> str:
    """Why nothing can be compiled here; "" if it can."""
    if shutil.which("clang") is None:
        return "clang is not installed (sh firmware/install_tools.sh --fuzz)"
    probe = ["clang", "-fsanitize=fuzzer,address", "-x", "c", "-", "-o", os.devnull]
    text = "int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return n > 9 && d[9] == 3; }"
    if subprocess.run(probe, input=text.encode(), capture_output=True).returncode:
        return "clang has no libFuzzer here (sh firmware/install_tools.sh --fuzz)"
    return ""


def library(place: Path) -> Path:
    """The compiled library, an archive in ``place``; made where it is missing."""
    made = place / LIBRARY
    if not made.is_file():
        objects = place / "lib"
        objects.mkdir(parents=True, exist_ok=True)
        sources = sorted((firmware.FIRMWARE / "lib/src").glob("*.c"))
        flags = ["-fsanitize=fuzzer-no-link", "-c"]
        _compile([*flags, *map(str, sources)], [firmware.FIRMWARE / "lib/include"], objects)
        subprocess.run(["ar", "rcs", str(made), *map(str, sorted(objects.glob("*.o")))], check=True)
    return made


def build(name: str, seed: int, place: Path) -> Path:
    """A harness, ``place/NAME``, and its seeds in ``place/seeds``; of a network, that of ``seed``.

    Args:
      place: a folder; the library is kept beside it.
    """
    (place / "seeds").mkdir(parents=True, exist_ok=True)
    if name in OF_NETWORKS:
        frames = _network(seed, place)
        contents = _conversations(frames) if name == "protocol" else _calls(frames)
    else:
        contents = _configurations()
    for number, content in enumerate(contents):
        (place / "seeds" / str(number)).write_bytes(content)
    return compile_harness(name, place)


def _network(seed: int, place: Path) -> np.ndarray:
    """Write the project of a random network, and ``expected.h``; its frames."""
    form = FORMATS[seed % len(FORMATS)]
    model = place / "model.tflite"
    model.write_bytes(random_net(seed, levels=form is not None))
    if form is not None:
        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        end = fixed(form, SENSORS[seed // len(FORMATS) % len(SENSORS)]).to_json()
        about = {"model_sha256": sha256, "front_end": end, "class_names": []}
        (place / "model.json").write_text(json.dumps(about))
    made = firmware.make(model, "host", firmware.Options(FRAMES))
    firmware.write(made, place / "project", replace=True)
    there = project.load(place / "project")
    with np.load(there.path / "vectors.npz") as vectors:
        frames, tensors = vectors["frames"], vectors["tensors"]
    reference = verify.Reference(model, there.input_tensor, there.output_tensor)
    scores = np.stack([reference.run(tensor) for tensor in tensors])
    (place / "expected.h").write_text(_expected(frames, scores))
    return frames


def compile_harness(name: str, place: Path) -> Path:
    """The program of a harness, of what :func:`build` put into ``place``."""
    archive, made = library(place.parent), place / "project"
    sources, includes = [SOURCES / f"lg_{name}_fuzz.c"], [SOURCES, firmware.FIRMWARE / "lib/include"]
    if name in OF_NETWORKS:
        sources += [made / "src/net.c", made / "src/net_weights.c"]
        includes += [place, *(made / part for part in ("src", "program", "boards/common"))]
    arguments = ["-fsanitize=fuzzer", *map(str, sources), str(archive), "-o", name]
    _compile(arguments, includes, place)
    return place / name


def _compile(arguments: Sequence[str], includes: Sequence[Path], cwd: Path) -> None:
    command = ["clang", *_FLAGS, f"-fsanitize={_SANITIZERS}", *(f"-I{path}" for path in includes), *arguments]
    subprocess.run(command, check=True, cwd=cwd)


def _expected(frames: np.ndarray, scores: np.ndarray) -> str:
    """C of the frames and of what comes of them."""

    def values(array: np.ndarray) -> str:
        inner = array.tolist() if array.ndim == 1 else [values(part) for part in array]
        return "{" + ", ".join(map(str, inner)) + "}"

    return f"""#include "net.h"
enum {{ FRAMES = {len(frames)} }};
static const net_code frames[FRAMES][NET_ROWS][NET_ROW_CODES] = {values(frames)};
static const int8_t expected[FRAMES][NET_OUTPUTS] = {values(scores)};
"""


def _conversations(frames: np.ndarray) -> list[bytes]:
    """What hosts say: with checksums of their own, and without."""
    code_bytes = frames.dtype.itemsize
    rows = [channel.row_text(y, row, code_bytes) for y, row in enumerate(frames[0])]
    asked = ["I", "F 2", *rows, "S", "M", "C", "F 1", *rows[:2], rows[1], "S", "X"]
    whole = [f"{text}*{zlib.crc32(text.encode()):08x}" for text in asked]
    return [b"\1" + "\n".join(asked).encode(), b"\0" + "\n".join(whole).encode()]


def _calls(frames: np.ndarray) -> list[bytes]:
    """Init, then a frame by rows, in steps, and one of those whose scores are known; then what is wrong."""
    row = frames[0].view(np.uint8).reshape(len(frames[0]), -1)
    pushed = b"".join(b"\3\0" + one.tobytes() for one in row)
    stepped = b"".join(b"\4\0" + one.tobytes() + b"\5\xff" * 4 for one in row)
    return [
        b"\0\1" + pushed + b"\6",
        b"\0\0" + stepped + b"\6\7\1\2",
        b"\1\7\2\6\3\xef\0\0\3\xf1\3\3" + pushed,
    ]


def _configurations() -> list[bytes]:
    """A quantiser of levels of each packing, of 8 and 12 bits, and lines for it."""
    codes = np.random.default_rng(0).integers(0, 256, 400, np.uint8).tobytes()
    heads = [
        bytes([form, 12, 5, bits, 0, 64, 0, 255, 15, *(90, 1, 0, 0) * 3, count, 12, 1, packing])
        for form, bits, count, packing in (
            (3, 0, 0, 1),
            (3, 4, 1, 3),
            (7, 0, 2, 4),
            (1, 8, 0, 2),
            (27, 0, 0, 0),
        )
    ]
    return [head + codes for head in heads]
