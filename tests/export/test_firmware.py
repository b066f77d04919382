"""Projects generated, compiled and compared with TFLite's reference kernels, layer by layer."""

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export import boards, firmware
from export.c import emit, vectors
from export.c import text as emit_text
from export.firmware import Options
from export.plan import plan as planning
from export.plan.input import describe
from export.predict import footprint
from export.tflite import graph as tflite_graph
from firmware import build, channel, project, verify
from loggrad_tf import __version__
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FORMATS, FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor
from tests.support import REPOSITORY, quantized
from tests.support.public_nets import PUBLIC_NETS
from tests.support.random_nets import random_net

SENSOR = Sensor(bits=10, black=64, white=1000)


def write_model(folder: Path, flatbuffer: bytes, front_end: FrontEnd | None = None, classes: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.tflite"
    model.write_bytes(flatbuffer)
    if front_end:
        description = {
            "model_sha256": hashlib.sha256(flatbuffer).hexdigest(),
            "front_end": front_end.to_json(),
            "class_names": [f'class "{i}"?' for i in range(classes)],
        }
        (folder / "model.json").write_text(json.dumps(description))
    return model


def generate(folder: Path, model: Path, board: str = "host", count: int = 3) -> project.Project:
    firmware.write(firmware.make(model, board, Options(count)), folder)
    return project.load(folder)


def small(front_end: FrontEnd, height: int = 9, width: int = 11) -> bytes:
    """A network behind a front end."""
    net = quantized.Net(5)
    x = net.conv(net.input((height, width, 1), front_end.input_scale, front_end.input_zero_point), 4, 3, 2)
    return net.flatbuffer(net.dense(net.mean(x), 2))


@pytest.mark.parametrize("name", quantized.NETS)
def test_every_operator_equals_the_reference(name: str, tmp_path: Path) -> None:
    made = generate(tmp_path / "project", write_model(tmp_path, quantized.NETS[name]()), count=8)
    verdict = verify.verify(made)
    assert (verdict.vectors, verdict.mismatches, verdict.first_mismatch) == (8, 0, None)
    assert verdict.bytes_compared == 8 * (sum(layer.bytes for layer in made.layers) + made.outputs)


@pytest.mark.seconds
@pytest.mark.parametrize("seed", [11, 12])
def test_other_seeds(seed: int, tmp_path: Path) -> None:
    for name, net in quantized.NETS.items():
        made = generate(tmp_path / name, write_model(tmp_path, net(seed)), count=2)
        assert verify.verify(made).mismatches == 0


@pytest.mark.seconds
@pytest.mark.parametrize("format_name", FORMATS)
def test_raw_frames_become_the_input_tensor(format_name: str, tmp_path: Path) -> None:
    front_end = fixed(format_name, SENSOR)
    made = generate(tmp_path / "a path with spaces", write_model(tmp_path, small(front_end), front_end))
    verdict = verify.verify(made)
    assert verdict.mismatches == 0
    assert "random frames" in verdict.source


@pytest.mark.seconds
@pytest.mark.parametrize("format_name", ["loggrad_2p25", "loggrad_fp"])
def test_valid_border_and_eight_bits(format_name: str, tmp_path: Path) -> None:
    front_end = dataclasses.replace(fixed(format_name, Sensor(bits=8, black=3, white=250)), border="valid")
    made = generate(tmp_path / "project", write_model(tmp_path, small(front_end), front_end))
    assert (made.rows, made.row_codes, made.code_bytes) == (11, 13, 1)
    assert verify.verify(made).mismatches == 0


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["mps2-an386", "stm32vldiscovery", "microbit"])
def test_boards(board: str, tmp_path: Path) -> None:
    front_end = fixed("loggrad_1p5", SENSOR)
    made = generate(tmp_path / "p", write_model(tmp_path, small(front_end), front_end), board)
    verdict = verify.verify(made)
    assert verdict.mismatches == 0
    assert verdict.ram == verdict.ram_predicted
    assert verdict.flash is not None and verdict.flash_predicted is not None
    assert abs(verdict.flash_predicted / verdict.flash - 1) < 0.02, "run python -m export.code_sizes"
    assert verdict.executed is not None and verdict.executed > 9 * 11 * 10


@pytest.mark.qemu
@pytest.mark.parametrize("name", quantized.NETS)
def test_prediction_holds_for_every_operator(name: str, tmp_path: Path) -> None:
    made = generate(tmp_path / "p", write_model(tmp_path, quantized.NETS[name]()), "mps2-an386", 2)
    verdict = verify.verify(made)
    assert verdict.mismatches == 0
    assert verdict.ram == verdict.ram_predicted
    assert verdict.flash is not None and verdict.flash_predicted is not None
    assert abs(verdict.flash_predicted / verdict.flash - 1) < 0.02, "run python -m export.code_sizes"


@pytest.mark.qemu
@pytest.mark.usefixtures("no_compiler_cache")
def test_two_builds_are_equal(tmp_path: Path) -> None:
    images = []
    for name in ("one", "a second"):
        made = generate(
            tmp_path / name / "p", write_model(tmp_path / name, quantized.serial()), "mps2-an386", 1
        )
        images.append(build.build(made).read_bytes())
    assert images[0] == images[1]


@pytest.mark.qemu
def test_real_network_in_qemu(shared: Path, tmp_path: Path) -> None:
    made = generate(tmp_path / "vww", shared / "models" / "vww_96_int8.tflite", "netduinoplus2", 2)
    verdict = verify.verify(made)
    assert verdict.mismatches == 0
    assert verdict.ram == verdict.ram_predicted


@pytest.mark.seconds
def test_one_changed_weight_names_its_layer(tmp_path: Path) -> None:
    made = generate(tmp_path / "p", write_model(tmp_path, quantized.separable()))
    assert verify.verify(made).mismatches == 0
    weights = made.path / "src" / "net_weights.c"
    array = "net_l02_conv_weights[56] __attribute__((aligned(4))) = {\n    "
    head, mark, tail = weights.read_text().partition(array)
    first, comma, rest = tail.partition(",")
    weights.write_text(head + mark + str(int(first) ^ 64) + comma + rest)
    verdict = verify.verify(made)
    assert 1 <= verdict.mismatches <= verdict.vectors
    assert "layer l02_conv differs" in str(verdict.first_mismatch)
    command = ["python", "-m", "firmware.verify", "--project", str(made.path)]
    environment = os.environ | {"PYTHONPATH": str(firmware.FIRMWARE.parent)}
    result = _door(command, environment)
    assert result.returncode == 1
    assert result.stdout.strip().endswith(f"verify: 3 vectors, {verdict.mismatches} mismatches")


@pytest.mark.seconds
def test_a_frame_cut_short_and_bad_rows_are_statuses(tmp_path: Path) -> None:
    front_end = fixed("loggrad_1p5", SENSOR)
    made = generate(tmp_path / "p", write_model(tmp_path, small(front_end), front_end))
    build.build(made)
    frame = np.load(made.path / "vectors.npz")["frames"][0]
    with channel.Channel(made) as board:
        whole = board.classify(frame).scores
        board.ask("F 0")
        rows = [channel.row_text(y, row, 2) for y, row in enumerate(frame)]
        assert [board.ask(row)[-1] for row in rows[:-1]] == [f"R 1 {y}" for y in range(8)]
        assert board.ask("S")[-1] == "S -14"  # LG_ERROR_TOO_FEW_LINES
        assert board.ask(rows[-1][:-4])[-1] == "R -11 8"  # LG_ERROR_LINE_NARROW
        assert board.ask(rows[-1] + "0000")[-1] == "R -12 8"  # LG_ERROR_LINE_WIDE
        assert board.ask(rows[-1])[-1] == "R 0 8"
        assert board.ask(channel.row_text(9, frame[0], 2))[-1] == "R -13 9"  # LG_ERROR_TOO_MANY_LINES
        answer = board.ask("S")[-1].split()
        assert bytes.fromhex(answer[4]) == whole.tobytes()
        for line in (rows[0][:-1], rows[0] + "?", "Q"):
            with pytest.raises(project.FirmwareError, match="could not read"):
                board.ask(line)
        assert np.array_equal(board.classify(frame).scores, whole)


@pytest.mark.seconds
@pytest.mark.parametrize("format_name", ["tensor", "raw16", "loggrad_2p25", "loggrad_fp"])
def test_misuse_is_a_status_and_changes_nothing(format_name: str, tmp_path: Path) -> None:
    if format_name == "tensor":
        model = write_model(tmp_path, quantized.serial())
    else:
        front_end = fixed(format_name, SENSOR)
        model = write_model(tmp_path, small(front_end), front_end)
    made = generate(tmp_path / "p", model, count=1)
    (tmp_path / "test.c").write_text("""#include <stddef.h>
#include "net.h"
static net_state net;
static net_code row[NET_ROW_CODES];
int main(void)
{
    int wrong = net_init(&net, sizeof net - 1u, NET_MODEL_SHA256, NULL) != LG_ERROR_MEMORY;
    wrong |= net_init((net_state *)((char *)&net + 1), sizeof net, NET_MODEL_SHA256, NULL) != LG_ERROR_MEMORY;
    wrong |= net_init(&net, sizeof net, "0123", NULL) != LG_ERROR_MODEL;
    wrong |= net_init(&net, sizeof net, NET_MODEL_SHA256 "0", NULL) != LG_ERROR_MODEL;
    wrong |= net_init(&net, sizeof net, NULL, NULL) != LG_ERROR_NULL;
    wrong |= net_init(NULL, sizeof net, NET_MODEL_SHA256, NULL) != LG_ERROR_NULL;
    wrong |= net_init(&net, sizeof net, NET_MODEL_SHA256, NULL) != LG_OK;
    for (uint32_t y = 0; y < NET_ROWS; y++) {
        wrong |= net_push_row(&net, NULL, NET_ROW_CODES) != LG_ERROR_NULL;
        wrong |= net_push_row(&net, row, NET_ROW_CODES) != (y + 1u < NET_ROWS ? LG_NO_LINE : LG_OK);
    }
    return wrong | (net_push_row(&net, row, NET_ROW_CODES) != LG_ERROR_TOO_MANY_LINES);
}
""")
    sources = [made.path / "src" / "net.c", made.path / "src" / "net_weights.c", tmp_path / "test.c"]
    sources += sorted((made.path / "lib" / "src").glob("*.c"))
    includes = [f"-I{made.path / folder}" for folder in ("src", "lib/include")]
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = ["gcc", *sanitize, *includes, *map(str, sources), "-o", str(tmp_path / "test")]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run([str(tmp_path / "test")], check=True)


def test_maps_of_the_c_are_those_of_the_plan(tmp_path: Path) -> None:
    model = write_model(tmp_path, quantized.branched())
    text = firmware.make(model, "host", Options(1)).files["src/net.c"].decode()
    planned = planning.plan(tflite_graph.load(model), "host")
    maps = re.findall(r"lg_map (\w+)_map = \{\s+\.place = (\d+), \.rows = (\d+), \.height = (\d+)", text)
    names = ["input", *(node.name for node in planned.network.nodes)]
    keys = [planned.network.input, *(node.output for node in planned.network.nodes)]
    expected = {
        (name, planned.offsets[key], planned.schedule.rows[key], planned.network.maps[key].height)
        for name, key in zip(names, keys, strict=True)
    }
    assert {(name, int(place), int(rows), int(height)) for name, place, rows, height in maps} == expected


@pytest.mark.seconds
@pytest.mark.parametrize("first", [0, 4, 8])
def test_random_networks_equal_the_reference(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 4):
        made = generate(tmp_path / str(seed), write_model(tmp_path, random_net(seed)), count=3)
        verdict = verify.verify(made)
        assert verdict.mismatches == 0, f"seed {seed}: {verdict.first_mismatch}"


@pytest.mark.slow
@pytest.mark.parametrize("board", ["host", "mps2-an386", "mps3-an547", "mps2-an385"])
def test_many_random_networks(board: str, tmp_path: Path) -> None:
    for seed in range(1000, 1060):
        made = generate(tmp_path / str(seed), write_model(tmp_path, random_net(seed)), board, count=3)
        verdict = verify.verify(made)
        assert verdict.passed, f"seed {seed}: {verdict.first_mismatch}"


@pytest.mark.seconds
@pytest.mark.parametrize("name", PUBLIC_NETS)
def test_public_networks_equal_the_reference(name: str, tmp_path: Path) -> None:
    made = generate(tmp_path / "p", write_model(tmp_path, PUBLIC_NETS[name]()), count=3)
    verdict = verify.verify(made)
    assert (verdict.mismatches, verdict.first_mismatch) == (0, None)


@pytest.mark.qemu
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_levels_go_by_tables(levels: int, tmp_path: Path) -> None:
    """The largest tables, in flash and in RAM; and smaller ones where flash is short of one byte."""
    name = {1: "loggrad_1p5", 2: "loggrad_2p25", 3: "loggrad_2p75"}[levels]
    front_end = fixed(name, SENSOR)
    model = write_model(tmp_path, random_net(40 + levels, levels=True), front_end, 0)
    largest = firmware.make(model, "mps2-an386", Options(3))
    flash = largest.engine.footprint.flash
    assert flash is not None
    smaller = firmware.make(model, "mps2-an386", Options(3, max_flash=flash - 1))
    tables = []
    for number, made in enumerate(
        (largest, firmware.make(model, "mps2-an386", Options(3, ram_tables=True)), smaller)
    ):
        assert made.engine.plan is not None
        tables.append([k.constants["table"].nbytes for k in made.engine.plan.kernels if k.tabulates])
        firmware.write(made, tmp_path / f"p{number}")
        verdict = verify.verify(project.load(tmp_path / f"p{number}"))
        assert verdict.passed, verdict.complaints
    assert tables[0] == tables[1] != tables[2]


def test_generated_files_are_the_same_every_time(tmp_path: Path) -> None:
    model = write_model(tmp_path, quantized.branched())
    one, two = (firmware.make(model, "mps2-an386", Options(2)).files for _ in range(2))
    assert one == two
    assert b"sha256 " + hashlib.sha256(model.read_bytes()).hexdigest().encode() in one["src/net.c"]
    assert str(tmp_path).encode() not in b"".join(one.values())


def test_only_a_project_is_replaced(tmp_path: Path) -> None:
    model = write_model(tmp_path, quantized.serial())
    made = firmware.make(model, "host", Options(1))
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(LogGradError, match="not a firmware project"):
        firmware.write(made, precious)
    for text in ("[" * 100_000, "7", '["loggrad_project"]', "{"):
        (precious / "project.json").write_text(text)
        with pytest.raises(LogGradError, match="not a firmware project"):
            firmware.write(made, precious)
    assert (precious / "thesis.txt").read_text() == "years of work"
    firmware.write(made, tmp_path / "p")
    (tmp_path / "p" / "stale").write_text("")
    firmware.write(made, tmp_path / "p")
    assert not (tmp_path / "p" / "stale").exists()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_project_of_another_board_or_model_is_replaced_on_request(tmp_path: Path) -> None:
    out, model = tmp_path / "p", write_model(tmp_path, quantized.serial())
    firmware.write(firmware.make(model, "host", Options(1)), out)
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()[:12]
    (out / "notes.txt").write_text("measured on Monday")
    other = write_model(tmp_path / "other", quantized.branched())
    for made in (firmware.make(model, "mps2-an386", Options(1)), firmware.make(other, "host", Options(1))):
        with pytest.raises(LogGradError, match=f"board host and model {sha256}, not of .*: give --replace"):
            firmware.write(made, out)
        assert (out / "notes.txt").is_file()
    firmware.write(made, out, replace=True)
    assert not (out / "notes.txt").exists()
    assert project.load(out).model_sha256 == made.model_sha256


@pytest.mark.seconds
def test_the_door_finds_another_project_before_the_work(tmp_path: Path) -> None:
    model, out = write_model(tmp_path, quantized.serial()), tmp_path / "p"
    firmware.write(firmware.make(model, "host", Options(1)), out)
    record = json.loads((out / "project.json").read_text())
    (out / "project.json").write_text(json.dumps(record | {"board": "microbit"}))
    command = [sys.executable, "-m", "export.firmware", f"--model={model}", "--board=host", f"--out={out}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1 and "holds a project of board microbit" in done.stderr
    assert done.stderr.count("\n") == 1
    subprocess.run([*command, "--replace"], cwd=REPOSITORY, capture_output=True, check=True)
    assert json.loads((out / "project.json").read_text()) == record


def test_one_version(tmp_path: Path) -> None:
    made = generate(tmp_path / "p", write_model(tmp_path, quantized.serial()))
    record = json.loads((made.path / "project.json").read_text())
    assert record["generator"] == record["stamp"].split("/")[0] == __version__
    assert verify.verify(made).versions["loggrad"] == __version__


def test_a_network_too_large_for_the_board(shared: Path) -> None:
    with pytest.raises(LogGradError, match=r"RAM: the image needs \d+ B, stm32vldiscovery has 8192 B"):
        firmware.make(shared / "models" / "vww_96_int8.tflite", "stm32vldiscovery", Options(1))


def test_unknown_board_lists_the_boards(tmp_path: Path) -> None:
    with pytest.raises(LogGradError, match="choose one of arduino-nano-33-ble, arduino-tiny-ml-kit, host, "):
        firmware.make(write_model(tmp_path, quantized.serial()), "../common")


def test_description_of_another_model(tmp_path: Path) -> None:
    front_end = fixed("loggrad_1p5", SENSOR)
    model = write_model(tmp_path, small(front_end), front_end)
    model.write_bytes(quantized.serial())
    with pytest.raises(LogGradError, match="describes another model"):
        firmware.make(model, "host", Options(1))


def test_front_end_that_does_not_fill_the_tensor() -> None:
    with pytest.raises(LogGradError, match="needs input scale 1"):
        describe(fixed("loggrad_1p5", SENSOR), (8, 8, 1), 0.5, 0)
    with pytest.raises(LogGradError, match="one channel"):
        describe(fixed("loggrad_1p5", SENSOR), (8, 8, 3), 1.0, 0)


def test_names_cannot_break_the_c() -> None:
    assert emit_text.quoted('a"b\\\n??/é') == '"a\\042b\\134\\012\\077\\077/\\303\\251"'
    assert "*/" not in emit_text.comment("x */ int y; /* z\n\\")


def test_vectors_are_reproducible() -> None:
    source = describe(fixed("loggrad_1p5", SENSOR), (8, 9, 1), 1.0, 0)
    assert vectors.make(source, None, 2).npz() == vectors.make(source, None, 2).npz()


def test_footprint_of_the_host_has_no_bound() -> None:
    graph = tflite_graph.parse(quantized.serial())
    source = describe(None, (16, 16, 1), 1.0, 0)
    found = footprint.predict(planning.plan(graph, "host"), source, boards.read("host"))
    assert (found.ram, found.flash) == (None, None)


def _door(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    import sys

    return subprocess.run(
        [sys.executable, *command[1:]], env=environment, capture_output=True, text=True, check=False
    )


def test_two_classes_whose_scores_are_never_above_zero() -> None:
    """A comparison that is never true is a compiler's warning, and so an error."""
    assert "scores[0] > 126 ? 1u : 0u" in emit.decision(1, 126)
    assert ">" not in emit.decision(1, 127) and "return 0u;" in emit.decision(1, 127)


def test_what_builds_but_may_not_be_meant_is_told(tmp_path: Path) -> None:
    """A mosaic for a gray network, codes of another sensor, a stack below what a call takes."""

    def told(sensor: Sensor, board: str, binning: int = 1, stack: int = 4096) -> list[str]:
        front_end = fixed("loggrad_1p5", sensor)
        made = firmware.make(
            write_model(tmp_path, small(front_end, 48, 48), front_end), board, Options(1, binning=binning)
        )
        return firmware.doubts(dataclasses.replace(made, board=made.board | {"stack": stack}))

    own = Sensor(10, 64, 1023)
    assert told(own, "mps2-an386-camera", 2) == told(own, "mps2-an386") == []
    [mosaic] = told(own, "mps2-an386-camera")
    assert "is RGGB, the network sees mono: give --binning=2" in mosaic
    [other] = told(Sensor(12, 0, 4095), "mps2-an386-camera", 2)
    assert "has 10 bits, black 64, the network 12 bits, black 0: collect with it" in other
    [low] = told(own, "mps2-an386", stack=512)
    assert "mps2-an386 has 512 B: raise 'stack' in its board.json" in low
