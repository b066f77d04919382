"""Drawn scenes: geometry against closed forms, boxes against masks, all classes, no surprises."""

import numpy as np
import pytest

from loggrad_tf.scene import draw
from loggrad_tf.scene.bicycle import bicycle
from loggrad_tf.scene.car import car
from loggrad_tf.scene.draw import Canvas, Face, Light, View
from loggrad_tf.scene.person import person
from loggrad_tf.scene.props import PROPS
from loggrad_tf.scene.street import CLASSES, Scene, draw_scene

VIEW = View(200, 160, focal=150.0, horizon=60.0, eye=1.5)
LIGHT = Light(np.array([0.6, 0.0, 0.8]), 0.7, 0.4)
GREY = np.full((160, 200, 3), 0.2, np.float32)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(np.random.default_rng([7, k]), 432, 288) for k in range(16)]


def test_projection_is_a_pinhole() -> None:
    spot, depth = VIEW.project(np.array([[0.0, 5.0, 1.5], [1.0, 5.0, 1.5], [0.0, 5.0, 0.5]]))
    np.testing.assert_allclose(spot, [[100, 60], [130, 60], [100, 90]], atol=1e-9)
    np.testing.assert_allclose(depth, 5.0)


@pytest.mark.parametrize("roll", [0.0, 0.1])
def test_rays_invert_the_projection(roll: float) -> None:
    view = View(40, 30, focal=35.0, horizon=12.0, eye=1.2, roll=roll)
    across, up = view.rays()
    points = np.stack([across.ravel() * 4, np.full(1200, 4.0), view.eye + up.ravel() * 4], axis=1)
    spot, _ = view.project(points)
    y, x = np.mgrid[:30, :40]
    np.testing.assert_allclose(spot, np.stack([x.ravel() + 0.5, y.ravel() + 0.5], axis=1), atol=1e-3)


def test_outline_of_one_disc_and_of_two() -> None:
    disc = draw.outline(np.array([[3.0, 4.0]]), np.array([2.0]))
    np.testing.assert_allclose(np.hypot(*(disc - [3, 4]).T), 2.0)
    pill = draw.outline(np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([1.0, 1.0]))
    np.testing.assert_allclose([pill.min(axis=0), pill.max(axis=0)], [[-1, -1], [11, 1]])


def test_near_parts_hide_far_ones() -> None:
    def screen(distance: float, colour: draw.Colour) -> Face:
        x = np.array([-1.0, 1.0, 1.0, -1.0])
        z = np.array([0.5, 0.5, 2.5, 2.5])
        return Face(np.stack([x, np.full(4, distance), z], axis=1), colour, lit=0.0)

    near, far = screen(4.0, (0.8, 0.1, 0.1)), screen(6.0, (0.1, 0.1, 0.8))
    for order in ((near, far), (far, near)):
        canvas = Canvas(VIEW, LIGHT, GREY)
        canvas.paint(order, 1)
        np.testing.assert_allclose(canvas.linear()[60, 100], (0.8, 0.1, 0.1), atol=0.02)


def test_codes_of_the_canvas_round_trip_linear_light() -> None:
    linear = np.linspace(0.02, 1.9, 200)
    np.testing.assert_allclose(draw.DECODE[draw.encode(linear)], linear, rtol=0.06)


def test_a_sunlit_face_is_brighter_than_one_in_shade() -> None:
    normal = LIGHT.direction
    assert LIGHT.on(normal) > LIGHT.sun
    assert LIGHT.on(-normal) < LIGHT.sky


def test_shadow_falls_away_from_the_sun() -> None:
    pole = (draw.tube(np.array([0.0, 6.0, 0.0]), np.array([0.0, 6.0, 1.0]), 0.05, (0.5, 0.5, 0.5)),)
    shadow = draw.cast_shadow(VIEW, LIGHT, [pole])
    foot = VIEW.width // 2
    assert shadow[:, : foot - 8].sum() > 5 * shadow[:, foot + 2 :].sum()
    tip, _ = VIEW.project(np.array([[-0.75, 6.0, 0.0]]))
    assert np.flatnonzero(shadow.any(axis=0))[0] == pytest.approx(tip[0, 0], abs=3)


@pytest.mark.parametrize(
    "make, low, high, length", [(bicycle, 0.6, 1.5, 2.1), (car, 1.1, 2.3, 5.6), (person, 0.5, 2.6, 2.2)]
)
def test_figures_have_the_size_of_the_thing(make, low: float, high: float, length: float) -> None:  # noqa: ANN001
    for k in range(40):
        points = np.concatenate([part.points for part in make(np.random.default_rng(k))])
        assert np.isfinite(points).all()
        assert -0.05 < points[:, 2].min() < 0.4
        assert low < points[:, 2].max() < high
        assert 0.15 < np.ptp(points[:, 0]) < length


def test_faces_of_a_car_look_outwards() -> None:
    """From any side a closed body leaves no hole: its middle is painted in every view."""
    for k in range(12):
        figure = draw.placed(car(np.random.default_rng(k)), (0.0, 9.0), k * np.pi / 6)
        canvas = Canvas(VIEW, LIGHT, GREY)
        canvas.paint(figure, 1)
        u, v = VIEW.project(np.array([[0.0, 9.0, 0.7]]))[0][0]
        patch = canvas.numbers()[int(2 * v) - 4 : int(2 * v) + 4, int(2 * u) - 8 : int(2 * u) + 8]
        assert (patch == 1).all()


def test_mirrored_figure_is_the_mirrored_picture() -> None:
    figure = bicycle(np.random.default_rng(5))
    light = Light(np.array([0.0, -0.6, 0.8]), 0.7, 0.4)
    pictures = []
    for shape, yaw in ((figure, 0.7), (draw.mirrored(figure), np.pi - 0.7)):
        canvas = Canvas(VIEW, light, GREY)
        canvas.paint(draw.placed(shape, (0.0, 5.0), yaw), 1)
        pictures.append(canvas.numbers().astype(bool))
    assert pictures[0].sum() > 1000
    differing = (pictures[0] != pictures[1][:, ::-1]).sum()
    assert differing < 0.35 * pictures[0].sum()
    assert differing < 0.5 * (pictures[0] != pictures[1]).sum()


@pytest.mark.parametrize("make", PROPS)
def test_props_stand_on_the_ground(make) -> None:  # noqa: ANN001
    for k in range(10):
        points = np.concatenate([part.points for part in make(np.random.default_rng(k))])
        assert -0.01 < points[:, 2].min() < 0.2
        assert points[:, 2].max() < 6.0


@pytest.mark.seconds
def test_scene_is_a_function_of_the_generator(scenes: list[Scene]) -> None:
    again = draw_scene(np.random.default_rng([7, 3]), 432, 288)
    np.testing.assert_array_equal(again.radiance, scenes[3].radiance)
    assert again.objects == scenes[3].objects
    assert not np.array_equal(scenes[3].radiance, scenes[4].radiance)


def test_radiance_is_light(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.radiance.shape == (288, 432, 3) and scene.radiance.dtype == np.float32
        assert np.isfinite(scene.radiance).all() and scene.radiance.min() >= 0
        assert scene.radiance.std() > 0.01


def test_boxes_hug_the_masks(scenes: list[Scene]) -> None:
    for item, seen in ((item, s.numbers == item.number) for s in scenes for item in s.objects):
        left, top, right, bottom = (round(2 * side) for side in item.box)
        assert seen[top:bottom, left:right].sum() == seen.sum() > 0
        inside = seen[top:bottom, left:right]
        assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_flags_tell_the_truth(scenes: list[Scene]) -> None:
    items = [item for scene in scenes for item in scene.objects]
    for item in items:
        left, top, right, bottom = item.box
        assert item.truncated == (left == 0 or top == 0 or right == 432 or bottom == 288)
    assert 0 < sum(item.occluded for item in items) < len(items)


def test_every_class_is_drawn_about_as_often(scenes: list[Scene]) -> None:
    names = [item.name for scene in scenes for item in scene.objects]
    for name in CLASSES:
        assert 0.15 * len(names) < names.count(name) < 0.55 * len(names)
