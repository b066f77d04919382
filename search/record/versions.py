"""What computes here: a record of it goes with every search, since another may round differently."""

import hashlib
import importlib.metadata
import platform
from pathlib import Path

from loggrad_tf import gpus
from loggrad_tf.errors import LogGradError
from models.recipe import NATIVE, TENSORFLOW
from models.training.native import build

# The key of what is there only where trainings run on a GPU.
GPU = "gpu"
_ROOT = Path(__file__).resolve().parents[2]
# What a training depends on.
_PROGRAM = (
    "loggrad_tf/**/*.py",
    "models/**/*.py",
    "models/training/native/source/*.cpp",
    "models/training/native/source/*.h",
    "search/workers/evaluator.py",
)


def versions(trainer: str = TENSORFLOW) -> dict[str, str]:
    """Python, NumPy, TensorFlow, Keras, the processor's architecture, a hash of what trains here, the GPU.

    Native training has no GPU, but the compiler and the processor itself, whose vectors decide how sums are
    rounded.

    Raises:
      LogGradError: a package or the compiler is missing.
    """
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("numpy", "tensorflow", "keras"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise LogGradError(f"package {package} is not installed: run make setup") from None
    program = hashlib.sha256()
    for pattern in _PROGRAM:
        for path in sorted(_ROOT.glob(pattern)):
            program.update(path.read_bytes())
    if trainer == NATIVE:
        found |= {"compiler": build.compiler(), "processor": build.processor()}
    elif (gpu := gpus.found().text) is not None:
        found[GPU] = gpu
    return {**found, "program": program.hexdigest()[:12]}
