"""Exact views of a textured head: ray casting once per view, then a differentiable filtered texture look-up.

Geometry is fixed while the texture is optimized (Sec. 5.1), so visibility needs no gradient: `rasterize` runs once per
view and `shade` is the only differentiable step. No light and no shading model, as in the paper.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.types import Camera, Fragments, Image, Mesh, rotation_from_yaw_pitch

NAMED_VIEWS: dict[str, tuple[float, float]] = {
    "front": (0.0, 0.0),
    "left": (-30.0, 0.0),
    "right": (30.0, 0.0),
    "above": (0.0, -20.0),
    "below": (0.0, 20.0),
}
"""(yaw_deg, pitch_deg) of the published views; signs as in `types.rotation_from_yaw_pitch`."""


def view_camera(
    vertices: Float[Tensor, "n 3"], yaw_deg: float, pitch_deg: float, size: int, margin: float = 1.04
) -> Camera:
    """Square camera of ``size`` px that looks at the vertices turned by yaw and pitch.

    The frame is the vertices' bounding sphere about the center of their box, times ``margin``. It is the same for every
    angle, so a turning head neither grows, shrinks nor slides.
    """
    center = (vertices.amin(0) + vertices.amax(0)) / 2
    radius = (vertices - center).norm(dim=1).amax().item()
    rotation = rotation_from_yaw_pitch(yaw_deg, pitch_deg).to(vertices)
    scale_px = size / (2 * margin * radius)
    x, y, _ = (rotation @ center * scale_px).tolist()
    return Camera(rotation, scale_px, (size / 2 - x, size / 2 + y), (size, size))


def rasterize(mesh: Mesh, camera: Camera) -> Fragments:
    """What the ray through each pixel center meets first. Both sides of a triangle are visible. No gradient."""
    vertices = mesh.vertices.detach()
    depth_px = camera.depth(vertices) * camera.scale_px
    corners_px = torch.cat([camera.project(vertices), depth_px[:, None]], dim=1)[mesh.faces]
    hit_ids, hit_u, hit_v = _cast_parallel_rays(corners_px.cpu().numpy(), camera.size)

    face_ids = torch.from_numpy(hit_ids).to(mesh.faces)
    u, v = (torch.from_numpy(weight).to(vertices) for weight in (hit_u, hit_v))
    barycentrics = torch.stack([1 - u - v, u, v], dim=-1)
    mask = face_ids >= 0
    corner_uvs = mesh.uvs[mesh.uv_faces]
    seen = face_ids.clamp(min=0)
    uv = (corner_uvs[seen] * barycentrics[..., None]).sum(-2)
    footprint = _uv_per_pixel(corners_px[..., :2], corner_uvs)[seen]
    return Fragments(
        face_ids=face_ids,
        barycentrics=torch.where(mask[..., None], barycentrics, 0.0),
        uv=torch.where(mask[..., None], uv, 0.0),
        uv_footprint=torch.where(mask, footprint, 0.0),
        mask=mask,
    )


def _cast_parallel_rays(corners_px: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def _uv_per_pixel(corners_px: Float[Tensor, "f 3 2"], corner_uvs: Float[Tensor, "f 3 2"]) -> Float[Tensor, "f"]:
    """Side of a pixel's footprint in UV units, one per face: square root of the ratio of areas.

    A face seen edge-on has no area in pixels; its footprint is capped at the whole texture.
    """
    area_px, area_uv = (_doubled_area(corners).abs() for corners in (corners_px, corner_uvs))
    return (area_uv / area_px.clamp(min=1e-12)).sqrt().clamp(max=1.0)


def _doubled_area(corners: Float[Tensor, "f 3 2"]) -> Float[Tensor, "f"]:
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def shade(fragments: Fragments, texture: Float[Tensor, "3 t t"], background: Float[Tensor, "3"]) -> Image:
    """Picture of the fragments over a plain ground; differentiable with respect to texture and background.

    The look-up is trilinear: bilinear in the two levels of a mip pyramid that enclose the pixel's footprint. It keeps
    small views free of aliasing, and in the backward pass every texel under a pixel gets its share of the gradient.
    """
    mask = fragments.mask
    levels = _mip_levels(fragments.uv_footprint[mask], texture.shape[-1])
    colors = _sample_trilinear(texture, fragments.uv[mask].to(texture), levels.to(texture))
    picture = background.to(texture)[:, None, None].expand(3, *mask.shape)
    return picture.masked_scatter(mask, colors)


def _mip_levels(footprint: Float[Tensor, "k"], texture_size: int) -> Float[Tensor, "k"]:
    """Level 0 is the texture itself, where a pixel covers one texel or less; each further level halves the size."""
    coarsest = max(texture_size.bit_length() - 1, 0)
    return torch.log2((footprint * texture_size).clamp(min=1e-6)).clamp(0, coarsest)


def _sample_trilinear(
    texture: Float[Tensor, "3 t t"], uv: Float[Tensor, "k 2"], levels: Float[Tensor, "k"]
) -> Float[Tensor, "3 k"]:
    """Colors at ``uv`` and at fractional mip levels."""
    colors = texture.new_zeros(3, uv.shape[0])
    mip = texture[None]
    for level in range(int(levels.max().ceil().item()) + 1 if levels.numel() else 0):
        weights = 1 - (levels - level).abs()
        (ids,) = torch.nonzero(weights > 0, as_tuple=True)
        if ids.numel():
            grid = 2 * uv[ids] - 1
            taps = F.grid_sample(mip, grid[None, None], padding_mode="border", align_corners=False)[0, :, 0]
            colors = colors.index_add(1, ids, taps * weights[ids])
        side = mip.shape[-1]
        # The same where both can; the adaptive one is several times slower.
        mip = F.avg_pool2d(mip, 2) if side % 2 == 0 else F.adaptive_avg_pool2d(mip, max(side // 2, 1))
    return colors


def render_view(
    mesh: Mesh, texture: Float[Tensor, "3 t t"], camera: Camera, background: Float[Tensor, "3"], supersample: int = 2
) -> Image:
    """Antialiased picture for output: ``supersample``² rays per pixel, averaged."""
    fragments = rasterize(mesh, camera.resized(supersample))
    picture = shade(fragments, texture, background)
    return F.avg_pool2d(picture[None], supersample)[0].clamp(0, 1)


def mark_texels(mesh: Mesh, texture_size: int) -> Int[Tensor, "t t"]:
    """Face id at each texel's center, -1 outside the UV islands. Where faces overlap, one of them."""
    corner_uvs = mesh.uvs[mesh.uv_faces].cpu().numpy().astype(np.float32)
    face_ids = _mark_layout(corner_uvs.tobytes(), texture_size)
    return torch.from_numpy(face_ids.copy()).to(mesh.faces)


@lru_cache(maxsize=2)
def _mark_layout(corner_uvs: bytes, texture_size: int) -> Int[np.ndarray, "t t"]:
    """All heads have one layout, and a stage asks many times."""
    corners_px = np.frombuffer(corner_uvs, np.float32).reshape(-1, 3, 2) * texture_size
    flat = np.concatenate([corners_px, np.zeros_like(corners_px[..., :1])], axis=-1)
    return _cast_parallel_rays(flat, (texture_size, texture_size))[0]
