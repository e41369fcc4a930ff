"""A neck that bends in a GLB: the head turns on a joint, and shoulders stay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pygltflib as gl
from jaxtyping import Float, Int

from portraitist.devices import from_numpy, to_numpy
from portraitist.export.glb import build_gltf, save_gltf
from portraitist.export.provenance import UNSIGNED, Provenance
from portraitist.export.skin import Joint, add_skin
from portraitist.rendering.shader_math import smoothstep
from portraitist.types import REGIONS, Head, Mesh

BODY, NECK = "Body", "Neck"
SHORTEST = 0.3  # of the width of a neck: the least height over which it bends, however low a chin hangs


@dataclass(frozen=True)
class NeckBend:
    """``pivot``: about which a head turns on its neck; meters. ``shares``: how much each vertex of the head, then of
    its layers, goes with it, 0..1."""

    pivot: Float[np.ndarray, "3"]
    shares: list[Float[np.ndarray, "_n"]]


def write_bust_glb(path: str | Path, head: Head, *, provenance: Provenance = UNSIGNED) -> None:
    """As `write_glb`, on two joints: "Body" below the root, which moves everything, and "Neck", on which head and hair
    turn; the lower end of the neck stays where the bust begins. Raises OutputError when it cannot be written."""
    file, blob = build_gltf(head, provenance=provenance)
    add_neck(file, blob, head)
    save_gltf(path, file, blob)


def add_neck(file: gl.GLTF2, blob: bytearray, head: Head) -> int:
    """Hang what `build_gltf` made of ``head`` on the two joints; the number of the node that turns the head."""
    neck = measure_neck(head)
    x, y, z = (float(value) for value in neck.pivot)
    joints = [Joint(BODY, (0.0, 0.0, 0.0)), Joint(NECK, (x, y, z), BODY)]
    weights = [np.stack([1 - share, share], 1).astype(np.float32) for share in neck.shares]
    add_skin(file, blob, head, joints, [from_numpy(rows, head.neutral) for rows in weights])
    return next(number for number, node in enumerate(file.nodes) if node.name == NECK)


def measure_neck(head: Head) -> NeckBend:
    """From its lower end to the lowest point of what is no neck, all on the neutral head."""
    places = to_numpy(head.neutral, np.float64)
    ring = places[find_neck_ring(head.mesh)]
    middle = ring.mean(0)
    upwards = np.linalg.svd(ring - middle)[2][2]  # of the plane that lies closest to the ring
    upwards = upwards * np.sign(upwards[1])
    rigid = head.mesh.faces[head.mesh.regions != REGIONS.index("neck")].unique()
    lowest = ((places[to_numpy(rigid)] - middle) @ upwards).min()
    bending = max(float(lowest), SHORTEST * float(np.ptp(ring[:, 0])))
    own = [to_numpy(mesh.vertices, np.float64) for mesh in (head.mesh, *(layer.mesh for layer in head.layers))]
    shares = [smoothstep((vertices - middle) @ upwards, 0.0, bending) for vertices in own]
    return NeckBend(middle + bending / 2 * upwards, shares)


def has_bust(head: Head) -> bool:
    """Whether shoulders and clothes are a layer of it."""
    return any(layer.name == "bust" for layer in head.layers)


def find_neck_ring(mesh: Mesh) -> Int[np.ndarray, "p"]:
    """Vertices of the border at which a head's neck ends."""
    faces = to_numpy(mesh.faces)
    edges = np.sort(np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    of_neck = np.tile(to_numpy(mesh.regions) == REGIONS.index("neck"), 3)
    _, places, counts = np.unique(edges, axis=0, return_index=True, return_counts=True)
    border = places[(counts == 1) & of_neck[places]]
    return np.unique(edges[border])
