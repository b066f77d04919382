"""``python -m tests.fuzz --minutes=10``: every harness for its share of the time, and what it found.

Formats that are read go through Atheris; the quantiser, the board's program and the calls of networks go
through libFuzzer with sanitizers, the latter two round one random network after another. Corpora, networks
and the inputs that brought faults to light stay in ``runs/fuzz``. Exit code 1: a fault.
"""

import argparse
import concurrent.futures
import functools
import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import formats, programs
from tests.support import REPOSITORY

# An input may take so long, and so many megabytes.
SECONDS, MEGABYTES = 20, 4096
# A network is tried for so long before the next one.
NETWORK_SECONDS = 30.0
HARNESSES = (*programs.NAMES, *formats.NAMES)
_DONE, _STEP = re.compile(r"^Done (\d+) runs", re.MULTILINE), re.compile(r"^#(\d+)\s", re.MULTILINE)
_FAULTS = ("Fault: ", "does not hold: ", "runtime error: ", "SUMMARY: ", "ERROR: ")


@dataclass(frozen=True)
class Result:
    """What a harness did.

    Attributes:
      inputs: that were tried.
      seconds: of trying.
      fault: what the last of them brought to light, in one line; "" for nothing.
    """

    name: str
    inputs: int
    seconds: float
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.name:28s} {self.inputs:>9,d} {self.seconds:>8.0f}  {self.fault or 'none'}"


def lacking(name: str) -> str:
    """Why a harness cannot run here; "" if it can."""
    if name in programs.NAMES:
        return programs.lacking()
    if importlib.util.find_spec("atheris") is None:
        return "Atheris is not installed, or has no wheel for this Python (make fuzz-tools)"
    return ""


def run(name: str, seconds: float, place: Path) -> Result:
    """One harness for about so many seconds; what it leaves lies in ``place``."""
    place.mkdir(parents=True, exist_ok=True)
    return (_run_program if name in programs.NAMES else _run_format)(name, seconds, place)


def _run_format(name: str, seconds: float, place: Path) -> Result:
    corpus = place / name.replace(":", "-")
    command = [sys.executable, "-m", "tests.fuzz.reader", name, str(corpus)]
    return _fuzz(name, command, seconds, place)


def _run_program(name: str, seconds: float, place: Path) -> Result:
    """Compiling counts as time that has passed, but not as time of trying."""
    inputs, spent, seed, end = 0, 0.0, 0, time.monotonic() + seconds
    while seed == 0 or time.monotonic() < end:
        own = place / (f"{name}-{seed}" if name in programs.OF_NETWORKS else name)
        program = programs.build(name, seed, own)
        (own / "corpus").mkdir(exist_ok=True)
        command = [str(program), str(own / "corpus"), str(own / "seeds"), "-max_len=4096"]
        found = _fuzz(f"{name}-{seed}", command, min(NETWORK_SECONDS, seconds), own)
        inputs, spent, seed = inputs + found.inputs, spent + found.seconds, seed + 1
        if found.fault:
            return Result(name, inputs, spent, found.fault)
    return Result(name, inputs, spent)


def _fuzz(name: str, command: Sequence[str], seconds: float, place: Path) -> Result:
    limits = [
        f"-max_total_time={max(1, round(seconds))}",
        f"-timeout={SECONDS}",
        f"-rss_limit_mb={MEGABYTES}",
    ]
    log = place / f"{name.replace(':', '-')}.log"
    begin, environment = time.monotonic(), {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    with log.open("w") as file:
        code = subprocess.run(
            [*command, *limits, f"-artifact_prefix={place}/"],
            cwd=REPOSITORY, stdout=file, stderr=subprocess.STDOUT, env=environment,
        ).returncode  # fmt: skip
    text = log.read_text(errors="replace")
    return Result(name, tried(text), time.monotonic() - begin, f"{fault(text)} ({log})" if code else "")


def tried(log: str) -> int:
    """The inputs of a run, from what libFuzzer says."""
    if done := _DONE.search(log):
        return int(done[1])
    return max((int(number) for number in _STEP.findall(log)), default=0)


def fault(log: str) -> str:
    """The first line of a log that names a fault, or its last one."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    named = (line for mark in _FAULTS for line in lines if mark in line)
    return next(named, lines[-1] if lines else "no output")[:200]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of all harnesses together (default: 10)")
    parser.add_argument("--only", choices=HARNESSES, metavar="HARNESS", help=f"one of {', '.join(HARNESSES)}")
    arguments = parser.parse_args()
    place = REPOSITORY / "runs" / "fuzz"
    names = [arguments.only] if arguments.only else list(HARNESSES)
    for name in names:
        if reason := lacking(name):
            print(f"skipped {name}: {reason}", file=sys.stderr)
    names = [name for name in names if not lacking(name)]
    if not set(names).isdisjoint(programs.NAMES):
        (place / programs.LIBRARY).unlink(missing_ok=True)
        programs.library(place)
    jobs = min(os.cpu_count() or 1, len(names) or 1)
    seconds = 60 * arguments.minutes * jobs / (len(names) or 1)
    print(f"{'harness':28s} {'inputs':>9s} {'seconds':>8s}  fault", flush=True)
    found = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(functools.partial(run, seconds=seconds, place=place), names):
            print(result, flush=True)
            found.append(result)
    faults = sum(bool(result.fault) for result in found)
    total = Result("all", sum(r.inputs for r in found), sum(r.seconds for r in found), f"{faults} faults")
    print(total)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
