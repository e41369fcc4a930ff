"""Layers painted in the artwork's style: 2D style transfer of pictures of them from several sides (Sec. 7.2), brought
back to their textures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.apps.image_painting import PictureContent, PictureStyle, Report, paint_last_strokes, paint_scale
from portraitist.bust.appearance import FACING
from portraitist.devices import from_numpy, to_numpy
from portraitist.hair.appearance import spread_colors
from portraitist.io.images import round_to_bytes
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.layers import rasterize_parts
from portraitist.rendering.sampling import sample_bilinear, shade_parts
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.rendering.uv_layout import locate_texels
from portraitist.texture.label_colors import match_tones
from portraitist.texture.objective import LossWeights
from portraitist.texture.optimization import LINE_SIDE, guided_weights
from portraitist.types import Camera, Fragments, Image, Mesh
from portraitist.vgg import VGG

HIDDEN = 0.006  # meters behind what a picture shows from which on a place is hidden in it


@dataclass(frozen=True)
class ViewPainting:
    """``view_px``: height of each picture. ``scales``: longer side of all of them together in pixels and steps of each
    pass of the network, coarse to fine. ``stroke_steps``: of the last strokes. ``sharpness``: power of the cosine to
    the line of sight by which the picture that sees a place best has more to say than others. Others as in
    ``ImageConfig``."""

    view_px: int = 320
    scales: tuple[tuple[int, int], ...] = ((160, 25), (320, 25))
    stroke_steps: int = 30
    sharpness: float = 0.0
    samples: int = 512
    learning_rate: float = 0.012
    weights: LossWeights = field(default_factory=guided_weights)

    @property
    def total_steps(self) -> int:
        """Of all passes."""
        return sum(steps for _, steps in self.scales) + self.stroke_steps


@dataclass(frozen=True)
class View:
    """One picture of several meshes. ``meshes``: in the pose that it shows. ``seen``: of each."""

    camera: Camera
    meshes: Sequence[Mesh]
    seen: list[Fragments]
    picture: Image

    @classmethod
    def take(cls, meshes: Sequence[Mesh], textures: Sequence[Image], camera: Camera) -> View:
        """On white."""
        seen = rasterize_parts(meshes, camera)
        return cls(camera, meshes, seen, shade_parts(seen, textures, textures[0].new_ones(3)))


@dataclass(frozen=True)
class ViewSheet:
    """Rows of views, equally high in each, that are painted as one picture, so that all are painted alike."""

    rows: list[list[View]]

    @property
    def views(self) -> list[View]:
        """Row by row."""
        return [view for row in self.rows for view in row]

    @property
    def picture(self) -> Image:
        """All of them."""
        return self.join([view.picture for view in self.views])

    def join(self, tiles: Sequence[Tensor]) -> Tensor:
        """A picture [c, h, w] for each view as one picture."""
        rest = iter(tiles)
        return torch.cat([torch.cat([next(rest) for _ in row], 2) for row in self.rows], 1)

    def split(self, picture: Tensor) -> list[Tensor]:
        """The other way around."""
        rows = picture.split([row[0].camera.size[0] for row in self.rows], 1)
        widths = [[view.camera.size[1] for view in row] for row in self.rows]
        return [tile for row, sizes in zip(rows, widths, strict=True) for tile in row.split(sizes, 2)]


def paint_views(
    picture: Image,
    labels: Int[Tensor, "h w"],
    guide: Image,
    artwork: PictureStyle,
    vgg: VGG,
    config: ViewPainting,
    generator: torch.Generator,
    report: Report,
) -> Image:
    """``picture`` in the artwork's style, beginning with ``guide``, which has its colors already."""
    content = PictureContent(picture, labels, torch.zeros_like(picture[0]), guide)
    painted = guide
    for index, (side, steps) in enumerate(config.scales):
        painted = paint_scale(
            painted,
            content,
            artwork,
            side,
            steps,
            is_first=index == 0,
            vgg=vgg,
            weights=config.weights,
            samples=config.samples,
            learning_rate=config.learning_rate,
            generator=generator,
            report=report,
        )
    # As on the head, what lies between lines and tones is left alone: on plain cloth it would be marble.
    painted = _keep_hues(match_tones(painted, guide, LINE_SIDE), guide)
    return paint_last_strokes(painted, content, artwork, config.stroke_steps, generator, report)


def _keep_hues(picture: Image, guide: Image) -> Image:
    """The light and shade of a picture in the hues of another: in few steps the network finds lines, and colors only as
    clouds."""
    shades = [luminance(to_numpy(image).transpose(1, 2, 0)) + DARKEST for image in (picture, guide)]
    return (guide * from_numpy(shades[0] / shades[1], guide)).clamp(0, 1)


def project_back(
    number: int,
    texture: Image,
    sheet: ViewSheet,
    painted: Image,
    sharpness: float = 0.0,
    detail: Float[np.ndarray, "k 3"] | float = 0.0,
    share: Float[np.ndarray, "k"] | float = 1.0,
) -> Image:
    """The ``texture`` of a mesh of the views, given by its ``number``, whose pictures are the ``painted`` ones. What
    none shows changes as what is beside it does, and by ``detail``, the logarithms of each texel (`locate_texels`).
    ``share``: of all changes that each texel takes on."""
    size = texture.shape[-1]
    meshes = [view.meshes[number] for view in sheet.views]
    texel_ids, face_ids, weights = locate_texels(meshes[0], size)
    own = to_numpy(texture).reshape(3, -1)[:, texel_ids].T
    total, weight, known = np.zeros((len(texel_ids), 3)), np.zeros(len(texel_ids)), np.zeros(len(texel_ids))
    corners = to_numpy(meshes[0].faces)[face_ids]
    for view, after in zip(sheet.views, sheet.split(painted), strict=True):
        mesh, camera = view.meshes[number], view.camera
        vertices = to_numpy(mesh.vertices, np.float64)
        points, normals = (
            (weights[..., None] * values[corners]).sum(1)
            for values in (vertices, vertex_normals(vertices, to_numpy(mesh.faces)))
        )
        places = from_numpy(points.astype(np.float32), mesh.vertices)
        uv = camera.project(places) / places.new_tensor([camera.size[1], camera.size[0]])
        seen = view.seen[number]
        shown = sample_bilinear(torch.stack([_find_depth(mesh, seen, camera), seen.mask.to(places)]), uv)
        visible = (shown[0] / shown[1].clamp(min=1e-3) - camera.depth(places) < HIDDEN) & (shown[1] > 0.99)
        facing = normals @ to_numpy(camera.rotation, np.float64)[2]
        clear = smoothstep(facing, *FACING) ** 2 * to_numpy(visible)
        part = clear * facing.clip(0) ** sharpness
        colors = [to_numpy(sample_bilinear(image, uv).T, np.float64) for image in (after, view.picture)]
        total += part[:, None] * (np.log(colors[0].clip(0) + DARKEST) - np.log(colors[1].clip(0) + DARKEST))
        weight += part
        known += clear
    change, certain = np.zeros((size * size, 3)), np.zeros(size * size)
    change[texel_ids] = total / weight.clip(1e-6)[:, None]
    certain[texel_ids] = known.clip(0, 1)
    change, certain = change.reshape(size, size, 3), certain.reshape(size, size)
    spread = spread_colors(change, certain, size)
    change = mix(spread, change, certain[..., None]).reshape(-1, 3)[texel_ids]
    change = (change + (1 - known.clip(0, 1))[:, None] * detail) * np.broadcast_to(share, len(change))[:, None]
    result = to_numpy(texture).reshape(3, -1).copy()
    result[:, texel_ids] = (np.exp(np.log(own + DARKEST) + change) - DARKEST).clip(0, 1).T
    return round_to_bytes(from_numpy(result.reshape(3, size, size).astype(np.float32), texture))


def _find_depth(mesh: Mesh, seen: Fragments, camera: Camera) -> Float[Tensor, "h w"]:
    """Depth of the surface in every pixel that shows it, meters; 0 elsewhere."""
    corners = camera.depth(mesh.vertices)[mesh.faces[seen.face_ids.clamp(min=0)]]
    return (corners * seen.barycentrics).sum(-1) * seen.mask
