"""Disks that are full, as far as a process can make them so for itself."""

import contextlib
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Writes beyond ``size`` bytes of a file are cut short, and fail from there on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def on_small_disk(place: Path, kilobytes: int) -> list[str]:
    """What to put before a command that is to see ``place`` as a file system of so many kilobytes."""
    place.mkdir(exist_ok=True)
    mount = f'mount -t tmpfs -o size={kilobytes}k loggrad "$0" && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", mount, str(place)]
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("file systems can be mounted by root only")
    return before
