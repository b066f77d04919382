"""Projects of detectors: built, run and compared with TFLite and with decode.py, cell by cell."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export import firmware
from export.firmware import Options
from firmware import build, channel, objects, own_frames, project, run, verify
from firmware.certificate import Found
from loggrad_tf.data import raw
from loggrad_tf.data.boxes import BOX
from loggrad_tf.detect import decode
from loggrad_tf.errors import LogGradError
from tests.export.test_forms import ARDUINO, ZEPHYR
from tests.support import REPOSITORY, detectors
from tests.support.firmware_cases import FIRMWARE, board_sources, compile_c

FOUR = Options(4)


def made(folder: Path, board: str = "host", options: Options = FOUR) -> Path:
    firmware.write(firmware.make(detectors.write(folder), board, options), folder / "p")
    return folder / "p"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> project.Project:
    """A built project of the computer itself, and of which every test may read."""
    found = project.load(made(tmp_path_factory.mktemp("detector")))
    build.build(found)
    return found


def in_scores(found: project.Project, scores: np.ndarray) -> np.ndarray:
    """The objects of one frame by decode.py."""
    cells = found.cells
    assert cells is not None
    return decode.objects(scores.reshape(1, cells.rows, cells.columns, -1), cells.threshold)


def door(verb: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"firmware.{verb}", *options]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_every_cell_and_object_is_compared(host: project.Project) -> None:
    verdict = verify.verify(host, count=4)
    assert (verdict.mismatches, verdict.first_mismatch, verdict.passed) == (0, None, True)
    assert verdict.objects is not None and verdict.objects > 20 and verdict.confusion is None
    assert verdict.bytes_compared == 4 * (sum(layer.bytes for layer in host.layers) + host.outputs)
    assert run.load_vectors(host).labels.max() == -1


def test_boxes_of_the_frames_tell_what_was_found(host: project.Project) -> None:
    """By hand: of three objects in two frames the second box is missed, a difficult one is not asked for."""
    boxes = np.zeros(4, BOX)
    boxes["frame"], boxes["label"] = (0, 0, 1, 2), (0, 1, 1, 0)
    boxes["left"], boxes["right"], boxes["bottom"] = (4, 20, 8, 0), (12, 28, 16, 8), 8
    boxes["difficult"] = (False, False, True, False)
    one, other = np.zeros(2, decode.OBJECT), np.zeros(1, decode.OBJECT)
    one["column"], other["column"], other["label"] = (1, 8), 3, 1
    found = objects.found(host, boxes, [one, other])
    assert found == Found(frames=2, there=2, hits=1, invented=1)
    assert found.text == "1 of 2 objects, 1 invented, in 2 frames: F1 0.500"
    assert objects.found(host, boxes[:0], [one, other]) is None


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        (np.zeros(2, np.float32), "its boxes are none"),
        (np.zeros((1, 2), BOX), "its boxes are none"),
        (np.array([(4, 0, 0, 0, 9, 9, False)], BOX), "boxes of other frames or classes"),
        (np.array([(0, 2, 0, 0, 9, 9, False)], BOX), "boxes of other frames or classes"),
    ],
)
def test_damaged_boxes_are_refused(boxes: np.ndarray, said: str, tmp_path: Path) -> None:
    found = project.load(made(tmp_path))
    with np.load(found.path / "vectors.npz") as arrays:
        content = dict(arrays)
    np.savez(found.path / "vectors.npz", **(content | {"boxes": boxes}))
    with pytest.raises(project.FirmwareError, match=said):
        run.load_vectors(found)


def test_an_object_that_is_another_is_a_mismatch(host: project.Project) -> None:
    """Where it is, what it is and how sure; and one more or one fewer."""
    vectors = run.load_vectors(host)
    reference = verify.Reference(host.path / "model.tflite", host.input_tensor, host.output_tensor)
    scores = reference.run(vectors.tensors[0])
    objects = in_scores(host, scores)
    good = channel.Result(scores, len(objects), 0, objects=objects)
    assert verify.compare(host, good, scores, reference) == (None, len(scores))
    wrong = [objects[1:], np.concatenate([objects, objects[-1:]])]
    for name in ("row", "column", "label", "margin"):
        other = objects.copy()
        other[name][2] += 1
        wrong.append(other)
    for some in wrong:
        difference, _ = verify.compare(host, dataclasses.replace(good, objects=some), scores, reference)
        assert difference is not None and "differ from" in difference and "scores are equal" in difference


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["mps2-an386", "microbit"])
def test_on_a_board(board: str, tmp_path: Path) -> None:
    """RAM to the byte, flash within two per cent; objects take no RAM of their own."""
    found = project.load(made(tmp_path, board, Options(2)))
    assert door("verify", "--project", str(found.path)).returncode == 0
    certificate = json.loads((found.path / "certificate.json").read_text())
    assert certificate["passed"] is True and certificate["objects"] > 5
    assert certificate["ram"] == certificate["ram_predicted"]
    assert abs(certificate["flash_predicted"] / certificate["flash"] - 1) < 0.02


@pytest.mark.parametrize("optimise", ["ram", "flash"])
def test_optimised(optimise: str, tmp_path: Path) -> None:
    verdict = verify.verify(project.load(made(tmp_path, options=Options(2, optimise=optimise))))
    assert verdict.passed and verdict.objects


_ROWS = """
#include <stdio.h>
#include "eye.h"
static eye_state net;
static eye_code frame[EYE_ROWS * EYE_ROW_CODES];
static void tell(uint32_t y, uint32_t *place)
{
    lg_object o;
    while (eye_next_object(&net, place, &o) == 1) {
        printf("%u %u %u %u %d\\n", (unsigned)y, o.row, o.column, o.label, o.margin);
    }
}
int main(int argc, char **argv)
{
    uint32_t place = 0;
    lg_object o;
    (void)argv;
    if (eye_next_object(&net, &place, &o) != LG_ERROR_NOT_READY) return 2;
    if (eye_init(&net, sizeof net, EYE_MODEL_SHA256, NULL) != LG_OK) return 3;
    if (eye_next_object(&net, NULL, &o) != LG_ERROR_NULL) return 4;
    if (eye_next_object(&net, &place, NULL) != LG_ERROR_NULL) return 5;
    if (fread(frame, sizeof *frame, EYE_ROWS * EYE_ROW_CODES, stdin) != EYE_ROWS * EYE_ROW_CODES) return 6;
    for (int again = 0; again < 2; again++) {
        place = 0;
        (void)eye_begin(&net);
        for (uint32_t y = 0; y < EYE_ROWS; y++) {
            lg_status status = argc > 1 ? eye_feed_row(&net, frame + y * EYE_ROW_CODES, EYE_ROW_CODES)
                                        : eye_push_row(&net, frame + y * EYE_ROW_CODES, EYE_ROW_CODES);
            while (status == LG_WORK) {
                status = eye_step(&net);
                tell(y, &place);
            }
            tell(y, &place);
        }
    }
    return 0;
}
"""


@pytest.mark.seconds
@pytest.mark.parametrize("steps", [False, True])
def test_objects_come_while_the_frame_does(steps: bool, tmp_path: Path) -> None:
    """Row by row and in steps, in a second frame too: those of decode.py, as soon as they can be known."""
    folder = made(tmp_path, options=Options(1, name="eye"))
    found = project.load(folder)
    vectors = run.load_vectors(found)
    (tmp_path / "main.c").write_text(_ROWS)
    sources = [*(folder / "src").glob("*.c"), *(folder / "lib/src").glob("*.c"), tmp_path / "main.c"]
    flags = [
        "-std=c99",
        "-g",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-ffp-contract=off",
    ]
    includes = [f"-I{folder / 'src'}", f"-I{folder / 'lib/include'}"]
    compile_c(["gcc", *flags, *includes, *map(str, sources), "-o", str(tmp_path / "rows")])
    command = [str(tmp_path / "rows"), *["steps"] * steps]
    done = subprocess.run(command, input=vectors.frames[0].tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    told = [tuple(map(int, line.split())) for line in done.stdout.decode().splitlines()]
    scores = verify.Reference(folder / "model.tflite", found.input_tensor, found.output_tensor)
    expected = [
        tuple(int(one[name]) for name in ("row", "column", "label", "margin"))
        for one in in_scores(found, scores.run(vectors.tensors[0]))
    ]
    assert len(expected) > 5 and [one[1:] for one in told] == 2 * expected
    assert found.cells is not None
    for y, row, *_ in told:
        # The row below it is there: it sees seven rows below its first, and the front end one more.
        assert y == min((row + 1) * detectors.STRIDE + 7 + 1, found.rows - 1)


@pytest.mark.seconds
def test_libraries_and_examples_print_objects(tmp_path: Path) -> None:
    model = detectors.write(tmp_path)
    folders = {}
    for form in ("project", "arduino", "zephyr"):
        folders[form] = tmp_path / form
        firmware.write(firmware.make(model, "host", Options(2, form=form)), folders[form])
    lines = rf"(({'|'.join(detectors.CLASSES)}) in [a-z0-9, ]+\n)+"
    plain = folders["project"]
    sources = [plain / "example" / name for name in ("main.c", "port_host.c")]
    sources += [*(plain / "src").glob("*.c"), *(plain / "lib/src").glob("*.c")]
    include = ["src", "lib/include", "example"]
    assert re.fullmatch(rf"({lines}that is all\n){{3}}", ran(plain, sources, include))
    arduino = folders["arduino"]
    sketch = tmp_path / "sketch.cc"
    sketch.write_text('#include "Arduino.h"\n' + (arduino / "examples/classify/classify.ino").read_text())
    sources = [sketch, ARDUINO / "core.cc", *(arduino / "src").glob("*.c"), *map(Path, board_sources("host"))]
    include = ["src", "examples/classify", str(ARDUINO), str(FIRMWARE / "boards/common")]
    said = ran(arduino, sources, include)
    assert re.fullmatch(rf"({lines}objects \d+, \d+ us, as TFLite has it\n(high|low)\n){{2}}", said), said
    zephyr = folders["zephyr"]
    (sample,) = (zephyr / "samples").iterdir()
    assert '"objects (.*), as TFLite has it"' in (sample / "sample.yaml").read_text()
    sources = [sample / "src/main.c", *(zephyr / "src").glob("*.c"), *(zephyr / "lib/src").glob("*.c")]
    said = ran(zephyr, sources, ["src", "lib/include", str(sample / "src"), str(ZEPHYR)])
    assert re.fullmatch(rf"{lines}objects \d+, as TFLite has it\n", said), said


def ran(folder: Path, sources: list[Path], include: list[str]) -> str:
    """What a program of these sources prints."""
    flags = ["-w", "-O1", "-ffp-contract=off", *(f"-I{folder / name}" for name in include)]
    objects = []
    for number, source in enumerate(sources):
        objects.append(str(folder / f"{number}.o"))
        compile_c(["g++" if source.suffix == ".cc" else "gcc", *flags, "-c", str(source), "-o", objects[-1]])
    compile_c(["g++", *objects, "-o", str(folder / "ran")])
    command = [str(folder / "ran")]
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False).stdout


def test_run_prints_and_draws_objects(host: project.Project, tmp_path: Path) -> None:
    done = door("run", "--project", str(host.path), "--draw", str(tmp_path / "seen"))
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert re.fullmatch(r"frame 0: ((person|car) at \d+,\d+ \(\+\d+\)(; )?)+", first)
    with Image.open(tmp_path / "seen" / "frame_0.png") as picture:
        # Magnified by 13, cells of 4 pixels; each of them has a frame in the colour of its class.
        assert picture.size == (37 * 13, 24 * 13)
        pixels = np.asarray(picture)
    column, row = map(int, re.findall(r"at (\d+),(\d+)", first)[0])
    corner = pixels[(row - 2) * 13, (column - 2) * 13]
    assert corner.tolist() in ([0xFF, 0x4B, 0x30], [0x35, 0xC2, 0xFF])
    assert len(list((tmp_path / "seen").iterdir())) == 4


@pytest.mark.seconds
def test_a_camera_of_windows_that_are_no_squares(tmp_path: Path) -> None:
    """A simulated one, whose frames the board judges and sends."""
    folder = made(tmp_path, "host-camera", Options(1, binning=2))
    done = door("run", "--project", str(folder), "--camera", "3")
    assert done.returncode == 0, done.stderr
    *frames, last = done.stdout.splitlines()
    told = r"(nothing|((person|car) at \d+,\d+ \([+-]\d+\)(; )?)+)"
    assert [bool(re.fullmatch(rf"frame \d: {told}", line)) for line in frames] == [True] * 3
    assert last == "run: 3 frames of the camera"
    done = door("run", "--project", str(folder), "--camera", "3", "--draw", str(tmp_path / "seen"))
    assert done.returncode == 1 and "--draw: of a detector's test frames, or of photographs" in done.stderr
    done = door("run", "--project", str(folder), "--camera", "2", "--keep", str(tmp_path / "kept"))
    assert done.returncode == 0 and "2 frames of the camera, 2 kept" in done.stdout, done.stderr
    for path in (tmp_path / "kept").glob("unlabelled/*.dng"):
        assert raw.read_raw(path).pixels.shape == (2 * detectors.HEIGHT, 2 * detectors.WIDTH)


def test_what_is_of_classes_is_refused(host: project.Project, tmp_path: Path) -> None:
    done = door("watch", "--project", str(host.path))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "a detector, which gives objects and no class" in done.stderr
    frames = run.load_vectors(host).frames
    np.savez(tmp_path / "own.npz", frames=frames, labels=np.zeros(len(frames), int))
    with pytest.raises(project.FirmwareError, match="give --frames without labels"):
        own_frames.read(host, tmp_path / "own.npz", (24, 37, 1))
    np.savez(tmp_path / "own.npz", frames=frames)
    assert own_frames.read(host, tmp_path / "own.npz", (24, 37, 1)).labels.max() == -1


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"rows": 7}, r"a grid of 10x7 cells and 2 class names, the flatbuffer answers \[6, 10, 3\]"),
        ({"columns": 0}, "a grid of 0x6 cells of 4 pixels"),
        ({"threshold": 257}, "a threshold of 257: margins are -255..256"),
    ],
)
def test_cells_of_another_network_are_refused(cells: dict[str, int], said: str, tmp_path: Path) -> None:
    with pytest.raises(LogGradError, match=said) as caught:
        firmware.make(detectors.write(tmp_path, cells), "host", Options(1))
    assert str(caught.value).endswith("convert again")


@pytest.mark.parametrize(
    "words", ["1", "0 00000000000000ff", "1 0000", "1 00000000000000zz", "2 0000000000000001"]
)
def test_an_answer_with_other_objects_than_it_counts_is_unreadable(words: str, host: project.Project) -> None:
    count, _, objects = words.partition(" ")
    answer = f"S 0 {count} 00000000 00ff01 00000000 {objects}".rstrip()
    with pytest.raises(project.FirmwareError, match="unreadable answer"):
        channel._result(answer, (), host.cells is not None)


def test_the_interpreter_answers_with_the_same_objects(tmp_path: Path) -> None:
    """What TensorFlow Lite Micro is compiled with; it is run where it is installed."""
    options = Options(1, runtime="tflm")
    files = firmware.make(detectors.write(tmp_path), "host", options).files
    assert b"net_next_object" in files["src/net.h"] and b"net_class(" not in files["src/net.c"]
    assert b"lg_cells_next(&cells, net->scores, net->invoked != 0 ? NET_CELL_ROWS : 0u" in files["src/net.c"]
