"""Build a project, run its image in QEMU and classify the test frames.

Prints a line per frame: class, label where known, scores, executed instructions.
"""

import dataclasses
import zipfile

import numpy as np

from firmware import build, channel
from firmware import project as projects
from firmware.project import FirmwareError, Project


@dataclasses.dataclass(frozen=True, eq=False)
class Vectors:
    """vectors.npz: frames (N, rows, codes), int8 tensors (N, H, W, C), labels (N,), where they are from."""

    frames: np.ndarray
    tensors: np.ndarray
    labels: np.ndarray
    note: str


def load_vectors(project: Project) -> Vectors:
    path = project.path / "vectors.npz"
    try:
        with np.load(path) as arrays:
            vectors = Vectors(arrays["frames"], arrays["tensors"], arrays["labels"], str(arrays["note"]))
    except FileNotFoundError:
        raise FirmwareError(f"{path}: missing: generate the project again") from None
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):
        raise FirmwareError(f"{path}: damaged: generate the project again") from None
    if vectors.frames.shape[1:] != (project.rows, project.row_codes) or len(vectors.frames) == 0:
        raise FirmwareError(
            f"{path}: frames {vectors.frames.shape[1:]}, the image takes {(project.rows, project.row_codes)}:"
            " generate the project again"
        )
    return vectors


def main() -> int:
    parser = projects.parser(__doc__)
    parser.add_argument(
        "--timeout", type=projects.seconds, default=channel.ANSWER_SECONDS, help="seconds for one answer"
    )
    arguments = parser.parse_args()
    project = projects.load(arguments.project)
    build.build(project)
    vectors = load_vectors(project)
    right = known = 0
    with channel.Channel(project, arguments.timeout) as board:
        board.who()
        for index, (frame, label) in enumerate(zip(vectors.frames, vectors.labels, strict=True)):
            result = board.classify(frame)
            truth = "" if label < 0 else f" (is {project.class_name(int(label))})"
            known += int(label >= 0)
            right += int(label == result.label)
            count = "" if result.instructions is None else f", {result.instructions:,} instructions"
            scores = " ".join(str(s) for s in result.scores[:10])
            print(
                f"frame {index}: {project.class_name(result.label)}{truth}, scores {scores}{count}",
                flush=True,
            )
    print(
        f"run: {len(vectors.frames)} frames, {vectors.note}"
        + (f", {right} of {known} right" if known else "")
    )
    return 0


if __name__ == "__main__":
    projects.run(main)
