"""What the texture is compared with: the artwork's face as style, views of the content texture as content."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from portraitist.texture.colours import decorrelate
from portraitist.texture.rendering import rasterize, shade, view_camera
from portraitist.texture.strotss import sample_points, unit_rows
from portraitist.texture.vgg import VGG, sample_hypercolumns
from portraitist.types import REGIONS, Camera, Fragments, Image, Mesh

FACE_REGIONS = ("skin", "lips", "eyelids", "brows", "nose", "eyeballs", "mouth_inside", "teeth", "tongue")
_FEATURE_REGIONS = ("lips", "eyelids", "brows", "eyeballs", "mouth_inside", "teeth")
_MAX_YAW_DEG, _MAX_PITCH_DEG = 30.0, 20.0
# Beyond the paper: who turns the head round must not find a photo-like back. (yaw_deg, pitch_deg)
_WIDE_VIEWS = ((-80.0, 0.0), (80.0, 0.0), (-140.0, 15.0), (140.0, 15.0), (180.0, -20.0), (0.0, 70.0), (0.0, -65.0))
_STYLE_POINTS, _VIEW_POINTS = 4096, 1536


@dataclass(frozen=True)
class Exemplar:
    """The artwork cut to its face. ``mask``: 1 inside the face. ``ground``: the face's mean colour; it stands in for
    all that lies outside, here and around the rendered heads, so that no background gets into a hypercolumn."""

    image: Image
    mask: Float[Tensor, "h w"]
    ground: Float[Tensor, "3"]


@dataclass(frozen=True)
class Style:
    """Hypercolumns sampled inside the artwork's face, as they are and divided by their lengths; and how rough the
    artwork is there, see `measure_roughness`."""

    hypercolumns: Float[Tensor, "n c"]
    units: Float[Tensor, "n c"]
    roughness: Float[Tensor, "6"]


@dataclass(frozen=True)
class View:
    """One camera of the bank: what it sees, and random points inside the head.

    Per point: ``in_face``, whether it lies on the face; ``content_units``, the content's hypercolumn divided by its
    length; ``start_colours``, the blurred colour before optimisation. ``face``: the pixels that show the face.
    """

    fragments: Fragments
    face: Bool[Tensor, "h w"]
    points_px: Float[Tensor, "p 2"]
    in_face: Bool[Tensor, "p"]
    content_units: Float[Tensor, "p c"]
    start_colours: Float[Tensor, "p 3"]


@dataclass(frozen=True)
class ViewBank:
    """All cameras of one scale. ``near``: the paper's range of angles, framing the face. ``wide``: all round, framing
    the head. ``face_px``: root of the face's area in the front view. ``uv_per_px``: median footprint of its pixels."""

    near: list[View]
    wide: list[View]
    face_px: float
    uv_per_px: float

    def draw(self, wide_share: float, generator: torch.Generator) -> View:
        """A random view; a wide one with probability ``wide_share``."""
        views = self.wide if torch.rand((), generator=generator) < wide_share else self.near
        return views[int(torch.randint(len(views), (), generator=generator))]


def cut_exemplar(art: Image, mask: Float[Tensor, "h w"]) -> Exemplar:
    """Crop the artwork to its face with an eighth of margin. Raises ValueError when the mask is empty.

    The mask loses a fortieth of the face's height along its edge, where fitted heads overlap hair and background.
    """
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    if not len(rows):
        raise ValueError("the artwork's face region is empty")
    height = int(rows.max() - rows.min()) + 1
    margin = height // 8 + 1
    box = (
        slice(max(int(rows.min()) - margin, 0), int(rows.max()) + margin),
        slice(max(int(columns.min()) - margin, 0), int(columns.max()) + margin),
    )
    image, inside = art[(slice(None), *box)], mask[box]
    border = 2 * (height // 40) + 1
    eroded = -F.max_pool2d(-F.pad(inside[None, None], [border // 2] * 4), border, stride=1)[0, 0]
    inside = eroded if eroded.any() else inside
    ground = (image * inside).sum((1, 2)) / inside.sum()
    return Exemplar(image * inside + ground[:, None, None] * (1 - inside), inside, ground)


def sample_style(exemplar: Exemplar, face_px: float, vgg: VGG, generator: torch.Generator) -> Style:
    """Hypercolumns inside the artwork's face, drawn as large as the face in the views (``face_px``).

    At equal size a brush stroke is as wide on the head as it is in the artwork. A small artwork is enlarged at most
    twice: beyond that there is nothing but blur to learn from.
    """
    factor = min(face_px / exemplar.mask.sum().sqrt().item(), 2.0)
    size = [max(round(side * factor), 32) for side in exemplar.mask.shape]
    image = F.interpolate(exemplar.image[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    inside = F.interpolate(exemplar.mask[None, None], size, mode="bilinear", antialias=True)[0, 0]
    inside = inside >= min(0.9, inside.amax().item())
    hypercolumns = sample_hypercolumns(vgg(image), sample_points(inside, _STYLE_POINTS, generator))
    return Style(hypercolumns, unit_rows(hypercolumns), measure_roughness(image, inside))


def make_view_bank(
    mesh: Mesh,
    content: Image,
    start: Image,
    ground: Float[Tensor, "3"],
    vgg: VGG,
    size_px: int,
    near_count: int,
    generator: torch.Generator,
) -> ViewBank:
    """The front, ``near_count`` - 1 random views within +-30 deg x +-20 deg, and the wide views."""
    in_face = select_faces(mesh, FACE_REGIONS)
    face_vertices = mesh.vertices[torch.unique(mesh.faces[in_face])]

    def look(camera: Camera) -> View:
        fragments = rasterize(mesh, camera)
        points = _spread_points(mesh, fragments, generator)
        columns, rows = points.long().unbind(1)
        content_maps = vgg(shade(fragments, content, ground))
        return View(
            fragments=fragments,
            face=fragments.mask & in_face[fragments.face_ids.clamp(min=0)],
            points_px=points,
            in_face=in_face[fragments.face_ids[rows, columns]],
            content_units=unit_rows(sample_hypercolumns(content_maps, points)),
            start_colours=sample_blurred(shade(fragments, start, ground), points),
        )

    near = [look(view_camera(face_vertices, *angles, size_px)) for angles in _draw_angles(near_count, generator)]
    wide = [look(view_camera(mesh.vertices, *angles, size_px)) for angles in _WIDE_VIEWS]
    front = near[0]
    return ViewBank(
        near=near,
        wide=wide,
        face_px=front.face.sum().sqrt().item(),
        uv_per_px=front.fragments.uv_footprint[front.face].median().item(),
    )


def _draw_angles(count: int, generator: torch.Generator) -> list[tuple[float, float]]:
    """The front and ``count`` - 1 random (yaw_deg, pitch_deg), spread evenly: one per row and one per column of a grid.
    New ones at every scale, so that texels between the rays of one bank are met by those of the next."""
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


def sample_blurred(image: Image, points_px: Float[Tensor, "p 2"]) -> Float[Tensor, "p 3"]:
    """Colours at the points of a picture blurred over a 24th of its width."""
    width = image.shape[-1] // 24 | 1
    blurred = F.avg_pool2d(image[None], width, stride=1, padding=width // 2, count_include_pad=False)[0]
    columns, rows = points_px.long().unbind(1)
    return blurred[:, rows, columns].T


def measure_roughness(image: Image, inside: Bool[Tensor, "h w"]) -> Float[Tensor, "6"]:
    """Mean absolute difference from the picture blurred over 3 and over 9 pixels, each for luminance and two hues."""
    colours = decorrelate(image.flatten(1).T).T.reshape(image.shape)
    bands = []
    for width in (3, 9):
        blurred = F.avg_pool2d(colours[None], width, stride=1, padding=width // 2, count_include_pad=False)[0]
        bands.append((colours - blurred)[:, inside].abs().mean(1))
    return torch.cat(bands)
