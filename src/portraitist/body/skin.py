"""Joints of a person, and how much each moves every vertex of the head, its layers, its body and its clothes."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from portraitist.body.body_model import load_body_model
from portraitist.body.border import extend_rows, find_middles
from portraitist.body.skeleton import JOINTS
from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import InputError
from portraitist.mesh.laplacian import cotangent_laplacian, factor_symmetric
from portraitist.rendering.shader_math import smoothstep
from portraitist.types import REGIONS, Head, Layer

MOST_JOINTS = 4  # of one vertex: engines read no more
FREE_HAIR = 0.06  # meters below the border of the neck at which long hair goes with the shoulders that it lies on


def find_joints(head: Head) -> Float[Tensor, "j 3"]:
    """Joints of a person at rest in the order of ``SKELETON``, meters, head space. Raises InputError for a head without
    a body of ours."""
    body = _get_layer(head, "body")
    joints = load_body_model().find_joints(to_numpy(body.mesh.vertices, np.float64))
    return from_numpy(joints.astype(np.float32), head.neutral)


def find_weights(head: Head) -> list[Float[Tensor, "_k j"]]:
    """Weights 0..1 of the joints for the head's own vertices, then for those of each layer: rows sum to 1, at most four
    of one above 0. The border of the neck has the same in head and body. Raises InputError for a head without a body of
    ours."""
    model = load_body_model()
    skin = _get_layer(head, "body")
    body = extend_rows(model.spread_weights(), len(skin.mesh.vertices), model)
    own = _weigh_head(head, body)
    weights = [own]
    for layer in head.layers:
        if layer.name == "body":
            weights.append(body)
        elif layer.name == "clothes":
            _get_layer(head, "clothes")
            weights.append(body[model.clothes_sources])
        else:
            weights.append(_weigh_cover(layer, head, body))
    return [from_numpy(_keep_strongest(rows).astype(np.float32), head.neutral) for rows in weights]


def _get_layer(head: Head, name: str) -> Layer:
    """The layer, with vertices as our own bodies and clothes have them."""
    model = load_body_model()
    needed = len(model.clothes_sources)
    if name == "body":
        needed = model.count + len(find_middles(head.mesh, model))
    found = [layer for layer in head.layers if layer.name == name]
    if not found or len(found[0].mesh.vertices) != needed:
        got = f"one of {len(found[0].mesh.vertices)} vertices" if found else "none"
        raise InputError(f"A skeleton needs {name} of {needed} vertices as build_character makes them, got {got}.")
    return found[0]


def _weigh_head(head: Head, body: Float[np.ndarray, "b j"]) -> Float[np.ndarray, "n j"]:
    """What is no neck goes with the head; over the neck it turns into what the body has at the ring, as evenly as it
    can be."""
    model = load_body_model()
    ring = np.append(model.ring_head, find_middles(head.mesh, model))
    places, faces = to_numpy(head.neutral, np.float64), to_numpy(head.mesh.faces)
    weights = np.zeros((len(places), body.shape[1]))
    weights[:, JOINTS["head"]] = 1
    weights[ring] = np.concatenate([body[model.ring], body[model.count :]])
    is_neck = to_numpy(head.mesh.regions) == REGIONS.index("neck")
    ids, local = np.unique(faces[is_neck], return_inverse=True)
    fixed = np.isin(ids, np.append(faces[~is_neck].ravel(), ring))
    laplacian, _ = cotangent_laplacian(places[ids], local.reshape(-1, 3))
    inner = sp.csr_matrix(laplacian)[~fixed]
    solved = factor_symmetric(inner[:, ~fixed]).solve(-(inner[:, fixed] @ weights[ids[fixed]]))
    weights[ids[~fixed]] = solved.clip(0, 1)
    return weights


def _weigh_cover(layer: Layer, head: Head, body: Float[np.ndarray, "n j"]) -> Float[np.ndarray, "k j"]:
    """Hair and hats go with the head; long hair further down with the shoulders under it."""
    model = load_body_model()
    places = to_numpy(layer.mesh.vertices, np.float64)
    ring = to_numpy(head.neutral, np.float64)[model.ring_head]
    skin = to_numpy(_get_layer(head, "body").mesh.vertices, np.float64)
    under = body[KDTree(skin).query(places)[1]]
    share = smoothstep(places[:, 1:2], float(ring[:, 1].min()) - FREE_HAIR, float(ring[:, 1].max()) + FREE_HAIR)
    weights = (1 - share) * under
    weights[:, JOINTS["head"]] += share[:, 0]
    return weights


def _keep_strongest(weights: Float[np.ndarray, "n j"]) -> Float[np.ndarray, "n j"]:
    """At most four of a row, with the sum 1."""
    weak: Int[np.ndarray, "n w"] = np.argsort(-weights, axis=1, kind="stable")[:, MOST_JOINTS:]
    kept = weights.copy()
    np.put_along_axis(kept, weak, 0, 1)
    return kept / kept.sum(1, keepdims=True)
