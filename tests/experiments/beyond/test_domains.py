"""Domains: who comes from where, and a training set without the strangers and their photographs."""

from pathlib import Path

import numpy as np
import pytest

from experiments import sets
from experiments.beyond import domains
from loggrad_tf.data.dataset import open_prepared
from tests.support.experiment_cases import small_set


@pytest.mark.seconds
def test_domains_are_in_the_order_of_the_crops(tmp_path: Path) -> None:
    data = small_set(tmp_path, ("voc2007", "rf_web", "coco"))
    found = domains.domains_of(f"folder:{tmp_path / 'pictures'}", data)
    assert found is not None
    for line, domain in zip(sets.manifest(data), found, strict=True):
        number = int(line["file"][-6:-4])
        assert domain == ("voc2007", "rf_web", "coco")[number % 3]


@pytest.mark.seconds
def test_a_set_that_names_no_domains(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    assert domains.domains_of(f"folder:{tmp_path / 'pictures'}", data) is None
    assert domains.domains_of("synthetic", data) is None


@pytest.mark.seconds
def test_strangers_are_tested_and_their_photographs_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small_set(tmp_path, ("voc2007", "rf_web"))
    manifest = data.path / "manifest.csv"
    # disc02 is cut from the photograph of bar01.
    manifest.write_text(manifest.read_text().replace(",disc2,", ",bar1,"))
    monkeypatch.setattr(domains, "STRANGERS", (("bar", ("rf_",)),))
    found = domains.domains_of(f"folder:{tmp_path / 'pictures'}", data)
    assert found is not None
    strange = domains.strangers(data, found, domains.STRANGERS)
    names = [line["file"] for line in sets.manifest(data)]
    assert [name for name, odd in zip(names, strange, strict=True) if odd] == [
        f"bar{k:02d}.png" for k in range(1, 12, 2)
    ]
    monkeypatch.setattr(domains, "open_data", lambda path: data)
    domains.WithoutStrangers(data.path, data.manifest_sha256, found, domains.STRANGERS).run(tmp_path)
    made = open_prepared(tmp_path / sets.SET)
    lines = sets.manifest(made)
    tested = [line["file"] for line in lines if line["split"] == "test"]
    assert tested == [f"bar{k:02d}.png" for k in range(1, 12, 2)]
    kept = {line["file"] for line in lines} - set(tested)
    expected = {
        name
        for name, part, odd in zip(names, data.split, strange, strict=True)
        if part != 2 and not odd and name != "disc02.png"
    }
    assert kept == expected and "disc02.png" in names
    assert np.array_equal(
        made.split == 2, [line["class"] == "bar" and int(line["file"][3:5]) % 2 for line in lines]
    )


def test_claims_count_what_the_rows_say() -> None:
    def row(name: str, domain: str, label: str, counts: tuple[int, int]) -> dict[str, object]:
        crops = sum(counts)
        right = counts[("bicycle", "car").index(label)] / crops
        return {
            "input": name, "seed": 0, "domain": domain, "class": label, "crops": crops, "accuracy": right,
            "as_bicycle": counts[0], "as_car": counts[1],
        }  # fmt: skip

    rows = [
        row(name, *cell)
        for name in domains.INPUTS
        for cell in [
            ("voc", "car", (1, 3)),
            ("web", "bicycle", (9, 1)),
            ("web", "car", (5, 5)),
            (domains.LEFT_OUT, "bicycle", (1, 3)),
        ]
    ]
    by_domain, left_out = domains._claims(rows, ("bicycle", "car"), known=True)
    assert "log gradient, 1.5 bit: voc 75.0 % of 4, web 70.0 % of 20" in by_domain.ours
    assert "bicycle 25 % of 4 right (75 % called car)" in left_out.ours
    assert domains._figure(rows, ("bicycle", "car")) is not None
