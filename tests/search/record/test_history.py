"""search.record.history: records of either space come back from their JSON as what they were."""

import json

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from search.record.history import Candidate, Outcome, Record
from search.space.genotype import Genotype, random_genotype
from search.space.spaces import AnyGenotype
from search.space.staged import Staged, random_staged
from tests.support.search_cases import costs


def _record(genotype: AnyGenotype) -> Record:
    return Record(Candidate(3, genotype, 1, "random"), Outcome(0.2, 0.1, val_loss=0.5), costs(1, 2, 3))


def _drawn(seed: int) -> tuple[Genotype, Staged]:
    rng = np.random.default_rng(seed)
    return random_genotype(rng, seed % 2 == 0), random_staged(rng, seed % 2 == 0)


@pytest.mark.parametrize("seed", range(20))
def test_a_record_tells_its_space(seed: int) -> None:
    for genotype in _drawn(seed):
        again = Record.from_json(json.loads(json.dumps(_record(genotype).to_json())))
        assert again == _record(genotype) and type(again.candidate.genotype) is type(genotype)


def test_what_a_munas_search_wrote_is_what_it_was() -> None:
    munas, _ = _drawn(0)
    assert list(_record(munas).to_json()["genotype"]) == ["blocks", "pooling", "dense", "sparsity"]


def test_a_damaged_genotype_is_an_error_of_its_space() -> None:
    for genotype, key, name in zip(_drawn(1), ("dense", "stem"), ("Genotype", "Staged"), strict=True):
        data = _record(genotype).to_json()
        less = {k: v for k, v in data["genotype"].items() if k != key}
        with pytest.raises(LogGradError, match=f"Candidate: genotype: {name}: key '{key}' is missing"):
            Record.from_json(data | {"genotype": less})
        with pytest.raises(LogGradError, match=f"{name}: unknown key 'depth'"):
            Record.from_json(data | {"genotype": data["genotype"] | {"depth": 1}})
