"""Files whole or not at all, after a loss of power too; what a full disk is called; the cache's place."""

import contextlib
import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from loggrad_tf.errors import LogGradError

# Of renameat2(2): paths that begin at the working directory, and two names that change places.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
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

    What else goes wrong there names ``path``, too, where the system does not say which file it was.

    Args:
      then: what to do when there is space.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise DiskFull(full(str(path), error, then)) from None
        if error.filename is None:
            error.filename = str(path)
        raise


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
    write_together({path: data}, then)


def write_together(contents: dict[Path, bytes], then: str = _AGAIN) -> None:
    """:func:`write_whole` of files of one folder: none gets its name before all are on the disk.

    They get their names one after another, in the order that they are given in.
    """
    temporaries = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in contents}
    try:
        for path, data in contents.items():
            with writing(path, then), temporaries[path].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in temporaries.items():
            with writing(path, then):
                os.replace(temporary, path)
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        sync(folder)


def exchange(one: Path, other: Path) -> None:
    """Two names change places, at once for whoever looks.

    Raises:
      OSError: one of them is missing, or the system cannot do it.
    """
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    number = errno.ENOSYS
    if call is not None:
        places = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
        if call(*places, ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
            return
        number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), str(one), None, str(other))


def replace_folder(fresh: Path, place: Path) -> None:
    """Give ``fresh``, which is on the disk, its final name; what lay there is deleted.

    Whenever the process ends, ``place`` is the old folder or the new one; where the system cannot exchange
    names, it may be missing, and the old one lies beside ``fresh``.

    Raises:
      OSError: ``place`` is as it was, or the new folder whose name is perhaps not on the disk.
    """
    old = None
    with writing(place):
        if os.path.lexists(place):
            old = _change_places(fresh, place)
        else:
            os.rename(fresh, place)
    try:
        sync(place.parent)
    finally:
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)


def _change_places(fresh: Path, place: Path) -> Path:
    """Where the old folder is, behind it."""
    try:
        exchange(fresh, place)
        return fresh
    except OSError:
        old = fresh.with_name(f"{fresh.name}-old")
        os.rename(place, old)
        try:
            os.rename(fresh, place)
        except BaseException:
            os.rename(old, place)
            raise
        return old


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        with writing(path):
            os.fsync(opened)
    finally:
        os.close(opened)


def sync_tree(folder: Path) -> None:
    """Force a folder and everything in it to the disk, before it gets its final name."""
    for place, _, names in os.walk(folder):
        for name in names:
            sync(Path(place) / name)
        sync(Path(place))
