"""Collect labelled RAW frames from a board's own camera, or measure its sensor.

The board runs a collector (export.firmware --collect), behind a serial port, in QEMU or as a process. Frames
become DNG files in SET/<label>, which every command then takes as --data=folder:SET. One call is one session,
and a session never falls into two splits: collect three or more of every class. Exposure is metered at the
start, then fixed; SET.png shows what came in last. Ctrl-C ends it, and nothing is half written. With several
--label the keys 1..9 choose among them and 0 pauses. --dark (lens covered), then --flat (an even, bright
surface) measure the sensor instead, and write SET/sensor.json.
"""

import argparse
import contextlib
import dataclasses
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from firmware import build, measure, simulated
from firmware import project as projects
from firmware.camera import Camera
from firmware.channel import ANSWER_SECONDS
from firmware.link import Place
from firmware.project import FirmwareError, Project
from loggrad_tf.data import collected, sensor_profile, views
from loggrad_tf.data.collected import Collected, Shot
from loggrad_tf.data.sensor_profile import Level
from loggrad_tf.data.sides import size_of
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import MONO, Sensor

# --changed: blocks a side, and how much of its light one of them must gain or lose.
_BLOCKS, _CHANGE = 8, 0.1
_KEYS, _PAUSE = tuple("123456789"), "0"
# Frames from one line to the next where the progress is no terminal's.
_TOLD = 100
# Side of the picture of what came in, at least half of it.
_SHOWN = 480


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What to collect.

    Attributes:
      labels: classes; the first one is collected until a key says another.
      frames: how many to keep; None: until it is interrupted.
      every: seconds from one frame to the next.
      changed: only frames that differ from the last one that was kept.
      lines: of exposure; None: metered.
    """

    labels: tuple[str, ...] = (collected.UNLABELLED,)
    frames: int | None = None
    every: float = 0.0
    changed: bool = False
    lines: int | None = None


def of_board(project: Project) -> Collected:
    """What a set remembers of the board's camera; FirmwareError unless it has one."""
    stated = project.board.get("camera")
    if stated is None:
        raise FirmwareError(f"board {project.board['name']} has no camera: choose one that has")
    sensor = Sensor(stated["bits"], stated["black"], stated["white"], stated["cfa"])
    return Collected(stated["title"], sensor, size_of(project.rows, project.row_codes))


def differs(codes: np.ndarray, last: np.ndarray | None, sensor: Sensor) -> bool:
    """Has the mean of a block of the frame, 8 x 8 of them, changed by a tenth of its light?"""
    if last is None:
        return True
    now, before = (_blocks(sensor.linearize(one)) for one in (codes, last))
    return bool((np.abs(now - before) > _CHANGE * (before + 0.02 * sensor.span)).any())


def _blocks(pixels: np.ndarray) -> np.ndarray:
    rows, columns = (side // _BLOCKS for side in pixels.shape)
    blocks = pixels[: rows * _BLOCKS, : columns * _BLOCKS].reshape(_BLOCKS, rows, _BLOCKS, columns)
    return blocks.mean(axis=(1, 3))


def collect(camera: Camera, project: Project, folder: Path, wanted: Wanted) -> int:
    """Collect until there are enough frames; how many were kept."""
    made, stated = of_board(project), project.board["camera"]
    profile = sensor_profile.read(folder)
    if profile is not None:
        made = dataclasses.replace(made, sensor=profile.sensor)
    lines = wanted.lines
    if lines is None:
        lines = measure.meter(camera, made.sensor, stated["lines"])
    else:
        camera.expose(lines)
    shot = Shot(lines * stated["line_us"] / 10**6)
    session, label, kept = collected.new_session(), wanted.labels[0], 0
    last: np.ndarray | None = None
    started = time.monotonic()
    with _keys() as pressed:
        while wanted.frames is None or kept < wanted.frames:
            begun = time.monotonic()
            label = chosen(pressed(), label, wanted.labels)
            frame = camera.next()
            if new := bool(label) and (not wanted.changed or differs(frame, last, made.sensor)):
                collected.keep(folder, made, label, session, kept, frame, shot)
                _show(folder, frame, made.sensor)
                last, kept = frame, kept + 1
            if sys.stderr.isatty() or (new and kept % _TOLD == 1):
                rate = kept / (time.monotonic() - started)
                told = f"frame {kept}, {rate:.2f} a second, {label or 'paused'}"
                _tell(f"{told}, exposure {shot.seconds * 1e3:.1f} ms{_losses(camera)}")
            time.sleep(max(wanted.every - (time.monotonic() - begun), 0.0))
    return kept


def chosen(key: str, label: str, labels: tuple[str, ...]) -> str:
    """The label after a key: one of them, or none while it is paused."""
    if key == _PAUSE:
        return ""
    if key in _KEYS and int(key) <= len(labels):
        return labels[int(key) - 1]
    return label


def _losses(camera: Camera) -> str:
    """What the line has cost, if it has."""
    again, lost = camera.traffic.again, camera.traffic.lost
    return f", {again} rows sent again, {lost} frames lost" if again or lost else ""


def _tell(line: str) -> None:
    """Progress on stderr; on a terminal over what was told before."""
    terminal = sys.stderr.isatty()
    print(f"\r{line}\033[K" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)


def _show(folder: Path, codes: np.ndarray, sensor: Sensor) -> None:
    """Write what came in last beside the set: viewers load it anew."""
    pixels = sensor.linearize(codes)
    seen = pixels if sensor.cfa == MONO else views.colours(pixels, sensor.cfa)
    path = folder.with_name(f"{folder.name}.png")
    partial = path.with_name(f".{path.name}.partial")
    shown = Image.fromarray(views.shown(seen))
    times = max(_SHOWN // shown.width, 1)
    shown.resize((times * shown.width, times * shown.height), Image.Resampling.NEAREST).save(partial, "png")
    partial.replace(path)


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """Keys of the terminal, as they are pressed; none where standard input is none."""
    if not sys.stdin.isatty():
        yield lambda: ""
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield lambda: os.read(0, 1).decode("ascii", "replace") if select.select([0], [], [], 0)[0] else ""
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        print(file=sys.stderr)


def measured(camera: Camera, project: Project, folder: Path, flat: bool) -> str:
    """Measure the sensor and keep its profile; the line that sums it up."""
    made, most = of_board(project), project.board["camera"]["lines"]
    frames: np.ndarray | None = None
    levels: list[Level] = []
    if flat:
        before = sensor_profile.read(folder)
        if before is None:
            raise FirmwareError(
                f"{folder}: the dark is not measured yet: cover the lens and give --dark first"
            )
        profile, levels = measure.flat(camera, before, most)
    else:
        profile, frames = measure.dark(camera, made, most)
    path = sensor_profile.write(profile, folder)
    picture = folder.with_name(f"{folder.name}-{'flat' if flat else 'dark'}.png")
    measure.picture(picture, profile, frames, levels)
    return f"{path}, {picture}: {profile.text()}"


def _scenes(project: Project, arguments: argparse.Namespace, label: str) -> list[np.ndarray]:
    """What a simulated camera is to see."""
    if arguments.dark:
        return simulated.dark(project)
    if arguments.flat:
        return simulated.flat(project)
    if arguments.scene is not None:
        return simulated.photographs(project, arguments.scene)
    return simulated.drawn(project, label)


def main() -> int:
    parser = projects.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="SET", help="folder of the set")
    parser.add_argument("--port", help="serial port of the board (default: QEMU, or a process)")
    parser.add_argument(
        "--timeout", type=projects.seconds, default=ANSWER_SECONDS, help="seconds for one answer"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--label", action="append", help="class of the frames; may be repeated")
    what.add_argument("--dark", action="store_true", help="measure black level and read noise: lens covered")
    what.add_argument("--flat", action="store_true", help="measure shot noise and full well: an even surface")
    parser.add_argument("--frames", type=projects.count, help="frames to keep (default: until Ctrl-C)")
    parser.add_argument("--every", type=projects.seconds, default=0.0, help="seconds between two frames")
    parser.add_argument("--changed", action="store_true", help="keep only frames that differ from the last")
    parser.add_argument("--exposure", type=projects.count, help="lines of exposure (default: metered)")
    parser.add_argument("--scene", type=Path, help="RAW files that a simulated camera sees (default: drawn)")
    arguments = parser.parse_args()
    try:
        print(_run(projects.load(arguments.project), arguments))
    except LogGradError as error:
        raise FirmwareError(str(error)) from None
    return 0


def _run(project: Project, arguments: argparse.Namespace) -> str:
    """Do what the command line asks for; the line that sums it up."""
    if not project.collects:
        raise FirmwareError(f"{project.path}: no collector: write one with export.firmware --collect")
    folder = arguments.out.absolute()
    labels = tuple(map(collected.check_label, arguments.label or ())) or (collected.UNLABELLED,)
    stated = project.board["camera"]
    if arguments.exposure is not None and arguments.exposure > stated["lines"]:
        raise FirmwareError(f"--exposure={arguments.exposure}: the camera has up to {stated['lines']} lines")
    if arguments.scene is not None and not simulated.is_simulated(project):
        raise FirmwareError(f"--scene: board {project.board['name']} has a real camera: leave it out")
    collected.opened(folder, of_board(project))
    build.build(project, arguments.port is not None)
    if simulated.is_simulated(project):
        simulated.lay(project, _scenes(project, arguments, labels[0]))
    place = Place(arguments.port, project.baud)
    wanted = Wanted(labels, arguments.frames, arguments.every, arguments.changed, arguments.exposure)
    with Camera(project, arguments.timeout, place) as camera:
        if arguments.dark or arguments.flat:
            return measured(camera, project, folder, arguments.flat)
        kept = collect(camera, project, folder, wanted)
        losses = _losses(camera)
    return f"{folder}: {kept} frames more{losses}: --data=folder:{folder}"


if __name__ == "__main__":
    projects.run(main)
