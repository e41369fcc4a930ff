"""The new head, cut where the character's neck begins and joined to it by a strip of triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from portraitist.characters.cutting import LEAST_HEIGHT, Cut, avoid_level, cut_mesh, find_pieces, list_loops
from portraitist.characters.joining import measure_loop, pick_loop, zip_loops
from portraitist.mesh.laplacian import vertex_normals
from portraitist.rendering.shader_math import smoothstep

FADED_STRIPS = 4  # heights of the strip over which expressions fade towards the seam, which stands still
SEAM_SHARE = 0.01  # of the neck's girth: height of the strip, a fifth of the side of its triangles


@dataclass(frozen=True)
class Seam:
    """The line at which the character's skin ends, the same way round as seen from above counterclockwise. ``points``
    in head space; ``ids``: of the new vertices of the character's cut."""

    points: Float[np.ndarray, "m 3"]
    ids: Int[np.ndarray, "m"]


@dataclass(frozen=True)
class HeadPart:
    """``vertices``: in head space; those of the head model, then new ones, then the seam's own. ``matrix``: takes
    values at the head model's vertices to all but the seam's. ``uvs[uv_faces]``: of corners. ``fade``: 0 at the seam, 1
    where expressions move the head as ever. ``seam_start``: number of the first vertex of the seam."""

    vertices: Float[np.ndarray, "n 3"]
    faces: Int[np.ndarray, "f 3"]
    uvs: Float[np.ndarray, "u 2"]
    uv_faces: Int[np.ndarray, "f 3"]
    normals: Float[np.ndarray, "n 3"]
    matrix: sp.csr_matrix
    fade: Float[np.ndarray, "k"]
    seam_start: int


def find_seam(
    cut: Cut, points: Float[np.ndarray, "k 3"], places: Int[np.ndarray, "k"], axis: Float[np.ndarray, "2"]
) -> Seam | None:
    """The longest closed line of a character's cut that goes around the neck's ``axis`` (x, z). ``points``, ``places``:
    of its new vertices, in head space, and numbers that are the same where vertices coincide. None where no line is
    closed."""
    representative = {place: number for number, place in reversed([*enumerate(places.tolist())])}
    rim = places[cut.rim - cut.old_count]
    loops = [np.array([representative[place] for place in loop]) for loop in list_loops(rim)]
    picked = pick_loop([points[loop] for loop in loops], axis)
    if picked is None:
        return None
    loop = loops[picked]
    loop = loop if _turns_left(points[loop]) else loop[::-1]
    return Seam(points[loop], loop)


def join_head(
    shape: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "f 3"],
    uvs: Float[np.ndarray, "u 2"],
    uv_faces: Int[np.ndarray, "f 3"],
    ring: Int[np.ndarray, "r"],
    level: float,
    seam: Seam | None,
) -> HeadPart:
    """``shape``: of the new head, on the character's skin. ``ring``: vertices at which its neck ends. ``level``: height
    at which the character is cut. Without a seam the neck is left as it is and ends inside of what it stands in."""
    if seam is None:
        normals = vertex_normals(shape, faces)
        return HeadPart(
            shape,
            faces,
            uvs,
            uv_faces,
            normals,
            sp.csr_matrix(sp.identity(len(shape))),
            np.ones(len(shape)),
            len(shape),
        )
    lift = SEAM_SHARE * measure_loop(seam.points)
    heights = avoid_level(shape[:, 1] - level - lift)
    heights[ring] = np.minimum(heights[ring], -LEAST_HEIGHT)  # the end of the neck goes, or no line would be closed
    below = find_pieces(faces, len(shape), heights < 0)
    goes = np.isin(below, below[ring][below[ring] >= 0]) & (below >= 0)
    cut = cut_mesh(faces, -heights, goes)
    matrix = cut.matrix()
    placed = matrix @ shape
    corner_uvs = _locate_uvs(cut, shape, placed, faces, uvs[uv_faces])
    upper = max(list_loops(cut.rim), key=lambda ids: measure_loop(placed[ids]))
    upper = upper if _turns_left(placed[upper]) else upper[::-1]
    strip, edges = zip_loops(placed[upper], seam.points)
    numbers = np.concatenate([upper, len(placed) + np.arange(len(seam.points))])
    vertices = np.concatenate([placed, seam.points])
    owner = {edge: face for edge, face in _list_owners(cut)}
    beside = [owner[frozenset((int(upper[e]), int(upper[(e + 1) % len(upper)])))] for e in edges]
    strip_uvs = extend_uvs(vertices[numbers[strip]], vertices[cut.faces[beside]], corner_uvs[beside])
    all_faces = np.concatenate([cut.faces, numbers[strip]])
    all_uvs = np.concatenate([corner_uvs, strip_uvs]).reshape(-1, 2)
    unique, places = np.unique(all_uvs.round(7), axis=0, return_inverse=True)
    return HeadPart(
        vertices=vertices,
        faces=all_faces,
        uvs=unique,
        uv_faces=places.reshape(-1, 3),
        normals=vertex_normals(vertices, all_faces),
        matrix=matrix,
        fade=smoothstep(KDTree(placed[upper]).query(placed)[0] / (FADED_STRIPS * lift), 0.0, 1.0),
        seam_start=len(placed),
    )


def _list_owners(cut: Cut) -> list[tuple[frozenset[int], int]]:
    """The face at each edge of the rim."""
    rim = {frozenset(edge) for edge in cut.rim.tolist()}
    found = []
    for number, (a, b, c) in enumerate(cut.faces.tolist()):
        found += [(frozenset(e), number) for e in ((a, b), (b, c), (c, a)) if frozenset(e) in rim]
    return found


def _locate_uvs(
    cut: Cut, shape: np.ndarray, placed: np.ndarray, faces: np.ndarray, corner_uvs: Float[np.ndarray, "f 3 2"]
) -> Float[np.ndarray, "g 3 2"]:
    """UVs of the corners of what is left: those of the old triangles, continued to where new corners lie on them."""
    found = corner_uvs[cut.origin].copy()
    changed = (cut.faces >= len(shape)).any(1)
    own = cut.origin[changed]
    found[changed] = extend_uvs(placed[cut.faces[changed]], shape[faces[own]], corner_uvs[own])
    return found


def extend_uvs(
    points: Float[np.ndarray, "k 3 3"], corners: Float[np.ndarray, "k 3 3"], uvs: Float[np.ndarray, "k 3 2"]
) -> Float[np.ndarray, "k 3 2"]:
    """UVs at three points beside each of k triangles, whose own are continued in their planes."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    basis = np.stack([first, second], 2)
    gram = np.einsum("kai,kaj->kij", basis, basis)
    gram += 1e-12 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(2)
    arms = np.einsum("kai,kca->kci", basis, points - corners[:, :1])
    shares = np.linalg.solve(gram[:, None], arms[..., None])[..., 0]
    edges = np.stack([uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]], 1)
    return uvs[:, :1] + np.einsum("kci,kid->kcd", shares, edges)


def _turns_left(points: Float[np.ndarray, "k 3"]) -> bool:
    """Whether a line runs counterclockwise as seen from above."""
    x, z = points[:, 0], points[:, 2]
    return float((z * np.roll(x, -1) - x * np.roll(z, -1)).sum()) > 0
