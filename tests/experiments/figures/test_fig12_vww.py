"""Person or not: the merged data set, the claims' arithmetic, and the figure on a tiny folder."""

from pathlib import Path

import numpy as np
import pytest

from experiments import sets
from experiments.figures import fig12_vww
from experiments.study import Study
from loggrad_tf.data import dataset
from loggrad_tf.errors import LogGradError
from tests.support.archives import archive, pictures


def study(folder: Path, spec: str) -> Study:
    return Study("fig12_vww", spec, "quick", {"size": 16, "epochs": 1, "seeds": 1}, folder / "out", 1)


def test_all_classes_but_person_become_one(tmp_path: Path) -> None:
    spec = f"pascalraw:{archive(tmp_path / 'archive', 18)}"
    data = dataset.load(spec, size=16, cache=tmp_path / "cache")
    folder = tmp_path / "made"
    folder.mkdir()
    assert fig12_vww.PersonOrNot(data.path, data.manifest_sha256).run(folder) == "6 of 18 crops are persons"
    merged = dataset.open_prepared(folder / sets.SET)
    assert merged.class_names == ("no_person", "person")
    assert np.array_equal(merged.labels == 1, data.labels == data.class_names.index("person"))
    assert np.array_equal(merged.pixels, data.pixels) and np.array_equal(merged.split, data.split)
    assert 0 < merged.labels.mean() < 1 and merged.manifest_sha256 != data.manifest_sha256
    assert [line["class"] for line in sets.manifest(merged)] == [merged.class_names[k] for k in merged.labels]
    assert dataset.open_prepared(data.path).class_names == data.class_names


@pytest.mark.seconds
def test_a_set_of_other_classes_is_refused_and_one_of_two_is_taken(tmp_path: Path) -> None:
    two = dataset.load(f"folder:{pictures(tmp_path / 'two', 8)}", size=16, cache=tmp_path / "cache")
    assert fig12_vww.person_or_not(study(tmp_path, two.spec), two) is two
    third = tmp_path / "two/saucer"
    third.mkdir()
    for path in (tmp_path / "two/cup").iterdir():
        (third / path.name).write_bytes(path.read_bytes())
    three = dataset.load(f"folder:{tmp_path / 'two'}", size=16, cache=tmp_path / "cache")
    with pytest.raises(
        LogGradError, match="cup, plate, saucer: two classes are needed, or one called 'person'"
    ):
        fig12_vww.person_or_not(study(tmp_path, three.spec), three)
    assert not (tmp_path / "out").exists()


def test_claims_are_differences_of_means() -> None:
    table = {
        "jpeg8": np.array([[0.80, 0.88], [0.82, 0.90]]),
        "raw16": np.array([[0.70, 0.76], [0.70, 0.78]]),
        "loggrad_fp": np.array([[0.76, 0.885], [0.78, 0.885]]),
        "loggrad_1p5": np.array([[0.71, 0.73], [0.71, 0.75]]),
    }
    jpeg, raw, reach = fig12_vww.claims(table, (2, 32), 400, 0.5)
    assert "float: -4.0, -0.5; log gradient, 1.5 bit: -10.0, -15.0 points" in jpeg.ours
    assert jpeg.ours.endswith("standard error of 2.0, always the larger class has 50.0 %")
    idle = fig12_vww.claims(table, (2, 32), 400, 0.745)[0].ours
    assert idle.endswith("74.5 %; learned nothing: RAW, 16 bit, log gradient, 1.5 bit")
    assert "float: +7.0, +11.5; log gradient, 1.5 bit: +1.0, -3.0 points" in raw.ours
    assert "RAW's best, 77.0 %: log gradient, float: from 2 on" in reach.ours
    assert "1.5 bit: not with 32 either" in reach.ours


@pytest.mark.slow
def test_the_figure_of_a_tiny_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    spec = f"pascalraw:{archive(tmp_path / 'archive', 24)}"
    asked = study(tmp_path, spec)
    result = fig12_vww.run(asked)
    assert len(result.rows) == 4 * 3 and {row["c1"] for row in result.rows} == {2, 8, 32}
    assert all(0 <= row["accuracy"] <= 1 and row["images"] == 6 for row in result.rows)
    folder = asked.write(result)
    assert {path.name for path in folder.iterdir()} == {
        "results.csv",
        "accuracy.png",
        "claims.md",
        "study.json",
    }
    trained = sorted((tmp_path / "out/jobs").iterdir())
    assert len(trained) == 12 + 1
    again = fig12_vww.run(asked)
    assert again.rows == result.rows and sorted((tmp_path / "out/jobs").iterdir()) == trained
