"""The driver of the OV7675 against a simulated sensor, and what its board says of it."""

import json
import subprocess
from pathlib import Path

import pytest

from export import firmware as export
from export.firmware import Options
from firmware import build, project
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor
from tests.export.test_firmware import small, write_model
from tests.support.firmware_cases import FIRMWARE, REPOSITORY, STRICT, compile_c

COMMON = FIRMWARE / "boards" / "common"
# Photosites of the array, and exposure of the simulated sensor's own, lines.
COLUMNS, LINES, AUTOMATIC = 640, 480, 40


def driver(out: Path, *defined: str) -> Path:
    """The driver with a simulated sensor."""
    program, folder = out / "ov7675", REPOSITORY / "tests/firmware/c/ov7675"
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [str(folder / "ov7675_cases.c"), str(COMMON / "ov7675.c")]
    include = [f"-I{folder}", f"-I{COMMON}"]
    compile_c(["gcc", *STRICT, *sanitize, *include, *defined, *sources, "-o", str(program)])
    return program


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose windows are squares."""
    return driver(tmp_path_factory.mktemp("camera"))


def shoot(camera: Path, *arguments: object) -> list[list[str]]:
    done = subprocess.run([str(camera), *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def first_photosite(codes: int, rows: int | None = None) -> tuple[int, int, int]:
    """Line and column of a window's first photosite, and from quad to quad; without rows, of a square."""
    rows = codes if rows is None else rows
    step = 8 if codes <= 160 and rows <= 120 else 4
    high, wide = ((side + 1) // 2 * step for side in (rows, codes))
    return (LINES - high) // 2 | 1, (COLUMNS - wide) // 2 | 1, step


def code(line: int, column: int, exposure: int = AUTOMATIC) -> str:
    return str((7 * line + 3 * column + exposure) % 251)


@pytest.mark.parametrize("periods", [1, 2])
@pytest.mark.parametrize("codes", [1, 96, 119, 120, 121, 240])
def test_rows(camera: Path, codes: int, periods: int) -> None:
    check_window(camera, codes, codes, periods)


@pytest.mark.parametrize(("codes", "height"), [(160, 120), (161, 120), (160, 121), (97, 48), (320, 240)])
def test_rows_of_windows_that_are_no_squares(tmp_path: Path, codes: int, height: int) -> None:
    made = driver(tmp_path, f"-DLG_CAMERA_ROWS={height}u")
    for periods in (1, 2):
        check_window(made, codes, height, periods)


@pytest.mark.parametrize(("codes", "height"), [(321, 240), (200, 241)])
def test_there_is_no_larger_window(tmp_path: Path, codes: int, height: int) -> None:
    assert shoot(driver(tmp_path, f"-DLG_CAMERA_ROWS={height}u"), 2, "size", codes) == [["-7"]]


def check_window(camera: Path, codes: int, height: int, periods: int) -> None:
    """Quads of neighbours from the middle, at odd lines and columns: red first, as the array begins blue."""
    *rows, registers = shoot(camera, periods, "rows", codes, height, 50)
    top, left, step = first_photosite(codes, height)
    columns = [left + i // 2 * step + i % 2 for i in range(codes)]
    for row, line in enumerate(rows):
        assert line == ["0", *(code(top + row // 2 * step + row % 2, column) for column in columns)], (
            f"row {row}"
        )
    last = top + (height - 1) // 2 * step + (height - 1) % 2
    assert len(rows) == height and columns[-1] < COLUMNS and last < LINES
    # COM7 Bayer RAW, CLKRC 16 MHz / 20, COM13 without gamma, COM8 with exposure alone
    assert registers == ["registers", "1", str(0x80 | 19), str(0x08), str(0xC1)]


@pytest.mark.parametrize("lines", [1, 2, 130, 510])
def test_exposure_is_fixed(camera: Path, lines: int) -> None:
    """The sensor's own at first; then the next frame is exposed as it was told, at gain 1."""
    top, left, _ = first_photosite(96)
    first, fixed = shoot(camera, 2, "expose", 96, lines)
    assert first == ["0", code(top, left)]
    assert fixed == ["0", "0", code(top, left, lines), "0", str(lines), "0"]


@pytest.mark.parametrize(
    ("fault", "codes", "status"),
    [
        ("dead", 96, -2),
        ("deaf", 96, -2),
        ("other", 96, -3),
        ("still", 96, -4),
        ("short", 96, -5),
        ("stuck", 96, -5),
        ("size", 0, -7),
        ("size", 241, -7),
    ],
)
def test_faults(camera: Path, fault: str, codes: int, status: int) -> None:
    assert shoot(camera, 2, fault, codes) == [[str(status)]]


def test_order(camera: Path) -> None:
    """Row 1 first; 0; 1, which is held; 5, without 4; 2, which has passed; 3 after that error; 0 again."""
    top, left, step = first_photosite(6)
    seen = [("-6", "0"), *(("0", code(top + line, left)) for line in (0, 1, 2 * step + 1)), ("-6", "0")]
    answers = shoot(camera, 2, "ask", 6, 1, 0, 1, 5, 2, 3, 0)
    assert answers == [list(one) for one in (*seen, ("-6", "0"), ("0", code(top, left)))]


def test_a_frame_ends(camera: Path) -> None:
    assert shoot(camera, 2, "ask", 120, 0, 120)[1] == ["-5", "0"]


@pytest.mark.parametrize(("codes", "lines"), [(96, 6), (192, 2)])
def test_who_is_late(camera: Path, codes: int, lines: int) -> None:
    """Two rows' work may take so many lines, of 9408 looks; the gap comes twice."""
    in_time, late = lines * 9408 // 2, (lines + 1) * 9408 // 2
    assert [row[0] for row in shoot(camera, 2, "rows", codes, 4, in_time)[:4]] == ["0"] * 4
    assert [row[0] for row in shoot(camera, 2, "rows", codes, 4, late)[:4]] == ["0", "0", "-6", "-6"]


def test_the_board_says_the_same() -> None:
    facts = json.loads((FIRMWARE / "boards/arduino-tiny-ml-kit/board.json").read_text())["camera"]
    source = (COMMON / "ov7675.c").read_text()
    assert "CLOCK_DIVIDER = 20" in source and f"MOST_ROWS = {facts['side']}" in source
    assert f"MOST_CODES = {facts['width']}" in source
    assert facts["line_us"] == 1568 * 20 / 16 and facts["cfa"] == "RGGB"


@pytest.mark.qemu
def test_a_collector_builds_for_the_kit(tmp_path: Path) -> None:
    """At the usual speed and the chip's fastest, all of the window; a faster one is an error of one line."""
    for baud in (115200, 1000000):
        export.write(export.make_collector("arduino-tiny-ml-kit", None, baud), tmp_path / "p", replace=True)
        build.build(project.load(tmp_path / "p"))
    export.write(export.make_collector("arduino-tiny-ml-kit", 96, 1000001), tmp_path / "p", replace=True)
    with pytest.raises(project.FirmwareError, match=r"at most 1,000,000 baud: give .* a lower --baud"):
        build.build(project.load(tmp_path / "p"))


def test_a_network_of_larger_windows_is_refused(tmp_path: Path) -> None:
    front_end = fixed("loggrad_1p5", Sensor(bits=8, black=0, white=255))
    said = (
        r"--board=arduino-tiny-ml-kit: its camera has windows up to 320x240, the network asks for {} with"
        r" --binning=2: a --size up to 160x120 fits"
    )
    for height, width in ((120, 162), (122, 160)):
        model = write_model(tmp_path, small(front_end, height, width), front_end)
        with pytest.raises(LogGradError, match=said.format(f"{2 * width}x{2 * height}")):
            export.make(model, "arduino-tiny-ml-kit", Options(1, binning=2))
    model = write_model(tmp_path, small(front_end, 120, 160), front_end)
    files = export.make(model, "arduino-tiny-ml-kit", Options(1, binning=2)).files
    assert b'"LG_CAMERA_ROWS": "240"' in files["CMakePresets.json"]


@pytest.mark.qemu
def test_ram_of_a_network_with_the_camera_is_as_planned(tmp_path: Path) -> None:
    front_end = fixed("loggrad_1p5", Sensor(bits=8, black=0, white=255))
    model = write_model(tmp_path, small(front_end, 96, 96), front_end)
    export.write(export.make(model, "arduino-tiny-ml-kit", Options(1, binning=2)), tmp_path / "p")
    made = project.load(tmp_path / "p")
    build.build(made)
    sizes = build.sizes(made)
    assert made.row_codes == 192 and sizes.ram == made.predicted["ram"]
    assert made.predicted["flash"] is not None
    assert abs(made.predicted["flash"] / sizes.flash - 1) < 0.02, "run python -m export.code_sizes"
