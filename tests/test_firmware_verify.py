"""The runners against boards that lie, hang or die, and against damaged projects."""

import json
import os
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
from firmware import build, channel, flash, project, run, verify
from tests import quantized

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built project of board host."""
    folder = tmp_path_factory.mktemp("runners")
    (folder / "model.tflite").write_bytes(quantized.serial())
    firmware.write(firmware.make(folder / "model.tflite", "host", 2), folder / "p")
    build.build(project.load(folder / "p"))
    return folder / "p"


@pytest.fixture
def made(original: Path, tmp_path: Path) -> project.Project:
    """A copy that a test may spoil."""
    shutil.copytree(original, tmp_path / "p")
    return project.load(tmp_path / "p")


def door(verb: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"firmware.{verb}", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def board_that(made: project.Project, body: str) -> None:
    """Put a Python program in place of the image, newer than every source."""
    made.elf.write_text(f"#!{sys.executable}\nimport sys, time, zlib\n{body}\n")
    made.elf.chmod(0o755)


ANSWER = """
def say(text):
    sys.stdout.write("%s*%08x\\n" % (text, zlib.crc32(text.encode())))
    sys.stdout.flush()
"""


def test_certificate_and_json(made: project.Project) -> None:
    result = door("verify", "--project", str(made.path), "--json")
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed == {
        "vectors": 2,
        "mismatches": 0,
        "first_mismatch": None,
        "instructions": None,
        "ram": None,
        "flash": None,
    }
    certificate = json.loads((made.path / "certificate.json").read_text())
    assert certificate["model_sha256"] == project.sha256(made.path / "model.tflite")
    assert certificate["elf_sha256"] == project.sha256(made.elf)
    assert certificate["mismatches"] == 0


def converse(made: project.Project, sent: bytes) -> list[str]:
    """What the program says to `sent`, checksums checked and taken off."""
    done = subprocess.run([str(made.elf)], input=sent, capture_output=True, timeout=10, check=False)
    assert done.returncode == 0 and done.stdout.endswith(b"\n")
    answers = [line.decode() for line in done.stdout.splitlines(keepends=True)]
    assert all(channel.frame_line(line[:-10]).decode() == line for line in answers)
    return [line[:-10] for line in answers]


@pytest.mark.parametrize("text", ["I", "F 1", "row", "S", "X"])
def test_a_line_cut_anywhere_is_refused_once(made: project.Project, text: str) -> None:
    """Cut and ended, or cut and run into the next line: one refusal, and the line after it is answered."""
    row = "R " + channel.encode_row(run.load_vectors(made).frames[0][0], made.code_bytes)
    good = channel.frame_line(row if text == "row" else text)
    asked = channel.frame_line("I")
    answer = converse(made, asked)
    assert len(answer) == 1 and answer[0].startswith("I loggrad 1 ")
    for cut in range(len(good) - 1):
        assert converse(made, good[:cut] + b"\n" + asked) == ["E", *answer]
        if cut > 0:
            assert converse(made, good[:cut] + asked + asked) == ["E", *answer]


def test_a_line_needs_its_own_arguments_and_nothing_more(made: project.Project) -> None:
    wrong = ["I 99", "I ", "S 0", "X abc", "X ", "F", "F ", "F 2", "F 12", "F 01", "F1", "F  1", "R", "R0"]
    wrong += ["R 0", "R 0 0", "R 0g", "Q", "", "E", "i", "*"]
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
    assert str(verdict.first_mismatch).startswith("vector 1, layer input differs")


def test_another_model_is_noticed(made: project.Project) -> None:
    (made.path / "model.tflite").write_bytes(quantized.serial(7))
    with pytest.raises(project.FirmwareError, match="model.tflite is of model .* generate the project again"):
        verify.verify(made)


def test_stale_image_of_another_model_is_noticed(made: project.Project) -> None:
    header = made.path / "src" / "net.h"
    header.write_text(header.read_text().replace(made.model_sha256, "0" * 64))
    with pytest.raises(project.FirmwareError, match="the image is of model 000000000000"):
        verify.verify(made)


def test_hanging_program(made: project.Project) -> None:
    board_that(made, "time.sleep(60)")
    started = time.monotonic()
    with (
        pytest.raises(project.FirmwareError, match=r"no answer within 0\.5 s"),
        channel.Channel(made, 0.5) as board,
    ):
        board.who()
    assert time.monotonic() - started < 10


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
        threading.Timer(0.3, os.kill, (board._process.pid, signal.SIGKILL)).start()
        with pytest.raises(project.FirmwareError, match="killed by signal 9"):
            board.who()


def test_lines_without_their_checksum_are_no_answers(made: project.Project) -> None:
    body = ANSWER + "print('boot noise'); print('I loggrad*00000000'); say('I loggrad 9')\ntime.sleep(60)"
    board_that(made, body)
    with pytest.raises(project.FirmwareError, match="another protocol"), channel.Channel(made) as board:
        board.who()


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
    scores = np.zeros(2, np.int8)
    result = channel.Result(scores, 0, None, ())
    reference = verify.Reference(made.path / "model.tflite")
    reference.run(run.load_vectors(made).tensors[0])
    with pytest.raises(project.FirmwareError, match="input: the board reports 0 of 256 B"):
        verify.compare(made, result, scores, reference)


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


def test_a_wrong_class_of_right_scores_is_a_mismatch(made: project.Project) -> None:
    source = made.path / "src" / "net.c"
    text = source.read_text()
    changed = text.replace("    return best;\n", "    return 1u - best;\n")
    assert changed != text
    source.write_text(changed)
    verdict = verify.verify(made)
    assert verdict.mismatches == verdict.vectors and "though the scores are equal" in str(
        verdict.first_mismatch
    )


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


@pytest.mark.qemu
def test_an_image_that_faults(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(quantized.serial())
    firmware.write(firmware.make(tmp_path / "model.tflite", "mps2-an386", 1), tmp_path / "p")
    source = tmp_path / "p" / "src" / "net.c"
    fault = "static void run(net_state *net)\n{\n    *(volatile uint32_t *)0xFFFFFFF0u = 1u;\n"
    source.write_text(source.read_text().replace("static void run(net_state *net)\n{\n", fault))
    with pytest.raises(project.FirmwareError, match=r"stopped at exception"):
        verify.verify(project.load(tmp_path / "p"))


def _for_board(made: project.Project, name: str) -> project.Project:
    """The same project for another board."""
    shutil.copytree(ROOT / "firmware" / "boards" / name, made.path / "boards" / name)
    record = json.loads((made.path / "project.json").read_text())
    (made.path / "project.json").write_text(json.dumps(record | {"board": name}))
    return project.load(made.path)


def test_flash_commands(made: project.Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = _for_board(made, "netduinoplus2")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(project.FirmwareError, match="apt install openocd.*apt install stlink-tools"):
        flash.choose(board, None)
    (tmp_path / "bin").mkdir()
    for name in ("st-flash", "pyocd"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    assert flash.choose(board, None) == "pyocd"
    assert flash.choose(board, "st-flash") == "st-flash"
    copy, write = flash.commands(board, "st-flash", Path("x"))
    assert copy[0] == "arm-none-eabi-objcopy"
    assert write == ["st-flash", "--reset", "write", str(board.elf.with_suffix(".bin")), "0x08000000"]
    assert "target/stm32f4x.cfg" in flash.commands(board, "openocd", Path("x"))[0]


def test_flash_dry_run_launches_nothing(made: project.Project) -> None:
    board = _for_board(made, "stm32vldiscovery")
    result = door("flash", "--project", str(board.path), "--dry-run", "--runner", "openocd")
    assert result.returncode == 0, result.stderr
    assert (
        result.stdout.strip()
        .split("\n")[-1]
        .startswith("openocd -f interface/stlink.cfg -f target/stm32f1x.cfg")
    )
    refused = door("flash", "--project", str(_for_board(board, "mps2-an386").path), "--dry-run")
    assert refused.returncode == 1 and "not real hardware" in refused.stderr
