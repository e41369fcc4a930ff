"""Texture style of a layer (Sec. 5, beyond the face): hair is painted as the artwork's hair is, on the painted head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from portraitist.hair.blending import blend_into_skin
from portraitist.io.images import round_to_bytes
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.seams import close_seams, find_seams
from portraitist.rendering.uv_layout import extend_islands
from portraitist.segmentation.parts import FACE_REGIONS, select_faces
from portraitist.texture.continuation import continue_layer
from portraitist.texture.detail import match_contrast, suppress_noise
from portraitist.texture.exemplar import StyleExemplar, StyleSource
from portraitist.texture.label_colors import (
    PaletteShares,
    limit_label_chroma,
    match_colors,
    match_tones,
    preserve_colors,
    share_palettes,
)
from portraitist.texture.labels import label_head
from portraitist.texture.optimization import TextureConfig, optimize_texture
from portraitist.texture.transfer import study_artwork_style
from portraitist.texture.views import CameraBank, Painted, Subject, render_front_view
from portraitist.types import Head, Image, Layer, Mesh, ProgressCallback
from portraitist.vgg import VGG

STEPS = 0.35  # of the face's: one label, without features
ANGLES_DEG = ((0.0, 0.0), (-40.0, -10.0), (40.0, -10.0), (-20.0, 15.0), (20.0, 15.0))  # yaw, pitch


def stylize_layer(
    layer: Layer,
    head: Head,
    content: Head,
    exemplars: Sequence[StyleExemplar],
    model: HeadModel,
    vgg: VGG,
    config: TextureConfig,
    generator: torch.Generator,
    progress: ProgressCallback | None = None,
) -> Image:
    """The texture of a layer painted as the artworks' hair is; without hair in an artwork, with the change of color
    that takes the sitter's skin to the artwork's. It fades into the painted skin where it ends on it.

    ``layer``: on the stylized geometry, with its photo's texture. ``head``: stylized, under it. ``content``: the
    unstylized head. Other arguments as in `transfer.stylize_texture`.
    """
    if config.strength == 0 or config.regions.hair == 0:
        return layer.texture
    labels = label_head(layer.mesh, layer.texture.shape[-1])
    head_labels = label_head(head.mesh, content.texture.shape[-1])
    before = (Painted(head.mesh, content.texture, head_labels),)
    around = (Painted(head.mesh, head.texture, head_labels),)
    sources = [exemplar.source for exemplar in exemplars]
    front = render_front_view(layer.mesh, layer.texture, labels, before)
    if config.preserve_color:
        sources = preserve_colors(sources, front, generator)

    # 1. A start in the artwork's colors.
    shares = share_palettes(layer.texture, labels.map)
    start = match_colors(layer.texture, labels.map, shares, front, sources, generator)

    # 2. Lines and strokes, as wide as on the face though the views show more of the head.
    cameras, shrunk = _place_cameras(layer.mesh, head.mesh, config.view_px)
    seen_at = replace(config, view_px=round(shrunk * config.view_px), stroke_px=round(shrunk * config.stroke_px))
    studied = [study_artwork_style(source, model, vgg, seen_at, generator) for source in sources]
    fewer = replace(config, steps=round(STEPS * config.steps), stroke_steps=round(STEPS * config.stroke_steps))
    texture = optimize_texture(
        layer.mesh,
        layer.texture,
        studied,
        labels,
        cameras,
        None,
        fewer,
        vgg=vgg,
        generator=generator,
        start=start if config.optimize_bands else None,
        around=around,
        progress=(lambda told: progress(replace(told, stage=layer.name))) if progress else None,
    )

    # 3. The artworks' contrast, tones and hues.
    if config.optimize_bands:
        subject = Subject(layer.mesh, layer.texture, start, labels, around)
        texture = _finish_texture(texture, subject, shares, sources, generator)
        texture = continue_layer(texture, subject, cameras.resized(config.stroke_px).near)
    strength = config.strength * config.regions.hair
    mixed = torch.lerp(layer.texture, texture, strength)
    return round_to_bytes(extend_islands(layer.mesh, blend_into_skin(replace(layer, texture=mixed), head, model)))


def _finish_texture(
    texture: Image,
    subject: Subject,
    shares: PaletteShares,
    sources: Sequence[StyleSource],
    generator: torch.Generator,
) -> Image:
    """As `transfer.finish_texture`, without the light of the artwork's face."""
    mesh, labels = subject.mesh, subject.labels
    texture = match_contrast(suppress_noise(texture, subject, sources), subject, sources)
    front = render_front_view(mesh, texture, labels, subject.around)
    texture = match_tones(texture, match_colors(texture, labels.map, shares, front, sources, generator))
    texture = limit_label_chroma(texture, labels.map, sources, generator)
    return close_seams(texture, find_seams(mesh, texture.shape[-1]))


def _place_cameras(layer: Mesh, head: Mesh, size_px: int) -> tuple[CameraBank, float]:
    """Views of a head and a layer over it, and how large they show the face, in parts of its size in its own views."""
    everything = torch.cat([head.vertices, layer.vertices])
    face = head.vertices[torch.unique(head.faces[select_faces(head, FACE_REGIONS)])]
    near = [view_camera(everything, *angles, size_px) for angles in ANGLES_DEG]
    return CameraBank(near, []), near[0].scale_px / view_camera(face, 0.0, 0.0, size_px).scale_px
