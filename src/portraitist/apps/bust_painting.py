"""The bust painted in the artwork's style: 2D style transfer of pictures of it from four sides (Sec. 7.2), brought
back to its texture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.apps.image_guide import FaceView
from portraitist.apps.image_labels import PICTURE_LABELS, replace_missing
from portraitist.apps.image_painting import (
    PictureContent,
    PictureStyle,
    Report,
    paint_last_strokes,
    paint_scale,
    share_colors,
    start_picture,
)
from portraitist.bust.appearance import FACING
from portraitist.devices import from_numpy, to_numpy
from portraitist.hair.appearance import spread_colors
from portraitist.io.images import round_to_bytes
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.layers import list_parts, rasterize_parts
from portraitist.rendering.sampling import sample_bilinear, shade_parts
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.rendering.uv_layout import locate_texels
from portraitist.segmentation.parts import SKIN, UNLABELED
from portraitist.texture.label_colors import limit_label_chroma, match_tones
from portraitist.texture.objective import LossWeights
from portraitist.texture.optimization import LINE_SIDE, guided_weights
from portraitist.types import Camera, Fragments, Head, Image, Layer
from portraitist.vgg import VGG

HIDDEN = 0.006  # meters behind what a picture shows from which on a place is hidden in it
YAWS_DEG = (0.0, 180.0, -90.0, 90.0)  # of the four pictures
"""Front, back and both sides: one picture of two by two, so that all are painted alike."""


@dataclass(frozen=True)
class BustPainting:
    """``view_px``: side of each of the four pictures. ``scales``: side of all four together in pixels and steps of
    each pass of the network, coarse to fine. ``stroke_steps``: of the last strokes. Others as in ``ImageConfig``."""

    view_px: int = 320
    scales: tuple[tuple[int, int], ...] = ((160, 25), (320, 25))
    stroke_steps: int = 30
    samples: int = 512
    learning_rate: float = 0.012
    weights: LossWeights = field(default_factory=guided_weights)

    @property
    def total_steps(self) -> int:
        """Of all passes."""
        return sum(steps for _, steps in self.scales) + self.stroke_steps


@dataclass(frozen=True)
class BustViews:
    """``picture``: four views in one. ``labels``: of its pixels, `UNLABELED` where it does not show the bust.
    ``cameras``, ``fragments``: of each, and what it sees of the bust."""

    picture: Image
    labels: Int[Tensor, "h w"]
    cameras: list[Camera]
    fragments: list[Fragments]


def look_at_bust(head: Head, bare: Float[Tensor, "t t"], view_px: int) -> BustViews:
    """Pictures of a head on a bust, its last layer. ``bare``: where the bust's texture shows skin, 0..1."""
    bust = head.layers[-1]
    vertices = torch.cat([head.mesh.vertices, bust.mesh.vertices])
    meshes, textures = zip(*list_parts(head), strict=True)
    clothes, skin = PICTURE_LABELS.index("clothes"), SKIN
    tiles, labels, cameras, fragments = [], [], [], []
    for yaw in YAWS_DEG:
        camera = view_camera(vertices, yaw, 0.0, view_px)
        parts = rasterize_parts(meshes, camera)
        tiles.append(shade_parts(parts, textures, head.texture.new_ones(3)))
        own = parts[-1]
        is_bare = sample_bilinear(bare[None], own.uv.reshape(-1, 2)).reshape(own.mask.shape) > 0.5
        labels.append(torch.where(own.mask, torch.where(is_bare, skin, clothes), UNLABELED))
        cameras.append(camera)
        fragments.append(own)
    return BustViews(_tile(torch.stack(tiles)), _tile(torch.stack(labels)[:, None])[0], cameras, fragments)


def _tile(views: Tensor) -> Tensor:
    """[4, c, s, s] to [c, 2 s, 2 s]."""
    return torch.cat([torch.cat([views[0], views[1]], 2), torch.cat([views[2], views[3]], 2)], 1)


def _untile(picture: Tensor) -> list[Tensor]:
    side = picture.shape[-1] // 2
    rows = picture[:, :side], picture[:, side:]
    return [half for row in rows for half in (row[:, :, :side], row[:, :, side:])]


def paint_bust_texture(
    head: Head,
    bare: Float[Tensor, "t t"],
    artwork: PictureStyle,
    vgg: VGG,
    config: BustPainting,
    generator: torch.Generator,
    report: Report,
) -> Image:
    """Texture of the bust of a stylized, painted ``head``, its last layer, in the artwork's style."""
    views = look_at_bust(head, bare, config.view_px)
    labels = torch.where(views.labels >= 0, replace_missing(views.labels.clamp(min=0), artwork.source), UNLABELED)
    nothing = torch.zeros_like(views.picture)
    content = PictureContent(views.picture, labels, nothing[0], views.picture)
    picture = start_picture(content, FaceView(nothing, nothing[0], nothing[0]), artwork.source, generator)
    content = replace(content, guide=picture)
    for index, (side, steps) in enumerate(config.scales):
        picture = paint_scale(
            picture,
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
    picture = _keep_hues(match_tones(picture, content.guide, LINE_SIDE), content.guide)
    picture = paint_last_strokes(picture, content, artwork, config.stroke_steps, generator, report)
    picture = limit_label_chroma(picture, labels, [artwork.source], generator, share_colors(content))
    return _unproject(head.layers[-1], views, picture)


def _keep_hues(picture: Image, guide: Image) -> Image:
    """The light and shade of a picture in the hues of another: in few steps the network finds lines, and colors only as
    clouds."""
    shades = [luminance(to_numpy(image).transpose(1, 2, 0)) + DARKEST for image in (picture, guide)]
    return (guide * from_numpy(shades[0] / shades[1], guide)).clamp(0, 1)


def _unproject(bust: Layer, views: BustViews, painted: Image) -> Image:
    """The texture whose pictures are the ``painted`` ones. What none shows changes as what is beside it does."""
    size = bust.texture.shape[-1]
    texel_ids, face_ids, weights = locate_texels(bust.mesh, size)
    vertices = to_numpy(bust.mesh.vertices, np.float64)
    faces = to_numpy(bust.mesh.faces)
    points, normals = (
        (weights[..., None] * values[faces[face_ids]]).sum(1) for values in (vertices, vertex_normals(vertices, faces))
    )
    places = from_numpy(points.astype(np.float32), bust.mesh.vertices)
    own = to_numpy(bust.texture).reshape(3, -1)[:, texel_ids].T
    total, known = np.zeros((len(points), 3)), np.zeros(len(points))
    pairs = zip(_untile(painted), _untile(views.picture), views.cameras, views.fragments, strict=True)
    for after, before, camera, seen in pairs:
        depth = camera.depth(places)
        uv = camera.project(places) / camera.size[0]
        surface = _find_depth(bust, seen, camera)
        shown = sample_bilinear(torch.cat([surface[None], seen.mask[None].to(surface)]), uv)
        visible = (shown[0] / shown[1].clamp(min=1e-3) - depth < HIDDEN) & (shown[1] > 0.99)
        facing = normals @ to_numpy(camera.rotation, np.float64)[2]
        share = smoothstep(facing, *FACING) ** 2 * to_numpy(visible)
        colors = [to_numpy(sample_bilinear(image, uv).T, np.float64) for image in (after, before)]
        total += share[:, None] * (np.log(colors[0].clip(0) + DARKEST) - np.log(colors[1].clip(0) + DARKEST))
        known += share
    change, certain = np.zeros((size * size, 3)), np.zeros(size * size)
    change[texel_ids] = total / known.clip(1e-6)[:, None]
    certain[texel_ids] = known.clip(0, 1)
    change, certain = change.reshape(size, size, 3), certain.reshape(size, size)
    spread = spread_colors(change, certain, size)
    change = mix(spread, change, certain[..., None]).reshape(-1, 3)[texel_ids]
    texture = to_numpy(bust.texture).reshape(3, -1).copy()
    texture[:, texel_ids] = (np.exp(np.log(own + DARKEST) + change) - DARKEST).clip(0, 1).T
    return round_to_bytes(from_numpy(texture.reshape(3, size, size).astype(np.float32), bust.texture))


def _find_depth(bust: Layer, seen: Fragments, camera: Camera) -> Float[Tensor, "h w"]:
    """Depth of the surface in every pixel that shows it, meters; 0 elsewhere."""
    corners = camera.depth(bust.mesh.vertices)[bust.mesh.faces[seen.face_ids.clamp(min=0)]]
    return (corners * seen.barycentrics).sum(-1) * seen.mask
