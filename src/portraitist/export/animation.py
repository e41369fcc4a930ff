"""A moving head as one GLB file: expressions and rotation as a glTF animation, with no more keys than it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pygltflib as gl
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from portraitist.devices import to_numpy
from portraitist.errors import InputError
from portraitist.export.glb import build_gltf, save_gltf
from portraitist.export.gltf_buffer import add_accessor, add_view
from portraitist.export.neck_joint import NECK
from portraitist.types import Head

ANIMATION_NAME = "Reenactment"
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
    head's node, below which the layers are; on a bust, of the joint on which the head turns, and shoulders stay.

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
    file, blob = build_gltf(head)
    animation = gl.Animation(name=ANIMATION_NAME)
    kept = thin_keys(len(moments), lambda first, last: _weight_errors(moments, values, first, last), tolerance)
    with_original = np.concatenate([values[kept], np.zeros((len(kept), 1))], axis=1)
    sampler = _add_sampler(file, blob, animation, moments[kept], with_original.reshape(-1, 1))
    for node in range(len(file.meshes)):
        _add_channel(animation, sampler, node, "weights")
    kept = thin_keys(len(moments), lambda first, last: _angles(moments, quaternions, first, last), tolerance)
    turned = next((number for number, node in enumerate(file.nodes) if node.name == NECK), 0)
    _add_channel(animation, _add_sampler(file, blob, animation, moments[kept], quaternions[kept]), turned, "rotation")
    file.animations = [animation]
    save_gltf(path, file, blob)


def thin_keys(count: int, errors_between: Callable[[int, int], np.ndarray], tolerance: float) -> np.ndarray:
    """Numbers of the keys to keep among ``count`` (Ramer 1972, Douglas and Peucker 1973), the first and last always.

    ``errors_between(first, last)``: how far each key from ``first`` to ``last`` is from what interpolation between
    these two gives. No error between kept keys is greater than ``tolerance``.
    """
    kept, open_spans = {0, count - 1}, [(0, count - 1)]
    while open_spans:
        first, last = open_spans.pop()
        if last - first < 2:
            continue
        errors = errors_between(first, last)[1:-1]
        if errors.max() > tolerance:
            worst = first + 1 + int(errors.argmax())
            kept.add(worst)
            open_spans += [(first, worst), (worst, last)]
    return np.array(sorted(kept))


def make_continuous(quaternions: Float[np.ndarray, "t 4"]) -> Float[np.ndarray, "t 4"]:
    """The same rotations, with signs such that each is on the shorter way from the one before."""
    turned = (quaternions[1:] * quaternions[:-1]).sum(1) < 0
    signs = np.cumprod(np.where(turned, -1.0, 1.0))
    return quaternions * np.concatenate([[1.0], signs])[:, None]


def _weight_errors(times: np.ndarray, weights: np.ndarray, first: int, last: int) -> np.ndarray:
    """Largest error of any weight at each key of a span that is interpolated between its ends."""
    span = slice(first, last + 1)
    share = _shares(times[span])[:, None]
    return np.abs(weights[span] - (1 - share) * weights[first] - share * weights[last]).max(1)


def _angles(times: np.ndarray, quaternions: np.ndarray, first: int, last: int) -> np.ndarray:
    """Radians between each rotation of a span and the one interpolated between its ends."""
    span = slice(first, last + 1)
    rotations = Rotation.from_quat(quaternions[span])
    way = (rotations[0].inv() * rotations[-1]).as_rotvec()  # the shortest
    interpolated = rotations[0] * Rotation.from_rotvec(_shares(times[span])[:, None] * way)
    return (interpolated.inv() * rotations).magnitude()


def _shares(times: np.ndarray) -> np.ndarray:
    return (times - times[0]) / (times[-1] - times[0])


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


def _add_sampler(
    file: gl.GLTF2, blob: bytearray, animation: gl.Animation, times: np.ndarray, values: np.ndarray
) -> int:
    """Sampler of keys at ``times`` with ``values``: quaternions [k, 4], or all weights of all keys [k * targets, 1]."""
    inputs = _add_floats(file, blob, times, gl.SCALAR, bounds=True)
    outputs = _add_floats(file, blob, values, gl.VEC4 if values.shape[1] == 4 else gl.SCALAR)
    animation.samplers.append(gl.AnimationSampler(input=inputs, output=outputs, interpolation=gl.ANIM_LINEAR))
    return len(animation.samplers) - 1


def _add_floats(file: gl.GLTF2, blob: bytearray, values: np.ndarray, kind: str, bounds: bool = False) -> int:
    rounded = values.astype("<f4")
    view = add_view(file, blob, rounded.tobytes())
    accessor = gl.Accessor(bufferView=view, componentType=gl.FLOAT, count=len(values), type=kind)
    if bounds:
        accessor.min, accessor.max = [float(rounded.min())], [float(rounded.max())]
    return add_accessor(file, accessor)


def _add_channel(animation: gl.Animation, sampler: int, node: int, path: str) -> None:
    target = gl.AnimationChannelTarget(node=node, path=path)
    animation.channels.append(gl.AnimationChannel(sampler=sampler, target=target))
