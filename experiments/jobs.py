"""Many trainings, or other long jobs, in processes; what is finished is kept and not done again.

A job says what it is by its JSON form, which names the folder of its result: ROOT/NAME-HASH. Whoever
asks for the same job, be it another figure, finds it done; another version of this program wants another
ROOT. Folders are written under a temporary name and renamed, so an interrupted command goes on where it
was. Each holds ``job.json``, with the versions of what computed it and the time that it took.
"""

import dataclasses
import functools
import hashlib
import json
import multiprocessing
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

from loggrad_tf import files, json_base
from loggrad_tf.data import dataset
from loggrad_tf.data.sources import SPLITS
from loggrad_tf.errors import LogGradError
from loggrad_tf.parallel import hidden_main
from loggrad_tf.transform.frontend import FrontEnd
from models.graph import Graph
from models.recipe import TrainConfig
from search.record.versions import versions
from search.run.progress import left
from search.workers.evaluator import start_tensorflow
from search.workers.pool import end_with_parent

NETWORK = "network"
# What to do about a damaged file of a job.
AGAIN = "delete its folder, and the job is done again"


class Job(Protocol):
    """Something that takes minutes; it must be possible to send it to another process."""

    @property
    def title(self) -> str:
        """What a line of progress calls it."""

    def to_json(self) -> dict[str, Any]:
        """All that its result depends on."""

    def run(self, directory: Path) -> str:
        """Do it: write its files into ``directory``; returns its result in a few words."""


def place(root: Path, job: Job) -> Path:
    """Where the result of ``job`` is, or will be."""
    text = json.dumps(job.to_json(), sort_keys=True)
    name = type(job).__name__.lower()
    return root / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def run_all(jobs: Sequence[Job], root: Path, workers: int) -> list[Path]:
    """Folders of all jobs, in order; those that are not there yet are made, ``workers`` at a time.

    Raises:
      LogGradError: a job failed. The others that were begun are finished and kept.
    """
    wanted = {place(root, job): job for job in jobs}
    missing = {path: job for path, job in wanted.items() if not path.is_dir()}
    if len(wanted) > len(missing):
        print(f"{len(wanted) - len(missing)} of {len(wanted)} are there already", flush=True)
    if missing:
        root.mkdir(parents=True, exist_ok=True)
        _spread(missing, min(workers, len(missing)))
    return [place(root, job) for job in jobs]


def taken(folder: Path) -> float:
    """Seconds of the processor that a job took; 0 if nobody noted it."""
    return float(json_base.read(folder / "job.json").get("cpu_seconds", 0.0))


def _spread(missing: dict[Path, Job], workers: int) -> None:
    context = multiprocessing.get_context("spawn")
    begin, done = time.monotonic(), 0
    with hidden_main(), ProcessPoolExecutor(workers, context, _begin) as pool:
        running: dict[Future[str], Job] = {pool.submit(_run, job, path): job for path, job in missing.items()}
        try:
            for future in as_completed(running):
                result = _result(future, running[future])
                done += 1
                seconds = (time.monotonic() - begin) / done * (len(missing) - done)
                print(
                    f"[{done}/{len(missing)}] {running[future].title}: {result} | {left(seconds)}", flush=True
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _begin() -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    start_tensorflow()


def _result(future: "Future[str]", job: Job) -> str:
    try:
        return future.result()
    except LogGradError as error:
        raise LogGradError(f"{job.title}: {error}") from None
    except BrokenProcessPool:
        raise LogGradError(
            f"{job.title}: a process died, as when memory runs out; give fewer --workers and start again:"
            " what is finished is kept"
        ) from None


def _run(job: Job, path: Path) -> str:
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        begin = time.process_time()
        result = job.run(temporary)
        seconds = round(time.process_time() - begin, 1)
        description = {
            "job": job.to_json(),
            "result": result,
            "cpu_seconds": seconds,
            "versions": versions(),
        }
        (temporary / "job.json").write_text(json.dumps(description, indent=1) + "\n")
        temporary.chmod(0o755)
        files.sync_tree(temporary)
        if not path.exists():  # another command may have been faster
            temporary.rename(path)
            files.sync(path.parent)
        return result
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@dataclasses.dataclass(frozen=True)
class Training:
    """Train one network on one data set; its result is read by :func:`experiments.study.network`.

    Attributes:
      name: what progress calls it; not part of what it is.
      graph: the network.
      front_end: of its input.
      data: the prepared data set's folder.
      manifest_sha256: of that data set.
      train: JSON form of :class:`models.recipe.TrainConfig`.
      seed: of weights, order and augmentation.
    """

    name: str
    graph: Graph
    front_end: FrontEnd
    data: Path
    manifest_sha256: str
    train: dict[str, Any]
    seed: int

    @property
    def title(self) -> str:
        return f"{self.name}, seed {self.seed}"

    def to_json(self) -> dict[str, Any]:
        return {
            "graph": self.graph.to_json(),
            "front_end": self.front_end.to_json(),
            "manifest_sha256": self.manifest_sha256,
            "train": self.train,
            "seed": self.seed,
        }

    def run(self, directory: Path) -> str:
        from models.training import fit

        data = open_data(self.data)
        config = TrainConfig.from_json(self.train)
        trained = fit.train(self.graph, data, self.front_end, config, self.seed)
        return save_network(directory, data, self.front_end, trained, config, self.seed)


def save_network(
    directory: Path, data: dataset.DataSet, front_end: FrontEnd, trained: Any, config: TrainConfig, seed: int
) -> str:
    """Test a trained network, unless it has no test split, and keep it in a job's directory.

    A detector's thresholds are its own, and its test is its reader's.

    Args:
      trained: :class:`models.training.fit.TrainResult`.
      config: that it was trained with.

    Returns:
      its accuracies in a few words.
    """
    from models import bundle
    from models.training.measure import evaluate

    metrics = {"val_error": trained.val_error}
    made = bundle.Bundle(
        graph=trained.graph,
        front_end=front_end,
        class_names=data.class_names,
        weights=trained.weights,
        data=data.reference,
        train=config,
        seed=seed,
        metrics=metrics,
        threshold=trained.threshold,
    )
    said = f"validation {1 - trained.val_error:.1%}"
    if data.detects:
        said = f"validation F1 {1 - trained.val_error:.3f}"
    elif (data.split == SPLITS.index("test")).any():
        metrics["test_error"] = evaluate(made.model(), data, front_end, "test")
        said += f", test {1 - metrics['test_error']:.1%}"
    bundle.save(directory / NETWORK, made)
    return said if data.detects else f"{said} right"


@functools.lru_cache(maxsize=2)
def open_data(path: Path) -> dataset.DataSet:
    """A prepared data set, opened once in a process."""
    return dataset.open_prepared(path)
