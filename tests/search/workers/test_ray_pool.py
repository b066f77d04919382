"""search.workers.ray_pool: two nodes on this machine, whose workers and hosts fail in every way."""

import contextlib
import dataclasses
import errno
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loggrad_tf import gpus
from loggrad_tf.data import dataset
from loggrad_tf.errors import LogGradError
from loggrad_tf.gpus import Gpus
from loggrad_tf.transform import frontend
from models.graph import GraphBuilder
from models.recipe import TrainConfig
from search.record.history import Outcome
from search.record.versions import versions
from search.workers import ray_pool
from search.workers.evaluator import Task, TrainingSpec, load_weights, open_evaluator
from search.workers.pool import Pool
from search.workers.ray_pool import Host, Lacking, Order, RayPool
from search.workers.supervisor import Done, Ready, Refused
from tests.support import REPOSITORY, cards

SIDE = 16
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray: pip install .[ray]")


@dataclasses.dataclass(frozen=True)
class Spec:
    data: Path
    weights: Path


def setup(spec: Spec) -> Callable[[tuple[int, str]], Outcome]:
    """Top level, so that it is found on a node. Evaluates (index, what to do)."""
    pixels = dataset.open_prepared(spec.data).pixels

    def evaluate(task: tuple[int, str]) -> Outcome:
        index, what = task
        what, _, flag = what.partition(" ")
        if flag:  # only the first time
            what = what if not Path(flag).exists() else "0.05"
            Path(flag).touch()
        if what == "raise":
            raise ValueError("two\nlines")
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "host":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        if what == "freeze":
            os.kill(os.getppid(), signal.SIGSTOP)
            time.sleep(60)
        if what == "gpu":
            (spec.weights / f"{index:05d}.npz").write_text(os.environ.get(gpus.VARIABLE, "all"))
            return Outcome(0.0, 0.0)
        if what == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        time.sleep(float(what))
        (spec.weights / f"{index:05d}.npz").write_text(os.environ.get("RAY_RAYLET_PID", "none"))
        return Outcome(float(pixels[index % len(pixels)].mean()) / 2**16, 0.0)

    return evaluate


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ray on the loopback interface; nodes find the tests, and keep what they receive for themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # otherwise Ray leaves a token in the user's home
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        patch.setenv("LOGGRAD_CACHE", str(tmp_path_factory.mktemp("node")))
        yield


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    """A data set of noise in two classes, and an empty directory for weights."""
    folder = tmp_path_factory.mktemp("here")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            noise = rng.integers(0, 256, (SIDE * 2, SIDE * 2, 3)).astype(np.uint8)
            Image.fromarray(noise).save(folder / "pictures" / name / f"{i:02d}.png")
    prepared = dataset.load(f"folder:{folder / 'pictures'}", size=SIDE, cache=folder / "cache")
    (folder / "weights").mkdir()
    return Spec(prepared.path, folder / "weights")


@pytest.fixture
def fresh(spec: Spec, tmp_path: Path) -> Spec:
    return dataclasses.replace(spec, weights=tmp_path)


def _processes(words: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found += [f"{path.parent.name} {line[:100]}"] if words in line else []
    return found


def _gone(words: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _processes(words) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not _processes(words)


NODE = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80_000_000}


@pytest.fixture(scope="module")
def cluster(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes of one processor each, whose working directory is not that of the tests."""
    from ray.cluster_utils import Cluster

    with contextlib.chdir(tmp_path_factory.mktemp("elsewhere")):
        nodes = Cluster(initialize_head=True, head_node_args=NODE)
        nodes.add_node(wait=True, **NODE)
    session = nodes.head_node.get_session_dir_path()
    yield nodes
    nodes.shutdown()
    assert _gone(session, 20), _processes(session)


def _all(pool: Pool | RayPool, tasks: list[str]) -> dict[int, Outcome]:
    waiting = list(enumerate(tasks))
    outcomes: dict[int, Outcome] = {}
    while len(outcomes) < len(tasks):
        while waiting and pool.idle:
            index, what = waiting.pop(0)
            pool.submit(index, (index, what))
        outcomes |= {f.index: f.outcome for f in pool.wait()}
    return dict(sorted(outcomes.items()))


def _local_files() -> set[Path]:
    return set(Path("/tmp").glob("loggrad-weights-*"))


@pytest.mark.seconds
@needs_ray
def test_outcomes_are_those_of_processes_and_both_nodes_take_part(
    cluster: Any, spec: Spec, tmp_path: Path
) -> None:
    before = _local_files()
    results = []
    for place in ("ray", "processes"):
        tasks = ["0.3", "0.3", "raise", "60", "kill", "0.05", f"kill {tmp_path / place}.flag", "0.05"]
        used = dataclasses.replace(spec, weights=tmp_path / place)
        used.weights.mkdir()
        if place == "ray":
            with RayPool(2, setup, used, cluster.address, timeout=1) as pool:
                assert pool.warning is None
                outcomes = _all(pool, tasks)
        else:
            with Pool(2, setup, used, timeout=1) as processes:
                outcomes = _all(processes, tasks)
        results.append((outcomes, sorted(path.name for path in used.weights.iterdir())))
    assert results[0] == results[1]
    outcomes, names = results[0]
    assert names == [f"{i:05d}.npz" for i in (0, 1, 5, 6, 7)]
    assert outcomes[2].failure == "ValueError: two lines"
    assert outcomes[3].failure == "timed out after 1 s"
    assert outcomes[4].failure == "worker was killed by SIGKILL (out of memory?)"
    nodes = {(tmp_path / "ray" / name).read_text() for name in names}
    assert len(nodes) == 2 and "none" not in nodes
    assert _local_files() == before


@pytest.mark.seconds
@needs_ray
def test_the_data_set_travels_to_nodes_that_lack_it(
    cluster: Any, fresh: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fresh.data.parent)
    relative = dataclasses.replace(fresh, data=Path(fresh.data.name))  # nothing, where the nodes are
    with RayPool(2, setup, relative, cluster.address) as pool:
        outcomes = _all(pool, ["0.2", "0.2"])
    pixels = dataset.open_prepared(fresh.data).pixels
    assert [o.val_error for o in outcomes.values()] == [float(pixels[i].mean()) / 2**16 for i in (0, 1)]
    received = [p for p in (dataset.cache_folder() / "received").iterdir() if p.is_dir()]
    assert [p.name for p in received] == [dataset.open_prepared(fresh.data).manifest_sha256[:16]]
    for path in fresh.data.iterdir():
        assert (received[0] / path.name).read_bytes() == path.read_bytes()


@pytest.mark.seconds
@needs_ray
def test_what_ends_the_search(cluster: Any, fresh: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        RayPool(1, setup, fresh, cluster.address) as pool,
        pytest.raises(LogGradError, match=r"node \S+: .*No space left.* resume the search"),
    ):
        _all(pool, ["0.05", "full"])
    monkeypatch.setattr(ray_pool, "versions", lambda: {**versions(), "numpy": "0.1"})
    with RayPool(3, setup, fresh, cluster.address) as pool:
        assert pool.warning == "the cluster has 2 processors; 3 workers share them"
        with pytest.raises(LogGradError, match=r"could not start: node \S+ has numpy .*, this machine 0\.1"):
            _all(pool, ["0.05"])


@pytest.mark.seconds
@needs_ray
def test_a_host_that_is_frozen_is_given_up(
    cluster: Any, fresh: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_pool, "START_LIMIT", 10.0)
    with RayPool(2, setup, fresh, cluster.address, timeout=1.0) as pool:
        outcomes = _all(pool, [f"freeze {fresh.weights / 'once'}", "0.05", "0.05", "0.05"])
    assert all(outcomes[i].failure is None for i in range(4))


def test_folders_of_hosts_that_were_killed_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    old, new = (tmp_path / f"loggrad-weights-{ended.pid}-{name}" for name in ("old", "new"))
    own = tmp_path / f"loggrad-weights-{os.getpid()}-old"
    for path in (old, new, own):
        path.mkdir()
    for path in (old, own):
        os.utime(path, (0, 0))
    ray_pool._remove_orphans()
    assert own.exists() and new.exists() and not old.exists()


@pytest.mark.seconds
@needs_ray
def test_hosts_and_nodes_that_are_lost(cluster: Any, fresh: Spec, tmp_path: Path) -> None:
    """The last one with two nodes."""
    with RayPool(2, setup, fresh, cluster.address) as pool:
        outcomes = _all(pool, ["host", f"host {tmp_path / 'once'}", "0.05"])
        assert outcomes[0].failure == ray_pool.LOST
        assert outcomes[1].failure is None and outcomes[2].failure is None
        for index in (3, 4):
            pool.submit(index, (index, "1.5"))
        begun = time.monotonic()
        time.sleep(0.5)
        cluster.remove_node(cluster.list_all_nodes()[-1])
        finished = {f.index: f.outcome for _ in range(2) for f in pool.wait()}  # one after the other
        assert [finished[i].failure for i in (3, 4)] == [None, None]
        assert time.monotonic() - begun > 2.5
        assert all(o.failure is None for o in _all(pool, ["0.05"] * 3).values())


@needs_ray
@pytest.mark.parametrize(
    ("address", "message"),
    [("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"), ("ray://127.0.0.1:1", "give the head's")],
)
def test_clusters_that_are_not_there(fresh: Spec, address: str, message: str) -> None:
    with pytest.raises(LogGradError, match=message):
        RayPool(1, setup, fresh, address)


def test_ray_that_is_not_installed(fresh: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(LogGradError, match=r"pip install 'loggrad\[ray\]'"):
        RayPool(1, setup, fresh)


def test_a_data_set_that_is_not_here(fresh: Spec) -> None:
    with pytest.raises(LogGradError, match="/nowhere"):
        RayPool(1, setup, dataclasses.replace(fresh, data=Path("/nowhere")))


ALONE = """
import sys
from pathlib import Path
from search.workers.ray_pool import RayPool
from tests.search.workers.test_ray_pool import Spec, setup
if __name__ == "__main__":
    with RayPool(2, setup, Spec(Path(sys.argv[1]), Path(sys.argv[2]))) as pool:
        pool.submit(0, (0, "0"))
        pool.wait()
        import ray
        print(ray._private.worker._global_node.get_session_dir_path(), flush=True)
        if sys.argv[3] == "hang":
            pool.submit(1, (1, "60"))
            pool.wait()
"""


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("end", ["normal", "hang"])
def test_ray_on_this_machine_alone_leaves_no_process(fresh: Spec, tmp_path: Path, end: str) -> None:
    script = tmp_path / "parent.py"
    script.write_text(ALONE)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(fresh.data), str(fresh.weights), end],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    session = parent.stdout.readline().strip()
    assert session.startswith("/tmp/ray/session_")
    if end == "hang":
        time.sleep(0.5)
        parent.kill()
    parent.stdout.close()
    assert parent.wait(30) == (-signal.SIGKILL if end == "hang" else 0)
    assert _gone(session, 20), _processes(session)
    assert (fresh.weights / "00000.npz").exists()


def _order(spec: Spec) -> Order:
    manifest = dataset.open_prepared(spec.data).manifest_sha256
    return Order(setup, spec, None, manifest, {}, versions())


CARDS = Gpus(("0", "1"), cards.TEXT)


@pytest.mark.parametrize(
    ("on_nodes", "count", "share"),
    [([1], 1, 1), ([1], 2, 0.5), ([1], 3, 0.3333), ([2], 3, 0.5), ([1, 2], 8, 0.3333), ([4, 4], 3, 1)],
)
def test_shares_of_gpus_are_such_that_all_workers_find_one(
    on_nodes: list[int], count: int, share: float
) -> None:
    nodes = [{"CPU": 16.0, "GPU": float(gpus_there)} for gpus_there in on_nodes]
    asked, warnings = ray_pool.resources([*nodes, {"CPU": 64.0}], count, CARDS)
    assert asked == {"num_cpus": 1, "num_gpus": share} and warnings == []
    assert sum(there * int(1 / share) for there in on_nodes) >= count


@pytest.mark.parametrize(
    ("nodes", "here", "warning"),
    [
        ([{"CPU": 4.0}], Gpus(), None),
        ([{"CPU": 1.0}], Gpus(), "the cluster has 1 processors; 2 workers share them"),
        ([{"CPU": 4.0}], CARDS, "the cluster has no GPUs"),
        ([{"CPU": 4.0, "GPU": 1.0}], Gpus(), "1 GPUs of the cluster are left alone"),
        ([{"CPU": 4.0, "GPU": 1.0}], Gpus(unusable=("A Card",)), None),
    ],
)
def test_workers_that_train_on_processors_ask_for_no_gpu(
    nodes: list[dict[str, float]], here: Gpus, warning: str | None
) -> None:
    asked, warnings = ray_pool.resources(nodes, 2, here)
    assert asked == {"num_cpus": 1} and len(warnings) == (warning is not None)
    assert warning is None or warnings[0].startswith(warning)


def test_processors_of_nodes_without_a_gpu_do_not_count() -> None:
    asked, warnings = ray_pool.resources([{"CPU": 1.0, "GPU": 1.0}, {"CPU": 8.0}], 2, CARDS)
    assert asked["num_gpus"] == 0.5
    assert warnings == ["the cluster has 1 processors beside its GPUs; 2 workers share them"]


@pytest.fixture
def two_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine has two GPUs, and Ray, once started, knows of them."""

    def connect(ray: Any, count: int, address: str | None) -> None:
        assert address is None
        alone = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        ray.init(
            address="local", num_cpus=count, num_gpus=2, log_to_driver=False, logging_level="ERROR", **alone
        )

    monkeypatch.setattr(ray_pool, "_connect", connect)
    cards.plug_in(tmp_path / "cards", monkeypatch)
    forget = gpus.found.cache_clear
    yield
    forget()


@pytest.mark.seconds
@needs_ray
@pytest.mark.parametrize(("count", "expected"), [(2, {"0", "1"}), (3, {"0", "1"})])
def test_ray_assigns_gpus(
    fresh: Spec, tmp_path: Path, two_cards: None, count: int, expected: set[str]
) -> None:
    fresh = dataclasses.replace(fresh, weights=tmp_path / "weights")
    fresh.weights.mkdir()
    with RayPool(count, setup, fresh) as pool:
        assert pool.warning is None
        while not all(seat.is_ready for seat in pool._seats):
            _all(pool, ["0.05"] * count)
        _all(pool, ["gpu"] * count)
    assert {(fresh.weights / f"{i:05d}.npz").read_text() for i in range(count)} == expected


@pytest.mark.seconds
@needs_ray
def test_a_node_with_another_gpu_is_refused(
    fresh: Spec, two_cards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "found", lambda: Gpus(("0",), "B Card (driver 550.54, CUDA 12.5.1)"))
    message = r"node \S+ has gpu A Card \(.*\), this machine B Card \(.*\): .* CUDA_VISIBLE_DEVICES=-1"
    with RayPool(1, setup, fresh) as pool, pytest.raises(LogGradError, match=message):
        _all(pool, ["0.05"])


@pytest.mark.seconds
@needs_ray
def test_a_machine_that_trains_on_processors_has_a_cluster_that_does(
    fresh: Spec, tmp_path: Path, two_cards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = dataclasses.replace(fresh, weights=tmp_path / "weights")
    fresh.weights.mkdir()
    monkeypatch.setattr(gpus, "found", Gpus)
    with RayPool(1, setup, fresh) as pool:
        assert pool.warning == "2 GPUs of the cluster are left alone, since this machine has none"
        _all(pool, ["gpu"])
    assert (fresh.weights / "00000.npz").read_text() == "-1"


@pytest.mark.seconds
def test_a_host_without_the_data_set(fresh: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {path.name: path.read_bytes() for path in fresh.data.iterdir()}
    order = _order(fresh)
    order = dataclasses.replace(order, spec=dataclasses.replace(fresh, data=Path("/not/on/this/node")))
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "file"))
    host = Host(order)
    assert host.begin() == Lacking()
    refused = host.receive(files)
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("node ") and f"{tmp_path / 'file'}/received" in refused.reason

    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    assert isinstance(host.receive({**files, "manifest.csv": b"other"}), Refused)
    assert host.receive(files) == Ready()
    try:
        event, weights = host.evaluate(4, (4, "0"))
        assert isinstance(event, Done) and weights == {"00004.npz": b"none"}
        assert host.evaluate(5, (5, "0"))[1] == {"00005.npz": b"none"}
        event, weights = host.evaluate(6, (6, "raise"))
        assert isinstance(event, Done) and event.outcome.failure == "ValueError: two lines" and not weights
    finally:
        host.leave()
    again = Host(order)
    assert again.begin() == Ready()
    again.leave()


@needs_ray
@pytest.mark.slow
def test_training_gives_the_same_bytes_as_in_processes(cluster: Any, spec: Spec, tmp_path: Path) -> None:
    b = GraphBuilder()
    x = b.conv(b.input(SIDE, SIDE, 1), 4, 3, bn=True, relu=True)
    graph = b.build(b.dense(b.global_avg(x), 1))
    sensor = dataset.open_prepared(spec.data).sensor
    train = TrainConfig(epochs=2, batch_size=8, schedule="cosine", flip=True, shift=2)
    results = []
    for name in ("ray", "processes"):
        (tmp_path / name).mkdir()
        training = TrainingSpec(spec.data, frontend.fixed("loggrad_1p5", sensor), train, tmp_path / name)
        pool = (
            RayPool(2, open_evaluator, training, cluster.address)
            if name == "ray"
            else Pool(2, open_evaluator, training)
        )
        outcomes = {}
        with pool:
            for index in (0, 1):
                pool.submit(index, Task(index, graph, index))
            while len(outcomes) < 2:
                outcomes |= {f.index: f.outcome for f in pool.wait()}
        weights = [load_weights(tmp_path / name / f"{i:05d}.npz") for i in (0, 1)]
        results.append((outcomes, [[w.tobytes() for w in arrays] for arrays in weights]))
    assert results[0] == results[1]
    assert all(outcome.failure is None for outcome in results[0][0].values())


@needs_ray
@pytest.mark.slow
def test_a_search_has_the_history_it_has_in_processes(spec: Spec, tmp_path: Path) -> None:
    pictures = spec.data.parent.parent.parent / "pictures"
    states = []
    for executor in ("process", "ray"):
        out = tmp_path / executor
        done = subprocess.run(
            [
                sys.executable, "-m", "search.evolve", f"--data=folder:{pictures}", "--size=24", "--rounds=6",
                "--population=3", "--sample=2", "--epochs=2", "--workers=2", "--final_epochs=3",
                "--finalists=2", f"--executor={executor}", f"--out={out}",
            ],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        folders = ("candidates", "finalists", "best")
        kept = [path for name in folders for path in (out / name).rglob("*") if path.is_file()]
        kept += [out / "config.json", out / "journal.jsonl"]
        states.append({path.relative_to(out): path.read_bytes() for path in kept})
    assert states[0] == states[1] and {path.parts[0] for path in states[0]} >= set(folders)
