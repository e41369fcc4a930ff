"""The mouth of the base mesh, finished: lips that touch, an overbite, and room for teeth in the UV layout.

The base mesh's lips are 1 to 3 mm apart behind their visible edge, so that teeth showed through closed lips; its upper
incisors end where the upper lip does, so that no open mouth showed them; and all its teeth had 27 rows of texels.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from canonical_uv import INNER_BOXES
from portraitist.mesh.handles import factor_handles
from portraitist.reconstruction.head_model import HeadModel, tensors_to_head_model
from portraitist.reconstruction.head_surface import build_surface
from portraitist.reconstruction.neutral_face import DENSE_LIP_PAIRS
from portraitist.rendering.shader_math import smoothstep
from portraitist.types import LandmarkEmbedding

LIP_OVERLAP = 0.0002  # meters by which closed lips press into each other, for heads whose lips differ from the mean's
CORNERS = (0.024, 0.0195)  # meters from the middle: the rim stays, is closed
STIFFNESS = 3e-5  # see handles.factor_handles: only the lips' inner edge is to move
HOLDING_WEIGHT = 0.3  # of the detector's points, against the rims'
NEAR, FAR = 0.015, 0.03  # meters from the lips' inner edge: moved, not moved at all
SKIN_POINTS = 468
OVERBITE = 0.0022  # meters by which the upper incisors are lowered; the last molars stay
TONGUE_SIDE = 0.4  # of a length on the tongue's side, which is hardly ever seen, against one outside
PROFILE_ROWS = 4  # of a row of teeth: gum, middle of the crowns, biting edge, tongue's side


def finish_mouth(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a head model with its mouth finished."""
    model = tensors_to_head_model(tensors)
    mean = lower_upper_teeth(close_lips(model), model)
    mean = (mean + mean[model.mirror] * torch.tensor([-1, 1, 1])) / 2
    return tensors | {"mean": mean} | unroll_teeth(model)


def close_lips(model: HeadModel) -> Tensor:
    """Vertices of the mean head with the rims of both lips brought together; everything else is held."""
    vertices = model.mean.double().numpy()
    rim = np.intersect1d(model.vertex_ids("mouth_cavity"), model.vertex_ids("outer_skin"))
    corners = rim[[vertices[rim, 0].argmin(), vertices[rim, 0].argmax()]]
    inner = np.setdiff1d(rim, corners)
    upper = np.isin(inner, _follow_upper_rim(model, rim, corners))
    targets = np.zeros((len(inner), 3))
    for own, other, sign in ((upper, ~upper, -1), (~upper, upper, 1)):
        order = inner[other][vertices[inner[other], 0].argsort()]
        opposite = np.column_stack(
            [np.interp(vertices[inner[own], 0], vertices[order, 0], vertices[order, axis]) for axis in (1, 2)]
        )
        # The corners themselves, where cheeks begin, stay as they are.
        share = smoothstep(np.abs(vertices[inner[own], 0]), *CORNERS)[:, None]
        targets[own, 1:] = share * ((opposite - vertices[inner[own], 1:]) / 2 + [sign * LIP_OVERLAP / 2, 0])
    # Where lips are seen to meet they touch, and do not pass through each other.
    points, on_lips = model.landmarks478, torch.zeros(SKIN_POINTS, 3)
    places = points.positions(model.mean, model.faces)
    for over, under in DENSE_LIP_PAIRS:
        gap = (places[over, 1] - places[under, 1]) / 2
        on_lips[over, 1], on_lips[under, 1] = -gap, gap
    faces = model.faces[model.face_mask("outer_skin")].numpy()
    at_rim = [np.argwhere(faces == vertex)[0] for vertex in inner]
    skin_ids = torch.nonzero(model.face_mask("outer_skin"))[:, 0]
    handles = LandmarkEmbedding(
        torch.cat([points.face_ids[:SKIN_POINTS], skin_ids[[row for row, _ in at_rim]]]),
        torch.cat([points.barycentrics[:SKIN_POINTS], torch.eye(3)[[corner for _, corner in at_rim]]]),
    )
    weights = torch.cat([torch.full((SKIN_POINTS,), HOLDING_WEIGHT), torch.ones(len(inner))])
    weights[torch.tensor(DENSE_LIP_PAIRS)] = 1.0
    moves = torch.cat([on_lips, torch.from_numpy(targets).float()])
    system = factor_handles(build_surface(model), model.faces, handles, weights, STIFFNESS)
    nearness = smoothstep(cKDTree(vertices[rim]).query(vertices)[0], FAR, NEAR)
    return model.mean + system.displace(model.mean, moves) * torch.from_numpy(nearness).float()[:, None]


def _follow_upper_rim(model: HeadModel, rim: np.ndarray, corners: np.ndarray) -> list[int]:
    """The rim's vertices from corner to corner along the upper lip."""
    faces = model.faces[model.face_mask("outer_skin")].numpy()
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges, counts = np.unique(edges, axis=0, return_counts=True)
    edges = edges[(counts == 1) & np.isin(edges, rim).all(1)]
    paths = []
    for start in edges[(edges == corners[0]).any(1)].sum(1) - corners[0]:
        path, last = [int(start)], int(corners[0])
        while path[-1] != corners[1]:
            following = [int(x) for x in edges[(edges == path[-1]).any(1)].ravel() if x not in (path[-1], last)]
            last = path[-1]
            path.append(following[0])
        paths.append(path[:-1])
    return max(paths, key=lambda path: float(model.mean[path, 1].mean()))


def lower_upper_teeth(vertices: Tensor, model: HeadModel) -> Tensor:
    """Incisors that cover the lower ones, as most people's do."""
    ids = model.vertex_ids("upper_teeth")
    depth = vertices[ids, 2]
    front = (depth - depth.min()) / (depth.max() - depth.min())
    lowered = vertices.clone()
    lowered[ids, 1] -= OVERBITE * front
    return lowered


def unroll_teeth(model: HeadModel) -> dict[str, Tensor]:
    """UVs with each row of teeth as a band: along it the length of the biting edge, across it that of the profile."""
    uvs, uv_faces = model.template.uvs.clone(), model.template.uv_faces
    for name in ("upper_teeth", "lower_teeth"):
        ((left, top, right, bottom),) = INNER_BOXES[name]
        mask = model.face_mask(name)
        places = np.full(len(uvs), -1)
        places[uv_faces[mask].numpy().ravel()] = model.faces[mask].numpy().ravel()
        for side in (1, -1):
            used = np.unique(uv_faces[mask].numpy()[(model.mean[model.faces[mask], 0].mean(1) * side > 0).numpy()])
            points = model.mean[places[used]].double().numpy() * [side, 1, 1]
            along, across = _measure_band(points, name)
            uvs[used, 0] = torch.from_numpy(0.5 + side * (left + along * (right - left) - 0.5)).float()
            # As in a face: gums above the upper teeth, and below the lower ones.
            across = across if name == "upper_teeth" else 1 - across
            uvs[used, 1] = torch.from_numpy(top + across * (bottom - top)).float()
    return {"uvs": uvs}


def _measure_band(points: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Place of each vertex of half a row of teeth along it and across it, 0..1.

    The vertices form a grid. Seen from above they lie on rays around a point between the molars; along a ray, the
    tongue's side is nearest, and the others follow each other in height.
    """
    angle = np.arctan2(points[:, 0], points[:, 2] - points[:, 2].max() + points[:, 0].max())
    inner = _find_tongue_side(points)
    columns = np.empty(len(points), int)
    rows = np.empty(len(points), int)
    outer = ~inner
    count = len(points) // PROFILE_ROWS
    columns[inner], rows[inner] = angle[inner].argsort().argsort(), PROFILE_ROWS - 1
    rise = points[:, 1] if name == "upper_teeth" else -points[:, 1]
    order = np.flatnonzero(outer)[angle[outer].argsort()].reshape(count, PROFILE_ROWS - 1)
    for column, ids in enumerate(order):
        columns[ids] = column
        rows[ids[(-rise[ids]).argsort()]] = np.arange(PROFILE_ROWS - 1)
    grid = np.empty((PROFILE_ROWS, count, 3))
    grid[rows, columns] = points
    edge = np.linalg.norm(np.diff(grid[PROFILE_ROWS - 2], axis=0), axis=1)
    along = np.concatenate([[0], edge.cumsum()]) / edge.sum()
    profile = np.linalg.norm(np.diff(grid, axis=0), axis=2).mean(1)
    profile[-1] *= TONGUE_SIDE
    across = np.concatenate([[0], profile.cumsum()]) / profile.sum()
    return along[columns], across[rows]


def _find_tongue_side(points: np.ndarray) -> np.ndarray:
    """The quarter of the vertices that lies furthest inside the arch."""
    radius = np.hypot(points[:, 0], points[:, 2] - points[:, 2].max() + points[:, 0].max())
    # A half circle in front, straight behind: there the distance from the midline counts.
    radius = np.where(points[:, 2] < points[:, 2].max() - points[:, 0].max(), points[:, 0], radius)
    inside = np.zeros(len(points), bool)
    inside[radius.argsort()[: len(points) // PROFILE_ROWS]] = True
    return inside
