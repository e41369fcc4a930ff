"""What the texture is compared with: the artwork's face as style, views of the content texture as content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.rendering.rasterizer import mark_texels, rasterize, shade, view_camera
from portraitist.segmentation.parts import FEATURES, HAIR, NOWHERE, PARTS, is_one_of, label_faces, mismatch_costs
from portraitist.texture.losses import sample_points, unit_rows
from portraitist.texture.patches import PatchPlaces
from portraitist.texture.vgg import VGG, sample_hypercolumns
from portraitist.types import REGIONS, Camera, Fragments, Image, Mesh

FACE_REGIONS = ("skin", "lips", "eyelids", "brows", "nose", "eyeballs", "mouth_inside", "teeth", "tongue")
_FEATURE_REGIONS = ("lips", "eyelids", "brows", "eyeballs", "mouth_inside", "teeth")
_MAX_YAW_DEG, _MAX_PITCH_DEG = 30.0, 20.0
# Beyond the paper: who turns the head round must not find a photo-like back. (yaw_deg, pitch_deg)
_WIDE_VIEWS = ((-80.0, 0.0), (80.0, 0.0), (-140.0, 15.0), (140.0, 15.0), (180.0, -20.0), (0.0, 70.0), (0.0, -65.0))
_MOST_ENLARGEMENT = 2.0
_STYLE_POINTS, _FEATURE_BONUS, _HAIR_SHARE, _VIEW_POINTS = 3072, 192, 0.4, 1536


@dataclass(frozen=True)
class StyleSource:
    """The artwork cut to its head. ``labels``: part of each pixel, see `semantics`. ``ground``: the face's mean color;
    it stands in for all that is `NOWHERE`, here and around the rendered heads, so that no background gets into a
    hypercolumn. ``weight``: share in a mix of artworks. ``light``: see `lighting.read_light`."""

    image: Image
    labels: Int[Tensor, "h w"]
    ground: Float[Tensor, "3"]
    weight: float
    light: Float[Tensor, "4 g g"] | None = None


@dataclass(frozen=True)
class Style:
    """Hypercolumns sampled in the artworks' faces and hair, as they are and divided by their lengths, and the ``parts``
    they lie in; ``mismatch``, what painting one part as another costs."""

    hypercolumns: Float[Tensor, "n c"]
    units: Float[Tensor, "n c"]
    parts: Int[Tensor, "n"]
    mismatch: Float[Tensor, "p p"]


@dataclass(frozen=True)
class Subject:
    """The head to be painted: stylized geometry, the texture of the photo, the one that the optimization starts from,
    and the part of each texel."""

    mesh: Mesh
    content: Image
    start: Image
    labels: Int[Tensor, "t t"]


@dataclass(frozen=True)
class View:
    """One camera of the bank: what it sees, and random points inside the head.

    Per point: ``parts``, where it lies, and ``in_face``, whether on the face; ``content_units``, the content's
    hypercolumn divided by its length.
    """

    fragments: Fragments
    points_px: Float[Tensor, "p 2"]
    parts: Int[Tensor, "p"]
    in_face: Bool[Tensor, "p"]
    content_units: Float[Tensor, "p c"]


@dataclass(frozen=True)
class ViewBank:
    """All cameras. ``near``: the paper's range of angles, framing the face. ``wide``: all round, framing the head.
    ``face_px``: root of the face's area in the front view. ``uv_per_px``: median footprint of its pixels."""

    near: list[View]
    wide: list[View]
    face_px: float
    uv_per_px: float

    def draw(self, wide_share: float, generator: torch.Generator) -> View:
        """A random view; a wide one with probability ``wide_share``."""
        views = self.wide if torch.rand((), generator=generator) < wide_share else self.near
        return views[int(torch.randint(len(views), (), generator=generator))]


def cut_source(
    art: Image, labels: Int[Tensor, "h w"], weight: float = 1.0, light: Float[Tensor, "4 g g"] | None = None
) -> StyleSource:
    """Crop the artwork to its head with an eighth of margin. Raises ValueError when no pixel has a part."""
    rows, columns = torch.nonzero(labels >= 0, as_tuple=True)
    if not len(rows):
        raise ValueError("the artwork's face region is empty")
    margin = (int(rows.max() - rows.min()) + 1) // 8 + 1
    box = (
        slice(max(int(rows.min()) - margin, 0), int(rows.max()) + margin),
        slice(max(int(columns.min()) - margin, 0), int(columns.max()) + margin),
    )
    image, labels = art[(slice(None), *box)], labels[box]
    face = (labels >= 0) & (labels != HAIR)
    ground = image[:, face if face.any() else labels >= 0].mean(1)
    return StyleSource(torch.where(labels >= 0, image, ground[:, None, None]), labels, ground, weight, light)


def mix_grounds(exemplars: Sequence[StyleSource]) -> Float[Tensor, "3"]:
    """Mean of the artworks' grounds by their weights."""
    return torch.stack([exemplar.weight * exemplar.ground for exemplar in exemplars]).sum(0)


def sample_style(exemplars: Sequence[StyleSource], face_px: float, vgg: VGG, generator: torch.Generator) -> Style:
    """Hypercolumns of the artworks, each face drawn as large as the face in the views (``face_px``).

    At equal size a brush stroke is as wide on the head as it is in the artwork. A small artwork is enlarged at most
    twice: beyond that there is nothing but blur to learn from.
    """
    columns, parts = [], []
    for exemplar in exemplars:
        image, labels = resize_source(exemplar, face_px)
        counts = _count_points(labels, exemplar.weight)
        points = torch.cat([sample_points(labels == part, count, generator) for part, count in counts])
        columns.append(sample_hypercolumns(vgg(image), points))
        ids = points.long()
        parts.append(labels[ids[:, 1], ids[:, 0]])
    hypercolumns = torch.cat(columns)
    mismatch = mismatch_costs().to(hypercolumns)
    return Style(hypercolumns, unit_rows(hypercolumns).to(vgg.dtype), torch.cat(parts), mismatch)


def resize_source(exemplar: StyleSource, face_px: float) -> tuple[Image, Int[Tensor, "h w"]]:
    """Picture and labels of an artwork whose face's area has the root ``face_px``; at most twice as large as it is."""
    factor = min(face_px / max(face_size(exemplar.labels), 1.0), _MOST_ENLARGEMENT)
    size = [max(round(side * factor), 32) for side in exemplar.labels.shape]
    image = F.interpolate(exemplar.image[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    labels = F.interpolate(exemplar.labels[None, None].float(), size, mode="nearest-exact")[0, 0].long()
    return image, labels


def face_size(labels: Int[Tensor, "h w"]) -> float:
    """Root of the area in pixels of all that is face."""
    return ((labels >= 0) & (labels != HAIR)).sum().sqrt().item()


def _count_points(labels: Int[Tensor, "h w"], weight: float) -> list[tuple[int, int]]:
    """How many style points in each part that is there: by area in the face, a fixed share of hair, and some more in
    the features."""
    areas = torch.bincount(labels[labels >= 0], minlength=len(PARTS))
    face = max(int(areas.sum() - areas[HAIR]), 1)
    counts = []
    for part, area in enumerate(areas.tolist()):
        share = _HAIR_SHARE if part == HAIR else area / face
        bonus = _FEATURE_BONUS if part in FEATURES else 0
        if area:
            counts.append((part, max(round(weight * (_STYLE_POINTS * share + bonus)), 1)))
    return counts


def make_view_bank(
    subject: Subject,
    ground: Float[Tensor, "3"],
    vgg: VGG,
    size_px: int,
    near_count: int,
    all_round: bool,
    generator: torch.Generator,
) -> ViewBank:
    """Observe the subject through `place_cameras`."""
    mesh = subject.mesh
    cameras = place_cameras(mesh, size_px, near_count, all_round, generator)
    near, wide = ([rasterize(mesh, camera) for camera in bank] for bank in cameras)
    return ViewBank(
        [observe(subject, fragments, ground, vgg, generator) for fragments in near],
        [observe(subject, fragments, ground, vgg, generator) for fragments in wide],
        *measure_face(mesh, near[0]),
    )


def place_cameras(
    mesh: Mesh, size_px: int, near_count: int, all_round: bool, generator: torch.Generator
) -> tuple[list[Camera], list[Camera]]:
    """The front and ``near_count`` - 1 random views within +-30 deg x +-20 deg, and if ``all_round`` the wide views."""
    face = mesh.vertices[torch.unique(mesh.faces[select_faces(mesh, FACE_REGIONS)])]
    near = [view_camera(face, *angles, size_px) for angles in _draw_angles(near_count, generator)]
    return near, [view_camera(mesh.vertices, *angles, size_px) for angles in _WIDE_VIEWS if all_round]


def take_portrait(mesh: Mesh, texture: Image, labels: Int[Tensor, "t t"]) -> StyleSource:
    """The head from the front as if it were an artwork: face and hair, every part as large as one sees it.

    In the texture itself, neck and ears and the sides of the face would count for more than they do in a picture.
    """
    fragments = rasterize(mesh, view_camera(mesh.vertices, 0.0, 0.0, texture.shape[-1]))
    seen = _drop_ears_and_neck(mesh, _look_up_labels(mesh, labels, fragments), fragments)
    return cut_source(shade(fragments, texture, texture.new_zeros(3)), seen)


def mark_face(mesh: Mesh, size: int) -> Bool[Tensor, "t t"]:
    """Texels of the face in a texture of this side."""
    face_ids = mark_texels(mesh, size)
    return (face_ids >= 0) & select_faces(mesh, FACE_REGIONS)[face_ids.clamp(min=0)]


def measure_face(mesh: Mesh, front: Fragments) -> tuple[float, float]:
    """Root of the face's area in pixels of a front view, and the median footprint of those pixels in UV."""
    face = front.mask & select_faces(mesh, FACE_REGIONS)[front.face_ids.clamp(min=0)]
    return face.sum().sqrt().item(), front.uv_footprint[face].median().item()


def observe(
    subject: Subject,
    fragments: Fragments,
    ground: Float[Tensor, "3"],
    vgg: VGG,
    generator: torch.Generator,
) -> View:
    """What one camera sees of the subject before optimization."""
    in_face = select_faces(subject.mesh, FACE_REGIONS)
    points = _spread_points(subject.mesh, fragments, generator)
    columns, rows = points.long().unbind(1)
    labels = _look_up_labels(subject.mesh, subject.labels, fragments)
    content_maps = vgg(shade(fragments, subject.content, ground))
    return View(
        fragments=fragments,
        points_px=points,
        parts=labels[rows, columns],
        in_face=in_face[fragments.face_ids[rows, columns]],
        content_units=unit_rows(sample_hypercolumns(content_maps, points)),
    )


def find_places(
    subject: Subject, fragments: Fragments, left_out: tuple[int, ...] = (), all_skin: bool = False
) -> PatchPlaces:
    """Where patches are compared in a view: parts of the face but those ``left_out``, and hair. Ears and neck are skin
    unlike what an artwork's face shows, and are compared only if ``all_skin``."""
    labels = _look_up_labels(subject.mesh, subject.labels, fragments)
    if not all_skin:
        labels = _drop_ears_and_neck(subject.mesh, labels, fragments)
    labels = torch.where(is_one_of(labels, left_out), NOWHERE, labels)
    return PatchPlaces.make(labels, fragments.mask)


def _look_up_labels(mesh: Mesh, labels: Int[Tensor, "t t"], fragments: Fragments) -> Int[Tensor, "h w"]:
    """Part that each pixel shows: that of its nearest texel, or of its face where that texel is beside the island."""
    side = labels.shape[-1]
    columns, rows = (fragments.uv * side).long().clamp(0, side - 1).unbind(-1)
    seen, faces = labels[rows, columns], label_faces(mesh)[fragments.face_ids.clamp(min=0)]
    return torch.where(fragments.mask, torch.where(seen >= 0, seen, faces), NOWHERE)


def _drop_ears_and_neck(mesh: Mesh, labels: Int[Tensor, "h w"], fragments: Fragments) -> Int[Tensor, "h w"]:
    """Labels of face and hair only, which are what an artwork's labels are of."""
    face = select_faces(mesh, FACE_REGIONS)[fragments.face_ids.clamp(min=0)]
    return torch.where(face | (labels == HAIR), labels, NOWHERE)


def _draw_angles(count: int, generator: torch.Generator) -> list[tuple[float, float]]:
    """The front and ``count`` - 1 random (yaw_deg, pitch_deg), spread evenly: one per row and column of a grid."""
    cells = torch.arange(count - 1)
    angles = [(0.0, 0.0)]
    if count > 1:
        jitter = torch.rand(2, count - 1, generator=generator)
        order = torch.randperm(count - 1, generator=generator)
        yaw, pitch = (torch.stack([cells, cells[order]]) + jitter) / (count - 1) * 2 - 1
        angles += list(zip((yaw * _MAX_YAW_DEG).tolist(), (pitch * _MAX_PITCH_DEG).tolist(), strict=True))
    return angles


def select_faces(mesh: Mesh, names: tuple[str, ...]) -> Bool[Tensor, "f"]:
    """Which faces of the mesh belong to the named regions."""
    return torch.tensor([name in names for name in REGIONS], device=mesh.regions.device)[mesh.regions]


def _spread_points(mesh: Mesh, fragments: Fragments, generator: torch.Generator) -> Float[Tensor, "p 2"]:
    """Points all over the head, a third of them on eyes, brows and mouth: small, but what a person is known by."""
    features = fragments.mask & select_faces(mesh, _FEATURE_REGIONS)[fragments.face_ids.clamp(min=0)]
    points = [sample_points(fragments.mask, _VIEW_POINTS * 2 // 3, generator)]
    if features.any():
        points.append(sample_points(features, _VIEW_POINTS // 3, generator))
    return torch.cat(points)
