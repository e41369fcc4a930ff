"""Body and clothes painted in an artwork's manner: 2D style transfer of pictures of them (Sec. 7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from portraitist.apps.character_manner import Manner, measure_face
from portraitist.apps.character_swatches import (
    STROKE,
    TONES,
    Swatch,
    blur_inside,
    find_tone,
    join_swatches,
    read_logs,
    tone_roles,
)
from portraitist.apps.character_views import MATERIALS, list_body, look_at_person, name_materials
from portraitist.apps.image_painting import PictureStyle, Report
from portraitist.apps.view_painting import ViewPainting, ViewSheet, paint_views, project_back
from portraitist.bust.torso_model import load_torso_model
from portraitist.devices import CPU, from_numpy, random_uniform, to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.patch_noise import Example, lay_out
from portraitist.rendering.sampling import shade_parts
from portraitist.rendering.shader_math import smoothstep
from portraitist.rendering.uv_layout import locate_texels
from portraitist.segmentation.parts import UNLABELED
from portraitist.texture.color_transfer import limit_chroma
from portraitist.types import Head, Image, Layer
from portraitist.vgg import VGG

UNPAINTED = 0.1  # of an enlarged face's size: over which skin below the head's neck takes on strokes
ENLARGED = 3.0  # strokes against those of the head: a figure is looked at from three times as far away as a portrait


def paint_body(
    person: Head, manner: Manner, vgg: VGG, config: ViewPainting, generator: torch.Generator, report: Report
) -> Head:
    """``person`` with body and clothes, which are painted plainly so far, in an artwork's manner. Strokes are laid over
    the surface in pieces first; the network and the patches join them in pictures from all sides. What no picture shows
    keeps the pieces."""
    sheet, materials = look_at_person(person, config.view_px)
    picture, shown = sheet.picture, to_numpy(materials)
    landmarks = person.landmarks68.positions(person.mesh.vertices, person.mesh.faces)
    face_m = ENLARGED * measure_face(landmarks[:, :2])
    face_px = face_m * sheet.views[0].camera.scale_px
    content = read_logs(picture)
    swatches = [
        Swatch.make(manner, manner.cloth if number else manner.skin, np.exp(content[shown == number]) - DARKEST)
        for number in range(len(MATERIALS))
    ]

    # 1. The tones that say how each place is painted, and the lines that are drawn on top.
    labels, lines = np.full(shown.shape, UNLABELED), np.zeros_like(content)
    chance = to_numpy(random_uniform([*shown.shape], generator, CPU), np.float64)
    for number, swatch in enumerate(swatches):
        own = shown == number
        broad = blur_inside(content, own, STROKE * face_px)
        labels[own] = number * TONES + swatch.rank(find_tone(broad[own]), chance[own])
        lines[own] = (find_tone(content[own]) - find_tone(broad[own]))[:, None]

    # 2. The painting.
    examples = [
        swatch.cut_strokes(face_m, labels[shown == number] - number * TONES) for number, swatch in enumerate(swatches)
    ]
    strokes = [_lay_strokes(layer, examples) for layer in list_body(person)]
    start = _change(picture, _show(sheet, list_body(person), strokes) - lines)
    artwork = PictureStyle(join_swatches(swatches, picture), face_px / manner.face_px, tone_roles(len(MATERIALS)))
    painted = paint_views(picture, from_numpy(labels, materials), start, artwork, vgg, config, generator, report)
    for number, swatch in enumerate(swatches):
        own = materials == number
        painted[:, own] = limit_chroma(painted[:, own].T, swatch.list_colors(picture)).T
    painted = _change(painted, lines)
    ring = load_torso_model().follow_ring(to_numpy(person.mesh.vertices, np.float64))
    textures = {}
    for number, (layer, own) in enumerate(zip(list_body(person), strokes, strict=True)):
        share = _leave_ring(layer, ring, face_m)
        textures[layer.name] = project_back(number, layer.texture, sheet, painted, config.sharpness, own, share)
    return replace(person, layers=tuple(replace(x, texture=textures.get(x.name, x.texture)) for x in person.layers))


def _lay_strokes(layer: Layer, examples: Sequence[Example]) -> Float[np.ndarray, "k 3"]:
    """Changes of the logarithms in each texel of a layer."""
    places, normals, face_ids = _locate(layer)
    materials, laid = name_materials(layer)[face_ids], np.zeros((len(places), 3))
    for number in np.unique(materials):
        own, rng = materials == number, np.random.default_rng(number)
        laid[own] = lay_out(examples[number], places[own], normals[own], rng)
    return laid


def _leave_ring(layer: Layer, ring: Float[np.ndarray, "c 3"], face_m: float) -> Float[np.ndarray, "k"] | float:
    """How much each texel is painted: skin at the ring is as the head's own paint ends there."""
    if layer.name != "body":
        return 1.0
    places, _, _ = _locate(layer)
    return smoothstep(KDTree(ring).query(places)[0], 0.0, UNPAINTED * face_m)


def _locate(
    layer: Layer,
) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3"], Int[np.ndarray, "k"]]:
    """Place and normal of each texel, and which face it is on."""
    _, face_ids, shares = locate_texels(layer.mesh, layer.texture.shape[-1])
    vertices, faces = to_numpy(layer.mesh.vertices, np.float64), to_numpy(layer.mesh.faces)
    places, normals = (
        np.einsum("kcd,kc->kd", values[faces[face_ids]], shares)
        for values in (vertices, vertex_normals(vertices, faces))
    )
    return places, normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9), face_ids


def _show(
    sheet: ViewSheet, layers: Sequence[Layer], values: Sequence[Float[np.ndarray, "_k 3"]]
) -> Float[np.ndarray, "h w 3"]:
    """Values of texels as the pictures show them; 0 beside the layers."""
    textures = []
    for layer, own in zip(layers, values, strict=True):
        size = layer.texture.shape[-1]
        flat = np.zeros((size * size, 3), np.float32)
        flat[locate_texels(layer.mesh, size)[0]] = own
        textures.append(from_numpy(flat.T.reshape(3, size, size), layer.texture))
    nothing = textures[0].new_zeros(3)
    return to_numpy(sheet.join([shade_parts(view.seen, textures, nothing) for view in sheet.views])).transpose(1, 2, 0)


def _change(picture: Image, logs: Float[np.ndarray, "h w 3"]) -> Image:
    """The picture with changes of its logarithms."""
    changed = (picture + DARKEST) * from_numpy(np.exp(logs).astype(np.float32).transpose(2, 0, 1), picture) - DARKEST
    return changed.clamp(0, 1)
