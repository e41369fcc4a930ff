"""A neck that bends: the head turns, and shoulders stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pygltflib as gl
from jaxtyping import Float, Int

from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import InputError
from portraitist.export.skin import Joint, add_skin
from portraitist.mesh.closing import list_openings
from portraitist.rendering.shader_math import smoothstep
from portraitist.types import REGIONS, Head, Mesh

BODY, NECK = "Body", "Neck"
SHORTEST = 0.3  # of the width of a neck: the least height over which it bends, however low a chin hangs


@dataclass(frozen=True)
class Bend:
    """Where a neck bends: from the ``middle`` of its lower end ``upwards`` (unit vector) over ``height``; meters."""

    middle: Float[np.ndarray, "3"]
    upwards: Float[np.ndarray, "3"]
    height: float

    def place(self, share: float) -> Float[np.ndarray, "3"]:
        """The point at a share 0..1 of the way up."""
        return self.middle + share * self.height * self.upwards

    def locate(self, head: Head) -> list[Float[np.ndarray, "_n"]]:
        """How far up each vertex of the neutral head, then of its layers is: 0 at the lower end, 1 where nothing bends
        any more. Layers, which expressions hardly move, are taken as they are."""
        parts = [head.neutral, *(layer.mesh.vertices for layer in head.layers)]
        return [(to_numpy(part, np.float64) - self.middle) @ self.upwards / self.height for part in parts]

    def find_shares(self, head: Head) -> list[Float[np.ndarray, "_n"]]:
        """How much each of them goes with a head that turns about the middle of the bend, 0..1."""
        return [smoothstep(up, 0.0, 1.0) for up in self.locate(head)]


def add_neck(file: gl.GLTF2, blob: bytearray, head: Head) -> None:
    """Hang the parts of ``head`` in a glTF file on two joints: "Body" below the root, which moves everything, and
    "Neck", on which head and hair turn; the lower end of the neck stays where the bust begins."""
    bend = measure_neck(head)
    x, y, z = (float(value) for value in bend.place(0.5))
    joints = [Joint(BODY, (0.0, 0.0, 0.0)), Joint(NECK, (x, y, z), BODY)]
    weights = [np.stack([1 - share, share], 1).astype(np.float32) for share in bend.find_shares(head)]
    add_skin(file, blob, head, joints, [from_numpy(rows, head.neutral) for rows in weights])


def measure_neck(head: Head) -> Bend:
    """From its lower end to the lowest point of what is no neck, all on the neutral head. Raises InputError for a head
    that is closed below."""
    places = to_numpy(head.neutral, np.float64)
    ring = places[find_neck_ring(head.mesh)]
    middle = ring.mean(0)
    upwards = np.linalg.svd(ring - middle)[2][2]  # of the plane that lies closest to the ring
    upwards = upwards * np.sign(upwards[1])
    rigid = head.mesh.faces[head.mesh.regions != REGIONS.index("neck")].unique()
    lowest = ((places[to_numpy(rigid)] - middle) @ upwards).min()
    return Bend(middle, upwards, max(float(lowest), SHORTEST * float(np.ptp(ring[:, 0]))))


def has_bust(head: Head) -> bool:
    """Whether shoulders and clothes are a layer of it."""
    return any(layer.name == "bust" for layer in head.layers)


def find_neck_ring(mesh: Mesh) -> Int[np.ndarray, "p"]:
    """Vertices of the border at which a head's neck ends: its lowest opening. Raises InputError where there is none."""
    heights = to_numpy(mesh.vertices)[:, 1]
    rings = [np.unique(opening) for opening in list_openings(to_numpy(mesh.faces))]
    if not rings:
        raise InputError("A neck that bends needs a head that is open below, but this one has no opening.")
    return min(rings, key=lambda ids: heights[ids].mean())
