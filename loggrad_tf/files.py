"""Files whole or not at all, after a loss of power too; what a full disk is called; the cache's place."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from loggrad_tf.errors import LogGradError

# No space, no quota, or a file as large as the file system or ulimit lets it be.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_AGAIN = "do this again"


class DiskFull(LogGradError):
    """A write found no space; the fault of no input."""


def is_full(error: BaseException) -> bool:
    """Did a write fail for want of space?"""
    return isinstance(error, OSError) and error.errno in _FULL


def full(path: str, error: OSError, then: str = _AGAIN) -> str:
    """What to say of a write to ``path`` that :func:`is_full`."""
    reason = os.strerror(error.errno or 0).lower()
    return f"{path}: the disk is full ({reason}); free some space and {then}"


@contextlib.contextmanager
def writing(path: Path, then: str = _AGAIN) -> Iterator[None]:
    """Turn the want of space in what is written to ``path`` into :class:`DiskFull`, which names it.

    Args:
      then: what to do when there is space.
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise DiskFull(full(str(path), error, then)) from None


def cache_folder() -> Path:
    """``$LOGGRAD_CACHE``, or ``~/.cache/loggrad``."""
    named = os.environ.get("LOGGRAD_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "loggrad"


def check_place(path: Path, flag: str) -> None:
    """Make sure that ``path`` can be created, before the work whose result goes there.

    Raises:
      LogGradError: naming ``flag``, the path and the reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.rmdir(tempfile.mkdtemp(prefix=".place-", dir=path.parent))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LogGradError(f"--{flag}={path}: cannot be written ({reason}); choose another place") from None


def write_whole(path: Path, data: bytes, then: str = _AGAIN) -> None:
    """Write ``data`` beside ``path``, force it to the disk, rename it: power loss leaves all or nothing.

    Args:
      then: what to do when there is space, should there be none.

    Raises:
      DiskFull: nothing is left of it.
      OSError: the folder is missing or not to be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path, then), temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sync_tree(folder: Path) -> None:
    """Force a folder and everything in it to the disk, before it gets its final name."""
    for place, _, names in os.walk(folder):
        for name in names:
            sync(Path(place) / name)
        sync(Path(place))
