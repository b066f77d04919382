"""The C++ of a training step, compiled where it is used: for this processor, once.

What was compiled stays in ``native/`` of the cache, under a name that is a hash of the source, the compiler,
its options and the processor. Processes that compile at once do the same work and put the same file there,
whole.
"""

import functools
import hashlib
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from loggrad_tf import files
from loggrad_tf.errors import LogGradError

SOURCE = Path(__file__).parent / "source"
COMPILER = "g++"
# Nothing that changes the order of sums or takes numbers for finite.
OPTIONS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-psabi",
    "-shared",
    "-fPIC",
)


@functools.cache
def compiler() -> str:
    """Name and version of the compiler.

    Raises:
      LogGradError: there is none.
    """
    path = shutil.which(COMPILER)
    if path is None:
        raise LogGradError(
            f"--trainer=native compiles its training step, and {COMPILER} is not installed: install it"
            f" (apt-get install {COMPILER}) or train with --trainer=tensorflow"
        )
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return told.stdout.partition("\n")[0]


@functools.cache
def processor() -> str:
    """The processor's model, and a short hash of the instructions that it has."""
    lines: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            lines.setdefault(name.strip(), value.strip())
    model = lines.get("model name") or platform.processor() or platform.machine()
    instructions = lines.get("flags") or lines.get("Features") or ""
    return f"{model} {hashlib.sha256(instructions.encode()).hexdigest()[:8]}"


def built() -> Path:
    """The shared library, compiled if it is not in the cache.

    Raises:
      LogGradError: no compiler, or one that refuses the source.
    """
    sources = sorted(path for path in SOURCE.iterdir() if path.suffix in (".h", ".cpp"))
    known = hashlib.sha256(repr((compiler(), processor(), OPTIONS)).encode())
    for path in sources:
        known.update(path.name.encode() + b"\0" + path.read_bytes())
    library = files.cache_folder() / "native" / f"{known.hexdigest()[:24]}.so"
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    units = [str(path) for path in sources if path.suffix == ".cpp"]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / library.name
        told = subprocess.run(
            [COMPILER, *OPTIONS, *units, "-o", str(made)], capture_output=True, text=True, check=False
        )
        if told.returncode:
            raise LogGradError(f"{compiler()} does not compile {SOURCE}: {told.stderr.strip()}")
        files.write_whole(library, made.read_bytes())
    return library
