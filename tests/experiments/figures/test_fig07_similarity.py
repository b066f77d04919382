"""experiments.figures.fig07_similarity: the whole experiment, tiny; what its numbers must add up to."""

from pathlib import Path

import numpy as np
import pytest

from experiments.figures import fig07_similarity
from experiments.study import Study, front_end
from models.recipe import FAN_IN, NATIVE, TrainConfig
from models.training import native_fit
from models.zoo import two_conv_one_fc
from tests.support.experiment_cases import SIZE, small_set


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


@pytest.mark.seconds
def test_untrained_kernels_are_those_that_the_compiled_trainer_begins_with(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    graph = two_conv_one_fc(SIZE, 3, 6, fig07_similarity.SECOND_LAYER)
    # Steps too small for a float of 32 bits.
    config = TrainConfig(1, 8, 1e-12, weight_decay=0.0, optimizer="adam", initializer=FAN_IN, trainer=NATIVE)
    trained = native_fit.train(graph, data, front_end(data, "jpeg8"), config, 3)
    first = fig07_similarity._untrained(graph, 3, config)
    for layer, place in zip(fig07_similarity.LAYERS, (0, 2), strict=True):
        np.testing.assert_allclose(trained.weights[place], first[layer], atol=1e-9)
        assert not np.array_equal(first[layer], fig07_similarity._untrained(graph, 4, config)[layer])


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
