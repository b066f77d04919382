"""Networks on the disk that are quickly made: untrained, of a few small pictures."""

from pathlib import Path

import numpy as np
from PIL import Image

from loggrad_tf.data import dataset
from loggrad_tf.transform import frontend
from models import bundle, keras_net
from models.recipe import TrainConfig
from tests.models.training.test_fit import tiny


def saved_network(folder: Path) -> Path:
    """An untrained network of two classes of noisy pictures, prepared at 16x16."""
    rng = np.random.default_rng(0)
    for name, step in (("fine", 2), ("coarse", 8)):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(24):
            stripes = np.arange(32)[:, None, None] % step < step // 2
            picture = rng.integers(0, 120, (32, 32, 3)) + 100 * stripes
            Image.fromarray(picture.astype(np.uint8)).save(folder / "pictures" / name / f"{i:02d}.png")
    data = dataset.load(f"folder:{folder / 'pictures'}", size=16, cache=folder / "cache")
    weights = tuple(np.asarray(w) for w in keras_net.build(tiny(1)).get_weights())
    bundle.save(
        folder / "net",
        bundle.Bundle(
            graph=tiny(1),
            front_end=frontend.fixed("loggrad_1p5", data.sensor),
            class_names=data.class_names,
            weights=weights,
            data=data.reference,
            train=TrainConfig(epochs=1, batch_size=8),
            seed=0,
            metrics={},
        ),
    )
    return folder / "net"
