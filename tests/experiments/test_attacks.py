"""Attacks: within bounds, whole codes, exact where the worst case is known, stronger with more steps."""

import numpy as np
import pytest

from experiments import attacks
from experiments.attacks import Victim
from loggrad_tf.transform.frontend import FORMATS, fixed
from loggrad_tf.transform.sensor import Sensor
from models import keras_net, zoo

SPAN, FLOOR, SIZE = 1023, 2.0, 16
SENSOR = Sensor(10, 0, SPAN)
WIDTH = 0.1


def pictures(count: int = 6) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.concatenate(
        [rng.integers(0, SPAN + 1, (count // 2, SIZE, SIZE)), rng.integers(0, 20, (count // 2, SIZE, SIZE))]
    ).astype(np.uint16)


def linear(weights: np.ndarray) -> Victim:
    """margin = sum(weights x P), exactly."""
    return Victim(
        lambda pixels, labels: (pixels.astype(np.float64) * weights).sum((1, 2)),
        lambda pixels, labels, width: np.broadcast_to(weights, pixels.shape),
    )


def network(name: str, classes: int = 3) -> tuple[Victim, np.ndarray, np.ndarray]:
    """An untrained network, pictures, and labels: what it takes each for."""
    import keras

    keras.utils.set_random_seed(7)
    model = keras_net.build(zoo.small_bn(SIZE, classes))
    victim = attacks.victim(model, fixed(name, SENSOR))
    pixels = pictures()
    answers = np.argmax(
        [victim.margins(pixels, np.full(len(pixels), label)) for label in range(classes)], axis=0
    )
    return victim, pixels, answers


def attacked(victim: Victim, pixels: np.ndarray, labels: np.ndarray, limits: attacks.Box) -> dict:
    return {
        "fgsm": attacks.fgsm(victim, pixels, labels, limits, WIDTH),
        "pgd": attacks.pgd(victim, pixels, labels, limits, 5, (WIDTH, 0.3)),
        "search": attacks.search(victim, pixels, labels, limits, 12, np.random.default_rng(2)),
        "noise": attacks.noise(limits, np.random.default_rng(3)),
    }


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["jpeg8", "loggrad_1p5"])
def test_an_exposed_network_is_the_same_network(name: str) -> None:
    import keras

    keras.utils.set_random_seed(7)
    model, front = keras_net.build(zoo.small_bn(SIZE, 3)), fixed(name, SENSOR)
    pixels, labels = pictures(), np.arange(6) % 3
    inputs = front.encode(pixels)[..., 0]
    behind, bare = attacks.victim(model, front), attacks.exposed(model)
    assert np.allclose(behind.margins(pixels, labels), bare.margins(inputs, labels), atol=1e-5)
    limits = attacks.around(inputs, 0.02, float(inputs.min()), float(inputs.max()))
    least = bare.margins(inputs, labels)
    for made in (
        attacks.fgsm(bare, inputs, labels, limits, WIDTH),
        attacks.pgd(bare, inputs, labels, limits, 5, (WIDTH,)),
    ):
        assert made.dtype == np.float32
        assert ((limits.low <= made) & (made <= limits.high)).all()
        assert (bare.margins(made, labels) < least).all()


def test_the_range_round_an_input_by_hand() -> None:
    inputs = np.array([[[-1, 0, 0.75]]], np.float32)
    limits = attacks.around(inputs, 0.25, -1, 1)
    assert limits.low.tolist() == [[[-1, -0.5, 0.25]]] and limits.high.tolist() == [[[-0.5, 0.5, 1]]]


def test_the_budget_by_hand() -> None:
    pixels = np.array([[[0, 1, 100, 1000, 1023]]], np.uint16)
    limits = attacks.box(pixels, 0.04, 2.5, SPAN)
    assert limits.low.tolist() == [[[0, 0, 94, 958, 980]]]  # 2, 2, 6, 42, 43 codes
    assert limits.high.tolist() == [[[2, 3, 106, 1023, 1023]]]


@pytest.mark.seconds
@pytest.mark.parametrize("name", FORMATS)
def test_all_stay_within_the_budget_in_whole_codes(name: str) -> None:
    victim, pixels, labels = network(name)
    limits = attacks.box(pixels, 0.05, FLOOR, SPAN)
    clean = victim.margins(pixels, labels)
    for attack, made in attacked(victim, pixels, labels, limits).items():
        assert made.dtype == np.uint16 and made.shape == pixels.shape, attack
        assert (made >= limits.low).all() and (made <= limits.high).all(), attack
        assert (np.abs(made.astype(int) - pixels) <= 0.05 * pixels + FLOOR).all() and made.max() <= SPAN
        assert (made != pixels).any(), attack
        if attack in ("pgd", "search"):
            assert (victim.margins(made, labels) <= clean).all(), attack


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["jpeg8", "loggrad_1p5"])
def test_at_zero_nothing_changes(name: str) -> None:
    victim, pixels, labels = network(name)
    for attack, made in attacked(victim, pixels, labels, attacks.box(pixels, 0.0, FLOOR, SPAN)).items():
        assert np.array_equal(made, pixels), attack


def test_fgsm_finds_the_worst_case_of_a_linear_network() -> None:
    weights = np.random.default_rng(4).normal(size=(SIZE, SIZE))
    victim, pixels = linear(weights), pictures()
    labels, limits = np.zeros(len(pixels), int), attacks.box(pixels, 0.03, FLOOR, SPAN)
    # The smallest of a linear function over a box: each coordinate on its own.
    ends = np.minimum(weights * limits.low.astype(float), weights * limits.high.astype(float))
    worst = ends.sum((1, 2))
    for made in (
        attacks.fgsm(victim, pixels, labels, limits, WIDTH),
        attacks.pgd(victim, pixels, labels, limits, 4, (WIDTH,)),
    ):
        np.testing.assert_allclose(victim.margins(made, labels), worst, rtol=1e-12)
    found = attacks.search(victim, pixels, labels, limits, 300, np.random.default_rng(0))
    gained = victim.margins(pixels, labels) - victim.margins(found, labels)
    most = victim.margins(pixels, labels) - worst
    assert (gained <= most).all() and (gained > 0.2 * most).all()


@pytest.mark.seconds
@pytest.mark.parametrize("name", FORMATS)
def test_more_steps_are_never_weaker(name: str) -> None:
    victim, pixels, labels = network(name)
    limits = attacks.box(pixels, 0.05, FLOOR, SPAN)
    one = victim.margins(attacks.fgsm(victim, pixels, labels, limits, WIDTH), labels)
    clean = victim.margins(pixels, labels)
    first = victim.margins(attacks.pgd(victim, pixels, labels, limits, 1, (WIDTH,)), labels)
    np.testing.assert_allclose(first, np.minimum(one, clean), rtol=1e-5)
    many = victim.margins(attacks.pgd(victim, pixels, labels, limits, 8, (WIDTH,)), labels)
    assert (many <= one + 1e-5).all() and many.sum() < one.sum()


@pytest.mark.seconds
def test_margins_decide_as_the_classifier_does() -> None:
    from models.training.measure import classify

    for classes in (2, 3):
        model = keras_net.build(zoo.small_bn(SIZE, classes))
        front, pixels = fixed("raw16", SENSOR), pictures()
        victim, answer = attacks.victim(model, front), classify(model(front.encode(pixels)).numpy())
        for label in range(classes):
            labels = np.full(len(pixels), label)
            assert np.array_equal(victim.margins(pixels, labels) > 0, answer == label)
            assert victim.slopes(pixels.astype(np.float32), labels, WIDTH).shape == pixels.shape
