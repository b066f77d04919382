"""The page of firmware.watch: who may ask, what it holds, what a click keeps; in Chromium, with a board."""

import dataclasses
import http.client
import io
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import tracemalloc
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from firmware import channel, project, seen, watch
from firmware.link import Place
from firmware.seen import Eyes, Memory, Seen
from firmware.watch_server import MOST_BODY, Server
from loggrad_tf.data import collected, raw
from loggrad_tf.data.collected import Collected
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor
from tests.firmware.test_rows import damaged
from tests.firmware.test_serial import Wire
from tests.support import REPOSITORY, camera_cases
from tests.support.browser import PROGRAM, Browser

SENSOR = Sensor(10, 64, 1023, "RGGB")
MADE = Collected("a camera", SENSOR, 48)
CLASSES = ("car", "person", "a/b")


def frame(number: int, label: int = 0) -> Seen:
    codes = np.random.default_rng(number).integers(64, 1024, (48, 48), np.uint16)
    return Seen(number, 1000.0 + number, codes, label, (5, -7, 0), "1,234 cycles", 0.5)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """Three frames."""
    made = Memory(MADE, CLASSES, tmp_path / "set")
    for number in range(3):
        made.add(frame(number))
    return made


@pytest.fixture
def server(memory: Memory) -> Iterator[Server]:
    eyes = Eyes(MADE, fixed("loggrad_1p5", Sensor(10, 64, 1023)), 2)
    with Server(memory, eyes, {"project": "p"}) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@dataclasses.dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def asked(
    server: Server, place: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> Reply:
    """A request below the token, or of a whole path if it begins with a slash."""
    path = place if place.startswith("/") else f"/{server.token}/{place}"
    line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        line.request(method, path, body, named)
        answer = line.getresponse()
        return Reply(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        line.close()


def corrected(server: Server, number: int, label: str, **headers: str) -> Reply:
    body = json.dumps({"frame": number, "label": label}).encode()
    return asked(server, "wrong", "POST", body, **headers)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*/*"))


def test_the_page_loads_nothing_of_others(server: Server) -> None:
    page = asked(server, "")
    policy = page.headers["Content-Security-Policy"]
    assert page.status == 200 and policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert not re.search(rb"https?:|//[a-z]|@import|url\(|\son\w+=|\sstyle=", page.body)
    for reply in (page, asked(server, "state"), asked(server, "frame/1.png"), asked(server, "/")):
        assert not [name for name in reply.headers if name.startswith("Access-Control")]
        assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Content-Security-Policy"] == policy


def test_only_who_knows_the_token_is_answered(server: Server, memory: Memory) -> None:
    other = Server(memory, server.eyes, {})
    other.server_close()
    assert len(server.token) >= 32 and other.token != server.token
    for path in ("/", "/state", f"/{server.token}", f"/{server.token[:-1]}/", f"/{other.token}/", "/%C3%A9/"):
        assert asked(server, path).status == 403, path
    body = json.dumps({"frame": 1, "label": "person"}).encode()
    for path in ("/wrong", f"/{other.token}/wrong"):
        assert asked(server, path, "POST", body).status == 403
    assert memory.corrected == 0 and not memory.folder.exists()


def test_only_this_computer_s_names_are_answered(server: Server) -> None:
    port = server.server_port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert asked(server, "state", Host=host).status == 200
    for host in (
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port}.evil.example",
        "",
        f"LOCALHOST:{port}x",
    ):
        assert asked(server, "state", Host=host).status == 403, host
        assert corrected(server, 1, "person", Host=host).status == 403, host
    assert server.server_address[0] == "127.0.0.1"


def test_another_origin_corrects_nothing(server: Server, memory: Memory) -> None:
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{server.server_port + 1}"):
        assert corrected(server, 1, "person", Origin=origin).status == 403
        assert asked(server, "state", Origin=origin).status == 403
    assert memory.corrected == 0
    assert corrected(server, 1, "person", Origin=f"http://127.0.0.1:{server.server_port}").status == 200


def test_methods_and_places(server: Server) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"):
        assert asked(server, "state", method).status == 501, method
    assert asked(server, "wrong").status == 404
    assert asked(server, "state", "POST", b"{}").status == 404
    for place in (
        "../watch.py",
        "frame/../1.png",
        "frame/1",
        "frame/-1.png",
        "levels/1e3.png",
        "none",
        "frame/",
    ):
        assert asked(server, place).status == 404, place
    for number in (3, 10**14):
        assert asked(server, f"frame/{number}.png").status == 404
        assert b"not held" in corrected(server, number, "person").body
    assert asked(server, "state?since=x").status == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"frame": 1}', b'{"frame": "1", "label": "person"}',
     b'{"frame": true, "label": "person"}', b'{"frame": 1, "label": "bus"}',
     b'{"frame": 1, "label": "a/b"}', b'{"frame": 1, "label": ["person"]}',
     b'{"frame": 1, "label": "person", "more": 1}', b"[" * 900],
)  # fmt: skip
def test_what_is_no_correction_is_refused(server: Server, memory: Memory, body: bytes) -> None:
    reply = asked(server, "wrong", "POST", body)
    assert reply.status == 400 and "error" in json.loads(reply.body)
    assert memory.corrected == 0


def test_bodies_have_a_bound(server: Server) -> None:
    assert asked(server, "wrong", "POST", None, Content_Length=str(MOST_BODY + 1)).status == 413
    assert asked(server, "wrong", "POST", None, Content_Length="-1").status == 411
    assert asked(server, "wrong", "POST", iter([b"{}"]), Transfer_Encoding="chunked").status == 411  # type: ignore[arg-type]


def test_the_state_is_what_came_since(server: Server, memory: Memory) -> None:
    memory.lose()
    memory.fail("no answer")
    state = json.loads(asked(server, "state?since=1").body)
    assert [one["number"] for one in state["frames"]] == [2]
    assert state["frames"][0] == {
        "number": 2, "time": 1002.0, "label": 0, "scores": [5, -7, 0], "spent": "1,234 cycles",
        "milliseconds": 0.5,
    }  # fmt: skip
    assert (state["lost"], state["trouble"], state["oldest"], state["kept"]) == (1, "no answer", 0, {})
    memory.add(frame(3))
    assert json.loads(asked(server, "state").body)["trouble"] is None


def test_pictures_are_the_frame_s(server: Server) -> None:
    codes = frame(1).codes
    pixels = {
        kind: np.asarray(Image.open(io.BytesIO(asked(server, f"{kind}/1.png").body)))
        for kind in ("frame", "levels")
    }
    assert pixels["frame"].shape == (48, 48, 3)
    linear = SENSOR.linearize(codes).astype(int)
    gray = (linear[::2, ::2] + linear[1::2, ::2] + linear[::2, 1::2] + linear[1::2, 1::2] + 2) // 4
    levels = server.eyes.front_end.encode_int8(gray.astype(np.uint16))[..., 0]
    assert np.array_equal(pixels["levels"], np.choose(levels + 1, [0, 128, 255]))


def test_a_correction_keeps_the_frame_that_was_shown(server: Server, memory: Memory) -> None:
    """Newer ones have come; twice is once; said otherwise it moves."""
    for _ in range(2):
        assert corrected(server, 0, "person").status == 200
    assert corrected(server, 2, "person").status == 200
    (first, other) = files(memory.folder)
    assert first.startswith("person/") and other.startswith("person/") and memory.corrected == 2
    image = raw.read_raw(memory.folder / first)
    assert image.sensor == SENSOR and np.array_equal(image.pixels, SENSOR.linearize(frame(0).codes))
    file = json.loads(corrected(server, 0, "car").body)["file"]
    assert files(memory.folder) == sorted([first.replace("person", "car"), other])
    assert Path(file).parent.name == "car" and memory.corrected == 2
    assert json.loads(asked(server, "state").body)["kept"] == {"0": "car", "2": "person"}
    stems = {collected.session_of(Path(name).stem) for name in files(memory.folder)}
    assert len(stems) == 1, "a call is one session"
    with_it = Memory(MADE, CLASSES, memory.folder)
    with_it.correct(frame(0), "person")
    assert len(files(memory.folder)) == 3


def test_a_set_of_another_camera_gets_nothing(server: Server, memory: Memory) -> None:
    collected.opened(memory.folder, dataclasses.replace(MADE, side=96))
    reply = corrected(server, 0, "person")
    assert reply.status == 500 and "give another folder" in json.loads(reply.body)["error"]
    assert files(memory.folder) == [] and memory.corrected == 0


def test_classes_that_are_no_folders(memory: Memory) -> None:
    assert memory.class_names == CLASSES and memory.labels == ("car", "person")


def test_nothing_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames and corrections without end: a bound of both, by count and by bytes."""
    monkeypatch.setattr(seen, "MOST_FRAMES", 50)
    memory = Memory(MADE, CLASSES, tmp_path / "set")
    sizes = []
    tracemalloc.start()
    try:
        for number in range(900):
            memory.add(frame(number))
            memory.lose()
            if number % 10 == 0:
                memory.correct(memory.frame(number) or frame(number), "person")
            if number in (300, 899):
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    state = memory.state(-1)
    assert len(state["frames"]) == memory.capacity == 50 and len(state["kept"]) <= 51  # type: ignore[arg-type]
    assert memory.frame(849) is None and memory.frame(850) is not None
    assert memory.corrected == len(files(memory.folder)) == 90
    assert sizes[1] - sizes[0] < 100_000, sizes
    for side in (4096, (2048, 8192)):
        large = Memory(dataclasses.replace(MADE, side=side), CLASSES, tmp_path)
        assert large.capacity * 4096**2 * 2 <= seen.MOST_BYTES


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> project.Project:
    return camera_cases.network(tmp_path_factory.mktemp("network"))


def board_of(parent: psutil.Process, found: project.Project) -> psutil.Process:
    """The process that plays the board."""
    (one,) = [child for child in parent.children() if child.exe() == str(found.elf)]
    return one


@pytest.mark.seconds
def test_a_board_that_stops_is_tried_again(network: project.Project) -> None:
    looks = watch.looks(network, 3.0, Place())
    first = next(looks)
    assert isinstance(first, watch.Look) and first.codes is not None
    board_of(psutil.Process(), network).send_signal(signal.SIGSTOP)
    assert "no answer within 3 s" in str(next(looks))
    again = next(looks)
    assert isinstance(again, watch.Look) and again.codes is not None
    looks.close()
    with pytest.raises(ValueError, match="unpack"):
        board_of(psutil.Process(), network)


@pytest.mark.seconds
def test_frames_that_are_lost_on_the_line_are_passed_over(
    network: project.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "PATIENCE", 0.1)
    monkeypatch.setattr(watch, "_FRAME_SECONDS", 0.0)
    generator = random.Random(1)
    command = ["sh", "-c", f"cd '{network.path}' && exec '{network.elf}'"]
    memory = Memory(MADE, CLASSES, network.path / "set")
    with Wire(command, to_host=lambda data: damaged(data, generator, 0.0002)) as wire:
        looks = watch.looks(network, 20.0, Place(wire.port))
        watch.watch(itertools.islice(looks, 12), memory, None)
        looks.close()
    state = memory.state(-1)
    numbers = [one["number"] for one in state["frames"]]  # type: ignore[attr-defined]
    lost = state["lost"]
    assert isinstance(lost, int) and 0 < lost < 12
    assert numbers == list(range(12 - lost)) and state["trouble"] is None


@pytest.mark.seconds
def test_another_network_is_not_watched(network: project.Project) -> None:
    other = dataclasses.replace(network, model_sha256="0" * 64)
    assert "another network" in str(next(watch.looks(other, 20.0, Place())))
    with pytest.raises(project.FirmwareError, match="describes another model"):
        seen.eyes_of(other, MADE)


@pytest.mark.parametrize(("label", "scores"), [(3, 3), (-1, 3), (0, 2)])
def test_a_board_that_answers_for_other_classes(
    network: project.Project, monkeypatch: pytest.MonkeyPatch, label: int, scores: int
) -> None:
    result = channel.Result(np.zeros(scores, np.int8), label, 0)
    monkeypatch.setattr(channel.Channel, "kept", lambda self, number: (result, None))
    looks = watch.looks(network, 20.0, Place())
    assert "other classes" in str(next(looks))
    looks.close()


def test_time_is_told_of_cycles_alone(network: project.Project) -> None:
    look = next(watch.looks(network, 20.0, Place()))
    assert isinstance(look, watch.Look) and look.codes is not None
    for spent, text, milliseconds in (
        (None, None, None),
        ((2_000, "instructions"), "2,000 instructions", None),
        ((2_000, "cycles"), "2,000 cycles", 0.5),
    ):
        told = watch.seen_of(dataclasses.replace(look, spent=spent), look.codes, 7, 4e6)
        assert (told.number, told.spent, told.milliseconds) == (7, text, milliseconds)


@pytest.mark.seconds
def test_errors_of_the_door(network: project.Project, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    cases = [
        (["--out", str(tmp_path / "full")], "no set that was collected"),
        (["--port=/dev/none"], "/dev/none"),
    ]
    for options, said in cases:
        command = [sys.executable, "-m", "firmware.watch", "--project", str(network.path), *options]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr


@pytest.fixture(params=["host-camera", pytest.param("mps2-an386-camera", marks=pytest.mark.qemu)])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> project.Project:
    return camera_cases.network(tmp_path, request.param)


_WRONG = """(() => {
  const button = [...document.querySelectorAll("#wrong button")].find((one) => !one.disabled);
  const number = Number(document.getElementById("class").dataset.frame);
  button.click();
  return [number, button.textContent, document.getElementById("class").textContent];
})()"""


# What a page of another origin may try, even if it knows the address.
_OF_OTHERS = (
    "fetch('URLstate').then(() => 'read', () => 'refused')",
    """new Promise((done) => {
      const image = new Image();
      image.onload = () => done("read");
      image.onerror = () => done("refused");
      image.src = "URLframe/0.png";
    })""",
)


@pytest.mark.seconds
@pytest.mark.skipif(not PROGRAM, reason="no chromium, chromium-browser or google-chrome on PATH")
def test_in_a_browser(watched: project.Project, tmp_path: Path) -> None:
    """A frame and a class are shown, a click keeps the codes of that frame; a board that stops is told of."""
    out = tmp_path / "set"
    command = [sys.executable, "-m", "firmware.watch", "--project", str(watched.path), "--out", str(out)]
    command.append("--timeout=5")
    with (
        subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as running,
        Browser(tmp_path / "profile") as page,
    ):
        assert running.stdout is not None and running.stderr is not None
        line = running.stdout.readline()
        url = line.split()[1]
        for script in _OF_OTHERS:
            assert page.value(script.replace("URL", url)) == "refused"
        page.errors.clear()
        page.requests.clear()
        page.open(url)
        page.until("document.getElementById('class')?.dataset.frame !== undefined")
        sides = "['frame', 'levels'].map((id) => document.getElementById(id).naturalWidth)"
        assert page.value(sides) == [48, 24]
        page.until("frames.length > 3")
        number, label, judged = page.value(_WRONG)
        assert {label, judged} < set(camera_cases.CLASSES) and label != judged
        said = page.until("document.getElementById('said').textContent")
        assert said.startswith(f"Frame {number} is kept as {label}: set/{label}/")
        (file,) = out.glob("*/*.dng")
        assert file.parent.name == label and said.endswith(file.name)

        made = collected.Collected("LogGrad simulated camera", SENSOR, 48)
        eyes = seen.eyes_of(watched, made)
        codes = SENSOR.codes(raw.read_raw(file).pixels).astype(np.uint16)
        for kind, drawn in (("frame", eyes.camera_saw(codes)), ("levels", eyes.network_sees(codes))):
            with urllib.request.urlopen(f"{url}{kind}/{number}.png") as answer:
                assert answer.read() == drawn, kind

        board = board_of(psutil.Process(running.pid), watched) if watched.on_host else None
        if board is not None:
            board.send_signal(signal.SIGSTOP)
            trouble = "!document.getElementById('trouble').hidden"
            page.until(trouble)
            assert "no answer within 5 s" in page.value("document.getElementById('trouble').textContent")
            page.until(f"!({trouble})")
        assert page.value("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.errors == [] and all(one.startswith((url, "data:")) for one in page.requests)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        rest, errors = running.communicate(timeout=60)
        assert running.returncode == 0 and f"watch: 1 frame corrected: --data=folder:{out}" in rest
        assert (errors.count("\n") == 2 and "again" in errors) if board is not None else errors == ""
        page.until("document.getElementById('trouble').textContent.includes('has ended')")


@pytest.mark.seconds
@pytest.mark.skipif(not PROGRAM, reason="no chromium, chromium-browser or google-chrome on PATH")
def test_a_frame_that_is_held_is_the_one_that_is_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer ones come meanwhile; when it was dropped the page says so. One output is the second class's."""
    monkeypatch.setattr(seen, "MOST_FRAMES", 4)
    memory = Memory(MADE, CLASSES[:2], tmp_path / "set")
    eyes = Eyes(MADE, fixed("loggrad_1p5", Sensor(10, 64, 1023)), 2)

    def come(number: int) -> None:
        memory.add(dataclasses.replace(frame(number, label=1), scores=(7,)))

    come(0)
    about = {
        "project": "p", "board": "b", "port": True, "classes": memory.class_names, "labels": memory.labels,
        "outputs": 1, "ram": None, "predicted_ms": 2.0,
    }  # fmt: skip
    with Server(memory, eyes, about) as server, Browser(tmp_path / "profile") as page:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.open(server.url)
        page.until("document.getElementById('class')?.dataset.frame === '0'")
        assert page.value("document.getElementById('scores').textContent") == "person7"
        assert page.value("document.getElementById('facts').textContent").startswith("time0.50 ms")
        page.value("document.getElementById('hold').click()")
        come(1)
        come(2)
        page.until("frames.length === 3")
        number, label, _ = page.value(_WRONG)
        assert (number, label) == (0, "car")
        page.until("document.getElementById('said').textContent.startsWith('Frame 0 is kept as car')")
        (file,) = memory.folder.glob("car/*.dng")
        assert np.array_equal(raw.read_raw(file).pixels, SENSOR.linearize(frame(0).codes))
        for later in range(3, 9):
            come(later)
        page.until("frames.length === 4 && frames[0].number === 5")
        page.value("document.querySelectorAll('#wrong button')[1].click()")
        page.until("document.getElementById('said').textContent === 'frame 0 is not held any more'")
        page.value("document.getElementById('hold').click()")
        page.until("document.getElementById('class').dataset.frame === '8'")
        key = "new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true})"
        page.value(f"document.getElementById('chart').dispatchEvent({key})")
        page.until("document.getElementById('class').dataset.frame === '7' && held")
        server.shutdown()
    assert memory.corrected == 1 and len(files(memory.folder)) == 1


def test_a_project_without_a_front_end_is_refused(network: project.Project, tmp_path: Path) -> None:
    with pytest.raises(project.FirmwareError, match=r"no model\.json"):
        seen.eyes_of(dataclasses.replace(network, path=tmp_path), MADE)


def test_corrections_name_their_errors(memory: Memory) -> None:
    memory.folder.write_text("a file")
    with pytest.raises((LogGradError, OSError)):
        memory.correct(frame(0), "person")
