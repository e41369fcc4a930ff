"""A body on its own bones in a glTF file, and the motions that it can do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pygltflib as gl
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from portraitist.body.clips import build_clips
from portraitist.body.motion import Clip
from portraitist.body.posing import FINGERS, SIDES, build_rig, place_joints, skin_vertices, to_world
from portraitist.body.skeleton import JOINT_NAMES, SKELETON, rename
from portraitist.body.skin import find_joints, find_weights
from portraitist.body.standing import BODY_LAYERS, shift_head, stand
from portraitist.devices import from_numpy, to_numpy
from portraitist.export.gltf_animation import (
    add_channel,
    add_sampler,
    add_weights,
    find_angles,
    find_errors,
    make_continuous,
    thin_keys,
)
from portraitist.export.gltf_parts import list_meshes
from portraitist.export.skin import Joint, add_skin
from portraitist.types import Head

ARM_PARTS = ("Shoulder", "UpperArm", "LowerArm", "Hand", "Thumb", *FINGERS)
ARMS = tuple(f"{side}{part}" for side in SIDES for part in ARM_PARTS)
TURN_TOLERANCE = 5e-4  # radians: half a millimeter at the end of a leg
PLACE_TOLERANCE_M = 2e-4
WEIGHT_TOLERANCE = 0.005


def add_body(file: gl.GLTF2, blob: bytearray, head: Head, bones: str, clips: bool) -> None:
    """Hang the parts of ``head``, which stands on a body, in a glTF file on the bones of that body, called as the
    convention ``bones`` has it (`rename`), with its ``clips`` as animations. Raises InputError for an unknown one."""
    joints = list_joints(to_numpy(find_joints(head), np.float64), bones)
    first = len(file.nodes) + 1  # behind the root
    add_skin(file, blob, head, joints, find_weights(head))
    if clips:
        for clip in list_clips(head):
            add_clip(file, blob, head, clip, first)


def list_joints(places: Float[np.ndarray, "j 3"], bones: str) -> list[Joint]:
    """Those of a body, which are at ``places`` (meters), called as the convention ``bones`` has it."""
    names = dict(zip(JOINT_NAMES, rename(JOINT_NAMES, bones), strict=True))
    return [
        Joint(names[bone.name], tuple(place), bone.parent and names[bone.parent])
        for bone, place in zip(SKELETON, places.tolist(), strict=True)
    ]


def stand_in_t(head: Head) -> tuple[list[Joint], Head, list[Float[Tensor, "_n j"]]]:
    """The body of ``head`` in a T-pose on y = 0, as VRM wants it: its joints, all of it, and how much each joint moves
    the vertices of the head and of its layers."""
    head = stand(head)
    weights, rig = find_weights(head), build_rig(to_numpy(find_joints(head), np.float64))
    places = place_joints(rig, rig.alignment[None], rig.joints[:1])[0]

    def move(points: Tensor, rows: Tensor) -> Tensor:
        moved = skin_vertices(to_numpy(points, np.float64), to_numpy(rows, np.float64), rig, rig.alignment, places)
        return from_numpy(moved.astype(np.float32), points)

    layers = []
    for layer, rows in zip(head.layers, weights[1:], strict=True):
        mesh = layer.mesh.with_vertices(move(layer.mesh.vertices, rows))
        layers.append(replace(layer, mesh=mesh, original=move(layer.original, rows)))
    lowest = min(float(layer.mesh.vertices[:, 1].min()) for layer in layers)
    up = head.neutral.new_tensor([0.0, -lowest, 0.0])
    raised = shift_head(replace(head, layers=tuple(layers)), up)
    return list_joints(places + to_numpy(up, np.float64), "vrm"), raised, weights


def hang_arms(head: Head) -> Float[np.ndarray, "j 3 3"]:
    """Turns of all joints relatively to their parents with which the body of ``head`` stands as at rest, but lets its
    arms hang, as it does when it idles."""
    idle = list_clips(head)[0].turns[0]
    return np.where([[[name.startswith(ARMS)]] for name in JOINT_NAMES], idle, np.eye(3))


def let_arms_hang(head: Head) -> Head:
    """``head`` with its body so."""
    rig, turns = build_rig(to_numpy(find_joints(head), np.float64)), to_world(hang_arms(head)[None])
    places, layers = place_joints(rig, turns, rig.joints[:1])[0], []
    for layer, rows in zip(head.layers, find_weights(head)[1:], strict=True):
        shapes = [to_numpy(points, np.float64) for points in (layer.mesh.vertices, layer.original)]
        moved = [skin_vertices(shape, to_numpy(rows, np.float64), rig, turns[0], places) for shape in shapes]
        vertices, original = (from_numpy(shape.astype(np.float32), layer.original) for shape in moved)
        layers.append(replace(layer, mesh=layer.mesh.with_vertices(vertices), original=original))
    return replace(head, layers=tuple(layers))


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
    """Add an animation called as ``clip`` is; the speed of the ground stands in its extras. ``first``: node of the
    first joint. Expressions are added to those that the head has. Keys that make no difference are left out."""
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
        weights = np.clip(clip.weights + to_numpy(head.expression, np.float64), 0, 1)
        add_weights(file, blob, animation, clip.times, weights, WEIGHT_TOLERANCE)
    file.animations.append(animation)
