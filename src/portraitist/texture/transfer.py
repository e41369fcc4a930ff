"""Texture style of a head (Sec. 5): t_x to t_z, guided by the parts of the face, in the artwork's colors and light."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch

from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.seams import close_seams, find_seams
from portraitist.rendering.uv_layout import extend_islands
from portraitist.segmentation.parts import FACE_REGIONS, select_faces
from portraitist.texture.continuation import continue_lids, continue_skin
from portraitist.texture.detail import match_contrast, suppress_noise
from portraitist.texture.exemplar import StyleExemplar, StyleSource, study_source
from portraitist.texture.label_colors import (
    PaletteShares,
    limit_label_chroma,
    match_colors,
    match_tones,
    preserve_colors,
    share_palettes,
    spread_strengths,
)
from portraitist.texture.labels import label_head
from portraitist.texture.optimization import TextureConfig, optimize_texture
from portraitist.texture.shading_transfer import transfer_shading
from portraitist.texture.views import Subject, place_cameras, render_front_view
from portraitist.types import Image, Mesh, ProgressCallback
from portraitist.vgg import VGG

CANONICAL_VIEW_PX = 512  # side of the view in which the mean head's face is measured


def stylize_texture(
    mesh: Mesh,
    content: Image,
    exemplars: Sequence[StyleExemplar],
    model: HeadModel,
    vgg: VGG,
    config: TextureConfig,
    generator: torch.Generator,
    progress: ProgressCallback | None = None,
) -> Image:
    """The content texture of a bare head painted as the artworks are, same size.

    ``mesh``: the *stylized* geometry; it is not changed. ``exemplars``: one artwork, or several to be mixed by their
    weights, which add up to 1. ``generator``: on the CPU; an equal seed gives an equal texture. ``progress`` is called
    after each step and may raise to stop.
    """
    if config.strength == 0:
        return content
    labels, sources = label_head(mesh, content.shape[-1]), [exemplar.source for exemplar in exemplars]
    front = render_front_view(mesh, content, labels)
    if config.preserve_color:
        sources = preserve_colors(sources, front, generator)
        exemplars = [study_artwork_style(source, model, vgg, config, generator) for source in sources]

    # 1. A start in the artwork's colors needs far fewer steps than the photo's own.
    shares = share_palettes(content, labels.map)
    start = match_colors(content, labels.map, shares, front, sources, generator) if config.optimize_bands else content

    # 2. Lines, strokes, broad light and shade.
    cameras = place_cameras(mesh, config.view_px, config.near_views, generator, all_round=False)
    texture = optimize_texture(
        mesh,
        content,
        exemplars,
        labels,
        cameras,
        None,  # the steps below would open them again
        config,
        vgg=vgg,
        generator=generator,
        start=start,
        progress=progress,
    )
    if config.optimize_bands:
        texture = finish_texture(texture, Subject(mesh, content, start, labels), shares, sources, model, generator)

    # 3. Strengths.
    strengths = config.strength * spread_strengths(labels.map, config.regions)
    return extend_islands(mesh, torch.lerp(content, texture, strengths))


def finish_texture(
    texture: Image,
    subject: Subject,
    shares: PaletteShares,
    sources: Sequence[StyleSource],
    model: HeadModel,
    generator: torch.Generator,
) -> Image:
    """The optimized texture with the artworks' contrast, light, tones and hues, continued over ears, neck
    and scalp, and with closed seams.

    The network's losses ask for none of these: they like worms and specks on smooth skin, and let tones drift.
    ``shares``: `share_palettes` of the subject's content.
    """
    mesh, labels = subject.mesh, subject.labels
    texture = match_contrast(suppress_noise(texture, subject, sources), subject, sources)
    texture = transfer_shading(texture, subject, sources)
    front = render_front_view(mesh, texture, labels, subject.around)
    texture = match_tones(texture, match_colors(texture, labels.map, shares, front, sources, generator))
    texture = limit_label_chroma(texture, labels.map, sources, generator)
    texture = continue_lids(continue_skin(texture, subject, model), model)
    return close_seams(texture, find_seams(mesh, texture.shape[-1], largest_island_only=True))


def study_artwork_style(
    source: StyleSource, model: HeadModel, vgg: VGG, config: TextureConfig, generator: torch.Generator
) -> StyleExemplar:
    """`study_source` with the face as large as that of the mean head in the views of ``config``: whose head will be
    painted does not matter, so that an artwork is studied once."""
    share = _measure_face_share(model)
    view_px, stroke_px = share * config.view_px, share * config.stroke_px
    return study_source(source, vgg, generator, view_px=view_px, stroke_px=stroke_px)


@functools.lru_cache(maxsize=2)
def _measure_face_share(model: HeadModel) -> float:
    """Root of the area of the mean head's face in a near front view, in parts of the view's side."""
    mesh, in_face = model.template, select_faces(model.template, FACE_REGIONS)
    vertices = mesh.vertices[torch.unique(mesh.faces[in_face])]
    front = rasterize(mesh, view_camera(vertices, 0.0, 0.0, CANONICAL_VIEW_PX))
    face = front.show(in_face)
    return face.sum().sqrt().item() / CANONICAL_VIEW_PX
