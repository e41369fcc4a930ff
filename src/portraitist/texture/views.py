"""What the texture is compared with: the artwork's face as style, views of the content texture as content."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import shade
from portraitist.rendering.uv_layout import mark_texels
from portraitist.segmentation.parts import (
    FACE_REGIONS,
    HAIR,
    UNLABELED,
    is_one_of,
    label_faces,
    select_faces,
)
from portraitist.texture.exemplar import _VIEW_POINTS, StyleSource, crop_exemplar
from portraitist.texture.losses import sample_points, unit_rows
from portraitist.texture.patches import PatchPlaces
from portraitist.texture.vgg import VGG, sample_hypercolumns
from portraitist.types import Camera, Fragments, Image, Mesh

_FEATURE_REGIONS = ("lips", "eyelids", "brows", "eyeballs", "mouth_inside", "teeth")
_MAX_YAW_DEG, _MAX_PITCH_DEG = 30.0, 20.0
# Beyond the paper: who turns the head round must not find a photo-like back. (yaw_deg, pitch_deg)
_WIDE_VIEWS = ((-80.0, 0.0), (80.0, 0.0), (-140.0, 15.0), (140.0, 15.0), (180.0, -20.0), (0.0, 70.0), (0.0, -65.0))


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
    return crop_exemplar(shade(fragments, texture, texture.new_zeros(3)), seen)


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
    labels = torch.where(is_one_of(labels, left_out), UNLABELED, labels)
    return PatchPlaces.make(labels, fragments.mask)


def _look_up_labels(mesh: Mesh, labels: Int[Tensor, "t t"], fragments: Fragments) -> Int[Tensor, "h w"]:
    """Part that each pixel shows: that of its nearest texel, or of its face where that texel is beside the island."""
    side = labels.shape[-1]
    columns, rows = (fragments.uv * side).long().clamp(0, side - 1).unbind(-1)
    seen, faces = labels[rows, columns], label_faces(mesh)[fragments.face_ids.clamp(min=0)]
    return torch.where(fragments.mask, torch.where(seen >= 0, seen, faces), UNLABELED)


def _drop_ears_and_neck(mesh: Mesh, labels: Int[Tensor, "h w"], fragments: Fragments) -> Int[Tensor, "h w"]:
    """Labels of face and hair only, which are what an artwork's labels are of."""
    face = select_faces(mesh, FACE_REGIONS)[fragments.face_ids.clamp(min=0)]
    return torch.where(face | (labels == HAIR), labels, UNLABELED)


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


def _spread_points(mesh: Mesh, fragments: Fragments, generator: torch.Generator) -> Float[Tensor, "p 2"]:
    """Points all over the head, a third of them on eyes, brows and mouth: small, but what a person is known by."""
    features = fragments.mask & select_faces(mesh, _FEATURE_REGIONS)[fragments.face_ids.clamp(min=0)]
    points = [sample_points(fragments.mask, _VIEW_POINTS * 2 // 3, generator)]
    if features.any():
        points.append(sample_points(features, _VIEW_POINTS // 3, generator))
    return torch.cat(points)
