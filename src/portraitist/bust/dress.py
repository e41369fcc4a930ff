"""Clothes over a body: as far out as the photo's outline, as smooth as they can be between, up to the neckline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from portraitist.bust.body import find_outline, look_up, project
from portraitist.bust.torso_model import TorsoModel, grid_faces
from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import cotangent_laplacian, factor_symmetric, vertex_normals
from portraitist.rendering.ray_casting import is_occluded
from portraitist.rendering.shader_math import mix, smoothstep
from portraitist.types import REGIONS, HeadFit, Mesh

DECIMETER = 0.1  # meters: lengths of order one keep the systems well conditioned
SMOOTH = 0.5  # decimeters within which the thickness of clothes is smooth
CERTAINTY = 5.0  # of the photo's outline against smoothness over that length
USUAL = 0.3  # weight of the usual thickness where nothing is known
BROAD = 6  # rows and columns over which the direction is smooth in which clothes thicken
THIN = 0.004  # meters: of cloth on skin
COLLAR = 0.01  # meters more at the foot of a neck, where collars stand off
UNDER_SKIN = 0.003  # meters by which what no cloth covers lies below the skin
REACH = 0.3  # decimeters from what is seen at which a neckline's usual height counts as much
USUAL_HEIGHT = 0.012  # meters above the ring to which clothes usually reach, where nobody sees
STEP = 0.004  # meters before the surface at which rays start


@dataclass(frozen=True, eq=False)
class Bust:
    """``places``: the rows of the surface, meters in head space. ``dressed``: how likely cloth lies there, 0..1.
    ``ring``: the head's own lower end, which is row ``ring_row`` where no cloth covers it."""

    places: Float[np.ndarray, "r c 3"]
    dressed: Float[np.ndarray, "r c"]
    ring: Float[np.ndarray, "c 3"]
    ring_row: int


def dress_body(
    body: Float[np.ndarray, "r c 3"],
    person: Float[np.ndarray, "h w"],
    cloth: Float[np.ndarray, "h w"],
    bare: Float[np.ndarray, "h w"],
    fit: HeadFit,
    torso: TorsoModel,
) -> Bust:
    """Surface of all that is not the head. ``cloth``, ``bare``: how much of each pixel is clothes, and skin."""
    faces = grid_faces(*body.shape[:2])
    normals = vertex_normals(body.reshape(-1, 3), faces).reshape(body.shape).astype(np.float64)
    laplacian, areas = cotangent_laplacian(body.reshape(-1, 3) / DECIMETER, faces)
    seen = find_seen(body, normals, fit)
    pixels = project(body, fit.camera)
    shown = [look_up(image, pixels) for image in (cloth, bare)]
    dressed = _continue_neckline(body, shown, seen, pixels, fit, laplacian, areas, torso)
    outline = find_outline(body, person, np.maximum(cloth, bare), fit.camera)
    known = CERTAINTY * outline.weights
    ring = torso.ring_row
    known[: ring + 1] = 0  # beside a neck the outline is that of shoulders
    usual = THIN * dressed
    roughness = SMOOTH**4 * (laplacian @ sp.diags(1 / areas) @ laplacian)
    screen = areas * (known + USUAL).ravel()
    data = areas * (known * outline.moves + USUAL * usual).ravel()
    offsets = factor_symmetric(roughness + sp.diags(screen)).solve(data).reshape(dressed.shape)
    offsets = np.maximum(offsets, THIN * dressed)
    collar = THIN + COLLAR * np.arange(ring + 1)[:, None] / ring
    offsets[: ring + 1] = np.minimum(offsets[: ring + 1], collar)
    # On the neck the skin itself is seen where no cloth is; the surface is below it there, and begins at the ring.
    below = np.full(ring + 1, UNDER_SKIN)
    below[-1] = 0.0
    offsets[: ring + 1] = mix(-below[:, None], offsets[: ring + 1], smoothstep(dressed[: ring + 1], 0.35, 0.65))
    offsets[0] = -UNDER_SKIN
    # Thick clothes do not repeat the forms of the body.
    smooth = gaussian_filter(body, (BROAD, BROAD, 0), mode=("nearest", "wrap", "nearest"))
    broad = vertex_normals(smooth.reshape(-1, 3), faces).reshape(body.shape)
    fade = np.clip((np.arange(len(body)) - ring) / BROAD, 0, 1)[:, None, None]
    outwards = mix(normals, broad, fade)
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    outwards[-1] *= [1, 0, 1]
    return Bust(body + offsets[..., None] * outwards, dressed, body[ring], ring)


def find_seen(
    places: Float[np.ndarray, "r c 3"], normals: Float[np.ndarray, "r c 3"], fit: HeadFit
) -> Float[np.ndarray, "r c"]:
    """Cosine to the line of sight of points that neither head nor body hides from the camera; 0 of others."""
    view = to_numpy(fit.camera.rotation, np.float64)[2]
    facing = (normals @ view).clip(0, 1)
    vertices = to_numpy(fit.mesh.vertices, np.float64)[to_numpy(fit.mesh.faces)]
    own = places.reshape(-1, 3)[grid_faces(*places.shape[:2])]
    starts = (places + STEP * view).reshape(-1, 3)
    hidden = is_occluded(np.concatenate([vertices, own]), starts, np.broadcast_to(view, starts.shape))
    return facing * ~hidden.reshape(facing.shape)


def _continue_neckline(
    body: Float[np.ndarray, "r c 3"],
    shown: list[Float[np.ndarray, "r c"]],
    seen: Float[np.ndarray, "r c"],
    pixels: Float[np.ndarray, "r c 2"],
    fit: HeadFit,
    laplacian: sp.csr_matrix,
    areas: Float[np.ndarray, "k"],
    torso: TorsoModel,
) -> Float[np.ndarray, "r c"]:
    """How likely cloth covers each point: as seen, continued smoothly, and elsewhere as clothes usually do."""
    cloth, bare = shown
    above = body[..., 1] - body[torso.ring_row, :, 1]
    usual = (above < USUAL_HEIGHT).astype(float)
    height, width = fit.camera.size
    in_picture = ((pixels > 1) & (pixels < [width - 1, height - 1])).all(-1)
    weights = seen * in_picture * (cloth + bare)
    share = cloth / (cloth + bare).clip(1e-6)
    screen = areas * (CERTAINTY * weights.ravel() + 0.02)
    data = areas * (CERTAINTY * weights * share + 0.02 * usual).ravel()
    solved = factor_symmetric(REACH**2 * laplacian + sp.diags(screen)).solve(data)
    return solved.reshape(seen.shape).clip(0, 1)


def build_mesh(bust: Bust, fit: HeadFit) -> Mesh:
    """Closed mesh of a bust: above by a lid within the neck, below by a flat base. UVs u around from the back, v down.
    """
    rows, columns = bust.places.shape[:2]
    faces = grid_faces(rows, columns)
    vertices = np.concatenate([bust.places.reshape(-1, 3), bust.places[0].mean(0)[None], bust.places[-1].mean(0)[None]])
    around = np.arange(columns)
    top, low = np.full(columns, rows * columns), np.full(columns, rows * columns + 1)
    first, last = around, (rows - 1) * columns + around
    lid = np.stack([top, first, np.roll(first, -1)], 1)
    base = np.stack([low, np.roll(last, -1), last], 1)
    uvs, uv_faces = lay_out(rows, columns)
    reference = fit.mesh
    corners = from_numpy(np.concatenate([faces, lid, base]), reference.faces)
    return Mesh(
        vertices=from_numpy(vertices, reference.vertices),
        faces=corners,
        uvs=from_numpy(uvs, reference.uvs),
        uv_faces=from_numpy(uv_faces, reference.faces),
        regions=torch.full_like(corners[:, 0], REGIONS.index("bust")),
    )


def lay_out(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """UVs and their faces, in the order of `grid_faces`, lid and base; the back's column is there twice."""
    across = np.arange(columns + 1) / columns
    down = (np.arange(rows) + 0.5) / rows
    uvs = np.stack(np.broadcast_arrays(across, down[:, None]), -1).reshape(-1, 2)
    ids = np.arange(len(uvs)).reshape(rows, columns + 1)
    here, right, below, diagonal = ids[:-1, :-1], ids[:-1, 1:], ids[1:, :-1], ids[1:, 1:]
    halves = (np.stack(c, -1).reshape(-1, 3) for c in ((here, below, diagonal), (here, diagonal, right)))
    lid = np.stack([ids[0, :-1], ids[0, :-1], ids[0, 1:]], 1)
    base = np.stack([ids[-1, :-1], ids[-1, 1:], ids[-1, :-1]], 1)
    return uvs, np.concatenate([*halves, lid, base])
