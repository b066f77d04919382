"""Costs, settings and records for tests of the search."""

import dataclasses
from typing import Any

from loggrad_tf.transform import frontend
from loggrad_tf.transform.sensor import Sensor
from search.cost.costs import Costs, Target
from search.cost.objectives import Bounds, Point
from search.record.history import Candidate, Outcome
from search.run.profiles import PROFILES
from search.strategy.method import Method
from search.strategy.proposal import Settings

SENSOR = Sensor(12, 0, 4095)
TARGET = Target(frontend.fixed("loggrad_1p5", SENSOR), "mps2-an386")
MUNAS = Bounds()


# Plain muNAS, without pruning.
PLAIN = dataclasses.replace(PROFILES["faithful"], pruning=False)


def settings(side: int, seed: int = 0, workers: int = 1) -> Settings:
    """Plain muNAS for three classes on images of so many pixels a side."""
    return Settings(TARGET, PLAIN, MUNAS, (side, side, 1), 3, workers=workers, seed=seed)


def changed(asked: Settings, **changes: Any) -> Settings:
    """``asked`` with other knobs of its method, or other fields of its own."""
    knobs = {field.name for field in dataclasses.fields(Method)} & set(changes)
    method = dataclasses.replace(asked.method, **{name: changes.pop(name) for name in knobs})
    return dataclasses.replace(asked, method=method, **changes)


def costs(peak_memory: int, size: int, macs: int, ram: int = 6000, latency: float = 0.1) -> Costs:
    return Costs(peak_memory, size, macs, ram, 20_000 + size, 4 * macs, latency, latency / 100)


def point(error: float, peak_memory: int, size: int, macs: int) -> Point:
    return Point(error, costs(peak_memory, size, macs))


def trained(candidate: Candidate, size: int) -> Outcome:
    """A stand-in for training: an error and a curve decided by the network; every ninth one fails."""
    if candidate.index % 9 == 4:
        return Outcome(None, None, "worker was killed")
    error = (0.1 + 0.8 * (0.618 * candidate.index % 1)) / (1 + size / 1_000_000)
    curve = tuple((round(error * 0.9**epoch, 4), round(error, 4)) for epoch in range(8))
    for place, limit in enumerate(candidate.limits):
        epochs = 2 * (place + 1)
        if limit is not None and sum(loss for loss, _ in curve[:epochs]) > limit:
            return Outcome(min(error * 1.5, 1.0), 0.5, val_loss=1.1, stopped=True, curve=curve[:epochs])
    return Outcome(error, 0.5, val_loss=0.414 * candidate.index % 1, curve=curve)
