"""A face that is nobody's: a drawn identity of the head model, skin painted by place. Eyes and mouth are the package's
own, as they are painted for the embedded photo."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from portraitist.devices import to_numpy
from portraitist.reconstruction.head_model import load_head_model
from portraitist.reconstruction.head_surface import vertex_share
from portraitist.reconstruction.head_texels import locate_head_texels
from portraitist.rendering.shader_math import smoothstep
from portraitist.rendering.uv_layout import find_nearest_texels
from portraitist.types import Head

SKIN, BLUSH, LIPS, HAIR = (0.86, 0.66, 0.54), (0.82, 0.42, 0.36), (0.70, 0.34, 0.33), (0.16, 0.10, 0.07)
COMPONENTS = 24  # of the identity that are drawn
SIZE = 1024


def draw_identity(seed: int, strength: float) -> np.ndarray:
    """Vertices, meters."""
    model = load_head_model()
    numbers = strength * np.random.default_rng(seed).normal(size=COMPONENTS)
    return to_numpy(model.mean) + np.tensordot(numbers, to_numpy(model.identity_basis[:COMPONENTS]), 1).astype("f4")


def draw_texture(vertices: np.ndarray, eyes_of: Head) -> np.ndarray:
    """[h, w, 3], sRGB 0..1."""
    model = load_head_model()
    texels = locate_head_texels(model, SIZE)
    spread, own = texels.interpolation, torch.from_numpy(vertices)
    places = spread @ vertices
    marks = to_numpy(model.landmarks68.positions(own, model.faces))
    visible, pores = spread @ texels.ambient_visibility, texels.pore_noise
    colors = np.tile(SKIN, (len(places), 1))
    for point, size, share in (
        (marks[[1, 31]].mean(0), 0.025, 0.3),
        (marks[[15, 35]].mean(0), 0.025, 0.3),
        (marks[30], 0.012, 0.25),
    ):
        near = share * np.exp(-(((places - point) ** 2).sum(1)) / size**2)[:, None]
        colors += near * (np.array(BLUSH) - colors)
    lips = smoothstep(spread @ vertex_share(model, "lips"), 0.3, 0.9)[:, None]
    colors += 0.8 * lips * (np.array(LIPS) - colors)
    for first, last in ((17, 22), (22, 27)):
        near = _distance(places, marks[first:last]) + 0.0012 * pores
        brow = 0.85 * smoothstep(near, 0.0055, 0.002)[:, None]
        colors += brow * (np.array(HAIR) - colors)
    for first in (36, 42):
        ring = marks[[*range(first, first + 6), first]]
        lash = smoothstep(_distance(places, ring[:4]), 0.0028, 0.0008)[:, None]
        colors += 0.75 * lash * (np.array(HAIR) - colors)
    colors *= (0.62 + 0.38 * smoothstep(visible, 0.0, 0.9) + 0.012 * pores)[:, None]
    flat = to_numpy(eyes_of.texture).reshape(3, -1)
    if eyes_of.texture.shape[-1] != SIZE:
        larger = torch.nn.functional.interpolate(eyes_of.texture[None], (SIZE, SIZE), mode="bicubic")[0].clamp(0, 1)
        flat = to_numpy(larger).reshape(3, -1)
    skin = texels.in_components("outer_skin")
    picture = flat.T.copy()
    picture[texels.texel_ids[skin]] = colors[skin]
    rows, columns = find_nearest_texels(model.template, SIZE)
    return picture.reshape(SIZE, SIZE, 3)[rows, columns].clip(0, 1)


def _distance(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """From a line through points."""
    found = np.full(len(points), np.inf)
    for start, end in itertools.pairwise(line):
        along = end - start
        share = ((points - start) @ along / (along @ along)).clip(0, 1)
        found = np.minimum(found, np.linalg.norm(points - start - share[:, None] * along, axis=1))
    return found
