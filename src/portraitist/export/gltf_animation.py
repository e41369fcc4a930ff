"""Animations of a glTF file: keys, as few as are needed, samplers and channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pygltflib as gl
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from portraitist.export.gltf_buffer import add_accessor, add_view
from portraitist.types import EXPRESSION_NAMES


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


def find_errors(times: np.ndarray, values: np.ndarray, first: int, last: int) -> np.ndarray:
    """Largest error of any number at each key of a span that is interpolated between its ends."""
    span = slice(first, last + 1)
    share = _shares(times[span])[:, None]
    return np.abs(values[span] - (1 - share) * values[first] - share * values[last]).max(1)


def find_angles(times: np.ndarray, quaternions: np.ndarray, first: int, last: int) -> np.ndarray:
    """Radians between each rotation of a span and the one interpolated between its ends."""
    span = slice(first, last + 1)
    rotations = Rotation.from_quat(quaternions[span])
    way = (rotations[0].inv() * rotations[-1]).as_rotvec()  # the shortest
    interpolated = rotations[0] * Rotation.from_rotvec(_shares(times[span])[:, None] * way)
    return (interpolated.inv() * rotations).magnitude()


def _shares(times: np.ndarray) -> np.ndarray:
    return (times - times[0]) / (times[-1] - times[0])


def add_sampler(file: gl.GLTF2, blob: bytearray, animation: gl.Animation, times: np.ndarray, values: np.ndarray) -> int:
    """Sampler of keys at ``times`` with ``values``: quaternions [k, 4], places [k, 3], or all weights of all keys
    [k * targets, 1]."""
    inputs = _add_floats(file, blob, times, gl.SCALAR, bounds=True)
    outputs = _add_floats(file, blob, values, gl.SCALAR if values.shape[1] == 1 else f"VEC{values.shape[1]}")
    animation.samplers.append(gl.AnimationSampler(input=inputs, output=outputs, interpolation=gl.ANIM_LINEAR))
    return len(animation.samplers) - 1


def _add_floats(file: gl.GLTF2, blob: bytearray, values: np.ndarray, kind: str, bounds: bool = False) -> int:
    rounded = values.astype("<f4")
    view = add_view(file, blob, rounded.tobytes())
    accessor = gl.Accessor(bufferView=view, componentType=gl.FLOAT, count=len(values), type=kind)
    if bounds:
        accessor.min, accessor.max = [float(rounded.min())], [float(rounded.max())]
    return add_accessor(file, accessor)


def add_channel(animation: gl.Animation, sampler: int, node: int, path: str) -> None:
    target = gl.AnimationChannelTarget(node=node, path=path)
    animation.channels.append(gl.AnimationChannel(sampler=sampler, target=target))


def add_weights(
    file: gl.GLTF2,
    blob: bytearray,
    animation: gl.Animation,
    times: Float[np.ndarray, "t"],
    weights: Float[np.ndarray, "t 52"],
    tolerance: float,
) -> None:
    """Channels that weight the morph targets of all meshes that have some: ``weights`` of the 52 expressions, 0 of all
    others. Keys are left out as long as no weight is off by more than ``tolerance``."""
    kept = thin_keys(len(times), lambda first, last: find_errors(times, weights, first, last), tolerance)
    samplers: dict[tuple[str, ...], int] = {}
    for node, mesh in enumerate(file.meshes):
        targets = tuple((mesh.extras or {})["targetNames"])
        if targets and targets not in samplers:
            rows = np.zeros((len(kept), len(targets)))
            for place, target in enumerate(targets):
                if target in EXPRESSION_NAMES:
                    rows[:, place] = weights[kept, EXPRESSION_NAMES.index(target)]
            samplers[targets] = add_sampler(file, blob, animation, times[kept], rows.reshape(-1, 1))
        if targets:
            add_channel(animation, samplers[targets], node, "weights")
