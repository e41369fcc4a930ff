"""Hair where the photo shows none: noise drawn out along the hair's direction (line integral convolution, Cabral and
Leedom 1993). The direction is that of the seen hair next to it; far from it, that of short hair around a whorl.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from jaxtyping import Float, Int

from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_poisson import HeadPoisson
from portraitist.reconstruction.head_texels import DARKEST, HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, smoothstep

CROWN = np.array([0.0, 0.85, -0.53])  # direction from the middle of the head to its whorl
SWIRL, SWIRL_REACH = 1.3, 0.06  # radians by which strands turn around the whorl at its middle; meters
JOINED_WIDTH = 0.0015  # meters
STEPS = (0.0007, 0.0021, 0.0063, 0.0126)  # meters: passes of three points each draw strands out to 43 mm
MIX = (1.0, 0.7)  # of fine and coarse strands
DATA_STRENGTH, RETURN_REACH = 30.0, 0.05  # of seen directions; meters from them at which they count as much as the comb
SLOPE_RADIUS, FLOW_RADIUS = 2.0, 4.0  # texels of 1024: the layout stretches each triangle differently


def draw_strands(
    seen: TexelColors, hair_weights: Float[np.ndarray, "k"], atlas: HeadTexels, model: HeadModel, poisson: HeadPoisson
) -> Float[np.ndarray, "k"]:
    """Unit-variance noise as hair has it. ``hair_weights``: 0..1, how surely a texel shows the photo's hair."""
    directions = orient_hair(seen, hair_weights, atlas, model, poisson)
    (ids,) = np.nonzero(atlas.in_regions("scalp", "skin", "neck", "ears"))
    flow = np.zeros((len(hair_weights), 2), np.float32)
    flow[ids] = atlas.to_uv(interpolate_lines(directions, atlas, ids), ids)
    strands = draw_out(atlas.grains, atlas.smooth(flow, FLOW_RADIUS), atlas)
    strands = join_sides(strands @ np.array(MIX, np.float32), atlas, model)
    return strands / max(float(strands[atlas.in_regions("scalp")].std()), 1e-6)


def orient_hair(
    seen: TexelColors, hair_weights: Float[np.ndarray, "k"], atlas: HeadTexels, model: HeadModel, poisson: HeadPoisson
) -> Float[np.ndarray, "n 3"]:
    """Unit direction of the hair at each vertex, rather down than up the head; its sign means nothing."""
    normals, combed = comb_around_whorl(model)
    slopes = measure_slopes(seen, atlas) * np.sqrt(hair_weights)[:, None]
    first, second = np.triu_indices(3)
    means, _ = atlas.vertex_means(slopes[:, first] * slopes[:, second], np.ones_like(hair_weights))
    observed, _ = atlas.vertex_means(hair_weights[:, None], np.ones_like(hair_weights))
    tensor = np.zeros((len(means), 3, 3))
    tensor[:, first, second] = tensor[:, second, first] = means
    # Brightness changes across strands: what is left of the tangent plane is their direction.
    turn = np.cross(normals[:, None], np.eye(3))  # v -> n x v, by rows
    tensor = np.swapaxes(turn, 1, 2) @ tensor @ turn
    strength = np.trace(tensor, axis1=1, axis2=2)
    tensor /= np.maximum(strength, 1e-12)[:, None, None]
    data = DATA_STRENGTH * observed[:, 0] ** 2 * (strength > 0)
    prior = np.full_like(data, 1e-6)
    prior[poisson.ids] = poisson.areas / RETURN_REACH**2
    own = data + prior
    mean = tensor * data[:, None, None] + combed[:, :, None] * combed[:, None] * prior[:, None, None]
    spread = poisson.solve(mean[:, first, second] / own[:, None], own)
    tensor[:, first, second] = tensor[:, second, first] = spread
    flat = np.eye(3) - normals[:, :, None] * normals[:, None]
    lines = np.linalg.eigh(flat @ tensor @ flat)[1][:, :, 2]
    return (lines * np.copysign(1, (lines * combed).sum(1, keepdims=True))).astype(np.float32)


@functools.lru_cache(maxsize=2)
def comb_around_whorl(model: HeadModel) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Vertex normals, and unit tangents that leave the crown in a spiral and run down the head."""
    vertices = model.mean.double().numpy()
    normals = vertex_normals(vertices, model.faces.numpy()).astype(np.float64)
    center = vertices[model.vertex_ids("scalp").numpy()].mean(0) * np.array([0, 1, 1])
    arms = vertices - center
    pole = CROWN / np.linalg.norm(CROWN)
    outward = np.cross(normals, np.cross(arms, pole))
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    distance = np.linalg.norm(arms - (arms @ pole)[:, None] * pole, axis=1) + 1e3 * (arms @ pole < 0)
    angle = SWIRL * np.exp(-((distance / SWIRL_REACH) ** 2))[:, None]
    return normals, np.cos(angle) * outward + np.sin(angle) * np.cross(normals, outward)


def measure_slopes(seen: TexelColors, atlas: HeadTexels) -> Float[np.ndarray, "k 3"]:
    """Gradient of log brightness in head space at texels, 0 where its surroundings are not all seen."""
    brightness = atlas.smooth(np.log(luminance(seen.colors) + DARKEST), SLOPE_RADIUS / 2)
    picture = atlas.to_map(brightness)
    slopes = np.stack([cv2.Scharr(picture, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1))], axis=-1)
    inside = smoothstep(atlas.smooth(seen.weights, 2 * SLOPE_RADIUS), 0.8, 0.95)
    return atlas.from_uv(slopes.reshape(-1, 2)[atlas.texel_ids] * inside[:, None])


def interpolate_lines(
    directions: Float[np.ndarray, "n 3"], atlas: HeadTexels, texels: Int[np.ndarray, "m"]
) -> Float[np.ndarray, "m 3"]:
    """Directions without sign from vertices to the given texels: each triangle's corners are first made to agree."""
    first, *others = (directions[ids] for ids in atlas.interpolation.indices.reshape(-1, 3)[texels].T)
    weights = atlas.interpolation.data.astype(np.float32).reshape(-1, 3)[texels]
    total = weights[:, :1] * first
    for corner, weight in zip(others, weights.T[1:], strict=True):
        total += np.copysign(weight, np.einsum("kc,kc->k", first, corner))[:, None] * corner
    return total


def draw_out(
    noise: Float[np.ndarray, "k c"], flow: Float[np.ndarray, "k 2"], atlas: HeadTexels
) -> Float[np.ndarray, "k c"]:
    """Mean of ``noise`` along ``flow`` (texels per meter): three passes of three points."""
    rows, columns = np.mgrid[: atlas.size, : atlas.size].astype(np.float32)
    picture, right, down = noise[atlas.nearest], *np.moveaxis(flow[atlas.nearest], -1, 0).astype(np.float32)
    for step in STEPS:
        ahead, behind = (
            cv2.remap(picture, columns + x * right, rows + x * down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for x in (step, -step)
        )
        picture = (picture + ahead + behind) / 3
    return picture.reshape(atlas.size**2, -1)[atlas.texel_ids]


def join_sides(noise: Float[np.ndarray, "k"], atlas: HeadTexels, model: HeadModel) -> Float[np.ndarray, "k"]:
    """Make both sides of the cut, which lies in the middle plane, agree to the last texel: strands are hardly wider."""
    sideways = atlas.interpolation @ model.mean.numpy()[:, 0]
    share = np.exp(-((sideways / JOINED_WIDTH) ** 2)) / 2
    return (noise + (noise[atlas.mirror_ids] - noise) * share).astype(np.float32)
