"""Walking, in place: two steps, over ground that passes at a constant speed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from portraitist.body.arms import hang_arm, relax_hand
from portraitist.body.motion import Clip, FootPath, make_clip, rotate
from portraitist.body.posing import SIDES, Rig
from portraitist.body.sole import Sole

# Of a grown-up's gait at an easy pace (Perry 1992; Winter 1991).
STRIDE = 1.36  # two steps, of the length of a leg
STANCE = 0.62  # of a stride that each foot is on the ground
FROUDE = 0.16  # speed squared, over the length of a leg and gravity: an easy pace for legs of every length
GRAVITY = 9.81  # m/s2
FLAT = (0.1, 0.31)  # of a stride: the whole sole is on the ground
FORWARD = 0.075  # of a stride: planted feet pass below the hips earlier than halfway
BOB = 0.022  # of a leg, up and down about the middle, twice a stride
SWAY = 0.022  # of a leg, to the side of the foot that carries
STRAIGHTEST = 0.99  # of its length: the leg at its longest
NARROW = 0.55  # of the distance between hips: that between feet
TURN_DEG = 5.0  # of the hips, to the side of the leg behind
LIST_DEG = 3.0  # by which hips drop on the side of the free leg
CHEST_DEG = 5.0  # of the chest against the hips' turn, as seen from outside
ARM_DEG = 20.0  # by which arms swing to front and back

PITCH = np.array(
    [(0, 17), (0.045, 8), (FLAT[0], 0), (0.22, 0), (FLAT[1], 0), (0.42, -12), (0.53, -36), (STANCE, -56), (0.67, -58),
     (0.78, -32), (0.88, 2), (0.95, 16), (1, 17)]
)  # fmt: skip
"""By how many degrees a foot points up, over its stride, which begins when its heel touches the ground."""
LIFT = 0.045
ROUND = np.array([1.0, 0.0])  # the same moment of the next stride
TOES_FREE = 0.78  # of a stride: toes are straight again


def build_walk(rig: Rig, soles: dict[str, Sole], arm_deg: float, moments: int = 0) -> Clip:
    """One stride. The left heel touches the ground at 0. ``arm_deg``: by how much arms hang away from the body."""
    leg = rig.length("leftUpperLeg", "leftLowerLeg") + rig.length("leftLowerLeg", "leftFoot")
    speed, stride = np.sqrt(FROUDE * GRAVITY * leg), STRIDE * leg
    seconds = stride / speed
    phase = np.linspace(0, 1, 1 + (moments or 2 * round(seconds * 15)))
    paths = {side: _walk_foot(rig, soles[side], side, (phase + 0.5 * (side == "right")) % 1, stride) for side in SIDES}
    wave, twice = 2 * np.pi * phase, 4 * np.pi * phase
    hips = np.zeros((len(phase), 3)) + rig.place("hips")
    hips[:, 0] = rig.place("hips")[0] + SWAY * leg * np.cos(wave - 2 * np.pi * 0.3)
    hips[:, 1] = -BOB * leg * np.cos(twice - 4 * np.pi * 0.06)
    hips[:, 2] += 0.006 * leg * np.sin(twice)
    turns = {"hips": rotate("y", -TURN_DEG * np.cos(wave)) @ rotate("z", LIST_DEG * np.cos(wave - 2 * np.pi * 0.18))}
    turns["hips"] = turns["hips"] @ rotate("x", 3.0 + 0.8 * np.cos(twice))
    counter = (TURN_DEG + CHEST_DEG) * np.cos(wave)
    righting = -LIST_DEG * np.cos(wave - 2 * np.pi * 0.18)
    for name, share in (("spine", 0.3), ("chest", 0.35), ("upperChest", 0.35)):
        turns[name] = rotate("y", share * counter) @ rotate("z", 0.4 * righting) @ rotate("x", 0.8)
    for name in ("neck", "head"):
        turns[name] = rotate("y", -0.45 * CHEST_DEG * np.cos(wave)) @ rotate("z", -0.1 * righting)
        turns[name] = turns[name] @ rotate("x", -2.2 - 0.4 * np.cos(twice - 0.4))
    for side, sign in SIDES.items():
        ahead = -sign * np.cos(wave - 0.25)  # opposite to the leg, a little late, as what hangs is
        bend = 14 + 8 * (1 - sign * np.cos(wave - 0.55))
        turns |= hang_arm(side, arm_deg, swing_deg=2 + ARM_DEG * ahead, bend_deg=bend)
        turns |= relax_hand(side)
    hips[:, 1] += _find_height(rig, paths, hips, turns["hips"])
    return make_clip("walk", rig, phase * seconds, turns, hips, paths, {}, speed)


def _walk_foot(rig: Rig, sole: Sole, side: str, phase: Float[np.ndarray, "t"], stride: float) -> FootPath:
    pitch = PchipInterpolator(*_repeat(PITCH).T)
    flying = np.array([STANCE, 1.0])

    def stand(at: np.ndarray) -> np.ndarray:
        degrees = pitch(at)
        rolled = np.where(
            (at % 1 < FLAT[0])[:, None], sole.roll_heel(np.maximum(degrees, 0)), sole.lift_heel(np.minimum(degrees, 0))
        )
        ground = stride * (STANCE / 2 - FORWARD - (at - np.floor(at + 1e-9)))
        return rolled + np.stack([ground, np.full_like(ground, sole.ankle)], 1)

    step = 1e-4
    ends = np.stack([stand(flying[:1])[0], stand(np.zeros(1))[0]])
    before = stand(flying[:1] - step)[0]
    after = stand(np.array([step]))[0]
    speeds = np.stack([ends[0] - before, after - ends[1]]) / step
    fly = CubicHermiteSpline(flying, ends, speeds * [[1, 0.6], [1, 1]])
    planted = phase <= STANCE
    way = np.where(planted[:, None], stand(phase), fly(phase))
    ankle = np.zeros((len(phase), 3))
    ankle[:, 0] = NARROW * rig.place(f"{side}UpperLeg")[0]
    ankle[:, 1:] = way[:, ::-1]
    ankle[:, 1] += _lift(sole, phase, pitch)
    ankle[:, 2] += rig.place(f"{side}UpperLeg")[2]
    degrees = pitch(phase)
    free = np.clip((phase - STANCE) / (TOES_FREE - STANCE), 0, 1)
    free = np.where(phase < FLAT[0], 1, free * free * (3 - 2 * free))
    toes = np.where(degrees < 0, free * degrees, degrees)
    return FootPath(ankle, degrees, toes, 4.0)


def _lift(sole: Sole, phase: np.ndarray, pitch: PchipInterpolator) -> np.ndarray:
    share = np.clip((phase - STANCE) / (1 - STANCE), 0, 1)
    return LIFT * share**2 * (1 - share) ** 3 / (0.4**2 * 0.6**3)


def _repeat(keys: np.ndarray) -> np.ndarray:
    """The same curve before and after, so that it goes on smoothly."""
    return np.concatenate([keys[:-1] - ROUND, keys[:-1], keys + ROUND])


def _find_height(rig: Rig, paths: dict[str, FootPath], hips: np.ndarray, turn: np.ndarray) -> float:
    """What to add to the hips' heights so that no leg gets longer than it may."""
    highest = np.inf
    for side, path in paths.items():
        leg = rig.length(f"{side}UpperLeg", f"{side}LowerLeg") + rig.length(f"{side}LowerLeg", f"{side}Foot")
        start = hips + turn @ (rig.place(f"{side}UpperLeg") - rig.place("hips"))
        flat = ((start - path.ankle)[:, [0, 2]] ** 2).sum(1)
        reach = np.sqrt((STRAIGHTEST * leg) ** 2 - flat)
        highest = min(highest, float((path.ankle[:, 1] + reach - start[:, 1]).min()))
    return highest
