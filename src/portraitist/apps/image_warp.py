"""A photo that moves with the head in it: every pixel of the stylized picture, and where in the photo it comes from.

The head goes from its own shape to the stylized one in small steps. In each step the skin that is seen, and the scalp
under hair, pull a smooth field along, which is at rest at the border of the picture. No single step is large enough to
fold, and maps that do not fold do not fold one after the other: the way to a diffeomorphism of Christensen, Rabbitt and
Miller ("Deformable templates using large deformation kinematics", 1996), with a head in the place of a template.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import ScreenedPoisson, difference_matrix
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import sample_mipmapped
from portraitist.rendering.shader_math import smoothstep
from portraitist.segmentation.parts import select_faces
from portraitist.types import Camera, Fragments, LandmarkEmbedding, Mesh

CELLS = 160  # of the grid along the longer side
STEPS = 8  # the strongest caricatures shrink a place to less than a third (geometry/foldover.py): by a seventh each
HELD = 1e6  # weight of what is met exactly, against 1 of a node that shows skin
SAME_DEPTH = 0.006  # meters: what lies deeper than that behind the surface is hidden
FOLLOWING_REGIONS = ("skin", "lips", "eyelids", "brows", "nose", "ears", "scalp")
FADING = 0.25  # of the face's diagonal: from there to the border of the picture the head pulls ever less


@dataclass(frozen=True)
class MovingHead:
    """A head ``before`` and ``after``, with the same faces, and the points that have to be met.

    Without its layers: hair that the border of the picture cuts off could not move along with its own surface.
    """

    before: Mesh
    after: Mesh
    landmarks: LandmarkEmbedding

    def at(self, share: float) -> Mesh:
        """On the way: 0 is before, 1 is after."""
        return self.before.with_vertices(torch.lerp(self.before.vertices, self.after.vertices, share))


@dataclass(frozen=True)
class PictureWarp:
    """Where each place of the warped picture comes from. ``fields`` [s, 2, m, n]: of each step, last one first, how far
    back (x, y) the nodes of a grid go; ``cell_px`` apart, the first at the picture's corner. ``size``: (height, width).
    """

    fields: Float[Tensor, "s 2 m n"]
    cell_px: float
    size: tuple[int, int]

    def trace_back(self, points_px: Float[Tensor, "k 2"]) -> Float[Tensor, "k 2"]:
        """From places (x, y) of the warped picture to those of the photo, in pixels."""
        far = points_px.new_tensor([self.size[1], self.size[0]])
        nodes = points_px.new_tensor([self.fields.shape[3] - 1, self.fields.shape[2] - 1])
        for field in self.fields:
            grid = points_px / self.cell_px / nodes * 2 - 1
            moved = F.grid_sample(field[None], grid[None, None], padding_mode="border", align_corners=True)
            points_px = (points_px + moved[0, :, 0].T).clamp(min=0).minimum(far)
        return points_px

    @functools.cached_property
    def places(self) -> Float[Tensor, "2 h w"]:
        """`trace_back` of every pixel's center."""
        rows, columns = (torch.arange(side, device=self.fields.device) + 0.5 for side in self.size)
        points = torch.stack([x.flatten() for x in torch.meshgrid(columns, rows, indexing="xy")], 1)
        return self.trace_back(points).T.reshape(2, *self.size)

    @functools.cached_property
    def areas(self) -> Float[Tensor, "h w"]:
        """Pixels of the photo to a pixel of the warped picture: the determinant of the map's Jacobian. Negative where
        it folds."""
        across, down = (torch.stack([_differences(x, axis) for x in self.places]) for axis in (1, 0))
        return across[0] * down[1] - across[1] * down[0]

    def apply(self, image: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
        """The picture, or several masks of its size, warped: means over the area that a pixel comes from."""
        if not self.fields.any():
            return image
        places = self.places.flatten(1).T
        height, width = self.size
        footprints = self.areas.clamp(min=0).sqrt().flatten()
        colors = sample_mipmapped(image, places / places.new_tensor([width, height]), footprints)
        return colors.view(len(image), height, width)


def warp_with_head(head: MovingHead, camera: Camera, size: tuple[int, int], free: Sequence[str] = ()) -> PictureWarp:
    """The warp of a picture of ``size`` (height, width) that ``camera`` took of the head.

    Landmarks that are seen before and after are met exactly, the skin nearly. Hair, clothes and background follow as
    smoothly as they can, and fade over the size of the face. ``free``: names of regions that pull nothing,
    since what they show is replaced.
    """
    cell = max(size) / CELLS
    shape = (int(np.ceil(size[0] / cell - 1e-6)) + 1, int(np.ceil(size[1] / cell - 1e-6)) + 1)
    fields = np.zeros((STEPS, 2, *shape), np.float32)
    moves = bool((head.before.vertices != head.after.vertices).any())
    landmarks = _leave_out(head.landmarks, head.before, free)
    for step in range(STEPS if moves else 0):
        before, after = (head.at(share / STEPS) for share in (step, step + 1))
        fields[STEPS - 1 - step] = _solve_step(before, after, landmarks, camera, cell, shape, size, free)
    return PictureWarp(from_numpy(fields, head.before.vertices), cell, size)


def _solve_step(
    before: Mesh,
    after: Mesh,
    landmarks: LandmarkEmbedding,
    camera: Camera,
    cell: float,
    shape: tuple[int, int],
    size: tuple[int, int],
    free: Sequence[str],
) -> Float[np.ndarray, "2 m n"]:
    """How far back the nodes go in one step: the field of least bending among those that meet the data."""
    # 1. What is known at nodes. Their grid is a picture whose pixel centers they are.
    view = camera.resized(1 / cell, shape)
    view = replace(view, center_px=(view.center_px[0] + 0.5, view.center_px[1] + 0.5))
    seen, depths = rasterize(after, view), _measure_depths(before, rasterize(before, view), view)
    pulls = tuple(name for name in FOLLOWING_REGIONS if name not in free)
    follows = seen.show(select_faces(after, pulls))
    came_from = LandmarkEmbedding(seen.face_ids[follows], seen.barycentrics[follows])
    came_from = came_from.positions(before.vertices, before.faces)
    visible = to_numpy(_is_visible(came_from, depths, view))
    rows, columns = (x[visible] for x in to_numpy(follows).nonzero())
    there = to_numpy(view.project(came_from), np.float64)[visible] - 0.5
    reach, away = _measure_face(after, landmarks, view), _measure_margin(shape, size, cell)
    fading = smoothstep(away, 0.0, FADING * reach)[..., None]
    known, back = np.zeros(shape), np.zeros((*shape, 2))
    known[rows, columns], back[rows, columns] = 1, cell * (there - np.stack([columns, rows], 1))

    # 2. What is held: landmarks, and the picture's border.
    at_landmarks, moved = _place_landmarks(before, after, landmarks, view, depths, seen, shape)
    rest = reach**-4.0  # in fields of least bending: draws to rest over the size of the face
    screen = np.where(away <= 0, HELD, known + rest)
    data = fading * back * (known / screen)[..., None]

    # 3. Least bending.
    laplacian = _grid_laplacian(shape)
    system = ScreenedPoisson.factorize(laplacian.T @ laplacian, screen.ravel(), HELD * at_landmarks.T @ at_landmarks)
    solved = system.solve(data.reshape(-1, 2), HELD * at_landmarks.T @ (cell * moved))
    return solved.T.reshape(2, *shape).astype(np.float32)


def _place_landmarks(
    before: Mesh,
    after: Mesh,
    landmarks: LandmarkEmbedding,
    view: Camera,
    depths: Float[Tensor, "m n"],
    seen: Fragments,
    shape: tuple[int, int],
) -> tuple[sp.csr_matrix, Float[np.ndarray, "k 2"]]:
    """Bilinear rows of those landmarks that are seen in both pictures, and how far back they go, in cells."""
    places = [landmarks.positions(mesh.vertices, mesh.faces) for mesh in (before, after)]
    visible = _is_visible(places[0], depths, view) & _is_visible(places[1], _measure_depths(after, seen, view), view)
    then, now = (to_numpy(view.project(x)[visible], np.float64) - 0.5 for x in places)
    inside = ((now > 0) & (now < np.array(shape[::-1]) - 1)).all(1)
    then, now = then[inside], now[inside]
    low = np.floor(now).astype(int)
    share = now - low
    rows = np.repeat(np.arange(len(now)), 4)
    columns, weights = [], []
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        columns.append((low[:, 1] + dy) * shape[1] + low[:, 0] + dx)
        weights.append(np.abs(1 - dx - share[:, 0]) * np.abs(1 - dy - share[:, 1]))
    entries = (np.stack(weights, 1).ravel(), (rows, np.stack(columns, 1).ravel()))
    return sp.csr_matrix(entries, (len(now), shape[0] * shape[1])), then - now


def _leave_out(landmarks: LandmarkEmbedding, mesh: Mesh, free: Sequence[str]) -> LandmarkEmbedding:
    """The landmarks that are not on one of the regions."""
    bound = ~select_faces(mesh, tuple(free))[landmarks.face_ids]
    return LandmarkEmbedding(landmarks.face_ids[bound], landmarks.barycentrics[bound])


def _measure_depths(mesh: Mesh, seen: Fragments, view: Camera) -> Float[Tensor, "m n"]:
    """Of the surface in each pixel, meters; far away where there is none."""
    depths = torch.full_like(seen.uv_footprint, -torch.inf)
    shown = LandmarkEmbedding(seen.face_ids[seen.mask], seen.barycentrics[seen.mask])
    depths[seen.mask] = view.depth(shown.positions(mesh.vertices, mesh.faces))
    return depths


def _is_visible(places: Float[Tensor, "k 3"], depths: Float[Tensor, "m n"], view: Camera) -> Bool[Tensor, "k"]:
    """Whether no surface of a view lies clearly before points in head space."""
    columns, rows = view.project(places).floor().long().unbind(1)
    height, width = depths.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    nearest = depths[rows.clamp(0, height - 1), columns.clamp(0, width - 1)]
    return inside & (view.depth(places) > nearest - SAME_DEPTH)


def _measure_margin(shape: tuple[int, int], size: tuple[int, int], cell: float) -> Float[np.ndarray, "m n"]:
    """Distance of each node from the picture's border, in cells; 0 in the cells that the border runs through."""
    margins = []
    for count, side in zip(shape, size, strict=True):
        places = np.arange(count)
        far = side / cell - places
        margins.append(np.minimum(places, np.where(far < 0.999, 0, far)))
    return np.minimum(margins[0][:, None], margins[1])


def _measure_face(mesh: Mesh, landmarks: LandmarkEmbedding, view: Camera) -> float:
    """Diagonal of the box around the landmarks, in cells."""
    places = view.project(landmarks.positions(mesh.vertices, mesh.faces))
    return float((places.amax(0) - places.amin(0)).norm())


def _grid_laplacian(shape: tuple[int, int]) -> sp.csr_matrix:
    """Of a grid with spacing 1; rows sum to 0, nothing is asked across the border."""
    along = []
    for count in shape:
        steps = np.stack([np.arange(1, count), np.arange(count - 1)], 1)
        differences = difference_matrix(steps, count)
        along.append(differences.T @ differences)
    down, across = along
    return sp.csr_matrix(sp.kron(down, sp.eye(shape[1])) + sp.kron(sp.eye(shape[0]), across))


def _differences(values: Float[Tensor, "h w"], axis: int) -> Float[Tensor, "h w"]:
    """Central ones; one-sided at the border."""
    return torch.gradient(values, dim=axis)[0]
