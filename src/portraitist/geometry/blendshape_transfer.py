"""Blendshape transfer: expressions of the sitter's head on the exaggerated one.

The paper adds the sitter's displacements, scaled and turned by the local deformation (Sec. 7.1). Vertex by vertex that
tears lips and lids apart as soon as neighbors are stretched differently. Here the *differences* along edges are scaled
and turned, and the displacement that has them is solved for, as in deformation transfer (Sumner and Popovic 2004),
screened by the paper's displacements. Soft constraints join lids and lips where they meet (the virtual triangles of
contact-aware transfer), so that what closes on the sitter closes on any shape.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import ScreenedPoisson, cotangent_laplacian, difference_matrix
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import DECIMETER, SKIN_COMPONENTS, build_surface
from portraitist.types import EXPRESSION_NAMES

FRAME_SMOOTHING_DM = 0.12  # the local deformation is averaged over this: finer detail is no frame to move in
SCREENING_LENGTH_DM = 0.3  # beyond this a displacement obeys its own frame rather than its neighbors
SCALE_RANGE = (0.4, 2.5)  # of a displacement, however far the shape is stretched
CONTACT_WEIGHT = 30.0  # against edges of weight about one
LID_TRAVEL_DM = 0.02  # what a blink moves further is upper lid
JAW_TRAVEL_DM = 0.06  # what an opening jaw moves further is lower lip
LID_OVERLAP = 0.35  # of the way that lids come together: at 0.15 three times as much of a huge eye shows in a blink
LID_MISFIT = 0.1  # of the opening: from here on the whole overlap is used
CONTACT_DISTANCE_DM = 0.05  # between closed lids or lips


@functools.lru_cache(maxsize=2)
def find_lid_contacts(model: HeadModel) -> Int[np.ndarray, "p 2"]:
    """Vertices of upper and lower lids that meet in a blink: on the rims where outer skin ends."""
    pairs = []
    for side in ("left", "right"):
        blink = _blendshape_of(model, f"eyeBlink{side.capitalize()}")
        rim = _rim_of(model, f"eye_socket_{side}")
        falls = -blink[rim, 1] > LID_TRAVEL_DM
        pairs.append(_pair_nearest(to_numpy(model.mean, np.float64) / DECIMETER + blink, rim[falls], rim[~falls]))
    return np.concatenate(pairs)


@functools.lru_cache(maxsize=2)
def find_lip_contacts(model: HeadModel) -> Int[np.ndarray, "p 2"]:
    """Vertices of upper and lower lip that meet in the neutral face."""
    rim = _rim_of(model, "mouth_cavity")
    falls = -_blendshape_of(model, "jawOpen")[rim, 1] > JAW_TRAVEL_DM
    return _pair_nearest(to_numpy(model.mean, np.float64) / DECIMETER, rim[~falls], rim[falls])


def _blendshape_of(model: HeadModel, name: str) -> np.ndarray:
    return to_numpy(model.expression_deltas[EXPRESSION_NAMES.index(name)], np.float64) / DECIMETER


def _rim_of(model: HeadModel, part: str) -> np.ndarray:
    return np.intersect1d(to_numpy(model.vertex_ids("outer_skin")), to_numpy(model.vertex_ids(part)))


def _pair_nearest(closed: np.ndarray, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Each vertex with the nearest one across, from both sides [p,2], without those that meet nothing."""
    down, nearest_below = KDTree(closed[below]).query(closed[above])
    up, nearest_above = KDTree(closed[above]).query(closed[below])
    pairs = np.stack([np.r_[above, above[nearest_above]], np.r_[below[nearest_below], below]], 1)
    return np.unique(pairs[np.r_[down, up] < CONTACT_DISTANCE_DM], axis=0)


def transfer_blendshapes(
    before: Float[Tensor, "n 3"], after: Float[Tensor, "n 3"], deltas: Float[Tensor, "e n 3"], model: HeadModel
) -> Float[Tensor, "e n 3"]:
    """Displacements on the neutral head ``after`` that correspond to ``deltas`` on the neutral head ``before``, meters.

    A similarity between the two heads scales and turns the displacements exactly.
    """
    ids, faces = np.unique(to_numpy(model.faces[model.face_mask(*SKIN_COMPONENTS)]), return_inverse=True)
    faces = faces.reshape(-1, 3)
    rest, shape = (to_numpy(vertices, np.float64) / DECIMETER for vertices in (before, after))
    moves = to_numpy(deltas, np.float64) / DECIMETER
    frames = local_frames(rest[ids], shape[ids], faces)
    transferred = np.zeros_like(moves)
    local = np.full(len(before), -1)
    local[ids] = np.arange(len(ids))
    lids, lips = local[find_lid_contacts(model)], local[find_lip_contacts(model)]
    transferred[:, ids] = _solve_screened(rest[ids], shape[ids], faces, frames, moves[:, ids], lids, lips)
    spread_frames = np.zeros((len(before), 3, 3))
    spread_frames[ids] = frames
    _transfer_inner_parts(rest, shape, spread_frames, moves, transferred, model)
    return from_numpy(transferred * DECIMETER, deltas)


def local_frames(
    before: Float[np.ndarray, "n 3"], after: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, "n 3 3"]:
    """Rotation times scale around each vertex, averaged over ``FRAME_SMOOTHING_DM``."""
    maps = local_deformation(before, after, faces)
    laplacian, areas = cotangent_laplacian(before, faces)
    smoother = ScreenedPoisson.factorize(FRAME_SMOOTHING_DM**2 * laplacian, areas)
    left, stretch, right = np.linalg.svd(smoother.solve(maps.reshape(-1, 9)).reshape(-1, 3, 3))
    left[:, :, 2] *= np.linalg.det(left @ right)[:, None]  # a fold may not mirror what moves there
    scale = np.clip(stretch.prod(1) ** (1 / 3), *SCALE_RANGE)
    return scale[:, None, None] * (left @ right)


def local_deformation(
    before: Float[np.ndarray, "n 3"], after: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, "n 3 3"]:
    """Linear map around each vertex, area-weighted mean of its triangles' (two edges and a normal as long as those)."""

    def edges(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a, b, c = vertices[faces].transpose(1, 0, 2)
        normal = np.cross(b - a, c - a)
        doubled = np.linalg.norm(normal, axis=1)
        return np.stack([b - a, c - a, normal / np.sqrt(doubled + 1e-12)[:, None]], 2), doubled

    rest, area = edges(before)
    moved, _ = edges(after)
    flat = area < 1e-8
    rest[flat] = moved[flat] = np.eye(3)
    maps = (moved @ np.linalg.inv(rest)) * area[:, None, None]
    sharing = _corner_to_vertex(faces, len(before))
    total, weight = sharing @ np.repeat(maps, 3, 0).reshape(-1, 9), sharing @ np.repeat(area, 3)
    return (total / np.maximum(weight, 1e-20)[:, None]).reshape(-1, 3, 3)


def _corner_to_vertex(faces: np.ndarray, count: int) -> sp.csr_matrix:
    """[count, 3f]: sums values given per face and corner into vertices."""
    corners = faces.reshape(-1)
    return sp.csr_matrix((np.ones(len(corners)), (corners, np.arange(len(corners)))), (count, len(corners)))


def _solve_screened(
    rest: np.ndarray, shape: np.ndarray, faces: np.ndarray, frames: np.ndarray, moves: np.ndarray, lids: np.ndarray,
    lips: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Displacements [e,n,3] whose gradients on ``shape`` are those of ``moves`` on ``rest``, seen in ``frames``."""
    count, blendshapes = len(rest), len(moves)
    stiffness = _face_stiffness(shape, faces)
    rows, columns = np.repeat(faces[:, :, None], 3, 2), np.repeat(faces[:, None, :], 3, 1)
    laplacian = sp.coo_matrix((stiffness.ravel(), (rows.ravel(), columns.ravel())), (count, count)).tocsr()
    areas = cotangent_laplacian(rest, faces)[1]  # at rest: squeezed skin keeps its say
    screen = areas / SCREENING_LENGTH_DM**2

    turned = np.einsum("fij,efcj->efci", frames[faces].mean(1), moves[:, faces])
    pulls = np.einsum("fcd,efdi->fcei", stiffness, turned, optimize=True).reshape(len(faces) * 3, -1)
    wanted = _corner_to_vertex(faces, count) @ pulls
    screened = np.einsum("nij,enj->nei", frames, moves).reshape(count, -1)

    contacts = np.concatenate([lids, lips])
    differences = difference_matrix(contacts, count)
    changes = np.stack([differences @ move for move in moves])
    ends = frames[contacts].mean(1)
    gaps = np.einsum("pij,epj->epi", ends, changes)
    of_lids = slice(len(lids))
    gaps[:, of_lids] = _close_lids(
        (differences @ rest)[of_lids], (differences @ shape)[of_lids], changes[:, of_lids], ends[of_lids]
    )
    wanted += CONTACT_WEIGHT * (differences.T @ gaps.transpose(1, 0, 2).reshape(len(contacts), -1))
    poisson = ScreenedPoisson.factorize(laplacian, screen, CONTACT_WEIGHT * (differences.T @ differences))
    return poisson.solve(screened, wanted).reshape(count, blendshapes, 3).transpose(1, 0, 2)


def _face_stiffness(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Dirichlet energy of each triangle as a matrix between its corners [f,3,3]; rows sum to 0."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    opposite = np.stack([c - b, a - c, b - a], 1)
    doubled = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return opposite @ opposite.transpose(0, 2, 1) / (2 * np.maximum(doubled, 1e-7))[:, None, None]


def _close_lids(rest: np.ndarray, shape: np.ndarray, changes: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """By how much each gap [p,3] between lids of the new shape has to change, per blendshape [e,p,3].

    As the sitter's does, seen in the local frame; and what the new shape's gap differs by goes as far as the sitter's
    gap closes: what closes there closes here.
    """
    closed = 1 - np.clip(((rest + changes) * rest).sum(2) / np.maximum((rest**2).sum(1), 1e-12), 0, 1)[..., None]
    own = shape - np.einsum("pij,pj->pi", frames, rest)
    # Lids of another shape than the sitter's fit less well, so they come together a little further than to touch.
    misfit = np.linalg.norm(own, axis=1) / np.maximum(np.linalg.norm(rest, axis=1), 1e-6)
    overlap = LID_OVERLAP * (misfit / LID_MISFIT).clip(max=1)[:, None]
    return (1 + overlap * closed) * np.einsum("pij,epj->epi", frames, changes) - closed * own


def _transfer_inner_parts(
    rest: np.ndarray, shape: np.ndarray, frames: np.ndarray, moves: np.ndarray, transferred: np.ndarray,
    model: HeadModel,
) -> None:  # fmt: skip
    """Fill in ``transferred`` for eyeballs, which turn in place, and for teeth and tongue: they go with the skin around
    them, and what the sitter's do beyond it is seen in the frames of that skin."""
    for side in ("left", "right"):
        ball = to_numpy(model.vertex_ids(f"eyeball_{side}"))
        transferred[:, ball] = moves[:, ball] @ _fit_frame(rest[ball], shape[ball]).T
    surface = build_surface(model)
    ids = to_numpy(model.vertex_ids("upper_teeth", "lower_teeth", "tongue"))
    around = surface.hung_weights[np.searchsorted(surface.hung_ids, ids)]
    local = (around @ frames[surface.vertex_ids].reshape(-1, 9)).reshape(-1, 3, 3)
    for move, new in zip(moves, transferred, strict=True):
        beyond = move[ids] - around @ move[surface.vertex_ids]
        new[ids] = around @ new[surface.vertex_ids] + np.einsum("nij,nj->ni", local, beyond)


def _fit_frame(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Rotation times scale that best takes one set of points to the other (Umeyama)."""
    a, b = before - before.mean(0), after - after.mean(0)
    rotation = Rotation.align_vectors(b, a)[0].as_matrix()
    return ((a @ rotation.T * b).sum() / (a**2).sum()) * rotation
