"""Host and board agree: constants of the C, read from its text, are those of firmware/channel.py."""

import re

import pytest

from firmware import channel, link
from tests.support.firmware_cases import FIRMWARE

MAIN = (FIRMWARE / "program/main.c").read_text()
STATUS = (FIRMWARE / "lib/include/lg_status.h").read_text()
BOARD = (FIRMWARE / "boards/common/lg_board.h").read_text()
UART = (FIRMWARE / "boards/common/uart.h").read_text()
START = (FIRMWARE / "boards/common/startup.c").read_text()

# Commands of main.c that the host has no use for.
NOT_SENT = {"END"}


def value(text: str) -> int | str | None:
    """Of a C constant: a number, a character, a string; None for what is none of these."""
    if quoted := re.fullmatch(r"'(.)'|\"([^\"]*)\"", text):
        return quoted[1] or quoted[2]
    number = re.fullmatch(r"(-?(?:0x[0-9A-Fa-f]+|\d+))u?", text)
    return int(number[1], 0) if number else None


def constants(text: str) -> dict[str, int | str | None]:
    """Enumerators and object-like macros of a C source, by name."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    found = {name: value(given.strip()) for name, given in re.findall(r"#define (\w+) +(.+)", text)}
    for body in re.findall(r"\benum \{(.*?)\}", text, re.DOTALL):
        last: int | str | None = -1
        for item in filter(None, map(str.strip, body.split(","))):
            name, _, given = map(str.strip, item.partition("="))
            last = value(given) if given else last + 1 if isinstance(last, int) else None
            found[name] = last
    return found


C = constants(MAIN)


def test_constants_are_read() -> None:
    text = """#define A 12u /* twelve */
    enum { B = 'b', C_ = -3, D }; /* enum { NO = 1 } */
    enum {
        E, /* 5 */
        F = 2 * sizeof(int),
        G
    };
    #define S "a b"
    """
    expected = {"A": 12, "S": "a b", "B": "b", "C_": -3, "D": -2, "E": 0, "F": None, "G": None}
    assert constants(text) == expected


@pytest.mark.parametrize(
    "name", ["PROTOCOL", "PIECE", "UNREADABLE", "ROW_DIGITS", "CRC_DIGITS", "OUT_OF_TURN", "CAMERA"]
)
def test_main_has_the_same_name_and_value(name: str) -> None:
    assert C[name] is not None and C[name] == getattr(channel, name)


def test_every_command_has_one_letter_on_both_sides() -> None:
    line = next(line for line in MAIN.splitlines() if line.startswith("enum { WHO"))
    commands = constants(line)
    letters = [*commands.values(), C["PIECE"], C["UNREADABLE"]]
    assert len(commands) == 8 and len(set(letters)) == len(letters)
    assert {name: getattr(channel, name) for name in commands.keys() - NOT_SENT} == {
        name: letter for name, letter in commands.items() if name not in NOT_SENT
    }


def test_the_head_of_main_tells_every_line() -> None:
    """Its table of commands and answers has these letters and no others."""
    head = MAIN[MAIN.index("/* The program") :].partition("*/")[0]
    told = set(re.findall(r"^ \*   (?:                )?([A-Z]) ", head.replace("\n", " \n"), re.MULTILINE))
    enumerators = {
        C[name] for name in ("WHO", "FRAME", "ROW", "RESULT", "CAMERA_FRAME", "KEEP", "MEMORY", "END")
    }
    assert told == enumerators | {C["PIECE"], C["UNREADABLE"]}
    assert f"I {channel.PROTOCOL} <model sha256>" in head
    assert f"{channel.OUT_OF_TURN}: it is not this row's turn" in head
    assert f"{channel.NO_CAMERA} and below: {channel.CAMERA} and" in head


def test_reports() -> None:
    assert (C["REPORT_SCORES"], C["REPORT_DIGEST"], C["REPORT_LAYERS"]) == (
        channel.SCORES,
        channel.DIGEST,
        channel.LAYERS,
    )


def test_who_answers_the_numbers_in_the_host_s_order() -> None:
    listed = re.search(r"numbers\[\] = \{(.*?)\};", MAIN, re.DOTALL)
    assert listed
    names = {
        "NET_ROWS": "rows",
        "NET_ROW_CODES": "row_codes",
        "CODE_DIGITS": "code_digits",
        "NET_LAYERS": "layers",
        "NET_OUTPUTS": "outputs",
        "sizeof(net_state)": "state_bytes",
    }
    assert tuple(names[item.strip()] for item in listed[1].split(",")) == channel.WHO_NUMBERS


def test_statuses() -> None:
    status, board = constants(STATUS), constants(BOARD)
    assert status["LG_OK"] == channel.FRAME_COMPLETE
    assert status["LG_NO_LINE"] == channel.ROW_TAKEN
    assert status["LG_ERROR_TOO_FEW_LINES"] == channel.TOO_FEW_ROWS
    assert board["LG_CAMERA_NONE"] == channel.NO_CAMERA - channel.CAMERA


def test_statuses_do_not_overlap() -> None:
    """A number says what it is: of the library, out of turn, or of the camera."""
    library = [n for n in constants(STATUS).values() if isinstance(n, int)]
    camera = [n for n in constants(BOARD).values() if isinstance(n, int)]
    assert len(library) > 15 and len(camera) == 7
    assert min(library) > channel.OUT_OF_TURN > channel.CAMERA
    assert max(camera) < 0


def test_serial_lines_and_ends_of_programs() -> None:
    assert constants(UART)["UART_BAUD"] == channel.BAUD
    assert constants(START)["EXCEPTION"] == link.EXCEPTION
    assert f"lg_vectors[{link.EXCEPTIONS}]" in START
    assert f'"\\n{link.EXIT} "' in (FIRMWARE / "boards/common/uart_channel.c").read_text()
