"""Clothes over a body: as far out as the photo's outline, as smooth as they can be between, up to the neckline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from portraitist.bust.body import PersonShares, find_outline, find_visible
from portraitist.bust.torso_model import TorsoModel
from portraitist.devices import to_numpy
from portraitist.mesh.grids import grid_faces, grid_normals
from portraitist.mesh.laplacian import cotangent_laplacian, factor_symmetric
from portraitist.rendering.cameras import project_places
from portraitist.rendering.sampling import look_up
from portraitist.rendering.shader_math import mix, smoothstep
from portraitist.types import HeadFit

DECIMETER = 0.1  # meters: lengths of order one keep the systems well conditioned
SMOOTH = 0.5  # decimeters within which the thickness of clothes is smooth
CERTAINTY = 5.0  # of what the photo shows against smoothness over that length
USUAL = 0.3  # weight of the usual thickness where nothing is known
BROAD = 6  # rows and columns over which the direction is smooth in which clothes thicken
THIN = 0.004  # meters: of cloth on skin
COLLAR = 0.01  # meters more at the foot of a neck, where collars stand off
UNDER_SKIN = 0.003  # meters by which what no cloth covers lies below the skin
REACH = 0.3  # decimeters within which a neckline is smooth
UNSEEN = 0.02  # weight of a neckline's usual height where nobody sees it
USUAL_HEIGHT = 0.012  # meters above the ring to which clothes usually reach
FEWEST_PIXELS = 0.02  # meters: side of the square of clothes from which on there are any
DRESSED = (0.35, 0.65)  # likelihood of cloth: skin, cloth


@dataclass(frozen=True, eq=False)
class Bust:
    """``places``: the rows of the surface, meters in head space. ``dressed``: how likely cloth lies there, 0..1.
    ``ring_row``: the row that is the lower end of the head's neck where no cloth covers it."""

    places: Float[np.ndarray, "r c 3"]
    dressed: Float[np.ndarray, "r c"]
    ring_row: int


def dress_body(body: Float[np.ndarray, "r c 3"], shares: PersonShares, fit: HeadFit, torso: TorsoModel) -> Bust:
    """Surface of all that is not the head: of clothes where there are any, else of the body."""
    ring, normals = torso.ring_row, grid_normals(body).astype(np.float64)
    laplacian, areas = cotangent_laplacian(body.reshape(-1, 3) / DECIMETER, grid_faces(*body.shape[:2]))
    dressed = _continue_neckline(body, normals, shares, fit, ring, laplacian, areas)

    # Thickness: what the outline says, smooth between.
    outline = find_outline(body, shares, fit.camera)
    known = CERTAINTY * outline.weights
    known[: ring + 1] = 0  # beside a neck the outline is that of shoulders
    roughness = SMOOTH**4 * (laplacian @ sp.diags(1 / areas) @ laplacian)
    screen = areas * (known + USUAL).ravel()
    data = areas * (known * outline.moves + USUAL * THIN * dressed).ravel()
    thickness = factor_symmetric(roughness + sp.diags(screen)).solve(data).reshape(dressed.shape)
    thickness = np.maximum(thickness, THIN * dressed)

    # On the neck the skin itself is seen where no cloth is; the surface is below it there, and begins at the ring.
    collar = np.minimum(thickness[: ring + 1], THIN + COLLAR * np.arange(ring + 1)[:, None] / ring)
    below = np.where(np.arange(ring + 1) < ring, UNDER_SKIN, 0.0)[:, None]
    thickness[: ring + 1] = mix(-below, collar, smoothstep(dressed[: ring + 1], *DRESSED))
    thickness[0] = -UNDER_SKIN
    return Bust(body + thickness[..., None] * _point_outwards(body, normals, ring), dressed, ring)


def _point_outwards(
    body: Float[np.ndarray, "r c 3"], normals: Float[np.ndarray, "r c 3"], ring: int
) -> Float[np.ndarray, "r c 3"]:
    """Along the neck's normals, and the smoother ones of the torso: thick clothes do not repeat its forms."""
    smooth = gaussian_filter1d(gaussian_filter1d(body, BROAD, axis=0, mode="nearest"), BROAD, axis=1, mode="wrap")
    fade = np.clip((np.arange(len(body)) - ring) / BROAD, 0, 1)[:, None, None]
    outwards = mix(normals, grid_normals(smooth), fade)
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    return outwards


def _continue_neckline(
    body: Float[np.ndarray, "r c 3"],
    normals: Float[np.ndarray, "r c 3"],
    shares: PersonShares,
    fit: HeadFit,
    ring: int,
    laplacian: sp.csr_matrix,
    areas: Float[np.ndarray, "k"],
) -> Float[np.ndarray, "r c"]:
    """How likely cloth covers each point: as seen, continued smoothly, and elsewhere as clothes usually do. A photo
    without clothes leaves shoulders bare."""
    if shares.cloth.sum() < (FEWEST_PIXELS * fit.camera.scale_px) ** 2:
        return np.zeros(body.shape[:2])
    pixels = project_places(body, fit.camera)
    cloth, bare = look_up(shares.cloth, pixels), look_up(shares.bare, pixels)
    height, width = fit.camera.size
    in_picture = ((pixels > 1) & (pixels < [width - 1, height - 1])).all(-1)
    facing = (normals @ to_numpy(fit.camera.rotation, np.float64)[2]).clip(0, 1)
    seen = facing * find_visible(body, body, fit.mesh, fit.camera)
    weights = CERTAINTY * seen * in_picture * (cloth + bare)
    share = cloth / (cloth + bare).clip(1e-6)
    usual = body[..., 1] - body[ring, :, 1] < USUAL_HEIGHT
    screen = areas * (weights + UNSEEN).ravel()
    data = areas * (weights * share + UNSEEN * usual).ravel()
    solved = factor_symmetric(REACH**2 * laplacian + sp.diags(screen)).solve(data)
    return solved.reshape(cloth.shape).clip(0, 1)
