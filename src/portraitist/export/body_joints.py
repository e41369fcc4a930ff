"""A body on its own bones in a glTF file, and the motions that it can do."""

from __future__ import annotations

import numpy as np
import pygltflib as gl
from scipy.spatial.transform import Rotation

from portraitist.body.clips import build_clips
from portraitist.body.motion import Clip
from portraitist.body.skeleton import JOINT_NAMES, SKELETON, rename
from portraitist.body.skin import find_joints, find_weights
from portraitist.body.standing import BODY_LAYERS
from portraitist.devices import to_numpy
from portraitist.export.gltf_animation import (
    add_channel,
    add_sampler,
    find_angles,
    find_errors,
    make_continuous,
    thin_keys,
)
from portraitist.export.gltf_parts import list_meshes
from portraitist.export.skin import Joint, add_skin
from portraitist.types import EXPRESSION_NAMES, Head

TURN_TOLERANCE = 5e-4  # radians: half a millimeter at the end of a leg
PLACE_TOLERANCE_M = 2e-4
WEIGHT_TOLERANCE = 0.005


def add_body(file: gl.GLTF2, blob: bytearray, head: Head, bones: str, clips: bool) -> None:
    """Hang the parts of ``head``, which stands on a body, in a glTF file on the bones of that body, called as the
    convention ``bones`` has it (`rename`), with its ``clips`` as animations. Raises InputError for an unknown one."""
    joints, weights = to_numpy(find_joints(head), np.float64), find_weights(head)
    names = dict(zip(JOINT_NAMES, rename(JOINT_NAMES, bones), strict=True))
    rows = [
        Joint(names[bone.name], tuple(place), bone.parent and names[bone.parent])
        for bone, place in zip(SKELETON, joints.tolist(), strict=True)
    ]
    first = len(file.nodes) + 1  # behind the root
    add_skin(file, blob, head, rows, weights)
    if clips:
        for clip in list_clips(head):
            add_clip(file, blob, head, clip, first)


def list_clips(head: Head) -> tuple[Clip, ...]:
    """Those of the body on which ``head`` stands."""
    own = [name in BODY_LAYERS for name in ("", *(layer.name for layer in head.layers))]
    parts = [
        (to_numpy(mesh.vertices, np.float64), to_numpy(rows, np.float64))
        for mesh, rows, is_own in zip(list_meshes(head), find_weights(head), own, strict=True)
        if is_own
    ]
    vertices, weights = (np.concatenate(values) for values in zip(*parts, strict=True))
    return build_clips(to_numpy(find_joints(head), np.float64), vertices, weights)


def add_clip(file: gl.GLTF2, blob: bytearray, head: Head, clip: Clip, first: int) -> None:
    """Add an animation called as ``clip`` is; the speed of the ground stands in its extras. ``first``: node of the first
    joint. Expressions are added to those that the head has. Keys that make no difference are left out."""
    extras = {"speed_m_per_s": round(clip.speed, 4)} if clip.speed else {}
    animation = gl.Animation(name=clip.name, extras=extras)
    for joint in range(len(SKELETON)):
        turns = make_continuous(Rotation.from_matrix(clip.turns[:, joint]).as_quat())
        kept = thin_keys(len(turns), lambda a, b, turns=turns: find_angles(clip.times, turns, a, b), TURN_TOLERANCE)
        sampler = add_sampler(file, blob, animation, clip.times[kept], turns[kept])
        add_channel(animation, sampler, first + joint, "rotation")
    kept = thin_keys(len(clip.times), lambda a, b: find_errors(clip.times, clip.hips, a, b), PLACE_TOLERANCE_M)
    add_channel(animation, add_sampler(file, blob, animation, clip.times[kept], clip.hips[kept]), first, "translation")
    if clip.weights.any():
        _add_weights(file, blob, head, clip, animation)
    file.animations.append(animation)


def _add_weights(file: gl.GLTF2, blob: bytearray, head: Head, clip: Clip, animation: gl.Animation) -> None:
    weights = np.clip(clip.weights + to_numpy(head.expression, np.float64), 0, 1)
    kept = thin_keys(len(clip.times), lambda a, b: find_errors(clip.times, weights, a, b), WEIGHT_TOLERANCE)
    samplers: dict[tuple[str, ...], int] = {}
    for node, mesh in enumerate(file.meshes):
        targets = tuple((mesh.extras or {})["targetNames"])
        if not targets:
            continue
        if targets not in samplers:
            rows = np.zeros((len(kept), len(targets)))
            for place, target in enumerate(targets):
                if target in EXPRESSION_NAMES:
                    rows[:, place] = weights[kept, EXPRESSION_NAMES.index(target)]
            samplers[targets] = add_sampler(file, blob, animation, clip.times[kept], rows.reshape(-1, 1))
        add_channel(animation, samplers[targets], node, "weights")
