"""experiments.figures.fig07_similarity: the whole experiment, tiny; what its numbers must add up to."""

from pathlib import Path

import numpy as np
import pytest

from experiments.figures import fig07_similarity
from experiments.study import Study
from models.zoo import two_conv_one_fc


def test_the_table_of_layers_is_the_network() -> None:
    graph = two_conv_one_fc(224, 3, 150, 5)
    costs = {(r["layer"], r["measure"]): r["value"] for r in fig07_similarity._layers(graph)}
    assert costs["conv_1", "macs"] == 224 * 224 * 25 * 150
    assert costs["conv_3", "weights"] == 25 * 150 * 5 + 5


def test_pairs_are_counted_above_each_level() -> None:
    kernel = np.zeros((5, 5, 1, 3), np.float32)
    kernel[0, 0, 0] = 1
    kernel[0, 1, 0, 2] = 0.25  # s = 0.970
    rows = fig07_similarity._similar("raw16", 0, "conv_1", kernel)
    above = {r["at"]: r["value"] for r in rows if r["measure"] == "pairs above"}
    assert above == {0.3: 3, 0.5: 3, 0.7: 3, 0.8: 3, 0.9: 3, 0.95: 3, 0.98: 1}
    assert sum(r["value"] for r in rows if r["measure"] == "histogram from") == 3


@pytest.mark.slow
def test_a_tiny_study_end_to_end(tmp_path: Path) -> None:
    changes = {"size": 16, "epochs": 1}
    study = Study("fig07_similarity", "synthetic", "quick", changes, tmp_path, 2)
    result = fig07_similarity.run(study)
    folder = study.write(result)
    assert {path.stem for path in folder.glob("*.png")} == {"network", "similarity", "filters", "merged"}
    filters = fig07_similarity.SCALES["quick"].filters
    for name in ("untrained", "raw16", "loggrad_1p5"):
        of = [r for r in result.rows if (r["input"], r["layer"]) == (name, "conv_1")]
        assert next(r["value"] for r in of if r["measure"] == "pairs") == filters * (filters - 1) / 2
    accuracy = {r["input"]: r["value"] for r in result.rows if r["measure"] == "accuracy"}
    unmerged = [r for r in result.rows if r["measure"] == "filters left, merged" and r["value"] == filters]
    assert unmerged
    for row in unmerged:  # nothing merged, nothing lost
        wanted = (row["input"], "accuracy, merged", row["at"])
        found = [r["value"] for r in result.rows if (r["input"], r["measure"], r["at"]) == wanted]
        assert found == [accuracy[row["input"]]]
    assert len(result.claims) == 3
