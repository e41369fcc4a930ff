"""The nearest point of a surface."""

from __future__ import annotations

import numpy as np

from portraitist.mesh.closest_points import find_closest


def test_it_is_nearer_than_any_other_point():
    rng = np.random.default_rng(2)
    vertices = rng.normal(size=(12, 3))
    faces = np.array([rng.choice(12, 3, replace=False) for _ in range(20)])
    points = 2 * rng.normal(size=(50, 3))
    ids, weights = find_closest(points, vertices, faces)
    assert np.allclose(weights.sum(1), 1)
    assert weights.min() >= 0
    found = np.linalg.norm((vertices[faces[ids]] * weights[..., None]).sum(1) - points, axis=1)
    shares = rng.dirichlet((0.5, 0.5, 0.5), 4000)
    tried = np.einsum("sc,fcd->fsd", shares, vertices[faces]).reshape(-1, 3)
    best = np.linalg.norm(tried[None] - points[:, None], axis=2).min(1)
    assert (found <= best + 1e-9).all()
    assert (best - found).mean() < 0.05


def test_on_corners_edges_and_faces():
    vertices, faces = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2]])
    points = np.array([[-1.0, -1, 0], [0.5, -1, 2], [0.25, 0.25, 3]])
    _, weights = find_closest(points, vertices, faces)
    assert np.allclose(weights, [[1, 0, 0], [0.5, 0.5, 0], [0.5, 0.25, 0.25]])
