"""A host that sends without end, a board that answers without end, paths that tools read in their way."""

import json
import shutil
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from export import firmware
from export.firmware import Options
from firmware import build, channel, flash, project
from tests.export.test_firmware import generate, write_model
from tests.support import quantized

# program/main.c with a host that sends `sent`, and what became of the line.
PARSER = """
#define main board_main
#include "main.c"
#undef main
#include <stdio.h>
static const char *sent;
static size_t repeat, left;
void lg_board_init(void) {}
uint32_t lg_board_ticks(void) { return 0u; }
void lg_board_exit(int code) { (void)code; for (;;) {} }
size_t lg_board_write(const void *data, size_t size) { return fwrite(data, 1, size, stdout); }
/* The line, its '@' standing for as many characters. */
size_t lg_board_read(void *data, size_t size)
{
    if (size != 1u || *sent == '\\0') {
        return 0u;
    }
    if (*sent == '@' && left == 0u) {
        left = repeat;
    }
    *(char *)data = *sent == '@' ? FILL : *sent;
    if (left > 0u && --left > 0u) {
        return 1u;
    }
    sent++;
    return 1u;
}
int main(void)
{
    static const size_t counts[] = {1u, 1000u, 100000u, 1000000u};
    for (size_t i = 0; i < 4u; i++) {
        repeat = counts[i];
        sent = LINE "\\n";
        const int letter = receive();
        printf("%d %u %u\\n", letter == UNREADABLE, (unsigned)app.digits, (unsigned)MOST_DIGITS);
    }
    return 0;
}
"""


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("line", "fill"),
    [("R 0000 @*00000000", "0"), ("R @ 00*00000000", "1"), ("F @*00000000", "0"), ("I@", " ")],
)
def test_digits_of_a_line_are_counted_as_far_as_they_matter(line: str, fill: str, tmp_path: Path) -> None:
    """However long a line is, the count stays; one that wrapped at 2^32 wrote ahead of the row."""
    made = generate(tmp_path / "p", write_model(tmp_path, quantized.serial()), count=1)
    source, program = tmp_path / "parser.c", tmp_path / "parser"
    source.write_text(PARSER.replace("LINE", json.dumps(line)).replace("FILL", f"'{fill}'"))
    includes = [f"-I{made.path / p}" for p in ("program", "src", "lib/include", "boards/common")]
    sources = [*(made.path / "src").glob("*.c"), *(made.path / "lib" / "src").glob("*.c"), source]
    sources.append(made.path / "boards" / "common" / "no_camera.c")
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = ["gcc", "-std=c99", "-O1", *sanitize, *includes, *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True)
    told = subprocess.run([str(program)], capture_output=True, text=True, check=True, timeout=60).stdout
    rows = [tuple(map(int, one.split())) for one in told.splitlines()]
    assert len(rows) == 4 and all(unreadable == 1 and digits <= most for unreadable, digits, most in rows)


@pytest.mark.seconds
def test_the_program_runs_where_no_linker_script_says_what_the_stack_is(tmp_path: Path) -> None:
    """It added an offset to a null pointer there, which clang's sanitizer tells and gcc's does not."""
    if shutil.which("clang") is None:
        pytest.skip("clang is not installed: firmware/install_tools.sh --tests")
    made = generate(tmp_path / "p", write_model(tmp_path, quantized.serial()), count=1)
    includes = [f"-I{made.path / p}" for p in ("src", "lib/include", "boards/common", "program")]
    sources = [made.path / "program/main.c", *(made.path / "src").glob("*.c")]
    sources += (made.path / "lib/src").glob("*.c")
    common = [f"common/{name}" for name in made.board["common"]]
    sources += [made.path / "boards" / name for name in ("host/board.c", *common)]
    sanitize = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    command = ["clang", "-std=c99", *sanitize, *includes, *map(str, sources), "-o", str(tmp_path / "program")]
    subprocess.run(command, check=True)
    asked = f"M*{zlib.crc32(b'M'):08x}\n".encode()
    done = subprocess.run([str(tmp_path / "program")], input=asked, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.startswith(b"M 0 0*")


def talker(folder: Path, body: str) -> project.Project:
    """A project whose image is a program in Python, which says what ``body`` writes."""
    made = generate(folder / "p", write_model(folder, quantized.serial()), count=1)
    made.elf.parent.mkdir(exist_ok=True)
    head = f"""#!{sys.executable}
import sys, time, zlib
def line(text):
    sys.stdout.write(f"{{text}}*{{zlib.crc32(text.encode()):08x}}\\n")
    sys.stdout.flush()
sys.stdin.readline()
"""
    made.elf.write_text(head + textwrap.dedent(body))
    made.elf.chmod(0o755)
    return made


@pytest.mark.seconds
def test_a_timeout_bounds_the_whole_answer(tmp_path: Path) -> None:
    """Not the time from one line to the next."""
    slow = """
    while True:
        line("L 0 00000000 00")
        time.sleep(0.05)
    """
    started = time.monotonic()
    with (
        channel.Channel(talker(tmp_path, slow), timeout=1.0) as board,
        pytest.raises(project.FirmwareError, match="no answer within 1 s"),
    ):
        board.who()
    assert time.monotonic() - started < 30


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('line("L 0 00000000 " + "00" * 1000)', "the answer to 'I' has no end, .* characters came"),
        ('sys.stdout.write("L" * 65536)', "a line of more than .* characters"),
    ],
)
def test_an_answer_without_end_is_not_kept(said: str, reason: str, tmp_path: Path) -> None:
    with channel.Channel(talker(tmp_path, f"while True:\n    {said}\n"), timeout=60.0) as board:
        with pytest.raises(project.FirmwareError, match=reason):
            board.who()
        assert len(board._pending) <= board._longest + 65536


@pytest.mark.seconds
def test_rows_share_what_a_frame_may_say(tmp_path: Path) -> None:
    body = """
    line("F 0")
    for y in range(16):
        sys.stdin.readline()
        for _ in range(150):
            line("L 0 00000000 " + "00" * 300)
        line(f"R {int(y == 15) ^ 1} {y}")
    """
    made = talker(tmp_path, body)
    frame = np.load(made.path / "vectors.npz")["frames"][0]
    with (
        channel.Channel(made, timeout=60.0) as board,
        pytest.raises(project.FirmwareError, match="the answer to 'R .*' has no end"),
    ):
        board.classify(frame, channel.LAYERS)


BUILT = ["a%b", "a,b", "a b", "a'b", "a{b}[c]#&*?@^~", "é", "-a"]
REFUSED = ["a$b", 'a"b', "a;b", "a\\b", "a\nb", "a|b"]


@pytest.mark.seconds
@pytest.mark.parametrize("name", [*BUILT, *REFUSED])
def test_a_project_of_any_name_builds_or_says_why_not(name: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", quantized.serial())
    firmware.write(firmware.make(model, "host", Options(1)), tmp_path / name)
    command = [sys.executable, "-m", "firmware.build", f"--project={tmp_path / name}"]
    done = subprocess.run(command, cwd=firmware.FIRMWARE.parent, capture_output=True, text=True)
    if name in REFUSED:
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert "in a path is more than CMake builds with: move the project" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name / "build" / "firmware.map").is_file()


@pytest.mark.seconds
def test_a_build_is_kept_however_its_project_is_named(tmp_path: Path) -> None:
    made = generate(tmp_path / "p", write_model(tmp_path, quantized.serial()), count=1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "p")
    build.build(made)
    (made.path / "build" / "mine").touch()
    for name in ("elsewhere/../p", "link", "p/."):
        build.build(project.load(tmp_path / name))
        assert (made.path / "build" / "mine").is_file(), name


NASTY = ["/a b/c", "a{b", "a}b", "a{b}c", "a$b[c]", 'a"b', "a;b", "a\\b"]
NASTY += ["a\\", "a\nb", "a{\\}b", "#x", "}{", "\t}"]


@pytest.mark.parametrize("path", NASTY)
def test_a_path_is_one_word_of_tcl(path: str) -> None:
    if shutil.which("tclsh") is None:
        pytest.skip("tclsh is not installed")
    script = f"set x {flash.tcl_word(path)}; puts -nonewline $x"
    done = subprocess.run(["tclsh"], input=script, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (path, "")


def test_openocd_is_given_one_word_and_jlink_what_its_quotes_hold(tmp_path: Path) -> None:
    made = generate(tmp_path / "a}b $c", write_model(tmp_path, quantized.serial()), "nucleo-f446re", 1)
    ((*_, script),) = flash.commands(made, "openocd", flash.Place(None, None))
    word = flash.tcl_word(str(made.elf))
    steps = ["init", "reset init", f"flash write_image erase {word}", f"verify_image {word}"]
    assert script.split("; ") == [*steps, "reset run", "shutdown"]
    assert flash.jlink_script(made).startswith(f'loadfile "{made.elf}"\n')
    other = generate(tmp_path / 'a"b', write_model(tmp_path, quantized.serial()), "nucleo-f446re", 1)
    with pytest.raises(project.FirmwareError, match="J-Link Commander cannot be given"):
        flash.jlink_script(other)
