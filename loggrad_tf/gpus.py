"""The NVIDIA GPUs that TensorFlow can train on here, and which of them a worker gets.

The driver is asked first, which costs nothing where there is none. Only if it shows a GPU is TensorFlow asked
too, in a process of its own: the package is installed more often than its CUDA libraries are, and a process
that has looked for a GPU holds a part of it until it ends. GPUs of other makers are not looked for.

``CUDA_VISIBLE_DEVICES`` is respected, and is how a worker is given its own; ``-1`` hides all of them.
"""

import dataclasses
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

VARIABLE = "CUDA_VISIBLE_DEVICES"
NONE = "-1"
_DEVICE_FILES = Path("/dev")
# Seconds: a driver that does not answer has no GPU; TensorFlow is slow to import from a slow disk.
_DRIVER_LIMIT, _TENSORFLOW_LIMIT = 60.0, 300.0
_QUESTION = """
import json
import tensorflow as tf
details = tf.config.experimental.get_device_details
names = [details(gpu).get("device_name", gpu.name) for gpu in tf.config.list_physical_devices("GPU")]
print(json.dumps([names, tf.sysconfig.get_build_info().get("cuda_version", "unknown")]))
"""


@dataclasses.dataclass(frozen=True)
class Gpus:
    """What there is to train on.

    Attributes:
      devices: GPUs that TensorFlow can use, as ``CUDA_VISIBLE_DEVICES`` names them.
      text: their names, the driver and CUDA, all of which decide last digits; None without a device.
      unusable: GPUs of the driver, where TensorFlow can use none.
    """

    devices: tuple[str, ...] = ()
    text: str | None = None
    unusable: tuple[str, ...] = ()

    def environment(self, worker: int) -> dict[str, str]:
        """What a worker must have in its environment before it looks for a GPU: one, in turn, or none."""
        return {VARIABLE: self.devices[worker % len(self.devices)] if self.devices else NONE}

    def doubts(self) -> tuple[str, ...]:
        """What to tell before a training, a line each."""
        if self.unusable:
            return (
                f"{', '.join(self.unusable)}: TensorFlow cannot use it and trains on processors:"
                " pip install 'tensorflow[and-cuda]'",
            )
        if self.text is None:
            return ()
        return (
            f"trained on {self.text}: the same seed may give other last digits, and so another history, on"
            f" another GPU, driver or processor; {VARIABLE}={NONE} trains on processors",
        )


def listed() -> list[str]:
    """The GPUs that the driver shows, by name; by device file where there is no ``nvidia-smi``."""
    lines = _nvidia_smi("-L")
    if lines is None:
        return [str(path) for path in sorted(_DEVICE_FILES.glob("nvidia[0-9]*"))]
    return [line.split(" (UUID")[0].strip() for line in lines]


@functools.cache
def found() -> Gpus:
    """What this process may train on; the same as long as it lives."""
    setting = os.environ.get(VARIABLE)
    if _hides_all(setting):
        return Gpus()
    shown = listed()
    if not shown:
        return Gpus()
    names, cuda = _ask_tensorflow()
    if not names:
        return Gpus(unusable=tuple(shown))
    driver = _nvidia_smi("--query-gpu=driver_version", "--format=csv,noheader") or ["unknown"]
    text = f"{' and '.join(sorted(set(names)))} (driver {driver[0]}, CUDA {cuda})"
    return Gpus(_devices(setting, len(names)), text)


def _hides_all(setting: str | None) -> bool:
    """CUDA takes GPUs up to the first name that is none."""
    return setting is not None and re.match(r"\s*(\d|GPU-|MIG-)", setting) is None


def _devices(setting: str | None, count: int) -> tuple[str, ...]:
    """The first ``count`` names of ``setting``, or without one CUDA's own numbers."""
    names = map(str, range(count)) if setting is None else map(str.strip, setting.split(","))
    return tuple(names)[:count]


def _nvidia_smi(*arguments: str) -> list[str] | None:
    """Lines that it prints, none if it fails; None where it is not installed."""
    path = shutil.which("nvidia-smi")
    return None if path is None else _printed([path, *arguments], _DRIVER_LIMIT)


def _ask_tensorflow() -> tuple[list[str], str]:
    """Names of the GPUs that TensorFlow sees, and the CUDA that it was built for."""
    lines = _printed([sys.executable, "-c", _QUESTION], _TENSORFLOW_LIMIT)
    names, cuda = json.loads(lines[-1]) if lines else ([], "")
    return names, cuda


def _printed(command: list[str], limit: float) -> list[str]:
    """Lines on standard output that are not blank; none if the command fails or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
