"""Fixed cameras: shadows against closed forms, order of painting, flags of boxes, nights that are dark."""

import dataclasses

import numpy as np
import pytest

from loggrad_tf.scene import fixed, hours, place, traffic
from loggrad_tf.scene.car import car
from loggrad_tf.scene.draw import View, placed
from loggrad_tf.scene.fixed import FixedCamera
from loggrad_tf.scene.hours import LAMP, Day
from loggrad_tf.scene.person import passer_by, rider
from loggrad_tf.scene.place import GROUND, SKY, Place, Row
from loggrad_tf.scene.traffic import Stand

NOON, MIDNIGHT = 720, 1440
CLEAR = Day("clear", np.radians(20.0), (1.0, 1.0, 1.0))
ROW = Row(np.array([-400.0, 0.0, 400.0]), np.array([10.0, 4.0]))
STREET = Place(View(640, 480, 600.0, 100.0, 3.0), 0.6, 13.0, 3.0, 7.0, ROW, ROW)


@pytest.fixture(scope="module")
def camera() -> FixedCamera:
    """One without traffic of its own."""
    return dataclasses.replace(fixed.fixed_camera(np.random.default_rng([3, 1])), traffic=0.0)


def _frame(
    camera: FixedCamera, minute: float, stands: tuple[Stand, ...] = (), day: Day = CLEAR
) -> fixed.Frame:
    return fixed.take(camera, day, minute, stands, np.random.default_rng(5))


def _standing(camera: FixedCamera, name: str, across: float, q: float) -> Stand:
    """A figure on the line ``q`` in a column of the picture; a car drives along, a person faces so."""
    p = camera.place.seen_along(across, q)
    assert p is not None
    make = {"person": passer_by, "car": car}[name]
    figure = placed(make(np.random.default_rng(2)), camera.place.at(p, q), camera.place.yaw)
    return Stand(figure, name, p, q, 4.5 if name == "car" else 0.5, 1.8 if name == "car" else 0.5)


def _light(frame: fixed.Frame) -> float:
    return float(frame.codes.mean()) - 256.0


def test_street_coordinates_go_there_and_back() -> None:
    for p, q in ((0.0, 2.0), (12.0, 0.0), (-5.0, 9.0)):
        x, y = STREET.at(p, q)
        if y > 0:
            assert STREET.seen_along(x / y, q) == pytest.approx(p)
    assert STREET.at(0.0, STREET.distance) == pytest.approx((0.0, 0.0))
    along, out, high = STREET.street_axes(np.array([np.cos(0.6), np.sin(0.6), 0.5]))
    assert (along, out, high) == pytest.approx((1.0, 0.0, 0.5))


def test_surfaces_lie_where_the_rays_end() -> None:
    seen = place.surfaces(STREET, np.random.default_rng(0))
    assert {SKY, place.FACADE, GROUND} == set(np.unique(seen.kind))
    assert (seen.albedo[seen.kind == SKY] == 0).all() and seen.albedo.max() <= 1.5
    rng = np.random.default_rng(1)
    near = np.argwhere((seen.kind != SKY) & (seen.depth < 60.0))
    for row, column in rng.choice(near, 40):
        x, y = STREET.at(float(seen.p[row, column]), float(seen.q[row, column]))
        spot, depth = STREET.view.project(np.array([[x, y, float(seen.z[row, column])]]))
        np.testing.assert_allclose(spot[0], (column + 0.5, row + 0.5), atol=0.05)
        assert depth[0] == pytest.approx(float(seen.depth[row, column]), rel=1e-3)


def test_a_house_shades_as_far_as_it_is_high() -> None:
    """The sun behind the houses at 45 degrees: shade ends as far from the wall as the wall is high."""
    towards = np.array([-np.sin(0.6), np.cos(0.6), 1.0]) / np.sqrt(2.0)
    for p, height in ((-20.0, 10.0), (20.0, 4.0)):
        q = np.array([height - 0.5, height + 0.5])
        dark = place.shaded(STREET, np.full(2, p), q, np.zeros(2), towards)
        assert dark.tolist() == [True, False]
    above = place.shaded(STREET, np.array([20.0]), np.array([3.5]), np.array([0.8]), towards)
    assert above.tolist() == [False]


def test_the_sun_rises_in_the_east_and_is_highest_at_noon() -> None:
    high, west = zip(*(hours.elevation(CLEAR, minute) for minute in (420, 720, 1020)), strict=True)
    assert high[1] == pytest.approx(np.radians(90 - 50 + 20)) and high[0] == pytest.approx(high[2])
    assert west[0] < 0 and west[1] == pytest.approx(0.0, abs=1e-9) and west[2] == pytest.approx(-west[0])
    south = np.pi / 2  # ahead, so east is on the left
    morning, evening = (hours.hour_of(CLEAR, minute, south).direction for minute in (420, 1020))
    assert morning[0] < 0 < evening[0]


def test_light_falls_with_the_hour_and_the_weather() -> None:
    units = [hours.hour_of(CLEAR, minute, 0.0).unit for minute in (720, 1020, 1150, 1180, 1300)]
    assert units == sorted(units, reverse=True)
    assert units[-1] < 1.1 * LAMP < 1e-3 * units[0]
    dull = hours.hour_of(dataclasses.replace(CLEAR, weather="overcast"), NOON, 0.0)
    assert dull.sun == 0 and dull.unit < 0.6 * units[0]
    assert hours.hour_of(CLEAR, NOON, 0.0).by_day == 1.0
    assert hours.hour_of(CLEAR, MIDNIGHT, 0.0).by_day < 0.05


def test_far_things_are_painted_first() -> None:
    stands = [
        Stand((), "car", p, q, 4.5, 1.8) for q in (1.0, 4.0, 8.0) for p in (-15.0, -6.0, 1.0, 9.0, 20.0)
    ]
    rng = np.random.default_rng(0)
    for _ in range(5):
        order = traffic.far_to_near([stands[k] for k in rng.permutation(len(stands))])
        assert set(order) == set(stands)
        for place_, stand in enumerate(order):
            assert not any(later.behind(stand) for later in order[place_ + 1 :])


def test_nothing_stands_in_anothers_place(camera: FixedCamera) -> None:
    counts = set()
    for k in range(12):
        rng = np.random.default_rng([9, k])
        there = traffic.parked(camera.place, camera.furniture, rng)
        moving = traffic.passing(camera.place, (*camera.furniture, *there), 2.5, rng)
        counts.add(len(moving))
        assert len(moving) + len(there) <= traffic.MOST
        solid = [*there, *moving]
        riders = {b for a, b in zip(solid, solid[1:], strict=False) if a.name == "bicycle" and b.p == a.p}
        solid = [stand for stand in solid if stand not in riders]
        for place_, stand in enumerate(solid):
            assert not any(stand.touches(other) for other in solid[place_ + 1 :])
    assert len(counts) > 2


def test_cars_keep_to_the_right(camera: FixedCamera) -> None:
    cars = [
        stand
        for k in range(30)
        for stand in traffic.passing(camera.place, camera.furniture, 2.5, np.random.default_rng([8, k]))
        if stand.name == "car"
    ]
    far, near = camera.place.lanes
    assert {stand.heading for stand in cars} == {-1.0, 1.0}
    for stand in cars:
        assert stand.q == pytest.approx(near if stand.heading > 0 else far, abs=0.7)


def test_a_rider_sits_on_the_saddle() -> None:
    for k in range(20):
        spots = np.concatenate(
            [p.points for p in rider(np.random.default_rng(k), np.array([-0.2, 0.0, 0.95]))]
        )
        assert 1.2 < spots[:, 2].max() < 2.5
        assert -0.1 < spots[:, 2].min() < 0.7


def test_a_frame_is_a_function_of_the_generator(camera: FixedCamera) -> None:
    busy = dataclasses.replace(camera, traffic=2.0)
    one, again = (_frame(busy, NOON) for _ in range(2))
    np.testing.assert_array_equal(one.codes, again.codes)
    assert one.objects == again.objects
    assert one.codes.shape == (480, 640) and one.codes.dtype == np.uint16


@pytest.mark.seconds
def test_night_is_darker_and_noisier_than_day(camera: FixedCamera) -> None:
    noon, night = (_frame(camera, minute) for minute in (NOON, MIDNIGHT))
    assert 0 < _light(night) < 0.6 * _light(noon)

    def noise(minute: float) -> float:
        """Of two exposures, relative to the light."""
        pair = [
            fixed.take(camera, CLEAR, minute, (), np.random.default_rng(k)).codes.astype(float)
            for k in (1, 2)
        ]
        ground = camera.surfaces.kind == GROUND
        return float((pair[0] - pair[1])[ground].std() / (pair[0][ground].mean() - 256.0))

    assert noise(MIDNIGHT) > 1.5 * noise(NOON)


def test_shadows_move_with_the_hour(camera: FixedCamera) -> None:
    ground = camera.surfaces.kind == GROUND
    morning, evening = (_frame(camera, minute).codes.astype(float) for minute in (540, 960))
    assert np.corrcoef(morning[ground], evening[ground])[0, 1] < 0.97
    again = _frame(camera, 541).codes.astype(float)
    assert np.corrcoef(morning[ground], again[ground])[0, 1] > 0.97


def test_a_person_behind_a_car_is_occluded(camera: FixedCamera) -> None:
    far, near = camera.place.lanes
    person = _standing(camera, "person", 0.0, far)
    alone = _frame(camera, NOON, (person,)).objects
    assert [(one.name, one.occluded, one.difficult) for one in alone] == [("person", False, False)]
    both = _frame(camera, NOON, (person, _standing(camera, "car", 0.0, near))).objects
    hidden = {one.name: one for one in both}
    assert not hidden["car"].occluded
    assert "person" not in hidden or hidden["person"].occluded


def test_cut_and_tiny_ones_are_difficult(camera: FixedCamera) -> None:
    _, near = camera.place.lanes
    edge = 0.5 * 640 / camera.place.view.focal
    (half,) = _frame(camera, NOON, (_standing(camera, "car", 0.9 * edge, near),)).objects
    assert half.truncated and half.box[2] == 640 and not half.difficult
    (cut,) = _frame(camera, NOON, (_standing(camera, "car", 1.2 * edge, near),)).objects
    assert cut.truncated and cut.difficult
    person = _standing(camera, "person", 0.0, near)
    doll = traffic.grown(passer_by(np.random.default_rng(2)), 0.08)
    small = dataclasses.replace(person, figure=placed(doll, camera.place.at(person.p, near), 0.0))
    (tiny,) = _frame(camera, NOON, (small,)).objects
    assert tiny.box[3] - tiny.box[1] < fixed.TINY
    assert tiny.difficult and not tiny.truncated and not tiny.occluded


@pytest.mark.seconds
def test_cars_have_lights_at_night(camera: FixedCamera) -> None:
    busy = dataclasses.replace(camera, traffic=4.0, lamps=())
    clipped: dict[bool, list[int]] = {True: [], False: []}
    for k in range(10):
        frame = fixed.take(busy, CLEAR, MIDNIGHT, (), np.random.default_rng(k))
        cars = any(one.name == "car" for one in frame.objects)
        clipped[cars].append(int((frame.codes == 4095).sum()))
    assert max(clipped[False]) < 10 and max(clipped[True]) > 50
