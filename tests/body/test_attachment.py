"""A body goes on from a neck, whatever that is like."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import make_head, make_marked_head
from portraitist import subdivide_head
from portraitist.body.attachment import SETTLED_ROWS, attach_body, check_ring, measure_size
from portraitist.body.body_model import load_body_model
from portraitist.body.shape import BodyShape, build_figure
from portraitist.errors import InputError
from portraitist.mesh.laplacian import vertex_normals
from portraitist.mesh.subdivision import coarsen_head
from portraitist.reconstruction.head_model import load_head_model

MODEL, HEAD = load_body_model(), load_head_model()
FIGURE = build_figure(BodyShape(), MODEL)


def make_heads() -> dict[str, np.ndarray]:
    mean = HEAD.mean.double().numpy()
    low = np.clip((-0.09 - mean[:, 1:2]) / 0.08, 0, 1)  # 1 on the lower neck
    middle = mean[MODEL.ring_head].mean(0)
    return {
        "mean": mean,
        "thick": mean + low * [0.5, 0, 0.5] * (mean - middle),
        "thin": mean - low * [0.35, 0, 0.35] * (mean - middle),
        "tilted": mean + low * np.outer(mean[:, 2] - middle[2], [0, 0.4, 0]),
        "large": 2.5 * mean,
    }


@pytest.mark.parametrize("name", make_heads())
def test_the_body_begins_on_the_ring_and_ends_as_it_was(name):
    head = make_heads()[name]
    scale = measure_size(head, HEAD.template) / FIGURE.head_size
    body = attach_body(FIGURE.vertices, head, scale, MODEL)
    assert np.array_equal(body[MODEL.ring], head[MODEL.ring_head])
    ring = MODEL.ring
    own = (FIGURE.vertices[: MODEL.count] - FIGURE.vertices[ring].mean(0)) * scale + head[MODEL.ring_head].mean(0)
    below = MODEL.rows > SETTLED_ROWS
    assert np.abs(body - own)[below].max() == 0
    # In the first rows it goes with the head's neck, less and less.
    moved = [np.linalg.norm((body - own)[row == MODEL.rows], axis=1).mean() for row in (0, 4, 8, SETTLED_ROWS)]
    assert moved[0] >= moved[2] >= moved[3]


@pytest.mark.parametrize("name", ["mean", "thick", "thin", "tilted", "large"])
def test_there_is_no_crease_at_the_ring(name):
    head = make_heads()[name]
    scale = measure_size(head, HEAD.template) / FIGURE.head_size
    body = attach_body(FIGURE.vertices, head, scale, MODEL)
    crease = measure_bend(
        vertex_normals(head, HEAD.faces.numpy())[MODEL.ring_head], vertex_normals(body, MODEL.faces)[MODEL.ring]
    )
    # The next row of the body bends by its own form.
    first = MODEL.rows[MODEL.faces].max(1) <= 1
    second = MODEL.rows == 1
    beside = measure_bend(
        *(vertex_normals(body, MODEL.faces[kept])[second] for kept in (first, MODEL.rows[MODEL.faces].min(1) >= 1))
    )
    assert crease < 1.5 * beside


def measure_bend(above: np.ndarray, below: np.ndarray) -> float:
    """Mean angle in degrees between the normals of either side."""
    return float(np.degrees(np.arccos((above * below).sum(1).clip(-1, 1))).mean())


def test_other_heads_are_told():
    finer = subdivide_head(make_marked_head())
    for mesh in (make_head().mesh, finer.mesh):
        with pytest.raises(InputError, match="subdivided once at most"):
            check_ring(mesh)
    check_ring(coarsen_head(finer).mesh)
    check_ring(HEAD.template)
