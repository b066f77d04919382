"""What the tests share: real data where it lies beside the checkout, and a quiet TensorFlow."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from tests.support import REPOSITORY

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

if shutil.which("ccache"):  # compiled C, shared by tests, processes and runs, by content
    os.environ.setdefault("CMAKE_C_COMPILER_LAUNCHER", "ccache")
    os.environ.setdefault("CCACHE_DIR", str(REPOSITORY / ".pytest_cache" / "ccache"))
    os.environ.setdefault("CCACHE_BASEDIR", str(Path(tempfile.gettempdir()).resolve()))
    os.environ.setdefault("CCACHE_NOHASHDIR", "1")
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as in a shell's background job: children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

ARM_TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "cmake")


@pytest.fixture
def no_compiler_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what the compiler itself makes twice."""
    monkeypatch.setenv("CCACHE_DISABLE", "1")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs and models; it is not part of the project."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [tool for tool in ARM_TOOLS if shutil.which(tool) is None]
    if not missing:
        return
    skip = pytest.mark.skip(reason=f"{', '.join(missing)} not installed (see make setup)")
    for item in items:
        if item.get_closest_marker("qemu"):
            item.add_marker(skip)
