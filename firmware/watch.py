"""See what the board sees, in a browser, and correct what it gets wrong.

Prints the address of a page, for this computer alone: the frame, what the network sees of it, class and
scores over time, milliseconds and RAM. A click on the class that a frame really is keeps its RAW codes in
SET/CLASS, which every command takes as --data=folder:SET. Only the newest frames are held, so it may run for
days. A board that stops answering is told of and tried again; Ctrl-C ends it.
"""

import contextlib
import dataclasses
import itertools
import sys
import threading
import time
from collections.abc import Generator, Iterable
from pathlib import Path

import numpy as np

from firmware import build, channel, simulated
from firmware import project as projects
from firmware.collect import of_board
from firmware.link import Place
from firmware.project import FirmwareError, Project
from firmware.seen import Memory, Seen, eyes_of
from firmware.watch_server import Server
from loggrad_tf.data import collected
from loggrad_tf.errors import LogGradError

# From one frame to the next at least, and after a failure.
_FRAME_SECONDS, _RETRY_SECONDS = 0.2, 2.0
# For one answer: somebody waits before the page.
_ANSWER_SECONDS = 20.0


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """A frame of the camera as the board answers it; ``codes`` is None if a row was lost on the line."""

    result: channel.Result
    codes: np.ndarray | None
    spent: tuple[int, str] | None


def looks(project: Project, timeout: float, place: Place) -> Generator[Look | FirmwareError, None, None]:
    """Frames without end; where the board fails, its error, and then a new conversation begins."""
    number = 0
    while True:
        try:
            with channel.Channel(project, timeout, place) as board:
                if board.who()["model_sha256"] != project.model_sha256:
                    raise FirmwareError("the board runs another network: build this project, and flash it")
                while True:
                    result, codes = board.kept(number)
                    number = (number + 1) % 2**16
                    if len(result.scores) != project.outputs or not 0 <= result.label < classes(project):
                        raise FirmwareError("the board answers for other classes: build the project again")
                    yield Look(result, codes, channel.executed(board, result.ticks))
        except FirmwareError as error:
            yield error


def classes(project: Project) -> int:
    """How many there are: one output decides between two."""
    return max(project.outputs, 2)


def seen_of(look: Look, codes: np.ndarray, number: int, clock: float | None) -> Seen:
    """What is held of a frame.

    Args:
      clock: cycles a second, if the board has such.
    """
    spent = milliseconds = None
    if look.spent is not None:
        spent = f"{look.spent[0]:,} {look.spent[1]}"
        if look.spent[1] == "cycles" and clock:
            milliseconds = 1000 * look.spent[0] / clock
    scores = tuple(map(int, look.result.scores))
    return Seen(number, time.time(), codes, look.result.label, scores, spent, milliseconds)


def about(project: Project, memory: Memory, serial: bool) -> dict[str, object]:
    """What the page's head says, and what it needs to show frames."""
    board = project.board
    ram = build.sizes(project).ram
    cycles = project.cycles
    return {
        "project": project.path.name,
        "board": board.get("title") or board["name"],
        "port": serial,
        "classes": memory.class_names,
        "labels": memory.labels,
        "outputs": project.outputs,
        "ram": None if ram is None else f"{ram:,} B of {board['ram']['length']:,}",
        "predicted_ms": 1000 * cycles / board["clock_hz"] if cycles and board["clock_hz"] else None,
    }


def watch(found: Iterable[Look | FirmwareError], memory: Memory, clock: float | None) -> None:
    """Show what comes for as long as it comes, and tell of failures, each once."""
    told, number = "", 0
    for look in found:
        if isinstance(look, FirmwareError):
            memory.fail(str(look))
            if str(look) != told:
                print(f"watch: {look}; trying again", file=sys.stderr, flush=True)
            told = str(look)
            time.sleep(_RETRY_SECONDS)
            continue
        if told:
            print("watch: the board answers again", file=sys.stderr, flush=True)
            told = ""
        if look.codes is None:
            memory.lose()
            continue
        memory.add(seen_of(look, look.codes, number, clock))
        number += 1
        time.sleep(_FRAME_SECONDS)


def main() -> int:
    parser = projects.parser(__doc__)
    channel.add_flags(parser)
    parser.set_defaults(timeout=_ANSWER_SECONDS)
    parser.add_argument(
        "--out", type=Path, metavar="SET", help="set of what is corrected (default: PROJECT-corrected)"
    )
    arguments = parser.parse_args()
    project = projects.load(arguments.project)
    project.check_network()
    project.check_classes("see them with firmware.run --camera, or --draw")
    eyes = eyes_of(project, of_board(project))
    folder = (arguments.out or project.path.with_name(f"{project.path.name}-corrected")).absolute()
    names = tuple(project.class_name(index) for index in range(classes(project)))
    memory = Memory(eyes.made, names, folder)
    try:
        if folder.exists():
            collected.opened(folder, eyes.made)
    except LogGradError as error:
        raise FirmwareError(str(error)) from None
    serial = arguments.port is not None
    build.build(project, serial)
    if simulated.is_simulated(project):
        simulated.lay(project, simulated.of_classes(project, names))
    place = Place(arguments.port, arguments.baud or project.baud)
    with contextlib.closing(looks(project, arguments.timeout, place)) as found:
        first = next(found)
        if isinstance(first, FirmwareError):
            raise first
        with Server(memory, eyes, about(project, memory, serial)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            print(f"watch: {server.url} (Ctrl-C ends it)", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                watch(itertools.chain([first], found), memory, project.board["clock_hz"])
            server.shutdown()
    kept = f": --data=folder:{folder}" if memory.corrected else ""
    print(f"watch: {memory.corrected} frame{'' if memory.corrected == 1 else 's'} corrected{kept}")
    return 0


if __name__ == "__main__":
    projects.run(main)
