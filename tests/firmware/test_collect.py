"""Collectors: frames of a simulated camera over lines that lose bytes, in processes and QEMU; their sets."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from export import firmware as export
from firmware import build, camera, channel, collect, project, simulated
from firmware.link import Place
from loggrad_tf.data import collected, dataset, raw, sensor_profile
from loggrad_tf.data.dng import write_dng
from loggrad_tf.data.sides import Size
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import Sensor
from tests.firmware.test_protocol import constants
from tests.firmware.test_rows import damaged
from tests.firmware.test_serial import Damage, Wire
from tests.support import REPOSITORY, camera_cases
from tests.support.camera_cases import SIDE, ramp
from tests.support.firmware_cases import FIRMWARE


def collector(folder: Path, board: str = "host-camera", side: int = SIDE) -> project.Project:
    """A built collector."""
    export.write(export.make_collector(board, side), folder)
    found = project.load(folder)
    build.build(found)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> project.Project:
    """One that sees a ramp of light."""
    found = collector(tmp_path_factory.mktemp("collector") / "p")
    simulated.lay(found, [ramp()])
    return found


def door(verb: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", verb, *options]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def frames(
    found: project.Project, count: int, place: Place | None = None
) -> tuple[list[np.ndarray | None], int]:
    """Frames, None where one was lost, and how many rows were sent again."""
    with camera.Camera(found, 20.0, place) as one:
        taken = [one.take() for _ in range(count)]
        return taken, one.traffic.again


def test_the_simulation_s_constants() -> None:
    found = constants((FIRMWARE / "boards/common/scene_camera.c").read_text())
    assert (found["SCENE_MAGIC"], found["USUAL_LINES"]) == (simulated.MAGIC, simulated.USUAL_LINES)
    assert found["ELECTRONS_256"] == 256 * simulated.ELECTRONS
    assert found["READ_ELECTRONS"] == simulated.READ_ELECTRONS
    for board in ("host-camera", "mps2-an386-camera"):
        facts = json.loads((FIRMWARE / "boards" / board / "board.json").read_text())["camera"]
        assert (facts["black"], facts["white"], facts["side"]) == (
            found["BLACK"],
            found["WHITE"],
            found["SCENE_SIDE"],
        )


def test_the_protocol_has_the_same_letters() -> None:
    found = constants((FIRMWARE / "program/collect.c").read_text())
    assert (found["WHO"], found["EXPOSE"], found["TAKE"], found["GIVE"]) == (
        channel.WHO,
        channel.EXPOSE,
        channel.TAKE,
        channel.GIVE,
    )
    assert (found["UNREADABLE"], found["NO_FRAME"]) == (channel.UNREADABLE, camera.NO_FRAME)
    assert found["WHO_TEXT"] == f" {camera.PROTOCOL}"
    board = constants((FIRMWARE / "boards/common/lg_board.h").read_text())
    assert {-value for value in board.values() if isinstance(value, int)} == set(camera.ERRORS)


@pytest.mark.seconds
def test_codes_are_light_and_noise(made: project.Project) -> None:
    """Means are the scene's, variances shot and read noise; twice the exposure is twice the light."""
    with camera.Camera(made) as one:
        for lines in (50, 100):
            one.expose(lines)
            stack = np.stack([one.next() for _ in range(40)]).astype(float)
            electrons = ramp() * lines
            inside = electrons < 8500
            light = electrons[inside] / simulated.ELECTRONS
            assert np.abs(stack.mean(axis=0)[inside] - 64 - light).mean() < 1.0
            expected = (electrons[inside] + 144) / simulated.ELECTRONS**2 + 1 / 12
            assert stack.var(axis=0, ddof=1)[inside].mean() == pytest.approx(expected.mean(), rel=0.03)
            assert (stack[:, ~inside] > 950).all()


def test_a_frame_is_taken_once(made: project.Project) -> None:
    """A command that comes twice gives the same frame; the next number another one."""
    with channel.Channel(made) as board:
        first = board.ask("T 0001")
        assert board.ask("T 0001") == first
        assert board.ask("T 0002")[-1].split()[3] != first[-1].split()[3]
        assert board.ask(f"G 0000{SIDE + 1:04x}")[-1].split()[1] == f"{camera.NO_FRAME:02x}"
        assert board.ask("P 0064")[-1] == "P 00 0064"
        assert board.ask("G 00000001")[-1].split()[1] == f"{camera.NO_FRAME:02x}", "the old exposure's"


def test_lines_that_cannot_be_read(made: project.Project) -> None:
    bad = [
        "T 1",
        "T 00001",
        "T",
        "T  001",
        "G 00000001 ",
        "G 0000000g",
        "I 0001",
        "X 1",
        "Q",
        "P 006G",
        "T 00" * 20,
    ]
    sent = b"".join(map(channel.frame_line, bad)) + b"T 0001*00000000\n*\n\n" + b"x" * 999 + b"\n"
    done = subprocess.run([str(made.elf)], input=sent, capture_output=True, timeout=20, cwd=made.path)
    assert done.stdout.split(b"\n")[:-1] == [channel.frame_line("E")[:-1]] * (len(bad) + 3)


def lossy(seed: int, rate: float) -> Damage:
    generator = random.Random(seed)
    return lambda data: damaged(data, generator, rate)


@pytest.mark.seconds
@pytest.mark.parametrize("rate", [0.0002, 0.002])
@pytest.mark.parametrize("seed", range(2))
def test_frames_over_a_lossy_line_are_exact(
    made: project.Project, monkeypatch: pytest.MonkeyPatch, seed: int, rate: float
) -> None:
    """Bytes are dropped, flipped and doubled, both ways; what is kept equals what a process sends."""
    monkeypatch.setattr(channel, "PATIENCE", 0.1)
    expected, none = frames(made, 4)
    command = ["sh", "-c", f"cd '{made.path}' && exec '{made.elf}'"]
    with Wire(command, lossy(seed, rate), lossy(seed + 9, rate)) as wire:
        found, again = frames(made, 4, Place(wire.port))
    assert none == 0 and again > 0
    for one, other in zip(found, expected, strict=True):
        assert other is not None and (one is None or np.array_equal(one, other))
    assert any(one is not None for one in found)


@pytest.mark.qemu
def test_qemu_sees_the_same_codes(made: project.Project, tmp_path: Path) -> None:
    emulated = collector(tmp_path / "p", "mps2-an386-camera")
    simulated.lay(emulated, [ramp()])
    for one, other in zip(frames(made, 2)[0], frames(emulated, 2)[0], strict=True):
        assert one is not None and other is not None and np.array_equal(one, other)


@pytest.mark.qemu
def test_a_real_camera_s_collector_builds_at_every_speed(tmp_path: Path) -> None:
    for baud in (115200, 921600, 3000000):
        export.write(export.make_collector("raspberry-pi-pico", None, baud), tmp_path / "p", replace=True)
        found = project.load(tmp_path / "p")
        assert found.baud == baud and (found.rows, found.code_bytes) == (244, 1)
        build.build(found)
        divisor = re.search(rf"-DLG_BAUD={baud}u", (tmp_path / "p/build/build.ninja").read_text())
        assert (divisor is None) == (baud == 115200)


@pytest.mark.seconds
def test_three_classes_become_a_set_that_is_prepared(made: project.Project, tmp_path: Path) -> None:
    """Three sessions of each class; DNG files with levels, filter, exposure and gain; a group a session."""
    out = tmp_path / "set"
    scenes = {label: simulated.drawn(made, label)[:2] for label in ("bicycle", "car", "person")}
    for _ in range(3):
        for label, seen in scenes.items():
            wanted = collect.Wanted((label,), frames=2)
            simulated.lay(made, seen)
            collected.opened(out, collect.of_board(made))
            with camera.Camera(made) as one:
                assert collect.collect(one, made, out, wanted) == 2
    files = sorted(out.glob("*/*.dng"))
    assert len(files) == 18 and (tmp_path / "set.png").is_file()
    image = raw.read_raw(files[0])
    assert image.sensor == Sensor(10, 64, 1023, "RGGB") and image.camera == "LogGrad simulated camera"
    with tifffile.TiffFile(files[0]) as tiff:
        tags = tiff.pages.first.tags
        assert tags[34855].value == 100
        lines = tags[33434].value[0] / tags[33434].value[1] / 100e-6
        assert lines == pytest.approx(round(lines)) and 1 <= round(lines) <= 400
    assert 0.1 < image.pixels.mean() / image.sensor.span < 0.3, "metered for 18 %"
    simulated.lay(made, [ramp()])
    data = dataset.load(f"folder:{out}", size=24, cache=tmp_path / "cache")
    assert data.class_names == ("bicycle", "car", "person")
    assert [len(data.labels_of(split)) for split in ("train", "val", "test")] == [6, 6, 6]


@pytest.mark.seconds
def test_the_door_measures_and_collects(tmp_path: Path) -> None:
    """--dark and --flat against the simulation's constants; frames after them have the measured black."""
    place, out = str(tmp_path / "p"), str(tmp_path / "set")
    done = door("export.firmware", "--collect", "--board=host-camera", "--window=96", f"--out={place}")
    assert done.returncode == 0 and "96 x 96 of LogGrad simulated camera" in done.stdout, done.stderr
    early = door("firmware.collect", "--project", place, "--out", out, "--flat")
    assert early.returncode == 1 and "cover the lens and give --dark first" in early.stderr
    for flag in ("--dark", "--flat"):
        done = door("firmware.collect", "--project", place, "--out", out, flag)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"set-{flag[2:]}.png").stat().st_size > 5000
    profile = sensor_profile.read(tmp_path / "set")
    assert profile is not None and abs(profile.black - 64) < 0.2
    assert profile.read_noise == pytest.approx(simulated.READ_ELECTRONS / simulated.ELECTRONS, rel=0.05)
    assert profile.full_well == pytest.approx(simulated.ELECTRONS * (1023 - 64), rel=0.05)
    done = door(
        "firmware.collect", "--project", place, "--out", out, "--frames=2", "--exposure=80", "--changed"
    )
    assert done.returncode == 0 and "2 frames more" in done.stdout, done.stderr
    assert len(list((tmp_path / "set" / collected.UNLABELLED).iterdir())) == 2


@pytest.mark.seconds
@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_collector_that_is_ended_leaves_whole_frames(
    made: project.Project, tmp_path: Path, ending: int, code: int
) -> None:
    """Before a photograph of a folder, which is dark on its left."""
    codes = np.tile(np.linspace(256, 4000, 64).astype(np.uint16), (64, 1))
    (tmp_path / "seen").mkdir()
    write_dng(tmp_path / "seen/1.dng", codes, cfa="RGGB", black=256, white=4095)
    out = tmp_path / "set"
    command = [sys.executable, "-m", "firmware.collect", "--project", str(made.path), "--out", str(out)]
    command += ["--label=a", f"--scene={tmp_path / 'seen'}"]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE) as running:
        deadline = time.monotonic() + 300
        while len(list(out.glob("a/*.dng"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(ending)
        running.communicate()
        assert running.returncode == code
    found = [raw.read_raw(path).pixels for path in out.glob("a/*.dng")]
    assert len(found) >= 3
    assert all(one.shape == (SIDE, SIDE) and one[:, 40:].mean() > 2 * one[:, :8].mean() for one in found)
    collected.opened(out, collect.of_board(made))
    simulated.lay(made, [ramp()])


@pytest.mark.seconds
def test_windows_that_are_no_squares(tmp_path: Path) -> None:
    """Through the doors: as wide as asked, in whole DNG files of one window; another one is refused."""
    place, out = str(tmp_path / "p"), tmp_path / "set"
    write = ("export.firmware", "--collect", "--board=host-camera")
    for window in ("64x48", "48x64"):
        done = door(*write, f"--window={window}", f"--out={place}")
        assert done.returncode == 0 and f"{window.replace('x', ' x ')} of LogGrad" in done.stdout, done.stderr
        done = door("firmware.collect", "--project", place, "--out", str(out), "--frames=2", "--changed")
        if window == "64x48":
            assert done.returncode == 0 and "2 frames more" in done.stdout, done.stderr
        else:
            assert "64 x 48, not of LogGrad simulated camera, 48 x 64: give another folder" in done.stderr
    files = sorted((out / collected.UNLABELLED).glob("*.dng"))
    assert len(files) == 2
    assert {raw.read_raw(path).pixels.shape for path in files} == {(48, 64)}
    assert raw.read_raw(files[0]).sensor == Sensor(10, 64, 1023, "RGGB")
    said = "error: --window: size '64:48': write the side of a square, 96, or width and height, 240x160\n"
    assert door(*write, "--window=64:48", "--out=p").stderr == said


@pytest.mark.qemu
def test_the_drivers_are_told_of_windows_that_are_no_squares(tmp_path: Path) -> None:
    """By what is compiled: of squares as before, in nothing."""
    for board, size in (("raspberry-pi-pico", (120, 160)), ("arduino-tiny-ml-kit", (240, 320))):
        export.write(export.make_collector(board, size), tmp_path / board)
        found = project.load(tmp_path / board)
        assert (found.rows, found.row_codes) == size
        build.build(found)
        assert f"-DLG_CAMERA_ROWS={size[0]}u" in (tmp_path / board / "build/build.ninja").read_text()
    square = export.make_collector("raspberry-pi-pico", 120).files
    assert b"LG_CAMERA_ROWS" not in square["CMakePresets.json"]


def test_only_frames_that_differ() -> None:
    sensor = Sensor(10, 64, 1023, "RGGB")
    rng = np.random.default_rng(1)
    scene = 164 + np.rint(3 * rng.standard_normal((48, 48)))
    same = 164 + np.rint(3 * rng.standard_normal((48, 48)))
    moved = same.copy()
    moved[6:12, 30:36] += 20
    assert collect.differs(scene.astype(np.uint16), None, sensor)
    assert not collect.differs(same.astype(np.uint16), scene.astype(np.uint16), sensor)
    assert collect.differs(moved.astype(np.uint16), scene.astype(np.uint16), sensor)
    before, still, after = (np.repeat(one, 2, axis=1).astype(np.uint16) for one in (scene, same, moved))
    assert collect.differs(after, before, sensor) and not collect.differs(still, before, sensor)


def test_keys_choose_the_label() -> None:
    labels = ("car", "person")
    assert collect.chosen("2", "car", labels) == "person" and collect.chosen("", "car", labels) == "car"
    assert collect.chosen("3", "car", labels) == "car" and collect.chosen("x", "car", labels) == "car"
    assert collect.chosen("0", "car", labels) == "" and collect.chosen("1", "", labels) == "car"


@pytest.mark.parametrize(
    ("board", "window", "said"),
    [
        ("host", None, "--board=host: no camera"),
        ("host-camera", 47, "--window=47: choose an even number from 22 to 256"),
        ("host-camera", 258, "--window=258: choose an even number from 22 to 256"),
        ("raspberry-pi-pico", 245, "--window=245: choose from 22 to 244"),
        (
            "raspberry-pi-pico",
            (200, 325),
            "--window=325x200: choose a width from 22 to 324, a height from 22 to 244",
        ),
        (
            "arduino-tiny-ml-kit",
            (120, 161),
            "--window=161x120: choose even numbers, a width from 22 to 320, a height from 22 to 240",
        ),
    ],
)
def test_what_cannot_collect(board: str, window: Size | None, said: str) -> None:
    with pytest.raises(LogGradError, match=re.escape(said)):
        export.make_collector(board, window)


@pytest.mark.seconds
def test_errors_of_the_door(made: project.Project, tmp_path: Path) -> None:
    base = ["firmware.collect", "--project", str(made.path), "--out", str(tmp_path / "s")]
    cases = [
        ([*base, "--exposure=401"], "--exposure=401: the camera has up to 400 lines"),
        ([*base, f"--scene={tmp_path}/none"], "no folder of RAW files"),
        ([*base, "--label=a/b"], "--label=a/b: give letters"),
        (
            ["firmware.run", "--project", str(made.path)],
            "a collector, it has no network: use firmware.collect",
        ),
        (
            ["export.firmware", "--collect", "--board=host-camera", "--model=x", "--out=y"],
            "leave out --model",
        ),
        (["export.firmware", "--window=48", "--board=host", "--model=x", "--out=y"], "give --collect"),
    ]
    for command, said in cases:
        done = door(*command)
        assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> project.Project:
    """A built project with a network, behind a simulated camera that sees a ramp of light."""
    return camera_cases.network(tmp_path_factory.mktemp("network"))


def test_a_network_sends_the_frame_that_it_judged(network: project.Project) -> None:
    """What was kept, pushed row by row, has the same scores; the next frame is another one."""
    with channel.Channel(network) as board:
        (first, one), (second, other) = board.kept(0), board.kept(1)
        assert one is not None and other is not None and not np.array_equal(one, other)
        for result, frame in ((first, one), (second, other)):
            assert np.array_equal(board.classify(frame).scores, result.scores)
        assert board.camera().label == first.label


@pytest.mark.seconds
@pytest.mark.parametrize("seed", range(3))
def test_judged_frames_over_a_lossy_line_are_exact_or_not_kept(
    network: project.Project, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(channel, "PATIENCE", 0.1)
    command = ["sh", "-c", f"cd '{network.path}' && exec '{network.elf}'"]
    with (
        Wire(command, to_host=lossy(seed, 0.0002)) as wire,
        channel.Channel(network, 20.0, Place(wire.port)) as board,
    ):
        found = [board.kept(number) for number in range(12)]
    kept = [(result, frame) for result, frame in found if frame is not None]
    assert 0 < len(kept) < 12
    with channel.Channel(network) as board:
        for result, frame in kept:
            assert np.array_equal(board.classify(frame).scores, result.scores)


@pytest.mark.seconds
def test_the_door_keeps_judged_frames(network: project.Project, tmp_path: Path) -> None:
    out = tmp_path / "set"
    command = ["firmware.run", "--project", str(network.path), f"--keep={out}"]
    assert "give --camera=N" in door(*command).stderr
    done = door(*command, "--camera=2")
    assert done.returncode == 0 and "2 kept in" in done.stdout, done.stderr
    files = list((out / collected.UNLABELLED).glob("*.dng"))
    assert len(files) == 2 and raw.read_raw(files[0]).sensor == Sensor(10, 64, 1023, "RGGB")
    simulated.lay(network, [ramp()])


def test_the_speed_of_a_line_is_the_project_s(network: project.Project, tmp_path: Path) -> None:
    model = network.path.parent / "model.tflite"
    fast = export.Options(1, binning=2, baud=921600)
    export.write(export.make(model, "raspberry-pi-pico", fast), tmp_path / "p")
    assert project.load(tmp_path / "p").baud == 921600
    assert '"LG_BAUD": "921600"' in (tmp_path / "p/CMakePresets.json").read_text()
    assert network.baud == 115200 and "LG_BAUD" not in (network.path / "CMakePresets.json").read_text()
    with pytest.raises(LogGradError, match="--baud=921600: of projects for boards with a camera"):
        export.make(model, "host", fast)


def test_a_camera_of_another_depth_than_the_model_s(network: project.Project) -> None:
    with channel.Channel(network) as board:
        board.project.board["camera"]["bits"] = 8
        try:
            with pytest.raises(project.FirmwareError, match="for codes of 16 bits, the camera .* has 8"):
                board.camera()
        finally:
            board.project.board["camera"]["bits"] = 10


def test_a_damaged_camera_is_one_line(made: project.Project, tmp_path: Path) -> None:
    for name in ("project.json", "boards/host-camera/board.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((made.path / name).read_bytes())
    path = tmp_path / "boards/host-camera/board.json"
    facts = json.loads(path.read_text())
    for camera_ in ([], {}, facts["camera"] | {"bits": "8"}):
        path.write_text(json.dumps(facts | {"camera": camera_}))
        with pytest.raises(project.FirmwareError, match=r"board\.json: damaged"):
            project.load(tmp_path)


def test_a_camera_without_its_scene_says_so(made: project.Project) -> None:
    (made.path / simulated.FILE).unlink()
    try:
        with (
            camera.Camera(made) as one,
            pytest.raises(project.FirmwareError, match=r"its scene\.bin is missing"),
        ):
            one.take()
    finally:
        simulated.lay(made, [ramp()])
