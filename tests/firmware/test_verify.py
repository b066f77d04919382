"""The runners against boards that lie, hang or die, and against damaged projects."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from export import firmware
from firmware import build, channel, project, run, verify
from tests.support import REPOSITORY, quantized


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built project of board host, which stays as it is; beside it, the copy ``p`` that tests work on."""
    folder = tmp_path_factory.mktemp("runners")
    (folder / "model.tflite").write_bytes(quantized.serial())
    firmware.write(firmware.make(folder / "model.tflite", "host", firmware.Options(2)), folder / "p")
    build.build(project.load(folder / "p"))
    shutil.copytree(folder / "p", folder / "kept")
    return folder / "kept"


@pytest.fixture
def made(original: Path) -> project.Project:
    """A project that a test may spoil. Only what the last test has spoilt is built again."""
    working = original.with_name("p")
    if not working.exists():
        shutil.copytree(original, working)
    for folder, others in ((original, working), (working, original)):
        for path in (path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder)
            other = others / name
            if name.parts[0] == "build" and name.parts[1:] != ("firmware.elf",):
                continue
            if folder == working and not other.exists():
                path.unlink()
            elif folder == original and (not other.exists() or other.read_bytes() != path.read_bytes()):
                other.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, other)
    return project.load(working)


def door(verb: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"firmware.{verb}", *options]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def board_that(made: project.Project, body: str) -> None:
    """Put a Python program in place of the image, newer than every source."""
    made.elf.write_text(f"#!{sys.executable}\nimport sys, time, zlib\n{body}\n")
    made.elf.chmod(0o755)


ANSWER = """
def say(text):
    sys.stdout.write("%s*%08x\\n" % (text, zlib.crc32(text.encode())))
    sys.stdout.flush()
"""


@pytest.mark.seconds
def test_certificate_and_json(made: project.Project) -> None:
    result = door("verify", "--project", str(made.path), "--json")
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["passed"] is True and printed["first_mismatch"] is None and printed["complaints"] == []
    assert (printed["vectors"], printed["mismatches"], printed["layers"]) == (2, 0, len(made.layers))
    assert (printed["executed"], printed["unit"], printed["ram"], printed["flash"]) == (None,) * 4
    certificate = json.loads((made.path / "certificate.json").read_text())
    assert (
        certificate["format"] == 3 and certificate["passed"] is True and certificate["channel"] == "process"
    )
    assert certificate["stamp"] == printed["stamp"] and "ai-edge-litert" in certificate["versions"]
    assert certificate["model_sha256"] == project.sha256(made.path / "model.tflite")
    assert certificate["elf_sha256"] == project.sha256(made.elf)
    assert certificate["mismatches"] == 0


@pytest.mark.seconds
def test_labelled_frames_make_a_confusion(made: project.Project) -> None:
    """The board's classes beside the labels, in the certificate and on the screen; no labels, no table."""
    assert verify.verify(made).confusion is None
    vectors = run.load_vectors(made)
    reference = verify.Reference(made.path / "model.tflite", made.input_tensor, made.output_tensor)
    answers = [reference.label(reference.run(tensor)) for tensor in vectors.tensors]
    labels = np.array([1 - min(answers[0], 1), answers[1]], np.int32)
    fields = {field.name: getattr(vectors, field.name) for field in dataclasses.fields(vectors)}
    np.savez(made.path / "vectors.npz", **(fields | {"labels": labels}))
    result = door("verify", "--project", str(made.path), "--vectors=4")
    assert result.returncode == 0, result.stderr
    found = json.loads((made.path / "certificate.json").read_text())["confusion"]
    counts = np.zeros((made.outputs, made.outputs), int)
    np.add.at(counts, (labels, answers), 1)
    assert found["counts"] == counts.tolist() and counts.trace() == 1
    assert found["class_names"] == [f"class {index}" for index in range(made.outputs)]
    assert "true, answer:" in result.stdout and "100.0%" in result.stdout


def test_frames_without_labels_are_not_counted(made: project.Project) -> None:
    found = verify.confusion(made, np.array([0, -1, 1, made.outputs]), [1, 1, 1, 0, 0, 0])
    assert found is not None and np.array(found.counts).sum() == 2
    assert found.counts[0][1] == found.counts[1][1] == 1


def converse(made: project.Project, sent: bytes) -> list[str]:
    """What the program says to `sent`, checksums checked and taken off."""
    done = subprocess.run([str(made.elf)], input=sent, capture_output=True, timeout=10, check=False)
    assert done.returncode == 0 and done.stdout.endswith(b"\n")
    answers = [line.decode() for line in done.stdout.splitlines(keepends=True)]
    assert all(channel.frame_line(line[:-10]).decode() == line for line in answers)
    return [line[:-10] for line in answers]


@pytest.mark.parametrize("text", ["I", "F 1", "row", "S", "C", "M", "X"])
def test_a_line_cut_anywhere_is_refused_once(made: project.Project, text: str) -> None:
    """Cut and ended, or cut and run into the next line: one refusal, and the line after it is answered."""
    row = channel.row_text(0, run.load_vectors(made).frames[0][0], made.code_bytes)
    good = channel.frame_line(row if text == "row" else text)
    asked = channel.frame_line("I")
    answer = converse(made, asked)
    assert len(answer) == 1 and answer[0].startswith("I loggrad 2 ")
    for cut in range(1, len(good) - 1):
        assert converse(made, good[:cut] + b"\n" + asked) == ["E", *answer]
        assert converse(made, good[:cut] + asked + asked) == ["E", *answer]
    assert converse(made, b"\n\n" + asked + b"\n" + asked) == [*answer, *answer]


def test_a_line_needs_its_own_arguments_and_nothing_more(made: project.Project) -> None:
    wrong = ["I 99", "I ", "S 0", "X abc", "X ", "F", "F ", "F 12", "F 01", "F1", "F  1", "R", "R0"]
    wrong += ["R 0", "R 0 0", "R 0000", "R 000 00", "R 00000 00", "R 0000 00 00", "R 0000 0g", "R 0000 0"]
    wrong += ["R 0000  00", "C 0", "M 1", "F 3", "F f", "Q", "", "E", "i", "*", "I loggrad"]
    bad = [channel.frame_line(text) for text in wrong]
    good = channel.frame_line("F 1")
    bad += [good[:-1] + b"0\n", good[:-1] + b" \n", good[:-1] + b"junkjunk\n", good[:-2] + b"\n", b"F 1\n"]
    bad += [b"F 1*00000000\n", bytes(i for i in range(256) if i != 10) + b"\n", b"*" * 40 + b"\n"]
    for line in bad:
        assert converse(made, line + good) == ["E", "F 0"], line
    assert converse(made, channel.frame_line("X") + good) == ["X 0"]
    assert converse(made, good + good[:-1]) == ["F 0"]


def test_human_form_ends_with_the_verdict(made: project.Project) -> None:
    result = door("verify", "--project", str(made.path))
    assert result.stdout.split("\n")[-2] == "verify: 2 vectors, 0 mismatches"


def test_wrong_input_tensor_is_named(made: project.Project) -> None:
    """A vector whose expected tensor is off by one value: the input differs, and all after it."""
    path = made.path / "vectors.npz"
    with np.load(path) as arrays:
        content = {name: arrays[name].copy() for name in arrays.files}
    content["tensors"][1, 5, 5, 0] ^= 1
    np.savez(path, **content)
    verdict = verify.verify(made)
    assert verdict.mismatches == 1
    assert str(verdict.first_mismatch).startswith(
        "vector 1, layer input differs at row 5, column 5, channel 0, byte 85: "
    )


def test_another_model_is_noticed(made: project.Project) -> None:
    (made.path / "model.tflite").write_bytes(quantized.serial(7))
    with pytest.raises(project.FirmwareError, match="model.tflite is of model .* generate the project again"):
        verify.verify(made)


def test_stale_image_of_another_model_is_noticed(made: project.Project) -> None:
    header = made.path / "src" / "net.h"
    header.write_text(header.read_text().replace(made.model_sha256, "0" * 64))
    with pytest.raises(project.FirmwareError, match="the image is of model 000000000000"):
        verify.verify(made)


@pytest.mark.seconds
def test_hanging_program(made: project.Project) -> None:
    board_that(made, "time.sleep(60)")
    started = time.monotonic()
    with (
        pytest.raises(project.FirmwareError, match=r"no answer within 0\.5 s"),
        channel.Channel(made, 0.5) as board,
    ):
        board.who()
    assert time.monotonic() - started < 10


@pytest.mark.seconds
def test_program_that_never_reads(made: project.Project) -> None:
    """More than a pipe holds: the sender must not block for ever."""
    board_that(made, "time.sleep(60)")
    with pytest.raises(project.FirmwareError, match="no answer"), channel.Channel(made, 0.5) as board:
        board.ask("R " + "00" * 200_000)


def test_program_that_ends(made: project.Project) -> None:
    board_that(made, "sys.stdin.readline(); sys.stderr.write('out of luck'); sys.exit(67)")
    with (
        pytest.raises(project.FirmwareError, match=r"exception 3 .*hard fault.*out of luck"),
        channel.Channel(made) as board,
    ):
        board.who()


def test_killed_program(made: project.Project) -> None:
    board_that(made, "time.sleep(60)")
    with channel.Channel(made) as board:
        assert isinstance(board.link, channel.ProcessLink)
        threading.Timer(0.3, os.kill, (board.link.process.pid, signal.SIGKILL)).start()
        with pytest.raises(project.FirmwareError, match="killed by signal 9"):
            board.who()


@pytest.mark.seconds
def test_lines_without_their_checksum_are_no_answers(made: project.Project) -> None:
    body = ANSWER + "print('boot noise'); print('I loggrad*00000000'); say('I loggrad 9')\ntime.sleep(60)"
    board_that(made, body)
    with pytest.raises(project.FirmwareError, match="another protocol"), channel.Channel(made) as board:
        board.who()


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["F 0", "R -11"], "row 0 of 16: the board answers status -11"),
        (["F 0", "R x"], "unreadable answer"),
        (["F 0", "R"], "unreadable answer"),
        (["E"], "could not read"),
        (["X 0"], "unexpected answer"),
    ],
)
def test_strange_answers(made: project.Project, answers: list[str], message: str) -> None:
    board_that(
        made, ANSWER + f"for line in {answers!r}:\n    sys.stdin.readline(); say(line)\ntime.sleep(60)"
    )
    frame = run.load_vectors(made).frames[0]
    with pytest.raises(project.FirmwareError, match=message), channel.Channel(made, 5.0) as board:
        board.classify(frame)


def test_unreported_layers_are_noticed(made: project.Project) -> None:
    reference = verify.Reference(made.path / "model.tflite")
    scores = reference.run(run.load_vectors(made).tensors[0])
    whole = channel.Piece(0, reference.layer(made.layers[0].tensor).tobytes(), 0)
    for pieces, message in (
        ((whole,), f"{made.layers[1].name}: the board reports 0 of {made.layers[1].bytes} B"),
        ((whole, whole), "input: the board reports 512 of 256 B"),
        ((whole, dataclasses.replace(whole, layer=99)), "the board reports layer 99 of"),
    ):
        with pytest.raises(project.FirmwareError, match=re.escape(message)):
            verify.compare(made, channel.Result(scores, 0, 0, 0, pieces), scores, reference)


@pytest.mark.seconds
def test_damaged_projects_are_one_line(made: project.Project, tmp_path: Path) -> None:
    results = [door("build", "--project", str(tmp_path / "nothing"))]
    (made.path / "vectors.npz").write_bytes(b"PK no")
    results.append(door("run", "--project", str(made.path)))
    (made.path / "src" / "net.c").write_text("int x = y;\n")
    results.append(door("build", "--project", str(made.path)))
    (made.path / "project.json").write_text('{"loggrad_project": 1}')
    results.append(door("build", "--project", str(made.path)))
    for result in results:
        assert result.returncode == 1
        assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


def test_run_prints_a_line_per_frame(made: project.Project) -> None:
    result = door("run", "--project", str(made.path))
    assert result.returncode == 0, result.stderr
    assert [line.split(":")[0] for line in result.stdout.strip().split("\n")] == ["frame 0", "frame 1", "run"]


def test_a_moved_project_builds_again(made: project.Project, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    made.path.rename(moved)
    assert verify.verify(project.load(moved)).mismatches == 0


def change(made: project.Project, old: str, new: str) -> None:
    """Change the program of a project."""
    source = made.path / "program" / "main.c"
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))


def test_a_wrong_class_of_right_scores_is_a_mismatch(made: project.Project) -> None:
    change(made, "net_class(&app.net)", "(1 - net_class(&app.net))")
    verdict = verify.verify(made)
    assert verdict.mismatches == verdict.vectors
    assert "though the scores are equal" in str(verdict.first_mismatch)


def test_a_mismatch_beyond_the_first_frame_is_pinned_to_its_byte(made: project.Project) -> None:
    """Of the third frame only a digest comes; the bytes are fetched when it differs."""
    with np.load(made.path / "vectors.npz") as arrays:
        content = {name: arrays[name].copy() for name in arrays.files}
    for name in ("frames", "tensors", "labels"):
        content[name] = np.repeat(content[name], 2, axis=0)
    content["tensors"][2, 7, 3, 0] += 1
    np.savez(made.path / "vectors.npz", **content)
    board, reference = (int(content[name][2].reshape(16, 16)[7, 3]) for name in ("frames", "tensors"))
    verdict = verify.verify(made)
    assert (verdict.vectors, verdict.mismatches) == (4, 1)
    assert str(verdict.first_mismatch).startswith(
        f"vector 2, layer input differs at row 7, column 3, channel 0, byte 115: {board} for {reference} ("
    )


def test_a_fault_that_does_not_come_again_is_a_mismatch(made: project.Project) -> None:
    """One digest is wrong, and the bytes that are fetched afterwards are right."""
    change(
        made,
        "put_word(' ', app.digest);\n    }",
        "static int n;\nput_word(' ', app.digest ^ (++n == 4));\n    }",
    )
    verdict = verify.verify(made, count=2)
    assert verdict.mismatches == 1
    assert verdict.first_mismatch == "vector 1, the digest of the layers differs, but not when it is repeated"


def test_cycles_are_of_boards_that_qemu_has(made: project.Project) -> None:
    done = door("verify", "--project", str(made.path), "--cycles")
    assert done.returncode == 1 and "--cycles: board host is not emulated" in done.stderr
    assert not (made.path / "certificate.json").exists()


def test_a_boards_own_cycles_stand_beside_what_was_predicted(made: project.Project) -> None:
    verdict = verify.verify(made)
    assert verdict.ratio is None, "this computer counts nothing"
    counted = dataclasses.replace(verdict, executed=1250, unit="cycles", cycles_predicted=1000)
    verify.write_certificate(made, counted)
    certificate = json.loads((made.path / "certificate.json").read_text())
    assert certificate["cycles_ratio"] == 1.25 and certificate["cycles_predicted"] == 1000
    assert dataclasses.replace(counted, unit="instructions").ratio is None


def test_nodes_of_a_project_are_checked(made: project.Project) -> None:
    path = made.path / "project.json"
    record = json.loads(path.read_text())
    assert [node["name"] for node in record["nodes"]][0] == "input" and made.cycles is None
    for damage in ({"macs": -1}, {"macs": None}, {"cycles": "many"}, {"name": 5}, {"more": 0}):
        nodes = [record["nodes"][0] | damage, *record["nodes"][1:]]
        path.write_text(json.dumps(record | {"nodes": nodes}))
        with pytest.raises(project.FirmwareError, match="damaged"):
            project.load(made.path)
    known = [node | {"cycles": 7} for node in record["nodes"]]
    path.write_text(json.dumps(record | {"nodes": known}))
    assert project.load(made.path).cycles == 7 * len(known)


def test_scores_alone(made: project.Project) -> None:
    verdict = verify.verify(made, layers=False, count=50)
    assert (verdict.vectors, verdict.mismatches, verdict.layers) == (50, 0, 0)
    assert verdict.bytes_compared == 50 * made.outputs and verdict.reported == "scores"


def test_random_frames_are_the_same_every_time(made: project.Project) -> None:
    vectors = run.load_vectors(made)
    one, two = (list(verify.frames(made, vectors, count)) for count in (40, 20))
    assert len(one) == 40
    for (frame, tensor), (other, _) in zip(one, two, strict=False):
        assert np.array_equal(frame, other) and np.array_equal(frame, tensor.reshape(frame.shape))
    assert np.array_equal(one[1][1], vectors.tensors[1]) and one[30][0].dtype == np.int8
    verdict = verify.verify(made, count=40)
    assert (verdict.vectors, verdict.mismatches) == (40, 0)
    assert verdict.source.endswith("; 38 random int8 frames, seed 1")
    first = (made.path / "certificate.json", verify.write_certificate(made, verdict))[0].read_bytes()
    verify.write_certificate(made, verify.verify(made, count=40))
    assert (made.path / "certificate.json").read_bytes() == first


def test_raw_frames_cannot_be_invented(made: project.Project) -> None:
    path = made.path / "vectors.npz"
    with np.load(path) as arrays:
        content = {name: arrays[name].copy() for name in arrays.files}
    np.savez(path, **(content | {"frames": content["frames"].view(np.uint8)}))
    assert verify.verify(made, count=1).vectors == 1
    done = door("verify", "--project", str(made.path), "--vectors", "3")
    assert done.returncode == 1 and "generate it with --vectors=3" in done.stderr
    assert door("verify", "--project", str(made.path), "--vectors", "0").returncode == 2


def test_another_stamp_is_noticed(made: project.Project) -> None:
    record = json.loads((made.path / "project.json").read_text())
    with channel.Channel(made) as board:
        stamp = board.who()["stamp"]
    (made.path / "project.json").write_text(json.dumps(record | {"stamp": stamp}))
    assert verify.verify(project.load(made.path)).stamp == stamp
    (made.path / "project.json").write_text(json.dumps(record | {"stamp": "0.0.0/other"}))
    with pytest.raises(project.FirmwareError, match="the image has stamp = .*, project.json 0.0.0/other"):
        verify.verify(project.load(made.path))


def test_a_truncated_frame_is_no_result(made: project.Project) -> None:
    frame = run.load_vectors(made).frames[0]
    with channel.Channel(made) as board:
        with pytest.raises(project.FirmwareError, match="row 14 of 15: the board answers status 1"):
            board.classify(frame[:-1])
        assert board.ask("S") == ["S -14"]
        assert board.ask(channel.row_text(14, frame[14], 1)) == ["R 1 14"], "it came twice, and counts once"
        assert board.ask(channel.row_text(13, frame[13], 1)) == ["R -64 13"]
        assert board.ask(channel.row_text(15, frame[15], 1)) == ["R 0 15"]
        assert board.ask("S")[0].startswith("S 0 ")


def test_the_certificate_is_whole_or_not_there(
    made: project.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = verify.verify(made)
    verify.write_certificate(made, verdict)
    before = (made.path / "certificate.json").read_bytes()

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device", "certificate.json")

    for name in ("os.replace", "os.fsync"):
        with monkeypatch.context() as context:
            context.setattr(name, fails)
            with pytest.raises(OSError):
                verify.write_certificate(made, verdict)
        assert (made.path / "certificate.json").read_bytes() == before
        assert not list(made.path.glob(".certificate*"))
    board_that(made, "sys.exit(3)")
    with pytest.raises(project.FirmwareError, match="ended with code 3"):
        verify.verify(made)
    assert not (made.path / "certificate.json").exists(), "a verification without an end leaves none"


def test_a_program_that_dies_in_the_middle_of_a_frame(made: project.Project) -> None:
    change(
        made,
        "    start_clock();\n    const int status",
        "    if (app.rows == 5u) lg_board_exit(67);\n    start_clock();\n    const int status",
    )
    with pytest.raises(project.FirmwareError, match="stopped at exception 3"):
        verify.verify(made)


@pytest.mark.seconds
def test_a_program_that_hangs_in_the_middle_of_a_frame(made: project.Project) -> None:
    change(
        made,
        "    start_clock();\n    const int status",
        "    while (app.rows == 5u) {}\n    start_clock();\n    const int status",
    )
    with pytest.raises(project.FirmwareError, match=r"no answer within 0\.5 s"):
        verify.verify(made, 0.5)


def test_layers_that_do_not_join_their_digest(made: project.Project) -> None:
    change(
        made,
        "put_word(' ', app.digest);\n        put_bytes",
        "put_word(' ', app.digest ^ (layer == 2u));\n        put_bytes",
    )
    with pytest.raises(project.FirmwareError, match="do not join"):
        verify.verify(made)


CAMERA = """static int camera_line(net_code *line, uint32_t codes, uint32_t row)
{
    for (uint32_t i = 0; i < codes; i++) {
        line[i] = (net_code)((int)(row * 31u + i * 7u) % 251 - 125);
    }
    return row < codes ? 0 : -4;
}

static int take_camera_frame(int letter)
"""


def test_a_frame_of_the_camera(made: project.Project) -> None:
    with (
        channel.Channel(made) as board,
        pytest.raises(project.FirmwareError, match="board host has no camera"),
    ):
        board.camera()
    change(made, "static int take_camera_frame(int letter)\n", CAMERA)
    change(made, "lg_board_camera_line(app.row", "camera_line(app.row")
    build.build(made)
    y, x = np.mgrid[:16, :16]
    with channel.Channel(made) as board:
        assert np.array_equal(
            board.camera().scores, board.classify(((y * 31 + x * 7) % 251 - 125).astype(np.int8)).scores
        )
    done = door("run", "--project", str(made.path), "--camera", "2")
    assert done.stdout.strip().split("\n")[-1] == "run: 2 frames of the camera"


@pytest.mark.seconds
def test_a_build_directory_of_another_board_is_not_used(made: project.Project) -> None:
    cache = made.path / "build" / "CMakeCache.txt"
    build.build(made)
    text = cache.read_text()
    assert "LG_BOARD:STRING=host\n" in text or "LG_BOARD:UNINITIALIZED=host\n" in text
    cache.write_text(re.sub("(LG_BOARD:[A-Z]+)=host", r"\1=mps2-an386", text))
    build.build(made)
    assert cache.read_text() == text


def test_a_board_that_is_not_emulated_needs_a_port(made: project.Project) -> None:
    path = made.path / "boards" / "host" / "board.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"core": "cortex-m4"}))
    with pytest.raises(project.FirmwareError, match="board host is not emulated: flash it .* give --port"):
        channel.Channel(project.load(made.path))


@pytest.mark.parametrize(
    ("statics", "message"),
    [({"semihosting": 80, "uart": 0}, None), ({"semihosting": 80}, "has no serial line")],
)
def test_the_channel_of_an_image(made: project.Project, statics: dict[str, int], message: str | None) -> None:
    """The prediction is for the board's default channel; another one has other statics."""
    predicted = {"state": 100, "program": 1004, "ram": 1088 + 512, "flash": 0}
    board = made.board | {"channel": "semihosting", "statics": statics}
    found = dataclasses.replace(made, board=board, predicted=predicted)
    assert build.channel_of(found, False) == "semihosting" and build.predicted_ram(found, False) == 1600
    if message:
        with pytest.raises(project.FirmwareError, match=message):
            build.channel_of(found, True)
    else:
        assert build.channel_of(found, True) == "uart" and build.predicted_ram(found, True) == 1008 + 512
    assert build.channel_of(made, True) is None


def test_the_compilers_message_is_the_error(made: project.Project) -> None:
    with (made.path / "src" / "net.c").open("a") as file:
        file.write("int x =\n")
    with pytest.raises(project.FirmwareError, match=r"net\.c:\d+:\d+: error:"):
        build.build(made)


@pytest.mark.parametrize("value", ["0", "-3", "nan", "inf", "soon"])
def test_a_timeout_is_a_positive_time(made: project.Project, value: str) -> None:
    done = door("verify", "--project", str(made.path), f"--timeout={value}")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: argument --timeout")


def test_missing_tool_names_its_package(made: project.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(project.FirmwareError, match="cmake is not installed: apt install cmake"):
        build.build(made)


def on_qemu(folder: Path, board: str = "mps2-an386") -> project.Project:
    folder.mkdir(exist_ok=True)
    (folder / "model.tflite").write_bytes(quantized.serial())
    firmware.write(firmware.make(folder / "model.tflite", board, firmware.Options(2)), folder / "p")
    return project.load(folder / "p")


@pytest.mark.qemu
def test_an_image_that_faults(tmp_path: Path) -> None:
    made = on_qemu(tmp_path)
    fault = "    *(volatile uint32_t *)0xFFFFFFF0u = 1u;\n    start_clock();\n    const int status"
    change(made, "    start_clock();\n    const int status", fault)
    with pytest.raises(project.FirmwareError, match=r"stopped at exception"):
        verify.verify(made)


@pytest.mark.qemu
def test_image_of_another_board(tmp_path: Path) -> None:
    one, other = on_qemu(tmp_path / "a"), on_qemu(tmp_path / "b", "netduinoplus2")
    build.build(one)
    shutil.copy(build.build(other), one.elf)
    started = time.monotonic()
    with pytest.raises(project.FirmwareError), channel.Channel(one, 0.5) as board:
        board.who()
    assert time.monotonic() - started < 10


@pytest.mark.qemu
def test_costs_and_a_prediction_of_ram_that_is_wrong(tmp_path: Path) -> None:
    made = on_qemu(tmp_path)
    verdict = verify.verify(made)
    assert verdict.passed and verdict.ram == verdict.ram_predicted
    assert 0 < verdict.stack_used < verdict.stack_size == made.board["stack"]
    assert verdict.unit == "instructions" and verdict.executed is not None and verdict.executed > 10_000
    record = json.loads((made.path / "project.json").read_text())
    record["predicted"] |= {"ram": verdict.ram - 8, "flash": verdict.flash * 2}
    (made.path / "project.json").write_text(json.dumps(record))
    done = door("verify", "--project", str(made.path))
    assert done.returncode == 1, done.stderr
    assert f"RAM is {verdict.ram} B, {verdict.ram - 8} predicted" in done.stdout
    assert "warning: the prediction of flash is off by +100.0%" in done.stdout
    assert json.loads((made.path / "certificate.json").read_text())["passed"] is False


def edged(kind: int, scale: float = 0.37, zero_point: int = -5) -> tuple[bytes, int, int]:
    """A network with QUANTIZE and DEQUANTIZE at its edges: (flatbuffer, int8 input, int8 output)."""
    net = quantized.Net(3)
    outer = net._tensor(
        (1, 6, 5, 2), kind, 0, *(([scale], [zero_point + 128]) if kind == UINT8 else ([], []))
    )
    net.source = outer
    inner = net.tensor((6, 5, 2), scale, zero_point)
    net.operator(quantized.BUILTIN.QUANTIZE, quantized.OPTIONS.NONE, None, [outer], inner)
    scores = net.dense(net.mean(net.conv(inner, 4)), 3)
    out = net._tensor((1, 3), FLOAT32, 0, [], [])
    net.operator(quantized.BUILTIN.DEQUANTIZE, quantized.OPTIONS.NONE, None, [scores], out)
    return net.flatbuffer(out), inner, scores


FLOAT32, UINT8 = quantized.schema.TensorType.FLOAT32, quantized.schema.TensorType.UINT8


@pytest.mark.parametrize("kind", [FLOAT32, UINT8])
def test_reference_between_edges_that_are_not_int8(kind: int, tmp_path: Path) -> None:
    flatbuffer, inner, scores = edged(kind)
    (tmp_path / "m").write_bytes(flatbuffer)
    reference = verify.Reference(tmp_path / "m", inner, scores)
    net = quantized.Net(3)
    net._tensor((1,), FLOAT32, 0, [], [])
    plain = net.input((6, 5, 2), 0.37, -5)
    (tmp_path / "plain").write_bytes(net.flatbuffer(net.dense(net.mean(net.conv(plain, 4)), 3)))
    expected = verify.Reference(tmp_path / "plain")
    for tensor in np.random.default_rng(0).integers(-128, 128, (30, 6, 5, 2), dtype=np.int8):
        assert np.array_equal(reference.run(tensor), expected.run(tensor))
        assert np.array_equal(reference.layer(inner).reshape(tensor.shape), tensor)
    with pytest.raises(project.FirmwareError, match="not int8 tensors"):
        verify.Reference(tmp_path / "m")
    with pytest.raises(project.FirmwareError, match="has no tensor 999"):
        verify.Reference(tmp_path / "m", 999, scores)
