"""Generated networks in programs of others: two in one image, in C++, in steps, in a CMake project."""

import dataclasses
import functools
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from export import firmware
from export.c import text
from export.firmware import Options
from export.plan import plan as planning
from export.plan import steps
from export.plan.input import describe
from export.tflite import graph as tflite_graph
from firmware import build, channel, link, project, stack
from firmware.verify import Reference, verify
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FORMATS, FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor
from tests.export.test_firmware import SENSOR, small, write_model
from tests.support import quantized
from tests.support.firmware_cases import FIRMWARE, library_sources, objects, workspace
from tests.support.operator_nets import OPERATOR_NETS
from tests.support.random_nets import random_net

SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# Kernels of the DSP extension, in C.
EMULATE = "-DLG_DSP_EMULATE"
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]


def generate(
    folder: Path,
    name: str,
    flatbuffer: bytes,
    front_end: FrontEnd | None = None,
    board: str = "host",
    binning: int = 1,
) -> project.Project:
    """A project under a name of its own."""
    model = write_model(folder / f"{name}.model", flatbuffer, front_end)
    firmware.write(firmware.make(model, board, Options(2, name=name, binning=binning)), folder / name)
    return project.load(folder / name)


def frames_of(made: project.Project) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a project, and TFLite's scores of them."""
    with np.load(made.path / "vectors.npz") as arrays:
        frames, tensors = arrays["frames"], arrays["tensors"]
    reference = Reference(made.path / "model.tflite", made.input_tensor, made.output_tensor, made.joined)
    return frames, np.array([reference.run(tensor) for tensor in tensors])


def array(name: str, values: np.ndarray, kind: str) -> str:
    return f"static const {kind} {name}[] = {{{', '.join(map(str, values.reshape(-1).tolist()))}}};\n"


@functools.cache
def library() -> list[str]:
    """Objects of lib, the same for every network."""
    folder = Path(workspace().name) / "library"
    include = f"-I{FIRMWARE / 'lib' / 'include'}"
    return objects(["gcc", "-std=c99", *STRICT, *SANITIZE, EMULATE, include], library_sources(), folder)


def compiled(folder: Path, main: str, made: list[project.Project], *flags: str, suffix: str = ".c") -> Path:
    """A program of ``main`` and networks, by the compilers alone: every source of src, and lib once."""
    (folder / f"main{suffix}").write_text(main)
    includes = [f"-I{one.path / 'src'}" for one in made] + [f"-I{made[0].path / 'lib' / 'include'}"]
    sources = [str(source) for one in made for source in sorted((one.path / "src").glob("*.c"))]
    linked = objects(["gcc", "-std=c99", *STRICT, *SANITIZE, EMULATE, *includes], sources, folder / "objects")
    compiler = "g++" if suffix == ".cc" else "gcc"
    command = [compiler, *flags, *STRICT, *SANITIZE, *includes, str(folder / f"main{suffix}")]
    subprocess.run([*command, *linked, *library(), "-o", str(folder / "main")], check=True)
    return folder / "main"


def ran(program: Path) -> str:
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Two frames of each of two networks, their rows by turns, and the scores of all.
INTERLEAVED = """
#include <stdio.h>
static person_state a;
static gesture_state b;
int main(void)
{
    int wrong = person_init(&a, sizeof a, PERSON_MODEL_SHA256, NULL) != LG_OK;
    wrong |= gesture_init(&b, sizeof b, GESTURE_MODEL_SHA256, NULL) != LG_OK;
    wrong |= gesture_init(&b, sizeof b, PERSON_MODEL_SHA256, NULL) != LG_ERROR_MODEL;
    for (uint32_t frame = 0; frame < 2u; frame++) {
        wrong |= person_begin(&a) != LG_OK || gesture_begin(&b) != LG_OK;
        for (uint32_t y = 0; y < PERSON_ROWS || y < GESTURE_ROWS; y++) {
            if (y < PERSON_ROWS) {
                const uint32_t at = (frame * PERSON_ROWS + y) * PERSON_ROW_CODES;
                wrong |= person_push_row(&a, person_frames + at, PERSON_ROW_CODES) < LG_OK;
            }
            if (y < GESTURE_ROWS) {
                const uint32_t at = (frame * GESTURE_ROWS + y) * GESTURE_ROW_CODES;
                wrong |= gesture_push_row(&b, gesture_frames + at, GESTURE_ROW_CODES) < LG_OK;
            }
        }
        const int8_t *scores = NULL;
        wrong |= person_scores(&a, &scores) != LG_OK;
        for (uint32_t i = 0; i < PERSON_OUTPUTS; i++) {
            printf("%d ", scores[i]);
        }
        wrong |= gesture_scores(&b, &scores) != LG_OK;
        for (uint32_t i = 0; i < GESTURE_OUTPUTS; i++) {
            printf("%d ", scores[i]);
        }
    }
    return wrong;
}
"""


@pytest.mark.seconds
@pytest.mark.parametrize(("suffix", "standard"), [(".c", "-std=c99"), (".cc", "-std=c++17")])
def test_two_networks_in_one_image(suffix: str, standard: str, tmp_path: Path) -> None:
    """Behind different front ends, one copy of lib, frames at the same time; the scores are TFLite's."""
    front_end = fixed("loggrad_1p5", SENSOR)
    made = [
        generate(tmp_path, "person", small(front_end), front_end),
        generate(tmp_path, "gesture", quantized.separable()),
    ]
    main, expected = '#include "person.h"\n#include "gesture.h"\n', []
    for one in made:
        frames, scores = frames_of(one)
        main += array(f"{one.name}_frames", frames, f"{one.name}_code")
        expected.append(scores)
    program = compiled(tmp_path, main + INTERLEAVED, made, standard, suffix=suffix)
    both = np.concatenate(expected, axis=1)
    assert [int(word) for word in ran(program).split()] == both.reshape(-1).tolist()


@pytest.mark.seconds
def test_public_symbols_begin_with_the_name(tmp_path: Path) -> None:
    made = generate(tmp_path, "person", random_net(3))
    listing = ""
    for source in (made.path / "src").glob("*.c"):
        target = tmp_path / f"{source.stem}.o"
        includes = [f"-I{made.path / place}" for place in ("src", "lib/include")]
        subprocess.run(["gcc", "-std=c99", *includes, "-c", str(source), "-o", str(target)], check=True)
        command = ["nm", "-g", "--defined-only", str(target)]
        listing += subprocess.run(command, capture_output=True, text=True, check=True).stdout
    symbols = [line.split()[-1] for line in listing.splitlines()]
    assert len(symbols) > 8 and all(symbol.startswith("person_") for symbol in symbols)
    header = (made.path / "src" / "person.h").read_text()
    assert "net_" not in header and "NET_" not in header
    assert sorted(p.name for p in (made.path / "src").iterdir()) == [
        "person.c", "person.h", "person_weights.c", "person_weights.h"
    ]  # fmt: skip


@pytest.mark.seconds
@pytest.mark.parametrize("standard", ["c++11", "c++17", "c++20"])
def test_every_public_header_is_cpp_by_itself(standard: str, tmp_path: Path) -> None:
    made = generate(tmp_path, "net", quantized.branched())
    headers = sorted((made.path / "lib" / "include").glob("*.h"))
    for header in [*headers, made.path / "src" / "net.h"]:
        assert header.read_text().count('extern "C" {') == 1, header.name
        includes = [f"-I{made.path / place}" for place in ("src", "lib/include")]
        command = ["g++", f"-std={standard}", *STRICT, *includes, "-fsyntax-only", "-x", "c++", str(header)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), header.name


def test_names_that_cannot_be_symbols_or_files_are_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path, quantized.serial())
    for name in ("", "Net", "2nd", "a-b", "a b", "_x", "x_", "a__b", "é", "n" * 33, "net\n"):
        with pytest.raises(LogGradError, match="--name=.*: give at most 32 small letters"):
            firmware.make(model, "host", Options(1, name=name))
    for name in ("lg", "lg_conv", "main", "string", "math", "firmware", "test", "all"):
        with pytest.raises(LogGradError, match=f"--name={name}: .* has that name already"):
            firmware.make(model, "host", Options(1, name=name))


def test_what_is_the_model_s_keeps_its_text() -> None:
    code = 'net_state *net; /* net_x */ const char *s = "net_y \\" NET_"; NET_ROWS + net_z; internet_q(net.c)'
    assert text.named(code, "cat") == (
        'cat_state *net; /* net_x */ const char *s = "net_y \\" NET_"; CAT_ROWS + cat_z; internet_q(cat.c)'
    )
    assert text.named("/* net_x */", "cat", prose=True) == "/* cat_x */"
    assert text.named(code, "net") == code


def test_scales_and_zero_points_are_in_header_and_record(tmp_path: Path) -> None:
    made = generate(tmp_path, "net", quantized.serial())
    graph = tflite_graph.load(made.path / "model.tflite")
    record = project.json.loads((made.path / "project.json").read_text())
    header = (made.path / "src" / "net.h").read_text()
    for place, index in (("input", graph.input), ("output", graph.output)):
        tensor = graph.tensors[index]
        assert (record[f"{place}_scale"], record[f"{place}_zero_point"]) == (tensor.scale, tensor.zero_point)
        line = next(ln for ln in header.splitlines() if ln.startswith(f"#define NET_{place.upper()}_SCALE"))
        assert np.float32(line.split()[2].rstrip("f")) == np.float32(tensor.scale)
        assert f"#define NET_{place.upper()}_ZERO_POINT ({tensor.zero_point})\n" in header
    assert text.literal(1.0) == "1.0f" and text.literal(1e-7) == "1e-07f"


MISUSE = """#include <stddef.h>
#include <string.h>
#include "net.h"
static net_state net;
static net_code row[NET_ROW_CODES];
int main(void)
{
    int wrong = 0;
    const int8_t *scores = NULL;
    for (int fill = 0; fill < 2; fill++) { /* memory as it is at start, and as it may be anywhere else */
        memset(&net, fill == 0 ? 0 : 0xA5, sizeof net);
        wrong |= net_begin(&net) != LG_ERROR_NOT_READY || net_scores(&net, &scores) != LG_ERROR_NOT_READY;
        wrong |= net_push_row(&net, row, NET_ROW_CODES) != LG_ERROR_NOT_READY;
        wrong |= net_class(&net) != LG_ERROR_NOT_READY;
        wrong |= net_feed_row(&net, row, NET_ROW_CODES) != LG_ERROR_NOT_READY;
        wrong |= net_step(&net) != LG_ERROR_NOT_READY;
    }
    wrong |= net_begin(NULL) != LG_ERROR_NULL || net_scores(NULL, &scores) != LG_ERROR_NULL;
    wrong |= net_push_row(NULL, row, NET_ROW_CODES) != LG_ERROR_NULL || net_class(NULL) != LG_ERROR_NULL;
    wrong |= net_feed_row(NULL, row, NET_ROW_CODES) != LG_ERROR_NULL || net_step(NULL) != LG_ERROR_NULL;
    wrong |= net_init(&net, sizeof net, NET_MODEL_SHA256, NULL) != LG_OK;
    wrong |= net_scores(&net, NULL) != LG_ERROR_NULL;
    wrong |= net_scores(&net, &scores) != LG_ERROR_TOO_FEW_LINES || net_class(&net) != LG_ERROR_TOO_FEW_LINES;
    wrong |= net_step(&net) != LG_NO_LINE;
    int busy = 0;
    for (uint32_t y = 0; y < NET_ROWS; y++) {
        lg_status status = net_feed_row(&net, row, NET_ROW_CODES);
        while (status == LG_WORK) {
            const lg_status refused = y + 1u < NET_ROWS ? LG_ERROR_WORK_LEFT : LG_ERROR_TOO_MANY_LINES;
            wrong |= net_feed_row(&net, row, NET_ROW_CODES) != refused;
            wrong |= net_push_row(&net, row, NET_ROW_CODES) != refused;
            const lg_status none = y + 1u < NET_ROWS ? LG_ERROR_TOO_FEW_LINES : LG_ERROR_WORK_LEFT;
            wrong |= net_scores(&net, &scores) != none || net_class(&net) != (int32_t)none;
            status = net_step(&net);
            busy = 1;
        }
        wrong |= status != (y + 1u < NET_ROWS ? LG_NO_LINE : LG_OK);
    }
    wrong |= busy == 0 || net_step(&net) != LG_OK || net_class(&net) < 0;
    wrong |= net_scores(&net, &scores) != LG_OK;
    return wrong;
}
"""


@pytest.mark.seconds
@pytest.mark.parametrize("format_name", ["tensor", "raw16", "loggrad_1p5"])
def test_null_and_calls_before_init_are_statuses(format_name: str, tmp_path: Path) -> None:
    front_end = None if format_name == "tensor" else fixed(format_name, SENSOR)
    flatbuffer = small(front_end) if front_end else quantized.serial()
    made = generate(tmp_path, "net", flatbuffer, front_end)
    ran(compiled(tmp_path, MISUSE, [made], "-std=c99"))


# A frame by whole rows, then the same in steps: all that the observer sees, and the scores.
STEPS = """
#include <stdio.h>
static net_state net;
static uint32_t digest, seen;
static void observe(uint32_t layer, const int8_t *data, uint32_t size)
{
    digest = lg_crc32(digest + layer, data, size);
    seen += size;
}
int main(void)
{
    uint32_t digests[2], count[2] = {0, 0};
    if (net_init(&net, sizeof net, NET_MODEL_SHA256, observe) != LG_OK) {
        return 1;
    }
    for (int steps = 0; steps < 2; steps++) {
        digest = 0;
#ifdef NET_STATEFUL
        (void)net_reset(&net);
#endif
        (void)net_begin(&net);
        for (uint32_t y = 0; y < NET_ROWS; y++) {
            const net_code *row = frame + y * NET_ROW_CODES;
            lg_status status = steps == 0 ? net_push_row(&net, row, NET_ROW_CODES)
                                          : net_feed_row(&net, row, NET_ROW_CODES);
            for (; status == LG_WORK; count[steps]++) {
                status = net_step(&net);
            }
            if (status != (y + 1u < NET_ROWS ? LG_NO_LINE : LG_OK)) {
                return 2;
            }
        }
        digests[steps] = digest;
        const int8_t *scores = NULL;
        if (net_scores(&net, &scores) != LG_OK) {
            return 3;
        }
        for (uint32_t i = 0; i < NET_OUTPUTS; i++) {
            printf("%d ", scores[i]);
        }
    }
    return digests[0] != digests[1] || count[0] != 0u || count[1] != NET_STEPS || seen == 0u;
}
"""


def assert_steps_equal_the_whole(
    folder: Path,
    flatbuffer: bytes,
    front_end: FrontEnd | None,
    board: str = "host",
    code: str = "",
    binning: int = 1,
) -> str:
    """Returns the generated C; ``code`` stands in for it, cut otherwise."""
    made = generate(folder, "net", flatbuffer, front_end, board, binning)
    if code:
        (made.path / "src/net.c").write_text(code)
    frames, scores = frames_of(made)
    steps = STEPS.replace("count[1] != NET_STEPS", "count[1] == 0u") if code else STEPS
    main = '#include "net.h"\n#include "lg_crc32.h"\n' + array("frame", frames[0], "net_code") + steps
    found = [int(word) for word in ran(compiled(folder, main, [made], "-std=c99")).split()]
    assert found == scores[0].tolist() * 2
    return (made.path / "src" / "net.c").read_text()


@pytest.mark.seconds
@pytest.mark.parametrize("name", quantized.NETS)
def test_a_frame_in_steps_is_the_whole(name: str, tmp_path: Path) -> None:
    assert_steps_equal_the_whole(tmp_path, quantized.NETS[name](), None)


# Every kind of loop over a line: by format, sensor and border.
FRONTS = [
    ("loggrad_1p5", SENSOR, "mirror"),
    ("loggrad_2p75", Sensor(8, 0, 255), "valid"),
    ("loggrad_2p25", Sensor(8, 16, 200), "mirror"),
    ("loggrad_2p75", Sensor(16, 0, 65535), "mirror"),
    ("loggrad_fp", SENSOR, "mirror"),
    ("loggrad_fp", Sensor(8, 0, 255), "valid"),
]


@pytest.mark.seconds
@pytest.mark.parametrize(("format_name", "sensor", "border"), FRONTS)
def test_a_gradient_in_front_in_steps(format_name: str, sensor: Sensor, border: str, tmp_path: Path) -> None:
    """A frame of few rows, whose lines are cut into as few parts as do; then into single columns."""
    front_end = dataclasses.replace(fixed(format_name, sensor), border=border)
    code = assert_steps_equal_the_whole(tmp_path, small(front_end), front_end)
    (parts,) = {int(n) for n in re.findall(r"whole \? 1u : (\d+)u\)", code)}
    assert 1 < parts < 11
    columns = 11 if border == "mirror" else 13
    single = re.sub(r"whole \? 1u : \d+u\)", f"whole ? 1u : {columns}u)", code)
    (tmp_path / "single").mkdir()
    assert_steps_equal_the_whole(tmp_path / "single", small(front_end), front_end, code=single)


@pytest.mark.seconds
@pytest.mark.parametrize("format_name", ["loggrad_1p5", "loggrad_fp"])
def test_binned_lines_in_steps(format_name: str, tmp_path: Path) -> None:
    front_end = fixed(format_name, SENSOR)
    code = assert_steps_equal_the_whole(tmp_path, small(front_end), front_end, binning=2)
    assert "lg_parts_take" in code and "lg_bin_push" in code


@pytest.mark.seconds
@pytest.mark.parametrize("name", OPERATOR_NETS)
def test_operators_in_steps(name: str, tmp_path: Path) -> None:
    assert_steps_equal_the_whole(tmp_path, OPERATOR_NETS[name](2), None)


@pytest.mark.seconds
@pytest.mark.parametrize("name", quantized.NETS)
def test_kernels_of_the_dsp_extension_in_steps(name: str, tmp_path: Path) -> None:
    code = assert_steps_equal_the_whole(tmp_path, quantized.NETS[name](), None, "mps2-an386")
    assert "_dsp(" in code


@pytest.mark.seconds
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_frame_in_steps_is_the_whole_behind_a_front_end(format_name: str, tmp_path: Path) -> None:
    front_end = fixed(format_name, SENSOR)
    assert_steps_equal_the_whole(tmp_path, small(front_end), front_end)


@pytest.mark.seconds
@pytest.mark.parametrize("seed", range(3))
def test_random_networks_in_steps(seed: int, tmp_path: Path) -> None:
    assert_steps_equal_the_whole(tmp_path, random_net(seed), None)


def wide_dense() -> bytes:
    """Dense layers one behind the other: most of a frame is a row."""
    net = quantized.Net(7)
    x = net.input((1, 1, 64))
    for outputs in (50, 7, 63):
        x = net.dense(x, outputs)
    return net.flatbuffer(x)


@pytest.mark.seconds
@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_dense_layers_are_cut(board: str, tmp_path: Path) -> None:
    code = assert_steps_equal_the_whole(tmp_path, wide_dense(), None, board)
    pieces = code.partition("pieces[NET_NODES] = {\n")[2].partition("};")[0]
    found = [int(n) for n in pieces.split(",")[:-1]]
    assert found == [13, 2, 16] if board == "host" else min(found) > 1


def test_rows_are_cut_until_a_call_is_short(shared: Path) -> None:
    """The last row of a real network makes most of its frame; no call of net_step more than 2 %."""
    graph = tflite_graph.load(shared / "models" / "vww_96_int8.tflite")
    planned = planning.plan(graph, "cortex-m4")
    tensor = graph.tensors[graph.input]
    source = describe(None, tensor.shape, tensor.scale, tensor.zero_point)
    rows, cut = steps.whole(planned, source), steps.cut(planned, source, None)
    assert rows.share > 0.02 >= cut.share
    assert len(cut.pieces) == len(planned.network.nodes) and min(cut.pieces) == 1
    assert cut.count > rows.count == len(planned.schedule.calls) - source.rows


PARENT = """cmake_minimum_required(VERSION 3.21)
project(theirs CXX)
set(CMAKE_CXX_STANDARD 17)
add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Wpedantic -Werror)
add_subdirectory(person)
add_subdirectory(elsewhere/gesture gesture)
add_executable(theirs main.cc)
target_link_libraries(theirs PRIVATE person gesture)
get_target_property(options person INTERFACE_COMPILE_OPTIONS)
get_target_property(lg_options lg INTERFACE_COMPILE_OPTIONS)
message(STATUS "forced: '${CMAKE_BUILD_TYPE}' '${CMAKE_C_FLAGS_RELEASE}' ${options} ${lg_options}")
"""


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A C++ project with two networks in folders, as a user writes it."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    made = [
        generate(tmp_path, "person", quantized.serial()),
        generate(tmp_path, "gesture", quantized.separable()),
    ]
    folder = tmp_path / "theirs"
    (folder / "elsewhere").mkdir(parents=True)
    shutil.copytree(made[0].path, folder / "person")
    shutil.copytree(made[1].path, folder / "elsewhere" / "gesture")
    (folder / "CMakeLists.txt").write_text(PARENT)
    main, expected = '#include "person.h"\n#include "gesture.h"\n', []
    for one in made:
        frames, scores = frames_of(one)
        main += array(f"{one.name}_frames", frames, f"{one.name}_code")
        expected.append(scores)
    (folder / "main.cc").write_text(main + INTERLEAVED)
    both = np.concatenate(expected, axis=1)
    (folder / "expected.txt").write_text(" ".join(map(str, both.reshape(-1).tolist())))
    return folder


def configured(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["cmake", "-S", str(folder), "-B", str(folder / "build")]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.seconds
def test_a_parent_project_adds_two_networks(parent: Path) -> None:
    done = configured(parent)
    assert done.returncode == 0, done.stderr
    told = next(line for line in done.stdout.splitlines() if "forced:" in line)
    assert told == "-- forced: '' '-O3 -DNDEBUG' options-NOTFOUND lg_options-NOTFOUND"
    built = subprocess.run(["cmake", "--build", str(parent / "build")], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout
    assert ran(parent / "build" / "theirs").split() == (parent / "expected.txt").read_text().split()
    assert not list((parent / "build").rglob("firmware.elf*"))


@pytest.mark.seconds
def test_networks_of_two_versions_do_not_share_a_library(parent: Path) -> None:
    cmake = parent / "elsewhere" / "gesture" / "CMakeLists.txt"
    cmake.write_text(cmake.read_text().replace(firmware.__version__, "9.9.9"))
    done = configured(parent)
    said = " ".join(done.stderr.split())
    assert done.returncode != 0
    assert f"gesture is of LogGrad 9.9.9, another network here of {firmware.__version__}" in said


# The ticks of the longest call, and of all calls of a frame.
LONGEST = """#include "net.h"
#include "lg_board.h"
static net_state net;
static net_code row[NET_ROW_CODES];
static uint32_t longest, all;
static void count(uint32_t started)
{
    const uint32_t ticks = lg_board_ticks() - started;
    all += ticks;
    longest = ticks > longest ? ticks : longest;
}
int main(void)
{
    lg_board_init();
    lg_status status = net_init(&net, sizeof net, NET_MODEL_SHA256, NULL);
    for (uint32_t y = 0; y < NET_ROWS && status >= LG_OK; y++) {
        uint32_t started = lg_board_ticks();
        status = net_feed_row(&net, row, NET_ROW_CODES);
        count(started);
        while (status == LG_WORK) {
            started = lg_board_ticks();
            status = net_step(&net);
            count(started);
        }
    }
    const uint32_t found[] = {longest, all};
    (void)lg_board_write(found, sizeof found);
    return status != LG_OK;
}
"""


@pytest.mark.qemu
def test_no_call_of_a_real_network_is_long(shared: Path, tmp_path: Path) -> None:
    """Of vww on a Cortex-M4, whose last row takes most of the frame, in executed instructions."""
    model = shared / "models" / "vww_96_int8.tflite"
    firmware.write(firmware.make(model, "mps2-an386", Options(1)), tmp_path / "p")
    made = project.load(tmp_path / "p")
    (made.path / "program" / "main.c").write_text(LONGEST)
    build.build(made)
    done = subprocess.run(link.command(made), input=b"", capture_output=True, timeout=120)
    longest, total = np.frombuffer(done.stdout, "<u4")
    assert done.returncode == 0 and 0.005 < longest / total < 0.02


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["mps2-an386", "microbit", "mps3-an547"])
@pytest.mark.parametrize("format_name", ["loggrad_1p5", "loggrad_fp"])
def test_no_call_of_a_small_frame_is_long(board: str, format_name: str, tmp_path: Path) -> None:
    """Of 24 lines, most of whose work is the gradient; and the image takes what is predicted."""
    front_end = fixed(format_name, SENSOR)
    made = generate(tmp_path, "net", small(front_end, 24, 32), front_end, board)
    assert verify(made).passed
    found = build.sizes(made)
    assert found.ram == build.predicted_ram(made, serial=False)
    assert found.flash == pytest.approx(made.predicted["flash"], rel=0.02)
    needed = [stack.deepest(stack.functions(made.elf), "net_push_row").bytes]
    (made.path / "program" / "main.c").write_text(LONGEST)
    build.build(made)
    done = subprocess.run(link.command(made), input=b"", capture_output=True, timeout=120)
    longest, total = np.frombuffer(done.stdout, "<u4")
    assert done.returncode == 0 and 0.005 < longest / total < 0.02
    needed.append(stack.deepest(stack.functions(made.elf), "net_step").bytes)
    promised = made.predicted["stack"]
    assert promised is not None and max(needed) <= promised


def test_lines_stay_whole_where_flash_has_no_room_for_parts() -> None:
    front_end = fixed("loggrad_1p5", SENSOR)
    graph = tflite_graph.parse(small(front_end, 24, 32))
    tensor = graph.tensors[graph.input]
    source = describe(front_end, tensor.shape, tensor.scale, tensor.zero_point)
    planned = planning.plan(graph, "cortex-m4", source.levels)
    cut, kept = steps.cut(planned, source, None), steps.cut(planned, source, None, front=False)
    assert cut.front > 1 == kept.front and cut.share < 0.02 < kept.share and cut.pieces == kept.pieces


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["mps2-an386", "microbit", "mps3-an547"])
@pytest.mark.parametrize("name", ["serial", "separable"])
def test_the_stack_of_a_call_is_stated(board: str, name: str, tmp_path: Path) -> None:
    """What was used is no more than the disassembly tells, and that no more than what the header promises."""
    made = generate(tmp_path, "net", quantized.NETS[name](), board=board)
    build.build(made)
    known = stack.functions(made.elf)
    needed, whole = (stack.deepest(known, one).bytes for one in ("net_push_row", "main"))
    promised = made.predicted["stack"]
    assert promised is not None and needed <= promised <= needed + 192
    assert f"#define NET_STACK_BYTES {promised}u " in (made.path / "src" / "net.h").read_text()
    frames, _ = frames_of(made)
    with channel.Channel(made) as running:
        running.classify(frames[0])
        used, size = running.memory()
    # Reset keeps a word or two of its own.
    assert needed - 64 < used <= whole + 16 < size


def test_a_circle_of_calls_has_no_stack() -> None:
    one = stack.Function(8, frozenset({"b"}), frozenset(), False)
    known = {"a": one, "b": stack.Function(16, frozenset(), frozenset({"c"}), False), "c": one}
    assert stack.deepest({**known, "c": stack.Function(40, frozenset(), frozenset(), False)}, "a").bytes == 48
    with pytest.raises(project.FirmwareError, match="a circle of calls"):
        stack.deepest(known, "a")


@pytest.mark.seconds
def test_kernels_of_another_core_are_named_by_the_compiler(tmp_path: Path) -> None:
    made = generate(tmp_path, "net", quantized.serial(), board="mps2-an386")
    includes = [f"-I{made.path / place}" for place in ("src", "lib/include")]
    command = ["gcc", "-std=c99", *includes, "-fsyntax-only", str(made.path / "src" / "net.c")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "generated for a core with __ARM_FEATURE_DSP" in done.stderr


@pytest.mark.seconds
@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4", "cortex-m7", "cortex-m33"])
def test_the_library_is_compiled_without_optimisation(core: str, tmp_path: Path) -> None:
    """As by a parent project whose build type is Debug."""
    include = f"-I{FIRMWARE / 'lib' / 'include'}"
    command = ["arm-none-eabi-gcc", "-std=c99", f"-mcpu={core}", "-mthumb", "-O0", *STRICT, include]
    assert objects(command, library_sources(), tmp_path)
