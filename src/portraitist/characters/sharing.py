"""How much of each vertex of the new head is the face's own, and how much the character's: in shape, and in color."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import Delaunay

from portraitist.devices import to_numpy
from portraitist.mesh.laplacian import ScreenedPoisson, cotangent_laplacian
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import DECIMETER, SURFACE_COMPONENTS
from portraitist.rendering.shader_math import smoothstep

FIRM, LOOSE = 1e6, 1e-6  # weights of what is given and of what is not, against smoothness
JAW = slice(0, 17)  # of the 68 points
CORNERS = [4, 12]  # of the jaw
INNER = 0.8  # share of the way from the face's middle to the jaw up to which colors are the face's: a jaw is painted
# with the shade of another neck


def share_shape(
    model: HeadModel, shape: Float[np.ndarray, "n 3"], level: float, *, keep_hair: bool
) -> Float[np.ndarray, "n"]:
    """0 on the face, 1 at the neck's ``level`` and below and, where the character keeps its hair, on the scalp; smooth
    between. ``shape``: of the new head, meters."""
    neck = to_numpy(model.vertex_ids("neck"))
    return _spread(model, shape, neck[shape[neck, 1] < level], _find_face(model, 1.0), keep_hair=keep_hair)


def share_color(model: HeadModel, shape: Float[np.ndarray, "n 3"], *, keep_hair: bool) -> Float[np.ndarray, "n"]:
    """The same of colors: 0 within the jaw, 1 on the whole neck and below the jaw: the photo's shade under its own jaw
    would be a second outline beside that of the new one."""
    below = np.union1d(_list_inner(model, "neck"), _list_below_jaw(model))
    ours = _find_face(model, INNER)
    ours[to_numpy(model.vertex_ids("ears"))] = True  # where they are dark, the character's need not be
    return _spread(model, shape, below, ours, keep_hair=keep_hair)


def _spread(
    model: HeadModel,
    shape: Float[np.ndarray, "n 3"],
    neck: Int[np.ndarray, "k"],
    ours: Bool[np.ndarray, "n"],
    *,
    keep_hair: bool,
) -> Float[np.ndarray, "n"]:
    """Between what is given runs the harmonic field."""
    ids, faces = np.unique(to_numpy(model.faces[model.face_mask(*SURFACE_COMPONENTS)]), return_inverse=True)
    theirs, ours = np.zeros(len(shape), bool), ours.copy()
    if keep_hair:
        theirs[_list_inner(model, "scalp")] = True
    else:
        ours[to_numpy(model.vertex_ids("scalp", "ears"))] = True
    theirs[neck] = True
    given = np.where((theirs | ours)[ids], FIRM, LOOSE)
    laplacian, _ = cotangent_laplacian(shape[ids] / DECIMETER, faces.reshape(-1, 3))
    field = ScreenedPoisson.factorize(laplacian, given).solve(theirs[ids].astype(float)[:, None])[:, 0]
    shares = np.zeros(len(shape))
    shares[ids] = smoothstep(field, 0.0, 1.0)
    return shares


def _list_inner(model: HeadModel, region: str) -> Int[np.ndarray, "_k"]:
    """Vertices of a region only."""
    mask = model.face_mask(region)
    return np.setdiff1d(to_numpy(model.faces[mask].unique()), to_numpy(model.faces[~mask].unique()))


def _list_below_jaw(model: HeadModel) -> Int[np.ndarray, "_k"]:
    """Vertices of skin outside of the face as it is seen from the front, below the corners of the jaw."""
    points = to_numpy(model.landmarks68.positions(model.mean, model.faces), np.float64)
    skin = to_numpy(model.vertex_ids("skin"))
    places = to_numpy(model.mean, np.float64)[skin]
    outside = Delaunay(points[:, :2]).find_simplex(places[:, :2]) < 0
    return skin[outside & (places[:, 1] < points[CORNERS, 1].mean())]


def _find_face(model: HeadModel, reach: float) -> Bool[np.ndarray, "n"]:
    """What is seen of the face within the line of jaw and brows, and eye sockets. ``reach``: share of the way from the
    middle at which the jaw is taken to be."""
    face = np.zeros(len(model.mean), bool)
    face[to_numpy(model.vertex_ids("lips", "eyelids", "brows", "nose", "eye_socket_left", "eye_socket_right"))] = True
    places = to_numpy(model.mean, np.float64)
    points = to_numpy(model.landmarks68.positions(model.mean, model.faces), np.float64)
    outline = points[:, :2].copy()
    outline[JAW] = outline.mean(0) + reach * (outline[JAW] - outline.mean(0))
    cheeks = to_numpy(model.vertex_ids("skin"))
    before = places[cheeks, 2] > points[[0, 16], 2].mean()
    face[cheeks] |= (Delaunay(outline).find_simplex(places[cheeks, :2]) >= 0) & before
    return face
