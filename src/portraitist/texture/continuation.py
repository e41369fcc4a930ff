"""What artworks do not show, continued from what is painted after them: ears, neck and scalp, lids, the back of hair.

Beyond the paper, whose views end there. Optimizing it from views around the head gives worms on the neck, hues that
nobody chose, and hair like tweed. Here a neck is painted like a cheek: in the face's colors, light and dark as the
sitter's skin is there, under strokes as large as the face's on the surface.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_poisson import build_head_poisson
from portraitist.reconstruction.head_surface import SURFACE_COMPONENTS
from portraitist.reconstruction.head_texels import DARKEST, HeadTexels, locate_head_texels
from portraitist.rendering.patch_noise import Example, lay_out
from portraitist.rendering.sampling import shade
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.rendering.uv_layout import locate_texels, mark_texels
from portraitist.segmentation.parts import SKIN
from portraitist.segmentation.texels import mark_face_texels
from portraitist.texture.label_colors import blur_mask
from portraitist.texture.views import MAX_YAW_DEG, Subject
from portraitist.types import Camera, Image, Mesh
from portraitist.unwrapping.openings import unroll_lids

DATA_STRENGTH = 100.0  # of the face's own colors, against differences of order one
SHADE = 0.5  # of the sitter's light and shade, which the photo's neck has too much of
REACH = 0.05  # meters from the face over which colors return to its median
PIECE_RADIUS = 0.012  # meters, of what strokes are taken from
# Shares of the pieces that are used, calm ones first: a neck has none of a face's wrinkles, and pieces of lines would
# be gravel; hair is fine all over, but for jewelry and stains.
QUIET_SKIN, QUIET_HAIR = 0.6, 0.75
STROKE = 0.006  # meters: what is finer is stroke, in a layer
BROAD = 0.008  # of the texture's side: the same in its layout
FACING = (0.4, 0.75)  # cosine to the nearest camera's line of sight: continued, kept
SOFT_FACE = 48  # of the texture's side: width of the border between face and continuation


def continue_skin(texture: Image, subject: Subject, model: HeadModel) -> Image:
    """The texture of a head with ears, neck and scalp painted like its face."""
    size = texture.shape[-1]
    texels = locate_head_texels(model, size)
    in_face = mark_face_texels(subject.mesh, size)
    painted, content = (_pick(each, texels) for each in (texture, subject.content))
    face, skin = (
        _pick(each[None].float(), texels)[:, 0] > 0 for each in (in_face, in_face & (subject.labels.map == SKIN))
    )
    if not skin.any():
        return texture
    places, normals = _locate(subject.mesh, size)
    places, normals = (each.reshape(-1, 3)[texels.texel_ids] for each in (places, normals))
    frontal = _measure_facing(normals)
    face, skin = face & (frontal > 0), skin & (frontal == 1)
    low = np.exp(_continue_tones(np.log(painted + DARKEST), content, face, skin, texels, model)) - DARKEST
    detail = painted - texels.interpolation @ texels.vertex_means(painted, face.astype(np.float32))[0]
    strokes = lay_out(_cut_example(detail, skin, subject.mesh, texels), places, normals, np.random.default_rng(0))
    lightness = luminance(low) / max(float(np.median(luminance(painted[skin]))), DARKEST)
    continued = low + np.minimum(lightness, 1)[:, None] * strokes
    own = _pick(blur_mask(subject.labels.extended_shown[None].to(texture), SOFT_FACE), texels)
    own = (2 * own - 1).clip(0, 1)  # of what is painted beyond the border nothing stays
    elsewhere = _pick(blur_mask((subject.labels.map != SKIN)[None].to(texture), SOFT_FACE), texels)
    own = own * np.maximum(frontal[:, None], elsewhere)
    own = np.where(texels.in_components(*SURFACE_COMPONENTS)[:, None], own, 1)
    mixed = mix(continued, painted, own).clip(0, 1).astype(np.float32)
    return from_numpy(np.ascontiguousarray(mixed[texels.nearest_ids].transpose(2, 0, 1)), texture)


def continue_lids(texture: Image, model: HeadModel) -> Image:
    """The texture of a head with paint that can be unrolled on its lids, which artworks show open."""
    texels = locate_head_texels(model, texture.shape[-1])
    unrolled = unroll_lids(_pick(texture, texels).astype(np.float32), texels, model)
    return from_numpy(np.ascontiguousarray(unrolled[texels.nearest_ids].transpose(2, 0, 1)), texture)


def continue_layer(texture: Image, subject: Subject, cameras: Sequence[Camera]) -> Image:
    """The texture of a layer with its strokes, as ``cameras`` show them, also where they do not see it."""
    size = texture.shape[-1]
    places, normals = (each.reshape(-1, 3) for each in _locate(subject.mesh, size))
    cosines = normals @ np.stack([to_numpy(camera.rotation, np.float64)[2] for camera in cameras], 1)
    seen = smoothstep(cosines.max(1), *FACING)
    (unseen,) = np.nonzero((seen < 1) & normals.any(1))
    example = _cut_views(texture, subject, cameras)
    broad = _blur_logs(to_numpy(texture).transpose(1, 2, 0), np.ones((size, size), np.float32), size * BROAD)
    laid = lay_out(example, places[unseen], normals[unseen], np.random.default_rng(0))
    continued = np.exp(broad.reshape(-1, 3)[unseen] + laid) - DARKEST
    result = to_numpy(texture).reshape(3, -1).T.copy()
    result[unseen] = mix(continued, result[unseen], seen[unseen, None]).clip(0, 1)
    return from_numpy(np.ascontiguousarray(result.T.reshape(3, size, size)), texture)


def _locate(mesh: Mesh, size: int) -> tuple[Float[np.ndarray, "t t 3"], Float[np.ndarray, "t t 3"]]:
    """Place (meters) and unit normal of each texel; zeros between the UV islands."""
    texel_ids, face_ids, barycentrics = locate_texels(mesh, size)
    vertices, faces = to_numpy(mesh.vertices, np.float64), to_numpy(mesh.faces)
    fields = []
    for values in (vertices, vertex_normals(vertices, faces)):
        field = np.zeros((size * size, 3))
        field[texel_ids] = np.einsum("kcd,kc->kd", values[faces[face_ids]], barycentrics)
        fields.append(field.reshape(size, size, 3))
    places, normals = fields
    return places, normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)


def _cut_views(texture: Image, subject: Subject, cameras: Sequence[Camera]) -> Example:
    """Pieces of the painted layer, its lines upright, as the cameras see it. All of them show it equally large."""
    details, masks = [], []
    normals = from_numpy(vertex_normals(to_numpy(subject.mesh.vertices), to_numpy(subject.mesh.faces)), texture)
    for camera in cameras:
        seen, ground = subject.observe(camera, texture.new_zeros(3))
        own = to_numpy(seen.mask).astype(np.float32)
        picture = to_numpy(shade(seen, texture, ground)).transpose(1, 2, 0)
        logs = np.log(picture + DARKEST)
        details.append((logs - _blur_logs(picture, own, STROKE * camera.scale_px)) * own[..., None])
        corners = subject.mesh.faces[seen.face_ids.clamp(min=0)]
        towards = (normals @ camera.rotation[2].to(normals))[corners]
        facing = to_numpy((towards * seen.barycentrics).sum(-1)) * own
        masks.append(np.pad(facing[1:-1, 1:-1], 1) > FACING[1])
    px_per_m = float(cameras[0].scale_px)
    detail, usable = np.concatenate(details, 1).astype(np.float32), np.concatenate(masks, 1)
    return Example.cut(detail, usable, PIECE_RADIUS * px_per_m, px_per_m, QUIET_HAIR).stand_up()


def _blur_logs(
    picture: Float[np.ndarray, "h w 3"], own: Float[np.ndarray, "h w"], sigma: float
) -> Float[np.ndarray, "h w 3"]:
    """Gaussian mean of the logarithms where ``own`` is 1."""
    weighed = np.dstack([np.log(picture + DARKEST) * own[..., None], own])
    blurred = cv2.GaussianBlur(weighed.astype(np.float32), (0, 0), sigma)
    return blurred[..., :3] / np.maximum(blurred[..., 3:], 1e-6)


def _pick(image: Float[Tensor, "c t t"], texels: HeadTexels) -> Float[np.ndarray, "k c"]:
    return to_numpy(image).reshape(len(image), -1)[:, texels.texel_ids].T


def _measure_facing(normals: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
    """1 where the views within the paper's angles see the surface well, 0 where it is too slanted even there."""
    turned = np.abs(np.degrees(np.arctan2(normals[:, 0], normals[:, 2])))
    return smoothstep(np.cos(np.radians((turned - MAX_YAW_DEG).clip(0, 180))), *FACING).astype(np.float32)


def _continue_tones(
    logs: Float[np.ndarray, "k 3"],
    content: Float[np.ndarray, "k 3"],
    face: Bool[np.ndarray, "k"],
    skin: Bool[np.ndarray, "k"],
    texels: HeadTexels,
    model: HeadModel,
) -> Float[np.ndarray, "k 3"]:
    """Logarithms of the broad colors: the face's at its border, from there on towards the mean of its skin, with the
    light and shade of the sitter's skin in one hue."""
    poisson = build_head_poisson(model)
    means, known = texels.vertex_means(logs, face.astype(np.float32))
    shade = np.log(luminance(content) + DARKEST)
    shade = SHADE * (shade - np.median(shade[skin]))
    shades, _ = texels.vertex_means(shade[:, None], np.ones_like(shade))
    target = np.log(np.exp(logs[skin]).mean(0)) + shades
    own = DATA_STRENGTH * known**2
    back = np.zeros_like(own)
    back[poisson.ids] = poisson.areas / REACH**2
    data = (means * own[:, None] + target * back[:, None]) / np.maximum(own + back, 1e-12)[:, None]
    solved = poisson.solve_guided(data, own + back, np.repeat(shades, 3, 1), np.ones_like(own))
    return texels.interpolation @ solved


def _cut_example(
    detail: Float[np.ndarray, "k 3"], skin: Bool[np.ndarray, "k"], mesh: Mesh, texels: HeadTexels
) -> Example:
    """Pieces of the painted face's bare skin."""
    faces = np.unique(to_numpy(mark_texels(mesh, texels.size)).ravel()[texels.texel_ids[skin]])
    corners = to_numpy(mesh.vertices, np.float64)[to_numpy(mesh.faces)[faces[faces >= 0]]]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    px_per_m = float(np.sqrt(skin.sum() / areas.sum()))
    usable = texels.to_texture(skin.astype(np.float32)) > 0
    detail = texels.to_texture(detail.astype(np.float32))
    return Example.cut(detail, usable, PIECE_RADIUS * px_per_m, px_per_m, QUIET_SKIN)
