"""What the texture is compared with in each view: the content's features at random points of the object."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.errors import InputError
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.layers import rasterize_parts
from portraitist.rendering.sampling import shade
from portraitist.segmentation.parts import FACE_REGIONS, UNLABELED, is_one_of, select_faces
from portraitist.texture.exemplar import StyleSource, crop_exemplar
from portraitist.texture.labels import TexelLabels
from portraitist.texture.losses import sample_points, unit_rows
from portraitist.texture.objective import ContentPoints
from portraitist.texture.patches import PatchPlaces
from portraitist.types import Camera, Fragments, Image, Mesh
from portraitist.vgg import VGG, sample_hypercolumns

VIEW_POINTS = 1536  # points whose content features are kept per view
MAX_YAW_DEG = 30.0  # Sec. 5.1
MAX_PITCH_DEG = 20.0  # Sec. 5.1
WIDE_SHARE = 0.25  # of the steps that look from elsewhere
# Beyond the paper: who turns an object round must not find a photo-like back. (yaw_deg, pitch_deg)
WIDE_ANGLES_DEG = (
    (-80.0, 0.0),
    (80.0, 0.0),
    (-140.0, 15.0),
    (140.0, 15.0),
    (180.0, -20.0),
    (0.0, 70.0),
    (0.0, -65.0),
)


@dataclass(frozen=True)
class Painted:
    """A part of the object that is done, and seen together with the one that is painted: a face under its hair."""

    mesh: Mesh
    texture: Image
    labels: TexelLabels


@dataclass(frozen=True)
class Subject:
    """What is painted: geometry, the content texture, the one that the optimization starts from, labels, and what is
    ``around`` it."""

    mesh: Mesh
    content: Image
    start: Image
    labels: TexelLabels
    around: tuple[Painted, ...] = ()

    def observe(self, camera: Camera, background: Float[Tensor, "3"]) -> tuple[Fragments, Image]:
        """What a camera sees of the subject, and the picture of what is around it."""
        seen, *others = rasterize_parts([self.mesh, *(part.mesh for part in self.around)], camera)
        ground = background.to(self.content)[:, None, None].expand(3, *seen.mask.shape)
        for part, fragments in zip(self.around, others, strict=True):
            ground = shade(fragments, part.texture, ground)
        return seen, ground


@dataclass(frozen=True)
class CameraBank:
    """Cameras from which a texture is optimized. ``near``: the usual views, the first of them the front. ``wide``: from
    elsewhere, looked through less often; may be empty."""

    near: list[Camera]
    wide: list[Camera]

    def resized(self, size_px: int) -> CameraBank:
        """The same views on square pictures of another size."""
        near, wide = ([camera.resized(size_px / camera.size[1]) for camera in x] for x in (self.near, self.wide))
        return CameraBank(near, wide)


@dataclass(frozen=True)
class View:
    """What one camera sees, ``ground``, the picture of what is around it, and random points on the object."""

    fragments: Fragments
    ground: Image
    points: ContentPoints


@dataclass(frozen=True)
class ViewBank:
    """Views of all cameras. ``uv_per_px``: median footprint of the object's pixels in the first one."""

    near: list[View]
    wide: list[View]
    uv_per_px: float

    def draw(self, generator: torch.Generator) -> View:
        """A random view; if there are wide ones, one of them with probability `WIDE_SHARE`."""
        views = self.wide if torch.rand((), generator=generator) < WIDE_SHARE and self.wide else self.near
        return views[int(torch.randint(len(views), (), generator=generator))]


def place_cameras(
    mesh: Mesh, size_px: int, near_count: int, generator: torch.Generator, *, all_round: bool = True
) -> CameraBank:
    """The front and ``near_count`` - 1 random views within ±30° x ±20° (Sec. 5.1), and if ``all_round`` views from the
    sides, behind, above and below. Near cameras frame the face, or all of a mesh without one."""
    face = mesh.faces[select_faces(mesh, FACE_REGIONS)]
    framed = mesh.vertices[torch.unique(face if len(face) else mesh.faces)]
    near = [view_camera(framed, *angles, size_px) for angles in _draw_angles(near_count, generator)]
    return CameraBank(near, [view_camera(mesh.vertices, *angles, size_px) for angles in WIDE_ANGLES_DEG if all_round])


def precompute_views(
    subject: Subject, cameras: CameraBank, background: Float[Tensor, "3"], vgg: VGG, generator: torch.Generator
) -> ViewBank:
    """Rasterize the subject in every camera and keep the content's features there. Cameras that see nothing labeled are
    left out; raises InputError when no near one is left."""
    near, wide = (
        [(seen, ground) for seen, ground in observed if (subject.labels.look_up(seen)[0] >= 0).any()]
        for observed in ([subject.observe(camera, background) for camera in x] for x in (cameras.near, cameras.wide))
    )
    if not near:
        raise InputError("No near camera sees a labeled texel of the mesh. Point one at it; see place_cameras.")
    return ViewBank(
        [precompute_view(subject, *observed, vgg, generator) for observed in near],
        [precompute_view(subject, *observed, vgg, generator) for observed in wide],
        measure_footprint(subject.labels, near[0][0]),
    )


def precompute_view(
    subject: Subject, fragments: Fragments, ground: Image, vgg: VGG, generator: torch.Generator
) -> View:
    """What one camera sees of the subject before optimization."""
    labels, shown = subject.labels.look_up(fragments)
    places = spread_points(labels, subject.labels.roles.detailed, generator)
    columns, rows = places.long().unbind(1)
    labels, shown = labels[rows, columns], shown[rows, columns]
    units = unit_rows(sample_hypercolumns(vgg(shade(fragments, subject.content, ground)), places))
    held = (shown & is_one_of(labels, subject.labels.roles.content)).to(units)
    return View(fragments, ground, ContentPoints(places, labels, shown, units, units, held))


def render_front_view(mesh: Mesh, texture: Image, labels: TexelLabels, around: tuple[Painted, ...] = ()) -> StyleSource:
    """The object from the front as if it were an artwork: what artworks show of it, every part as large as one sees it.

    In the texture itself, neck and ears and the sides of a face would count for more than they do in a picture.
    """
    parts = [Painted(mesh, texture, labels), *around]
    camera = view_camera(torch.cat([part.mesh.vertices for part in parts]), 0.0, 0.0, texture.shape[-1])
    picture = texture.new_zeros(3, *camera.size)
    seen = torch.full(camera.size, UNLABELED, device=texture.device)
    for part, fragments in zip(parts, rasterize_parts([part.mesh for part in parts], camera), strict=True):
        picture = shade(fragments, part.texture, picture)
        own, shown = part.labels.look_up(fragments)
        seen = torch.where(shown, own, seen)
    return crop_exemplar(picture, seen, labels.roles)


def find_patch_places(labels: TexelLabels, fragments: Fragments, *, shown_only: bool) -> PatchPlaces:
    """Where patches are compared in a view; ``shown_only``: only where artworks show such a place."""
    seen, shown = labels.look_up(fragments)
    compared = is_one_of(seen, labels.roles.patches) & (shown | (not shown_only))
    return PatchPlaces.make(torch.where(compared, seen, UNLABELED), labels.roles.count, fragments.mask)


def measure_footprint(labels: TexelLabels, front: Fragments) -> float:
    """Median footprint in UV of the pixels that show what artworks show, without secondary labels. A texel where none
    has an area in the layout: of a layer that is seen edge-on, the rim has not."""
    seen, shown = labels.look_up(front)
    main = shown & ~is_one_of(seen, labels.roles.secondary)
    footprints = front.uv_footprint[main if main.any() else front.mask]
    footprints = footprints[footprints > 0]
    return footprints.median().item() if len(footprints) else 1 / labels.map.shape[-1]


def _draw_angles(count: int, generator: torch.Generator) -> list[tuple[float, float]]:
    """The front and ``count`` - 1 random (yaw_deg, pitch_deg), spread evenly: one per row and column of a grid."""
    cells = torch.arange(count - 1)
    angles = [(0.0, 0.0)]
    if count > 1:
        jitter = torch.rand(2, count - 1, generator=generator)
        order = torch.randperm(count - 1, generator=generator)
        yaw, pitch = (torch.stack([cells, cells[order]]) + jitter) / (count - 1) * 2 - 1
        angles += list(zip((yaw * MAX_YAW_DEG).tolist(), (pitch * MAX_PITCH_DEG).tolist(), strict=True))
    return angles


def spread_points(
    labels: Int[Tensor, "h w"], detailed: tuple[int, ...], generator: torch.Generator
) -> Float[Tensor, "p 2"]:
    """Points all over the object, a third of them on detailed labels: small, but what a person is known by."""
    small = is_one_of(labels, detailed)
    points = [sample_points(labels >= 0, VIEW_POINTS * 2 // 3, generator)]
    if small.any():
        points.append(sample_points(small, VIEW_POINTS // 3, generator))
    return torch.cat(points)
