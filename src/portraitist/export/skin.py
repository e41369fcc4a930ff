"""Joints in a glTF file: a skeleton below one root, and how much each joint moves every vertex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pygltflib as gl
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.devices import to_numpy
from portraitist.export.gltf_buffer import add_accessor, add_vectors, add_view, split_at_uv_seams
from portraitist.export.gltf_parts import list_meshes
from portraitist.types import Head

ARMATURE = "Armature"
"""Name of the root, as Blender has it; Unity and Unreal look for it."""

MOST_JOINTS = 4  # of one vertex: glTF stores them in fours, and many engines read the first four only
WEIGHT_ROUNDING = 1e-5  # by how much the weights of a vertex may miss the sum of 1


@dataclass(frozen=True)
class Joint:
    """``name``: of its node. ``position``: meters in head space, at rest; joints are not turned. ``parent``: name of a
    joint that stands before it, or None: below the root."""

    name: str
    position: tuple[float, float, float]
    parent: str | None = None


HEAD_JOINT = Joint("Head_joint", (0.0, 0.0, 0.0))
"""The one bone of importers that show morph targets on skinned meshes only; it moves everything."""


def add_skin(
    file: gl.GLTF2,
    blob: bytearray,
    head: Head,
    joints: Sequence[Joint],
    weights: Sequence[Float[Tensor, "_k j"]] | None = None,
) -> None:
    """Hang what `build_gltf` made of ``head`` on ``joints``, below a root node "Armature" at the origin.

    ``weights``: of the head's vertices, then of those of each layer, how much each joint moves them: 0..1, rows sum to
    1, at most four of a row above 0. None: the first joint moves everything. Stored in 8 bits where nothing is lost,
    else as float32. The nodes of meshes leave their parent, since glTF lets the joints alone place what is skinned:
    who turns the head turns a joint. Raises ValueError for joints or weights that break these rules.
    """
    first = len(file.nodes)
    numbers = {joint.name: first + 1 + place for place, joint in enumerate(joints)}
    _add_joint_nodes(file, joints, numbers)
    # What is quantized is scaled up before joints move it, since glTF takes no notice of the scale of a skinned node.
    scale, file.nodes[0].scale = (file.nodes[0].scale or [1.0])[0], None
    inverse = np.tile(np.diag([scale, scale, scale, 1]).astype(np.float32), (len(joints), 1, 1))
    inverse[:, 3, :3] = [[-value for value in joint.position] for joint in joints]  # column by column, as glTF has it
    view = add_view(file, blob, inverse.astype("<f4").tobytes())
    matrices = gl.Accessor(bufferView=view, componentType=gl.FLOAT, count=len(joints), type=gl.MAT4)
    file.skins.append(
        gl.Skin(
            name=ARMATURE, joints=[*numbers.values()], skeleton=first, inverseBindMatrices=add_accessor(file, matrices)
        )
    )
    for place, mesh in enumerate(list_meshes(head)):
        vertex_ids, _, _ = split_at_uv_seams(mesh)
        if weights is None:
            rows = np.zeros((len(mesh.vertices), len(joints)), np.float32)
            rows[:, 0] = 1
        else:
            rows = to_numpy(weights[place]).astype(np.float32)
        ids, shares = find_strongest(rows[vertex_ids])
        own_ids, own_shares = _add_bytes(file, blob, ids), _add_weights(file, blob, shares)
        for primitive in file.meshes[place].primitives:
            primitive.attributes.JOINTS_0, primitive.attributes.WEIGHTS_0 = own_ids, own_shares
        file.nodes[place].skin = len(file.skins) - 1
        file.nodes[place].children = []
    file.scenes[0].nodes = [*range(len(head.layers) + 1), first]


def _add_joint_nodes(file: gl.GLTF2, joints: Sequence[Joint], numbers: dict[str, int]) -> None:
    """The root and, below it, a node for each joint, placed relatively to its parent."""
    taken = {node.name for node in file.nodes} | {ARMATURE}
    if len(numbers) < len(joints) or taken & numbers.keys() or not joints:
        raise ValueError("joints need names that no other node has")
    root = gl.Node(name=ARMATURE)
    file.nodes.append(root)
    places = {joint.name: np.array(joint.position) for joint in joints}
    for joint in joints:
        above, offset = root, places[joint.name]
        if joint.parent is not None:
            if numbers.get(joint.parent, len(file.nodes)) >= len(file.nodes):
                raise ValueError(f"the parent of {joint.name} must stand before it")
            above, offset = file.nodes[numbers[joint.parent]], offset - places[joint.parent]
        above.children = [*(above.children or []), numbers[joint.name]]
        file.nodes.append(gl.Node(name=joint.name, translation=offset.tolist()))


def find_strongest(weights: Float[np.ndarray, "n j"]) -> tuple[Int[np.ndarray, "n 4"], Float[np.ndarray, "n 4"]]:
    """The joints of each vertex, strongest first, and their shares; joint 0 where fewer move it."""
    off = np.abs(weights.sum(1) - 1).max()
    if weights.min() < 0 or off > WEIGHT_ROUNDING or (weights > 0).sum(1).max() > MOST_JOINTS:
        raise ValueError(f"weights of a vertex must sum to 1, be 0 or more, and at most {MOST_JOINTS} above 0")
    count = min(weights.shape[1], MOST_JOINTS)
    ids, shares = np.zeros((len(weights), MOST_JOINTS), np.int64), np.zeros((len(weights), MOST_JOINTS), np.float32)
    order = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    shares[:, :count] = np.take_along_axis(weights, order, axis=1)
    ids[:, :count] = np.where(shares[:, :count] > 0, order, 0)  # an unused joint must be joint 0
    return ids, shares


def _add_bytes(file: gl.GLTF2, blob: bytearray, ids: Int[np.ndarray, "n 4"]) -> int:
    view = add_view(file, blob, ids.astype(np.uint8).tobytes(), gl.ARRAY_BUFFER)
    accessor = gl.Accessor(bufferView=view, componentType=gl.UNSIGNED_BYTE, count=len(ids), type=gl.VEC4)
    return add_accessor(file, accessor)


def _add_weights(file: gl.GLTF2, blob: bytearray, shares: Float[np.ndarray, "n 4"]) -> int:
    whole = np.isin(shares, (0, 1)).all()
    return add_vectors(file, blob, (255 * shares).astype(np.uint8) if whole else shares)
