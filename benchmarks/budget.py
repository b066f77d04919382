"""A command that is ended when its processes have had so many CPU-seconds."""

import json
import os
import subprocess
import time
from pathlib import Path

from loggrad_tf.errors import LogGradError

_POLL = 0.25


def spent_by(marks: Path) -> list[float]:
    return [json.loads(line) for line in marks.read_text().splitlines()] if marks.exists() else []


def spend(command: list[str], journal: Path, marks: Path, budget: float, before: float) -> float:
    """Run ``command``; note the CPU time at every new candidate; kill it when the budget is spent.

    Args:
      before: CPU-seconds that the search has had; those after the last mark of an interrupted benchmark are
        not known.
    Returns:
      CPU-seconds that it has had now.
    """
    spent = spent_by(marks)
    before, done = max([before, *spent[-1:]]), len(spent)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    log = journal.with_name("log.txt")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        now = before
        try:
            while process.poll() is None:
                time.sleep(_POLL)
                # Of a process that has just ended nothing can be read.
                now = max(now, before + _cpu_seconds(process.pid))
                lines = journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0
                if lines > done:
                    with marks.open("a") as file:
                        file.write(f"{now:.2f}\n" * (lines - done))
                    done = lines
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
