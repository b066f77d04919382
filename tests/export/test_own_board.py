"""Boards from a folder outside the checkout, docs/own-board.md, and the check of a board.json."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from export import board_fields, boards, code_sizes, firmware
from export.predict import footprint, power
from export.predict.deployed import deployed
from firmware import build, flash, new_board, project, verify
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor
from models import zoo
from tests.support import REPOSITORY, quantized

PAGE = (REPOSITORY / "docs/own-board.md").read_text()
FRONT_END = fixed("loggrad_1p5", Sensor(10, 64, 1000))


def from_page(folder: Path) -> Path:
    """The page's template."""
    (source,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.M | re.S)
    (code,) = re.findall(r"^```c\n(.*?)^```", PAGE, re.M | re.S)
    board = folder / json.loads(source)["name"]
    board.mkdir(parents=True)
    (board / "board.json").write_text(source)
    (board / "board.c").write_text(code)
    return board


def copied(folder: Path, name: str = "mine") -> Path:
    """A board of the checkout under another name."""
    shutil.copytree(boards.BOARDS / "stm32vldiscovery", folder / name)
    change(folder / name, name=name)
    return folder / name


def change(board: Path, **values: Any) -> None:
    path = board / "board.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def door(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_page_has_every_field() -> None:
    assert board_fields.table() in PAGE, "put export.board_fields.table() into docs/own-board.md"


def test_the_fields_are_those_of_the_boards() -> None:
    found = set()
    for name in boards.names():
        facts = json.loads((boards.BOARDS / name / "board.json").read_text())
        found |= set(board_fields.keys(facts))
        if facts["core"] != "host":
            board_fields.check(facts, boards.BOARDS / name / "board.json", boards.COMMON)
    assert found == set(board_fields.FIELDS)


def test_what_is_read_of_a_board_is_among_the_fields() -> None:
    cmake = (REPOSITORY / "firmware/cmake/loggrad.cmake").read_text()
    read = set(re.findall(r'GET "\$\{LG_BOARD_JSON\}" (\w+)', cmake)) - {"memory"}
    read |= set(re.findall(r"lg_board_list\(LG_\w+ (\w+)\)", cmake))
    for room in ("export", "firmware", "search"):
        for path in (REPOSITORY / room).rglob("*.py"):
            read |= set(re.findall(r"""\b(?:board|facts)(?:\[|\.get\()["'](\w+)["']""", path.read_text()))
    top = {key for key in board_fields.FIELDS if "." not in key}
    assert read - {"folder"} == top


def test_programmers_and_cores_are_those_there_are() -> None:
    runners = {key.partition(".")[2] for key in board_fields.FIELDS if key.startswith("flash_tools.")}
    assert runners == set(flash.RUNNERS)
    assert set(board_fields.CORES) == set(power.CYCLES) == set(power.ENERGY)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("stack", None, r"'stack' is None, an integer is needed; it means: bytes of stack"),
        ("stack", 1001, r"'stack' is 1001, of 8192 B of RAM; it means: .*a multiple of 8"),
        ("stack", True, r"'stack' is True, an integer"),
        ("clock_hz", 0, r"'clock_hz' is 0, 1 to 4294967295 is needed; it means: clock of the core"),
        ("ram", {"origin": 0}, r"'ram.length' is missing; it means: its bytes, contiguous"),
        ("ram", [0, 8192], r"'ram' is a list, an object is needed"),
        ("core", "cortex-m23", r"'core' is 'cortex-m23', one of cortex-m0, .* is needed"),
        ("core", "host", r"'core' is 'host'"),
        ("flags", ["-mthumb", 4], r"'flags' is a list, a list of texts is needed"),
        ("channel", "uart0", r"'channel' is 'uart0', one of semihosting, uart"),
        ("statics", {"semihosting": 84}, None),
        ("statics", {"uart": 4}, r"'channel' is 'semihosting', which 'statics' has no bytes for"),
        ("statics", {"usb": 4}, r"unknown field 'statics.usb'"),
        ("common", ["startup.c", "usb.c"], r"'common' has 'usb.c', which is not there"),
        ("common", ["../../lib/src/lg_bin.c"], r"'common' has '../../lib"),
        ("flash_tools", {"st-flash": False}, r"'flash_tools.st-flash' is False, true is needed"),
        ("flash_tools", {"dfu-util": True}, r"unknown field 'flash_tools.dfu-util'"),
        ("flash_tools", None, None),
        ("name", "yours", r"'name' is 'yours' in a folder mine"),
        ("voltage", 3, r"unknown field 'voltage': see docs/own-board.md"),
    ],
)
def test_a_wrong_field_is_named(key: str, value: Any, message: str | None, tmp_path: Path) -> None:
    board = copied(tmp_path)
    change(board, **{key: value})
    if message is None:
        assert boards.read(str(board))[key] == value
        return
    with pytest.raises(LogGradError, match=message) as caught:
        boards.read(str(board))
    assert str(caught.value).startswith(f"{board}/board.json: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("camera", "said"),
    [
        (None, ""),
        ({}, r"'camera\.title' is missing; it means: what photographs call it"),
        ({"bits": 8, "white": 256}, r"'camera' is of no sensor levels black=8, white=256"),
        ({"cfa": "RGB"}, r"'camera\.cfa' is 'RGB', one of mono, RGGB"),
        ({"width": 243}, r"'camera\.width' is 243, 'camera\.side' 244; it means: columns of the widest"),
    ],
)
def test_a_camera_may_be_left_out_and_is_checked(
    camera: dict[str, Any] | None, said: str, tmp_path: Path
) -> None:
    pico = boards.read("raspberry-pi-pico")["camera"]
    board = copied(tmp_path)
    facts = json.loads((board / "board.json").read_text())
    del facts["camera"]
    if camera is not None:
        facts["camera"] = pico | camera if camera else {}
    (board / "board.json").write_text(json.dumps(facts))
    with pytest.raises(LogGradError, match=said) if said else contextlib.nullcontext():
        boards.read(str(board))


@pytest.mark.parametrize(
    "missing", [key for key, field in board_fields.FIELDS.items() if "." not in key and not field.optional]
)
def test_a_missing_field_is_named(missing: str, tmp_path: Path) -> None:
    board = copied(tmp_path)
    facts = json.loads((board / "board.json").read_text())
    del facts[missing]
    (board / "board.json").write_text(json.dumps(facts))
    with pytest.raises(LogGradError, match=f"'{missing}' is missing; it means: "):
        boards.read(str(board))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"title": NaN}', "[" * 100_000])
def test_a_damaged_file_is_one_line(text: str, tmp_path: Path) -> None:
    board = copied(tmp_path)
    (board / "board.json").write_text(text)
    with pytest.raises(LogGradError, match=r"board.json: .*(see docs/own-board.md|it means: )"):
        boards.read(str(board))


def test_the_name_of_the_shared_sources_is_taken(tmp_path: Path) -> None:
    with pytest.raises(LogGradError, match="'name' is 'common', where a project has the shared sources"):
        boards.read(str(copied(tmp_path, "common")))


def test_flags_name_one_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = copied(tmp_path / "all")
    monkeypatch.chdir(tmp_path)
    assert boards.place(None, None) is None and boards.place("microbit", None) == "microbit"
    assert boards.place("mine", "all") == boards.place(str(board), None) == str(board)
    for ours in (
        boards.place("microbit", str(boards.BOARDS)),
        boards.place(f"{boards.BOARDS}/microbit", None),
    ):
        assert ours == "microbit"
    assert boards.read(str(boards.BOARDS / "host")) is boards.read("host")
    for name, folder, message in (
        ("uno", None, "--board=uno: no such board; choose one of arduino-nano-33-ble, "),
        ("all/mine", None, "--board=all/mine: no such board; choose one of arduino-nano-33-ble, "),
        ("uno", "all", "--board=uno: no such board; --boards=all has mine"),
        ("microbit", "all", "--board=microbit: no such board; --boards=all has mine"),
        (None, "all", "--board is missing; --boards=all has mine"),
        ("mine", "nowhere", "--boards=nowhere: no board there"),
    ):
        with pytest.raises(LogGradError, match=f"^{re.escape(message)}"):
            boards.place(name, folder)
    with pytest.raises(LogGradError, match=r"gone/board.json is missing: put the folder back"):
        boards.read(str(tmp_path / "gone"))


def test_a_board_that_was_not_measured_names_the_command(tmp_path: Path) -> None:
    board = copied(tmp_path)
    command = f"measure them with python -m export.code_sizes --boards={tmp_path} --board=mine"
    with pytest.raises(LogGradError, match=f"^board mine: no code sizes; {command}$"):
        deployed(zoo.small_bn(16, 3), FRONT_END, str(board))
    sizes = board / "code_sizes.json"
    for text in ("{", "{}", '{"stamp": 5, "channels": {"semihosting": {"rest": "1", "symbols": {}}}}'):
        sizes.write_text(text)
        with pytest.raises(LogGradError, match=f"^{sizes}: damaged.*{command}$"):
            footprint.measured_sizes(boards.read(str(board)))
    for channel in ("uart", "semihosting"):  # the board has both
        footprint._measured.cache_clear()
        sizes.write_text(f'{{"stamp": 5, "channels": {{"{channel}": {{"rest": 1, "symbols": {{}}}}}}}}')
        with pytest.raises(LogGradError, match="^board mine: no code sizes"):
            footprint.measured_sizes(boards.read(str(board)))


@pytest.mark.qemu
@pytest.mark.seconds
def test_a_copy_of_a_board_under_another_name(tmp_path: Path) -> None:
    board = copied(tmp_path / "boards")
    (board / "doc").mkdir()
    (board / "doc/pins.txt").write_text("PA9, PA10")
    assert code_sizes.measure_alone(str(board)) == board / "code_sizes.json"
    ours = footprint.measured_sizes(boards.read("stm32vldiscovery"))
    assert footprint.measured_sizes(boards.read(str(board))) == ours
    graph = zoo.small_bn(16, 3)
    assert deployed(graph, FRONT_END, str(board)) == deployed(graph, FRONT_END, "stm32vldiscovery")
    (tmp_path / "model.tflite").write_bytes(quantized.serial())
    made = firmware.make(tmp_path / "model.tflite", str(board), firmware.Options(2))
    assert str(tmp_path).encode() not in b"".join(made.files.values())
    firmware.write(made, tmp_path / "p")
    folder = tmp_path / "p/boards/mine"
    assert (folder / "doc/pins.txt").is_file() and not (folder / "code_sizes.json").exists()
    shutil.rmtree(board)
    verdict = verify.verify(project.load(tmp_path / "p"))
    assert verdict.passed and verdict.board == "mine" and not verdict.complaints


@pytest.mark.qemu
@pytest.mark.seconds
def test_the_page_from_template_to_image(tmp_path: Path) -> None:
    board = from_page(tmp_path / "myboards")
    statics = json.loads((board / "board.json").read_text())["statics"]
    change(board, statics=dict.fromkeys(statics, 0))
    (tmp_path / "model.tflite").write_bytes(quantized.serial())
    flags = (f"--boards={tmp_path / 'myboards'}", f"--board={board.name}")
    refused = door("export.code_sizes", *flags)
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert "'statics.semihosting' is 0, its sources have 84 bytes of variables" in refused.stderr
    change(board, statics=statics)
    done = door("export.code_sizes", *flags)
    assert done.returncode == 0, done.stderr
    model = f"--model={tmp_path / 'model.tflite'}"
    done = door("export.firmware", *flags, model, f"--out={tmp_path / 'p'}", "--vectors=2")
    assert done.returncode == 0, done.stderr
    made = project.load(tmp_path / "p")
    verdict = verify.verify(made)
    assert verdict.passed and not verdict.complaints and verdict.executed
    build.build(made, serial=True)
    assert build.sizes(made).ram == build.predicted_ram(made, serial=True)


@pytest.mark.qemu
@pytest.mark.seconds
def test_code_that_does_not_compile_is_named_where_it_lies(tmp_path: Path) -> None:
    board = from_page(tmp_path / "myboards")
    code = (board / "board.c").read_text()
    (board / "board.c").write_text(code.replace("uart_drain", "uart_flush"))
    refused = door("export.code_sizes", f"--boards={tmp_path / 'myboards'}", f"--board={board.name}")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith(f"error: build failed: {board / 'board.c'}:")
    assert "uart_flush" in refused.stderr and "/build" not in refused.stderr
    assert not (board / "code_sizes.json").exists()


@pytest.mark.qemu
@pytest.mark.seconds
def test_measuring_a_board_of_the_checkout_changes_its_entry_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = json.loads(footprint.CODE_SIZES.read_text())
    del known["boards"]["microbit"]
    monkeypatch.setattr(footprint, "CODE_SIZES", tmp_path / "code_sizes.json")
    (tmp_path / "code_sizes.json").write_text(json.dumps(known))
    assert code_sizes.measure_alone("microbit") == tmp_path / "code_sizes.json"
    found = json.loads((tmp_path / "code_sizes.json").read_text())
    assert list(found["boards"]) == sorted([*known["boards"], "microbit"])
    assert {name: found["boards"][name] for name in known["boards"]} == known["boards"]
    assert (found["stamp"], found["cores"]) == (known["stamp"], known["cores"])


@pytest.mark.seconds
def test_the_doors_show_the_flag(tmp_path: Path) -> None:
    for name in ("export.firmware", "export.energy", "export.code_sizes", "search.evolve"):
        assert "--boards:" in door(name, "--help").stdout, name
    assert "--boards:" not in door("search.report", "--help").stdout


def filled_in(board: Path, clock: int, flash: tuple[int, int], ram: tuple[int, int]) -> None:
    sides = [dict(zip(("origin", "length"), one, strict=True)) for one in (flash, ram)]
    change(board, clock_hz=clock, flash=sides[0], ram=sides[1])


# Parts that no board of the checkout has: their clock behind reset, flash and RAM by their data sheets.
PARTS = {
    "stm32l476": ("cortex-m4", 4_000_000, (0x08000000, 1 << 20), (0x20000000, 96 << 10)),
    "stm32u575": ("cortex-m33", 4_000_000, (0x08000000, 2 << 20), (0x20000000, 192 << 10)),
    "stm32l053": ("cortex-m0plus", 2_097_000, (0x08000000, 64 << 10), (0x20000000, 8 << 10)),
}


@pytest.mark.qemu
@pytest.mark.seconds
@pytest.mark.parametrize("part", PARTS)
def test_a_new_board_of_another_part_links(part: str, tmp_path: Path) -> None:
    core, clock, flash_at, ram_at = PARTS[part]
    where = tmp_path / "myboards"
    flags = (f"--boards={where}", f"--board={part}")
    done = door("firmware.new_board", part, f"--core={core}", f"--boards={where}")
    assert done.returncode == 0, done.stderr
    assert all(f"  {field} " in done.stdout for field in new_board.TO_FILL)
    assert f"next: python -m export.code_sizes {' '.join(flags)}" in done.stdout
    filled_in(where / part, clock, flash_at, ram_at)
    done = door("export.code_sizes", *flags)
    assert done.returncode == 0, done.stderr
    (tmp_path / "model.tflite").write_bytes(quantized.serial())
    model = f"--model={tmp_path / 'model.tflite'}"
    done = door("export.firmware", *flags, model, f"--out={tmp_path / 'p'}", "--vectors=1")
    assert done.returncode == 0, done.stderr
    made = project.load(tmp_path / "p")
    build.build(made)
    assert build.sizes(made).ram == build.predicted_ram(made, serial=False)
    listing = subprocess.run(
        ["arm-none-eabi-readelf", "-S", made.elf], capture_output=True, text=True, check=True
    )
    assert f"{flash_at[0]:08x}" in listing.stdout and f"{ram_at[0]:08x}" in listing.stdout


def test_a_new_board_names_what_is_missing_one_after_the_other(tmp_path: Path) -> None:
    new_board.write(tmp_path / "mine", "cortex-m33")
    whole = {
        "clock_hz": 1,
        "flash": {"origin": 0, "length": 1 << 20},
        "ram": {"origin": 0, "length": 1 << 16},
    }
    found = []
    for outer, value in whole.items():
        for key in value if isinstance(value, dict) else [outer]:
            with pytest.raises(
                LogGradError, match=r"board.json: '[a-z_.]+' is None, an integer is needed"
            ) as caught:
                boards.read(str(tmp_path / "mine"))
            found.append(str(caught.value).split("'")[1])
            facts = json.loads((tmp_path / "mine/board.json").read_text())
            change(
                tmp_path / "mine",
                **{outer: facts[outer] | {key: value[key]} if isinstance(value, dict) else value},
            )
    assert found == list(new_board.TO_FILL)
    assert boards.read(str(tmp_path / "mine"))["flags"] == boards.read("mps2-an505")["flags"]


def test_a_new_board_touches_nothing_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name, message in (
        ("mine", "mine is there already: choose another name"),
        ("my board", "my board: a board's name has letters"),
        ("common", "common: a board's name .* is not 'common'"),
    ):
        with pytest.raises(project.FirmwareError, match=message):
            new_board.write(tmp_path / name, "cortex-m4")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"] and not list((tmp_path / "mine").iterdir())


def test_a_new_board_of_any_core() -> None:
    assert set(new_board.cores()) == set(board_fields.CORES)
