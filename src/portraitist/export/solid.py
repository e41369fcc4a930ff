"""A head with all that lies over it as one closed body, as printers need it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int, UInt8
from manifold3d import Error, Manifold
from manifold3d import Mesh as ManifoldMesh

from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import InputError
from portraitist.mesh.closing import close_openings
from portraitist.mesh.grid_lines import Crossings, cut_grid
from portraitist.mesh.laplacian import factor_symmetric, triangle_areas, vertex_normals
from portraitist.mesh.marching_cubes import march_cubes
from portraitist.mesh.subdivision import subdivide_mesh
from portraitist.rendering.layers import list_parts
from portraitist.rendering.ray_casting import cast_rays
from portraitist.rendering.sampling import sample_mipmapped
from portraitist.types import REGIONS, Head, Image, Mesh

CELL_MM = 0.25  # side of a grid cell: half the line of a common printer, and as fine as its layers
MOST_CELLS = 400  # along the longest side: larger prints get larger cells, or the grid would not fit into memory
MARGIN = 2  # cells beyond the radius of the largest ball, so that all of the outside is one piece
FACET = 2  # cells: triangles with longer edges are subdivided, or the print would show them
BALLS = ((0.015, 0.01), (0.04, 0.05))
"""Radius of a ball, and how deep what lies behind where it gets is kept, as shares of the height. The first closes
slits and keeps the creases of lips and lids; the second fills hollows under hair and keeps ears and open mouths."""

WALL = 0.87  # cosine: sides that are parallel within 30 degrees are those of a wall, others meet in an edge
SHORTEST = 0.05  # share of a cell's edge that a vertex stays away from its ends, so that no triangle is a needle


@dataclass(frozen=True)
class _Met:
    """Which triangle of all that was joined is at each vertex, -1 for none, and the weights of its corners there."""

    face: Int[np.ndarray, "n"]
    weights: Float[np.ndarray, "n 3"]


@dataclass(frozen=True)
class Solid:
    """One closed body for printing, standing on z = 0, the face towards -y; every edge has two triangles.

    ``vertices``: millimeters. ``faces``: turned outwards. ``colors``: sRGB, 8 bits, of each vertex.
    ``regions``: which of `REGIONS` is at each vertex, -1 for none (filled slits, the cut through the neck).
    ``thickness_mm``: how far it is from each vertex through the body to its other side, infinite where the two sides
    are no wall but meet in an edge.
    ``lost_mm3``: volume of loose pieces that were left out.
    """

    vertices: Float[np.ndarray, "n 3"]
    faces: Int[np.ndarray, "f 3"]
    colors: UInt8[np.ndarray, "n 3"]
    regions: Int[np.ndarray, "n"]
    thickness_mm: Float[np.ndarray, "n"]
    lost_mm3: float


def build_solid(head: Head, height_mm: float = 100.0, flat_base: bool = False) -> Solid:
    """``head`` with its expression and its layers as one watertight body ``height_mm`` high, hair included.

    All pieces are united; what they enclose (behind the eyes, the mouth where it is shut) is filled, and so is what
    lies deep behind narrow openings, such as a hollow under hair. The neck is closed plainly, or with ``flat_base``
    drawn down to the lowest point, so that the body stands by itself. Details are resolved to a quarter of a
    millimeter, in prints higher than 10 cm to 1/400 of the longest side. Raises InputError for a height that is not
    positive and finite, or a head with such vertices.
    """
    parts = list_parts(head)
    corners = np.concatenate([turn_upright(mesh) for mesh, _ in parts])
    extent = corners.max(0) - corners.min(0)
    if not (np.isfinite(corners).all() and 0 < height_mm < np.inf and extent[2] > 0):
        raise InputError(f"A print needs a head of finite size and a height above 0 mm, but that is {height_mm} mm.")
    cell = max(CELL_MM / height_mm * extent[2], extent.max() / MOST_CELLS)
    parts = [(_subdivide_to(mesh, FACET * cell), texture) for mesh, texture in parts]
    vertices, faces, sources = _join_closed(parts, flat_base)
    balls = [[max(round(share * extent[2] / cell), 1) for share in ball] for ball in BALLS]
    margin = MARGIN + max(radius for radius, _ in balls)
    placed = (vertices - vertices.min(0)) / cell + margin + 0.5
    nx, ny, nz = (int(n) for n in np.ceil(placed.max(0)) + margin)
    inside, crossings = cut_grid(placed, faces, (nx, ny, nz))
    body, lost = _keep_largest(_fill(inside, balls))
    points, met, triangles = _find_surface(body, crossings)
    colors, regions = _look_up(parts, sources, met, cell)
    points = _relax(points, triangles, met.face >= 0)
    colors = _relax(colors, triangles, regions >= 0)
    cell_mm = height_mm / np.ptp(points[:, 2])
    points *= cell_mm
    points -= [*(points.min(0) + points.max(0))[:2] / 2, points[:, 2].min()]
    _check(points, triangles)
    thickness = _measure_thickness(points, triangles)
    bytes_ = (colors.clip(0, 1) * 255).round().astype(np.uint8)
    return Solid(points.astype(np.float32), triangles, bytes_, regions, thickness, float(lost * cell_mm**3))


def turn_upright(mesh: Mesh) -> Float[np.ndarray, "n 3"]:
    """Vertices as printers have them: z up, the face towards -y; meters."""
    return to_numpy(mesh.vertices, np.float64)[:, [0, 2, 1]] * [1, -1, 1]


def _subdivide_to(mesh: Mesh, length: float) -> Mesh:
    """Smooth, with edges no longer than ``length`` (meters) on average."""
    while (mesh.vertices[mesh.faces] - mesh.vertices[mesh.faces.roll(1, 1)]).norm(dim=2).mean() > length:
        mesh, _ = subdivide_mesh(mesh)
    return mesh


def _join_closed(
    parts: list[tuple[Mesh, Image]], flat_base: bool
) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "f 3"], Int[np.ndarray, "f 2"]]:
    """All parts in one, closed, z up; of each triangle the part and its face there, -1 for what closes an opening."""
    turned = [turn_upright(mesh) for mesh, _ in parts]
    floor = min(part[:, 2].min() for part in turned) if flat_base else None
    vertices, faces, sources, count = [], [], [], 0
    for number, (points, (mesh, _)) in enumerate(zip(turned, parts, strict=True)):
        own = to_numpy(mesh.faces)
        points, closed = close_openings(points, own, floor if number == 0 else None)
        face_ids = np.concatenate([np.arange(len(own)), np.full(len(closed) - len(own), -1)])
        vertices.append(points)
        faces.append(closed + count)
        sources.append(np.stack([np.full(len(closed), number), face_ids], 1))
        count += len(points)
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(sources)


def _fill(inside: Bool[np.ndarray, "nx ny nz"], balls: list[list[int]]) -> Bool[np.ndarray, "nx ny nz"]:
    """With all that the balls of `BALLS` leave, one after the other. All in cells."""
    outside = ~inside
    for radius, depth in balls:
        wide = ndi.binary_erosion(outside, iterations=radius, border_value=1)
        pieces = _number_pieces(wide)
        reached = pieces == pieces[0, 0, 0]
        outside = np.asarray(ndi.binary_dilation(reached, iterations=radius + depth, mask=outside))
    return np.logical_not(outside)


def _keep_largest(body: Bool[np.ndarray, "nx ny nz"]) -> tuple[Bool[np.ndarray, "nx ny nz"], int]:
    """The largest piece alone, and how many nodes the others had."""
    pieces = _number_pieces(body)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return pieces == sizes.argmax(), int(sizes.sum() - sizes.max())


def _number_pieces(nodes: Bool[np.ndarray, "nx ny nz"]) -> Int[np.ndarray, "nx ny nz"]:
    """Of what is connected along the axes, from 1; 0 elsewhere."""
    pieces = np.zeros(nodes.shape, np.int32)
    ndi.label(nodes, output=pieces)
    return pieces


def _find_surface(
    body: Bool[np.ndarray, "nx ny nz"], crossings: list[Crossings]
) -> tuple[Float[np.ndarray, "n 3"], _Met, Int[np.ndarray, "f 3"]]:
    """Vertices in units of the grid, what of the head is there, and triangles."""
    edges, triangles, spokes = march_cubes(body)
    points, faces, weights = [], [], []
    for axis, (own, crossed) in enumerate(zip(edges, crossings, strict=True)):
        place = np.searchsorted(crossed.edge, own).clip(max=len(crossed.edge) - 1)
        met = crossed.edge[place] == own
        point = np.stack(np.unravel_index(own, body.shape), 1).astype(np.float64)
        point[:, axis] += np.where(met, crossed.share[place].clip(SHORTEST, 1 - SHORTEST), 0.5)
        points.append(point)
        faces.append(np.where(met, crossed.face[place], -1))
        weights.append(crossed.weights[place])
    rim = np.concatenate(points)
    middles = np.zeros((triangles.max() + 1 - len(rim), 3))
    np.add.at(middles, spokes[:, 0] - len(rim), rim[spokes[:, 1]])
    middles /= np.bincount(spokes[:, 0] - len(rim), minlength=len(middles))[:, None]
    none = np.full(len(middles), -1)
    met = _Met(np.concatenate([*faces, none]), np.concatenate([*weights, np.zeros((len(middles), 3))]))
    return np.concatenate([rim, middles]), met, triangles


def _look_up(
    parts: list[tuple[Mesh, Image]], sources: Int[np.ndarray, "f 2"], met: _Met, cell: float
) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "n"]]:
    """Color 0..1 and region of each vertex; -1 where it is on no part. ``cell``: meters."""
    part_ids, face_ids = sources[met.face].T
    face_ids = np.where(met.face >= 0, face_ids, -1)
    colors, regions = np.zeros((len(met.face), 3)), np.full(len(met.face), -1)
    for number, (mesh, texture) in enumerate(parts):
        (here,) = np.nonzero((part_ids == number) & (face_ids >= 0))
        faces = from_numpy(face_ids[here], mesh.faces)
        weights = from_numpy(met.weights[here], mesh.vertices)
        corners, uvs = mesh.vertices[mesh.faces], mesh.uvs[mesh.uv_faces]
        density = _double_areas(uvs) / _double_areas(corners).clamp(min=1e-12)  # no division by zero
        footprints = density.sqrt()[faces] * cell * texture.shape[-1]
        uv = (weights[..., None] * uvs[faces]).sum(1)
        colors[here] = to_numpy(sample_mipmapped(texture, uv, footprints)).T
        regions[here] = to_numpy(mesh.regions)[face_ids[here]]
    return colors, regions


def _double_areas(triangles: Float[torch.Tensor, "f 3 d"]) -> Float[torch.Tensor, "f"]:
    """Twice the area of triangles in the plane or in space."""
    a, b = (triangles[:, corner] - triangles[:, 0] for corner in (1, 2))
    return ((a * a).sum(1) * (b * b).sum(1) - (a * b).sum(1) ** 2).clamp(min=0).sqrt()


def _relax(
    values: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"], known: Bool[np.ndarray, "n"]
) -> Float[np.ndarray, "n 3"]:
    """Each value that is not known becomes the mean of its neighbors'."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])  # every edge comes both ways
    pairs = pairs[~known[pairs[:, 0]]]
    if not len(pairs):
        return values
    (free,) = np.nonzero(~known)
    links = sp.csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(known), len(known)))[free]
    system = sp.diags(np.asarray(links.sum(1)).ravel()) - links[:, free]
    solved = values.copy()
    solved[free] = factor_symmetric(system).solve(links[:, known] @ values[known])
    return solved


def _check(points: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]) -> None:
    body = Manifold(ManifoldMesh(points.astype(np.float32), faces.astype(np.uint32)))
    if body.status() != Error.NoError:
        raise InputError(f"This head makes no closed body ({body.status().name}). Print it without its layers.")


def _measure_thickness(points: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "n"]:
    """How far it is from each vertex along its normal to where the body ends; infinite where no wall is."""
    inwards = -vertex_normals(points, faces)
    start = CELL_MM / 100  # past the surface it starts on
    hit, _, distances = cast_rays(points[faces], points + start * inwards, inwards)
    corners = points[faces[hit]]
    sides = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    parallel = (sides * inwards).sum(1) > WALL * np.linalg.norm(sides, axis=1)
    return np.where((hit >= 0) & parallel, distances + start, np.inf)


def describe_doubts(solid: Solid, width_mm: float = 0.8) -> tuple[str, ...]:
    """What may go wrong in print, for the user: parts thinner than ``width_mm`` and pieces that were left out.

    A part is named when at least ``width_mm`` squared of its surface is thinner; the thickness told is that of the
    thinnest piece of this size.
    """
    corners = solid.vertices[solid.faces].astype(np.float64)
    area = np.bincount(solid.faces.ravel(), np.repeat(triangle_areas(corners) / 3, 3), len(solid.vertices))
    thin = []
    for region in np.unique(solid.regions[solid.regions >= 0]):
        (here,) = np.nonzero((solid.regions == region) & (solid.thickness_mm < width_mm))
        by_thickness = here[np.argsort(solid.thickness_mm[here])]
        place = np.searchsorted(np.cumsum(area[by_thickness]), width_mm**2)
        if place < len(here):
            thin.append(f"{REGIONS[region]} ({solid.thickness_mm[by_thickness[place]]:.1f} mm)")
    doubts = []
    if thin:
        doubts.append(f"Thinner than {width_mm:g} mm in print: {', '.join(thin)}. They may break; print it larger.")
    if solid.lost_mm3 > width_mm**3:
        doubts.append(f"Loose pieces of {solid.lost_mm3:.0f} mm3 that touch nothing were left out of the print.")
    return tuple(doubts)
