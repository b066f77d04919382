"""What is fooled at one eps stays fooled; clean pictures come first; no attack is kinder than none."""

from pathlib import Path

import numpy as np

from experiments import attacks
from experiments.attacks import Victim
from experiments.beyond import adversarial
from experiments.beyond.adversarial import Attacked
from experiments.jobs import Training
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor
from models.zoo import small_bn

SIZE, SPAN = 12, 4095


def linear(weights: np.ndarray, bias: float) -> Victim:
    return Victim(
        lambda pixels, labels: (pixels.astype(np.float64) * weights).sum((1, 2)) + bias,
        lambda pixels, labels, width: np.broadcast_to(weights, pixels.shape),
    )


def test_attacks_on_a_linear_network() -> None:
    rng = np.random.default_rng(0)
    weights, other = rng.normal(size=(2, SIZE, SIZE))
    pixels = rng.integers(50, 2000, (40, SIZE, SIZE)).astype(np.uint16)
    labels = np.zeros(len(pixels), int)
    victim = linear(weights, 4000.0)
    training = Training("x", small_bn(16, 3), fixed("raw16", Sensor(12, 0, SPAN)), Path(), "", {}, 5)
    shares = (0.01, 0.03, 0.1)
    settings = Attacked(training, training, Path(), Path(), shares, len(pixels), steps=3, queries=40)
    found = adversarial.assail(victim, linear(other, 0.0), pixels, labels, SPAN, settings)
    clean = victim.margins(pixels, labels) > 0
    assert set(found) == {"noise", *adversarial.ATTACKS} and 0 < clean.mean() < 1
    for name, right in found.items():
        assert right.shape == (4, 40) and np.array_equal(right[0], clean), name
        if name != "noise":
            assert (right[1:] <= right[:-1]).all(), name
    # One step is exact here, so no attack finds more, and nothing but the worst case is counted.
    for row, share in enumerate(shares, 1):
        limits = attacks.box(pixels, share, 4.5 / 9000 * SPAN, SPAN)
        worst = np.minimum(weights * limits.low.astype(float), weights * limits.high.astype(float))
        expected = worst.sum((1, 2)) + 4000.0 > 0
        for name in ("fgsm", "pgd"):
            assert np.array_equal(found[name][row], expected), name
        assert (found["search"][row] >= expected).all() and (found["transfer"][row] >= expected).all()
    assert found["fgsm"][-1].sum() < found["search"][-1].sum() <= found["search"][0].sum()


def test_attacks_on_the_input_of_a_linear_network() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(SIZE, SIZE))
    inputs = rng.integers(-1, 2, (40, SIZE, SIZE)).astype(np.float32)
    labels = np.zeros(len(inputs), int)
    front = fixed("loggrad_1p5", Sensor(12, 0, SPAN))
    training = Training("x", small_bn(16, 3), front, Path(), "", {}, 5)
    shares = (0.005, 0.02, 0.08)
    settings = Attacked(training, training, Path(), Path(), shares, len(inputs), steps=3, queries=0)
    limits = adversarial.bounds(front, inputs)
    assert limits == (-1, 1)
    found = adversarial.assail_inputs(linear(weights, 10.0), inputs, labels, limits, settings)
    assert tuple(found) == adversarial.OWN
    for row, share in enumerate(shares, 1):
        low, high = np.maximum(inputs - 2 * share, -1), np.minimum(inputs + 2 * share, 1)
        worst = np.minimum(weights * low, weights * high).sum((1, 2)) + 10.0 > 0
        assert 0 < worst.sum() < 40
        assert np.array_equal(found["input FGSM"][row], worst)
        assert np.array_equal(found["input PGD"][row], worst)
        assert (found["input noise"][row] >= worst).all()


def test_the_range_of_each_format() -> None:
    inputs = np.array([[[0.25, -3.5]]], np.float32)
    ranges = {"jpeg8": (0, 1), "raw16": (0, 1), "loggrad_fp": (-3.5, 3.5), "loggrad_2p25": (-2, 2)}
    sensor = Sensor(12, 0, SPAN)
    assert {name: adversarial.bounds(fixed(name, sensor), inputs) for name in ranges} == ranges


def test_nothing_is_left_to_attack() -> None:
    """A network, such as one with fused batch norm, that takes no empty batch."""

    def margins(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
        assert len(pixels)
        return np.where(pixels.mean((1, 2)) == 1000, 1.0, -1.0)  # any change is fatal

    victim = Victim(margins, lambda pixels, labels, width: np.ones(pixels.shape))
    pixels, labels = np.full((3, SIZE, SIZE), 1000, np.uint16), np.zeros(3, int)
    training = Training("x", small_bn(16, 3), fixed("raw16", Sensor(12, 0, SPAN)), Path(), "", {}, 5)
    settings = Attacked(training, training, Path(), Path(), (0.1, 0.2, 0.3), 3, steps=3, queries=4)
    found = adversarial.assail(victim, victim, pixels, labels, SPAN, settings)
    for name in adversarial.ATTACKS:
        assert found[name][0].all() and not found[name][1:].any(), name


def test_a_job_is_known_by_both_networks_and_all_settings() -> None:
    front = fixed("raw16", Sensor(12, 0, SPAN))
    one, two = (Training("x", small_bn(16, 3), front, Path(), "", {}, seed) for seed in (1, 2))
    base = Attacked(one, two, Path("a"), Path("b"), (0.1,), 3, 4, 5)
    elsewhere = Attacked(one, two, Path("c"), Path("d"), (0.1,), 3, 4, 5)
    others = [
        Attacked(two, two, Path("a"), Path("b"), (0.1,), 3, 4, 5),
        Attacked(one, one, Path("a"), Path("b"), (0.1,), 3, 4, 5),
        Attacked(one, two, Path("a"), Path("b"), (0.1, 0.2), 3, 4, 5),
        Attacked(one, two, Path("a"), Path("b"), (0.1,), 3, 4, 6),
    ]
    assert base.to_json() == elsewhere.to_json()
    assert all(job.to_json() != base.to_json() for job in others)
