"""Binning in C, bit for bit, on the computer (sanitized) and on boards in QEMU."""

import numpy as np
import pytest

from loggrad_tf.data.raw import RawImage, to_gray
from loggrad_tf.transform.sensor import Sensor
from tests.support import firmware_cases as fc
from tests.support.firmware_cases import BOARDS, Case, Program, case

SENSORS = (
    Sensor(8, 0, 255),
    Sensor(8, 16, 235),
    Sensor(12, 64, 4000),
    Sensor(12, 0, 4095),
    Sensor(14, 512, 16383),
    Sensor(15, 0, 32767),
    Sensor(16, 0, 32768),
    Sensor(16, 512, 65535),
    Sensor(16, 0, 65535),
)
# The sums of k - 1 rows need more than 16 bits.
WIDE = {(2, 32768), (2, 65023), (2, 65535), (4, 15871), (4, 32767), (4, 32768), (4, 65023), (4, 65535)}


def exact(codes: np.ndarray, sensor: Sensor, factor: int) -> list[list[int]]:
    """Pixels by Python's integers: the mean of a square, halves up."""
    rows, columns = codes.shape[0] // factor, codes.shape[1] // factor
    area = factor * factor
    found = []
    for y in range(rows):
        row = []
        for x in range(columns):
            square = codes[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor].ravel().tolist()
            total = sum(min(max(code - sensor.black, 0), sensor.span) for code in square)
            row.append((2 * total + area) // (2 * area))
        found.append(row)
    return found


def bin_case(codes: np.ndarray, sensor: Sensor, factor: int, name: str = "") -> Case:
    frame = codes.astype(np.uint8 if sensor.bits == 8 else np.uint16)
    height, width = frame.shape
    pixels = np.array(exact(frame, sensor, factor), frame.dtype)
    answer = b""
    for y in range(height):
        last = y % factor == factor - 1
        answer += (0 if last else 1).to_bytes(4, "little")
        answer += pixels[y // factor].tobytes() if last else b""
    wide = (factor, sensor.span) in WIDE
    words = [width, height, sensor.bits, frame.itemsize, sensor.black, sensor.white, factor, int(wide)]
    return case(
        "bin",
        words,
        [frame],
        answer,
        ticks=True,
        memory=2 * width,
        name=f"{name} {sensor} k={factor} {width}",
    )


def cases() -> list[Case]:
    """Every loop: odd sizes, codes below black and above white, the largest sums, sums beside the half."""
    made = []
    for number, sensor in enumerate(SENSORS):
        rng, top = np.random.default_rng(number), 2**sensor.bits - 1
        for factor in (2, 4):
            for height, width in ((1, 9), (2, 2), (5, 23), (4, 4), (9, 66), (13, 31)):
                if width >= factor:
                    made.append(bin_case(rng.integers(0, top + 1, (height, width)), sensor, factor, "random"))
            near = sensor.black + rng.integers(-2, 4, (8, 21))
            made.append(bin_case(near.clip(0, top), sensor, factor, "near black"))
            near = sensor.white - rng.integers(-2, 4, (8, 21))
            made.append(bin_case(near.clip(0, top), sensor, factor, "near white"))
            made.append(bin_case(np.full((8, 20), top), sensor, factor, "top"))
    return made


@pytest.fixture(scope="module")
def board(request: pytest.FixtureRequest) -> Program:
    return fc.build_board(request.param, "lg_front_cases")


def test_every_loop_on_the_host() -> None:
    fc.assert_equal(fc.build_host("lg_front_cases"), cases())


def test_two_by_two_is_the_gray_of_a_mosaic() -> None:
    """What the C is compared with is what photographs are made gray by, odd sizes included."""
    for cfa in ("RGGB", "GBRG"):
        sensor = Sensor(12, 64, 4000, cfa)
        codes = np.random.default_rng(2).integers(0, 4096, (19, 23))
        gray = to_gray(RawImage(sensor.linearize(codes), sensor, cfa, "")).pixels
        assert gray.shape == (9, 11) and gray.tolist() == exact(codes, sensor, 2)


@pytest.mark.qemu
@pytest.mark.parametrize("board", BOARDS, indirect=True)
def test_every_loop_on_boards(board: Program) -> None:
    fc.assert_equal(board, cases())


BUDGET = {  # executed instructions a code on the Cortex-M4: bits, k
    (8, 2): 5.6,
    (8, 4): 3.0,
    (12, 2): 5.8,
    (12, 4): 5.0,
    (16, 2): 7.1,
    (16, 4): 5.7,
}


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["mps2-an386"], indirect=True)
@pytest.mark.parametrize(("bits", "factor"), sorted(BUDGET))
def test_instructions_per_code(board: Program, bits: int, factor: int) -> None:
    codes = np.random.default_rng(1).integers(0, 2**bits, (32, 192))
    answer = fc.run(board, [bin_case(codes, Sensor(bits, 0, 2**bits - 1), factor)])[0]
    ticks = int.from_bytes(answer[-4:], "little")
    instructions = ticks * board.instructions_per_tick / codes.size
    print(f"{instructions:.2f} instructions a code at {bits} bits, k = {factor}")
    assert 2 < instructions < BUDGET[bits, factor]
