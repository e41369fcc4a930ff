"""The stages, and ``stylize``, which is the paper's Fig. 2: the only file that knows their order.

Each stage may be called on its own: a photo is reconstructed once, an artwork studied once, and a video, a batch, a
page or a slider reuses both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from torch import Tensor

from portraitist.config import Config
from portraitist.devices import move
from portraitist.geometry.deformation import deform_to_landmarks
from portraitist.geometry.transfer import StylizedGeometry, precompute_transfer
from portraitist.geometry.translation import ShapeExemplar, measure_displacement, measure_shape
from portraitist.hair.blending import blend_into_skin
from portraitist.hair.layers import build_layers
from portraitist.io.images import round_to_bytes
from portraitist.mesh.carrying import carry_layers
from portraitist.mesh.subdivision import subdivide_head
from portraitist.models import Models
from portraitist.progress import StageClock
from portraitist.reading import find_landmarks, read_artwork, read_photo
from portraitist.reconstruction.fitting import fit_head
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.uv_layout import extend_islands
from portraitist.segmentation.artwork import apply_style_mask, label_artwork
from portraitist.segmentation.picture import BARE_PARTS, PictureParts
from portraitist.texture.exemplar import StyleExemplar, crop_exemplar
from portraitist.texture.layers import stylize_layer
from portraitist.texture.shading_transfer import unwrap_shading
from portraitist.texture.transfer import study_artwork_style, stylize_texture
from portraitist.types import COVER_NAMES, Head, HeadFit, Image, Landmarks, Progress, ProgressCallback, Result
from portraitist.unwrapping.delighting import delight_artwork
from portraitist.unwrapping.gaze import pick_irises
from portraitist.unwrapping.unwrap import make_content, unwrap_photo

# NumPy's and SciPy's threads, which torch does not set: they change the last digits too, and only cost time on matrices
# as small as ours.
_with_one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")


@dataclass(frozen=True)
class Sitter:
    """A photo, reconstructed. ``person_mask``: how much of each pixel is the person, 0..1. ``parts``: what each shows.
    ``content``: the unstylized head. ``texels_from_photo``: share 0..1 of the texture that the photo shows.
    ``warnings``: for the user."""

    photo: Image
    landmarks: Landmarks
    person_mask: Float[Tensor, "h w"]
    parts: PictureParts
    fit: HeadFit
    content: Head
    texels_from_photo: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exemplar:
    """An artwork, studied: its shape against the mean normal face, and its style as textures are painted after it.

    Nothing in it depends on a sitter. ``parts``: what each pixel shows. ``weight``: share in a mix of artworks, against
    the others' weights.
    """

    art: Image
    landmarks: Landmarks
    fit: HeadFit
    parts: PictureParts
    shape: ShapeExemplar
    style: StyleExemplar
    weight: float = 1.0
    warnings: tuple[str, ...] = ()


@_with_one_blas_thread
def reconstruct(
    photo: Image,
    models: Models,
    config: Config | None = None,
    *,
    landmarks: Float[Tensor, "68 2"] | None = None,
    parts: PictureParts | None = None,
    face: int = 1,
    progress: ProgressCallback | None = None,
) -> Sitter:
    """Photo to head (Sec. 4.2): landmarks, person mask, fitted head and its unwrapped texture.

    ``photo``: sRGB [3, h, w] in 0..1. ``landmarks``: 68 points in iBUG order, pixels, instead of detection.
    ``parts``: what each pixel shows, instead of person mask and segmentation. ``face``: which of several, from 1 for
    the largest on. ``config``: ``fit`` and ``unwrap`` are used. Raises NoFaceError, FitError, and InputError for
    landmarks outside of the picture, parts of another size, or a face that is not there.
    """
    config = config or Config.standard()
    photo, report = move(photo, models.device), _report_to(progress)
    report("landmarks")
    points, warnings = find_landmarks(photo, landmarks, face, models, "photo")
    report("fit")
    seen = read_photo(photo, points, models, config.fit, parts)
    fit, parts = seen.fit, seen.parts
    report("unwrap")
    bare = parts.share(*BARE_PARTS)
    unwrapped = unwrap_photo(photo, fit, bare, models.head, config.unwrap, irises=pick_irises(points))
    content = make_content(fit, unwrapped.texture, models.head)
    if config.unwrap.hair == "layer":
        covers = {name: parts.share(name) for name in COVER_NAMES}
        head, clothes = bare + parts.share(*covers), parts.share("clothes")
        layers = build_layers(photo, covers, head, clothes, fit, models.head, config.unwrap.texture_size)
        content = replace(content, layers=layers)
        blended = [extend_islands(layer.mesh, blend_into_skin(layer, content, models.head)) for layer in layers]
        finished = [replace(layer, texture=round_to_bytes(t)) for layer, t in zip(layers, blended, strict=True)]
        content = replace(content, layers=tuple(finished))
    shown = float((unwrapped.seen > 0.5).float().mean())
    return Sitter(photo, points, seen.person, parts, fit, content, shown, (*warnings, *seen.warnings))


@_with_one_blas_thread
def study_artwork(
    art: Image,
    models: Models,
    config: Config | None = None,
    *,
    landmarks: Float[Tensor, "68 2"] | None = None,
    parts: PictureParts | None = None,
    face: int = 1,
    style_mask: Float[Tensor, "h w"] | None = None,
    weight: float = 1.0,
    what: str = "art",
) -> Exemplar:
    """What there is to know of an artwork, whoever the sitter is (Sec. 4.1 and 5.2): its face's deviation from the mean
    normal face; labels, shading, hypercolumns and patches at the sizes of ``config.texture``.

    ``art``: sRGB [3, h, w] in 0..1. ``landmarks``: 68 points in iBUG order, pixels, instead of detection. ``parts``:
    what each pixel shows, instead of segmentation. ``face``: which of several, from 1 for the largest on.
    ``style_mask``: the size of ``art``, 1 where the texture's style is taken from, instead of its face and hair.
    ``weight``: share in a mix. ``what``: names the picture in messages. Raises NoFaceError, FitError, and InputError
    for a face that is not there, or a mask of another size or empty.
    """
    config, art = config or Config.standard(), move(art, models.device)
    detected, warnings = find_landmarks(art, landmarks, face, models, what)
    seen = read_artwork(art, detected, models, config.fit, what, parts)
    points, fit, shape_fit = detected, seen.fit, seen.fit
    if landmarks is None:
        points = models.refiner.refine(art, detected, models.vgg)
        shape_fit = fit_head(points, models.head, config.fit)
    shape = measure_shape(points, shape_fit, models.head)
    fragments = rasterize(fit.mesh, fit.camera)
    labels = label_artwork(seen.parts, fit.mesh, fragments, points.points)
    image = delight_artwork(art, labels, fit.mesh, fit.camera, fragments, config.texture.delighting)
    if style_mask is not None:
        labels = apply_style_mask(labels, move(style_mask, models.device))
    source = crop_exemplar(image, labels, shading=unwrap_shading(image, labels, fit.mesh, fragments))
    style = study_artwork_style(source, models.head, models.vgg, config.texture, _make_generator(config))
    return Exemplar(art, points, fit, seen.parts, shape, style, weight, (*warnings, *seen.warnings))


@_with_one_blas_thread
def transfer_geometry(
    sitter: Sitter, exemplars: Sequence[Exemplar], models: Models, config: Config | None = None
) -> StylizedGeometry:
    """Geometry style (Sec. 4): translated landmarks, then landmark-guided deformation to v_z.

    Of several exemplars the styles are mixed by their weights. ``config``: ``geometry`` and ``seed`` (for a random
    style) are used. Raises InputError for a random style without a network.
    """
    config = config or Config.standard()
    shapes = [replace(exemplar.shape, weight=exemplar.weight) for exemplar in exemplars]
    asked, fit, model = config.geometry, sitter.fit, models.head
    transfer = precompute_transfer(fit, shapes, model, models.translator, asked, _make_generator(config))
    targets = transfer.translation.find_targets(asked.strength, asked.regions, asked.exaggeration)
    content = sitter.content
    head = deform_to_landmarks(content, targets, transfer.deformer)
    layers = carry_layers(content.layers, content.mesh, head.mesh.vertices)
    head = replace(head, layers=layers)
    return StylizedGeometry(head, targets, measure_displacement(fit, targets, model), transfer)


@_with_one_blas_thread
def transfer_texture(
    head: Head,
    sitter: Sitter,
    exemplars: Sequence[Exemplar],
    models: Models,
    config: Config | None = None,
    *,
    progress: ProgressCallback | None = None,
) -> Head:
    """Texture style (Sec. 5): ``head`` with the sitter's texture t_x painted as the artworks are, t_z, and its layers.
    Its geometry is not changed.

    The artworks are mixed by their weights. ``config``: ``texture`` and ``seed`` are used, and should be those that the
    exemplars were studied with. ``progress`` is called after each step and may raise to stop. For any other mesh there
    is ``optimize_texture``.
    """
    config = config or Config.standard()
    total = sum(exemplar.weight for exemplar in exemplars)
    styles = [exemplar.style.weighted(exemplar.weight / total) for exemplar in exemplars]
    content, generator = sitter.content, _make_generator(config)
    rest = models.head, models.vgg, config.texture, generator, progress
    texture = stylize_texture(head.mesh, content.texture, styles, *rest)
    painted = replace(head, texture=round_to_bytes(texture))
    layers = [replace(layer, texture=stylize_layer(layer, painted, content, styles, *rest)) for layer in head.layers]
    return replace(painted, layers=tuple(layers))


def stylize(
    photo: Image,
    art: Image,
    models: Models,
    config: Config | None = None,
    *,
    photo_landmarks: Float[Tensor, "68 2"] | None = None,
    art_landmarks: Float[Tensor, "68 2"] | None = None,
    photo_parts: PictureParts | None = None,
    art_parts: PictureParts | None = None,
    photo_face: int = 1,
    art_face: int = 1,
    style_mask: Float[Tensor, "h w"] | None = None,
    mix: Sequence[tuple[Image, float]] = (),
    progress: ProgressCallback | None = None,
) -> Result:
    """Photo and artwork in, stylized head and every intermediate out.

    ``photo``, ``art``: sRGB images [3,h,w] in 0..1. Given landmarks (68 points in iBUG order, pixels) replace
    detection, and given parts (what each pixel shows) segmentation. ``photo_face``, ``art_face``: which of several,
    from 1 for the largest on. ``style_mask``: the size of ``art``, 1 where the texture's style is taken from, instead
    of its face and hair. ``mix``: more artworks whose shape and style are mixed with those of ``art``, and weights
    beside its 1. Raises what ``reconstruct`` and ``study_artwork`` raise, or whatever ``progress`` raises to cancel.
    """
    config = config or Config.standard()
    clock = StageClock(progress)
    photo_given = {"landmarks": photo_landmarks, "parts": photo_parts, "face": photo_face}
    art_given = {"landmarks": art_landmarks, "parts": art_parts, "face": art_face}
    sitter = reconstruct(photo, models, config, **photo_given, progress=clock.report)
    clock.start("study")
    exemplars = [study_artwork(art, models, config, **art_given, style_mask=style_mask)]
    exemplars += [study_artwork(image, models, config, weight=w, what="mixed artwork") for image, w in mix]
    clock.start("geometry")
    geometry = transfer_geometry(sitter, exemplars, models, config)
    clock.start("texture")
    stylized = transfer_texture(geometry.head, sitter, exemplars, models, config, progress=progress)
    clock.stop()
    result = collect_result(sitter, exemplars, geometry, stylized, config, clock.seconds)
    if config.subdivide:
        return replace(result, content=subdivide_head(result.content), stylized=subdivide_head(stylized))
    return result


def collect_result(
    sitter: Sitter,
    exemplars: Sequence[Exemplar],
    geometry: StylizedGeometry,
    stylized: Head,
    config: Config,
    seconds: dict[str, float],
) -> Result:
    """What all stages found. ``seconds``: that each took."""
    of_art = [warning for exemplar in exemplars for warning in exemplar.warnings]
    return Result(
        photo=sitter.photo,
        art=exemplars[0].art,
        photo_landmarks=sitter.landmarks,
        art_landmarks=exemplars[0].landmarks,
        photo_fit=sitter.fit,
        art_fit=exemplars[0].fit,
        person_mask=sitter.person_mask,
        content=sitter.content,
        stylized=stylized,
        target_landmarks=geometry.targets,
        seconds=seconds,
        quality=_measure_quality(sitter, exemplars[0], geometry),
        warnings=(*sitter.warnings, *of_art, *geometry.transfer.doubt(config.geometry)),
    )


def _measure_quality(sitter: Sitter, exemplar: Exemplar, geometry: StylizedGeometry) -> dict[str, float]:
    return {
        "photo_fit_error_percent": 100 * sitter.fit.residual_relative,
        "art_fit_error_percent": 100 * exemplar.fit.residual_relative,
        "shape_movement_percent": 100 * geometry.movement,
        "texels_from_photo": sitter.texels_from_photo,
    }


def _make_generator(config: Config) -> torch.Generator:
    """Every stage has its own, so that its result depends on what it is given alone."""
    return torch.Generator().manual_seed(config.seed)


def _report_to(progress: ProgressCallback | None) -> Callable[[str], None]:
    return lambda stage: progress(Progress(stage, 0, 1)) if progress else None
