"""Paint of a body and its clothes: the tones and strokes of the stylized head, laid over relief that is authored."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from portraitist.apps.character_cloth import Cloth
from portraitist.apps.character_details import Details
from portraitist.apps.character_folds import LIGHT, Folds
from portraitist.apps.character_palette import Palette, Ramp
from portraitist.apps.character_surface import Surface
from portraitist.body.body_model import PIECES, BodyModel
from portraitist.body.skeleton import JOINT_NAMES
from portraitist.bust.appearance import find_ring_colors
from portraitist.bust.torso_model import load_torso_model
from portraitist.devices import to_numpy
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.patch_noise import Example, lay_out
from portraitist.rendering.shader_math import smoothstep
from portraitist.types import Head, Image

AVERAGE = 0.52  # tone of what is neither lit nor shaded
LIT, SHADED = 0.24, 0.95  # by how much tones go up towards the light, and down where little sky is seen
OPEN_SKY = 0.88  # share of the sky that is seen where nothing is near
FOLDED = 0.5  # by how much they change on folds
STROKES = 0.7  # contrast of strokes against the face's
MEETING = 0.06  # meters from the ring over which skin takes on the colors of the head's neck
UNSHADED = 0.03  # meters from the ring over which clothes shade skin: they do not shade the neck above it
RING_NEIGHBORS = 12  # points of the ring that one place follows
NAIL, NAIL_EDGE = np.log([1.1, 1.04, 1.06]), 0.55  # a nail's color against skin; how dark the fold around it is
KNUCKLE, KNUCKLE_REACH = np.log([1.0, 0.92, 0.9]), 0.011  # color of knuckles, and how far it goes, meters
COMPLEMENT = 0.85  # saturation of cloth against that of skin, whose complement it is
TOP_LIGHTNESS = 0.72  # of that of skin
TROUSERS_LIGHTNESS = 26.0  # CIELAB
LEATHER_LIGHTNESS = 34.0  # that of shoes
APART = 12.0  # lightness between garments that touch
RIM = 0.45  # by how much the logarithm is lower on the inner side of a hem


def paint_skin(
    surface: Surface, palette: Palette, head: Head, model: HeadModel, body: BodyModel, scale: float
) -> Image:
    """Texture of the body: the face's tones by the light on it, its strokes, nails and knuckles, and at the ring the
    colors of the head's own neck."""
    open_air = AVERAGE + LIT * _find_light(surface)
    ring = load_torso_model().follow_ring(to_numpy(head.mesh.vertices, np.float64))
    away = smoothstep(KDTree(ring).query(surface.places)[0], 0.0, UNSHADED * scale)
    tones = open_air - SHADED * away * (1 - surface.sky / OPEN_SKY).clip(0)
    nail = np.zeros(body.count)
    nail[body.nails] = 1
    nail = surface.pick(nail)
    tones = tones - NAIL_EDGE * (1 - np.abs(2 * nail - 1)) * (nail > 0.05)
    logs = palette.skin.look_up(tones)
    logs += smoothstep(nail, 0.5, 0.9)[:, None] * NAIL
    logs += _find_knuckles(surface, body)[:, None] * KNUCKLE
    logs += STROKES * lay_out(palette.strokes, surface.places / scale, surface.normals, np.random.default_rng(0))
    logs += _meet_ring(palette.skin.look_up(open_air), surface, head, model, scale)
    return surface.to_texture(np.exp(logs) - DARKEST, head.texture)


def _find_light(surface: Surface) -> Float[np.ndarray, "k"]:
    """-1 to 1: from above and in front."""
    return surface.normals @ (LIGHT / np.linalg.norm(LIGHT)) - 0.3


def _find_knuckles(surface: Surface, body: BodyModel) -> Float[np.ndarray, "k"]:
    fingers = [n for n, name in enumerate(JOINT_NAMES) if name.endswith(("Proximal", "Intermediate", "Distal"))]
    joints = body.find_joints(body.mean[: body.count])[fingers]
    near = np.exp(-((KDTree(joints).query(body.mean[: body.count])[0] / KNUCKLE_REACH) ** 2))
    return surface.pick(near)


def _meet_ring(
    logs: Float[np.ndarray, "k 3"], surface: Surface, head: Head, model: HeadModel, scale: float
) -> Float[np.ndarray, "k 3"]:
    """Changes of ``logs``, which skin has in the open, to what the head's neck has at the ring, fading below it. Broad
    colors meet; strokes of both sides stay."""
    wanted = np.log(find_ring_colors(head, model) + DARKEST)
    points = load_torso_model().follow_ring(to_numpy(head.mesh.vertices, np.float64))
    own = logs[KDTree(surface.places).query(points)[1]]
    far, nearest = KDTree(points).query(surface.places, k=RING_NEIGHBORS)
    fade = 1 - smoothstep(far[:, 0], 0.0, MEETING * scale)
    return fade[:, None] * (wanted - own)[nearest].mean(1)


def choose_garments(palette: Palette, worn: Ramp | None) -> dict[str, Ramp]:
    """Ramps of top, trousers and shoes. ``worn``: of clothes that are known; else the top is as a hat is, or the
    complement of the skin, as painters set it off. Trousers are dark and between hair and that complement, shoes of
    leather: skin of another kind."""
    skin = _to_lab(palette.skin.middle)
    complement = skin * [TOP_LIGHTNESS, -COMPLEMENT, -COMPLEMENT]
    known, hair = worn or palette.covers.get("headwear"), palette.covers.get("hair")
    top = _to_lab(known.middle) if known else complement
    dark = (_to_lab(hair.middle) + complement) / 2 if hair else complement / 2
    dark[0] = TROUSERS_LIGHTNESS if abs(TROUSERS_LIGHTNESS - top[0]) > APART else top[0] + APART
    leather = np.append(LEATHER_LIGHTNESS, skin[1:])
    ramps = {name: palette.skin.recolor(_to_srgb(color)) for name, color in (("top", top), ("trousers", dark))}
    shoes = palette.skin.recolor(_to_srgb(leather))
    return {"top": worn or ramps["top"], "trousers": ramps["trousers"], "left shoe": shoes, "right shoe": shoes}


def _to_lab(color: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    return cv2.cvtColor(color.astype(np.float32).clip(0, 1)[None, None], cv2.COLOR_RGB2LAB)[0, 0].astype(np.float64)


def _to_srgb(color: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    rgb = cv2.cvtColor(np.asarray(color, np.float32)[None, None], cv2.COLOR_LAB2RGB)
    return rgb[0, 0].astype(np.float64).clip(0, 1)


def paint_clothes(
    surface: Surface,
    palette: Palette,
    garments: dict[str, Ramp],
    head: Head,
    body: BodyModel,
    folds: Folds,
    details: Details,
    cloth: Cloth | None,
) -> Image:
    """Texture of the clothes: each garment's own tones by the light, with folds, seams and the head's strokes."""
    pieces = body.clothes_pieces[surface.face_ids]
    rim = surface.pick((body.clothes_ease < 0).astype(float))
    tones = AVERAGE + LIT * _find_light(surface) - SHADED * (1 - surface.sky / OPEN_SKY).clip(0)
    tones += details.shade(surface, body)
    logs = np.zeros((len(tones), 3))
    for number, name in enumerate(PIECES):
        own = pieces == number
        if name in ("top", "trousers"):
            tones[own] += FOLDED * folds.shade(surface.places[own], surface.normals[own], name)
        logs[own] = garments[name].look_up(tones[own])
    for example, own in _share_strokes(palette, cloth, pieces):
        places, normals = surface.places[own] / folds.scale, surface.normals[own]
        logs[own] += STROKES * lay_out(example, places, normals, np.random.default_rng(1))
    logs -= RIM * rim[:, None]
    return surface.to_texture(np.exp(logs) - DARKEST, head.texture)


def _share_strokes(
    palette: Palette, cloth: Cloth | None, pieces: Int[np.ndarray, "k"]
) -> list[tuple[Example, Bool[np.ndarray, "k"]]]:
    """Which strokes are laid on which texels: those of cloth that is known on the top."""
    is_top = pieces == PIECES.index("top")
    if cloth is None:
        return [(palette.strokes, np.ones_like(is_top))]
    return [(cloth.strokes, is_top), (palette.strokes, ~is_top)]
