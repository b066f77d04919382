"""Searches as processes of their own, some at a time; a search that was interrupted goes on.

Each is ``python -m search.evolve --resume --out=DIR`` with one worker, so its history is the same on any
machine. DIR's name ends in a hash of all that its history depends on, as a job's folder does.
"""

import dataclasses
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from loggrad_tf.errors import LogGradError
from search.reporting import reading
from search.reporting.reading import Run
from search.run.progress import left

LOG = "log.txt"
_POLL = 0.2


@dataclasses.dataclass(frozen=True)
class Search:
    """One search.

    Attributes:
      spec: data set: ``synthetic``, ``pascalraw:DIR`` or ``folder:DIR``.
      manifest_sha256: of the prepared data set.
      profile: of the experiment, for the name only.
      input: format.
      seed: of the search.
      flags: further flags of :mod:`search.evolve`.
    """

    spec: str
    manifest_sha256: str
    profile: str
    input: str
    seed: int
    flags: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        own = (f"--data={self.spec}", f"--input={self.input}", f"--seed={self.seed}", "--workers=1")
        return [*own, *self.flags]

    @property
    def name(self) -> str:
        """Says data, profile, input and seed; the hash says the rest."""
        kind, _, where = self.spec.partition(":")
        data = f"{kind}-{Path(where).name}" if where else kind
        everything = json.dumps([self.arguments, self.manifest_sha256])
        sha256 = hashlib.sha256(everything.encode()).hexdigest()
        return f"{data}_{self.profile}_{self.input}_seed{self.seed}_{sha256[:8]}"


def run_all(searches: Sequence[Search], root: Path, workers: int) -> list[Run]:
    """All searches in order, run to their ends if need be, ``workers`` at a time.

    Raises:
      LogGradError: a search ended with an error; the others are stopped and can go on.
    """
    waiting = [one for one in searches if not _finished(root / one.name)]
    if waiting:
        print(f"{len(waiting)} of {len(searches)} searches to go, in {root}", flush=True)
        _spread(waiting, root, workers)
    return [reading.read(root / one.name) for one in searches]


def _finished(directory: Path) -> bool:
    if not (directory / "config.json").is_file():
        return False
    run = reading.read(directory)
    return run.finished and run.saved is not None


def _spread(searches: list[Search], root: Path, workers: int) -> None:
    waiting, running = list(searches), dict[Search, subprocess.Popen[bytes]]()
    begin, done = time.monotonic(), 0
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                one = waiting.pop(0)
                running[one] = _start(one, root / one.name)
            time.sleep(_POLL)
            for one, process in list(running.items()):
                if process.poll() is None:
                    continue
                del running[one]
                if process.returncode != 0:
                    raise LogGradError(_failure(one, root / one.name))
                done += 1
                seconds = (time.monotonic() - begin) / done * (len(searches) - done)
                print(f"[{done}/{len(searches)}] {_found(root / one.name)} | {left(seconds)}", flush=True)
    finally:
        for process in running.values():  # a search may be killed at any moment
            process.kill()
            process.wait()


def _start(search: Search, directory: Path) -> "subprocess.Popen[bytes]":
    directory.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "search.evolve", "--resume", f"--out={directory}", *search.arguments]
    with (directory / LOG).open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _failure(search: Search, directory: Path) -> str:
    lines = (directory / LOG).read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    reason = lines[-1].removeprefix("error: ")
    return f"search of {search.input}, seed {search.seed}: {reason} (all of it in {directory / LOG})"


def _found(directory: Path) -> str:
    run = reading.read(directory)
    least = min((point.error for point in run.points.values()), default=1.0)
    return (
        f"{run.config.input}, seed {run.config.seed}: {len(run.records)} candidates,"
        f" {len(run.front)} on the front, least validation error {least:.1%}"
    )
