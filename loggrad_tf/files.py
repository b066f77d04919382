"""Files that are there whole or not at all."""

import os
import tempfile
from pathlib import Path

from loggrad_tf.errors import LogGradError


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


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` under a temporary name, then rename it; a failure leaves no file.

    Raises:
      OSError: the folder is missing, full or not to be written to.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
