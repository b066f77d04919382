"""Binary rows: what a board sends, what a line makes of it, and that nothing wrong is ever kept."""

import random
import zlib

import numpy as np
import pytest

from firmware import rows
from firmware.rows import Parts, Row, Size, decode, encode
from tests.firmware.test_protocol import constants
from tests.support.firmware_cases import FIRMWARE

SIZE = Size(24, 32, 2)


def codes(seed: int, size: Size = SIZE) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256**size.code_bytes, (size.rows, size.codes)).astype(np.uint16)


def lines(frame: np.ndarray, number: int, size: Size = SIZE) -> list[bytes]:
    kind = np.dtype(f">u{size.code_bytes}")
    return [encode(number, y, row.astype(kind).tobytes()) for y, row in enumerate(frame)]


def digest(frame: np.ndarray, size: Size = SIZE) -> int:
    return zlib.crc32(frame.astype(np.dtype(f">u{size.code_bytes}")).tobytes())


def test_the_c_has_the_same_constants() -> None:
    found = constants((FIRMWARE / "program/rows.h").read_text())
    told = (found["ROW_MARK"], found["ROW_MASK"], found["ROW_ESCAPE"], found["ROW_FLIP"])
    assert told == (rows.MARK[0], rows.MASK, rows.ESCAPE, rows.FLIP)


@pytest.mark.parametrize("code_bytes", [1, 2])
def test_every_code_comes_back(code_bytes: int) -> None:
    size = Size(2, 256, code_bytes)
    frame = np.array([np.arange(256), np.arange(256)[::-1] * (256**code_bytes // 256)], np.uint16)
    sent = lines(frame, 65535, size)
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in sent)
    parts = Parts(size, 65535).joined(line[:-1] for line in sent)
    found = parts.frame(digest(frame, size))
    assert found is not None and found.dtype == np.uint16 and np.array_equal(found, frame)


def test_codes_of_the_dark_are_not_escaped() -> None:
    """Around the black levels of cameras, 0 to 100, a row takes no byte more than it has to."""
    for code in range(101):
        line = encode(0, 0, bytes([code]) * 64)
        assert line.count(rows.ESCAPE) <= 4, code  # in numbers and checksum


def test_rows_of_other_frames_and_sizes_are_left_out() -> None:
    frame = codes(1)
    sent = [line[:-1] for line in lines(frame, 7)]
    assert not Parts(SIZE, 8).joined(sent).rows
    assert decode(sent[0], Size(24, 31, 2)) is None and decode(sent[23], Size(23, 32, 2)) is None
    assert (
        decode(b"I collect 1", SIZE) is None and decode(b"", SIZE) is None and decode(b"\x02", SIZE) is None
    )
    assert decode(sent[5] + bytes([rows.ESCAPE]), SIZE) is None


def test_missing_rows_are_asked_for_in_runs() -> None:
    parts = Parts(SIZE, 1, {y: b"" for y in (0, 5, 6, 20)})
    assert parts.missing(4) == [(1, 4), (7, 4), (11, 4), (15, 4), (19, 1), (21, 3)]
    assert parts.missing(100) == [(1, 4), (7, 13), (21, 3)]
    assert Parts(SIZE, 1, {y: b"" for y in range(24)}).missing(9) == []


def test_a_frame_of_another_digest_is_not_kept() -> None:
    """Rows that are whole one by one, of two frames of one number."""
    first, second = codes(1), codes(2)
    mixed = [line[:-1] for line in (*lines(first, 3)[:12], *lines(second, 3)[12:])]
    parts = Parts(SIZE, 3).joined(mixed)
    assert not parts.missing(99)
    assert parts.frame(digest(first)) is None and parts.frame(digest(second)) is None


def damaged(data: bytes, generator: random.Random, rate: float) -> bytes:
    """Bytes are dropped, flipped and doubled."""
    out = bytearray()
    for byte in data:
        if generator.random() >= rate:
            out.append(byte)
        elif (kind := generator.randrange(3)) > 0:
            out += bytes([byte, byte]) if kind == 1 else bytes([byte ^ 1 << generator.randrange(8)])
    return bytes(out)


@pytest.mark.parametrize("rate", [0.0002, 0.003, 0.05])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_of_a_lossy_line_is_exact(rate: float, seed: int) -> None:
    """20 frames over a line that damages every byte alike, ends of rows too, asked for again 20 times."""
    generator = random.Random(seed)
    kept = whole = 0
    for number in range(20):
        frame = codes(100 * seed + number)
        parts = Parts(SIZE, number)
        sent = lines(frame, number)
        for _ in range(20):
            data = b"".join(sent[y] for first, count in parts.missing(6) for y in range(first, first + count))
            parts = parts.joined(damaged(data, generator, rate).split(b"\n"))
        for y, data in parts.rows.items():
            assert data == frame[y].astype(">u2").tobytes()
        kept += len(parts.rows)
        found = parts.frame(digest(frame))
        whole += found is not None
        assert found is None or np.array_equal(found, frame)
    assert whole == 20 if rate < 0.01 else 0 < kept < 20 * SIZE.rows


@pytest.mark.parametrize("seed", range(3))
def test_any_bytes_are_read_or_refused(seed: int) -> None:
    generator = random.Random(seed)
    good = encode(1, 2, bytes(SIZE.codes * 2))[:-1]
    for _ in range(3000):
        line = bytearray(good)
        for _ in range(generator.randrange(1, 4)):
            line[generator.randrange(len(line))] = generator.randrange(256)
        found = decode(bytes(line), SIZE)
        assert found is None or found == Row(1, 2, bytes(SIZE.codes * 2))
        decode(generator.randbytes(generator.randrange(100)), SIZE)
