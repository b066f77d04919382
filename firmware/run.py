"""Build a project, run its image and classify the test frames, photographs, or what the camera sees.

The image runs in QEMU, or on a board behind a serial port (--port) that was flashed with it. Prints a
line per frame: class, label where known, scores, executed instructions or cycles; of a detector its objects,
and with --draw a picture of each frame. A photograph (--image, a RAW file or a picture; may be repeated) is
cut as in training and becomes the RAW codes of the model's sensor. With --keep the frames of the camera
become RAW files of a set (firmware.collect), just as they were judged.
"""

import dataclasses
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from firmware import build, channel, objects
from firmware import project as projects
from firmware.project import FirmwareError, Project
from loggrad_tf.data import boxes

if TYPE_CHECKING:
    from firmware.photos import Photo

# Of all arrays together: 10,000 frames of 320x320 codes of two bytes, and their tensors.
_MAX_BYTES = 2**32
# So many scores are printed of a frame.
_SCORES = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Vectors:
    """vectors.npz: frames (N, rows, codes), int8 tensors (N, H, W, C), labels (N,), where they are from.

    ``boxes`` are those of the frames, for a detector: :data:`loggrad_tf.data.boxes.BOX`; none where unknown.
    """

    frames: np.ndarray
    tensors: np.ndarray
    labels: np.ndarray
    note: str
    boxes: np.ndarray = dataclasses.field(default_factory=boxes.empty)


def arrays_of(
    path: Path,
    needed: tuple[str, ...],
    more: tuple[str, ...] = (),
    remedy: str = "generate the project again",
) -> dict[str, np.ndarray]:
    """Arrays of a .npz by name, those of ``more`` as far as they are there; FirmwareError for damage."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_BYTES:
                raise ValueError(f"more than {_MAX_BYTES} bytes")
        with warnings.catch_warnings(), np.load(path) as arrays:
            warnings.simplefilter("ignore")
            found = {name: arrays[name] for name in (*needed, *(name for name in more if name in arrays))}
    except FileNotFoundError:
        raise FirmwareError(f"{path}: missing: {remedy}") from None
    except Exception:  # on a damaged file NumPy raises whatever comes
        raise FirmwareError(f"{path}: damaged: {remedy}") from None
    if not all(isinstance(array, np.ndarray) for array in found.values()):
        raise FirmwareError(f"{path}: damaged (a member is no array): {remedy}")
    return found


def load_vectors(project: Project) -> Vectors:
    project.check_network()
    path = project.path / "vectors.npz"
    arrays = arrays_of(path, ("frames", "tensors", "labels", "note"), ("boxes",))
    there = arrays.get("boxes", boxes.empty())
    vectors = Vectors(arrays["frames"], arrays["tensors"], arrays["labels"], str(arrays["note"]), there)
    frames, tensors, labels = vectors.frames, vectors.tensors, vectors.labels
    if (
        frames.ndim != 3
        or frames.dtype not in (np.uint8, np.uint16, np.int8)
        or tensors.dtype != np.int8
        or tensors.ndim != 4
    ):
        raise FirmwareError(f"{path}: damaged (values of other types): generate the project again")
    if there.dtype != boxes.BOX or there.ndim != 1:
        raise FirmwareError(f"{path}: damaged (its boxes are none): generate the project again")
    if labels.ndim != 1 or labels.dtype.kind != "i" or not len(frames) == len(tensors) == len(labels):
        raise FirmwareError(
            f"{path}: damaged (its arrays do not belong together): generate the project again"
        )
    known = {"frame": len(frames), "label": len(project.class_names) if project.cells else 0}
    if any(len(there) and not 0 <= there[name].min() <= there[name].max() < n for name, n in known.items()):
        raise FirmwareError(f"{path}: damaged (boxes of other frames or classes): generate the project again")
    if vectors.frames.shape[1:] != (project.rows, project.row_codes) or len(vectors.frames) == 0:
        raise FirmwareError(
            f"{path}: frames {vectors.frames.shape[1:]}, the image takes {(project.rows, project.row_codes)}:"
            " generate the project again"
        )
    return vectors


def main() -> int:
    parser = projects.parser(__doc__)
    channel.add_flags(parser)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--camera", type=projects.count, metavar="N", help="classify N frames of the board's own camera"
    )
    source.add_argument(
        "--image",
        type=Path,
        action="append",
        metavar="PHOTO",
        help="classify this photograph; may be repeated",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="SET", help="with --camera: keep its frames, unlabelled, in this set"
    )
    parser.add_argument(
        "--draw", type=Path, metavar="DIR", help="of a detector: frames with what was found in them, as PNG"
    )
    arguments = parser.parse_args()
    if arguments.keep is not None and not arguments.camera:
        raise FirmwareError("--keep: of frames of the camera: give --camera=N, too")
    project = projects.load(arguments.project)
    if arguments.draw is not None and (project.cells is None or arguments.camera):
        raise FirmwareError("--draw: of a detector's test frames, or of photographs: leave it out")
    photos = _photos(project, arguments.image) if arguments.image else []
    build.build(project, arguments.port is not None)
    if arguments.camera:
        _simulate(project)
    place = channel.Place(arguments.port, arguments.baud or project.baud)
    with channel.Channel(project, arguments.timeout, place) as board:
        board.who()
        if photos:
            print(_classified(board, photos, arguments.draw))
        elif arguments.keep is not None:
            print(_kept(board, arguments.camera, arguments.keep.absolute()))
        else:
            camera = arguments.camera
            print(_camera(board, camera) if camera else _frames(board, arguments.draw))
    return 0


def _photos(project: Project, paths: list[Path]) -> "list[Photo]":
    from firmware import photos  # decoders of RAW files take a second to load

    return photos.read(project, paths)


def _classified(board: channel.Channel, photos: "list[Photo]", drawn: Path | None) -> str:
    """Classify photographs; the line that sums them up."""
    for index, one in enumerate(photos):
        result = board.classify(one.codes)
        _print(board, str(one.path), result, "")
        _draw(board, drawn, f"{index}_{one.path.stem}", one.codes, result)
    notes = "; ".join(dict.fromkeys(one.note for one in photos))
    return f"run: {len(photos)} photograph{'' if len(photos) == 1 else 's'}, {notes}"


def _frames(board: channel.Channel, drawn: Path | None) -> str:
    """Classify the project's frames; the line that sums them up."""
    project = board.project
    vectors = load_vectors(project)
    right = known = 0
    for index, (frame, label) in enumerate(zip(vectors.frames, vectors.labels, strict=True)):
        result = board.classify(frame)
        truth = "" if label < 0 else f" (is {project.class_name(int(label))})"
        known += int(label >= 0)
        right += int(label == result.label)
        _print(board, f"frame {index}", result, truth)
        _draw(board, drawn, f"frame_{index}", frame, result)
    return f"run: {len(vectors.frames)} frames, {vectors.note}" + (
        f", {right} of {known} right" if known else ""
    )


def _camera(board: channel.Channel, count: int) -> str:
    for index in range(count):
        _print(board, f"frame {index}", board.camera(), "")
    return f"run: {count} frames of the camera"


def _simulate(project: Project) -> None:
    """Put street scenes before a simulated camera."""
    from firmware import simulated  # the drawing code, which only this camera needs

    if simulated.is_simulated(project):
        simulated.lay(project, simulated.drawn(project, ""))


def _kept(board: channel.Channel, count: int, folder: Path) -> str:
    """Classify frames of the camera and keep them, each as it was judged."""
    from firmware.collect import of_board
    from loggrad_tf.data import collected
    from loggrad_tf.errors import LogGradError

    made, session, kept = of_board(board.project), collected.new_session(), 0
    try:
        collected.opened(folder, made)
        for index in range(count):
            result, frame = board.kept(index % 2**16)
            where = "lost on the line"
            if frame is not None:
                label = collected.UNLABELLED
                where = collected.keep(folder, made, label, session, index, frame, None).name
                kept += 1
            _print(board, where, result, "")
    except LogGradError as error:
        raise FirmwareError(str(error)) from None
    return f"run: {count} frames of the camera, {kept} kept in {folder / collected.UNLABELLED}"


def _print(board: channel.Channel, what: str, result: channel.Result, truth: str) -> None:
    spent = channel.executed(board, result.ticks)
    count = "" if spent is None else f", {spent[0]:,} {spent[1]}"
    if result.objects is not None:
        found = objects.told(board.project, result.objects) or "nothing"
        print(f"{what}: {found}{count}", flush=True)
        return
    scores = " ".join(str(s) for s in result.scores[:_SCORES])
    if len(result.scores) > _SCORES:
        scores += f" ... (of {len(result.scores)}; that of the class {result.scores[result.label]})"
    print(f"{what}: {board.project.class_name(result.label)}{truth}, scores {scores}{count}", flush=True)


def _draw(
    board: channel.Channel, folder: Path | None, name: str, codes: np.ndarray, result: channel.Result
) -> None:
    """The frame with its objects, where a folder is given for such."""
    if folder is not None and result.objects is not None:
        objects.draw(board.project, codes, result.objects, folder / f"{name}.png")


if __name__ == "__main__":
    projects.run(main)
