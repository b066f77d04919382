"""A machine with GPUs, as its driver and TensorFlow describe it; also to processes that it starts."""

import sys
from pathlib import Path

import pytest

from loggrad_tf import gpus

TEXT = "A Card (driver 550.54, CUDA 12.5.1)"
_NVIDIA_SMI = f"""#!{sys.executable}
import sys
if sys.argv[1] == "-L":
    print("GPU 0: A Card (UUID: GPU-1)\\nGPU 1: A Card (UUID: GPU-2)\\n")
else:
    print("550.54\\n550.54")
"""
_TENSORFLOW = """
import collections
import os
print("a library says something")
GPU = collections.namedtuple("GPU", "name")
setting = os.environ.get("CUDA_VISIBLE_DEVICES")
shown = [GPU("A Card"), GPU("A Card")][: setting.count(",") + 1 if setting else 2]
class config:
    def list_physical_devices(kind):
        return shown if kind == "GPU" else []
    class experimental:
        def get_device_details(gpu):
            return {"device_name": gpu.name}
class sysconfig:
    def get_build_info():
        return {"cuda_version": "12.5.1"}
"""


def plug_in(folder: Path, patch: pytest.MonkeyPatch, usable: bool = True) -> None:
    """Two GPUs that the driver shows; ``usable``: TensorFlow sees them, being nothing else then.

    What this process has found out before is forgotten; it is the caller's to forget this again.
    """
    folder.mkdir()
    (folder / "nvidia-smi").write_text(_NVIDIA_SMI)
    (folder / "nvidia-smi").chmod(0o755)
    patch.setenv("PATH", str(folder), prepend=":")
    patch.delenv(gpus.VARIABLE, raising=False)
    if usable:
        (folder / "tensorflow.py").write_text(_TENSORFLOW)
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
    gpus.found.cache_clear()
