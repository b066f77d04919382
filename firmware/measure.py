"""Measure the sensor of a collector's camera: frames of the dark, of an even surface, pictures of both."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from firmware.camera import Camera
from loggrad_tf.data import sensor_profile
from loggrad_tf.data.collected import Collected
from loggrad_tf.data.sensor_profile import Level, SensorProfile
from loggrad_tf.transform.sensor import Sensor

# Mean of P over the span that an exposure is set for, how near is near enough, and how often it is tried.
METERED, _NEAR, _METERINGS = 0.18, 0.1, 6
_DARK_FRAMES, _FLAT_LEVELS, _FLAT_FRAMES = 16, 12, 4
# Exposures of an even surface, over the metered one: 3 % to 90 % of the span.
_LEAST, _MOST = 0.15, 5.0


def meter(camera: Camera, sensor: Sensor, most: int) -> int:
    """The exposure, in lines up to ``most``, that gives a mean of P of METERED of the span; it is set."""
    lines = max(most // 4, 1)
    camera.expose(lines)
    for _ in range(_METERINGS):
        mean = float(sensor.linearize(camera.next()).mean()) / sensor.span
        wanted = min(max(round(lines * METERED / max(mean, 1e-3)), 1), most)
        if abs(mean / METERED - 1) < _NEAR or wanted == lines:
            break
        lines = wanted
        camera.expose(lines)
    return lines


def dark(camera: Camera, made: Collected, most: int) -> tuple[SensorProfile, np.ndarray]:
    """The profile of the covered lens, and its frames, uint16 (N, H, W).

    Raises:
      LogGradError: what :func:`loggrad_tf.data.sensor_profile.of_dark` refuses.
    """
    camera.expose(max(most // 4, 1))
    frames = np.stack([camera.next() for _ in range(_DARK_FRAMES)])
    return sensor_profile.of_dark(frames, made.sensor, made.camera), frames


def flat(camera: Camera, profile: SensorProfile, most: int) -> tuple[SensorProfile, list[Level]]:
    """The profile with its conversion, and what the surface gave at each exposure.

    Raises:
      LogGradError: what :func:`loggrad_tf.data.sensor_profile.with_flat` refuses.
    """
    middle = meter(camera, profile.sensor, most)
    wanted = np.linspace(_LEAST, _MOST, _FLAT_LEVELS) * middle
    levels: list[Level] = []
    for lines in sorted({int(min(max(round(one), 1), most)) for one in wanted}):
        camera.expose(lines)
        frames = np.stack([camera.next() for _ in range(_FLAT_FRAMES)])
        levels += sensor_profile.levels_of(frames, lines, profile)
    return sensor_profile.with_flat(profile, levels), levels


def picture(path: Path, profile: SensorProfile, frames: np.ndarray | None, levels: list[Level]) -> None:
    """Draw what was measured: how often codes of the dark came, or variance over signal and its line."""
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.add_subplot()
    if frames is not None:
        codes, counts = np.unique(frames, return_counts=True)
        panel.bar(codes, counts / counts.sum(), width=0.9)
        panel.axvline(profile.black, color="black", ls=":")
        panel.set(xlabel="code", ylabel="share of the photosites", title="lens covered")
    else:
        panel.plot([one.signal for one in levels], [one.variance for one in levels], "o", ms=4)
        ends = np.array([0.0, max(one.signal for one in levels)])
        panel.plot(ends, profile.read_noise**2 + ends / (profile.electrons or 1.0), color="black", ls=":")
        panel.set(xlabel="signal, codes above black", ylabel="variance, codes squared", title="even surface")
    panel.text(
        0.02, 0.98, profile.text().replace("; ", "\n"), transform=panel.transAxes, va="top", fontsize=7
    )
    figure.savefig(path, dpi=120)
