"""Canonical UV: one mirror-symmetric skin island cut down the back, face enlarged; small islands for what lies inside.

The skin island minimizes the symmetric Dirichlet energy (Smith and Schaefer 2015) from a Tutte start. Both keep every
triangle's orientation, and solving one half against the straight midline makes the map exactly mirror-symmetric.
Islands for eye sockets, mouth cavity, eyeballs, teeth and tongue are the base mesh's own, packed below the skin.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from source import PARTS, Source

OPENING = 0.006  # meters, half height of mouth and eye openings in the map
CUT_START = 0.93  # the seam climbs the back of the head to this share of its height


def boundary_loop(faces: np.ndarray) -> list[np.ndarray]:
    """Ordered boundary loops of a triangle set."""
    edges = {(a, b) for t in faces.tolist() for a, b in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))}
    following = {a: b for a, b in edges if (b, a) not in edges}
    loops = []
    while following:
        start, current = next(iter(following.items()))
        loop = [start]
        del following[start]
        while current != start:
            loop.append(current)
            current = following.pop(current)
        loops.append(np.array(loop))
    return loops


def uniform_laplacian(faces: np.ndarray, count: int) -> sp.csr_matrix:
    i, j = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    adjacency = sp.coo_matrix((np.ones(len(i)), (i, j)), (count, count)).tocsr()
    adjacency = ((adjacency + adjacency.T) > 0).astype(float)
    return sp.diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency


def close_mouth(loop: np.ndarray, on_axis: np.ndarray, virtual: int) -> tuple[np.ndarray, np.ndarray]:
    """The half mesh's outer loop runs axis, half of the mouth's rim, axis, seam. Shorten it by a virtual vertex on the
    axis in the mouth's place; returns the loop (axis part first) and the fan that fills the gap."""
    starts = np.flatnonzero(on_axis[loop] & ~np.roll(on_axis[loop], 1))
    runs = [np.roll(loop, -int(start)) for start in starts]
    ends = [int(np.argmin(on_axis[run])) for run in runs]  # first vertex off the axis
    gaps = [int(np.argmax(on_axis[run[end:]])) or len(run) - end for run, end in zip(runs, ends, strict=True)]
    mouth = int(np.argmin(gaps))
    run, end, gap = runs[mouth], ends[mouth], gaps[mouth]
    rim = run[end - 1 : end + gap + 1]
    fan = np.stack([rim[1:], rim[:-1], np.full(len(rim) - 1, virtual)], 1)
    closed = np.concatenate([run[end + gap :], run[:end], [virtual]])  # lower axis ... seam ... upper axis, mouth
    seam_end = int(np.argmax(~np.isin(closed, np.append(np.flatnonzero(on_axis), virtual))))
    after = seam_end + int(np.argmax(np.isin(closed[seam_end:], np.append(np.flatnonzero(on_axis), virtual))))
    return np.roll(closed, -after), fan


def tutte_half(vertices: np.ndarray, faces: np.ndarray, on_axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start map of the x >= 0 half: midline on u = 0, the rest of the outer boundary on a half circle.

    Returns UVs [n + holes, 2] and the fans that fill mouth and eye openings; their centers are the last vertices.
    """
    count = len(vertices)
    loops = sorted(boundary_loop(faces), key=len)
    outer, fan = close_mouth(loops[-1], on_axis, count)
    fans = [fan] + [
        np.stack([np.roll(loop, -1), loop, np.full(len(loop), count + 1 + k)], 1) for k, loop in enumerate(loops[:-1])
    ]
    total = count + len(loops)
    laplacian = uniform_laplacian(np.concatenate([faces, *fans]), total)
    points = np.concatenate([vertices, vertices[fan[:, :2].ravel()].mean(0, keepdims=True)])[outer]
    axis = np.append(on_axis, True)[outer]
    step = np.linalg.norm(points - np.roll(points, -1, axis=0), axis=1)
    length = np.concatenate([[0], np.cumsum(step)[:-1]])
    last = int(axis.sum()) - 1
    along_axis = length[: last + 1] / length[last]
    along_arc = (length[last + 1 :] - length[last]) / (step.sum() - length[last])
    position = np.zeros((total, 2))
    position[outer[: last + 1], 1] = 1 - 2 * along_axis
    angle = -np.pi / 2 + np.pi * along_arc
    position[outer[last + 1 :]] = np.stack([np.cos(angle), np.sin(angle)], 1)
    free = np.setdiff1d(np.arange(total), outer)
    solve = splu(laplacian[free][:, free].tocsc())
    position[free] = solve.solve(-(laplacian[free][:, outer] @ position[outer]))
    return position, np.concatenate(fans)


def rest_frames(vertices: np.ndarray, faces: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of each rest triangle's 2x2 edge matrix (edges scaled by the wanted density) and its area."""
    a, b = vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]]
    a, b = a * density[:, None], b * density[:, None]
    length = np.linalg.norm(a, axis=1)
    x = (a * b).sum(1) / length
    y = np.sqrt(np.maximum((b * b).sum(1) - x * x, 1e-16))
    rest = np.stack([np.stack([length, x], 1), np.stack([np.zeros_like(x), y], 1)], 1)
    return np.linalg.inv(rest), length * y / 2


def opening_frames(vertices: np.ndarray, fans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rest frames for the fans across mouth and eyes: as if held a little open. They carry no texels; with them in the
    energy upper and lower lip (or lid) cannot slide over each other."""
    base = np.linalg.norm(vertices[fans[:, 0]] - vertices[fans[:, 1]], axis=1)
    rest = np.zeros((len(fans), 2, 2))
    rest[:, 0, 0], rest[:, 0, 1], rest[:, 1, 1] = base, base / 2, OPENING
    return np.linalg.inv(rest), 0.5 * base * OPENING


def dirichlet_energy(uv: np.ndarray, faces: np.ndarray, inverse: np.ndarray, area: np.ndarray):
    """Symmetric Dirichlet energy and gradient; infinite when any triangle is flipped."""
    edges = np.stack([uv[faces[:, 1]] - uv[faces[:, 0]], uv[faces[:, 2]] - uv[faces[:, 0]]], 2)
    jacobian = edges @ inverse
    det = np.linalg.det(jacobian)
    if (det <= 0).any():
        return np.inf, None
    square = (jacobian**2).sum((1, 2))
    energy = (area * square * (1 + det**-2)).sum()
    (a, b), (c, d) = jacobian.transpose(1, 2, 0)
    adjugate = np.stack([np.stack([d, -c], 1), np.stack([-b, a], 1)], 1)
    by_jacobian = 2 * jacobian * (1 + det**-2)[:, None, None] - (2 * square * det**-3)[:, None, None] * adjugate
    by_edges = (area[:, None, None] * by_jacobian) @ inverse.transpose(0, 2, 1)
    gradient = np.zeros_like(uv)
    np.add.at(gradient, faces[:, 1], by_edges[:, :, 0])
    np.add.at(gradient, faces[:, 2], by_edges[:, :, 1])
    np.add.at(gradient, faces[:, 0], -by_edges.sum(2))
    return energy, gradient


def minimize_distortion(
    uv: np.ndarray, faces: np.ndarray, inverse: np.ndarray, area: np.ndarray, on_axis: np.ndarray, steps: int = 4000
) -> np.ndarray:
    """L-BFGS with a Laplacian initial metric and a backtracking line search that never admits a flip."""
    free = np.concatenate([~on_axis, np.ones(len(uv), bool)])
    laplacian = uniform_laplacian(faces, len(uv)) + 1e-4 * sp.identity(len(uv))
    metric = splu(sp.block_diag([laplacian, laplacian]).tocsr()[free][:, free].tocsc())

    def evaluate(flat: np.ndarray):
        energy, gradient = dirichlet_energy(flat.reshape(2, -1).T, faces, inverse, area)
        return energy, None if gradient is None else np.where(free, gradient.T.ravel(), 0)

    x = uv.T.ravel().copy()
    energy, gradient = evaluate(x)
    history: list[tuple[np.ndarray, np.ndarray, float]] = []
    for _ in range(steps):
        q = gradient.copy()
        alphas = []
        for s, y, rho in reversed(history):
            alphas.append(rho * (s @ q))
            q -= alphas[-1] * y
        direction = np.zeros_like(q)
        direction[free] = metric.solve(q[free])
        if history:
            s, y, _ = history[-1]
            smoothed = metric.solve(y[free])
            direction *= (s @ y) / (y[free] @ smoothed)
        for (s, y, rho), alpha in zip(history, reversed(alphas), strict=True):
            direction += s * (alpha - rho * (y @ direction))
        slope, step = -(gradient @ direction), 1.0
        while step > 1e-14:
            new_energy, new_gradient = evaluate(x - step * direction)
            if new_energy <= energy + 1e-4 * step * slope:
                break
            step /= 2
        else:
            if not history:
                break
            history = []
            continue
        s, y = -step * direction, new_gradient - gradient
        if s @ y > 0:
            history = [*history[-12:], (s, y, 1 / (s @ y))]
        converged = energy - new_energy < 1e-9 * energy
        x, energy, gradient = x - step * direction, new_energy, new_gradient
        if converged:
            break
    return x.reshape(2, -1).T


def split_seam(source: Source, vertices: np.ndarray, skin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half mesh (x >= 0) faces, its vertex ids, and which of them lie on the axis u = 0 (front midline, no seam)."""
    faces = source.faces[skin]
    half = faces[vertices[faces][..., 0].mean(1) > 0]
    ids, local = np.unique(half, return_inverse=True)
    midline = np.abs(vertices[ids, 0]) < 1e-6
    points = vertices[ids]
    height = np.interp(points[:, 1], [points[:, 1].min(), points[:, 1].max()], [0, 1])
    ears = points[np.abs(points[:, 0]).argmax(), 2]
    behind = (points[:, 2] < ears) & (height < CUT_START)
    return local.reshape(half.shape), ids, midline & ~behind


def wanted_density(centers: np.ndarray, face_box: dict[str, float]) -> np.ndarray:
    """Linear texel density relative to the face (1): ears 0.75, neck and scalp falling to 0.36, features a bit more."""
    above = np.clip((centers[:, 1] - face_box["hairline"]) / 0.04, 0, 1)
    below = np.clip((face_box["chin"] - centers[:, 1]) / 0.03, 0, 1)
    back = np.clip((face_box["ear_front"] - centers[:, 2]) / 0.03, 0, 1)
    away = np.maximum.reduce([above, below, back])
    density = 1 - 0.64 * (3 * away**2 - 2 * away**3)
    features = np.exp(-((np.abs(centers[:, 0]) / 0.05) ** 2) - ((centers[:, 1] - face_box["nose"]) / 0.055) ** 2)
    return density * (1 + 0.6 * features * (centers[:, 2] > face_box["ear_front"] + 0.03))


def place_island(uv: np.ndarray, ids: np.ndarray, box: tuple[float, float, float, float]) -> None:
    """Scale an island (in place, aspect kept) into the middle of a box (left, top, right, bottom)."""
    low, high = uv[ids].min(0), uv[ids].max(0)
    scale = min((box[2] - box[0]) / (high[0] - low[0]), (box[3] - box[1]) / (high[1] - low[1]))
    middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    uv[ids] = (uv[ids] - (low + high) / 2) * scale + middle


def connected_islands(uv_faces: np.ndarray) -> np.ndarray:
    """Island number of each triangle."""
    i, j = np.concatenate([uv_faces[:, [0, 1]], uv_faces[:, [1, 2]]]).T
    count = uv_faces.max() + 1
    _, labels = connected_components(sp.coo_matrix((np.ones(len(i)), (i, j)), (count, count)))
    return labels[uv_faces[:, 0]]


def mirror_uvs(
    vertices: np.ndarray,
    faces: np.ndarray,
    uvs: np.ndarray,
    uv_faces: np.ndarray,
    sources: np.ndarray,
    copies: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """New UVs for the ``copies`` triangles: the mirror image (u -> 1 - u) of the ``sources`` triangles' UVs."""

    def place(triangle: np.ndarray, corner: int, flip: np.ndarray) -> tuple[float, ...]:
        return tuple(np.round([*(vertices[triangle].mean(0) * flip), *(vertices[corner] * flip)], 6) + 0.0)

    by_place = {}
    for triangle, uv_triangle in zip(faces[sources], uv_faces[sources], strict=True):
        for corner, uv_id in zip(triangle, uv_triangle, strict=True):
            by_place[place(triangle, corner, np.ones(3))] = uv_id
    flip = np.array([-1, 1, 1])
    uv_ids = [[by_place[place(triangle, corner, flip)] for corner in triangle] for triangle in faces[copies]]
    used, local = np.unique(uv_ids, return_inverse=True)
    return uvs[used] * [-1, 1] + [1, 0], local.reshape(-1, 3)


def unwrap_skin(source: Source, vertices: np.ndarray, face_box: dict[str, float]):
    """Skin UVs (v down, unscaled) as [m,2] with uv_faces for the skin triangles."""
    skin = source.parts == PARTS.index("outer_skin")
    half, ids, on_axis = split_seam(source, vertices, skin)
    density = wanted_density(vertices[ids][half].mean(1), face_box)
    inverse, area = rest_frames(vertices[ids], half, density)
    start, fans = tutte_half(vertices[ids], half, on_axis)
    start *= np.sqrt(area.sum() / (np.pi / 2))
    if np.linalg.det(start[half][:, 1:] - start[half][:, :1]).min() < 0:
        start[:, 0] *= -1  # the loop ran the other way round
    fan_inverse, fan_area = opening_frames(vertices[ids], fans)
    axis = np.append(on_axis, np.arange(len(start) - len(ids)) == 0)  # the mouth's center stays on the axis
    uv = minimize_distortion(start, np.concatenate([half, fans]), np.concatenate([inverse, fan_inverse]),
                             np.concatenate([area, fan_area]), axis)[: len(ids)]  # fmt: skip
    uv[:, 1] *= -1  # v down
    mirrored_ids = np.where(on_axis, np.arange(len(ids)), np.arange(len(ids)) + len(ids))
    uvs = np.concatenate([uv, uv * [-1, 1]])
    # Left half first, then its mirror image; every skin triangle finds its half by centroid and mirrored vertices.
    position = {tuple(np.round(p, 6)): k for k, p in enumerate(vertices[ids])}
    uv_faces = np.empty((skin.sum(), 3), int)
    for row, triangle in enumerate(source.faces[skin]):
        points = vertices[triangle]
        left = points[:, 0].mean() > 0
        keys = [position[tuple(np.round(p * [1 if left else -1, 1, 1], 6) + 0.0)] for p in points]
        uv_faces[row] = keys if left else mirrored_ids[keys]
    return uvs, uv_faces


# (left, top, right, bottom) on the sitter's left half of the map; the right half mirrors it.
INNER_BOXES = {
    "eyeball_left": [(0.86, 0.862, 0.99, 0.992), (0.945, 0.80, 0.99, 0.85)],  # front disc, back disc
    "eye_socket_left": [(0.805, 0.862, 0.855, 0.925)],
    "upper_teeth": [(0.605, 0.862, 0.80, 0.914)],  # unrolled in mouth.py
    "lower_teeth": [(0.605, 0.922, 0.80, 0.974)],
    "tongue": [(0.553, 0.90, 0.598, 0.992)],
}
SKIN_BOX = (0.008, 0.008, 0.992, 0.85)
MOUTH_BOX = (0.45, 0.862, 0.55, 0.992)


def build_canonical_uv(
    source: Source, vertices: np.ndarray, face_box: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """uvs [m,2] in 0..1 (origin top left, v down) and uv_faces [f,3] for a mirror-symmetric head."""
    part_of = {name: source.parts == index for index, name in enumerate(PARTS)}
    uv_faces = np.empty_like(source.uv_faces)
    uvs, uv_faces[part_of["outer_skin"]] = unwrap_skin(source, vertices, face_box)
    place_island(uvs, np.arange(len(uvs)), SKIN_BOX)

    def append(new_uvs: np.ndarray, new_faces: np.ndarray, where: np.ndarray) -> None:
        nonlocal uvs
        uv_faces[where] = new_faces + len(uvs)
        uvs = np.concatenate([uvs, new_uvs])

    def own_island(where: np.ndarray, box: tuple[float, float, float, float]) -> None:
        ids, local = np.unique(source.uv_faces[where], return_inverse=True)
        island = source.uvs[ids] * [1, -1]
        place_island(island, np.arange(len(island)), box)
        append(island, local.reshape(-1, 3), where)

    own_island(part_of["mouth_cavity"], MOUTH_BOX)
    right = vertices[source.faces][..., 0].mean(1) < 0
    for name, boxes in INNER_BOXES.items():
        here = part_of[name] if name.endswith("_left") else part_of[name] & ~right
        there = part_of[name.replace("_left", "_right")] & right
        islands = connected_islands(np.where(here[:, None], source.uv_faces, 0))
        numbers = sorted(
            np.unique(islands[here]),
            key=lambda k, islands=islands: -vertices[source.faces[islands == k]][..., 2].mean(),
        )
        for number, box in zip(numbers, boxes, strict=True):
            own_island(here & (islands == number), box)
        append(*mirror_uvs(vertices, source.faces, uvs, uv_faces, here, there), there)
    return uvs, uv_faces
