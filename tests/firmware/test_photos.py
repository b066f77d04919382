"""firmware.run --image: photographs, RAW and others, through the front end of a project."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export import firmware
from export.firmware import Options
from firmware import photos, project, verify
from loggrad_tf.data import limits, photo
from loggrad_tf.parallel import Limits
from loggrad_tf.transform.binning import binned
from loggrad_tf.transform.frontend import FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor, requantize
from tests.export.test_firmware import small, write_model
from tests.firmware.test_verify import door
from tests.support import archives

SIZE = 10
DATA = {"spec": "folder:/nowhere", "size": SIZE, "mode": "gray", "fit": "crop"}
OWN = Sensor(12, 64, 4095)


def generate(
    folder: Path,
    front_end: FrontEnd,
    data: dict[str, object] | None = None,
    binning: int = 1,
    sides: tuple[int, int] = (SIZE, SIZE),
) -> project.Project:
    """A project of board host whose model.json says what photographs become."""
    model = write_model(folder, small(front_end, *sides), front_end)
    values = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(values | {"data": DATA if data is None else data}))
    firmware.write(firmware.make(model, "host", Options(1, binning=binning)), folder / "p")
    return project.load(folder / "p")


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """A DNG and a PNG, neither of them square."""
    archives.dng(tmp_path / "photos/a.dng")
    colours = np.random.default_rng(0).integers(0, 256, (30, 44, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "photos/b.png")
    return [tmp_path / "photos/a.dng", tmp_path / "photos/b.png"]


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("sensor", [OWN, Sensor(10, 16, 1000), Sensor(8, 3, 255)])
def test_codes_come_back_as_the_pixels_of_training(
    sensor: Sensor, factor: int, tmp_path: Path, pictures: list[Path]
) -> None:
    made = generate(tmp_path, fixed("loggrad_2p25", sensor), binning=factor)
    for found, path in zip(photos.read(made, pictures), pictures, strict=True):
        pixels, own = photo.read(path, size=SIZE, mode="gray", fit="crop")
        assert found.codes.shape == (made.rows, made.row_codes) == (factor * SIZE, factor * SIZE)
        assert found.codes.dtype == (np.uint8 if sensor.bits == 8 else np.uint16)
        assert np.array_equal(binned(sensor.linearize(found.codes), factor), requantize(pixels, own, sensor))
        assert found.note.startswith("made 10x10 (gray, crop)")
        scaled = f"from black to white 0..{own.span} in the photograph, scaled to 0..{sensor.span} of"
        assert (scaled in found.note) == (own.span != sensor.span)


def test_a_rectangle_is_made_to_measure(tmp_path: Path, pictures: list[Path]) -> None:
    front_end = fixed("loggrad_1p5", OWN)
    made = generate(tmp_path, front_end, DATA | {"size": [SIZE, 16]}, sides=(SIZE, 16))
    (found,) = photos.read(made, pictures[:1])
    pixels, _ = photo.read(pictures[0], size=(SIZE, 16), mode="gray", fit="crop")
    assert found.note == "made 16x10 (gray, crop)" and np.array_equal(found.codes, pixels + 64)


def test_a_mosaic_stays_one(tmp_path: Path, pictures: list[Path]) -> None:
    sensor = Sensor(12, 64, 4095, "RGGB")
    made = generate(tmp_path, fixed("loggrad_1p5", sensor), DATA | {"mode": "mosaic"})
    (found,) = photos.read(made, pictures[:1])
    pixels, _ = photo.read(pictures[0], size=SIZE, mode="mosaic", fit="crop")
    assert np.array_equal(found.codes, pixels + 64)


def test_a_photograph_that_is_too_small_is_told_without_flags(tmp_path: Path) -> None:
    """The size is the network's: no flag of firmware.run changes it."""
    made = generate(tmp_path, fixed("loggrad_1p5", OWN))
    Image.new("L", (4, 4)).save(tmp_path / "small.png")
    with pytest.raises(project.FirmwareError, match="at least .* are needed: give a larger photograph$"):
        photos.read(made, [tmp_path / "small.png"])


@pytest.mark.seconds
def test_the_door_classifies_photographs(tmp_path: Path, pictures: list[Path]) -> None:
    """As TFLite does behind the front end in NumPy."""
    front_end = fixed("loggrad_2p25", Sensor(10, 16, 1000))
    made = generate(tmp_path, front_end)
    done = door("run", f"--project={made.path}", *(f"--image={path}" for path in pictures))
    assert done.returncode == 0, done.stderr
    reference = verify.Reference(made.path / "model.tflite")
    *lines, last = done.stdout.splitlines()
    for line, path in zip(lines, pictures, strict=True):
        pixels, own = photo.read(path, size=SIZE, mode="gray", fit="crop")
        scores = reference.run(front_end.encode_int8(requantize(pixels, own, front_end.sensor))[None])
        name = made.class_name(reference.label(scores))
        assert line == f"{path}: {name}, scores {' '.join(map(str, scores))}"
    assert last.startswith("run: 2 photographs, made 10x10 (gray, crop), from black to white 0..")


def test_a_project_without_a_front_end_is_told(tmp_path: Path, pictures: list[Path]) -> None:
    made = generate(tmp_path, fixed("loggrad_2p25", OWN))
    path = made.path / "model.json"
    values = json.loads(path.read_text())
    del values["data"]
    path.write_text(json.dumps(values))
    with pytest.raises(project.FirmwareError, match="model.json names no data, so not how photographs"):
        photos.read(made, pictures)
    path.unlink()
    with pytest.raises(project.FirmwareError, match="has no model.json, so no front end that a photograph"):
        photos.read(made, pictures)


def test_what_gives_no_frame_is_one_line(tmp_path: Path, pictures: list[Path]) -> None:
    made = generate(tmp_path, fixed("loggrad_2p25", OWN))
    broken = tmp_path / "photos/broken.dng"
    broken.write_bytes(b"II*\0 and then nothing")
    for path in (broken, tmp_path / "photos/none.png"):
        with pytest.raises(project.FirmwareError, match=re.escape(str(path))) as caught:
            photos.read(made, [pictures[0], path])
        assert "\n" not in str(caught.value)
    values = json.loads((made.path / "model.json").read_text())
    (made.path / "model.json").write_text(json.dumps(values | {"data": DATA | {"size": 12}}))
    with pytest.raises(project.FirmwareError, match="gives 12x12 codes, the image takes 10x10: generate"):
        photos.read(made, pictures)


@pytest.mark.seconds
def test_a_photograph_that_hangs_its_decoder_is_one_line(
    tmp_path: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = generate(tmp_path, fixed("loggrad_2p25", OWN))
    monkeypatch.setattr(limits, "PICTURE", Limits(seconds=3, memory=2**31))
    monkeypatch.setattr(photos.photo, "read", _hangs)
    with pytest.raises(project.FirmwareError, match="b.png: it took longer than 3 s: the decoder hangs"):
        photos.read(made, pictures[1:])


def _hangs(path: Path, **_: object) -> None:
    time.sleep(100)


@pytest.mark.seconds
def test_one_source_of_frames(tmp_path: Path, pictures: list[Path]) -> None:
    made = generate(tmp_path, fixed("loggrad_2p25", OWN))
    done = door("run", f"--project={made.path}", f"--image={pictures[0]}", "--camera=1")
    assert done.returncode == 2 and "not allowed with argument" in done.stderr
    done = door("run", f"--project={made.path}", f"--image={pictures[0]}")
    assert "\nrun: 1 photograph, " in done.stdout
    done = door("run", f"--project={made.path}", f"--image={tmp_path / 'none.png'}")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
