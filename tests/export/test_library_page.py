"""docs/library.md as it is written: its commands and files, in an empty folder, on a real network."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.tflite import graph as tflite_graph
from firmware.verify import Reference
from tests.support import REPOSITORY

PAGE = (REPOSITORY / "docs" / "library.md").read_text()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section(title: str) -> list[tuple[str, str]]:
    """(language, text) of the blocks below a heading."""
    return FENCE.findall(PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0])


@pytest.mark.seconds
def test_from_a_flatbuffer_to_a_class(shared: Path, tmp_path: Path) -> None:
    """Only the download is replaced, by a copy; the class is the one that TFLite gives the same pixels."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    blocks = section("From a .tflite to a class")
    files = {"cmake": "CMakeLists.txt", "c": "main.c"}
    commands = [line for language, body in blocks if not language for line in body.splitlines()]
    starts = ("curl ", "python ", "cmake ", "hello/build/")
    download, *commands = [line for line in commands if line.startswith(starts)]
    assert download.startswith("curl -L -o person.tflite https://") and len(commands) == 5
    shutil.copy(shared / "models" / "vww_96_int8.tflite", tmp_path / "person.tflite")
    pixels = np.random.default_rng(0).integers(0, 256, (120, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    told = ""
    for command in commands:
        words = shlex.split(command)
        words[0] = sys.executable if words[0] == "python" else words[0]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        told = done.stdout
        if words[1:3] == ["-m", "export.firmware"]:
            for language, body in blocks:
                if language:
                    (tmp_path / "hello" / files[language]).write_text(body)
    *scores, last = told.splitlines()
    header = (tmp_path / "photo.ppm").read_bytes()[:12]
    assert header.startswith(b"P6\n96 96\n255")
    seen = np.asarray(Image.open(tmp_path / "photo.ppm")).astype(np.int16) - 128
    reference = Reference(tmp_path / "person.tflite")
    expected = reference.run(seen.astype(np.int8))
    assert last == f"class {reference.label(expected)}"
    assert [float(line.split()[1]) for line in scores] == pytest.approx((expected + 128.0) / 256, abs=1e-3)


def test_the_page_names_every_call() -> None:
    """The table of calls is that of the header, of what it answers, and of several outputs."""
    parts = ("net.h.in", "class.h", "objects.h")
    header = "".join((REPOSITORY / "export/c/templates" / part).read_text() for part in parts)
    calls = set(re.findall(r"^(?:lg_status|int32_t) net_(\w+)\(", header, re.MULTILINE))
    table = PAGE.partition("\n## Calls\n")[2].partition("\n**Memory")[0]
    assert set(re.findall(r"^\| `person_(\w+)` \|", table, re.MULTILINE)) == calls | {"further_output"}


@pytest.mark.seconds
def test_the_other_snippets_compile(shared: Path, tmp_path: Path) -> None:
    command = section("From a .tflite to a class")[0][1].splitlines()[-1]
    shutil.copy(shared / "models" / "vww_96_int8.tflite", tmp_path / "person.tflite")
    words = [sys.executable, *shlex.split(command)[1:]]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, check=True)
    includes = [f"-I{tmp_path / 'hello/person' / place}" for place in ("src", "lib/include")]
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
    for title in ("Another network", "Calls"):
        (snippet,) = [body for language, body in section(title) if language == "c"]
        (tmp_path / "part.c").write_text(snippet)
        subprocess.run(["gcc", *flags, *includes, str(tmp_path / "part.c")], check=True)


@pytest.mark.seconds
def test_a_network_of_pytorch_is_taken_and_says_what_pytorch_says(tmp_path: Path) -> None:
    """The page's program, where litert-torch is installed."""
    pytest.importorskip("litert_torch", reason="litert-torch is not installed")
    (program,) = [body for language, body in section("From PyTorch") if language == "py"]
    program += """
import numpy
with torch.no_grad():
    numpy.savez("seen.npz", images=torch.cat(images), scores=torch.cat([network(one) for one in images]))
"""
    (tmp_path / "convert.py").write_text("import torch\n\ntorch.manual_seed(0)\n" + program)
    command = [sys.executable, "convert.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    graph = tflite_graph.load(tmp_path / "person.tflite")
    source, out = graph.tensors[graph.input], graph.tensors[graph.output]
    assert [op.kind for op in graph.ops] == ["pad", "conv", "depthwise", "conv", "mean", "dense"]
    reference = Reference(tmp_path / "person.tflite", graph.input, graph.output)
    with np.load(tmp_path / "seen.npz") as seen:
        codes = np.clip(np.rint(seen["images"] / source.scale) + source.zero_point, -128, 127).astype(np.int8)
        found = np.array([reference.run(image) for image in codes], np.float64)
        assert np.abs((found - out.zero_point) * out.scale - seen["scores"]).max() < 4 * out.scale


@pytest.mark.seconds
def test_a_network_of_onnx_is_taken(tmp_path: Path) -> None:
    """The page's command, where onnx2tf is installed; what it would download lies there."""
    pytest.importorskip("onnx2tf", reason="onnx2tf is not installed")
    import onnx

    helper, random = onnx.helper, np.random.default_rng(0)
    weights = {"k": random.normal(size=(4, 3, 3, 3)) / 5, "m": random.normal(size=(4, 2))}
    nodes = [
        helper.make_node("Conv", ["image", "k"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "m"], ["scores"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("image", [1, 3, 16, 16]), ("scores", [1, 2]))
    ]
    constants = [onnx.numpy_helper.from_array(v.astype(np.float32), name) for name, v in weights.items()]
    graph = helper.make_graph(nodes, "person", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "person.onnx")
    np.save(tmp_path / "images.npy", random.random((8, 16, 16, 3)).astype(np.float32))
    sample = random.random((20, 128, 128, 3)).astype(np.float32)
    np.save(tmp_path / "calibration_image_sample_data_20x128x128x3_float32.npy", sample)
    commands = [line for _, body in section("From ONNX") for line in body.splitlines()]
    (command,) = [line for line in commands if line.startswith("onnx2tf ")]
    place = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(shlex.split(command), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = tflite_graph.load(tmp_path / "made" / "person_full_integer_quant.tflite")
    assert found.tensors[found.input].shape == (16, 16, 3)
    assert found.ops[-1].kind == "dense" and "conv" in [op.kind for op in found.ops]
