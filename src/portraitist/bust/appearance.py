"""Color of neck, shoulders and clothes: the photo where it shows them, continued around the body from there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from portraitist.bust.body import PersonShares, find_visible
from portraitist.bust.dress import DRESSED, Bust
from portraitist.bust.grid_mesh import list_rows
from portraitist.bust.material import compare_to, find_light, find_main_color, lay_out_weave
from portraitist.bust.torso_model import load_torso_model
from portraitist.devices import from_numpy, to_numpy
from portraitist.hair.appearance import spread_colors, to_texels
from portraitist.mesh.grids import grid_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import DARKEST, locate_head_texels
from portraitist.rendering.cameras import project_places
from portraitist.rendering.sampling import sample_mipmapped
from portraitist.rendering.shader_math import mix, smoothstep
from portraitist.types import Camera, Head, Image, Layer
from portraitist.unwrapping.projection import erode_mask

FACING = (0.15, 0.4)  # cosine to the line of sight: too slanted to be read, read
MARGIN = 0.003  # meters by which borders between cloth, skin and the rest are moved inwards
OWN_SHARE = (0.9, 1.0)  # of a part in a pixel: along its border colors are mixed
MEETING = 0.035  # meters from the ring over which skin takes on the color of the head's neck
NEAR_WIDTHS = 2  # within which colors go on as they are beside; further away clothes are of their main color
OUTER = 0.2  # meters below the ring from which on what is worn is the outer garment, which goes on where nobody sees
INNER = 0.02  # share that collars and ties have in its color
SKIN_NEIGHBORS = 8  # texels of the neck that a color of the ring is the mean of


@dataclass(frozen=True, eq=False)
class Seen:
    """What the photo shows of each texel. ``colors``: sRGB 0..1. ``cloth``, ``skin``: how much that counts."""

    colors: Float[np.ndarray, "t t 3"]
    cloth: Float[np.ndarray, "t t"]
    skin: Float[np.ndarray, "t t"]


def paint_bust(
    photo: Image, camera: Camera, bust: Bust, shares: PersonShares, content: Head, model: HeadModel
) -> Image:
    """Texture as large as that of ``content``, the unstylized head with what covers it."""
    size = content.texture.shape[-1]
    seen = _project(photo, camera, bust, shares, content, size)
    own = np.log(find_ring_colors(content, model).mean(0) + DARKEST)
    bare = _complete_skin(seen, own)
    cloth = _complete_cloth(photo, camera, bust, shares, seen, own) if shares.cloth.any() else bare
    dressed = smoothstep(to_texels(bust.dressed, size), *DRESSED)[..., None]
    filled = np.exp(mix(bare, cloth, dressed)) - DARKEST
    texture = mix(filled, seen.colors, np.maximum(seen.cloth, seen.skin)[..., None])
    texture = texture.clip(0, 1).astype(np.float32)
    return from_numpy(np.ascontiguousarray(texture.transpose(2, 0, 1)), photo)


def _complete_skin(seen: Seen, own: Float[np.ndarray, "3"]) -> Float[np.ndarray, "t t 3"]:
    """Logarithms of skin for every texel: as it is beside, else of the neck's ``own`` color."""
    if not (seen.skin > 0).any():
        return np.broadcast_to(own, seen.colors.shape)
    return spread_colors(np.log(seen.colors + DARKEST), seen.skin, len(seen.skin), NEAR_WIDTHS, own)


def _complete_cloth(
    photo: Image, camera: Camera, bust: Bust, shares: PersonShares, seen: Seen, skin: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "t t 3"]:
    """Logarithms of cloth for every texel: as it is beside, else of the outer garment's color, in the photo's light,
    with its weave."""
    size = len(seen.cloth)
    pixels, own = to_numpy(photo, np.float64).transpose(1, 2, 0), shares.cloth > shares.cloth.max() / 2
    logs, around = np.log(seen.colors + DARKEST), np.log(pixels[shares.person < 0.5] + DARKEST)
    outer = smoothstep(measure_depth(bust.places, bust.ring_row, size), 0.0, OUTER) + INNER
    if (seen.cloth > 0).any():
        main = find_main_color(logs.reshape(-1, 3), (outer * seen.cloth).ravel(), around, skin)
    else:  # so little that no texel is surely of cloth
        main = find_main_color(np.log(pixels[own] + DARKEST), shares.cloth[own], around, skin)
    normals = to_texels(grid_normals(bust.places), size).reshape(-1, 3)
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-6)
    light = find_light(logs.reshape(-1, 3), normals, seen.cloth.ravel(), main).reshape(size, size, 1)
    points = to_texels(bust.places, size).reshape(-1, 3)
    weave = lay_out_weave(pixels, own, main, float(camera.scale_px), points, normals).reshape(size, size, 3)
    plain = np.broadcast_to(main, logs.shape)
    if (seen.cloth > 0).any():
        # What is beside another color, a badge or the shadow of a hand, does not go on in that.
        trusted = seen.cloth * (compare_to(logs, main) + INNER)
        plain = spread_colors(logs - light, trusted, size, NEAR_WIDTHS, main)
    return plain + light + weave


def measure_depth(places: Float[np.ndarray, "r c 3"], ring_row: int, size: int) -> Float[np.ndarray, "t t"]:
    """Meters below the ring along the columns, negative above, by texel."""
    steps = np.linalg.norm(np.diff(places, axis=0, prepend=places[:1]), axis=-1).mean(1)
    below = np.cumsum(steps) - np.cumsum(steps)[ring_row]
    return to_texels(np.repeat(below[:, None], places.shape[1], 1), size)


def _project(photo: Image, camera: Camera, bust: Bust, shares: PersonShares, content: Head, size: int) -> Seen:
    view = to_numpy(camera.rotation, np.float64)[2]
    facing = to_texels(grid_normals(bust.places) @ view, size)
    points = to_texels(bust.places, size)
    pixels = project_places(points, camera)
    step = np.linalg.norm(np.diff(pixels, axis=1, append=pixels[:, :1]), axis=-1)
    masks = [
        erode_mask(from_numpy(mask.astype(np.float32), photo), MARGIN * camera.scale_px)
        for mask in (shares.cloth, shares.bare)
    ]
    picture = from_numpy(np.concatenate([to_numpy(photo), np.stack(masks)]), photo)
    height, width = photo.shape[1:]
    uv = from_numpy((pixels / [width, height]).reshape(-1, 2).astype(np.float32), photo)
    samples = sample_mipmapped(picture, uv, from_numpy(step.reshape(-1).clip(1, 16).astype(np.float32), photo))
    samples = to_numpy(samples.T).reshape(size, size, 5).clip(0, 1)
    inside = ((pixels > 0) & (pixels < [width, height])).all(-1)
    # Hair does not hide: its pixels are its own.
    weights = smoothstep(facing, *FACING) * inside * find_visible(points, bust.places, content.mesh, camera)
    cloth_seen, skin_seen = (weights * smoothstep(samples[..., k], *OWN_SHARE) for k in (3, 4))
    return Seen(samples[..., :3], cloth_seen, skin_seen)


def find_ring_colors(head: Head, model: HeadModel) -> Float[np.ndarray, "c 3"]:
    """Colors of the head's own neck along its lower end, one for each column of the torso."""
    texels = locate_head_texels(model, head.texture.shape[-1])
    vertices = to_numpy(head.mesh.vertices, np.float64)
    surface = texels.interpolation @ vertices
    neck = texels.in_regions("neck") > 0
    colors = to_numpy(head.texture).reshape(3, -1)[:, texels.texel_ids[neck]].T
    _, nearest = KDTree(surface[neck]).query(load_torso_model().follow_ring(vertices), k=SKIN_NEIGHBORS)
    return colors[nearest].mean(1).astype(np.float64)


def meet_neck(bust: Layer, bare: Float[Tensor, "t t"], head: Head, model: HeadModel) -> Image:
    """The texture of a bust under ``head`` with the neck's own color where bare skin begins there, and its own further
    down. ``bare``: where it shows skin, 0..1."""
    torso, size = load_torso_model(), bust.texture.shape[-1]
    ring = find_ring_colors(head, model)
    places = list_rows(bust.mesh, len(ring))
    texture = to_numpy(bust.texture, np.float64).transpose(1, 2, 0)
    at = int((torso.ring_row + 0.5) / len(places) * size)
    columns = (np.arange(size) + 0.5) / size * len(ring)
    wanted = np.stack([np.interp(columns, np.arange(len(ring)), axis, period=len(ring)) for axis in ring.T], 1)
    missed = np.log(wanted + DARKEST) - np.log(texture[at] + DARKEST)
    fade = 1 - smoothstep(measure_depth(places, torso.ring_row, size).clip(0), 0.0, MEETING)
    is_bare = smoothstep(to_numpy(bare, np.float64), *DRESSED)
    share = is_bare * is_bare[at] * fade  # below cloth there is no skin to meet
    met = np.exp(np.log(texture + DARKEST) + share[..., None] * missed) - DARKEST
    return from_numpy(met.clip(0, 1).transpose(2, 0, 1).astype(np.float32), bust.texture)
