"""What stands and passes in a street: furniture, parked vehicles; persons, cars and cyclists on their way.

Everything keeps to its strip: persons to the pavements (some cross the road), cars to their lane on the
right, bicycles to the lanes' edges; nothing stands in another thing's place.
"""

import dataclasses

import numpy as np

from loggrad_tf.scene.bicycle import bicycle
from loggrad_tf.scene.car import car
from loggrad_tf.scene.colours import grey
from loggrad_tf.scene.draw import Figure, Hull, Part, Wire, mirrored, placed, tube
from loggrad_tf.scene.person import passer_by, rider
from loggrad_tf.scene.place import Place
from loggrad_tf.scene.props import bench, bin_, crate, dummy, post, tree

MOST = 6
LAMP_HEIGHT = 5.4
_ARM = 1.2
_FARTHEST = 48.0
_TRIES = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Stand:
    """A figure in its place.

    Attributes:
      figure: in the axes of the view.
      name: its class; empty for furniture.
      p, q: its middle, in street coordinates.
      length, width: what it takes of the street along ``p`` and ``q``, metres.
      heading: 1 if it faces along ``p``, -1 if against it.
    """

    figure: Figure
    name: str
    p: float
    q: float
    length: float
    width: float
    heading: float = 1.0

    def touches(self, other: "Stand") -> bool:
        """Whether the two would stand in one another, or nearly."""
        apart = abs(self.p - other.p) - (self.length + other.length) / 2
        aside = abs(self.q - other.q) - (self.width + other.width) / 2
        return apart < 0.25 and aside < 0.1

    def behind(self, other: "Stand") -> bool:
        """Whether this one cannot hide the other, seen from p = 0 and a greater q."""
        if abs(self.q - other.q) >= (self.width + other.width) / 2:
            return self.q < other.q
        return abs(self.p) > abs(other.p)


def far_to_near(stands: list[Stand]) -> list[Stand]:
    """In the order in which they are painted."""
    left, order = sorted(stands, key=lambda stand: (stand.q, -abs(stand.p))), []
    while left:
        free = (s for s in left if not any(other.behind(s) for other in left if other is not s))
        order.append(next(free, left[0]))
        left.remove(order[-1])
    return order


def _stand(
    place: Place, figure: Figure, name: str, p: float, q: float, heading: float = 1.0, turned: float = 0.0
) -> Stand:
    """Put a figure at (p, q), facing along or against ``p`` and then turned by ``turned`` radians."""
    yaw = place.yaw + (0.0 if heading > 0 else np.pi) + turned
    around = placed(figure, (0.0, 0.0), yaw - place.yaw)
    spots = np.concatenate([part.points for part in around])
    length, width = float(np.ptp(spots[:, 0])), float(np.ptp(spots[:, 1]))
    return Stand(placed(figure, place.at(p, q), yaw), name, p, q, max(length, 0.2), max(width, 0.2), heading)


def grown(figure: Figure, factor: float) -> Figure:
    """The figure at another size."""

    def part(one: Part) -> Part:
        points = one.points * factor
        if isinstance(one, Hull):
            return dataclasses.replace(one, points=points, radii=one.radii * factor)
        if isinstance(one, Wire):
            return dataclasses.replace(one, points=points, radius=one.radius * factor)
        return dataclasses.replace(one, points=points)

    return tuple(part(one) for one in figure)


def _lamp_post(rng: np.random.Generator) -> Figure:
    """A street lamp; its arm reaches towards -y."""
    colour, top = grey(rng, 0.05, 0.4), np.array([0.0, 0.0, LAMP_HEIGHT])
    head = top + np.array([0.0, -_ARM, 0.1])
    lamp = Hull(np.stack([head, head + [0.0, 0.35, 0.0]]), np.array([0.12, 0.1]), grey(rng, 0.3, 0.7))
    return tube(np.zeros(3), top, 0.07, colour, 0.7), tube(top, head, 0.04, colour), lamp


def furniture(
    place: Place, rng: np.random.Generator
) -> tuple[tuple[Stand, ...], tuple[tuple[float, float, float], ...]]:
    """What stands in a street for years, and where its lamps hang: p, q, height of each."""
    kerb, far_kerb = place.pavement - 0.35, place.pavement + place.road + 0.5
    spacing, start = float(rng.uniform(15.0, 24.0)), float(rng.uniform(-40.0, -25.0))
    stands, lamps = [], []
    for step in range(8):
        p = start + step * spacing
        stands.append(_stand(place, _lamp_post(rng), "", p, kerb))
        lamps.append((p, kerb + _ARM, LAMP_HEIGHT))
    things: list[tuple[Figure, float, float]] = []
    for _ in range(int(rng.integers(3, 8))):
        make = (bin_, bench, crate, dummy, post)[int(rng.integers(5))]
        things.append((make(rng), 0.45, float(rng.uniform(0.0, 6.28)) if make is not bench else -np.pi / 2))
    for _ in range(int(rng.integers(1, 5))):
        things.append((grown(tree(rng), float(rng.uniform(1.3, 2.2))), kerb - 0.1, 0.0))
    for _ in range(int(rng.integers(0, 3))):
        things.append((post(rng), far_kerb, float(rng.uniform(0.0, 6.28))))
    for figure, q, turned in things:
        for _ in range(_TRIES):
            spot = _somewhere(place, q, rng)
            stand = None if spot is None else _stand(place, figure, "", spot, q, turned=turned)
            if stand is not None and not any(stand.touches(other) for other in stands):
                stands.append(stand)
                break
    seen = [stand for stand in stands if place.at(stand.p, stand.q)[1] > 1.5]
    return tuple(seen), tuple(lamps)


def parked(place: Place, standing: tuple[Stand, ...], rng: np.random.Generator) -> tuple[Stand, ...]:
    """Vehicles that stay all day: up to two cars at the far kerb, up to one bicycle at a wall."""
    found: list[Stand] = []
    kinds = ["car"] * int(rng.choice([0, 1, 2], p=[0.5, 0.3, 0.2])) + ["bicycle"] * int(rng.random() < 0.35)
    for name in kinds:
        q = place.pavement + 1.0 if name == "car" else 0.5
        figure = car(rng) if name == "car" else bicycle(rng)
        stand = _free(place, figure, name, q, -1.0, [*standing, *found], rng)
        if stand is not None:
            found.append(stand)
    return tuple(found)


def passing(
    place: Place, standing: tuple[Stand, ...], mean: float, rng: np.random.Generator
) -> tuple[Stand, ...]:
    """Those on their way at one moment: none to six persons, cars and bicycles with riders.

    Args:
      standing: what is there already, objects among them.
      mean: how many on average, about.
    """
    there = [stand for stand in standing if stand.name]
    found: list[Stand] = []
    for _ in range(int(rng.poisson(mean))):
        kind = str(rng.choice(["person", "pair", "car", "cyclist"], p=[0.3, 0.12, 0.31, 0.27]))
        room = MOST - len(found) - len(there)
        if room < (2 if kind in ("pair", "cyclist") else 1):
            continue
        taken = [*standing, *found]
        if kind == "car":
            far = bool(rng.random() < 0.5) and not any(stand.name == "car" for stand in there)
            figure = mirrored(car(rng)) if rng.random() < 0.5 else car(rng)
            q = place.lanes[0 if far else 1] + float(rng.normal(0.0, 0.15))
            found += _one(_free(place, figure, "car", q, -1.0 if far else 1.0, taken, rng))
        elif kind == "cyclist":
            found += _cyclist(place, taken, rng)
        else:
            found += _walkers(place, taken, 2 if kind == "pair" else 1, rng)
    return tuple(found)


def _one(stand: Stand | None) -> list[Stand]:
    return [] if stand is None else [stand]


def _cyclist(place: Place, taken: list[Stand], rng: np.random.Generator) -> list[Stand]:
    """A bicycle and its rider, who is painted after it."""
    far = bool(rng.random() < 0.5)
    q = place.pavement + (0.8 if far else place.road - 0.8) + float(rng.normal(0.0, 0.15))
    wheels = bicycle(rng)
    spots = np.concatenate([part.points for part in wheels])
    above = spots[(spots[:, 0] > -0.3) & (spots[:, 0] < 0.0)]
    saddle = np.array([-0.2, 0.0, float(above[:, 2].max())])
    machine = _free(place, wheels, "bicycle", q, -1.0 if far else 1.0, taken, rng)
    if machine is None:
        return []
    on_it = _stand(place, rider(rng, saddle), "person", machine.p, machine.q, machine.heading)
    return [machine, on_it]


def _walkers(place: Place, taken: list[Stand], count: int, rng: np.random.Generator) -> list[Stand]:
    heading = float(rng.choice([-1.0, 1.0]))
    turned = float(rng.normal(0.0, 0.25))
    strip = rng.random()
    near = place.pavement + place.road
    if strip < 0.55:
        q = float(rng.uniform(0.7, place.pavement - 0.7))
    elif strip < 0.85:
        q = near + float(rng.uniform(0.4, max(0.5, place.distance - near - 1.8)))
    else:
        q, turned = float(rng.uniform(place.pavement + 0.5, near - 0.5)), np.pi / 2 + turned
    first = _free(place, passer_by(rng), "person", q, heading, taken, rng, turned)
    if first is None or count == 1:
        return _one(first)
    beside = first.p + float(rng.uniform(-0.3, 0.3))
    second = _stand(place, passer_by(rng), "person", beside, q + first.width / 2 + 0.5, heading, turned)
    return [first] if any(second.touches(other) for other in (*taken, first)) else [first, second]


def _free(
    place: Place,
    figure: Figure,
    name: str,
    q: float,
    heading: float,
    taken: list[Stand],
    rng: np.random.Generator,
    turned: float = 0.0,
) -> Stand | None:
    """The figure where there is room for it and the camera sees it; None if none was found."""
    for _ in range(_TRIES):
        p = _somewhere(place, q, rng)
        if p is None:
            continue
        stand = _stand(place, figure, name, p, q, heading, turned)
        nearest = min(float(part.points[:, 1].min()) for part in stand.figure)
        if nearest > 1.5 and not any(stand.touches(other) for other in taken):
            return stand
    return None


def _somewhere(place: Place, q: float, rng: np.random.Generator) -> float | None:
    """A place on the line ``q`` that the camera sees, evenly over the picture's width; None if it missed."""
    edge = 0.52 * place.view.width / place.view.focal
    p = place.seen_along(float(rng.uniform(-edge, edge)), q)
    if p is None:
        return None
    depth = place.at(p, q)[1]
    nearest = place.view.focal * place.view.eye / (place.view.height - place.view.horizon)
    return p if 0.8 * nearest < depth < _FARTHEST else None
