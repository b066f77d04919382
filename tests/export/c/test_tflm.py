"""Projects on TensorFlow Lite Micro, built against the stand-in of tests/export/c/tflm_stub."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from export import firmware
from export.c import tflm, vectors
from export.plan.input import Input, describe
from export.tflite import graph as tflite_graph
from export.tflite import shapes as tflite_shapes
from export.tflite.operators import KNOWN
from firmware import build, channel, project, verify
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FORMATS, FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor
from tests.support import quantized

STUB = Path(__file__).parent / "tflm_stub"
SENSOR = Sensor(bits=10, black=64, white=1000)
TOOLS = "tensorflow/lite/micro/tools/make"
CXX = [
    "-std=c++17", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror",
    "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-DTF_LITE_STATIC_MEMORY",
]  # fmt: skip
C = [
    "-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wmissing-prototypes", "-pedantic",
    "-Werror",
]  # fmt: skip
M4 = ["-mthumb", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
# Besides loggrad_1p5, which has a project of its own.
FRONT_ENDS = [None, *(pytest.param(f, marks=pytest.mark.slow) for f in FORMATS if f != "loggrad_1p5")]
LIBRARY = {
    "host": f"gen/linux_{os.uname().machine}_release_gcc",
    "mps2-an386": "gen/cortex_m_generic_cortex-m4+fp_release_cmsis_nn_gcc",
}


def small(front_end: FrontEnd, height: int = 9, width: int = 11) -> bytes:
    """A network behind a front end."""
    net = quantized.Net(5)
    x = net.conv(net.input((height, width, 1), front_end.input_scale, front_end.input_zero_point), 4, 3, 2)
    return net.flatbuffer(net.dense(net.mean(x), 2))


def sources(
    flatbuffer: bytes, front_end: FrontEnd | None = None, arena: int | None = None, factor: int = 1
) -> tuple[dict[str, bytes], Input]:
    graph = tflite_graph.parse(flatbuffer)
    tensor = graph.tensors[graph.input]
    source = describe(front_end, tensor.shape, tensor.scale, tensor.zero_point, factor)
    size = tflm.arena_bytes(graph) if arena is None else arena
    return tflm.files(flatbuffer, graph, source, ("no", 'a "yes"?'), "a command", "stamp", size), source


def generate(
    folder: Path,
    flatbuffer: bytes,
    front_end: FrontEnd | None = None,
    board: str = "host",
    arena: int | None = None,
    factor: int = 1,
) -> project.Project:
    """A project on disk, with three random frames."""
    files, source = sources(flatbuffer, front_end, arena, factor)
    graph = tflite_graph.parse(flatbuffer)
    size = tflm.arena_bytes(graph) if arena is None else arena
    record = {
        "loggrad_project": firmware.VERSION,
        "board": board,
        "model_sha256": graph.sha256,
        "stamp": "stamp",
        "rows": source.rows,
        "row_codes": source.row_codes,
        "code_bytes": source.code_bytes,
        "layers": [{"name": n, "tensor": t, "bytes": b} for n, t, b in tflm.layers(graph)],
        "outputs": graph.tensors[graph.output].size,
        "class_names": ["no", "yes"],
        "state_bytes": tflm.state_bytes(source, size),
        "arena_bytes": size,
        "predicted": {"state": None, "program": None, "ram": None, "flash": None},
    }
    files |= {
        "project.json": json.dumps(record).encode(),
        "model.tflite": flatbuffer,
        "vectors.npz": vectors.make(source, None, 3).npz(),
    }
    firmware.write_folders(board, folder)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return project.load(folder)


def compile_stub(folder: Path, board: str, options: tuple[str, ...] = ()) -> Path:
    """libtensorflow-microlite.a of the stand-in."""
    prefix, flags = ("", []) if board == "host" else ("arm-none-eabi-", [*M4, "-DCMSIS_NN"])
    folder.mkdir(parents=True)
    target, source = folder / "stub.o", STUB / "tensorflow/lite/micro/micro_interpreter.cc"
    command = [
        f"{prefix}g++",
        *flags,
        *CXX,
        *options,
        "-isystem",
        str(STUB),
        "-c",
        str(source),
        "-o",
        str(target),
    ]
    subprocess.run(command, check=True)
    library = folder / "libtensorflow-microlite.a"
    subprocess.run([f"{prefix}ar", "qc", str(library), str(target)], check=True)
    return library


def checkout(folder: Path, board: str = "host", options: tuple[str, ...] = ()) -> Path:
    """A checkout as its Makefile leaves it."""
    shutil.copytree(STUB / "tensorflow", folder / "tensorflow", ignore=shutil.ignore_patterns("*.cc"))
    for part in ("flatbuffers/include", "gemmlowp", "ruy"):
        (folder / TOOLS / "downloads" / part).mkdir(parents=True)
    (folder / TOOLS / "Makefile").write_text("")
    compile_stub(folder / LIBRARY[board] / "lib", board, options)
    return folder


@pytest.fixture(scope="module")
def tflm_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("tflm") / "a check+out")


def configure(made: project.Project, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "TFLM_DIR"}
    command = ["cmake", "--preset", made.board["name"], *options]
    return subprocess.run(
        command, cwd=made.path, env=environment, capture_output=True, text=True, check=False
    )


def built(made: project.Project, where: Path) -> project.Project:
    result = configure(made, f"-DTFLM_DIR={where}")
    assert result.returncode == 0, result.stderr
    build.build(made)
    return made


@pytest.fixture(scope="module")
def levels(tflm_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> project.Project:
    """A built project of board host, behind a front end."""
    front_end = fixed("loggrad_1p5", SENSOR)
    folder = tmp_path_factory.mktemp("levels") / "a path with spaces"
    return built(generate(folder, small(front_end), front_end), tflm_dir)


def score_bytes(tensor: np.ndarray, outputs: int) -> bytes:
    """What the stand-in answers."""
    crc = zlib.crc32(tensor.tobytes()).to_bytes(4, "little")
    return bytes(crc[i % 4] for i in range(outputs))


def frames(made: project.Project) -> tuple[np.ndarray, np.ndarray]:
    with np.load(made.path / "vectors.npz") as data:
        return data["frames"], data["tensors"]


# The generated text


@pytest.mark.seconds
@pytest.mark.parametrize("tool", ["host", "arm"])
@pytest.mark.parametrize("name", quantized.NETS)
def test_generated_code_has_no_warnings(tool: str, name: str, tmp_path: Path) -> None:
    if tool == "arm" and shutil.which("arm-none-eabi-g++") is None:
        pytest.skip("arm-none-eabi-g++ is not installed")
    made = generate(tmp_path / "p", quantized.NETS[name](), board="mps2-an386")
    prefix, flags = ("arm-none-eabi-", M4) if tool == "arm" else ("", [])
    includes = [f"-I{made.path / place}" for place in ("src", "lib/include", "boards/common")]
    objects = ["-c", "-o", os.devnull]
    for source in (made.path / "src").glob("*.c*"):
        compiler, strict = ("g++", CXX) if source.suffix == ".cc" else ("gcc", C)
        command = [
            f"{prefix}{compiler}",
            *flags,
            *strict,
            *includes,
            "-isystem",
            str(STUB),
            str(source),
            *objects,
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, ""), source.name


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("format_name", "border", "factor"),
    [
        (None, "mirror", 1),
        *((f, "mirror", 1) for f in FORMATS),
        *((f, "valid", 1) for f in FORMATS if f.startswith("loggrad")),
        ("raw16", "mirror", 4),
        ("loggrad_1p5", "valid", 2),
    ],
)
def test_sizes_hold_on_a_32_bit_core(
    format_name: str | None, border: str, factor: int, tmp_path: Path
) -> None:
    """net.c and main.c refuse to compile when sizeof is not what was written down."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    front_end = fixed(format_name, SENSOR) if format_name else None
    if front_end:
        front_end = dataclasses.replace(front_end, border=border)
    flatbuffer = small(front_end) if front_end else quantized.separable()
    made = generate(tmp_path / "p", flatbuffer, front_end, "mps2-an386", factor=factor)
    includes = [f"-I{made.path / place}" for place in ("src", "lib/include", "boards/common")]
    for name in ("src/net.c", "program/main.c"):
        command = [
            "arm-none-eabi-gcc",
            *M4,
            *C,
            *includes,
            str(made.path / name),
            "-c",
            "-o",
            os.devnull,
        ]
        subprocess.run(command, check=True)


def test_every_operator_has_its_method() -> None:
    known = {
        *KNOWN,
        *tflite_shapes.ARITHMETIC,
        "QUANTIZE",
        "DEQUANTIZE",
    }
    assert known - tflm.METHODS.keys() == {"RELU_N1_TO_1"}
    text = (STUB / "tensorflow/lite/schema/schema_generated.h").read_text()
    numbers = {name: int(value) for name, value in re.findall(r"BuiltinOperator_(\w+) = (\d+)", text)}
    assert numbers == {name: getattr(schema.BuiltinOperator, name) for name in tflm.METHODS}


def test_exactly_the_operators_of_the_model() -> None:
    files, _ = sources(quantized.serial())
    text = files["src/net_interpreter.cc"].decode()
    assert "MicroMutableOpResolver<5>" in text
    assert re.findall(r"operators\.(\w+)\((.*)\) == kTfLiteOk", text) == [
        ("AddConv2D", "tflite::Register_CONV_2D_INT8()"),
        ("AddMaxPool2D", "tflite::Register_MAX_POOL_2D_INT8()"),
        ("AddAveragePool2D", "tflite::Register_AVERAGE_POOL_2D_INT8()"),
        ("AddReshape", ""),
        ("AddFullyConnected", "tflite::Register_FULLY_CONNECTED_INT8()"),
    ]
    assert tflm.INT8.keys() <= tflm.METHODS.keys()


def test_the_model_goes_into_flash_byte_for_byte() -> None:
    flatbuffer = quantized.branched()
    files, _ = sources(flatbuffer)
    text = files["src/net_model.c"].decode()
    assert hashlib.sha256(flatbuffer).hexdigest() in text and "aligned(16)" in text
    assert max(map(len, text.splitlines())) <= 120
    body = text.partition("= {")[2].partition("}")[0]
    assert bytes(int(n) for n in re.findall(r"\d+", body)) == flatbuffer
    assert sources(flatbuffer)[0] == files


def test_what_the_interpreter_cannot_do_is_refused() -> None:
    net = quantized.Net(3)
    net_output = net.lookup(net.conv(net.input((6, 6, 1)), 3, 3), "RELU_N1_TO_1")
    with pytest.raises(LogGradError, match="has no RELU_N1_TO_1"):
        sources(net.flatbuffer(net_output))
    net = quantized.Net(3)
    with pytest.raises(LogGradError, match="must be int8"):
        sources(net.flatbuffer(net.conv(net.edge_input((6, 6, 1)), 3, 3)))
    flatbuffer = quantized.serial()
    with pytest.raises(LogGradError, match="is of uint8"):
        tflm.operators(flatbuffer, dataclasses.replace(tflite_graph.parse(flatbuffer), unsigned=True))
    with pytest.raises(LogGradError, match="--arena_bytes=1000"):
        sources(quantized.serial(), arena=1000)


def test_the_arena_is_twice_the_largest_neighbours() -> None:
    graph = tflite_graph.parse(quantized.serial())
    assert graph.tensors[graph.ops[0].output].size == 16 * 16 * 6
    assert tflm.arena_bytes(graph) == 20 * 1024  # 2 * (1536 + 384) + 16384, rounded up
    text = tflm.readme(graph, 20480)
    assert "The arena is 20480 B" in text and "tensor of 256 B" in text and "`net_arena_used` gives" in text
    assert "@" not in text


# Whole projects


def check_input_tensor(made: project.Project, seen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter sees vectors.npz's tensors, and the observer reports them and the scores."""
    monkeypatch.setenv("TFLM_STUB_DUMP", str(seen))
    codes, tensors = frames(made)
    with channel.Channel(made) as board:
        verify.check_stamp(made, board.who(), project.sha256(made.path / "model.tflite"))
        results = [board.classify(frame, channel.LAYERS) for frame in codes]
    assert seen.read_bytes() == tensors.tobytes()
    for result, tensor in zip(results, tensors, strict=True):
        scores = score_bytes(tensor, made.outputs)
        assert result.scores.tobytes() == scores
        assert result.label == int(result.scores.argmax())
        rows = tensor.reshape(tensor.shape[0], -1)
        assert [(piece.layer, piece.data) for piece in result.pieces] == [
            *((0, row.tobytes()) for row in rows),
            (1, scores),
        ]


@pytest.mark.seconds
def test_levels_fill_the_input_tensor(
    levels: project.Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_input_tensor(levels, tmp_path / "seen", monkeypatch)


@pytest.mark.seconds
@pytest.mark.parametrize("format_name", FRONT_ENDS)
def test_every_front_end_fills_the_input_tensor(
    format_name: str | None, tflm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front_end = fixed(format_name, SENSOR) if format_name else None
    flatbuffer = small(front_end) if front_end else quantized.separable()
    made = built(generate(tmp_path / "p", flatbuffer, front_end), tflm_dir)
    check_input_tensor(made, tmp_path / "seen", monkeypatch)


@pytest.mark.seconds
def test_binned_codes_fill_the_input_tensor(
    tflm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front_end = fixed("loggrad_1p5", SENSOR)
    made = built(generate(tmp_path / "p", small(front_end), front_end, factor=2), tflm_dir)
    assert (made.rows, made.row_codes) == (18, 22)
    check_input_tensor(made, tmp_path / "seen", monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("format_name", ["loggrad_2p25", "loggrad_fp"])
def test_valid_border_and_eight_bits(format_name: str, tflm_dir: Path, tmp_path: Path) -> None:
    front_end = dataclasses.replace(fixed(format_name, Sensor(bits=8, black=3, white=250)), border="valid")
    made = built(generate(tmp_path / "p", small(front_end), front_end), tflm_dir)
    codes, tensors = frames(made)
    with channel.Channel(made) as board:
        for frame, tensor in zip(codes, tensors, strict=True):
            assert board.classify(frame).scores.tobytes() == score_bytes(tensor, made.outputs)


@pytest.mark.seconds
def test_verify_compares_input_and_scores(
    tflm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in computes nothing: its scores differ, the input tensor does not."""
    front_end = fixed("loggrad_1p5", SENSOR)
    monkeypatch.setenv("TFLM_DIR", str(tflm_dir))
    verdict = verify.verify(generate(tmp_path / "p", small(front_end), front_end))
    assert (verdict.vectors, verdict.mismatches) == (3, 3)
    assert "layer output differs at element" in str(verdict.first_mismatch)
    assert "(1 of 2 layers)" in str(verdict.first_mismatch)
    assert (verdict.ram_predicted, verdict.flash_predicted) == (None, None)


def test_a_frame_cut_short_and_bad_rows_are_statuses(levels: project.Project) -> None:
    frame = frames(levels)[0][0]
    with channel.Channel(levels) as board:
        whole = board.classify(frame).scores
        rows = [channel.row_text(y, row, 2) for y, row in enumerate(frame)]
        board.ask("F 0")
        assert [board.ask(row)[-1] for row in rows[:4]] == [f"R 1 {y}" for y in range(4)]
        board.ask("F 0")  # the four rows are forgotten
        assert [board.ask(row)[-1] for row in rows[:-1]] == [f"R 1 {y}" for y in range(8)]
        assert board.ask("S")[-1] == "S -14"  # LG_ERROR_TOO_FEW_LINES
        assert board.ask(rows[-1][:-4])[-1] == "R -11 8"  # LG_ERROR_LINE_NARROW
        assert board.ask(rows[-1] + "0000")[-1] == "R -12 8"  # LG_ERROR_LINE_WIDE
        assert board.ask(rows[-1])[-1] == "R 0 8"
        assert board.ask(channel.row_text(9, frame[0], 2))[-1] == "R -13 9"  # LG_ERROR_TOO_MANY_LINES
        assert bytes.fromhex(board.ask("S")[-1].split()[4]) == whole.tobytes()


@pytest.mark.seconds
def test_an_operator_that_fails_is_a_status(tmp_path: Path) -> None:
    made = generate(tmp_path / "p", quantized.serial())
    codes, tensors = frames(made)
    bad = f"-DTFLM_STUB_FAILS_ON={zlib.crc32(tensors[1].tobytes())}u"
    built(made, checkout(tmp_path / "tflm", options=(bad,)))
    with channel.Channel(made) as board:
        first = board.classify(codes[0]).scores
        board.ask(f"F {channel.LAYERS}")
        answers = [board.ask(channel.row_text(y, row, 1)) for y, row in enumerate(codes[1])]
        assert answers[-1][-1] == f"R -17 {len(codes[1]) - 1}"  # LG_ERROR_MODEL
        assert not any(line.startswith("L 1 ") for answer in answers for line in answer)
        assert board.ask("S")[-1] == "S -17"
        assert np.array_equal(board.classify(codes[0]).scores, first)


@pytest.mark.seconds
def test_a_small_arena_ends_the_program(tflm_dir: Path, tmp_path: Path) -> None:
    net = quantized.Net(3)
    flatbuffer = net.flatbuffer(net.dense(net.mean(net.conv(net.input((64, 64, 1)), 3, 3)), 2))
    made = built(generate(tmp_path / "p", flatbuffer, arena=tflm.MIN_ARENA_BYTES), tflm_dir)
    told = "ended with code 1: the interpreter does not fit its arena of 2,048 B: .* larger --arena_bytes"
    with channel.Channel(made) as board, pytest.raises(project.FirmwareError, match=told):
        board.who()


@pytest.mark.seconds
def test_the_image_says_what_its_arena_needs(tflm_dir: Path, tmp_path: Path) -> None:
    net = quantized.Net(3)
    flatbuffer = net.flatbuffer(net.dense(net.mean(net.conv(net.input((64, 64, 1)), 3, 3)), 2))
    made = built(generate(tmp_path / "p", flatbuffer), tflm_dir)
    with channel.Channel(made) as board:
        least = board.arena_used()
    assert least is not None and least % 16 == 0
    assert tflm.MIN_ARENA_BYTES < least < tflm.arena_bytes(tflite_graph.parse(flatbuffer))
    with channel.Channel(built(generate(tmp_path / "least", flatbuffer, arena=least), tflm_dir)) as board:
        assert board.arena_used() == least
    less = built(generate(tmp_path / "less", flatbuffer, arena=least - 48), tflm_dir)
    with channel.Channel(less) as board, pytest.raises(project.FirmwareError, match="does not fit"):
        board.who()


@pytest.mark.seconds
def test_statuses_of_net_init(tmp_path: Path) -> None:
    """Under the sanitizers: every arena from none to enough, two networks in one program, nulls."""
    front_end = fixed("loggrad_1p5", SENSOR)
    made = generate(tmp_path / "p", small(front_end), front_end, arena=tflm.MIN_ARENA_BYTES)
    (tmp_path / "test.c").write_text("""#include "net.h"
#include "net_interpreter.h"
static net_state nets[2];
static net_code row[NET_ROW_CODES];
static union { uint64_t aligned; unsigned char bytes[NET_ARENA_BYTES + 8]; } memory;
int main(void)
{
    net_interpreter_tensors tensors;
    const int8_t *scores;
    int wrong = 0, small = 0;
    for (uint32_t size = 0; size <= NET_ARENA_BYTES; size++) {
        const lg_status status = net_interpreter_open(memory.bytes + (size % 2u) * 4u, size, &tensors);
        wrong |= status != LG_OK && status != LG_ERROR_MEMORY;
        wrong |= status != LG_OK && size == NET_ARENA_BYTES;
        small += status == LG_ERROR_MEMORY;
    }
    wrong |= small < 1024;
    wrong |= net_init(NULL, sizeof nets[0], NET_MODEL_SHA256, NULL) != LG_ERROR_NULL;
    wrong |= net_init(nets, sizeof nets[0], NULL, NULL) != LG_ERROR_NULL;
    wrong |= net_init(nets, sizeof nets[0] - 1u, NET_MODEL_SHA256, NULL) != LG_ERROR_MEMORY;
    wrong |= net_init(nets, sizeof nets[0], "another", NULL) != LG_ERROR_MODEL;
    for (int i = 0; i < 2; i++) {
        wrong |= net_init(nets + i, sizeof nets[i], NET_MODEL_SHA256, NULL) != LG_OK;
    }
    wrong |= net_scores(nets, &scores) != LG_ERROR_TOO_FEW_LINES;
    for (uint32_t y = 0; y < NET_ROWS; y++) {
        for (int i = 0; i < 2; i++) {
            wrong |= net_push_row(nets + i, NULL, NET_ROW_CODES) != LG_ERROR_NULL;
            wrong |= net_push_row(nets + i, row, NET_ROW_CODES) != (y + 1u < NET_ROWS ? LG_NO_LINE : LG_OK);
        }
    }
    wrong |= net_push_row(nets, row, NET_ROW_CODES) != LG_ERROR_TOO_MANY_LINES;
    return wrong | (net_scores(nets + 1, &scores) != LG_OK);
}
""")
    sanitize = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    includes = [f"-I{made.path / place}" for place in ("src", "lib/include")] + ["-isystem", str(STUB)]
    objects = []
    sources_c = [tmp_path / "test.c", made.path / "src/net.c", made.path / "src/net_model.c"]
    sources_c += [
        made.path / "lib/src" / f"{name}.c" for name in ("lg_quantizer", "lg_line", "lg_raw", "lg_pack")
    ]
    sources_c += [STUB / "tensorflow/lite/micro/micro_interpreter.cc", made.path / "src/net_interpreter.cc"]
    sources_c += [path for path in [made.path / "lib/src/lg_level_codes.c"] if path.is_file()]
    for number, source in enumerate(sources_c):
        compiler, strict = ("g++", CXX) if source.suffix == ".cc" else ("gcc", ["-std=c99"])
        objects.append(str(tmp_path / f"{number}.o"))
        command = [compiler, *strict, *sanitize, *includes, "-c", str(source), "-o", objects[-1]]
        subprocess.run(command, check=True)
    subprocess.run(["g++", *sanitize, *objects, "-o", str(tmp_path / "test")], check=True)
    subprocess.run([str(tmp_path / "test")], check=True)


@pytest.mark.seconds
def test_a_tree_of_sources(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(STUB / "tensorflow", tree / "tensorflow")
    for part in ("flatbuffers/include", "gemmlowp", "ruy", "kissfft", "cmsis_nn/Include", "cmsis_nn/Source"):
        (tree / "third_party" / part).mkdir(parents=True)
    (tree / "third_party/cmsis_nn/Source/add.c").write_text("int arm_add;\n")
    (tree / "third_party/kissfft/kiss_fft.c").write_text("#error this is included by others\n")
    made = built(generate(tmp_path / "p", quantized.serial()), tree)
    codes, tensors = frames(made)
    with channel.Channel(made) as board:
        assert board.classify(codes[0]).scores.tobytes() == score_bytes(tensors[0], made.outputs)


@pytest.mark.qemu
def test_board(tmp_path: Path) -> None:
    probe = ["arm-none-eabi-g++", *M4, "-x", "c++", "-fsyntax-only", "-include", "cstdint", os.devnull]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("libstdc++-arm-none-eabi-newlib is not installed")
    front_end = fixed("loggrad_1p5", SENSOR)
    where = checkout(tmp_path / "tflm", "mps2-an386")
    made = built(generate(tmp_path / "p", small(front_end), front_end, "mps2-an386"), where)
    codes, tensors = frames(made)
    with channel.Channel(made) as board:
        assert board.who()["state_bytes"] == made.state_bytes
        for frame, tensor in zip(codes, tensors, strict=True):
            result = board.classify(frame)
            assert result.scores.tobytes() == score_bytes(tensor, made.outputs)
            executed = channel.executed(board, result.ticks)
            assert executed is not None and executed[0] > 9 * 11 * 10


# TFLM_DIR


def refusal(made: project.Project, *options: str) -> str:
    result = configure(made, *options)
    assert result.returncode != 0
    return " ".join(result.stderr.split())


@pytest.mark.seconds
def test_a_missing_or_wrong_directory_is_explained(tflm_dir: Path, tmp_path: Path) -> None:
    made = generate(tmp_path / "p", quantized.serial())
    make = (
        f"make -f {TOOLS}/Makefile TARGET=linux TARGET_ARCH={os.uname().machine} BUILD_TYPE=release microlite"
    )
    said = refusal(made)
    assert "TFLM_DIR is not set" in said and make in said and "create_tflm_tree.py" in said
    assert "git clone https://github.com/tensorflow/tflite-micro" in said
    said = refusal(made, f"-DTFLM_DIR={tmp_path}")
    assert f"TFLM_DIR='{tmp_path}' is not TensorFlow Lite Micro" in said and make in said
    said = refusal(made, f"-DTFLM_DIR={tflm_dir}", "-DTFLM_LIBRARY=/nowhere.a")
    assert "TFLM_LIBRARY names no file" in said
    part = shutil.copytree(tflm_dir, tmp_path / "part")
    (part / TOOLS / "downloads/ruy").rmdir()
    assert "is incomplete" in refusal(made, f"-DTFLM_DIR={part}")
    shutil.rmtree(part / "gen")
    assert f"has no library for {os.uname().machine}" in refusal(made, f"-DTFLM_DIR={part}")
    # What was wrong is not remembered.
    assert configure(made, f"-DTFLM_DIR={tflm_dir}").returncode == 0
    assert configure(made).returncode == 0


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("board", "arch"),
    [
        ("microbit", "cortex-m0"),
        pytest.param("mps2-an385", "cortex-m3", marks=pytest.mark.slow),
        ("mps2-an386", "cortex-m4+fp"),
        pytest.param("mps2-an500", "cortex-m7+fp", marks=pytest.mark.slow),
        pytest.param("mps2-an505", "cortex-m33", marks=pytest.mark.slow),
        pytest.param("mps3-an547", "cortex-m55", marks=pytest.mark.slow),
    ],
)
def test_the_library_goes_by_the_core(board: str, arch: str, tflm_dir: Path, tmp_path: Path) -> None:
    made = generate(tmp_path / "p", quantized.serial(), board=board)
    said = refusal(made, f"-DTFLM_DIR={tflm_dir}")
    assert f"has no library for {arch}: no gen/cortex_m_generic_{arch}_*" in said
    assert f"TARGET=cortex_m_generic TARGET_ARCH={arch} OPTIMIZED_KERNEL_DIR=cmsis_nn" in said
