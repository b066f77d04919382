"""Figure 3: what illumination and noise change of each input."""

from pathlib import Path

import numpy as np
import pytest

from experiments.figures import fig03_illumination as fig03
from experiments.study import Study
from loggrad_tf.transform.frontend import fixed


def test_bands_leave_out_the_columns_that_see_two_lights() -> None:
    pixels = np.arange(3 * 4 * fig03.SIDE).reshape(3, -1)
    parts = fig03.bands(pixels)
    assert parts.shape == (4, 3, fig03.SIDE - 2)
    assert np.array_equal(parts[1], pixels[:, fig03.SIDE + 1 : 2 * fig03.SIDE - 1])


def test_bright_ratios_do_not_change_and_light_does() -> None:
    light = np.random.default_rng(0).uniform(0.5, 1.0, (20, fig03.SIDE))
    pixels = fig03.read(fig03.scene(light), None)
    changed = fig03.changes(fixed("loggrad_1p5", fig03.SENSOR), pixels, pixels)
    assert changed[0] == 0 and changed[1] < 0.01
    raw = fig03.changes(fixed("raw16", fig03.SENSOR), pixels, pixels)
    inner = light[:, 1:-1].mean() * 0.9
    assert raw == pytest.approx([0, 0.75 * inner, 15 / 16 * inner, 63 / 64 * inner], abs=1e-4)


@pytest.mark.seconds
def test_noise_changes_the_darker_bands_more(tmp_path: Path) -> None:
    result = fig03.run(Study("fig03_illumination", "synthetic", "quick", {}, tmp_path, 1))
    found = {(r["noise"], r["input"]): [] for r in result.rows}
    for row in result.rows:
        found[row["noise"], row["input"]].append(row["change"])
    quiet, noisy = found["none", "loggrad_1p5"], found["shot and read", "loggrad_1p5"]
    assert quiet[0] == 0 and max(quiet) < 0.01
    assert noisy == sorted(noisy) and noisy[-1] > 10 * noisy[0] > 0
    assert f"{100 * noisy[-1]:.1f} % with" in result.claims[0].ours
    assert set(result.figures) == {"illumination"}
