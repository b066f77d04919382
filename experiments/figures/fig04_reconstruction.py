"""Figures 4 and 11: RAW photographs reconstructed from their log gradients by ``2conv``.

2conv (paper, appendix A): two convolutions of 16x16 kernels with ``same`` padding, 10 and 1 channels, ReLU
behind the first; mean squared error against the RAW, Adam at 0.0002, batches of 128, 150 epochs at 96x96.
The other profiles have smaller images, fewer epochs, batches of 32 and a rate of 0.003. Log gradients do
not hold how bright a picture is, so errors are also given after each picture's best gain and offset. The
measures are those of the test split; the mean of the training pictures stands for knowing nothing.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from experiments import plots
from experiments.jobs import AGAIN, open_data
from experiments.study import Claim, Result, Study, front_end
from loggrad_tf import arrays
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.transform.frontend import GAMMA, FrontEnd

INPUTS = ("loggrad_fp", "loggrad_1p5", "loggrad_2p25")
CHANNELS, KERNEL = 10, 16
MEAN = "mean picture"
WEIGHTS = "weights.npz"
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile; ``examples`` are pictures of each class that are shown."""

    size: int
    epochs: int
    seeds: int
    batch_size: int
    learning_rate: float
    examples: int


SCALES = {
    "quick": Scale(size=48, epochs=2, seeds=1, batch_size=32, learning_rate=3e-3, examples=1),
    "long": Scale(size=48, epochs=8, seeds=1, batch_size=32, learning_rate=3e-3, examples=1),
    "paper": Scale(size=96, epochs=150, seeds=1, batch_size=128, learning_rate=2e-4, examples=2),
}


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """Train 2conv from one input to RAW; its result is ``weights.npz``.

    Attributes:
      front_end: of the input.
      data: the prepared data set's folder.
      manifest_sha256: of that data set.
      epochs, batch_size, learning_rate: of Adam; no schedule.
      seed: of weights and order.
    """

    front_end: FrontEnd
    data: Path
    manifest_sha256: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int

    @property
    def title(self) -> str:
        return f"reconstruction from {self.front_end.format}, seed {self.seed}"

    def to_json(self) -> dict[str, Any]:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields.pop("data")
        return fields | {"front_end": self.front_end.to_json()}

    def run(self, directory: Path) -> str:
        import keras

        data = open_data(self.data)
        keras.utils.set_random_seed(self.seed)
        model = two_conv(data.pixels.shape[1])
        model.compile(optimizer=keras.optimizers.Adam(self.learning_rate), loss="mse")
        pixels = data.subset("train")[0]
        history = model.fit(
            self.front_end.encode(pixels),
            target(pixels, data),
            batch_size=self.batch_size,
            epochs=self.epochs,
            verbose=0,
        )
        arrays: dict[str, Any] = {f"w{i}": weights for i, weights in enumerate(model.get_weights())}
        np.savez(directory / WEIGHTS, **arrays)
        return f"mean squared error {history.history['loss'][-1]:.2e} in the last epoch"


def two_conv(size: int) -> Any:
    """The network as a Keras model: float32 (batch, size, size, 1) -> the same shape."""
    import keras

    return keras.Sequential(
        [
            keras.layers.Input((size, size, 1)),
            keras.layers.Conv2D(CHANNELS, KERNEL, padding="same", activation="relu"),
            keras.layers.Conv2D(1, KERNEL, padding="same"),
        ]
    )


def target(pixels: np.ndarray, data: DataSet) -> np.ndarray:
    """What is reconstructed: P / span, float32 (N, H, W, 1)."""
    return (pixels / np.float64(data.sensor.span)).astype(np.float32)[..., None]


def reconstruct(folder: Path, front: FrontEnd, pixels: np.ndarray) -> np.ndarray:
    """Pictures from the log gradients of ``pixels`` by a trained 2conv: float32 (N, H, W, 1), about 0..1."""
    model = two_conv(pixels.shape[1])
    archive = arrays.load_archive(folder / WEIGHTS, AGAIN)
    model.set_weights([archive[f"w{i}"] for i in range(len(archive))])
    found = [
        np.asarray(model(front.encode(pixels[start : start + _BATCH]), training=False))
        for start in range(0, len(pixels), _BATCH)
    ]
    return np.concatenate(found)


def fitted(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Each picture of ``found`` with the gain and offset that bring it closest to ``wanted``, in squares."""
    axes = (1, 2, 3)
    centred = found - found.mean(axes, keepdims=True)
    aim = wanted.mean(axes, keepdims=True)
    variance = np.square(centred).mean(axes, keepdims=True)
    gain = (centred * (wanted - aim)).mean(axes, keepdims=True) / np.maximum(variance, 1e-12)
    result: np.ndarray = gain * centred + aim
    return result


def measures(found: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Means over pictures (N, H, W, 1) in 0..1.

    ``psnr`` in dB of a peak of 1, clipped to 0..1; ``psnr_fitted`` after :func:`fitted`; ``ssim`` (Wang
    et al. 2004) after it, both pictures divided by the brightest pixel of ``wanted``.
    """
    import tensorflow as tf

    def psnr(picture: np.ndarray) -> float:
        errors = np.square(np.clip(picture, 0, 1) - wanted).mean(axis=(1, 2, 3))
        return float(np.mean(-10 * np.log10(np.maximum(errors, 1e-10))))

    best = fitted(found, wanted)
    white = np.maximum(wanted.max(axis=(1, 2, 3), keepdims=True), 1e-6)
    pair = [tf.constant(np.clip(x / white, 0, 1).astype(np.float32)) for x in (best, wanted)]
    ssim = float(np.mean(tf.image.ssim(*pair, max_val=1.0)))
    return {"psnr": round(psnr(found), 3), "psnr_fitted": round(psnr(best), 3), "ssim": round(ssim, 4)}


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = study.data(scale.size)
    fronts = {name: front_end(data, name) for name in INPUTS}
    jobs = [
        Reconstruction(
            front,
            data.path,
            data.manifest_sha256,
            scale.epochs,
            scale.batch_size,
            scale.learning_rate,
            seed,
        )
        for front in fronts.values()
        for seed in range(scale.seeds)
    ]
    folders = study.run(jobs)
    pixels, labels = data.subset("test")
    wanted = target(pixels, data)
    mean = np.broadcast_to(target(data.subset("train")[0], data).mean(axis=0), wanted.shape)
    rows: list[dict[str, Any]] = [{"input": MEAN, "seed": 0} | measures(mean, wanted)]
    shown = _examples(labels, scale.examples)
    pictures: dict[str, np.ndarray] = {}
    for job, folder in zip(jobs, folders, strict=True):
        found = reconstruct(folder, job.front_end, pixels)
        rows.append({"input": job.front_end.format, "seed": job.seed} | measures(found, wanted))
        pictures.setdefault(job.front_end.format, found[shown])
    figure = _figure(pixels[shown], wanted[shown], pictures, fronts)
    return Result(rows, {"pictures": figure}, [_claim(rows, scale)])


def _examples(labels: np.ndarray, each: int) -> np.ndarray:
    """Places of the first pictures of each class."""
    return np.concatenate([np.flatnonzero(labels == label)[:each] for label in np.unique(labels)])


def _figure(
    pixels: np.ndarray, wanted: np.ndarray, pictures: dict[str, np.ndarray], fronts: dict[str, FrontEnd]
) -> Any:
    """RAW, then log gradient and reconstruction of each input; light with gamma, the RAW's white as 1."""
    figure, axes = plots.figure(1 + 2 * len(pictures), len(pixels), width=2.1, height=2.25)
    white = np.quantile(wanted, 0.995, axis=(1, 2, 3))
    for row, panels in enumerate(axes):
        columns = [("RAW", _displayed(wanted[row], white[row]), 0.0, 1.0)]
        for name, found in pictures.items():
            seen = fronts[name].encode(pixels[row])[..., 0]
            limit = float(fronts[name].levels or 1.5)
            title = plots.NAMES[name].replace(", ", "\n")
            best = fitted(found[row : row + 1], wanted[row : row + 1])[0]
            columns.append((title, seen, -limit, limit))
            columns.append(("reconstruction", _displayed(best, white[row]), 0.0, 1.0))
        for panel, (title, image, low, high) in zip(panels, columns, strict=True):
            panel.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            panel.grid(False)
            panel.set_xticks([])
            panel.set_yticks([])
            if row == 0:
                panel.set_title(title, fontsize=11)
    return figure


def _displayed(light: np.ndarray, white: float) -> np.ndarray:
    """(H, W, 1) -> (H, W), 0..1, with the gamma of a display."""
    shown: np.ndarray = np.clip(light[..., 0] / white, 0, 1) ** (1 / GAMMA)
    return shown


def _claim(rows: list[dict[str, Any]], scale: Scale) -> Claim:
    texts = []
    for name in (*INPUTS, MEAN):
        mine = [r for r in rows if r["input"] == name]
        psnr, best, ssim = (np.mean([r[key] for r in mine]) for key in ("psnr", "psnr_fitted", "ssim"))
        texts.append(
            f"{plots.NAMES.get(name, name)}: PSNR {psnr:.1f} dB, {best:.1f} dB after best gain and offset,"
            f" SSIM {ssim:.2f}"
        )
    return Claim(
        "Fig. 4: the car is recognised in reconstructions from float and from 1.5-bit log gradients",
        f"{'; '.join(texts)} ({scale.size}x{scale.size}, {scale.epochs} epochs)",
    )
