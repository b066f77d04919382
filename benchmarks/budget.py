"""A search that is ended when its processes have had so many CPU-seconds.

Beside what the search writes, its directory holds ``cpu.jsonl``: the CPU-seconds when each candidate was
there.
"""

import json
import os
import subprocess
import time
from pathlib import Path

from loggrad_tf.errors import LogGradError
from search.run import rundir

_MARKS = "cpu.jsonl"
_POLL = 0.25


def spent_by(directory: Path) -> list[float]:
    """CPU-seconds that the search had had when each candidate was there."""
    marks = directory / _MARKS
    return [json.loads(line) for line in marks.read_text().splitlines()] if marks.exists() else []


def spend(command: list[str], directory: Path, budget: float, before: float) -> float:
    """Run a search until its budget is spent; note the CPU time at every new candidate.

    Args:
      command: of the search, which is killed in the end.
      directory: where it writes.
      budget: CPU-seconds.
      before: CPU-seconds that the search has had; those after the last mark of an interrupted benchmark are
        not known.
    Returns:
      CPU-seconds that it has had now.
    """
    spent = spent_by(directory)
    before, done = max([before, *spent[-1:]]), len(spent)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    log = directory / "log.txt"
    directory.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        now = before
        try:
            while process.poll() is None:
                time.sleep(_POLL)
                # Of a process that has just ended nothing can be read.
                now = max(now, before + _cpu_seconds(process.pid))
                candidates = rundir.committed(directory)
                if candidates > done:
                    with (directory / _MARKS).open("a") as file:
                        file.write(f"{now:.2f}\n" * (candidates - done))
                    done = candidates
                if now >= budget and done:
                    return now
        finally:
            process.kill()  # a search may be killed at any moment
            process.wait()
    raise LogGradError(f"{' '.join(command)} ended before its budget was spent: see {log}")


def _cpu_seconds(pid: int) -> float:
    """Of a process, its living children and those that have ended."""
    import psutil

    try:
        parent = psutil.Process(pid)
        times = parent.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for child in parent.children(recursive=True):
            own = child.cpu_times()
            total += own.user + own.system
    except psutil.NoSuchProcess:
        return 0.0
    return float(total)
