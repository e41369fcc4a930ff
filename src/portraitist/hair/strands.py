"""Hair where the photo shows none: line integral convolution of noise along an orientation field (Cabral and Leedom
1993). The orientation is that of the seen hair next to it; far from it, that of short hair around a whorl.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from jaxtyping import Float, Int

from portraitist.devices import to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_poisson import HeadPoisson
from portraitist.reconstruction.head_texels import DARKEST, HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, smoothstep

WHORL_DIRECTION = np.array([0.0, 0.85, -0.53])  # from the middle of the head
WHORL_TURN = 1.3  # radians by which strands turn around the whorl at its middle
WHORL_REACH = 0.06  # meters from the whorl at which the turn is down to 1/e
DATA_STRENGTH = 30.0  # of seen directions, against differences of order one
RETURN_REACH = 0.05  # meters from seen hair at which its directions count as much as the whorl's
GRADIENT_RADIUS = 2.0  # texels of 1024
SURROUNDED = (0.8, 0.95)  # mean weight around a texel: its gradient is an edge of what is seen, is the hair's
FLOW_RADIUS = 4.0  # texels of 1024: the layout stretches each triangle differently
LIC_STEPS = (0.0007, 0.0021, 0.0063, 0.0126)  # meters: passes of three points each draw strands out to 43 mm
STRAND_MIX = (1.0, 0.7)  # of fine and coarse strands
SEAM_WIDTH = 0.0015  # meters


def synthesize_strands(
    seen: TexelColors, hair_weights: Float[np.ndarray, "k"], texels: HeadTexels, model: HeadModel, poisson: HeadPoisson
) -> Float[np.ndarray, "k"]:
    """Unit-variance noise as hair has it. ``hair_weights``: 0..1, how surely a texel shows the photo's hair."""
    directions = estimate_orientation_field(seen, hair_weights, texels, model, poisson)
    (ids,) = np.nonzero(texels.in_regions("scalp", "skin", "neck", "ears"))
    flow = np.zeros((len(hair_weights), 2), np.float32)
    flow[ids] = texels.directions_to_uv(interpolate_orientations(directions, texels, ids), ids)
    strands = line_integral_convolution(texels.strand_noise, texels.smooth(flow, FLOW_RADIUS), texels)
    strands = close_seam(strands @ np.array(STRAND_MIX, np.float32), texels, model)
    return strands / max(float(strands[texels.in_regions("scalp")].std()), 1e-6)


def estimate_orientation_field(
    seen: TexelColors, hair_weights: Float[np.ndarray, "k"], texels: HeadTexels, model: HeadModel, poisson: HeadPoisson
) -> Float[np.ndarray, "n 3"]:
    """Orientation field: unit direction of the hair at each vertex. Its sign means nothing.

    The structure tensor of the photo's brightness is spread over the head by a screened Poisson problem, in which
    hairs around a whorl are the prior; its main axis in the tangent plane is the orientation.
    """
    normals, whorl = make_whorl_field(model)
    gradients = measure_gradients(seen, texels) * np.sqrt(hair_weights)[:, None]
    first, second = np.triu_indices(3)
    means, _ = texels.vertex_means(gradients[:, first] * gradients[:, second], np.ones_like(hair_weights))
    observed, _ = texels.vertex_means(hair_weights[:, None], np.ones_like(hair_weights))
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
    mean = tensor * data[:, None, None] + whorl[:, :, None] * whorl[:, None] * prior[:, None, None]
    spread = poisson.solve(mean[:, first, second] / own[:, None], own)
    tensor[:, first, second] = tensor[:, second, first] = spread
    flat = np.eye(3) - normals[:, :, None] * normals[:, None]
    lines = np.linalg.eigh(flat @ tensor @ flat)[1][:, :, 2]
    return (lines * np.copysign(1, (lines * whorl).sum(1, keepdims=True))).astype(np.float32)


@functools.lru_cache(maxsize=2)
def make_whorl_field(model: HeadModel) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Vertex normals, and unit tangents that leave the crown in a spiral and run down the head."""
    vertices = to_numpy(model.mean, np.float64)
    normals = vertex_normals(vertices, to_numpy(model.faces)).astype(np.float64)
    center = vertices[to_numpy(model.vertex_ids("scalp"))].mean(0) * np.array([0, 1, 1])
    arms = vertices - center
    pole = WHORL_DIRECTION / np.linalg.norm(WHORL_DIRECTION)
    outward = np.cross(normals, np.cross(arms, pole))
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    distance = np.linalg.norm(arms - (arms @ pole)[:, None] * pole, axis=1) + 1e3 * (arms @ pole < 0)
    angle = WHORL_TURN * np.exp(-((distance / WHORL_REACH) ** 2))[:, None]
    return normals, np.cos(angle) * outward + np.sin(angle) * np.cross(normals, outward)


def measure_gradients(seen: TexelColors, texels: HeadTexels) -> Float[np.ndarray, "k 3"]:
    """Gradient of log brightness in head space at texels, 0 where its surroundings are not all seen."""
    brightness = texels.smooth(np.log(luminance(seen.colors) + DARKEST), GRADIENT_RADIUS / 2)
    picture = texels.to_texture(brightness)
    gradients = np.stack([cv2.Scharr(picture, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1))], axis=-1)
    inside = smoothstep(texels.smooth(seen.weights, 2 * GRADIENT_RADIUS), *SURROUNDED)
    return texels.gradients_from_uv(gradients.reshape(-1, 2)[texels.texel_ids] * inside[:, None])


def interpolate_orientations(
    directions: Float[np.ndarray, "n 3"], texels: HeadTexels, ids: Int[np.ndarray, "m"]
) -> Float[np.ndarray, "m 3"]:
    """Orientations (directions without sign) from vertices to the texels ``ids``: the corners of each triangle are
    first made to agree."""
    first, *others = (directions[corner_ids] for corner_ids in texels.interpolation.indices.reshape(-1, 3)[ids].T)
    weights = texels.interpolation.data.astype(np.float32).reshape(-1, 3)[ids]
    total = weights[:, :1] * first
    for corner, weight in zip(others, weights.T[1:], strict=True):
        total += np.copysign(weight, np.einsum("kc,kc->k", first, corner))[:, None] * corner
    return total


def line_integral_convolution(
    noise: Float[np.ndarray, "k c"], flow: Float[np.ndarray, "k 2"], texels: HeadTexels
) -> Float[np.ndarray, "k c"]:
    """Mean of ``noise`` along ``flow`` (texels per meter): a pass of three points for each of `LIC_STEPS`."""
    rows, columns = np.mgrid[: texels.size, : texels.size].astype(np.float32)
    picture, right, down = noise[texels.nearest_ids], *np.moveaxis(flow[texels.nearest_ids], -1, 0).astype(np.float32)
    for step in LIC_STEPS:
        ahead, behind = (
            cv2.remap(picture, columns + x * right, rows + x * down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for x in (step, -step)
        )
        picture = (picture + ahead + behind) / 3
    return picture.reshape(texels.size**2, -1)[texels.texel_ids]


def close_seam(noise: Float[np.ndarray, "k"], texels: HeadTexels, model: HeadModel) -> Float[np.ndarray, "k"]:
    """Make both sides of the cut, which lies in the middle plane, agree to the last texel: strands are hardly wider."""
    sideways = texels.interpolation @ to_numpy(model.mean)[:, 0]
    share = np.exp(-((sideways / SEAM_WIDTH) ** 2)) / 2
    return (noise + (noise[texels.mirror_ids] - noise) * share).astype(np.float32)
