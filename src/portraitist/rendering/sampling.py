"""Filtered texture look-ups: the only differentiable step of rendering."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.ndimage import map_coordinates
from torch import Tensor

from portraitist.rendering.layers import list_parts, rasterize_parts
from portraitist.types import Camera, Fragments, Head, Image, Mesh


def shade(
    fragments: Fragments, texture: Float[Tensor, "3 t t"], background: Float[Tensor, "3"] | Float[Tensor, "3 h w"]
) -> Image:
    """Picture of the fragments over a plain ground or over a picture; differentiable with respect to texture and
    background.

    The look-up is trilinear: bilinear in the two levels of a mip pyramid that enclose the pixel's footprint. It keeps
    small views free of aliasing, and in the backward pass every texel under a pixel gets its share of the gradient.
    """
    mask = fragments.mask
    footprints_px = fragments.uv_footprint[mask] * texture.shape[-1]
    colors = sample_mipmapped(texture, fragments.uv[mask].to(texture), footprints_px)
    ground = background.to(texture)
    picture = ground if ground.ndim == 3 else ground[:, None, None].expand(3, *mask.shape)
    return picture.masked_scatter(mask, colors)


def sample_bilinear(image: Float[Tensor, "c h w"], uv: Float[Tensor, "k 2"]) -> Float[Tensor, "c k"]:
    """Values at ``uv`` (0..1 from the image's top left), those of the border beyond it; differentiable in both."""
    grid = 2 * uv - 1
    return F.grid_sample(image[None], grid[None, None], padding_mode="border", align_corners=False)[0, :, 0]


def look_up(image: Float[np.ndarray, "h w"], pixels: Float[np.ndarray, "*k 2"]) -> Float[np.ndarray, "*k"]:
    """Bilinear look-up at pixels (x, y); beyond the picture as at its border."""
    return map_coordinates(image, [pixels[..., 1] - 0.5, pixels[..., 0] - 0.5], order=1, mode="nearest")


def look_up_means(
    images: list[Float[np.ndarray, "h w"]], pixels: Float[np.ndarray, "r c 2"]
) -> Float[np.ndarray, "n r c"]:
    """Look-ups at a grid of pixels (x, y), each a mean over as much of the images as lies between it and its neighbors:
    of single pixels a border would be a staircase. Columns go once around; beyond the picture as at its border."""
    across = np.linalg.norm(pixels - np.roll(pixels, 1, 1), axis=-1)
    down = np.linalg.norm(np.diff(pixels, axis=0, append=pixels[-1:]), axis=-1)
    picture = torch.from_numpy(np.stack(images))
    uv = torch.from_numpy(pixels.reshape(-1, 2) / np.array(picture.shape[:0:-1]))
    means = sample_mipmapped(picture, uv, torch.from_numpy(np.maximum(across, down).ravel()))
    return means.numpy().reshape(-1, *pixels.shape[:2])


def sample_mipmapped(
    image: Float[Tensor, "c h w"], uv: Float[Tensor, "k 2"], footprints_px: Float[Tensor, "k"]
) -> Float[Tensor, "c k"]:
    """Trilinear look-up at ``uv`` (0..1): a mean over about ``footprints_px`` pixels of the image each way.

    Level 0 of the mip pyramid is the image itself, where a footprint covers one pixel or less; each further level
    halves the size, down to a single pixel. Differentiable in the image.
    """
    coarsest = max(image.shape[1:]).bit_length() - 1
    levels = torch.log2(footprints_px.clamp(min=1e-6)).clamp(0, coarsest).to(image)
    values = image.new_zeros(len(image), len(uv))
    for level in range(int(levels.max().ceil().item()) + 1 if levels.numel() else 0):
        weights = 1 - (levels - level).abs()
        (ids,) = torch.nonzero(weights > 0, as_tuple=True)
        if ids.numel():
            values = values.index_add(1, ids, sample_bilinear(image, uv[ids]) * weights[ids])
        image = _halve(image)
    return values


def _halve(image: Float[Tensor, "c h w"]) -> Float[Tensor, "c _h _w"]:
    """Next level of the pyramid: means of two by two pixels, of some more where a side is odd."""
    height, width = image.shape[1:]
    if height % 2 == 0 and width % 2 == 0:
        return F.avg_pool2d(image[None], 2)[0]  # the same where both can; the adaptive one is several times slower
    return F.adaptive_avg_pool2d(image[None], (max(height // 2, 1), max(width // 2, 1)))[0]


def shade_parts(fragments: Sequence[Fragments], textures: Sequence[Image], background: Float[Tensor, "3"]) -> Image:
    """`shade` for several meshes with textures of their own, as `rasterize_parts` saw them."""
    picture, *others = (shade(*part, background) for part in zip(fragments, textures, strict=True))
    for seen, other in zip(fragments[1:], others, strict=True):
        picture = torch.where(seen.mask, other, picture)
    return picture


def render_view(
    mesh: Mesh, texture: Float[Tensor, "3 t t"], camera: Camera, background: Float[Tensor, "3"], supersample: int = 2
) -> Image:
    """Antialiased picture of one mesh for output: ``supersample``² rays per pixel, averaged."""
    return _render_parts([(mesh, texture)], camera, background, supersample)


def render(head: Head, camera: Camera, background: Float[Tensor, "3"] | None = None, supersample: int = 2) -> Image:
    """Antialiased picture of a head and its layers, sRGB [3, h, w] in 0..1, on white or on another ``background``."""
    ground = head.texture.new_ones(3) if background is None else background
    return _render_parts(list_parts(head), camera, ground, supersample)


def render_cutout(head: Head, camera: Camera, supersample: int = 4) -> Float[Tensor, "4 h w"]:
    """Antialiased picture of a head and its layers on nothing: sRGB and, fourth, opacity, all 0..1.

    Colors are not multiplied by the opacity, and hold nothing of a ground: those of a pixel on the outline are the mean
    of what it shows of the head. Where nothing is shown, all is 0.
    """
    meshes, textures = zip(*list_parts(head), strict=True)
    fragments = rasterize_parts(meshes, camera.resized(supersample))
    picture = shade_parts(fragments, textures, head.texture.new_zeros(3))
    seen = torch.stack([part.mask for part in fragments]).any(0).to(picture)
    averaged = F.avg_pool2d(torch.cat([picture, seen[None]])[None], supersample)[0]
    colors, opacity = averaged[:3], averaged[3:]
    # The smallest opacity is that of one ray; where there is none, there is no color to divide.
    return torch.cat([(colors / opacity.clamp(min=supersample**-2)).clamp(0, 1), opacity])


def _render_parts(
    parts: list[tuple[Mesh, Image]], camera: Camera, background: Float[Tensor, "3"], supersample: int
) -> Image:
    meshes, textures = zip(*parts, strict=True)
    fragments = rasterize_parts(meshes, camera.resized(supersample))
    picture = shade_parts(fragments, textures, background)
    return F.avg_pool2d(picture[None], supersample)[0].clamp(0, 1)


def render_all(head: Head, cameras: Sequence[Camera]) -> Iterator[Image]:
    """`render` for each of many cameras, in their order, on white. Two at a time: casting rays takes one thread."""
    with ThreadPoolExecutor(2) as executor:
        jobs = [executor.submit(render, head, camera) for camera in cameras]
        try:
            for job in jobs:
                yield job.result()
        finally:  # whoever stops early waits for two pictures, not for all
            executor.shutdown(wait=False, cancel_futures=True)
