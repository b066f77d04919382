"""A person as an articulated skeleton in clothes: standing, walking, running, sitting, crouching.

Axes as in :mod:`loggrad_tf.scene.draw`: the person faces +x, the lowest foot is on z = 0. Limb lengths
are shares of the stature (Drillis and Contini's segment table, rounded); angles in radians.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from loggrad_tf.scene.colours import cloth, grey, hair, skin
from loggrad_tf.scene.draw import Colour, Figure, Hull, Part, Wire, box, circle


@dataclasses.dataclass(frozen=True)
class _Pose:
    """Joint angles, left side first: forward swing of thigh and upper arm, bend of knee and elbow."""

    thigh: tuple[float, float]
    knee: tuple[float, float]
    arm: tuple[float, float]
    elbow: tuple[float, float]
    spread: tuple[float, float]
    stoop: float
    seated: bool


@dataclasses.dataclass(frozen=True)
class _Clothes:
    top: Colour
    sleeve: Colour
    leg: Colour
    shoe: Colour
    skin: Colour
    hair: Colour
    stripe: Colour | None
    skirt: float
    coat: float
    short_sleeves: bool
    shorts: bool


_KINDS = ("stand", "walk", "run", "sit", "crouch")


def person(rng: np.random.Generator) -> Figure:
    """A random person; stature 1.0 (child) to 1.95 m."""
    return _standing(_figure(rng, lambda: _posture(rng, (0.36, 0.28, 0.1, 0.17, 0.09))))


def passer_by(rng: np.random.Generator) -> Figure:
    """A person who walks, stands or runs."""
    return _standing(_figure(rng, lambda: _posture(rng, (0.2, 0.65, 0.15, 0.0, 0.0))))


def rider(rng: np.random.Generator, saddle: np.ndarray) -> Figure:
    """A person who rides a bicycle whose saddle is at ``saddle`` [3]."""
    lift = saddle + np.array([0.0, 0.0, 0.05])
    figure = _figure(rng, lambda: _riding(rng))
    return tuple(dataclasses.replace(part, points=part.points + lift) for part in figure)


def _figure(rng: np.random.Generator, posture: Callable[[], _Pose]) -> Figure:
    """A dressed skeleton in a pose; the pelvis is the origin."""
    stature = float(rng.uniform(1.0, 1.4) if rng.random() < 0.1 else rng.normal(1.71, 0.09))
    girth = float(np.exp(rng.normal(0.05, 0.17)))
    clothes = _dress(rng)
    pose = posture()
    points = _skeleton(stature, pose, girth, float(rng.normal(0.0, 0.12)))
    figure = tuple(
        _legs(points, stature, girth, clothes)
        + _trunk(points, stature, girth, clothes)
        + _arms(points, stature, girth, clothes)
        + _head(points, stature, clothes, rng)
        + _baggage(points, stature, rng)
    )
    if pose.seated:
        low = 0.06 * stature * girth
        figure += box((-0.25, -0.25, -0.26 * stature), (0.18, 0.25, -low), grey(rng))
    return figure


def _standing(figure: Figure) -> Figure:
    lowest = min(float((p.points[:, 2] - (p.radii if isinstance(p, Hull) else 0.0)).min()) for p in figure)
    lift = np.array([0.0, 0.0, -lowest])
    return tuple(dataclasses.replace(part, points=part.points + lift) for part in figure)


def _riding(rng: np.random.Generator) -> _Pose:
    """Hands on the bars, one pedal up and the other down."""
    turn = float(rng.uniform(0.0, np.pi))
    up = (0.5 + 0.5 * np.cos(turn), 0.5 - 0.5 * np.cos(turn))
    return _Pose(
        thigh=(0.55 + 0.6 * up[0], 0.55 + 0.6 * up[1]),
        knee=(0.55 + 0.9 * up[0], 0.55 + 0.9 * up[1]),
        arm=(0.75, 0.75),
        elbow=(0.25, 0.25),
        spread=(0.12, 0.12),
        stoop=float(rng.uniform(0.3, 0.65)),
        seated=False,
    )


def _posture(rng: np.random.Generator, shares: tuple[float, ...]) -> _Pose:
    kind = str(rng.choice(_KINDS, p=shares))
    swing = float(rng.uniform(0.15, 0.55)) * float(rng.choice([-1.0, 1.0]))
    if kind == "run":
        swing *= 1.8
    thigh = {
        "stand": rng.normal(0.03, 0.08, 2),
        "walk": np.array([swing, -swing]) * 0.85,
        "run": np.array([swing, -swing]),
        "sit": rng.normal(1.4, 0.1, 2),
        "crouch": rng.normal(1.9, 0.2, 2),
    }[kind]
    knee = {
        "stand": np.abs(rng.normal(0.05, 0.08, 2)),
        "walk": np.where(thigh < 0, 0.5, 0.1) + rng.uniform(0, 0.2, 2),
        "run": np.where(thigh < 0, 1.3, 0.5),
        "sit": rng.normal(1.45, 0.15, 2),
        "crouch": rng.normal(2.2, 0.2, 2),
    }[kind]
    arm = -0.8 * np.sign(thigh) * np.minimum(np.abs(thigh), 0.7) if kind in ("walk", "run") else np.zeros(2)
    arm = arm + rng.normal(0.05, 0.12, 2)
    elbow = np.abs(rng.normal(1.3 if kind == "run" else 0.25, 0.2, 2))
    spread = np.abs(rng.normal(0.14, 0.1, 2))
    for side in range(2):
        gesture = rng.random()
        if kind in ("sit", "crouch"):
            arm[side], elbow[side] = rng.uniform(0.3, 0.9), rng.uniform(0.3, 1.1)
        elif gesture < 0.1:
            arm[side], elbow[side] = rng.uniform(0.4, 0.8), rng.uniform(1.7, 2.3)
        elif gesture < 0.16:
            spread[side], elbow[side] = rng.uniform(0.5, 0.8), rng.uniform(1.0, 1.6)
        elif gesture < 0.21:
            arm[side], spread[side] = rng.uniform(1.4, 2.8), rng.uniform(0.1, 0.6)
    stoop = float(rng.normal({"run": 0.2, "sit": 0.05, "crouch": 0.5}.get(kind, 0.04), 0.06))

    def pair(values: np.ndarray) -> tuple[float, float]:
        return float(values[0]), float(values[1])

    return _Pose(pair(thigh), pair(knee), pair(arm), pair(elbow), pair(spread), stoop, kind == "sit")


def _dress(rng: np.random.Generator) -> _Clothes:
    top, leg = cloth(rng), cloth(rng) if rng.random() < 0.5 else grey(rng, 0.02, 0.2)
    kind = rng.random()
    return _Clothes(
        top=top,
        sleeve=top if rng.random() < 0.8 else cloth(rng),
        leg=leg,
        shoe=grey(rng, 0.02, 0.6),
        skin=skin(rng),
        hair=hair(rng),
        stripe=cloth(rng) if rng.random() < 0.3 else None,
        skirt=float(rng.uniform(0.5, 0.95)) if kind < 0.16 else 0.0,
        coat=float(rng.uniform(0.3, 0.8)) if 0.16 <= kind < 0.32 else 0.0,
        short_sleeves=bool(rng.random() < 0.4),
        shorts=bool(rng.random() < 0.22),
    )


def _skeleton(stature: float, pose: _Pose, girth: float, twist: float) -> dict[str, np.ndarray]:
    """Joint positions; names end in L or R. The pelvis is the origin."""
    stoop = np.array([np.sin(pose.stoop), 0.0, np.cos(pose.stoop)])
    chest = 0.27 * stature * stoop
    neck = 0.31 * stature * stoop
    points = {"pelvis": np.zeros(3), "chest": chest, "neck": neck, "head": neck + 0.085 * stature * stoop}
    across = np.array([-np.sin(twist), np.cos(twist), 0.0])
    for k, (name, sign) in enumerate((("L", 1.0), ("R", -1.0))):
        hip = np.array([0.0, sign * 0.052 * stature * girth**0.5, 0.0])
        shoulder = chest + sign * 0.105 * stature * girth**0.3 * across
        knee = hip + 0.245 * stature * _swing(pose.thigh[k], 0.06 * sign)
        ankle = knee + 0.235 * stature * _swing(pose.thigh[k] - pose.knee[k], 0.02 * sign)
        elbow = shoulder + 0.175 * stature * _swing(pose.arm[k], sign * pose.spread[k])
        fold = 0.3 if pose.arm[k] > 1.2 else 1.0
        wrist = elbow + 0.15 * stature * _swing(
            pose.arm[k] + fold * pose.elbow[k], sign * (pose.spread[k] if pose.spread[k] < 0.45 else -0.6)
        )
        points |= {"hip" + name: hip, "knee" + name: knee, "ankle" + name: ankle}
        points |= {"shoulder" + name: shoulder, "elbow" + name: elbow, "wrist" + name: wrist}
        points["toe" + name] = ankle + 0.1 * stature * _swing(
            pose.thigh[k] - pose.knee[k] + 1.45, 0.15 * sign
        )
    return points


def _swing(forward: float, aside: float) -> np.ndarray:
    """Direction of a limb: straight down, turned forward and then away from the body."""
    return np.array([np.sin(forward) * np.cos(aside), np.sin(aside), -np.cos(forward) * np.cos(aside)])


def _limb(points: dict[str, np.ndarray], a: str, b: str, ra: float, rb: float, colour: Colour) -> Hull:
    return Hull(np.stack([points[a], points[b]]), np.array([ra, rb]), colour)


def _legs(points: dict[str, np.ndarray], stature: float, girth: float, clothes: _Clothes) -> list[Part]:
    wide = 0.044 * stature * girth
    bare = clothes.shorts or clothes.skirt > 0
    shin = clothes.skin if bare else clothes.leg
    parts: list[Part] = []
    for side in "LR":
        calf = 0.65 * wide if bare else 0.78 * wide
        parts.append(_limb(points, "hip" + side, "knee" + side, wide * 1.12, calf, clothes.leg))
        parts.append(_limb(points, "knee" + side, "ankle" + side, calf, 0.62 * calf, shin))
        sole = Hull(
            np.stack([points["ankle" + side] - [0.02, 0, 0.02], points["toe" + side]]),
            np.array([0.026, 0.019]) * stature,
            clothes.shoe,
        )
        parts.append(sole)
    if clothes.skirt > 0:
        parts.append(_hanging(points, clothes.skirt, wide, clothes.leg))
    return parts


def _hanging(points: dict[str, np.ndarray], length: float, wide: float, colour: Colour) -> Hull:
    """Cloth round both thighs, ``length`` of the way to the knees (skirt, coat tails)."""
    hems = [points["hip" + s] + length * (points["knee" + s] - points["hip" + s]) for s in "LR"]
    rims = [points["hipL"], points["hipR"], *hems]
    radii = np.array([1.2, 1.2, 1.35, 1.35]) * wide
    return Hull(np.stack(rims), radii, colour, bias=0.08)


def _trunk(points: dict[str, np.ndarray], stature: float, girth: float, clothes: _Clothes) -> list[Part]:
    wide = 0.042 * stature * girth
    belly = points["pelvis"] + 0.45 * points["chest"] + [0.015 * girth, 0.0, 0.0]
    shoulders = [points["shoulder" + s] * [1.0, 0.88, 1.0] for s in "LR"]
    spots = [points["hipL"], points["hipR"], belly, *shoulders]
    girth_at = np.array([1.15, 1.15, 1.7, 0.95, 0.95]) * wide
    parts: list[Part] = [Hull(np.stack(spots), girth_at, clothes.top, bias=0.06)]
    if clothes.stripe is not None:
        for share in (0.35, 0.55, 0.75):
            band = [(1 - share) * points["hip" + s] + share * points["shoulder" + s] for s in "LR"]
            knit = np.full(2, 0.47 * wide)
            parts.append(Hull(np.stack(band) * [1.0, 0.95, 1.0], knit, clothes.stripe, bias=0.2, round=False))
    if clothes.coat > 0:
        parts.append(_hanging(points, clothes.coat, wide, clothes.top))
    return parts


def _arms(points: dict[str, np.ndarray], stature: float, girth: float, clothes: _Clothes) -> list[Part]:
    wide = 0.028 * stature * girth
    fore = clothes.skin if clothes.short_sleeves else clothes.sleeve
    parts: list[Part] = []
    for side in "LR":
        parts.append(_limb(points, "shoulder" + side, "elbow" + side, 1.2 * wide, wide, clothes.sleeve))
        parts.append(_limb(points, "elbow" + side, "wrist" + side, 0.9 * wide, 0.7 * wide, fore))
        reach = points["wrist" + side] - points["elbow" + side]
        hand = points["wrist" + side] + 0.22 * reach
        parts.append(
            Hull(np.stack([points["wrist" + side], hand]), np.array([0.018, 0.02]) * stature, clothes.skin)
        )
    return parts


def _head(
    points: dict[str, np.ndarray], stature: float, clothes: _Clothes, rng: np.random.Generator
) -> list[Part]:
    size = 0.062 * max(stature, 1.35)
    head = points["head"] + np.array([0.01, 0.0, 0.3 * size])
    chin = head + np.array([0.25 * size, 0.0, -0.75 * size])
    parts: list[Part] = [
        _limb(points, "neck", "head", 0.033 * stature, 0.03 * stature, clothes.skin),
        Hull(np.stack([head, chin]), np.array([0.95, 0.62]) * size, clothes.skin, bias=0.03),
    ]
    style = rng.random()
    crown = np.stack([head + [-0.22 * size, 0, 0.2 * size], head + [0.15 * size, 0, 0.5 * size]])
    if style < 0.8:
        parts.append(Hull(crown, np.array([0.95, 0.72]) * size, clothes.hair, bias=0.0))
        top = head + np.array([[-0.2, 0.0, 0.6], [0.45, 0.35, 0.55], [0.45, -0.35, 0.55]]) * size
        parts.append(Hull(top, np.array([0.55, 0.42, 0.42]) * size, clothes.hair, bias=0.08))
    if style < 0.3:
        ends = points["neck"] + np.array([-0.05 * stature, 0.0, -0.04 * stature])
        parts.append(Hull(np.stack([crown[0], ends]), np.array([1.0, 0.8]) * size, clothes.hair, bias=0.0))
    elif style > 0.78:
        hat = cloth(rng)
        dome = head + np.array([0.0, 0.0, 0.55 * size])
        parts.append(
            Hull(
                np.stack([dome, dome + [0.05 * size, 0, 0.25 * size]]),
                np.array([0.95, 0.75]) * size,
                hat,
                bias=0.1,
            )
        )
        brim = dome + np.array([1.3 * size, 0.0, -0.05 * size])
        parts.append(Hull(np.stack([dome, brim]), np.array([0.4, 0.25]) * size, hat, bias=0.15))
    for side in (-1.0, 1.0):
        eye = head + np.array([0.88 * size, side * 0.36 * size, -0.02 * size])
        parts.append(Hull(eye[None], np.array([0.012]), (0.03, 0.02, 0.02), bias=0.05))
    return parts


def _baggage(points: dict[str, np.ndarray], stature: float, rng: np.random.Generator) -> list[Part]:
    kind = rng.random()
    colour = cloth(rng)
    if kind < 0.15:
        back = points["chest"] + np.array([-0.13 * stature**0.5, 0.0, 0.0])
        spots = back + np.array([[0, 0.06, 0.03], [0, -0.06, 0.03], [0, 0.07, -0.26], [0, -0.07, -0.26]])
        return [Hull(spots, np.full(4, 0.085), colour, bias=0.0)]
    side = "L" if rng.random() < 0.5 else "R"
    hand = points["wrist" + side] + 0.2 * (points["wrist" + side] - points["elbow" + side])
    if kind < 0.27 and hand[2] < 0.1:
        bottom = hand - [0.0, 0.0, 0.33]
        spots = np.stack(
            [bottom + [0.1, 0, 0], bottom - [0.1, 0, 0], bottom + [0.09, 0, 0.17], bottom - [0.09, 0, -0.17]]
        )
        straps = Wire(np.stack([spots[2], hand, spots[3]]), 0.008, colour)
        return [Hull(spots, np.full(4, 0.04), colour, bias=0.03), straps]
    if kind < 0.34:
        strap = np.stack([points["shoulderL"], points["hipR"] + [0.09, 0, 0]])
        pouch = points["hipR"] + np.array([[0.1, -0.06, -0.02], [-0.12, -0.06, -0.02], [0.0, -0.06, -0.16]])
        return [
            Hull(strap, np.array([0.02, 0.02]), colour, bias=0.25),
            Hull(pouch, np.full(3, 0.05), colour, bias=0.1),
        ]
    if kind < 0.39:
        grip = points["wrist" + side]
        top = np.array([grip[0], grip[1] * 0.5, points["head"][2] + 0.35])
        rim = circle(top - [0, 0, 0.2], 0.48, np.array([0.0, 0.0, 1.0]), 10)
        canopy = np.concatenate([rim, top[None]])
        return [
            Wire(np.stack([grip, top]), 0.01, grey(rng)),
            Hull(canopy, np.full(11, 0.01), colour, round=False),
        ]
    return []
