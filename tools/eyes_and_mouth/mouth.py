"""Teeth with gums, tongue and cavity, painted as functions of their places on the mean head."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import make_value_noise
from portraitist.rendering.shader_math import mix, smoothstep

ENAMEL = np.array([0.93, 0.89, 0.81])
NECK_OF_TOOTH = np.array([0.86, 0.77, 0.62])
CUTTING_EDGE = np.array([0.88, 0.87, 0.83])
GUM = np.array([0.80, 0.47, 0.45])
TONGUE = np.array([0.80, 0.46, 0.44])
CHEEK = np.array([0.62, 0.29, 0.27])
THROAT = np.array([0.15, 0.05, 0.05])
DARK = np.array([0.20, 0.08, 0.07])
WARM = np.array([0.9, 1.15, 1.25])  # exponents of the light's factor: what reaches the back went through cheeks

# Mesiodistal widths and heights of crowns in mm, from the midline backwards, average adult.
WIDTHS = {
    "upper_teeth": (8.5, 6.5, 7.6, 7.0, 7.0, 10.0, 9.5, 9.0),
    "lower_teeth": (5.3, 5.7, 6.8, 7.0, 7.1, 11.0, 10.5, 10.0),
}
HEIGHTS = {
    "upper_teeth": (10.4, 9.2, 10.2, 8.6, 8.0, 7.4, 7.0, 6.4),
    "lower_teeth": (8.6, 8.9, 9.8, 8.6, 8.0, 7.4, 7.0, 6.8),
}
SHORTER = {
    "upper_teeth": (0.0, 0.7, 0.0, 0.5, 0.6, 0.7, 0.8, 0.9),
    "lower_teeth": (0.1, 0.0, 0.0, 0.3, 0.4, 0.4, 0.4, 0.4),
}
"""By how many mm each crown ends before the biting edge of the mesh."""
BRIGHTNESS = {"upper_teeth": 1.0, "lower_teeth": 0.92}


def paint_teeth(model: HeadModel, name: str, uvs: np.ndarray) -> np.ndarray:
    """[k, 4] at UVs of a row: color, and share of enamel."""
    along_mm, height_mm, behind = _place_in_band(model, name, uvs)
    widths = np.array(WIDTHS[name])
    widths = widths * along_mm.max() / widths.sum()
    ends = widths.cumsum()
    tooth = np.searchsorted(ends, along_mm).clip(0, len(widths) - 1)
    width, height = widths[tooth], np.array(HEIGHTS[name])[tooth]
    across = 2 * (along_mm - (ends[tooth] - width / 2)) / width  # -1..1 in each tooth
    short = np.array(SHORTER[name])[tooth]
    up = (height_mm - short) / (height - short)  # 0 at the cutting edge, 1 at the gum
    # A crown's outline: square corners at the cutting edge, a round arch at the gum.
    below, above = (0.5 - up).clip(0) * 2, (up - 0.5).clip(0) * 2
    outline = (np.abs(across) ** 5 + below**7) ** 0.2
    outline = np.maximum(outline, (np.abs(0.93 * across) ** 2.6 + above**2.6) ** (1 / 2.6))
    reach = np.minimum(width, height) / 2
    depth_mm = (1 - outline) * reach  # into the crown from its outline
    color = mix(ENAMEL, NECK_OF_TOOTH, (0.75 * smoothstep(up, 0.45, 1.05))[:, None])
    color = mix(color, CUTTING_EDGE, (0.6 * smoothstep(up, 0.28, 0.02))[:, None])
    round_shade = 1 - 0.20 * np.abs(across) ** 3 - 0.05 * smoothstep(up, 0.3, 0.0)
    round_shade += 0.03 * np.exp(-(((across + 0.25) / 0.3) ** 2)) * np.exp(-(((up - 0.55) / 0.3) ** 2))
    color = color * round_shade[:, None]
    # Between crowns: gum above, dark below.
    papilla = smoothstep(up, 0.50, 0.72)
    cleft = mix(DARK * 1.5, ENAMEL * [0.62, 0.55, 0.47], smoothstep(up, 0.04, 0.22)[:, None])
    between = mix(cleft, GUM * 0.85, papilla[:, None])
    enamel = smoothstep(depth_mm, -0.05, 0.22)
    beyond = up > 1
    middles = ends - widths / 2
    gum_mm = height_mm - np.interp(along_mm, middles, HEIGHTS[name])
    noise = make_value_noise(np.column_stack([along_mm, height_mm, 0 * along_mm]) / 1000, 0.0009)
    gum = GUM * (1 - 0.02 * noise)[:, None] * mix(1.0, 0.62, smoothstep(gum_mm, 1.0, 7.0))[:, None]
    gum = gum * mix(0.86, 1.0, smoothstep(depth_mm, 0.0, -0.8))[:, None]
    outside = np.where((beyond | (papilla >= 1))[:, None], gum, between)
    outside = mix(outside, gum, papilla[:, None])
    color = mix(outside, color, enamel[:, None])
    # What cheeks and lips leave of the light: little at the molars and on the tongue's side.
    light = mix(1.0, 0.36, smoothstep(along_mm, 9.0, 46.0)) * mix(1.0, 0.55, behind) * BRIGHTNESS[name]
    behind_color = mix(ENAMEL * 0.8, GUM * 0.75, smoothstep(height_mm, 6.0, 9.0)[:, None])
    color = mix(color, behind_color, (behind > 0)[:, None] * 1.0) * light[:, None] ** WARM
    enamel = np.where(behind > 0, smoothstep(height_mm, 9.0, 6.0), enamel)
    return np.column_stack([color, enamel])


def _place_in_band(model: HeadModel, name: str, uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Millimeters along the row from the midline and up from the biting edge; 0..1 down the tongue's side."""
    mask = model.face_mask(name)
    corners = model.template.uvs[model.template.uv_faces[mask]].double().numpy().reshape(-1, 2)
    vertices = model.mean[model.faces[mask]].double().numpy().reshape(-1, 3) * 1000
    right = corners[:, 0] > 0.5
    corners, vertices = corners[right], vertices[right]
    rows, columns = np.unique(corners[:, 1].round(5)), np.unique(corners[:, 0].round(5))
    if name == "lower_teeth":
        rows = rows[::-1]  # from the gum to the tongue's side
    grid = np.array(
        [[vertices[(np.abs(corners - (u, v)) < 2e-5).all(1)].mean(0) for u in columns] for v in rows]
    )  # [4, 9, 3]
    along = np.concatenate([[0], np.linalg.norm(np.diff(grid[2], axis=0), axis=1).cumsum()])
    heights = np.concatenate([[0], np.linalg.norm(np.diff(grid, axis=0), axis=2).mean(1).cumsum()])
    u, v = np.where(uvs[:, 0] < 0.5, 1 - uvs[:, 0], uvs[:, 0]), uvs[:, 1]
    along_mm, profile_mm = np.interp(u, columns, along), np.interp(v, *sort_pairs(rows, heights))
    height_mm = np.abs(heights[2] - profile_mm)
    behind = ((profile_mm - heights[2]) / (heights[3] - heights[2])).clip(0, 1)
    return along_mm, height_mm, behind


def sort_pairs(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in the order of x."""
    order = x.argsort()
    return x[order], y[order]


def paint_tongue(model: HeadModel, places: np.ndarray) -> np.ndarray:
    """[k, 4]: color, and 0."""
    ids = model.vertex_ids("tongue").numpy()
    vertices = model.mean.double().numpy()
    own = vertices[ids]
    normals = vertex_normals(vertices, model.faces.numpy())[ids]
    near = KDTree(own).query(places, k=4)
    shares = 1 / (near[0] ** 2 + 1e-9)
    upward = (normals[near[1], 1] * shares).sum(1) / shares.sum(1)
    depth = (own[:, 2].max() - places[:, 2]) / np.ptp(own[:, 2])
    side = np.abs(places[:, 0]) / np.abs(own[:, 0]).max()
    papillae = make_value_noise(places, 0.0009)
    patches = make_value_noise(places, 0.006)
    color = TONGUE * (1 + 0.030 * papillae + 0.02 * patches)[:, None]
    color = mix(
        color, color * [1.02, 1.06, 1.06], (smoothstep(upward, 0.2, 0.8) * smoothstep(depth, 0.02, 0.2))[:, None]
    )
    furrow = 0.28 * np.exp(-((places[:, 0] / 0.0018) ** 2)) * smoothstep(depth, 0.06, 0.3)
    light = mix(1.0, 0.22, smoothstep(depth, 0.05, 0.62)) * (1 - furrow) * (1 - 0.3 * smoothstep(side, 0.45, 1.0))
    light = light * mix(0.62, 1.0, smoothstep(upward, -0.5, 0.3))
    return np.column_stack([color * light[:, None], np.zeros(len(places))])


def paint_cavity(model: HeadModel, places: np.ndarray) -> np.ndarray:
    """[k, 4]: color, and the share of lip: 1 at the rim."""
    vertices = model.mean.double().numpy()
    rim = np.intersect1d(model.vertex_ids("mouth_cavity"), model.vertex_ids("outer_skin"))
    from_lips = KDTree(vertices[rim]).query(places)[0]
    # Cheeks keep some light far back, the middle is the throat.
    sideways = smoothstep(np.abs(places[:, 0]), 0.012, 0.028)
    light = np.exp(-from_lips / mix(0.018, 0.050, sideways))
    noise = make_value_noise(places, 0.0025)
    color = mix(THROAT, CHEEK * (1 + 0.03 * noise)[:, None], light[:, None])
    return np.column_stack([color, np.exp(-((from_lips / 0.004) ** 2))])
