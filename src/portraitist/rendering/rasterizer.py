"""Exact views of a textured head: ray casting once per view, then a differentiable filtered texture look-up.

Geometry is fixed while the texture is optimized (Sec. 5.1), so visibility needs no gradient: `rasterize` runs once per
view and `shade` is the only differentiable step. No light and no shading model, as in the paper.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.rendering.ray_casting import cast_parallel_rays
from portraitist.types import Camera, Fragments, Mesh


def rasterize(mesh: Mesh, camera: Camera) -> Fragments:
    """What the ray through each pixel center meets first. Both sides of a triangle are visible. No gradient."""
    vertices = mesh.vertices.detach()
    depth_px = camera.depth(vertices) * camera.scale_px
    points_px = torch.cat([camera.project(vertices), depth_px[:, None]], dim=1)
    hit_ids, hit_u, hit_v = cast_parallel_rays(to_numpy(points_px), to_numpy(mesh.faces), camera.size)

    face_ids = from_numpy(hit_ids, mesh.faces)
    mask = face_ids >= 0
    hit = face_ids[mask]
    u, v = (from_numpy(weight, vertices)[mask] for weight in (hit_u, hit_v))
    weights = torch.stack([1 - u - v, u, v], dim=-1)
    corner_uvs = mesh.uvs[mesh.uv_faces]
    uv = (corner_uvs[hit] * weights[..., None]).sum(-2)

    def spread(values: Float[Tensor, "k *c"]) -> Float[Tensor, "h w *c"]:
        """From the hit pixels to the picture."""
        picture = values.new_zeros(*mask.shape, *values.shape[1:])
        picture[mask] = values
        return picture

    return Fragments(
        face_ids=face_ids,
        barycentrics=spread(weights),
        uv=spread(uv),
        uv_footprint=spread(_uv_per_pixel(points_px[mesh.faces][..., :2], corner_uvs)[hit]),
        mask=mask,
    )


def _uv_per_pixel(corners_px: Float[Tensor, "f 3 2"], corner_uvs: Float[Tensor, "f 3 2"]) -> Float[Tensor, "f"]:
    """Side of a pixel's footprint in UV units, one per face: square root of the ratio of areas.

    A face seen edge-on has no area in pixels; its footprint is capped at the whole texture.
    """
    area_px, area_uv = (_doubled_area(corners).abs() for corners in (corners_px, corner_uvs))
    return (area_uv / area_px.clamp(min=1e-12)).sqrt().clamp(max=1.0)


def _doubled_area(corners: Float[Tensor, "f 3 2"]) -> Float[Tensor, "f"]:
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
