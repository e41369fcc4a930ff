"""Walking, in place: two steps, over ground that passes at a constant speed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from portraitist.body.arms import hang_arm, relax_hand
from portraitist.body.motion import RATE, Clip, FootPath, carry_hips, make_clip, rise, rotate
from portraitist.body.posing import SIDES, Rig
from portraitist.body.sole import Sole

# Of a grown-up's gait at an easy pace (Winter 1991; Perry 1992), whose lengths and times go with the leg.
GRAVITY = 9.81  # m/s^2
FROUDE = 0.16  # speed squared, over gravity and the length of a leg: an easy pace for legs of every length
STRIDE = 1.48  # two steps, of the length of a leg
STANCE = 0.62  # of a stride that each foot is on the ground
FORWARD = 0.075  # of a stride: feet are planted less far ahead of the hips than they are left behind
STRAIGHTEST = 0.9993  # of its length: the leg when it is longest, its knee bent by 4 degrees
NARROW = 0.55  # of the distance between hips: that between feet
TOES_OUT_DEG = 4.0  # of feet
CLEARANCE = 0.027  # of a leg, between ground and free foot
LIFTED = 0.08  # of a stride in which a foot gets so high
LOWERED = 0.2  # of a stride in which it comes down again
LANDING = 0.75  # of the ground's speed: that backwards of a foot that touches it
SURGE = 0.006  # of a leg: hips get ahead and fall back, twice a stride
SWAY = 0.022  # of a leg: hips go to the side of the foot that carries
TURN_DEG = 5.0  # of the hips, to the side of the leg behind
LIST_DEG = 3.0  # by which hips drop on the side of the free leg
CHEST_DEG = 5.0  # of the chest against the hips' turn, as seen from outside
ARM_DEG = 18.0  # by which arms swing to front and back

PITCH = np.array(
    [(0, 17), (0.045, 8), (0.1, 0), (0.22, 0), (0.36, 0), (0.46, -7), (0.55, -25), (STANCE, -50), (0.68, -60),
     (0.78, -33), (0.88, 2), (0.95, 16), (1, 17)]
)  # fmt: skip
"""By how many degrees a foot points up, over its stride, which begins when its heel touches the ground."""

TOES = np.array(
    [(0, 17), (0.045, 8), (0.1, 0), (0.22, 0), (0.5, 0), (0.57, -8), (STANCE, -28), (0.68, -48), (0.78, -33),
     (0.88, 2), (0.95, 16), (1, 17)]
)  # fmt: skip
"""The same of its toes, which stay on the ground longer."""

KNEE = np.array(
    [(0, 5), (0.03, 9), (0.06, 14), (0.12, 20), (0.16, 19), (0.22, 15), (0.28, 10), (0.34, 7), (0.4, 5), (0.46, 7),
     (0.5, 11)]
)  # fmt: skip
"""By how many degrees the knee of the leg that carries is bent (Perry), until the other heel touches the ground."""

MID_STANCE = 0.22  # of a stride: the foot is flat
FINE = 600  # moments of a stride in which feet are looked at
ROUNDED = 0.04  # of a stride, over which the way of a free foot is rounded
EVENED = 0.02  # of a stride, over which that of the hips is

Angles = Callable[[Float[np.ndarray, "t"]], Float[np.ndarray, "t"]]


def build_walk(rig: Rig, soles: dict[str, Sole], arm_deg: float) -> Clip:
    """One stride. The left heel touches the ground at 0. ``arm_deg``: by how much arms hang away from the body."""
    leg = rig.length("leftUpperLeg", "leftLowerLeg") + rig.length("leftLowerLeg", "leftFoot")
    speed, stride = float(np.sqrt(FROUDE * GRAVITY * leg)), STRIDE * leg
    seconds = stride / speed
    phase = np.linspace(0, 1, 1 + 2 * round(seconds * RATE))  # an even number: the same moments for both sides
    paths = {}
    for side in SIDES:
        own = (phase + 0.5 * (side == "right")) % 1
        paths[side] = _walk_foot(rig, soles[side], side, own, stride, CLEARANCE * leg)
    wave = 2 * np.pi * phase
    turns = _swing_trunk(wave)
    for side, sign in SIDES.items():
        ahead = -sign * np.cos(wave - 0.25)  # opposite to the leg, a little late, as what hangs is
        bend = 22 - 9 * sign * np.cos(wave - 0.55)
        turns |= hang_arm(side, arm_deg, swing_deg=1 + ARM_DEG * ahead, bend_deg=bend) | relax_hand(side)
    hips = np.zeros((len(phase), 3)) + rig.place("hips")
    hips[:, 0] += SWAY * leg * np.cos(wave - 2 * np.pi * 0.3)
    hips[:, 2] += SURGE * leg * np.sin(2 * wave)
    hips[:, 1] = _find_heights(rig, paths, phase, hips, turns["hips"])
    return make_clip("walk", rig, phase * seconds, turns, hips, paths, {}, speed)


def _swing_trunk(wave: Float[np.ndarray, "t"]) -> dict[str, Float[np.ndarray, "t 3 3"]]:
    """Hips turn with the legs, the chest against them, the head with neither. ``wave``: radians, 2 pi a stride."""
    listing, turning = LIST_DEG * np.cos(wave - 2 * np.pi * 0.18), np.cos(wave)
    nod = np.cos(2 * wave)
    turns = {"hips": rotate("y", -TURN_DEG * turning) @ rotate("z", listing) @ rotate("x", 3.0 + 0.8 * nod)}
    for name, share in (("spine", 0.3), ("chest", 0.35), ("upperChest", 0.35)):
        back = rotate("z", -0.4 * listing) @ rotate("x", np.full_like(wave, 0.8))
        turns[name] = rotate("y", share * (TURN_DEG + CHEST_DEG) * turning) @ back
    for name in ("neck", "head"):
        back = rotate("z", 0.1 * listing) @ rotate("x", -2.2 - 0.4 * np.cos(2 * wave - 0.4))
        turns[name] = rotate("y", -0.45 * CHEST_DEG * turning) @ back
    return turns


def _walk_foot(
    rig: Rig, sole: Sole, side: str, phase: Float[np.ndarray, "t"], stride: float, clearance: float
) -> FootPath:
    """``phase``: of this foot's own stride. ``stride``, ``clearance``: meters."""
    pitch, toes = (PchipInterpolator(*_repeat(keys).T) for keys in (PITCH, TOES))
    moments = np.linspace(0, STANCE, FINE)
    rolled = sole.roll(pitch(moments), toes(moments))
    rolled[:, 0] += stride * (STANCE / 2 - FORWARD - moments) - np.interp(MID_STANCE, moments, rolled[:, 0])
    ends = rolled[[-1, 0], 0]
    speeds = np.gradient(rolled[:, 0], moments)[[-1, 0]]
    fly = CubicHermiteSpline([STANCE, 1], ends, speeds * [1, LANDING])
    ankle = np.zeros((len(phase), 3))
    ankle[:, 0] = NARROW * rig.place(f"{side}UpperLeg")[0]
    ankle[:, 1] = np.interp(phase, *_lift_foot(sole, pitch, toes, clearance))
    ankle[:, 2] = np.where(phase <= STANCE, np.interp(phase, moments, rolled[:, 0]), fly(phase))
    ankle[:, 2] += rig.place(f"{side}UpperLeg")[2]
    return FootPath(ankle, pitch(phase), toes(phase), TOES_OUT_DEG)


def _lift_foot(sole: Sole, pitch: Angles, toes: Angles, clearance: float) -> tuple[np.ndarray, np.ndarray]:
    """The height of the ankle over a stride, and when: on the ground as high as the sole has it, in the air so much
    higher that the foot is clear of the ground, without the edge where its lowest point goes from toes to heel."""
    moments = np.linspace(0, 1, FINE)
    lifted = rise(moments, STANCE, STANCE + LIFTED)
    free = lifted - rise(moments, 1 - LIFTED, 1.0)
    sinking = ((moments - 1) / LOWERED + 1).clip(0)
    heights = clearance * lifted * (1 - sinking**2) - sole.bend(pitch(moments), toes(moments))[..., 1].min(1)
    smooth = gaussian_filter1d(heights, FINE * ROUNDED, mode="wrap")
    return moments, (1 - free) * heights + free * smooth


def _repeat(keys: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "m 2"]:
    """The same curve before and after, so that it goes on smoothly."""
    stride = np.array([1.0, 0.0])
    return np.concatenate([keys[:-1] - stride, keys[:-1], keys + stride])


def _find_heights(
    rig: Rig, paths: dict[str, FootPath], phase: Float[np.ndarray, "t"], hips: np.ndarray, turns: np.ndarray
) -> Float[np.ndarray, "t"]:
    """Of the hips: the leg in front carries them, its knee bent as people's is, and no leg gets longer than it may."""
    heights, highest = np.zeros(len(phase)), np.full(len(phase), np.inf)
    for side, path in paths.items():
        upper, lower = rig.length(f"{side}UpperLeg", f"{side}LowerLeg"), rig.length(f"{side}LowerLeg", f"{side}Foot")
        own = (phase + 0.5 * (side == "right")) % 1
        bend = np.radians(np.interp(own, *KNEE.T))
        length = np.sqrt(upper**2 + lower**2 + 2 * upper * lower * np.cos(bend))
        heights = np.where(own < 0.5, carry_hips(rig, side, path, hips, turns, length), heights)
        reached = carry_hips(rig, side, path, hips, turns, STRAIGHTEST * (upper + lower))
        highest = np.minimum(highest, reached)
    smooth = gaussian_filter1d(heights[:-1], len(heights) * EVENED, mode="wrap")
    smooth = np.append(smooth, smooth[0])
    return smooth + min(0.0, float((highest - smooth).min()))
