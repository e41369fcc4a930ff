"""Rays against triangles, by embree: the one place that casts them."""

from __future__ import annotations

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from jaxtyping import Bool, Float, Int


class ParallelRays:
    """Rays along -z at triangles ``faces`` ``[f, 3]`` of points ``[n, 3]`` in pixels, z towards the viewer."""

    def __init__(self, points_px: np.ndarray, faces: np.ndarray) -> None:
        self._scene = rtcore_scene.EmbreeScene()  # pyright: ignore[reportAttributeAccessIssue] (compiled, without stubs)
        self._points_px = np.ascontiguousarray(points_px, dtype=np.float32)
        # The scene borrows its buffers.
        self._geometry = TriangleMesh(self._scene, self._points_px, np.ascontiguousarray(faces, dtype=np.int32))

    def grid(self, size: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[np.ndarray, np.ndarray]]:
        """The part of a picture (height, width) outside of which rays meet nothing, and its pixel centers, y and x."""
        low, high = self._points_px[:, :2].min(0), self._points_px[:, :2].max(0)
        columns, rows = (slice(max(int(a), 0), max(int(b) + 1, 0)) for a, b in zip(low, high, strict=True))
        y, x = np.mgrid[: size[0], : size[1]][:, rows, columns].astype(np.float32) + 0.5
        return (rows, columns), (y, x)

    def cast(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First hit of the ray through each ``(x, y)``: face ids (-1 for none) and weights of corners 1 and 2."""
        origins = np.stack([x, y, np.full_like(x, self._points_px[:, 2].max() + 1.0)], axis=-1)
        directions = np.zeros_like(origins)
        directions[:, 2] = -1.0
        hits = self._scene.run(origins, directions, query="INTERSECT", output=True)
        return hits["primID"], hits["u"], hits["v"]


def cast_parallel_rays(
    points_px: np.ndarray, faces: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First hit along -z of a ray through each pixel center: face ids (-1 for none) and weights of corners 1 and 2."""
    face_ids, u, v = np.full(size, -1, np.int32), np.zeros(size, np.float32), np.zeros(size, np.float32)
    rays = ParallelRays(points_px, faces)
    place, (y, x) = rays.grid(size)
    if x.size:
        for full, found in zip((face_ids, u, v), rays.cast(x.ravel(), y.ravel()), strict=True):
            full[place] = found.reshape(x.shape)
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
