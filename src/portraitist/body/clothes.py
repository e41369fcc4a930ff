"""Clothes over a body: cloth that spans its hollows and lies on nothing but its heights, and stiff shoes."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from portraitist.body.body_model import PIECES, BodyModel
from portraitist.mesh.laplacian import vertex_normals

ROUNDS = 40  # of smoothing and pushing out
TIGHTEST = 0.8  # of the ease: what cloth keeps from the body where it is drawn tight


def dress_body(body: Float[np.ndarray, "n 3"], scale: float, model: BodyModel) -> Float[np.ndarray, "e 3"]:
    """Vertices of the clothes on a body that is ``scale`` times as large as a person."""
    sources, ease = model.clothes_sources, scale * model.clothes_ease
    normals = vertex_normals(body, model.faces)[sources].astype(np.float64)
    under = body[sources]
    clothes = under + ease[:, None] * normals
    cloth = np.isin(model.clothes_pieces, [PIECES.index(name) for name in ("top", "trousers")])
    smooth, moved = _smoother(model, model.clothes_faces[cloth])
    for _ in range(ROUNDS):
        clothes[moved] = smooth @ clothes
        height = ((clothes - under) * normals).sum(1)
        clothes += (TIGHTEST * ease - height).clip(0)[:, None] * normals * moved[:, None]
    shoes = model.shoes.reshape(-1, 3)
    clothes[len(clothes) - len(shoes) :] = np.concatenate([_fit_shoe(body, side, model) for side in (0, 1)])
    return clothes


def find_cloth_normals(
    clothes: Float[np.ndarray, "e 3"], faces: Int[np.ndarray, "d 3"], model: BodyModel
) -> Float[np.ndarray, "e 3"]:
    """Unit normals of clothes of `BodyModel`. At hems they are those of the outer side, which the inner one would turn
    about wherever it has more or larger triangles."""
    rims = (model.clothes_ease < 0)[:, None]
    return np.where(rims, vertex_normals(clothes, faces), vertex_normals(clothes, list_outer_faces(faces, model)))


def list_outer_faces(faces: Int[np.ndarray, "d 3"], model: BodyModel) -> Int[np.ndarray, "o 3"]:
    """Those of clothes that are not the inner sides of their hems."""
    return faces[(model.clothes_ease >= 0)[faces].all(1)]


def _smoother(model: BodyModel, faces: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
    """Means with the neighbors, and for which vertices: cloth without its rims. Along a hem only the hem counts."""
    count = len(model.clothes_sources)
    own = model.clothes_ease > 0
    inner = faces[own[faces].all(1)]
    edges = np.concatenate([inner[:, [i, (i + 1) % 3]] for i in range(3)])
    links = sp.csr_matrix((np.ones(len(edges)), tuple(edges.T)), (count, count))
    one_sided = links - links.multiply(links.T)
    hem = np.asarray(abs(one_sided).sum(1)).ravel() + np.asarray(abs(one_sided).sum(0)).ravel() > 0
    ties = ((links + links.T) > 0).astype(np.float64)
    along = (abs(one_sided) + abs(one_sided).T > 0).astype(np.float64)
    ties = sp.diags((~hem).astype(float)) @ ties + sp.diags(hem.astype(float)) @ along
    moved = np.asarray(ties.sum(1)).ravel() > 0
    means = sp.diags(1 / np.asarray(ties.sum(1)).ravel().clip(1e-9)) @ ties
    return sp.csr_matrix((sp.identity(count) + means) / 2)[moved], moved


def _fit_shoe(body: np.ndarray, side: int, model: BodyModel) -> np.ndarray:
    """A shoe on the foot of another body: stretched as the foot is, its sole still level."""
    shoe = model.shoes[side]
    first = len(model.clothes_sources) - 2 * len(shoe) + side * len(shoe)
    foot = np.unique(model.clothes_sources[first : first + len(shoe)])
    before, after = model.mean[foot], body[foot]
    stretch = np.linalg.lstsq(np.append(before, np.ones((len(foot), 1)), 1), after, rcond=None)[0]
    placed = np.append(shoe, np.ones((len(shoe), 1)), 1) @ stretch
    rise = np.ptp(after[:, 1]) / np.ptp(before[:, 1])
    placed[:, 1] = (shoe[:, 1] - before[:, 1].min()) * rise + after[:, 1].min()
    return placed
