"""The C quantiser and table front ends, bit for bit, on the computer (sanitized) and on boards in QEMU."""

import shutil
import subprocess
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import convolve2d

from loggrad_tf.transform import reference
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import Sensor
from tests.support import firmware_cases as fc
from tests.support.firmware_cases import BOARDS, Case, Program, case

KERNEL = np.array([[0, -1, 0], [-1, 0, 1], [0, 1, 0]])
S8, BIT2, BASE3, BASE5, BIT4 = range(5)
# pixels a byte, highest level
PACKINGS = {S8: (1, 127), BIT2: (4, 1), BASE3: (5, 1), BASE5: (3, 2), BIT4: (2, 7)}
RATIOS = {1: (5529,), 2: (5529, 10074), 3: (5529, 10074, 18357)}
OK = (0).to_bytes(4, "little")


def exact_levels(pixels: np.ndarray, ratios: tuple[int, ...], shift: int, offset: int) -> np.ndarray:
    """Levels by unbounded integers: g > t_i as a comparison of fractions, the border rule written out."""
    height, width = pixels.shape
    light = [[int(p) + offset for p in row] for row in pixels]
    thresholds = [Fraction(k, 2**shift) for k in ratios]
    levels = np.zeros((height, width), np.int8)
    for y in range(height):
        above, below = (y - 1, y + 1) if 0 < y < height - 1 else (y, y)
        for x in range(width):
            before, after = (x - 1, x + 1) if 0 < x < width - 1 else (x, x)
            ratio = Fraction(light[above][x] * light[y][before], light[below][x] * light[y][after])
            levels[y, x] = sum(ratio > t for t in thresholds) - sum(1 / ratio > t for t in thresholds)
    return levels


def pack(levels: np.ndarray, packing: int) -> bytes:
    """Packed lines as lg_pack.h states them, digit by digit."""
    per_byte, limit = PACKINGS[packing]
    packed = bytearray()
    for line in levels:
        for x in range(0, len(line), per_byte):
            digits = [int(v) for v in line[x : x + per_byte]]
            digits += [0] * (per_byte - len(digits))
            if packing in (BASE3, BASE5):
                packed.append(sum((v + limit) * (2 * limit + 1) ** i for i, v in enumerate(digits)))
            else:
                bits = 8 // per_byte
                packed.append(sum((v % 2**bits) << (bits * i) for i, v in enumerate(digits)))
    return bytes(packed)


def frames(sensor: Sensor) -> dict[str, np.ndarray]:
    """RAW codes, black level included, some below black and above white where the depth has room."""
    top = 2**sensor.bits - 1
    rng = np.random.default_rng(sensor.bits)
    board = np.indices((9, 13)).sum(axis=0) % 2
    return {
        "zero": np.zeros((5, 7), np.int64),
        "top": np.full((5, 7), top),
        "checkerboard": board * top,
        "inverse checkerboard": (1 - board) * top,
        "stripes": np.broadcast_to(np.arange(12)[:, None] % 2 * top, (12, 6)).copy(),
        "near black": np.minimum(sensor.black + rng.integers(-2, 4, (11, 9)), top).clip(0),
        "near white": (sensor.white - rng.integers(-2, 5, (6, 11))).clip(0, top),
        "1x1": np.array([[top]]),
        "1xN": rng.integers(0, top + 1, (1, 17)),
        "Nx1": rng.integers(0, top + 1, (17, 1)),
        "2x2": np.array([[0, top], [top, 0]]),
        "2xN": rng.integers(0, top + 1, (2, 63)),
        "random": rng.integers(0, top + 1, (13, 121)),
        "gentle": (sensor.black + (sensor.span * rng.uniform(0.3, 0.7, (10, 31))).astype(np.int64)),
    }


def sensors() -> list[Sensor]:
    pairs = [Sensor(bits, 0, 2**bits - 1) for bits in (8, 10, 12, 14, 16)]
    return pairs + [
        Sensor(8, 16, 235),
        Sensor(8, 16, 255),
        Sensor(10, 64, 1023),
        Sensor(12, 240, 4000),
        Sensor(16, 512, 65535),
    ]


def code_type(sensor: Sensor, wide: bool) -> type:
    return np.uint16 if wide or sensor.bits > 8 else np.uint8


def quantizer_case(
    raw: np.ndarray,
    sensor: Sensor,
    ratios: tuple[int, ...],
    packing: int,
    *,
    shift: int = 12,
    offset: int = 1,
    wide: bool = False,
    name: str = "",
    repeat: int = 1,
) -> Case:
    codes: np.ndarray = raw.astype(code_type(sensor, wide))
    height, width = codes.shape
    levels = exact_levels(sensor.linearize(codes), ratios, shift, offset)
    words = [width, height, sensor.bits, codes.itemsize, sensor.black, sensor.white]
    words += [*ratios, *[0] * (3 - len(ratios)), len(ratios), shift, offset, packing, repeat]
    return case(
        "quantizer",
        words,
        [codes] * repeat,
        OK + pack(levels, packing) * repeat,
        ticks=True,
        memory=4 * width + 64,
        name=f"{name} {sensor} {ratios} c={offset} packing {packing}",
    )


def usual_cases() -> list[Case]:
    """One threshold in every layout that has loops of its own, lines of every remainder of their groups."""
    rng = np.random.default_rng(11)
    cases = []
    for sensor in (Sensor(8, 0, 255), Sensor(12, 0, 4095), Sensor(12, 240, 4000), Sensor(15, 9, 32767)):
        for packing in (S8, BIT2, BASE3):
            for width in range(1, 13):
                raw = rng.integers(0, 2**sensor.bits, (4, width)) >> rng.integers(0, sensor.bits, (4, width))
                ratio = int(rng.choice([4096, 4097, 5529, 20000, 2**16 - 1]))
                cases.append(quantizer_case(raw, sensor, (ratio,), packing, name=f"width {width}"))
    huge = rng.integers(0, 2**16, (5, 21)) >> rng.integers(0, 16, (5, 21))
    for ratio in (4096, 5529, 2**32 - 2):
        cases.append(quantizer_case(huge, Sensor(16, 0, 65534), (ratio,), BASE3, name="largest product"))
    return cases


def quantizer_cases() -> list[Case]:
    cases: list[Case] = []
    for sensor in sensors():
        for name, raw in frames(sensor).items():
            for count, ratios in RATIOS.items():
                fitting = [p for p, (_, limit) in PACKINGS.items() if limit >= count]
                packing = fitting[len(cases) % len(fitting)]
                cases.append(
                    quantizer_case(raw, sensor, ratios, packing, name=name, repeat=1 + len(cases) % 2)
                )
    cases += usual_cases()
    eight, full = Sensor(8, 0, 255), Sensor(16, 0, 65535)
    raw = frames(eight)["random"]
    cases.append(quantizer_case(raw, eight, (5529,), BASE3, wide=True, name="8 bit codes in 16"))
    cases.append(quantizer_case(raw, eight, (1,), S8, shift=0, name="threshold 0"))
    cases.append(quantizer_case(raw, eight, (2**24, 2**24 + 1), S8, shift=24, name="finest shift"))
    cases.append(quantizer_case(raw, eight, (5529, 2**30), S8, offset=65535, name="largest offset"))
    cases.append(quantizer_case(frames(full)["random"], full, (2**20,), S8, shift=8, name="coarse ratio"))
    return cases


def boundary_case(bits: int, ratios: tuple[int, ...], shift: int) -> Case:
    """Pixels whose ratio is on a threshold or one code beside it, which only exact arithmetic tells apart."""
    top = 2**bits - 1
    rng = np.random.default_rng(bits + shift)
    raw = np.zeros((40, 5), np.int64)
    for y in range(0, 40, 4):
        down = int(rng.integers(1, (top + 1) * 2**shift // ratios[0]))
        up = -(-down * ratios[y // 4 % len(ratios)] // 2**shift) + int(rng.integers(-1, 2))
        raw[y : y + 4] = rng.integers(0, top + 1)
        raw[y, :], raw[y + 2, :] = min(max(up - 1, 0), top), down - 1
    return quantizer_case(raw, Sensor(bits, 0, top), ratios, S8, shift=shift, name="on the threshold")


def boundary_cases() -> list[Case]:
    return [
        boundary_case(bits, ratios, shift)
        for bits in (8, 10, 12, 14, 16)
        for shift, ratios in ((12, RATIOS[3]), (2, (5, 6, 8)), (1, (3, 4)), (0, (2, 3)))
    ]


def table_cases() -> list[Case]:
    cases = []
    for sensor in (Sensor(8, 0, 255), Sensor(10, 64, 1023), Sensor(12, 240, 4000), Sensor(16, 512, 65535)):
        for name, raw in frames(sensor).items():
            codes: np.ndarray = raw.astype(code_type(sensor, wide=False))
            height, width = codes.shape
            raw_words = [
                width,
                height,
                sensor.bits,
                codes.itemsize,
                sensor.black,
                sensor.white,
                sensor.span + 1,
            ]
            for fmt in ("jpeg8", "raw16", "loggrad_fp"):
                front = FrontEnd(fmt, sensor)
                table = front.table()
                assert table is not None
                expected = front.encode_int8(sensor.linearize(codes))[..., 0]
                if fmt == "loggrad_fp":
                    assert table.dtype == np.int16
                    answer, operation, count = OK + expected.tobytes(), "table_gradient", 1
                else:
                    answer, operation, count = (
                        b"".join(OK + row.tobytes() for row in expected),
                        "table_line",
                        height,
                    )
                cases.append(
                    case(
                        operation,
                        [*raw_words, count],
                        [table, codes],
                        answer,
                        memory=4 * width,
                        name=f"{fmt} {name} {sensor}",
                    )
                )
    wild = np.random.default_rng(5).choice([-32768, 32767, 0, 11], 256).astype(np.int16)
    sensor, raw = Sensor(8, 0, 255), np.random.default_rng(6).integers(0, 256, (9, 20)).astype(np.uint8)
    expected = reference.fixed_log_gradient(raw, wild)
    words = [20, 9, 8, 1, 0, 255, 256, 1]
    return [
        *cases,
        case("table_gradient", words, [wild, raw], OK + expected.tobytes(), name="any table values"),
    ]


def pack_cases() -> list[Case]:
    rng = np.random.default_rng(3)
    cases = []
    for packing, (_, limit) in PACKINGS.items():
        for width in (1, 2, 3, 4, 5, 6, 7, 16, 59, 60, 61):
            levels = rng.integers(-limit, limit + 1, (1, width)).astype(np.int8)
            packed = np.frombuffer(pack(levels, packing), np.uint8)
            cases.append(
                case(
                    "pack", [packing, width], [levels], OK + packed.tobytes(), name=f"pack {packing} {width}"
                )
            )
            cases.append(
                case(
                    "unpack",
                    [packing, width],
                    [packed],
                    OK + levels.tobytes(),
                    name=f"unpack {packing} {width}",
                )
            )
    every = np.arange(256)
    for packing, (per_byte, limit) in PACKINGS.items():
        base = 2 * limit + 1 if packing in (BASE3, BASE5) else 2 ** (8 // per_byte)
        digits = every[:, None] // base ** np.arange(per_byte) % base
        wrapped = np.where(digits >= base // 2, digits - base, digits)
        levels = (digits - limit if packing in (BASE3, BASE5) else wrapped).astype(np.int8)
        words, packed = [packing, levels.size], every.astype(np.uint8)
        name = f"unpack any byte {packing}"
        cases.append(case("unpack", words, [packed], OK + levels.tobytes(), name=name))
    data = rng.integers(0, 256, 777).astype(np.uint8)
    cases.append(case("crc", [777], [data], zlib.crc32(data.tobytes()).to_bytes(4, "little"), name="crc"))
    return cases


REFUSALS = {  # words that replace those of a good configuration, and the status of lg_status.h
    "width": ({0: 0}, -2),
    "height": ({1: 0}, -3),
    "depth below 8": ({2: 7}, -4),
    "depth above 16": ({2: 17}, -4),
    "12 bits in a byte": ({3: 1}, -4),
    "code of 3 bytes": ({3: 3}, -4),
    "black above white": ({4: 4000, 5: 300}, -5),
    "white above the depth": ({5: 4096}, -5),
    "no ratio": ({9: 0}, -6),
    "four ratios": ({9: 4}, -6),
    "ratio below one": ({6: 4095}, -6),
    "equal ratios": ({7: 5529}, -6),
    "falling ratios": ({7: 5000}, -6),
    "shift": ({10: 25}, -6),
    "offset": ({11: 0}, -7),
    "products beyond 64 bits": ({2: 16, 5: 65535, 7: 0xFFFFFFFE, 11: 65535}, -8),
    "5 levels in 2 bits": ({12: BIT2}, -9),
    "unknown packing": ({12: 5}, -9),
}


def refusal_cases() -> list[Case]:
    good = [4, 3, 12, 2, 0, 4095, 5529, 10074, 0, 2, 12, 1, S8, 0]
    cases = []
    for name, (changes, status) in REFUSALS.items():
        words = [changes.get(i, w) for i, w in enumerate(good)]
        cases.append(
            case("quantizer", words, [], status.to_bytes(4, "little", signed=True), name=name, memory=64)
        )
    return [*cases, case("misuse", [], [], OK, name="misuse (answer is the failing source line)")]


@pytest.fixture(scope="module")
def host() -> Program:
    return fc.build_host("lg_front_cases")


@pytest.fixture(scope="module")
def board(request: pytest.FixtureRequest) -> Program:
    return fc.build_board(request.param, "lg_front_cases")


@pytest.mark.seconds
def test_quantizer_on_the_host(host: Program) -> None:
    fc.assert_equal(host, quantizer_cases())


def test_exact_on_and_beside_thresholds(host: Program) -> None:
    cases = boundary_cases()
    fc.assert_equal(host, cases)
    assert any(
        0 < np.count_nonzero(np.frombuffer(c.expected[4:], np.int8)) < len(c.expected) - 4 for c in cases
    )


def test_tables_on_the_host(host: Program) -> None:
    fc.assert_equal(host, table_cases())


def test_packings_and_crc_on_the_host(host: Program) -> None:
    fc.assert_equal(host, pack_cases())


def test_refusals_on_the_host(host: Program) -> None:
    fc.assert_equal(host, refusal_cases())


@pytest.mark.seconds
def test_exact_levels_agree_with_the_numpy_reference() -> None:
    for sensor in sensors():
        for raw in frames(sensor).values():
            pixels = sensor.linearize(raw)
            for ratios in RATIOS.values():
                expected = reference.levels(pixels, ratios)
                assert (exact_levels(pixels, ratios, 12, 1) == expected).all()


def test_sign_is_that_of_a_true_convolution() -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (20, 30))
    gradient = convolve2d(np.log(pixels + 1.0), KERNEL, mode="valid")
    threshold = np.log(5529 / 4096)
    clear = np.abs(np.abs(gradient) - threshold) > 1e-9
    oracle = (gradient > threshold).astype(int) - (gradient < -threshold)
    levels = exact_levels(pixels, (5529,), 12, 1)[1:-1, 1:-1]
    assert (oracle == levels)[clear].all() and (oracle != 0).any()


@pytest.mark.seconds
def test_a_frame_cut_short_by_the_host_is_noticed(host: Program) -> None:
    one = quantizer_cases()[0]
    done = subprocess.run(host.command, input=one.data[:-3], capture_output=True, timeout=20)
    assert done.returncode == 10


@pytest.mark.qemu
@pytest.mark.parametrize("board", BOARDS, indirect=True)
def test_front_ends_on_boards(board: Program) -> None:
    fc.assert_equal(
        board, quantizer_cases() + boundary_cases() + pack_cases() + refusal_cases() + table_cases()
    )


@pytest.mark.qemu
@pytest.mark.parametrize("board", BOARDS, indirect=True)
def test_a_fault_ends_the_program_with_its_number(board: Program) -> None:
    fault = fc.case("fault", [], [], b"")
    done = subprocess.run(board.command, input=fault.data, capture_output=True, timeout=20)
    assert 67 <= done.returncode <= 70


BUDGET = {  # executed instructions a pixel on the Cortex-M4, 3 levels, a 96x32 frame: bits, packing
    (8, S8): 23.5,
    (8, BIT2): 24.5,
    (8, BASE3): 24.0,
    (12, S8): 33.0,
    (12, BIT2): 33.5,
    (12, BASE3): 31.5,
}


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["mps2-an386"], indirect=True)
@pytest.mark.parametrize(("bits", "packing"), sorted(BUDGET))
def test_instructions_per_pixel(board: Program, bits: int, packing: int) -> None:
    raw = np.random.default_rng(1).integers(0, 2**bits, (32, 96))
    one = quantizer_case(raw, Sensor(bits, 0, 2**bits - 1), (5529,), packing)
    answers = [fc.run(board, [one])[0] for _ in range(2)]
    assert answers[0] == answers[1], "the counter is not repeatable"
    ticks = int.from_bytes(answers[0][-4:], "little")
    instructions = ticks * board.instructions_per_tick / raw.size
    print(f"{instructions:.2f} instructions a pixel at {bits} bits, packing {packing}")
    assert 5 < instructions < BUDGET[bits, packing]


FPV5 = ("-mfloat-abi=hard", "-mfpu=fpv5-sp-d16")
CORES: dict[str, tuple[str, ...]] = {
    "cortex-m0": (),
    "cortex-m3": (),
    "cortex-m4": ("-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    "cortex-m7": FPV5,
    "cortex-m33": FPV5,
    "cortex-m55": ("-mfloat-abi=hard",),
}


def compile_all(command: list[str], folder: Path) -> None:
    for source in fc.library_sources():
        fc.compile_c([*command, *fc.STRICT, *fc.includes(), "-c", source, "-o", str(folder / "out.o")])


def find_compiler(*names: str) -> str:
    found = next((name for name in names if shutil.which(name)), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed")
    return found


@pytest.mark.seconds
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_library_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    compile_all([find_compiler(compiler, f"{compiler}-14")], tmp_path)


STATES = """#include "lg_quantizer.h"
#include "lg_table.h"
typedef char quantizer_size[sizeof(lg_quantizer) == 20 ? 1 : -1];
typedef char gradient_size[sizeof(lg_table_gradient) == 20 ? 1 : -1];
"""


@pytest.mark.parametrize("enums", ["-fshort-enums", "-fno-short-enums"])
@pytest.mark.parametrize("compiler", ["arm-none-eabi-gcc", "clang"])
def test_states_have_one_size_with_every_compiler(compiler: str, enums: str, tmp_path: Path) -> None:
    """The sizes that export.plan.input states; a 32-bit core."""
    found = find_compiler(compiler, f"{compiler}-14")
    target = ["--target=arm-none-eabi", "-ffreestanding"] if compiler == "clang" else []
    source = tmp_path / "states.c"
    source.write_text(STATES)
    fc.compile_c(
        [found, *target, "-mthumb", "-mcpu=cortex-m4", enums, *fc.STRICT, *fc.includes()]
        + ["-c", str(source), "-o", str(tmp_path / "states.o")]
    )


@pytest.mark.qemu
@pytest.mark.parametrize("core", CORES)
def test_library_compiles_for_every_core(core: str, tmp_path: Path) -> None:
    compile_all(["arm-none-eabi-gcc", "-mthumb", f"-mcpu={core}", *CORES[core]], tmp_path)


@pytest.mark.qemu
def test_library_uses_no_float_and_no_malloc(tmp_path: Path) -> None:
    everything = tmp_path / "library.o"
    soft = ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m3", *fc.STRICT, *fc.includes(), "-r", "-nostdlib"]
    fc.compile_c([*soft, *fc.library_sources(), "-o", str(everything)])
    names = subprocess.run(["arm-none-eabi-nm", "-u", str(everything)], capture_output=True, text=True).stdout
    used = {line.split()[-1] for line in names.splitlines()}
    assert used <= {"memcpy", "memset", "memmove", "__aeabi_uldivmod", "__aeabi_ldivmod"}, used
