"""firmware.verify --frames: frames of the user, from a folder or a .npz, their labels, the answers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from firmware import own_frames, project, run, verify
from loggrad_tf.transform.binning import binned
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor
from tests.export.test_firmware import generate as generate_plain
from tests.export.test_firmware import write_model
from tests.firmware.test_photos import SIZE, generate, pictures
from tests.firmware.test_verify import door
from tests.support import quantized

__all__ = ["pictures"]
SENSOR = Sensor(10, 16, 1000)
CLASSES = ('class "0"?', 'class "1"?')


def codes(count: int, made: project.Project, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 1024, (count, made.rows, made.row_codes)).astype(np.uint16)


@pytest.mark.parametrize("factor", [1, 2])
def test_codes_of_a_file_come_with_their_tensors(factor: int, tmp_path: Path) -> None:
    end = fixed("loggrad_2p25", SENSOR)
    made = generate(tmp_path, end, binning=factor)
    given = codes(5, made)
    np.savez(tmp_path / "mine.npz", frames=given, labels=[0, 1, 1, -1, 0])
    found = own_frames.read(made, tmp_path / "mine.npz", (SIZE, SIZE, 1))
    assert np.array_equal(found.frames, given) and found.labels.tolist() == [0, 1, 1, -1, 0]
    pixels = binned(SENSOR.linearize(given), factor)
    assert np.array_equal(found.tensors, np.stack([end.encode_int8(one) for one in pixels]))
    assert found.note == "5 frames of mine.npz"
    np.savez(tmp_path / "named.npz", frames=given, labels=[CLASSES[n] for n in (0, 1, 1, 0, 1)])
    assert own_frames.read(made, tmp_path / "named.npz", (SIZE, SIZE, 1)).labels.tolist() == [0, 1, 1, 0, 1]
    np.savez(tmp_path / "bare.npz", frames=given)
    assert own_frames.read(made, tmp_path / "bare.npz", (SIZE, SIZE, 1)).labels.tolist() == [-1] * 5


@pytest.mark.seconds
def test_the_board_answers_for_every_frame_of_a_file(tmp_path: Path) -> None:
    """Accuracy and confusion are the board's, over the labelled frames; TFLite agrees bit for bit."""
    made = generate_plain(tmp_path / "p", write_model(tmp_path, quantized.separable()), count=1)
    vectors = run.load_vectors(made)
    given = np.random.default_rng(3).integers(-128, 128, (7, made.rows, made.row_codes), dtype=np.int8)
    reference = verify.Reference(made.path / "model.tflite", made.input_tensor, made.output_tensor)
    answers = [reference.label(reference.run(one.reshape(vectors.tensors.shape[1:]))) for one in given]
    wrong = (answers[0] + 1) % made.outputs
    np.savez(tmp_path / "mine.npz", frames=given, labels=np.array([wrong, *answers[1:6], -1]))
    words = ["--project", str(made.path), "--frames", str(tmp_path / "mine.npz")]
    told = door("verify", *words)
    assert told.returncode == 0, told.stderr
    assert "vectors  7 frames of mine.npz\n" in told.stdout
    assert "accuracy 83.33% of 6 labelled frames, as the board answers\n" in told.stdout
    assert told.stdout.endswith("verify: 7 vectors, 0 mismatches\n")
    counts = json.loads(door("verify", *words, "--json").stdout)["confusion"]["counts"]
    assert sum(map(sum, counts)) == 6 and counts[wrong][answers[0]] == 1
    assert door("verify", *words, "--vectors=2").stdout.endswith("verify: 2 vectors, 0 mismatches\n")


@pytest.mark.seconds
def test_photographs_of_class_folders(tmp_path: Path, pictures: list[Path]) -> None:
    made = generate(tmp_path, fixed("loggrad_1p5", SENSOR))
    mine = tmp_path / "mine"
    for name, path in zip(CLASSES, pictures, strict=True):
        (mine / name).mkdir(parents=True)
        shutil.copy(path, mine / name)
    (mine / ".DS_Store").touch()
    verdict = verify.verify(made, own=mine)
    assert (verdict.vectors, verdict.mismatches, verdict.source) == (2, 0, "2 frames of mine")
    assert verdict.confusion is not None and [sum(row) for row in verdict.confusion.counts] == [1, 1]
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(pictures[1], flat)
    verdict = verify.verify(made, own=flat)
    assert (verdict.vectors, verdict.mismatches, verdict.confusion) == (1, 0, None)
    (mine / "cats").mkdir()
    with pytest.raises(project.FirmwareError, match=r"folder cats is no class; the project's are class "):
        verify.verify(made, own=mine)


def test_what_is_no_frame_is_one_line(tmp_path: Path) -> None:
    made = generate(tmp_path, fixed("loggrad_1p5", SENSOR))
    good = codes(2, made)
    cases = [
        ({"frames": good[:, :3]}, r"frames of shape \(2, 3, 10\); the board takes \(N, 10, 10\)"),
        ({"frames": good[:0]}, r"frames of shape \(0, 10, 10\)"),
        ({"frames": good.astype(np.uint8)}, "frames are uint8; the board takes uint16"),
        ({"frames": good + np.uint16(2000)}, r"codes up to \d+; the sensor's end at 1023"),
        ({"frames": good, "labels": [0]}, r"labels of shape \(1,\) for 2 frames"),
        ({"frames": good, "labels": [0, 2]}, r"labels 0\.\.2; classes are 0\.\.1, -1 is unknown"),
        ({"frames": good, "labels": [0.0, 1.0]}, "labels are float64; give numbers of classes"),
        ({"frames": good, "labels": ["cat", "dog"]}, "label 'cat' is no class; the project's are class "),
        ({"images": good}, "damaged: give an .npz that NumPy wrote, with 'frames'"),
    ]
    for arrays, reason in cases:
        np.savez(tmp_path / "mine.npz", **arrays)
        with pytest.raises(project.FirmwareError, match=reason):
            own_frames.read(made, tmp_path / "mine.npz", (SIZE, SIZE, 1))
    (tmp_path / "mine.npz").write_bytes(b"PK nonsense")
    for place, reason in ((tmp_path / "mine.npz", "damaged"), (tmp_path / "none", "no such folder or file")):
        with pytest.raises(project.FirmwareError, match=reason):
            own_frames.read(made, place, (SIZE, SIZE, 1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(project.FirmwareError, match="no photographs there"):
        own_frames.read(made, tmp_path / "empty", (SIZE, SIZE, 1))
