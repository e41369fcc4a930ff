"""The bust painted in the artwork's style, from four sides (Sec. 7.2)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.apps.image_guide import FaceView
from portraitist.apps.image_labels import PICTURE_LABELS, replace_missing
from portraitist.apps.image_painting import PictureContent, PictureStyle, Report, share_colors, start_picture
from portraitist.apps.view_painting import View, ViewPainting, ViewSheet, paint_views, project_back
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.layers import list_parts
from portraitist.rendering.sampling import sample_bilinear
from portraitist.segmentation.parts import SKIN, UNLABELED
from portraitist.texture.label_colors import limit_label_chroma
from portraitist.types import Head, Image
from portraitist.vgg import VGG

YAWS_DEG = ((0.0, 180.0), (-90.0, 90.0))
"""Front, back and both sides: one picture of two by two."""


def look_at_bust(head: Head, bare: Float[Tensor, "t t"], view_px: int) -> tuple[ViewSheet, Int[Tensor, "h w"]]:
    """Pictures of a head on a bust, its last layer, and the labels of their pixels, `UNLABELED` where they do not show
    the bust. ``bare``: where the bust's texture shows skin, 0..1."""
    vertices = torch.cat([head.mesh.vertices, head.layers[-1].mesh.vertices])
    meshes, textures = zip(*list_parts(head), strict=True)
    cameras = [[view_camera(vertices, yaw, 0.0, view_px) for yaw in row] for row in YAWS_DEG]
    sheet = ViewSheet([[View.take(meshes, textures, camera) for camera in row] for row in cameras])
    clothes, skin = PICTURE_LABELS.index("clothes"), SKIN
    labels = []
    for view in sheet.views:
        own = view.seen[-1]
        is_bare = sample_bilinear(bare[None], own.uv.reshape(-1, 2)).reshape(own.mask.shape) > 0.5
        labels.append(torch.where(own.mask, torch.where(is_bare, skin, clothes), UNLABELED))
    return sheet, sheet.join([own[None] for own in labels])[0]


def paint_bust_texture(
    head: Head,
    bare: Float[Tensor, "t t"],
    artwork: PictureStyle,
    vgg: VGG,
    config: ViewPainting,
    generator: torch.Generator,
    report: Report,
) -> Image:
    """Texture of the bust of a stylized, painted ``head``, its last layer, in the artwork's style."""
    sheet, labels = look_at_bust(head, bare, config.view_px)
    labels = torch.where(labels >= 0, replace_missing(labels.clamp(min=0), artwork.source), UNLABELED)
    picture = sheet.picture
    nothing = torch.zeros_like(picture)
    content = PictureContent(picture, labels, nothing[0], picture)
    guide = start_picture(content, FaceView(nothing, nothing[0], nothing[0]), artwork.source, generator)
    painted = paint_views(picture, labels, guide, artwork, vgg, config, generator, report)
    painted = limit_label_chroma(painted, labels, [artwork.source], generator, share_colors(content))
    return project_back(len(head.layers), head.layers[-1].texture, sheet, painted)
