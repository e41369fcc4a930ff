"""A moving body: what clips are, and how they are put together from turns of joints and paths of feet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from portraitist.body.posing import SIDES, Rig, match_axes, to_local
from portraitist.body.skeleton import JOINTS, PARENTS, SKELETON
from portraitist.types import EXPRESSION_NAMES

RATE = 30  # moments of a second at which clips are told, as in games
STRETCH = 0.9995  # of its length: no leg is pulled out further, since a knee that is quite straight snaps

GIRDLE = 1 / 3  # of the angle by which an arm is lifted: the shoulder blade turns so far, the arm in it by the rest
"""The rhythm of Inman, Saunders and Abbott (1944)."""


@dataclass(frozen=True)
class Clip:
    """A motion that ends as it begins. ``times``: seconds from 0 on. ``turns``: of each joint relatively to its parent,
    from its rest, in the order of ``SKELETON``. ``hips``: where the hips are, meters. ``weights``: of the 52
    expressions. ``speed``: meters per second at which the ground passes backwards below a planted foot."""

    name: str
    times: Float[np.ndarray, "t"]
    turns: Float[np.ndarray, "t j 3 3"]
    hips: Float[np.ndarray, "t 3"]
    weights: Float[np.ndarray, "t 52"]
    speed: float = 0.0


@dataclass(frozen=True)
class FootPath:
    """Of one foot. ``ankle``: meters. ``pitch_deg``, ``toes_deg``: by how much foot and toes point up, against the
    ground. ``yaw_deg``: by how much it is turned out."""

    ankle: Float[np.ndarray, "t 3"]
    pitch_deg: Float[np.ndarray, "t"]
    toes_deg: Float[np.ndarray, "t"]
    yaw_deg: float


def rotate(axis: str, degrees: float | Float[np.ndarray, "*t"]) -> Float[np.ndarray, "*t 3 3"]:
    """About x, y or z, counterclockwise as seen from its end."""
    angles = np.radians(np.asarray(degrees, np.float64))
    cos, sin = np.cos(angles), np.sin(angles)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    turns = np.zeros((*angles.shape, 3, 3))
    turns[..., range(3), range(3)] = 1
    turns[..., first, first] = turns[..., second, second] = cos
    turns[..., second, first], turns[..., first, second] = sin, -sin
    return turns


def rise(times: Float[np.ndarray, "t"], start: float, end: float) -> Float[np.ndarray, "t"]:
    """From 0 to 1, as hands and heads move: with the least jerk (Flash and Hogan 1985)."""
    x = np.clip((times - start) / (end - start), 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def mirror(turns: Float[np.ndarray, "*t 3 3"], side: str) -> Float[np.ndarray, "*t 3 3"]:
    """What is told of the left side, for ``side``."""
    flip = np.array([SIDES[side], 1.0, 1.0])
    return turns * flip[:, None] * flip


def make_clip(
    name: str,
    rig: Rig,
    times: Float[np.ndarray, "t"],
    turns: Mapping[str, Float[np.ndarray, "*t 3 3"]],
    hips: Float[np.ndarray, "t 3"],
    feet: Mapping[str, FootPath],
    weights: Mapping[str, Float[np.ndarray, "t"]],
    speed: float = 0.0,
) -> Clip:
    """``turns``: of joints relatively to their parents, from the T-pose; what is not named does not turn. Shoulders go
    with the arms. ``feet``: of both sides, which legs reach for. ``weights``: of expressions by their names."""
    turns = _turn_girdle(turns, rig)
    world = np.zeros((len(times), len(SKELETON), 3, 3))
    for bone, parent in zip(SKELETON, PARENTS, strict=True):
        own = turns.get(bone.name, np.eye(3))
        world[:, JOINTS[bone.name]] = own if parent < 0 else world[:, parent] @ own
    for side, path in feet.items():
        _reach(world, rig, hips, side, path)
    values = np.zeros((len(times), len(EXPRESSION_NAMES)))
    for expression, row in weights.items():
        values[:, EXPRESSION_NAMES.index(expression)] = row
    return Clip(name, times, to_local(world @ rig.alignment), hips, values, speed)


def carry_hips(
    rig: Rig,
    side: str,
    path: FootPath,
    hips: Float[np.ndarray, "t 3"],
    turns: Float[np.ndarray, "*t 3 3"],
    length: float | Float[np.ndarray, "t"],
) -> Float[np.ndarray, "t"]:
    """How high the hips are when the leg of one side is as long as ``length`` from hip to ankle; meters. ``turns``: of
    the hips. Of ``hips`` the heights do not count."""
    offset = turns @ (rig.place(f"{side}UpperLeg") - rig.place("hips"))
    apart = ((hips + offset - path.ankle)[:, [0, 2]] ** 2).sum(1)
    return path.ankle[:, 1] - offset[..., 1] + np.sqrt(np.asarray(length) ** 2 - apart)


def _turn_girdle(turns: Mapping[str, np.ndarray], rig: Rig) -> dict[str, np.ndarray]:
    """The same with shoulders that are higher or lower than at rest, as the arms are; arms point where they did."""
    whole = dict(turns)
    for side, sign in SIDES.items():
        names = [f"{side}{name}" for name in ("Shoulder", "UpperArm", "LowerArm")]
        shoulder, arm = (turns.get(name, np.eye(3)) for name in names[:2])
        lifted = _measure_lift(arm @ [sign, 0.0, 0.0]) - _measure_lift(rig.place(names[2]) - rig.place(names[1]))
        own = mirror(rotate("z", GIRDLE * lifted), side)
        whole[names[0]], whole[names[1]] = shoulder @ own, np.swapaxes(own, -1, -2) @ arm
    return whole


def _measure_lift(along: Float[np.ndarray, "*t 3"]) -> Float[np.ndarray, "*t"]:
    """Degrees by which an arm is away from hanging straight down."""
    return np.asarray(np.degrees(np.arccos(np.clip(-along[..., 1] / np.linalg.norm(along, axis=-1), -1, 1))))


def _reach(world: np.ndarray, rig: Rig, hips: np.ndarray, side: str, path: FootPath) -> None:
    """Set the turns of one leg, from the T-pose, so that its foot goes along ``path``."""
    upper, lower, foot, toes = (f"{side}{name}" for name in ("UpperLeg", "LowerLeg", "Foot", "Toes"))
    yaw = mirror(rotate("y", path.yaw_deg), side)
    heading = world[:, JOINTS["hips"]] @ (yaw @ [0.0, 0, 1])
    start = hips + world[:, JOINTS["hips"]] @ (rig.place(upper) - rig.place("hips"))
    knee = bend_leg(start, path.ankle, rig.length(upper, lower), rig.length(lower, foot), heading)
    across = np.cross(heading, path.ankle - start)
    for name, along in ((upper, knee - start), (lower, path.ankle - knee)):
        world[:, JOINTS[name]] = match_axes(np.array([0.0, -1, 0]), np.array([1.0, 0, 0]), along, across)
    world[:, JOINTS[foot]] = yaw @ rotate("x", -path.pitch_deg)
    world[:, JOINTS[toes]] = yaw @ rotate("x", -path.toes_deg)


def bend_leg(
    hip: Float[np.ndarray, "t 3"],
    ankle: Float[np.ndarray, "t 3"],
    upper: float,
    lower: float,
    heading: Float[np.ndarray, "t 3"],
) -> Float[np.ndarray, "t 3"]:
    """Where the knee is, which bends towards ``heading``. Lengths in meters."""
    way = ankle - hip
    distance = np.linalg.norm(way, axis=1, keepdims=True)
    along = way / distance
    distance = np.minimum(distance, STRETCH * (upper + lower))
    front = heading - (heading * along).sum(1, keepdims=True) * along
    front /= np.linalg.norm(front, axis=1, keepdims=True)
    cos = np.clip((upper**2 + distance**2 - lower**2) / (2 * upper * distance), -1, 1)
    return hip + upper * (cos * along + np.sqrt(1 - cos**2) * front)
