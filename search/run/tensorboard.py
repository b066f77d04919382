"""A search seen live: event files that ``tensorboard --logdir runs`` shows while it goes on.

    DIR/tensorboard/search        a step a candidate: errors, loss, costs, the best so far, candidates an hour
    DIR/tensorboard/training/K    the learning curve of candidate K, a step an epoch, if it was on the front
    DIR/tensorboard/trials/K      HParams: what candidate K is made of, and what it reached

They are a view of the journal and nothing reads them back. A resumed search writes on from the candidate
that it goes on with, in new files. Learning curves are written for the first :data:`CURVES` members of the
front and HParams for the first :data:`SESSIONS` candidates that reached an error: TensorBoard holds every
run in memory, and of more than 40 it draws only those that are ticked (filter runs by ``search$``).

The package ``tensorboard`` is used for its messages and its record format only; its own writer would import
TensorFlow, which the process that leads a search must not. A search does not end because its view cannot be
written: a missing package or a full disk is said once.
"""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from search.cost.costs import RESOURCES
from search.cost.objectives import overrun
from search.record.history import Record
from search.run.config import Config
from search.space.morph import sort_of

DIRECTORY = "tensorboard"
CURVES, SESSIONS = 50, 500
VERSION = "brain.Event:2"


def hyperparameters(record: Record, config: Config) -> dict[str, float | str]:
    """What HParams compares candidates by; of several steps from its parent the first names the morph."""
    genotype = record.candidate.genotype
    return {
        "sparsity": genotype.sparsity or 0.0,
        **{name: float(amount) for name, amount in genotype.made_of.items()},
        "morph": sort_of(record.candidate.morph.split("; ")[0]),
        "input": config.input,
    }


def scalars(record: Record) -> dict[str, float]:
    """What a candidate reached: errors and loss, if it has them, and costs."""
    found = {f"costs/{name}": float(getattr(record.costs, name)) for name in RESOURCES}
    if record.outcome.val_error is not None and record.outcome.train_error is not None:
        found |= {"error/val": record.outcome.val_error, "error/train": record.outcome.train_error}
    if record.outcome.val_loss is not None:
        found["loss/val"] = record.outcome.val_loss
    return found


METRICS = ("error/val", *(f"costs/{name}" for name in RESOURCES))


class EventWriter:
    """Writes the event files of one session of a search.

    Args:
      directory: of the search; the files go below DIR/tensorboard.
      config: of the search.
      earlier: candidates of earlier sessions; they are not written again.

    Example::

        events = EventWriter(directory, config, records)
        events.add(record, seconds, front.members)
        events.close()
    """

    def __init__(self, directory: Path, config: Config, earlier: Collection[Record] = ()) -> None:
        self._config = config
        self._place = directory / DIRECTORY
        self._begin, self._before = time.monotonic(), -1
        self._best: float | None = None
        for record in earlier:
            self._note_best(record)
        self._open = True
        self._files: Any = None
        try:
            self._files = _Files(self._place)
            self._curves = _names(self._place / "training")
            self._sessions = _names(self._place / "trials")
            begun = any((self._place / "search").glob("events.*"))
            self._files.write("search", [] if begun else [self._experiment()])
        except ImportError:
            self._give_up("package tensorboard is not installed: make setup installs it")
        except OSError as error:
            self._give_up(f"{error.filename or self._place}: {error.strerror or error}")

    def add(self, record: Record, seconds: float, front: Collection[int]) -> None:
        """Write a finished candidate.

        Args:
          record: the next one, in order.
          seconds: that its training took.
          front: indices of the members of the front, this candidate taken in.
        """
        if not self._open:
            return
        try:
            self._add(record, seconds, front)
        except OSError as error:
            self._give_up(f"{error.filename or self._place}: {error.strerror or error}")

    def close(self) -> None:
        """Nothing is written after this; a second call does nothing."""
        self._open = False
        if self._files is not None:
            self._files.close()

    def _give_up(self, reason: str) -> None:
        print(f"note: no event files for TensorBoard ({reason}); the search goes on", file=sys.stderr)
        self.close()

    def _note_best(self, record: Record) -> None:
        error = record.outcome.val_error
        if error is None or not record.ranked or overrun(record.costs, self._config.bounds) > 1:
            return
        self._best = error if self._best is None else min(self._best, error)

    def _add(self, record: Record, seconds: float, front: Collection[int]) -> None:
        index = record.candidate.index
        if self._before < 0:
            self._before = index
        self._note_best(record)
        values = scalars(record) | {"search/seconds": seconds}
        values["search/epochs"] = float(len(record.outcome.curve))
        values["search/front"] = float(len(front))
        elapsed = time.monotonic() - self._begin
        if elapsed > 0:
            values["search/candidates_per_hour"] = 3600 * (index + 1 - self._before) / elapsed
        if self._best is not None:
            values["error/best_within_bounds"] = self._best
        self._files.write("search", [_scalars(values, index)])
        name = f"{index:05d}"
        self._add_session(record, name)
        if index in front and name not in self._curves and len(self._curves) < CURVES:
            self._curves.add(name)
            curve = enumerate(record.outcome.curve, 1)
            events = [
                _scalars({"training/loss": loss, "training/error": e}, epoch) for epoch, (loss, e) in curve
            ]
            self._files.write(f"training/{name}", events, keep=False)

    def _add_session(self, record: Record, name: str) -> None:
        if record.point is None or name in self._sessions or len(self._sessions) >= SESSIONS:
            return
        self._sessions.add(name)
        reached = {k: v for k, v in scalars(record).items() if k in METRICS}
        events = [self._session(record), _scalars(reached, 0), _session_end()]
        self._files.write(f"trials/{name}", events, keep=False)

    def _experiment(self) -> Any:
        """What the columns of HParams are."""
        from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

        texts = ("morph", "input")
        names = ("sparsity", "blocks", "branches", "layers", "dense", "first_filters", *texts)
        types = {True: api_pb2.DATA_TYPE_STRING, False: api_pb2.DATA_TYPE_FLOAT64}
        experiment = api_pb2.Experiment(
            description=f"search on {self._config.data}, seed {self._config.seed}",
            time_created_secs=time.time(),
            hparam_infos=[api_pb2.HParamInfo(name=name, type=types[name in texts]) for name in names],
            metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in METRICS],
        )
        return _hparams("_hparams_/experiment", plugin_data_pb2.HParamsPluginData(experiment=experiment))

    def _session(self, record: Record) -> Any:
        from tensorboard.plugins.hparams import plugin_data_pb2

        start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
        for name, value in hyperparameters(record, self._config).items():
            if isinstance(value, str):
                start.hparams[name].string_value = value
            else:
                start.hparams[name].number_value = value
        content = plugin_data_pb2.HParamsPluginData(session_start_info=start)
        return _hparams("_hparams_/session_start_info", content)


def _session_end() -> Any:
    from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

    end = plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS, end_time_secs=time.time())
    content = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    return _hparams("_hparams_/session_end_info", content)


def _scalars(values: dict[str, float], step: int) -> Any:
    """One event with several scalars."""
    from tensorboard.compat.proto import event_pb2, summary_pb2

    value = [summary_pb2.Summary.Value(tag=tag, simple_value=v) for tag, v in values.items()]
    return event_pb2.Event(wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=value))


def _hparams(tag: str, content: Any) -> Any:
    """One event that carries a message of the HParams plugin, and an empty tensor, which it wants."""
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
    from tensorboard.plugins.hparams import metadata

    nothing = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_FLOAT,
        tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=0)]),
    )
    value = summary_pb2.Summary.Value(
        tag=tag, metadata=metadata.create_summary_metadata(content), tensor=nothing
    )
    return event_pb2.Event(wall_time=time.time(), summary=summary_pb2.Summary(value=[value]))


def _names(directory: Path) -> set[str]:
    """Runs that earlier sessions wrote."""
    return {path.name for path in directory.iterdir() if path.is_dir()} if directory.is_dir() else set()


class _Files:
    """The event files of one session, one a run, each complete after every write."""

    def __init__(self, directory: Path) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._record_writer = RecordWriter
        self._directory = directory
        self._open: dict[str, Any] = {}

    def write(self, run: str, events: list[Any], keep: bool = True) -> None:
        """Append events to a run's file, which stays open if there is more to come."""
        writer = self._open.get(run) or self._begin(run)
        try:
            for event in events:
                writer.write(event.SerializeToString())
            writer.flush()
        finally:
            if keep:
                self._open[run] = writer
            else:
                writer.close()

    def _begin(self, run: str) -> Any:
        from tensorboard.compat.proto import event_pb2

        folder = self._directory / run
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        number = sum(1 for _ in folder.iterdir())
        writer = self._record_writer((folder / f"{name}.{number}").open("ab"))
        first = event_pb2.Event(wall_time=time.time(), file_version=VERSION)
        writer.write(first.SerializeToString())
        return writer

    def close(self) -> None:
        for writer in self._open.values():
            with contextlib.suppress(OSError):
                writer.close()
        self._open.clear()
