"""Frames and labels of the user's own, for ``firmware.verify --frames``: a folder of photographs, or a .npz.

    DIR/CLASS/photo    photographs by class, cut as in training (:mod:`firmware.photos`); without such
                       folders those of DIR itself, unlabelled
    FILE.npz           ``frames`` (N, rows, codes a row) as the board takes them, uint8, uint16 or int8, and,
                       if they are known, ``labels`` (N,): numbers of classes, or their names

Each frame comes with the int8 tensor that the board must make of it. Refused, in one line: a folder that is
no class, a photograph that cannot be read, codes of another shape, type or range, labels of no class, labels
for a detector.
"""

from pathlib import Path

import numpy as np

from firmware import photos, run
from firmware.project import FirmwareError, Project
from loggrad_tf.data import description
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.binning import binned
from loggrad_tf.transform.frontend import FrontEnd

UNLABELLED = -1


def read(project: Project, place: Path, shape: tuple[int, ...]) -> run.Vectors:
    """Frames of a folder or a file.

    Args:
      shape: of the int8 tensor, without its batch.
    """
    if place.is_dir():
        codes, labels = _of_folder(project, place)
    elif place.is_file():
        codes, labels = _of_file(project, place)
    else:
        raise FirmwareError(f"--frames={place}: no such folder or file")
    if labels.max() > UNLABELLED:
        project.check_classes("give --frames without labels, photographs in one folder")
    note = f"{len(codes)} frames of {place.name}"
    return run.Vectors(codes, _tensors(project, codes, shape), labels, note)


def _of_folder(project: Project, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    classes = [path for path in inside if path.is_dir()]
    known = {name: index for index, name in enumerate(project.class_names)}
    for path in classes:
        if path.name not in known:
            named = ", ".join(project.class_names) or "none: generate it with a model.json that names them"
            raise FirmwareError(f"--frames: folder {path.name} is no class; the project's are {named}")
    found = [
        (path, known[one.name])
        for one in classes
        for path in sorted(one.iterdir())
        if not path.name.startswith(".")
    ]
    if not classes:
        found = [(path, UNLABELLED) for path in inside]
    if not found:
        raise FirmwareError(f"--frames={folder}: no photographs there")
    taken = photos.read(project, [path for path, _ in found], "--frames")
    codes = np.stack([one.codes for one in taken])
    return codes, np.array([label for _, label in found], np.int64)


def _of_file(project: Project, path: Path) -> tuple[np.ndarray, np.ndarray]:
    arrays = run.arrays_of(path, ("frames",), ("labels",), "give an .npz that NumPy wrote, with 'frames'")
    codes = arrays["frames"]
    wanted = _code_type(project)
    size = project.rows, project.row_codes
    if codes.ndim < 2 or not len(codes) or codes[0].size != size[0] * size[1] or codes.shape[1] != size[0]:
        raise FirmwareError(
            f"--frames: frames of shape {codes.shape}; the board takes (N, {size[0]}, {size[1]})"
        )
    if codes.dtype != wanted:
        raise FirmwareError(f"--frames: frames are {codes.dtype}; the board takes {wanted}")
    labels = arrays.get("labels", np.full(len(codes), UNLABELLED))
    return codes.reshape(len(codes), *size), _numbers(project, labels, len(codes))


def _code_type(project: Project) -> np.dtype:
    """Of the codes that the board takes: int8 where they are those of the tensor."""
    tensor = project.layers[0].bytes == project.rows * project.row_codes and _front_end(project) is None
    return np.dtype(np.int8 if tensor else np.uint8 if project.code_bytes == 1 else np.uint16)


def _numbers(project: Project, labels: np.ndarray, count: int) -> np.ndarray:
    """Labels as numbers of classes."""
    if labels.shape != (count,):
        raise FirmwareError(f"--frames: labels of shape {labels.shape} for {count} frames")
    classes = max(project.outputs, 2)
    if labels.dtype.kind == "U":
        known = {name: index for index, name in enumerate(project.class_names)}
        unknown = sorted(set(labels.tolist()) - known.keys())
        if unknown:
            named = ", ".join(project.class_names) or "none"
            raise FirmwareError(f"--frames: label '{unknown[0]}' is no class; the project's are {named}")
        return np.array([known[name] for name in labels.tolist()], np.int64)
    if labels.dtype.kind not in "iu":
        raise FirmwareError(f"--frames: labels are {labels.dtype}; give numbers of classes, or their names")
    if labels.size and not UNLABELLED <= int(labels.min()) <= int(labels.max()) < classes:
        raise FirmwareError(
            f"--frames: labels {labels.min()}..{labels.max()}; classes are 0..{classes - 1},"
            f" {UNLABELLED} is unknown"
        )
    return labels.astype(np.int64)


def _front_end(project: Project) -> FrontEnd | None:
    try:
        found = description.read(project.path / "model.tflite", project.model_sha256)
    except LogGradError as error:
        raise FirmwareError(str(error)) from None
    return found.front_end if found else None


def _tensors(project: Project, codes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What the board must make of the codes: int8 (N, *shape)."""
    end = _front_end(project)
    if end is None:
        return codes.reshape(len(codes), *shape)
    most = 2**end.sensor.bits - 1
    if int(codes.max()) > most:
        raise FirmwareError(f"--frames: codes up to {codes.max()}; the sensor's end at {most}")
    pixels = binned(end.sensor.linearize(codes), project.binning)
    return np.stack([end.encode_int8(one) for one in pixels]).reshape(len(codes), *shape)
