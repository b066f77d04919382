"""What the tests share: real data where it lies beside the checkout, and a quiet TensorFlow."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support import REPOSITORY

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ARM_TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "cmake")


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
