"""Boards that bin: test frames, and whole projects, bit for bit."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from export import firmware
from export.c import vectors
from export.firmware import Options
from export.plan.input import MAX_SIDE, describe
from export.predict import costs
from firmware import build, channel, project, verify
from loggrad_tf.data import dataset
from loggrad_tf.data.raw import RawImage, to_gray
from loggrad_tf.data.request import Request
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.binning import binned
from loggrad_tf.transform.frontend import FORMATS, FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor
from tests.export.test_firmware import small, write_model
from tests.firmware.test_quantizer import S8, quantizer_case
from tests.support import firmware_cases as fc

SENSOR = Sensor(bits=12, black=64, white=4000)
BOARDS = ("mps2-an386", "microbit", "mps3-an547", "stm32vldiscovery")
SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"


def generate(
    folder: Path, front_end: FrontEnd, board: str, factor: int = 2, count: int = 2
) -> project.Project:
    """A project of 9 x 11 pixels that bins."""
    model = write_model(folder, small(front_end), front_end)
    firmware.write(firmware.make(model, board, Options(count, binning=factor)), folder / "p")
    return project.load(folder / "p")


def mosaic(sensor: Sensor, rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """RAW codes, some of them below black or above white: half of the squares any, half nearly flat."""
    rng, top = np.random.default_rng(seed), 2**sensor.bits - 1
    wild = rng.integers(0, top + 1, (rows, columns))
    flat = np.repeat(np.repeat(rng.integers(0, top + 1, (rows, columns)), 2, 0), 2, 1)[:rows, :columns]
    flat = (flat + rng.integers(-2, 3, flat.shape)).clip(0, top)
    return np.where(np.indices(wild.shape)[1] // 2 % 2, wild, flat).astype(np.uint16)


def test_vectors_are_mosaics_of_the_gray_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set that is gray already: its frames come back by binning, and the labels with them."""
    pixels = np.random.default_rng(3).integers(0, SENSOR.span + 1, (5, 9, 11)).astype(np.uint16)

    class Images:
        sensor = SENSOR

        @staticmethod
        def subset(split: str) -> tuple[np.ndarray, np.ndarray]:
            assert split == "test"
            return pixels, np.arange(5)

    monkeypatch.setattr(dataset, "opened", lambda *_, **__: Images)
    source = describe(fixed("loggrad_2p25", SENSOR), (9, 11, 1), 1.0, 0, 2)
    data = Request("gray", 9, "gray")
    made = vectors.make(source, data, 5)
    assert made.frames.shape == (5, 18, 22) and made.frames.dtype == np.uint16
    assert made.frames.min() >= SENSOR.black and made.frames.max() <= SENSOR.white
    gray = binned(SENSOR.linearize(made.frames), 2)
    assert np.array_equal(gray, pixels) and made.labels.tolist() == [0, 1, 2, 3, 4]
    assert made.note == "test images of gray"
    assert np.array_equal(made.tensors, fixed("loggrad_2p25", SENSOR).encode_int8(pixels))
    assert made.npz() == vectors.make(source, data, 5).npz()
    other = describe(fixed("loggrad_2p25", SENSOR), (12, 16, 1), 1.0, 0)
    assert "(data set gray has no test images of 16x12)" in vectors.make(other, data, 5).note


def check_mosaic(made: project.Project, front_end: FrontEnd) -> None:
    """A Bayer frame of 19 x 23 codes: what the board makes of it is what photographs become."""
    codes = mosaic(front_end.sensor, 19, 23)
    linear = RawImage(front_end.sensor.linearize(codes), front_end.sensor, "RGGB", "")
    expected = front_end.encode_int8(to_gray(linear).pixels)
    frame = codes[:18, :22].astype(np.uint8 if made.code_bytes == 1 else np.uint16)
    with channel.Channel(made) as board:
        result = board.classify(frame, channel.LAYERS)
        seen = b"".join(piece.data for piece in result.pieces if piece.layer == 0)
        assert seen == expected.tobytes()
        # A frame given up between the rows of a square leaves nothing behind.
        board.ask("F 0")
        assert board.ask(channel.row_text(0, frame[17], made.code_bytes))[-1] == "R 1 0"
        assert np.array_equal(board.classify(frame).scores, result.scores)


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("bits", "format_name"), [*((12, name) for name in FORMATS), (8, "loggrad_2p75"), (16, "loggrad_1p5")]
)
def test_every_format_on_the_host_sanitized(
    bits: int, format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", SANITIZE)
    sensor = {8: Sensor(8, 16, 250), 12: SENSOR, 16: Sensor(16, 512, 65535)}[bits]
    front_end = fixed(format_name, sensor)
    made = generate(tmp_path, front_end, "host")
    assert (made.rows, made.row_codes, made.binning) == (18, 22, 2)
    assert b"__asan_init" in build.build(made).read_bytes()
    verdict = verify.verify(made)
    assert (verdict.mismatches, verdict.first_mismatch) == (0, None)
    check_mosaic(made, front_end)


@pytest.mark.seconds
@pytest.mark.parametrize("format_name", ["loggrad_1p5", "loggrad_fp"])
def test_valid_border_and_four_by_four(format_name: str, tmp_path: Path) -> None:
    front_end = dataclasses.replace(fixed(format_name, Sensor(14, 512, 16000)), border="valid")
    made = generate(tmp_path, front_end, "host", 4)
    assert (made.rows, made.row_codes) == (4 * 11, 4 * 13)
    assert verify.verify(made).mismatches == 0


def check_board(made: project.Project, front_end: FrontEnd) -> None:
    verdict = verify.verify(made)
    assert (verdict.mismatches, verdict.first_mismatch) == (0, None)
    assert verdict.ram == verdict.ram_predicted
    assert verdict.flash is not None and verdict.flash_predicted is not None
    assert abs(verdict.flash_predicted / verdict.flash - 1) < 0.02, "run python -m export.code_sizes"
    if made.binning == 2:
        check_mosaic(made, front_end)


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("board", "format_name", "bits", "factor"),
    [
        ("mps2-an386", "loggrad_1p5", 12, 2),
        ("mps2-an386", "jpeg8", 8, 2),
        ("mps2-an386", "loggrad_2p25", 16, 2),
        ("mps3-an547", "loggrad_2p75", 12, 2),
        ("microbit", "loggrad_fp", 12, 2),
        ("microbit", "loggrad_1p5", 8, 4),
        ("stm32vldiscovery", "raw16", 12, 2),
        ("stm32vldiscovery", "loggrad_1p5", 16, 4),
    ],
)
def test_boards(board: str, format_name: str, bits: int, factor: int, tmp_path: Path) -> None:
    sensor = {8: Sensor(8, 16, 250), 12: SENSOR, 16: Sensor(16, 512, 65535)}[bits]
    front_end = fixed(format_name, sensor)
    check_board(generate(tmp_path, front_end, board, factor), front_end)


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("board", BOARDS)
def test_every_format_on_boards(board: str, format_name: str, tmp_path: Path) -> None:
    for factor in (2, 4):
        front_end = fixed(format_name, SENSOR)
        check_board(generate(tmp_path / str(factor), front_end, board, factor), front_end)


@pytest.mark.parametrize(
    ("sensor", "factor", "pixels"),
    [
        (SENSOR, 2, 22),
        (Sensor(8, 0, 255), 4, 22),
        (Sensor(15, 0, 32767), 2, 22),
        (Sensor(16, 0, 65535), 2, 34),
    ],
)
def test_state_grows_by_a_row_of_sums(sensor: Sensor, factor: int, pixels: int) -> None:
    """Two bytes a pixel, three where sums need more than 16 bits; never a row of the mosaic."""
    plain, binned = (describe(fixed("raw16", sensor), (9, 11, 1), 1 / 255, -128, k) for k in (1, factor))
    assert binned.tail_bytes - plain.tail_bytes == pixels <= factor * 11 * plain.code_bytes


@pytest.mark.qemu
def test_predicted_instructions(tmp_path: Path) -> None:
    """What binning adds to a frame, as predicted and as counted."""
    front_end = fixed("loggrad_1p5", SENSOR)
    model = write_model(tmp_path, small(front_end, 48, 48), front_end)
    counted, predicted = [], []
    for factor in (1, 2):
        made = firmware.make(model, "mps2-an386", Options(1, binning=factor))
        firmware.write(made, tmp_path / "p")
        spent = verify.verify(project.load(tmp_path / "p")).executed
        assert spent is not None and made.engine.plan is not None
        counted.append(spent)
        predicted.append(costs.predict(made.engine.plan, made.source, "cortex-m4"))
        assert abs(sum(predicted[-1]) / spent - 1) < 0.02, f"{sum(predicted[-1])} predicted, {spent} counted"
    added, expected = counted[1] - counted[0], predicted[1][-1] - predicted[0][-1]
    assert 96 * 96 * 4 < added < 96 * 96 * 8
    # The front end of one of the two is cut into parts, which has no cost of its own.
    assert abs(expected / added - 1) < 0.15, f"{expected} predicted, {added} counted"


@pytest.mark.seconds
def test_bad_rows_are_statuses(tmp_path: Path) -> None:
    front_end = fixed("loggrad_1p5", SENSOR)
    made = generate(tmp_path, front_end, "host", count=1)
    build.build(made)
    frame = np.load(made.path / "vectors.npz")["frames"][0]
    with channel.Channel(made) as board:
        whole = board.classify(frame).scores
        board.ask("F 0")
        rows = [channel.row_text(y, row, 2) for y, row in enumerate(frame)]
        for y in range(18):
            assert board.ask(rows[y][:-4])[-1] == f"R -11 {y}"  # LG_ERROR_LINE_NARROW
            assert board.ask(rows[y] + "0000")[-1] == f"R -12 {y}"  # LG_ERROR_LINE_WIDE
            assert board.ask("S")[-1] == "S -14"  # LG_ERROR_TOO_FEW_LINES
            assert board.ask(rows[y])[-1] == f"R {int(y < 17)} {y}"
        assert board.ask(channel.row_text(18, frame[0], 2))[-1] == "R -13 18"  # LG_ERROR_TOO_MANY_LINES
        assert bytes.fromhex(board.ask("S")[-1].split()[4]) == whole.tobytes()


def test_a_frame_of_the_camera(tmp_path: Path) -> None:
    """The board asks its camera for rows of the mosaic."""
    made = generate(tmp_path, fixed("loggrad_1p5", SENSOR), "host", count=1)
    (made.path / "boards" / "common" / "no_camera.c").write_text("""#include "lg_board.h"
int lg_board_camera_line(void *line, uint32_t codes, uint32_t row)
{
    uint16_t *const place = line;
    for (uint32_t x = 0; x < codes; x++) {
        place[x] = (uint16_t)((row * 641u + x * 997u) % 4093u);
    }
    return codes == 22u && row < 18u ? 0 : LG_CAMERA_SIZE;
}
""")
    build.build(made)
    y, x = np.indices((18, 22))
    frame = ((y * 641 + x * 997) % 4093).astype(np.uint16)
    with channel.Channel(made) as board:
        assert np.array_equal(board.camera().scores, board.classify(frame).scores)


@pytest.mark.seconds
def test_the_description_says_how_it_bins(tmp_path: Path) -> None:
    made = generate(tmp_path, fixed("loggrad_1p5", SENSOR), "host", 4, 1)
    record = json.loads((made.path / "project.json").read_text())
    assert record["binning"] == made.binning == 4
    assert record["command"].endswith(" --binning=4")
    assert record["stamp"].endswith("/bin4") and made.stamp == record["stamp"]
    assert "36 rows of 44 codes" in record["input"] and "binned 4x4 to 9 rows of 11 pixels" in record["input"]
    # An image that bins is not taken for one that does not, nor the other way round.
    build.build(made)
    with channel.Channel(made) as board:
        who = board.who()
    plain = dataclasses.replace(made, stamp=str(made.stamp).removesuffix("/bin4"))
    with pytest.raises(project.FirmwareError, match="the image has stamp"):
        verify.check_stamp(plain, who, made.model_sha256)
    del record["binning"]
    (made.path / "project.json").write_text(json.dumps(record))
    assert project.load(made.path).binning == 1


def test_what_cannot_be_binned() -> None:
    with pytest.raises(LogGradError, match=r"--binning=2: without model.json"):
        describe(None, (9, 11, 1), 1.0, 0, 2)
    with pytest.raises(LogGradError, match=r"--binning=3: choose one of 1, 2, 4"):
        describe(fixed("loggrad_1p5", SENSOR), (9, 11, 1), 1.0, 0, 3)
    bayer = fixed("loggrad_1p5", dataclasses.replace(SENSOR, cfa="RGGB"))
    with pytest.raises(LogGradError, match="takes the RGGB mosaic itself"):
        describe(bayer, (9, 11, 1), 1.0, 0, 2)
    assert describe(bayer, (9, 11, 1), 1.0, 0).binning == 1


@pytest.mark.parametrize(
    ("shape", "border", "factor"),
    [
        ((MAX_SIDE, 4, 1), "mirror", 1),
        ((4, MAX_SIDE, 1), "mirror", 1),
        ((MAX_SIDE - 2, 4, 1), "valid", 1),
        ((4, MAX_SIDE // 2, 1), "mirror", 2),
        ((MAX_SIDE // 4, 4, 1), "mirror", 4),
    ],
)
def test_sides_that_the_c_can_count(shape: tuple[int, int, int], border: str, factor: int) -> None:
    front_end = dataclasses.replace(fixed("loggrad_1p5", SENSOR), border=border)
    source = describe(front_end, shape, 1.0, 0, factor)
    assert MAX_SIDE - factor < max(source.rows, source.row_codes) <= MAX_SIDE
    longer = tuple(n + 1 if n > 4 else n for n in shape)
    with pytest.raises(LogGradError, match="at most 65535 each"):
        describe(front_end, longer, 1.0, 0, factor)


def test_the_c_takes_every_front_end() -> None:
    """Nothing else is checked when a project is written: the quantiser takes all that a FrontEnd may be."""
    front_end = FrontEnd("loggrad_2p75", Sensor(16, 0, 65535), (2**18, 2**19, 2**20), shift=12, offset=2**12)
    codes = np.random.default_rng(7).integers(0, 2**16, (6, 9))
    one = quantizer_case(codes, front_end.sensor, front_end.ratios, S8, shift=12, offset=2**12)
    fc.assert_equal(fc.build_host("lg_front_cases"), [one])
    for larger in ({"ratios": (2**18, 2**19, 2**20 + 1)}, {"offset": 2**12 + 1}, {"ratios": (2**18, 2**19)}):
        with pytest.raises(LogGradError):
            dataclasses.replace(front_end, **larger)
