"""NumPy's files as they may lie there: damaged, cut off, or with headers that promise more than follows.

Nothing is unpickled, and nothing is allocated that the file does not hold.
"""

import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import REMEDY, then

# Of all arrays of an archive together; a network for a microcontroller has some megabytes.
MAX_BYTES = 2**30


def save(path: Path, array: np.ndarray) -> None:
    """``np.save``, whose own writing does not tell why it failed.

    Raises:
      OSError: with its number.
    """
    with path.open("wb") as file:
        np.lib.format.write_array(_Stream(file.write), array, allow_pickle=False)


class _Stream:
    """Something to write to that NumPy takes for no file of its own."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write


def load(path: Path, remedy: str = REMEDY) -> np.ndarray:
    """The array of a .npy file, mapped from the disk, read only.

    Raises:
      LogGradError: it is missing or damaged; names the file and the remedy.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)[...])
    except Exception as error:  # on a damaged file NumPy raises whatever comes
        raise LogGradError(f"{path}: damaged ({_reason(error)}){then(remedy)}") from None


def load_archive(path: Path, remedy: str = REMEDY) -> dict[str, np.ndarray]:
    """The arrays of a .npz file by name, in the order of their names.

    Raises:
      LogGradError: it is missing or damaged, or holds more than 1 GiB; names the file and the remedy.
    """
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            members = sorted(archive.infolist(), key=lambda member: member.filename)
            if sum(member.file_size for member in members) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes of arrays")
            return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}
    except Exception as error:  # on a damaged file the libraries raise whatever comes
        raise LogGradError(f"{path}: damaged ({_reason(error)}){then(remedy)}") from None


def _array(data: bytes) -> np.ndarray:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, transposed, kind = read(file)
    if kind.hasobject:
        raise ValueError("it holds objects")
    values = np.frombuffer(bytearray(data[file.tell() :]), kind)
    return values.reshape(shape, order="F" if transposed else "C")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
