"""The colors of the character's own skin, on what of the new head is the character's."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from portraitist.characters.figure import Figure
from portraitist.characters.fitting import Target
from portraitist.characters.paint import Paints, decode_srgb, encode_srgb
from portraitist.characters.viewing import color_points
from portraitist.devices import from_numpy, to_numpy
from portraitist.io.images import round_to_bytes
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import locate_head_texels
from portraitist.rendering.uv_layout import find_nearest_texels
from portraitist.types import Image

DARKEST = 0.003  # linear light: below it, ratios are noise


def color_neck(
    texture: Image,
    model: HeadModel,
    shape: Float[np.ndarray, "n 3"],
    shares: Float[np.ndarray, "n"],
    figure: Figure,
    paints: Paints,
    target: Target,
    skin_faces: Bool[np.ndarray, "f"],
    scale: float,
) -> Image:
    """``texture`` of the new head with the character's colors where ``shares`` (of each vertex) is 1, and mixed
    between.

    ``shape``: the new head on the skin ``target``, whose triangles are the ``skin_faces`` of the figure. ``scale``:
    units of the scene per meter of head space.
    """
    texels = locate_head_texels(model, texture.shape[-1])
    share = texels.interpolation @ shares
    wanted = np.flatnonzero((share > 0) & texels.in_components("outer_skin"))
    points = (texels.interpolation @ shape)[wanted]
    normals = texels.interpolation @ vertex_normals(shape, to_numpy(model.faces)).astype(np.float64)
    nearest = target.find(points, normals[wanted])
    faces = np.flatnonzero(skin_faces)[nearest.face_ids]
    apart = scale * float(np.ptp(shape, axis=0).max()) / texture.shape[-1]
    found = color_points(figure, faces, nearest.weights, paints, apart)[:, :3]
    flat = decode_srgb(to_numpy(texture, np.float64).reshape(3, -1).T)
    own, light = texels.texel_ids[wanted], decode_srgb(found)
    flat *= _measure_gain(
        flat[own], light, nearest.found & (share[wanted] > 0.5) & texels.in_regions("skin", "neck")[wanted]
    )
    flat[own] += (share[wanted] * nearest.found)[:, None] * (light - flat[own])
    picture = encode_srgb(flat.clip(0, 1)).T.reshape(texture.shape).astype(np.float32)
    rows, columns = find_nearest_texels(model.template, texture.shape[-1])
    return round_to_bytes(from_numpy(picture[:, rows, columns], texture))


def _measure_gain(
    own: Float[np.ndarray, "k 3"], theirs: Float[np.ndarray, "k 3"], meet: Bool[np.ndarray, "k"]
) -> np.ndarray:
    """By what the new head's colors are to be multiplied to be those of the character where both meet: the picture that
    it was painted after was lit, and what the character's program shows will be."""
    if not meet.any():
        return np.ones(3)
    return np.median(theirs[meet], 0) / np.maximum(np.median(own[meet], 0), DARKEST)
