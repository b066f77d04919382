"""``python -m benchmarks.zoo DIR --boards=mps2-an386``: every network of a folder, built and verified.

Prints a line of a Markdown table for each network and board: whether it is accepted (or why not) and its
image fits (or by how many bytes not), frames and mismatches against TFLite's reference kernels, every layer
compared, cycles of a frame as the plan predicts them and as they are estimated from what QEMU executes
(:mod:`firmware.cycles`), RAM with the stack, and all flash, each beside its prediction. Boards without a core
whose cycles are known have none.
"""

import re
import tempfile
from pathlib import Path

from export import boards, firmware
from firmware import project, verify
from firmware.certificate import Verdict
from firmware.project import FirmwareError
from firmware.timings import CORES
from loggrad_tf.errors import LogGradError

HEAD = ("network", "board", "mismatches", "cycles", "predicted", "RAM B", "predicted", "flash B", "predicted")


def measure(model: Path, board: str, frames: int, work: Path) -> Verdict:
    """Generate, build, verify.

    Raises:
      LogGradError: the network is refused, or will not fit the board.
      FirmwareError: its image does not fit, or is not built.
    """
    firmware.write(firmware.make(model, board, firmware.Options(frames)), work)
    return verify.verify(project.load(work), cycles=boards.read(board)["core"] in CORES)


def too_large(error: FirmwareError) -> str | None:
    """By how much an image exceeds which memory, as the linker says it; None for any other error."""
    found = re.search(r"region `(\w+)' overflowed by (\d+) bytes", str(error))
    return found and f"does not fit: {found[1]}, {int(found[2]):,} bytes over"


def row(network: str, board: str, found: Verdict | str) -> str:
    """A line of the table: what was found, or why there is nothing."""
    if isinstance(found, str):
        return f"| {network} | {board} | {found} |" + " |" * (len(HEAD) - 3)
    cells = (
        f"{found.mismatches} of {found.vectors}",
        *(_count(n) for n in (found.cycles.total.cycles if found.cycles else None, found.cycles_predicted)),
        *(_count(n) for n in (found.ram, found.ram_predicted, found.flash, found.flash_predicted)),
    )
    return f"| {network} | {board} | {' | '.join(cells)} |"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def main() -> int:
    parser = project.bare_parser(__doc__)
    parser.add_argument("folder", type=Path, help="of .tflite files")
    parser.add_argument("--boards", default="mps2-an386", help="of firmware/boards, with commas between them")
    parser.add_argument("--frames", type=project.count, default=3, help="per network and board")
    arguments = parser.parse_args()
    models, chosen = sorted(arguments.folder.glob("*.tflite")), arguments.boards.split(",")
    if not models:
        raise FirmwareError(f"{arguments.folder}: holds no .tflite: give a folder of networks")
    wrong = refused = larger = 0
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
    for model in models:
        for board in chosen:
            found: Verdict | str
            with tempfile.TemporaryDirectory() as work:
                try:
                    found = measure(model, board, arguments.frames, Path(work) / "project")
                    wrong += not found.passed
                except LogGradError as error:
                    found, refused = f"refused: {str(error).partition(': ')[2]}", refused + 1
                except FirmwareError as error:
                    if (told := too_large(error)) is None:
                        raise
                    found, larger = told, larger + 1
            print(row(model.stem, board, found), flush=True)
    over = f"{larger} too large, " if larger else ""
    print(f"{len(models) * len(chosen)} projects, {refused} refused, {over}{wrong} not exact")
    return 1 if wrong else 0


if __name__ == "__main__":
    project.run(main)
