"""Rays against triangles, by embree: the one place that casts them."""

from __future__ import annotations

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from jaxtyping import Bool, Float, Int


def cast_parallel_rays(corners_px: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First hit along -z of a ray through each pixel center: face ids (-1 for none) and weights of corners 1 and 2."""
    face_ids, u, v = np.full(size, -1, np.int32), np.zeros(size, np.float32), np.zeros(size, np.float32)
    low, high = corners_px[..., :2].min((0, 1)), corners_px[..., :2].max((0, 1))
    columns, rows = (slice(max(int(a), 0), max(int(b) + 1, 0)) for a, b in zip(low, high, strict=True))
    y, x = np.mgrid[: size[0], : size[1]][:, rows, columns].astype(np.float32) + 0.5  # other rays meet nothing
    if not x.size:
        return face_ids, u, v
    scene = rtcore_scene.EmbreeScene()  # pyright: ignore[reportAttributeAccessIssue] (compiled, without stubs)
    geometry = TriangleMesh(scene, np.ascontiguousarray(corners_px, dtype=np.float32))
    origins = np.stack([x, y, np.full_like(x, corners_px[..., 2].max() + 1.0)], axis=-1).reshape(-1, 3)
    directions = np.zeros_like(origins)
    directions[:, 2] = -1.0
    hits = scene.run(origins, directions, query="INTERSECT", output=True)
    del geometry  # the scene borrows its buffers, so it has to live until here
    for full, name in ((face_ids, "primID"), (u, "u"), (v, "v")):
        full[rows, columns] = hits[name].reshape(x.shape)
    return face_ids, u, v


def cast_rays(
    corners: Float[np.ndarray, "f 3 3"], origins: Float[np.ndarray, "r 3"], directions: Float[np.ndarray, "r 3"]
) -> tuple[Int[np.ndarray, "r"], Float[np.ndarray, "r 3"], Float[np.ndarray, "r"]]:
    """First hit of each ray: face id (-1 for none), weights of the face's corners, distance in lengths of direction."""
    scene = rtcore_scene.EmbreeScene()  # pyright: ignore[reportAttributeAccessIssue]
    geometry = TriangleMesh(scene, np.ascontiguousarray(corners, np.float32))
    rays = (np.ascontiguousarray(x, np.float32) for x in (origins, directions))
    hits = scene.run(*rays, query="INTERSECT", output=True)
    del geometry  # the scene borrows its buffers, so it has to live until here
    u, v = hits["u"], hits["v"]
    return hits["primID"], np.stack([1 - u - v, u, v], 1), hits["tfar"]


def is_occluded(
    corners: Float[np.ndarray, "f 3 3"], origins: Float[np.ndarray, "r 3"], directions: Float[np.ndarray, "r 3"]
) -> Bool[np.ndarray, "r"]:
    """Whether each ray meets a triangle."""
    scene = rtcore_scene.EmbreeScene()  # pyright: ignore[reportAttributeAccessIssue]
    geometry = TriangleMesh(scene, np.ascontiguousarray(corners, np.float32))
    rays = (np.ascontiguousarray(x, np.float32) for x in (origins, directions))
    hits = scene.run(*rays, query="OCCLUDED")
    del geometry  # the scene borrows its buffers, so it has to live until here
    return hits >= 0
