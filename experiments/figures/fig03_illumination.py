"""Figure 3: one object under four illuminations, as RAW and as log gradients.

The claim: ratios of pixels do not see the illumination, so the log gradients of the four bands are the same.
The paper leaves noise aside; here the scene is also read by the imitated sensor of
:mod:`loggrad_tf.data.imitation`. A drawn car, repeated; the thresholds are those for use without data. No
data set is read, nothing is trained.
"""

from typing import Any

import numpy as np

from experiments import conditions, plots
from experiments.study import Claim, Result, Study
from loggrad_tf.scene.car import car
from loggrad_tf.scene.draw import Canvas, Light, View, placed
from loggrad_tf.transform.frontend import FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor

SENSOR = Sensor(bits=12, black=0, white=4095)
FULL_WELL = conditions.full_well(40)
# Factors on the light of the brightest band.
BANDS = (1.0, 1 / 4, 1 / 16, 1 / 64)
SIDE = 96
READINGS = 20
INPUTS = ("raw16", "loggrad_fp", "loggrad_1p5", "loggrad_2p25")
SHOWN = ("raw16", "loggrad_fp", "loggrad_1p5")


def drawn() -> np.ndarray:
    """A car on a street, light 0..1, float64 [SIDE, SIDE]; always the same one."""
    rng = np.random.default_rng(3)
    view = View(SIDE, SIDE, focal=1.15 * SIDE, horizon=0.42 * SIDE, eye=1.5)
    light = Light(np.array([0.5, -0.5, np.sqrt(0.5)]), 0.7, 0.35)
    rows = np.linspace(0.55, 0.3, SIDE, dtype=np.float32)[:, None, None]
    canvas = Canvas(view, light, np.broadcast_to(rows, (SIDE, SIDE, 3)).copy())
    canvas.paint(placed(car(rng), (0.1, 5.4), np.radians(65.0)), 1)
    gray = canvas.linear().mean(axis=2, dtype=np.float64)
    result: np.ndarray = gray / gray.max()
    return result


def scene(light: np.ndarray) -> np.ndarray:
    """The bands beside each other, light 0..0.9, float64 [H, bands x W]."""
    return np.concatenate([0.9 * factor * light for factor in BANDS], axis=1)


def read(light: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """P of :data:`SENSOR`, uint16; noise-free, rounded to codes, without a generator."""
    codes = light * SENSOR.span
    if rng is None:
        return np.floor(codes + 0.5).astype(np.uint16)
    return conditions.physical(codes, 1.0, SENSOR, rng, FULL_WELL)


def bands(pixels: np.ndarray) -> np.ndarray:
    """[..., H, bands x W] -> [..., bands, H, W - 2], without the columns that see a neighbouring band."""
    parts = np.stack(np.split(pixels, len(BANDS), axis=-1), axis=-3)
    return parts[..., 1:-1]


def changes(front: FrontEnd, pixels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """What the input of each band differs by from the noise-free input of the brightest, (bands,).

    For levels the share that is another, for ``loggrad_fp`` the mean absolute difference in natural-log
    units, for ``raw16`` the mean absolute difference in full scales.
    """
    seen = bands(front.encode(pixels)[..., 0])
    expected = bands(front.encode(reference)[..., 0])[..., :1, :, :]
    difference = (seen != expected) if front.levels else np.abs(seen - expected)
    result: np.ndarray = difference.mean(axis=(-2, -1))
    return result.reshape(-1, len(BANDS)).mean(axis=0)


def run(study: Study) -> Result:
    del study  # the same for every data set and profile
    light = scene(drawn())
    clean = read(light, None)
    noisy = np.stack([read(light, np.random.default_rng([3, k])) for k in range(READINGS)])
    fronts = {name: fixed(name, SENSOR) for name in INPUTS}
    measures = {name: "share of levels" if front.levels else "mean" for name, front in fronts.items()}
    rows = [
        {
            "noise": noise,
            "input": name,
            "light": factor,
            "measure": measures[name],
            "change": round(float(change), 5),
        }
        for noise, pixels in (("none", clean[None]), ("shot and read", noisy))
        for name, front in fronts.items()
        for factor, change in zip(BANDS, changes(front, pixels, clean), strict=True)
    ]
    figure = _figure(fronts, {"without noise": clean, "with the noise of a sensor": noisy[0]})
    return Result(rows, {"illumination": figure}, [_claim(rows)])


def _fraction(factor: float) -> str:
    return "1" if factor == 1 else f"1/{round(1 / factor)}"


def _figure(fronts: dict[str, FrontEnd], readings: dict[str, np.ndarray]) -> Any:
    figure, axes = plots.figure(len(readings), len(SHOWN), width=6.4, height=2.0)
    for column, (title, pixels) in enumerate(readings.items()):
        for row, name in enumerate(SHOWN):
            panel = axes[row, column]
            seen = fronts[name].encode(pixels)[..., 0]
            limit = {"raw16": (0.0, 1.0), "loggrad_fp": (-1.5, 1.5)}.get(name, (-1.0, 1.0))
            image = panel.imshow(seen, cmap="gray", vmin=limit[0], vmax=limit[1], interpolation="nearest")
            panel.grid(False)
            panel.set_yticks([])
            places = (np.arange(len(BANDS)) + 0.5) * SIDE
            panel.set_xticks(places, [f"light {_fraction(factor)}" for factor in BANDS])
            if row == 0:
                panel.set_title(title, fontsize=12)
            if column == 0:
                panel.set_ylabel(plots.NAMES[name].replace(", ", "\n"), fontsize=11)
            if column == len(readings) - 1:
                bar = figure.colorbar(image, ax=panel, fraction=0.03, pad=0.01)
                bar.ax.tick_params(labelsize=9)
                bar.set_ticks(np.linspace(*limit, 3))
                bar.set_label({"raw16": "P / span", "loggrad_fp": "g"}.get(name, "level"), fontsize=10)
    return figure


def _claim(rows: list[dict[str, Any]]) -> Claim:
    def found(noise: str, name: str) -> str:
        changed = [r["change"] for r in rows if (r["noise"], r["input"]) == (noise, name)]
        return ", ".join(f"{100 * change:.1f}" for change in changed)

    lights = ", ".join(_fraction(factor) for factor in BANDS)
    texts = [
        f"{plots.NAMES[name]}: {found('none', name)} % without noise, {found('shot and read', name)} % with"
        for name in ("loggrad_1p5", "loggrad_2p25")
    ]
    return Claim(
        "Fig. 3: log gradients strip four illumination levels away (noise and saturation left aside)",
        f"levels that change at light {lights}: {'; '.join(texts)} (codes are rounded, and c = 1; the noise"
        " is that of a sensor of SNR 40 at 18 % gray)",
    )
