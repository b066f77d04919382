"""Everything that the project reads again, damaged in thousands of ways.

    python -m tests.support.mutants --count=5000 --seed=0

Small valid files are made, changed by a seed (:mod:`tests.support.mutations`) and read by the function that
the doors use. A mutant is read (``ok``: it may still be a valid file, of other content), refused by one line
that names a file of its set (``refused``), or a defect: anything else that is raised, or more than
20 seconds. Prints how many of each, their times, and for each defect the number that makes it again:

    python -m tests.support.mutants --seed=0 --only=4711
"""

import argparse
import contextlib
import dataclasses
import faulthandler
import io
import itertools
import json
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import OpenEXR
import tifffile
from PIL import Image

from firmware import project as projects
from firmware import run as firmware_run
from loggrad_tf.confusion import Confusion
from loggrad_tf.data import dataset, description, folder, photo, prepared, raw, voc
from loggrad_tf.data.request import DataReference
from loggrad_tf.data.sources import SPLITS, Picture
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor
from models import bundle
from models.graph import WEIGHTED, GraphBuilder, weight_shapes
from models.recipe import TrainConfig
from search.record.journal import JOURNAL, TIMING, encode
from search.reporting import reading
from search.run import rundir
from tests.support import REPOSITORY, archives, report_cases
from tests.support.mutations import changed

SECONDS = 20


@dataclasses.dataclass(frozen=True)
class Subject:
    """Something that is read.

    Attributes:
      make: writes its files into a folder.
      files: those that are changed, relative to it.
      read: reads all of them.
    """

    name: str
    make: Callable[[Path], None]
    files: tuple[str, ...]
    read: Callable[[Path], object]


def _make_bundle(place: Path) -> None:
    b = GraphBuilder()
    x = b.max_pool(b.conv(b.input(12, 12, 1), 3, 3, bn=True, relu=True), 2)
    graph = b.build(b.dense(b.flatten(b.add([x, b.depthwise(x, 3, padding="same", relu=True)])), 3))
    weights: list[np.ndarray] = []
    for op in graph.ops:
        shapes = list(weight_shapes(graph, op)) if op.kind in WEIGHTED else []
        weights += [np.ones(shape, np.float32) for shape in shapes + [op.shape[-1:]] * (4 if op.bn else 0)]
    saved = bundle.Bundle(
        graph=graph,
        front_end=fixed("loggrad_1p5", Sensor(12, 0, 4095)),
        class_names=("a", "b", "c"),
        data=DataReference("synthetic", 12, "gray", manifest_sha256="0" * 64),
        train=TrainConfig(),
        seed=3,
        metrics={"val_error": 0.25, "test_error": 0.5},
        confusion={"test": Confusion(("a", "b", "c"), ((1, 2, 0), (0, 3, 0), (0, 0, 0)))},
        weights=tuple(weights),
    )
    place.rmdir()
    bundle.save(place, saved)


def _make_prepared(place: Path) -> None:
    source = archives.pictures(place / "source", 3)
    (source / "cup/readme.txt").write_text("no picture")
    made = dataset.load(f"folder:{source}", size=16, cache=place / "cache").path
    for path in made.iterdir():
        shutil.copy(path, place)


def _read_prepared(place: Path) -> object:
    data = prepared.open_prepared(place)
    prepared.check(data)
    return [data.subset(name) for name in ("train", "val", "test") if (data.split == name).any()]


def _make_frames(place: Path) -> None:
    """A set of frames with boxes in every split, one without."""
    source = place / "source"
    (source / "JPEGImages").mkdir(parents=True), (source / "Annotations").mkdir()
    boxes = (
        voc.Object("car", 1, 2, 9, 9),
        voc.Object("person", 3, 3, 30, 20),
        voc.Object("car", 9, 9, 30, 30),
    )
    for number in range(8):
        name = f"{number:02d}"
        Image.new("RGB", (40, 30), (10 * number, 90, 200)).save(source / f"JPEGImages/{name}.png")
        voc.write_voc(source / f"Annotations/{name}.xml", voc.Annotation(name, 40, 30, boxes[: number % 4]))
    made = dataset.load(f"folder:{source}", size=16, task="detect:car,person", cache=place / "cache").path
    for path in made.iterdir():
        shutil.copy(path, place)


def _read_frames(place: Path) -> object:
    data = prepared.open_prepared(place)
    prepared.check(data)
    there = [name for number, name in enumerate(SPLITS) if (data.split == number).any()]
    return [(data.subset(name), data.boxes_of(name) if data.detects else None) for name in there]


def _make_run(place: Path) -> None:
    config = dataclasses.replace(report_cases.CONFIG, workers=1)
    rundir.create(place, config)
    records = [rundir.begin_record(place), *(r.to_json() for r in report_cases.invented(4, epochs=8))]
    (place / JOURNAL).write_bytes(b"".join(map(encode, records)))
    (place / TIMING).write_bytes(b"".join(encode({"index": i, "seconds": 1.5}) for i in range(4)))


def _read_run(place: Path) -> object:
    run = reading.read(place)
    rundir.open_journal(place)[0].close()
    return run.config.settings(), run.front, run.chosen, reading.command(run.config)


def _make_firmware(place: Path) -> None:
    board = "mps2-an386"
    shutil.copytree(REPOSITORY / "firmware/boards" / board, place / "boards" / board)
    layers = [{"name": "conv", "tensor": 4, "bytes": 300}, {"name": "dense", "tensor": 7, "bytes": 3}]
    record: dict[str, Any] = {"loggrad_project": 1, "board": board, "model_sha256": "0" * 64, "rows": 12}
    record |= {
        "row_codes": 12,
        "code_bytes": 2,
        "layers": layers,
        "outputs": 3,
        "class_names": ["a", "b", "c"],
    }
    record |= {"state_bytes": 900, "stamp": "1/raw", "input_tensor": 0, "output_tensor": 7, "binning": 1}
    record["predicted"] = {"state": 900, "program": 400, "ram": 5000, "flash": 20000}
    (place / "project.json").write_text(json.dumps(record))
    np.savez(
        place / "vectors.npz",
        frames=np.zeros((2, 12, 12), np.uint16),
        tensors=np.zeros((2, 12, 12, 1), np.int8),
        labels=np.zeros(2, np.int32),
        note=np.array("random frames"),
    )


def _make_model(place: Path) -> None:
    front_end = fixed("loggrad_2p25", Sensor(12, 64, 4095)).to_json()
    data = {"spec": "synthetic", "size": 12, "mode": "gray"}
    about = {"version": 1, "front_end": front_end, "model_sha256": "1" * 64, "data": data}
    about |= {"class_names": ["a", "b"], "accuracy": {"int8": {"val": 0.5}}}
    (place / "model.json").write_text(json.dumps(about))


def _make_picture(suffix: str) -> Callable[[Path], None]:
    def make(place: Path) -> None:
        random = np.random.default_rng(7)
        path, values = place / f"a{suffix}", random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        light = random.random((30, 40, 3)).astype(np.float32)
        if suffix == ".exr":
            with OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION}, {"RGB": light}) as file:
                file.write(str(path))
        elif suffix == ".hdr":
            codes = random.integers(1, 255, (30, 40, 4), dtype=np.uint8)
            path.write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30 +X 40\n" + codes.tobytes())
        elif suffix == ".tif":
            tifffile.imwrite(path, light, photometric="rgb", compression="zlib")
        elif suffix == ".dng":
            archives.photograph(place / "archive", "a", (voc.Object("car", 1, 1, 9, 9),))
            shutil.copy(place / "archive/original/raw/a.dng", path)
        else:
            Image.fromarray(values).save(path)

    return make


def _read_picture(suffix: str) -> Callable[[Path], object]:
    def read(place: Path) -> object:
        path = place / f"a{suffix}"
        if suffix == ".dng":
            return raw.to_gray(raw.read_raw(path))
        return photo.cut(Picture(path, path.name, "a", "", (0, 0), ("a",)), 16, "gray", "stretch")

    return read


def _make_annotation(place: Path) -> None:
    boxes = (voc.Object("car", 1, 2, 9, 9), voc.Object("person", 3, 3, 30, 20, True))
    voc.write_voc(place / "a.xml", voc.Annotation("a", 60, 40, boxes))


def _make_listed(place: Path) -> None:
    archives.pictures(place, 3)
    (place / "classes.txt").write_text("cup\nplate\n")
    for split, number in (("train", 0), ("val", 1), ("test", 2)):
        (place / f"{split}.txt").write_text(f"cup/{number:02d}.png\nplate/{number:02d}.png\n")


def _make_table(place: Path) -> None:
    _make_listed(place)
    lines = [f"{label}/{n:02d}.png,{label},train,g{n}" for label in ("cup", "plate") for n in range(3)]
    (place / "manifest.csv").write_text("\n".join(["file,class,split,group", *lines, ""]))


SUBJECTS = (
    Subject("network", _make_bundle, bundle.FILES, bundle.load),
    Subject(
        "prepared set",
        _make_prepared,
        ("dataset.json", "pixels.npy", "labels.npy", "split.npy", "manifest.csv", "rejects.csv"),
        _read_prepared,
    ),
    Subject("run", _make_run, (rundir.CONFIG, JOURNAL, TIMING), _read_run),
    Subject(
        "firmware",
        _make_firmware,
        ("project.json", "vectors.npz", "boards/mps2-an386/board.json"),
        lambda place: firmware_run.load_vectors(projects.load(place)),
    ),
    Subject(
        "model.json",
        _make_model,
        ("model.json",),
        lambda place: description.read(place / "model.tflite", "1" * 64),
    ),
    Subject("annotation", _make_annotation, ("a.xml",), lambda place: voc.read_voc(place / "a.xml")),
    Subject("class folders", _make_listed, ("classes.txt", "train.txt", "val.txt", "test.txt"), folder.plan),
    Subject("picture table", _make_table, ("manifest.csv", "classes.txt"), folder.plan),
    *(
        Subject(suffix, _make_picture(suffix), (f"a{suffix}",), _read_picture(suffix))
        for suffix in (".dng", ".png", ".jpg", ".tif", ".exr", ".hdr")
    ),
    Subject(
        "frames",
        _make_frames,
        ("boxes.npy", "dataset.json", "pixels.npy", "labels.npy", "split.npy", "manifest.csv"),
        _read_frames,
    ),
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a mutant: ``ok``, ``refused``, or the defect; its seconds."""

    number: int
    subject: str
    file: str
    outcome: str
    seconds: float


class TooSlow(BaseException):
    """A mutant took too long."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def outcome_of(subject: Subject, place: Path) -> str:
    """Read what lies in ``place``: ``ok``, ``refused``, or the defect."""
    names = [name.rpartition("/")[2] for name in subject.files]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            subject.read(place)
    except (LogGradError, projects.FirmwareError) as error:
        text = str(error)
        if "\n" in text or len(text) > 2000:
            return f"several lines or {len(text)} characters: {text[:300]!r}"
        return "refused" if any(name in text for name in names) else f"names no file: {text[:300]}"
    except TooSlow:
        return f"longer than {SECONDS} s"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return f"{text} ({Path(last.filename).name}:{last.lineno})"
    return "ok"


def run(count: int, seed: int, work: Path, only: int | None = None) -> Iterator[Verdict]:
    """Make and read so many mutants, the subjects in turn; or the one of a number alone.

    Args:
      work: an empty folder.
    """
    good: dict[str, dict[str, bytes]] = {}
    signal.signal(signal.SIGALRM, _stop)
    numbers = range(count) if only is None else (only,)
    for number, subject in ((n, SUBJECTS[n % len(SUBJECTS)]) for n in numbers):
        place = work / subject.name.replace(" ", "_")
        if subject.name not in good:
            place.mkdir()
            subject.make(place)
            good[subject.name] = {name: (place / name).read_bytes() for name in subject.files}
            untouched = outcome_of(subject, place)
            assert untouched == "ok", f"{subject.name}: {untouched}"
        files = good[subject.name]
        random = np.random.default_rng([seed, number])
        name = subject.files[int(random.integers(len(files)))]
        for other, content in files.items():
            if not (place / other).is_file() or (place / other).read_bytes() != content:
                (place / other).write_bytes(content)
        (place / name).write_bytes(changed(name, files[name], random))
        begin = time.perf_counter()
        signal.alarm(SECONDS)
        outcome = outcome_of(subject, place)
        signal.alarm(0)
        yield Verdict(number, subject.name, name, outcome, time.perf_counter() - begin)


def table(verdicts: list[Verdict]) -> str:
    """Counts and times by subject, then every kind of defect with the numbers that make it."""
    columns = ("mutants", "ok", "refused", "defects", "mean ms", "most ms")
    lines = [f"{'subject':<14}" + "".join(f"{column:>9}" for column in columns)]
    for name in [*(subject.name for subject in SUBJECTS), "all"]:
        own = [v for v in verdicts if name in (v.subject, "all")]
        if not own:
            continue
        found = Counter(v.outcome for v in own)
        times = [1e3 * v.seconds for v in own]
        bad = len(own) - found["ok"] - found["refused"]
        numbers = (len(own), found["ok"], found["refused"], bad)
        lines.append(
            f"{name:<14}"
            + "".join(f"{number:>9}" for number in numbers)
            + f"{sum(times) / len(times):>9.1f}{max(times):>9.1f}"
        )
    kinds: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in defects(verdicts):
        kinds[f"{verdict.subject}, {verdict.file}: {verdict.outcome}"].append(verdict)
    for kind, found_in in sorted(kinds.items(), key=lambda item: -len(item[1])):
        examples = ", ".join(str(v.number) for v in itertools.islice(found_in, 5))
        lines.append(f"{len(found_in)} x {kind} [{examples}]")
    return "\n".join(lines)


def defects(verdicts: list[Verdict]) -> list[Verdict]:
    return [v for v in verdicts if v.outcome not in ("ok", "refused")]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="make the mutant of this number and keep it in --keep")
    parser.add_argument("--keep", type=Path, help="folder for the mutants (default: a temporary one)")
    arguments = parser.parse_args()
    faulthandler.enable()
    with tempfile.TemporaryDirectory() as work:
        place = arguments.keep or Path(work)
        place.mkdir(parents=True, exist_ok=True)
        verdicts = []
        for verdict in run(arguments.count, arguments.seed, place, arguments.only):
            verdicts.append(verdict)
            # A library that ends the process, or never returns, leaves this behind.
            write_whole(place / "last", str(verdict.number).encode())
            faulthandler.dump_traceback_later(4 * SECONDS, exit=True)
        faulthandler.cancel_dump_traceback_later()
    print(table(verdicts))
    return 1 if defects(verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
