"""The paper's Fig. 2 in one function, and the only file that knows the order of the stages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from torch import Tensor

from portraitist.errors import InputError
from portraitist.geometry.deformation import build_deformer, deform_to_landmarks
from portraitist.geometry.translation import (
    GeometryConfig,
    Translator,
    make_translator,
    measure_displacement,
    measure_shape,
    translate_landmarks,
)
from portraitist.io.landmark_files import check_landmarks
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.mesh.subdivision import subdivide_head
from portraitist.reconstruction.fitting import FitConfig, fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.reconstruction.silhouette import fit_silhouette
from portraitist.segmentation.artwork import apply_style_mask, label_artwork
from portraitist.segmentation.person import PersonSegmenter, segment_person
from portraitist.texture.exemplar import StyleSource, crop_exemplar
from portraitist.texture.optimization import TextureConfig, stylize_texture
from portraitist.texture.shading_transfer import read_light
from portraitist.texture.vgg import VGG, load_vgg
from portraitist.types import Head, HeadFit, Image, Landmarks, Progress, ProgressCallback, Result
from portraitist.unwrapping.delighting import delight_artwork
from portraitist.unwrapping.gaze import pick_irises
from portraitist.unwrapping.projection import UnwrapConfig
from portraitist.unwrapping.unwrap import unwrap_photo

# Of the outer eye distance, root mean square over the landmarks.
NEAR_NORMAL = 0.02
NEAR_NORMAL_WARNING = (
    "The artwork's face is shaped nearly like a normal one, so that the head's shape hardly changes "
    "({:.1f} % of the eye distance). To exaggerate the sitter's own features instead, use --exaggerate 1."
)


@dataclass(frozen=True)
class Config:
    """One frozen dataclass per stage; presets are functions.

    ``subdivide``: give both heads of the result about four times the vertices. ``seed`` drives everything random.
    """

    fit: FitConfig = field(default_factory=FitConfig)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    texture: TextureConfig = field(default_factory=TextureConfig.standard)
    subdivide: bool = False
    seed: int = 0

    @classmethod
    def draft(cls) -> Config:
        """Quick look."""
        return cls(texture=TextureConfig.draft())

    @classmethod
    def standard(cls) -> Config:
        """The default."""
        return cls()

    @classmethod
    def best(cls) -> Config:
        """Larger texture, more steps."""
        return cls(texture=TextureConfig.best())

    @classmethod
    def paper(cls) -> Config:
        """The recipe of Sec. 5.2 as printed."""
        return cls(texture=TextureConfig.paper())


@dataclass(frozen=True)
class Models:
    """Everything that is loaded once. Use one per thread: the detectors are not thread-safe."""

    head: HeadModel
    detector: LandmarkDetector
    segmenter: PersonSegmenter
    vgg: VGG
    translator: Translator
    device: torch.device

    @classmethod
    def load(cls, device: str = "auto", threads: int | None = None, translator: str = "network") -> Models:
        """``device``: auto (CUDA when there is one), cpu or cuda. Raises InputError for a device that is not there.

        ``translator``: network (that of the package), direct, or the path of a translator file; InputError if damaged.

        ``threads``: CPU threads of torch, for the whole process, since sums in another order differ in the last digit.
        None leaves it at what torch found: every CPU this process may use, or OMP_NUM_THREADS.
        """
        chosen = "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
        if chosen.startswith("cuda") and not torch.cuda.is_available():
            raise InputError("Device cuda was asked for, but this PyTorch sees no CUDA GPU. Use --device auto or cpu.")
        if chosen.split(":")[0] not in {"cpu", "cuda"}:
            raise InputError(f"Unknown device {device!r}: use auto, cpu or cuda.")
        if threads is not None:
            torch.set_num_threads(threads)
        head = load_head_model()
        translating = make_translator(translator, head)
        return cls(
            head, LandmarkDetector(), PersonSegmenter(), load_vgg(chosen), translating, torch.device(chosen)
        )  # fmt: skip


def _one_blas_thread() -> AbstractContextManager[object]:
    """For NumPy and SciPy, whose threads torch does not set: theirs change the last digits too, and only cost time on
    matrices as small as ours."""
    return threadpool_limits(limits=1, user_api="blas")


class _Stages:
    """Reports and times the stages."""

    def __init__(self, progress: ProgressCallback | None) -> None:
        self.progress, self.seconds = progress, {}

    def start(self, stage: str) -> None:
        self.stop()
        self._stage, self._since = stage, time.perf_counter()
        if self.progress:
            self.progress(Progress(stage, 0, 1))

    def stop(self) -> None:
        if getattr(self, "_stage", None):
            self.seconds[self._stage] = time.perf_counter() - self._since
            self._stage = None


def stylize(
    photo: Image,
    art: Image,
    models: Models,
    config: Config | None = None,
    *,
    photo_landmarks: Float[Tensor, "68 2"] | None = None,
    art_landmarks: Float[Tensor, "68 2"] | None = None,
    style_mask: Float[Tensor, "h w"] | None = None,
    mix: Sequence[tuple[Image, float]] = (),
    progress: ProgressCallback | None = None,
) -> Result:
    """Photo and artwork in, stylized head and every intermediate out.

    ``photo``, ``art``: sRGB images [3,h,w] in 0..1. Given landmarks (68 points in iBUG order, pixels) replace
    detection. ``style_mask``: the size of ``art``, 1 where the texture's style is taken from, instead of its face and
    hair. ``mix``: more artworks whose shape and style are mixed with those of ``art``, and weights beside its 1.
    Raises NoFaceError, FitError, InputError for a mask of another size or without anything in it, or whatever
    ``progress`` raises to cancel.
    """
    config = config or Config.standard()
    generator = torch.Generator().manual_seed(config.seed)
    stages, warnings = _Stages(progress), []

    # 1. Landmarks of both pictures.
    stages.start("landmarks")
    seen_photo = _find_landmarks(photo, photo_landmarks, models, "photo", warnings)
    seen_art = _find_landmarks(art, art_landmarks, models, "art", warnings)

    with _one_blas_thread():
        # 2. Head reconstruction (Sec. 4.2): camera, identity, expression.
        stages.start("fit")
        person = segment_person(photo, seen_photo, models.segmenter)
        photo_fit = fit_photo(seen_photo, person, models.head, config.fit)
        art_fit = fit_head(seen_art, models.head, config.fit)
        artworks = [_Artwork(art, seen_art, art_fit, 1.0, style_mask)]
        artworks += [_study_artwork(image, weight, models, config, warnings) for image, weight in mix]

        # 3. Canonical texture t_x.
        stages.start("unwrap")
        unwrapped = unwrap_photo(
            photo,
            photo_fit,
            person,
            models.head,
            UnwrapConfig(texture_size=config.texture.texture_size),
            irises=pick_irises(seen_photo),
        )
        content = make_content(photo_fit, unwrapped.texture, models.head)

        # 4. Geometry style (Sec. 4): translated landmarks, then landmark-guided deformation to v_z.
        stages.start("geometry")
        exemplars = [
            measure_shape(work.landmarks, work.fit, models.head, models.translator, work.weight) for work in artworks
        ]
        targets = translate_landmarks(photo_fit, exemplars, models.head, models.translator, config.geometry, generator)
        movement = _check_movement(photo_fit, targets, models.head, config, warnings)
        deformed = deform_to_landmarks(content, targets, build_deformer(models.head, config.geometry.stiffness))

    # 5. Texture style (Sec. 5): t_x to t_z, geometry fixed.
    stages.start("texture")
    sources = _cut_sources(artworks, config.texture, models.segmenter)
    texture = stylize_texture(
        deformed.mesh, content.texture, sources, models.vgg, config.texture, generator, progress
    )  # fmt: skip
    stages.stop()
    stylized = replace(deformed, texture=_round_to_bytes(texture))
    if config.subdivide:
        content, stylized = subdivide_head(content), subdivide_head(stylized)
    return Result(
        photo=photo,
        art=art,
        photo_landmarks=seen_photo,
        art_landmarks=seen_art,
        photo_fit=photo_fit,
        art_fit=art_fit,
        person_mask=person,
        content=content,
        stylized=stylized,
        target_landmarks=targets,
        seconds=stages.seconds,
        quality={
            "photo_fit_error_percent": 100 * photo_fit.residual_relative,
            "art_fit_error_percent": 100 * art_fit.residual_relative,
            "shape_movement_percent": 100 * movement,
            "texels_from_photo": float((unwrapped.seen > 0.5).float().mean()),
        },
        warnings=tuple(warnings),
    )


def _find_landmarks(image: Image, given: Tensor | None, models: Models, what: str, warnings: list[str]) -> Landmarks:
    if given is not None:
        check_landmarks(given, (image.shape[1], image.shape[2]))
        return Landmarks(points=given.float(), size=(image.shape[1], image.shape[2]))
    landmarks, said = detect_landmarks(image, models.detector, what=what)
    warnings += said
    return landmarks


def _check_movement(fit: HeadFit, targets: Tensor, model: HeadModel, config: Config, warnings: list[str]) -> float:
    """How far the shape moves, in outer eye distances; said aloud when the artwork has little to give."""
    movement = measure_displacement(fit, targets, model)
    if movement < NEAR_NORMAL and config.geometry.strength >= 1:
        warnings.append(NEAR_NORMAL_WARNING.format(100 * movement))
    return movement


@dataclass(frozen=True)
class _Artwork:
    """What is known of one artwork; ``mask`` as ``stylize`` takes it."""

    image: Image
    landmarks: Landmarks
    fit: HeadFit
    weight: float
    mask: Float[Tensor, "h w"] | None = None


def _study_artwork(image: Image, weight: float, models: Models, config: Config, warnings: list[str]) -> _Artwork:
    landmarks = _find_landmarks(image, None, models, "mixed artwork", warnings)
    return _Artwork(image, landmarks, fit_head(landmarks, models.head, config.fit), weight)


def _cut_sources(artworks: Sequence[_Artwork], config: TextureConfig, segmenter: PersonSegmenter) -> list[StyleSource]:
    """What of each artwork the texture is painted after."""
    total, sources = sum(work.weight for work in artworks), []
    for work in artworks:
        mesh, camera = work.fit.mesh, work.fit.camera
        person = segment_person(work.image, work.landmarks, segmenter)
        labels = label_artwork(work.image, mesh, camera, work.landmarks.points, person)
        image = delight_artwork(work.image, labels, mesh, camera, config.delight)
        if work.mask is not None:
            labels = apply_style_mask(labels, work.mask)
        light = read_light(image, labels, mesh, camera)
        sources.append(crop_exemplar(image, labels, work.weight / total, light))
    return sources


def fit_photo(
    landmarks: Landmarks, person: Float[Tensor, "h w"], model: HeadModel, config: FitConfig | None = None
) -> HeadFit:
    """Head of a photo: from its landmarks, and no wider than the person mask. An artwork's head has only landmarks."""
    eye_distance_px = float((landmarks.points[36] - landmarks.points[45]).norm())
    return fit_silhouette(fit_head(landmarks, model, config), person, eye_distance_px, model)


def _round_to_bytes(texture: Image) -> Image:
    """So that every file made of the head holds the very same pixels, in 8 bits."""
    return (texture * 255).round() / 255


def make_content(fit: HeadFit, texture: Image, model: HeadModel) -> Head:
    """The unstylized head of a fit and its unwrapped texture."""
    return Head(
        mesh=fit.mesh,
        texture=_round_to_bytes(texture),
        neutral=fit.neutral,
        expression=fit.expression,
        expression_deltas=fit.expression_deltas,
        landmarks68=model.landmarks68,
        original=fit.mesh.vertices,
    )
