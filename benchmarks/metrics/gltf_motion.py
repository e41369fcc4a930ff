"""What the animations of a written GLB do to its vertices: read back as any other program reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation, Slerp

from portraitist.io.gltf_accessors import Buffers

RATE_HZ = 240  # moments of a second that are looked at: between the keys, too
CONTACT_M = 0.002  # a vertex of a foot that is no higher is on the ground


@dataclass(frozen=True)
class Skinned:
    """A mesh on joints. ``ids``, ``shares``: the joints of each vertex."""

    positions: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    ids: np.ndarray
    shares: Float[np.ndarray, "n 4"]


class MovingGlb:
    """A GLB whose meshes all hang on one skin. ``clips``: seconds of each animation, by its name."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        size = int.from_bytes(data[12:16], "little")
        self.tree = json.loads(data[20 : 20 + size])
        self._buffers = Buffers(self.tree, data[28 + size :])
        (skin,) = self.tree["skins"]
        self._joints = skin["joints"]
        self._inverse = self.read(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
        self.parts = {node["name"]: self._read_part(node) for node in self.tree["nodes"] if "mesh" in node}
        ends = {clip["name"]: [self.read(each["input"])[-1, 0] for each in clip["samplers"]] for clip in self._clips()}
        self.clips = {name: max(own) for name, own in ends.items()}

    def list_joints(self) -> list[str]:
        return [self.tree["nodes"][number]["name"] for number in self._joints]

    def find_speed(self, name: str) -> float:
        """Of the ground, m/s."""
        return float(self._find(name).get("extras", {}).get("speed_m_per_s", 0.0))

    def list_times(self, name: str) -> Float[np.ndarray, "t"]:
        """From the beginning of a clip to its end."""
        return np.linspace(0, self.clips[name], 1 + round(self.clips[name] * RATE_HZ))

    def turn_joints(self, name: str, times: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t j 4 4"]:
        """Of all joints in the scene, at moments of a clip."""
        nodes = self.tree["nodes"]
        local = np.tile(np.eye(4), (len(times), len(nodes), 1, 1))
        for number, node in enumerate(nodes):
            local[:, number, :3, 3] = node.get("translation", [0, 0, 0])
            local[:, number, :3, :3] = Rotation.from_quat(node.get("rotation", [0, 0, 0, 1])).as_matrix()
        clip = self._find(name)
        for channel in clip["channels"]:
            sampler, path = clip["samplers"][channel["sampler"]], channel["target"]["path"]
            keys, values = self.read(sampler["input"])[:, 0], self.read(sampler["output"])
            at = np.clip(times, keys[0], keys[-1])
            if path == "rotation":
                local[:, channel["target"]["node"], :3, :3] = Slerp(keys, Rotation.from_quat(values))(at).as_matrix()
            elif path == "translation":
                local[:, channel["target"]["node"], :3, 3] = np.stack([np.interp(at, keys, row) for row in values.T], 1)
        return self._to_world(local)[:, self._joints]

    def move(
        self, name: str, times: Float[np.ndarray, "t"], part: str, chosen: np.ndarray | None = None
    ) -> Float[np.ndarray, "t n 3"]:
        """Where all or the ``chosen`` vertices of a part are at moments of a clip, without morphs."""
        skinned = self.parts[part]
        ids = np.arange(len(skinned.positions)) if chosen is None else chosen
        matrices = self.turn_joints(name, times) @ self._inverse
        blended = np.einsum("nk,tnkab->tnab", skinned.shares[ids], matrices[:, skinned.ids[ids]][..., :3, :])
        return np.einsum("tnab,nb->tna", blended[..., :3], skinned.positions[ids]) + blended[..., 3]

    def list_feet(self, part: str) -> dict[str, np.ndarray]:
        """Vertices that move mostly with a foot, on either side. For bones called as VRM has them."""
        names, skinned = self.list_joints(), self.parts[part]
        feet = {}
        for side in ("left", "right"):
            own = np.isin(skinned.ids, [names.index(f"{side}Foot"), names.index(f"{side}Toes")])
            feet[side] = np.flatnonzero((skinned.shares * own).sum(1) > 0.5)
        return feet

    def _clips(self) -> list[dict[str, Any]]:
        return self.tree.get("animations", [])

    def _find(self, name: str) -> dict[str, Any]:
        return next(clip for clip in self._clips() if clip["name"] == name)

    def read(self, accessor: int) -> np.ndarray:
        """Its numbers, as `Buffers.read` has them."""
        return self._buffers.read(accessor).astype(np.float64)

    def _read_part(self, node: dict[str, Any]) -> Skinned:
        attributes = self.tree["meshes"][node["mesh"]]["primitives"][0]["attributes"]
        positions, normals, ids, shares = (
            self.read(attributes[name]) for name in ("POSITION", "NORMAL", "JOINTS_0", "WEIGHTS_0")
        )
        return Skinned(positions, normals, ids.astype(int), shares)

    def _to_world(self, local: np.ndarray) -> np.ndarray:
        world, open_nodes = local.copy(), [(number, None) for number in self.tree["scenes"][0]["nodes"]]
        while open_nodes:
            number, above = open_nodes.pop()
            if above is not None:
                world[:, number] = world[:, above] @ local[:, number]
            open_nodes += [(child, number) for child in self.tree["nodes"][number].get("children", [])]
        return world


def measure_slide(glb: MovingGlb, clip: str, part: str) -> tuple[float, float]:
    """Meters by which a vertex of a foot that is on the ground moves over it in one step, at most, and the depth below
    the ground to which one gets. The ground passes backwards at the speed of the clip."""
    times = glb.list_times(clip)
    slide = depth = 0.0
    for ids in glb.list_feet(part).values():
        places = glb.move(clip, times[:-1], part, ids)
        places[..., 2] += glb.find_speed(clip) * times[:-1, None]
        depth = max(depth, float(-places[..., 1].min(initial=0.0)))
        for track in places.swapaxes(0, 1):
            for first, last in _find_contacts(track[:, 1] < CONTACT_M):
                # A contact that goes on beyond the end goes on from the beginning, a stride further.
                span = np.arange(first, last)
                ground = track[span % len(track)][:, [0, 2]]
                ground[:, 1] += (span // len(track)) * glb.find_speed(clip) * times[-1]
                slide = max(slide, float(np.linalg.norm(ground - ground[0], axis=1).max()))
    return slide, depth


def _find_contacts(touching: np.ndarray) -> list[tuple[int, int]]:
    """Runs of moments, from the first to behind the last, around the loop."""
    if touching.all():
        return [(0, len(touching))]
    starts = np.flatnonzero(touching & ~np.roll(touching, 1))
    ends = np.flatnonzero(~touching & np.roll(touching, 1))
    return [
        (start, int(ends[ends > start][0]) if (ends > start).any() else int(ends[0]) + len(touching))
        for start in starts
    ]


def measure_loop(glb: MovingGlb, clip: str) -> float:
    """Meters by which any vertex is somewhere else at the end of a clip than at its beginning."""
    ends = np.array([0.0, glb.clips[clip]])
    return max(float(np.abs(np.diff(glb.move(clip, ends, part), axis=0)).max()) for part in glb.parts)


def measure_knees(glb: MovingGlb, clip: str) -> float:
    """Degrees per second at which a knee bends or stretches, at most."""
    times, names = glb.list_times(clip), glb.list_joints()
    places = glb.turn_joints(clip, times)[..., :3, 3]
    fastest = 0.0
    for side in ("left", "right"):
        hip, knee, ankle = (places[:, names.index(f"{side}{joint}")] for joint in ("UpperLeg", "LowerLeg", "Foot"))
        thigh, shin = knee - hip, ankle - knee
        cos = (thigh * shin).sum(1) / np.linalg.norm(thigh, axis=1) / np.linalg.norm(shin, axis=1)
        fastest = max(fastest, float(np.abs(np.diff(np.degrees(np.arccos(cos)))).max() * RATE_HZ))
    return fastest


def measure_seam(glb: MovingGlb, clip: str, reach_m: float = 1e-4) -> tuple[float, float, int]:
    """Where the body begins: by how many meters vertices that head and body share part in a clip, by how many degrees
    their normals differ, and how many there are. Shared are those not further apart than ``reach_m`` at rest."""
    head, body = glb.parts["Head"], glb.parts["Body"]
    apart, nearest = KDTree(head.positions).query(body.positions)
    own = np.flatnonzero(apart < reach_m)
    times = np.linspace(0, glb.clips[clip], 9)
    gaps = glb.move(clip, times, "Body", own) - glb.move(clip, times, "Head", nearest[own])
    cos = (head.normals[nearest[own]] * body.normals[own]).sum(1).clip(-1, 1)
    return float(np.linalg.norm(gaps, axis=-1).max()), float(np.degrees(np.arccos(cos)).max()), len(own)
