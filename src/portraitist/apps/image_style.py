"""Geometry-aware stylization of a photo (Sec. 7.4): the picture moves with its stylized head and is painted whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.apps.image_guide import (
    REPLACED_REGIONS,
    FaceView,
    check_head,
    choose_expression,
    lay_head_over_photo,
    soften_mask,
    view_face,
)
from portraitist.apps.image_labels import PICTURE_LABELS, label_picture, replace_missing
from portraitist.apps.image_painting import (
    PictureContent,
    PictureStyle,
    Report,
    count_steps,
    paint_last_strokes,
    paint_scale,
    resize_picture,
    share_colors,
    start_picture,
)
from portraitist.apps.image_warp import MovingHead, PictureWarp, warp_with_head
from portraitist.config import Config
from portraitist.errors import InputError
from portraitist.models import Models
from portraitist.pipeline import Exemplar, Sitter, reconstruct, study_artwork, transfer_geometry, transfer_texture
from portraitist.rendering.rasterizer import rasterize
from portraitist.segmentation.parts import HAIR, LABELS, UNLABELED
from portraitist.segmentation.picture import BARE_PARTS, PictureParts
from portraitist.texture.exemplar import StyleSource
from portraitist.texture.label_colors import limit_label_chroma, spread_strengths
from portraitist.texture.labels import LabelStrengths
from portraitist.texture.objective import LossWeights
from portraitist.texture.optimization import guided_weights
from portraitist.types import Camera, Head, Image, Progress, ProgressCallback

LARGEST_PX = 2048
SMALLEST_PX = 128
Expression = Mapping[str, float] | str | None
"""Weights 0..1 of ARKit actions by name, in place of the photo's; "neutral" for none of them; None for the photo's."""


@dataclass(frozen=True)
class ImageConfig:
    """``head``: how the guiding head is made; its strengths and regions, of geometry and texture, are the picture's.
    ``size_px``: longer side of the result, 128 to 2,048. ``scales``: longer side in pixels and steps of each pass of
    the network, coarse to fine. ``stroke_steps``: of the last strokes, at the size of the result. ``weights``,
    ``samples``, ``learning_rate``: as in ``TextureConfig``. ``transparent``: the background is left out.
    """

    head: Config = field(default_factory=Config.standard)
    size_px: int = 768
    scales: tuple[tuple[int, int], ...] = ((128, 60), (256, 90))
    stroke_steps: int = 60
    weights: LossWeights = field(default_factory=guided_weights)
    samples: int = 512
    learning_rate: float = 0.012
    transparent: bool = False

    @classmethod
    def draft(cls) -> ImageConfig:
        """A quick look."""
        return cls(head=Config.draft(), scales=((128, 30), (256, 15)), stroke_steps=20, samples=384)

    @classmethod
    def standard(cls) -> ImageConfig:
        """The default."""
        return cls()

    @property
    def total_steps(self) -> int:
        """Of all passes."""
        return sum(steps for _, steps in self.scales) + self.stroke_steps


@dataclass(frozen=True)
class ImageResult:
    """``image``: the painting. ``alpha`` [h, w]: how much of each pixel is the person, 0..1, or None. ``warped``: the
    photo as it was painted: moved, with the expression asked for. ``targets_px`` [68, 2]: where the translated
    landmarks lie in it (x, y). ``face`` [h, w]: where the rendered head says how it looks, 0..1. ``head``: the stylized
    head in the photo's pose. ``warp``: which moved the photo. ``sitter``: the photo, reconstructed. ``warnings``: for
    the user."""

    image: Image
    alpha: Float[Tensor, "h w"] | None
    warped: Image
    targets_px: Float[Tensor, "68 2"]
    face: Float[Tensor, "h w"]
    head: Head
    warp: PictureWarp
    sitter: Sitter
    warnings: tuple[str, ...] = ()


def stylize_image(
    photo: Image,
    art: Image,
    models: Models,
    config: ImageConfig | None = None,
    *,
    head: Head | None = None,
    expression: Expression = None,
    photo_face: int = 1,
    art_face: int = 1,
    progress: ProgressCallback | None = None,
) -> ImageResult:
    """Photo and artwork in, painting out: shape, face, hair, clothes and ground in the artwork's style.

    ``photo``, ``art``: sRGB [3, h, w] in 0..1. ``head``: the sitter's stylized head, which else is made first: most of
    a run's time. It says how the face is shaped and painted; ``config.head.geometry.strength`` then scales what its
    style moves. ``expression``: see `Expression`; what opens or closes is rendered. ``photo_face``, ``art_face``: which
    of several, from 1 for the largest on. ``progress`` is called after each step and may raise to stop.

    Raises NoFaceError, FitError, and InputError for sizes, expressions and faces that cannot be.
    """
    config = config or ImageConfig.standard()
    check_config(config)
    choose_expression(expression, torch.zeros(52))  # mistakes are found before the long computation
    if head is not None:
        check_head(head, models.head)
    made = _paint_fully(config.head)
    sitter = reconstruct(photo, models, made, face=photo_face, progress=progress)
    if progress:
        progress(Progress("study", 0, 1))
    exemplar = study_artwork(art, models, made, face=art_face)
    if head is None:
        geometry = transfer_geometry(sitter, [exemplar], models, made)
        head = transfer_texture(geometry.head, sitter, [exemplar], models, made, progress=progress)
        whole = replace(config.head.geometry, strength=1.0)  # of what the head has been moved by
        config = replace(config, head=replace(config.head, geometry=whole))
    return paint_image(sitter, exemplar, head, models, config, expression=expression, progress=progress)


def check_config(config: ImageConfig) -> None:
    """Raises InputError for a size that cannot be painted."""
    if not SMALLEST_PX <= config.size_px <= LARGEST_PX:
        raise InputError(f"Pictures of {SMALLEST_PX} to {LARGEST_PX:,} pixels can be painted, not of {config.size_px}.")


def paint_image(
    sitter: Sitter,
    exemplar: Exemplar,
    head: Head,
    models: Models,
    config: ImageConfig | None = None,
    *,
    expression: Expression = None,
    progress: ProgressCallback | None = None,
) -> ImageResult:
    """`stylize_image` with everything that can be reused: the photo reconstructed, the artwork studied, the sitter's
    head stylized."""
    config = config or ImageConfig.standard()
    check_config(config)
    check_head(head, models.head)
    generator = torch.Generator().manual_seed(config.head.seed)

    # 1. The photo at its size in the result, moved.
    factor = config.size_px / max(sitter.photo.shape[1:])
    size = (max(round(sitter.photo.shape[1] * factor), 1), max(round(sitter.photo.shape[2] * factor), 1))
    camera = sitter.fit.camera.resized(factor, size)
    weights = choose_expression(expression, sitter.fit.expression)
    posed = lay_head_over_photo(head, sitter.fit, config.head.geometry.strength, weights)
    moving = MovingHead(posed.mesh.with_vertices(posed.original), posed.mesh, posed.landmarks68)
    warp = warp_with_head(moving, camera, size, REPLACED_REGIONS if weights is not None else ())
    warped = warp.apply(resize_picture(sitter.photo, size))
    parts = PictureParts(warp.apply(resize_picture(sitter.parts.shares, size)))

    # 2. What its face is to look like.
    painted_face = view_face(posed, camera)
    mask = soften_mask(painted_face.face, parts.share(*BARE_PARTS))
    if weights is not None:
        plain = view_face(replace(posed, texture=sitter.content.texture), camera)
        warped = torch.lerp(warped, plain.lay_over(warped), mask)
    targets_px = find_landmarks(posed, camera)
    # An open mouth makes a face longer, and the artwork no larger.
    own_px = find_landmarks(lay_head_over_photo(head, sitter.fit, config.head.geometry.strength, None), camera)
    labels = label_picture(parts, posed.mesh, rasterize(posed.mesh, camera), targets_px)

    # 3. The painting.
    artwork = read_style(exemplar, own_px, size)
    content = PictureContent(warped, replace_missing(labels, artwork.source), mask, warped)
    report = count_steps("picture", config.total_steps, progress)
    painted = _paint(content, painted_face, artwork, models, config, generator, report)
    of_head = torch.where(labels == PICTURE_LABELS.index("headwear"), HAIR, labels)
    of_head = torch.where(of_head < len(LABELS), of_head, UNLABELED)
    strengths = config.head.texture.strength * spread_strengths(of_head, config.head.texture.regions)
    return ImageResult(
        image=torch.lerp(warped, painted, strengths),
        alpha=1 - parts.share("background") if config.transparent else None,
        warped=warped,
        targets_px=targets_px,
        face=mask,
        head=posed,
        warp=warp,
        sitter=sitter,
        warnings=(*sitter.warnings, *exemplar.warnings),
    )


def find_landmarks(head: Head, camera: Camera) -> Float[Tensor, "68 2"]:
    """Pixels (x, y) of the picture."""
    return camera.project(head.landmarks68.positions(head.mesh.vertices, head.mesh.faces))


def read_style(exemplar: Exemplar, points_px: Float[Tensor, "68 2"], size: tuple[int, int]) -> PictureStyle:
    """The artwork with the labels of a whole picture, as much of it as the photo shows around its own face.

    Against the face, what is painted is then as large in one as in the other, and an artwork that shows a whole room
    costs no more than a portrait.
    """
    fit = exemplar.fit
    labels = label_picture(exemplar.parts, fit.mesh, rasterize(fit.mesh, fit.camera), exemplar.landmarks.points)
    own, theirs = (_box_points(points) for points in (points_px, exemplar.landmarks.points))
    scale = theirs[1] / own[1]
    across = max(own[0][0], size[1] - own[0][0]) * scale
    up, down = own[0][1] * scale, (size[0] - own[0][1]) * scale
    (x, y), _ = theirs
    height, width = labels.shape
    rows = slice(max(round(y - up), 0), min(max(round(y + down), 1), height))
    columns = slice(max(round(x - across), 0), min(round(x + across), width))
    image, labels = exemplar.art[:, rows, columns], labels[rows, columns]
    return PictureStyle(StyleSource(image, labels, image.mean((1, 2))), 1 / scale)


def _box_points(points_px: Float[Tensor, "68 2"]) -> tuple[tuple[float, float], float]:
    """Middle (x, y) and diagonal of the box around landmarks."""
    low, high = points_px.amin(0), points_px.amax(0)
    x, y = ((low + high) / 2).tolist()
    return (x, y), float((high - low).norm())


def _paint(
    content: PictureContent,
    face: FaceView,
    artwork: PictureStyle,
    models: Models,
    config: ImageConfig,
    generator: torch.Generator,
    report: Report,
) -> Image:
    """The content in the artwork's colors, then painted coarse to fine."""
    if config.head.texture.strength == 0:
        return content.image
    picture = start_picture(content, face, artwork.source, generator)
    content = replace(content, guide=picture)
    for index, (side, steps) in enumerate(config.scales):
        if index and side > max(content.labels.shape):
            break
        picture = paint_scale(
            picture,
            content,
            artwork,
            min(side, max(content.labels.shape)),
            steps,
            is_first=index == 0,
            vgg=models.vgg,
            weights=config.weights,
            samples=config.samples,
            learning_rate=config.learning_rate,
            generator=generator,
            report=report,
        )
    picture = paint_last_strokes(picture, content, artwork, config.stroke_steps, generator, report)
    return limit_label_chroma(picture, content.labels, [artwork.source], generator, share_colors(content))


def _paint_fully(config: Config) -> Config:
    """A guide is painted at full strength; strengths are the picture's."""
    return replace(config, texture=replace(config.texture, strength=1.0, regions=LabelStrengths()))
