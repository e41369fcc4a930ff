"""A moving head as one GLB file: expressions and rotation as a glTF animation, with no more keys than it needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pygltflib as gl
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from portraitist.body.skeleton import JOINT_NAMES
from portraitist.body.standing import has_body, stand
from portraitist.devices import to_numpy
from portraitist.errors import InputError
from portraitist.export.body_joints import hang_arms
from portraitist.export.glb import GlbForm, build_gltf, save_gltf
from portraitist.export.gltf_animation import (
    add_channel,
    add_sampler,
    add_weights,
    find_angles,
    make_continuous,
    thin_keys,
)
from portraitist.export.neck_joint import NECK
from portraitist.types import Head

ANIMATION_NAME = "Reenactment"
HEAD = "head"  # the bone of a body that turns
ROTATION_ROUNDING = 1e-3  # by how much the product of a rotation and its transpose may differ from the unit matrix


def save_animation(
    path: str | Path,
    head: Head,
    times: Float[Tensor, "t"],
    weights: Float[Tensor, "t 52"],
    rotations: Float[Tensor, "t 3 3"],
    *,
    tolerance: float = 0.005,
) -> None:
    """Write ``head`` as `write_glb` does, with one animation that plays in any viewer.

    ``times``: seconds from 0 on, increasing. ``weights``: 0..1, in `EXPRESSION_NAMES` order. ``rotations``: of the
    head about the origin of head space, which lies inside it: ``Camera.rotation``. All weights are one channel of the
    head's node and, the same, of those of its layers; ``originalShape`` stays 0. The rotation is a channel of the
    head's node, below which the layers are; on a bust or a body, of the joint on which the head turns, and shoulders
    stay. Somebody with a body lets their arms hang.

    Between keys weights are interpolated linearly, rotations spherically (LINEAR of glTF). Keys are left out
    (Douglas-Peucker) where, at the given times, no weight then is off by more than ``tolerance`` and no rotation by
    more than ``tolerance`` radians. Raises InputError for what is no animation, OutputError when the file cannot be
    written.
    """
    moments = to_numpy(times, np.float64)
    values = to_numpy(weights, np.float64)
    matrices = to_numpy(rotations, np.float64)
    _check(moments, values, matrices)
    quaternions = make_continuous(Rotation.from_matrix(matrices).as_quat())
    file, blob = build_gltf(head, GlbForm(clips=False))
    animation = gl.Animation(name=ANIMATION_NAME)
    add_weights(file, blob, animation, moments, values, tolerance)
    kept = thin_keys(len(moments), lambda first, last: find_angles(moments, quaternions, first, last), tolerance)
    nodes = {node.name: number for number, node in enumerate(file.nodes)}
    turned = nodes[HEAD] if has_body(head) else nodes.get(NECK, 0)
    if has_body(head):
        for name, turn in zip(JOINT_NAMES, hang_arms(stand(head)), strict=True):
            file.nodes[nodes[name]].rotation = Rotation.from_matrix(turn).as_quat().tolist()
    add_channel(animation, add_sampler(file, blob, animation, moments[kept], quaternions[kept]), turned, "rotation")
    file.animations = [animation]
    save_gltf(path, file, blob)


def _check(times: np.ndarray, weights: np.ndarray, rotations: np.ndarray) -> None:
    if not len(times) == len(weights) == len(rotations) or len(times) == 0:
        counts = f"{len(times)} times, {len(weights)} rows of weights and {len(rotations)} rotations"
        raise InputError(f"An animation needs as many weights and rotations as times, and at least one; got {counts}.")
    if not all(np.isfinite(values).all() for values in (times, weights, rotations)):
        raise InputError("An animation needs finite times, weights and rotations; some are not.")
    if times[0] < 0 or (np.diff(times.astype(np.float32)) <= 0).any():
        raise InputError("The times of an animation must increase from 0 s or more, and differ as 32-bit numbers.")
    products = rotations @ rotations.swapaxes(1, 2)
    if np.abs(products - np.eye(3)).max() > ROTATION_ROUNDING or (np.linalg.det(rotations) < 0).any():
        raise InputError("The rotations of an animation must be rotation matrices; some scale, shear or mirror.")
