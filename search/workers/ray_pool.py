"""A pool on the nodes of a Ray cluster: the same tasks, the same history, more machines.

Each worker is one Ray actor on one processor, spread over the nodes, which runs a pool of one process
(:mod:`search.workers.pool`) where it is. So time limits, crashes and their reasons, threads and recycling are
those of the pool of one machine; only what becomes of an actor is new. One that is lost with its node, or to
Ray's guard of memory, is replaced wherever there is a free processor, and its task done once more; until
there is one, the others take its tasks. If Ray's head is lost, this program ends, and is resumed.

No shared file system is needed. A node that has the same prepared data set in the same place uses it; others
get it through Ray's object store, once, into their cache (``received/`` in ``$LOGGRAD_CACHE``). Weights come
back with the outcome, and are on this machine's disk before the outcome is handed out.

Every node needs this program with the same packages: one with others is refused, by name. If this machine
trains on a GPU, so do all workers, each with a share of one that Ray assigns, and a node with another kind is
refused; if it does not, none does. Nodes should also have one kind of processor: TensorFlow's last digits
depend on its vector instructions, and then a history depends on which node did what. This machine must be a
node itself, and Ray's clients (``ray://``) are refused.
"""

import contextlib
import dataclasses
import fcntl
import functools
import math
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol, Self

from loggrad_tf import gpus
from loggrad_tf.data import dataset
from loggrad_tf.errors import LogGradError
from loggrad_tf.gpus import Gpus
from search.record.journal import write_synced
from search.record.versions import GPU, versions
from search.workers.pool import ONEDNN, Pool, Setup, one_line
from search.workers.supervisor import (
    START_LIMIT,
    Died,
    Done,
    Event,
    Finished,
    Job,
    Ready,
    Refused,
    Supervisor,
)

LOST = "worker was lost with its node (out of memory, or frozen?)"
# Of a GPU, the smallest share that Ray deals in is one in so many.
_FRACTIONS = 10_000
_FOLDER = "loggrad-weights-"
_DAY = 86_400.0
_CONNECT_LIMIT = 5.0
_LEAVE_LIMIT = 5.0
# A host gives a task to two workers at most, each of which has to start; then it is frozen.
_ATTEMPTS = 2
_ONE_GPU = (
    "let all nodes with GPUs have the same, with one driver and CUDA, or train on processors with"
    f" {gpus.VARIABLE}={gpus.NONE} here"
)


class FilesSpec(Protocol):
    """A dataclass for ``setup`` that names a prepared data set and a directory for weights."""

    @property
    def data(self) -> Path: ...
    @property
    def weights(self) -> Path: ...


@dataclasses.dataclass(frozen=True)
class Order:
    """What a host needs to know to begin.

    Attributes:
      setup, spec, timeout: see :class:`RayPool`.
      manifest: SHA-256 of the data set's manifest.
      environment: variables that change what TensorFlow computes, and where.
      versions: that the node must have too.
    """

    setup: Setup
    spec: Any
    timeout: float | None
    manifest: str
    environment: dict[str, str]
    versions: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Lacking:
    """A host's node does not have the data set."""


def holds(path: Path, manifest: str) -> bool:
    """Is the prepared data set of that manifest at ``path``?"""
    try:
        return dataset.open_prepared(path).manifest_sha256 == manifest
    except LogGradError:
        return False


def unpack(place: Path, manifest: str, files: dict[str, bytes]) -> None:
    """Write a data set to ``place``, unless another process of this node has done so meanwhile."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if holds(place, manifest):
            return
        partial = place.with_name(f".{place.name}.partial")
        for old in (place, partial):
            shutil.rmtree(old, ignore_errors=True)
        partial.mkdir()
        try:
            for name, content in files.items():
                (partial / name).write_bytes(content)
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _remove_orphans() -> None:
    """Delete the folders of hosts that were killed a day ago; a host changes its own with every task."""
    for path in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        owner = path.name.removeprefix(_FOLDER).partition("-")[0]
        with contextlib.suppress(OSError):  # another host was faster
            old = time.time() - path.stat().st_mtime > _DAY
            if owner.isdigit() and old and not Path("/proc", owner).exists():
                shutil.rmtree(path, ignore_errors=True)


class Host:
    """What lives on a node, as an actor: a pool of one process, with local files."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._name = f"node {socket.gethostname()}"
        _remove_orphans()
        self._weights = tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-")
        self._pool: Pool | None = None

    def begin(self) -> Ready | Lacking | Refused:
        """Start the worker, if the node has what it takes."""
        os.environ.update(self._order.environment)
        found = versions()
        for name, wanted in self._order.versions.items():
            if (here := found.get(name, "none")) != wanted:
                remedy = _ONE_GPU if name == GPU else "install the same program and packages on all nodes"
                return Refused(f"{self._name} has {name} {here}, this machine {wanted}: {remedy}")
        received = dataset.cache_folder() / "received" / self._order.manifest[:16]
        for path in (self._order.spec.data, received):
            if holds(path, self._order.manifest):
                spec = dataclasses.replace(self._order.spec, data=path, weights=Path(self._weights.name))
                self._pool = Pool(1, self._order.setup, spec, self._order.timeout)
                return Ready()
        return Lacking()

    def receive(self, files: dict[str, bytes]) -> Ready | Lacking | Refused:
        """Begin with a data set that is not on the node yet."""
        place = dataset.cache_folder() / "received" / self._order.manifest[:16]
        try:
            unpack(place, self._order.manifest, files)
        except OSError as error:
            return Refused(f"{self._name} cannot keep the data set in {place}: {error.strerror or error}")
        begun = self.begin()
        if isinstance(begun, Lacking):
            return Refused(f"{self._name}: the data set is damaged in {place}: delete the folder")
        return begun

    def evaluate(self, index: int, task: Any) -> tuple[Done | Refused, dict[str, bytes]]:
        """Do one task; what it leaves in the directory of weights comes along."""
        assert self._pool is not None
        folder = Path(self._weights.name)
        for path in folder.iterdir():
            path.unlink()
        self._pool.submit(index, task)
        try:
            done = self._pool.wait()[0]
        except LogGradError as error:
            return Refused(f"{self._name}: {error}"), {}
        left = [path for path in folder.iterdir() if not path.name.startswith(".")]
        return Done(done.outcome, done.seconds), {path.name: path.read_bytes() for path in left}

    def leave(self) -> None:
        """End the worker and remove the local files."""
        if self._pool is not None:
            self._pool.__exit__()
        self._weights.cleanup()


def resources(nodes: list[dict[str, float]], count: int, here: Gpus) -> tuple[dict[str, float], list[str]]:
    """What each of ``count`` workers asks Ray for, and what is not as one would expect, a line each.

    Args:
      nodes: resources of each node that is alive.
      here: the GPUs of this machine, which decide whether workers have any.
    """
    cards = int(sum(node.get("GPU", 0) for node in nodes))
    asked: dict[str, float] = {"num_cpus": 1}
    warnings, beside = [], ""
    if here.devices and cards:
        sharing = math.ceil(count / cards)
        asked["num_gpus"] = 1 if sharing == 1 else math.floor(_FRACTIONS / sharing) / _FRACTIONS
        nodes, beside = [node for node in nodes if node.get("GPU")], " beside its GPUs"
    elif here.devices:
        warnings.append(
            "the cluster has no GPUs: workers train on processors; give it some with ray start --num-gpus"
        )
    elif cards and not here.unusable:
        warnings.append(f"{cards} GPUs of the cluster are left alone, since this machine has none")
    processors = int(sum(node.get("CPU", 0) for node in nodes))
    if processors < count:
        warnings.append(f"the cluster has {processors} processors{beside}; {count} workers share them")
    return asked, warnings


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise LogGradError("Ray is not installed: pip install 'loggrad[ray]'") from None
    return ray


def _check_head(address: str | None) -> None:
    """Find a head that does not answer in a moment; Ray itself would try for minutes."""
    if address is None:
        raise LogGradError("no Ray cluster is running here: start one with ray start --head")
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), _CONNECT_LIMIT):
            pass
    except (OSError, ValueError) as error:
        raise LogGradError(
            f"no Ray cluster answers at {address} ({error}): start one with ray start --head"
        ) from None


def _connect(ray: Any, count: int, address: str | None) -> None:
    if address is not None and "://" in address:
        raise LogGradError(f"Ray at {address}: give the head's ip:port, or auto, on a node of the cluster")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            alone = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
            ray.init(address="local", num_cpus=count, **alone, **quiet)
            return
        _check_head(ray._private.services.canonicalize_bootstrap_address(address))
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise LogGradError(
            f"cannot join a Ray cluster: {' '.join(str(error).split())}; this machine must be a node of it,"
            " and one that asks for a token needs RAY_AUTH_MODE=token here"
        ) from None


class _Remote:
    """This end of a host. One call at a time is under way, or none."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self.actor = ray, actor
        self.call = actor.begin.remote()
        self.is_ready = False

    def give(self, index: int, task: Any) -> None:
        self.call = self.actor.evaluate.remote(index, task)

    def stop(self) -> None:
        self._ray.kill(self.actor)

    def hear(self) -> tuple[Event | Lacking, dict[str, bytes]]:
        """The answer to the call, which is there, and the files that came along."""
        call, self.call = self.call, None
        try:
            answer = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            return Refused(one_line(error.cause)), {}
        except self._ray.exceptions.RayError as error:
            return Died(LOST if self.is_ready else one_line(error)), {}
        self.is_ready = self.is_ready or isinstance(answer, Ready)
        return answer if isinstance(answer, tuple) else (answer, {})


class RayPool(Supervisor[_Remote]):
    """``count`` workers on a Ray cluster; use as a context manager, which stops them.

    Args:
      count: workers, one processor each, and a share of a GPU.
      setup: see :class:`search.workers.pool.Pool`.
      spec: argument of ``setup``, with paths on this machine; workers get it with their own.
      address: ``auto`` for the cluster this machine is a node of, or its head's ``ip:port``; None
        starts Ray on this machine alone, and ends it.
      timeout: seconds a task may take, see :mod:`search.workers.supervisor`; None: no limit. A node that is
        silent for longer than its worker could take counts as lost.

    Raises:
      LogGradError: Ray is not installed, no cluster answers, no data set is there.

    Attributes:
      warning: what is not as asked for, one line, or None.
    """

    recycles = False  # hosts do so

    def __init__(
        self,
        count: int,
        setup: Setup,
        spec: FilesSpec,
        address: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self._data, self._weights = spec.data, spec.weights
        manifest = dataset.open_prepared(spec.data).manifest_sha256
        self._ray = _import_ray()
        os.environ.setdefault(ONEDNN, "1")
        kinds = ("TF_", "ONEDNN_", "KERAS_")
        environment = {name: value for name, value in os.environ.items() if name.startswith(kinds)}
        same = versions()
        _connect(self._ray, count, address)
        try:
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            asked, warnings = resources(nodes, count, gpus.found())
            self.warning = "; ".join(warnings) or None
            if "num_gpus" not in asked:
                environment[gpus.VARIABLE] = gpus.NONE
                same.pop(GPU, None)
            self._order = Order(setup, spec, timeout, manifest, environment, same)
            options = {**asked, "scheduling_strategy": "SPREAD", "max_restarts": 0}
            self._actors = self._ray.remote(**options)(Host)
            silence = None if timeout is None else _ATTEMPTS * (timeout + START_LIMIT)
            super().__init__(count, silence)
        except BaseException:
            self._ray.shutdown()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            unoccupied = [seat.worker for seat in self._seats if seat.is_ready and seat.job is None]
            left = [worker.actor.leave.remote() for worker in unoccupied]
            if left:
                self._ray.wait(left, num_returns=len(left), timeout=_LEAVE_LIMIT)
            super().__exit__(*exception)
        finally:
            self._ray.shutdown()

    def _expired(self, job: Job) -> list[Finished]:
        return self._mourn(job, LOST)

    @functools.cached_property
    def _archive(self) -> Any:
        """The data set in the object store."""
        return self._ray.put({p.name: p.read_bytes() for p in self._data.iterdir() if p.is_file()})

    def _start(self, place: int) -> _Remote:
        del place
        return _Remote(self._ray, self._actors.remote(self._order))

    def _listen(self, workers: list[_Remote], seconds: float) -> list[tuple[_Remote, Event]]:
        calls = {worker.call: worker for worker in workers if worker.call is not None}
        if not calls:
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait(list(calls), timeout=seconds)
        heard = [(calls[call], self._hear(calls[call])) for call in ready]
        return [(worker, event) for worker, event in heard if event is not None]

    def _hear(self, worker: _Remote) -> Event | None:
        event, files = worker.hear()
        if isinstance(event, Lacking):
            worker.call = worker.actor.receive.remote(self._archive)
            return None
        for name, content in files.items():
            write_synced(self._weights / name, content)
        return event
