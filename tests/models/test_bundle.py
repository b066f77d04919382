"""models.bundle: what was saved is read back, and what is damaged is refused."""

from pathlib import Path

import numpy as np
import pytest

from loggrad_tf.data.request import DataReference
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from models import bundle, keras_net
from models.recipe import Pruning
from tests.models.training.test_fit import CONFIG, stripes, tiny


def test_bundle_round_trip_and_damage(tmp_path: Path) -> None:
    data = stripes()
    front_end = frontend.fit("loggrad_2p25", data.sensor, data.subset("train")[0])
    graph = tiny()
    saved = bundle.Bundle(
        graph,
        front_end,
        data.class_names,
        DataReference("synthetic", 16, "gray", manifest_sha256="0" * 64),
        CONFIG,
        5,
        {"val_error": 0.25},
        Pruning(0.5, begin=0.25),
        weights=tuple(np.asarray(w) for w in keras_net.build(graph).get_weights()),
    )
    where = tmp_path / "best"
    for _ in range(2):
        bundle.save(where, saved)
    loaded = bundle.load(where)
    x = front_end.encode(data.subset("val")[0])
    np.testing.assert_array_equal(loaded.model()(x), saved.model()(x))
    assert loaded.front_end == front_end and loaded.graph == graph and loaded.train == CONFIG
    assert loaded.pruning == saved.pruning
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best"]

    # A save that was killed half-way is repeated over what it left.
    (where / "network.json").unlink()
    bundle.save(where, saved)
    assert bundle.load(where).graph == graph

    (where / "weights.npz").write_bytes(b"PK" + bytes(30))
    with pytest.raises(LogGradError, match="damaged network"):
        bundle.load(where)
    with pytest.raises(LogGradError, match="no saved network"):
        bundle.load(tmp_path / "nothing")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("unsaved")
    with pytest.raises(LogGradError, match="is no saved network; choose another name"):
        bundle.save(tmp_path / "precious", saved)
    bundle.save(tmp_path / "net", saved)
    (tmp_path / "net" / "export").mkdir()
    with pytest.raises(LogGradError, match="holds export beside its saved network: choose another name"):
        bundle.save(tmp_path / "net", saved)
