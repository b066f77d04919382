"""What computes here: a record of it goes with every search, since another may round differently."""

import hashlib
import importlib.metadata
import platform
from pathlib import Path

from loggrad_tf import gpus
from loggrad_tf.errors import LogGradError

# The key of what is there only where trainings run on a GPU.
GPU = "gpu"
_ROOT = Path(__file__).resolve().parents[2]
# What a training depends on.
_PROGRAM = ("loggrad_tf/**/*.py", "models/**/*.py", "search/workers/evaluator.py")


def versions() -> dict[str, str]:
    """Python, NumPy, TensorFlow, Keras, the processor's architecture, a hash of what trains, the GPU."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("numpy", "tensorflow", "keras"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise LogGradError(f"package {package} is not installed: run make setup") from None
    if (gpu := gpus.found().text) is not None:
        found[GPU] = gpu
    program = hashlib.sha256()
    for pattern in _PROGRAM:
        for path in sorted(_ROOT.glob(pattern)):
            program.update(path.read_bytes())
    return {**found, "program": program.hexdigest()[:12]}
