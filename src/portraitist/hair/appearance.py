"""Color of a layer: the photo where it shows the shell, continued around the head from there."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

from portraitist.devices import from_numpy, to_numpy
from portraitist.hair.shell import HairShell
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.patch_noise import Example, lay_out
from portraitist.rendering.sampling import sample_mipmapped
from portraitist.rendering.shader_math import mix, smoothstep
from portraitist.types import Camera, Image
from portraitist.unwrapping.projection import erode_mask

FACING = (0.15, 0.45)  # cosine to the line of sight: too slanted to be read, read
MARGIN = 0.0015  # meters by which the layer's border is moved inwards, where colors are mixed
OWN_SHARE = (0.9, 1.0)  # of the layer in a pixel: along the border colors are mixed
BROAD = 8.0  # texels of 1024: the least width over which colors are spread
SHARP = 0.003  # meters: detail is what is finer
PIECE_RADIUS = 0.02  # meters, of what unseen hair is made of
QUIET = 0.75  # share of them that is used: the loudest are jewelry and stains
COARSER = 4  # than texels: that blurs need no more
WIDENING = 4.0  # from one width to the next, in which broad colors are spread
WIDTHS = 4
LEAST_KNOWN = 0.02  # share of known surroundings from which a narrower mean is believed


def paint_layer(
    photo: Image,
    camera: Camera,
    shell: HairShell,
    share: Float[np.ndarray, "h w"],
    size: int,
    *,
    strands: bool,
) -> Image:
    """Texture of the layer whose ``share`` 0..1 of the photo's pixels is given, sRGB ``[3, size, size]``.

    ``strands``: whether what the photo does not show is as fine as the rest. Hair is; of a hat, with its emblems and
    edges, nobody knows, and it goes on plain.
    """
    colors, weights = _project(photo, camera, shell, share, size)
    if not (weights > 0).any():  # so narrow that no texel is surely its own
        own = to_numpy(photo)[:, share > share.max() / 2]
        return from_numpy(np.broadcast_to(own.mean(1)[:, None, None], (3, size, size)).copy(), photo)
    spread = spread_colors(np.log(colors + DARKEST), weights, size)
    detail = _lay_out_strands(photo, camera, shell, share, size) if strands else 0.0
    filled = np.exp(spread + detail) - DARKEST
    texture = mix(filled, colors, weights[..., None]).clip(0, 1).astype(np.float32)
    return from_numpy(np.ascontiguousarray(texture.transpose(2, 0, 1)), photo)


def _project(
    photo: Image, camera: Camera, shell: HairShell, share: Float[np.ndarray, "h w"], size: int
) -> tuple[Float[np.ndarray, "t t 3"], Float[np.ndarray, "t t"]]:
    """Colors of the texels as the photo shows them, and how much each counts."""
    places = shell.chart.place(shell.radii)
    normals = vertex_normals(places.reshape(-1, 3), shell.chart.faces).reshape(places.shape)
    facing = normals @ to_numpy(camera.rotation, np.float64)[2]
    points = to_texels(places, size)
    flat = from_numpy(points.reshape(-1, 3).astype(np.float32), photo)
    pixels = camera.project(flat)
    across = pixels.reshape(size, size, 2).diff(dim=1, append=pixels.reshape(size, size, 2)[:, :1]).norm(dim=-1)
    height, width = photo.shape[1:]
    own = erode_mask(from_numpy(share.astype(np.float32), photo), MARGIN * float(camera.scale_px))
    picture = np.concatenate([to_numpy(photo), own[None]])
    uv = pixels / pixels.new_tensor([width, height])
    samples = sample_mipmapped(from_numpy(picture, photo), uv, across.reshape(-1).clamp(1, 16))
    samples = to_numpy(samples.T).reshape(size, size, 4).clip(0, 1)
    inside = to_numpy(((uv > 0) & (uv < 1)).all(1)).reshape(size, size)
    weights = smoothstep(to_texels(facing, size), *FACING) * smoothstep(samples[..., 3], *OWN_SHARE)
    return samples[..., :3], weights * to_texels(shell.seen.astype(float), size) * inside


def to_texels(values: Float[np.ndarray, "r c *d"], size: int) -> Float[np.ndarray, "t t *d"]:
    """Values at the chart's rays, between them."""
    rows, columns = values.shape[:2]
    at = np.mgrid[:size, :size] + 0.5
    where = (at[1] / size * columns).astype(np.float32), (at[0] / size * rows - 0.5).astype(np.float32)
    around = np.concatenate([values, values[:, :1]], 1).astype(np.float32)
    return cv2.remap(around, *where, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def spread_colors(
    logs: Float[np.ndarray, "t t 3"],
    weights: Float[np.ndarray, "t t"],
    size: int,
    widths: int = WIDTHS,
    far: Float[np.ndarray, "3"] | None = None,
) -> Float[np.ndarray, "t t 3"]:
    """Broad colors around each texel, spread to where none is known: means over ever wider surroundings, the narrowest
    that holds enough; where none does the color ``far``, or the mean of all."""
    weighted = np.concatenate([logs * weights[..., None], weights[..., None]], 2)
    small = cv2.resize(weighted, None, fx=1 / COARSER, fy=1 / COARSER, interpolation=cv2.INTER_AREA)
    means, known = [], []
    for step in range(widths):
        blurred = _blur(small, BROAD / COARSER * size / 1024 * WIDENING**step)
        known.append(blurred[..., 3:])
        means.append(blurred[..., :3] / np.maximum(known[-1], 1e-9))
    mean = small[..., :3].sum((0, 1)) / small[..., 3].sum()
    spread = np.broadcast_to(mean if far is None else far, means[0].shape)
    for mean, count in zip(reversed(means), reversed(known), strict=True):
        spread = mix(spread, mean, count / (count + LEAST_KNOWN))
    return cv2.resize(spread, weights.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _blur(values: Float[np.ndarray, "t t *c"], sigma: float) -> Float[np.ndarray, "t t *c"]:
    """Gaussian mean, around the head without an end."""
    margin = min(int(3 * sigma) + 1, values.shape[1])
    wide = np.concatenate([values[:, -margin:], values, values[:, :margin]], 1)
    blurred = cv2.GaussianBlur(wide, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return blurred[:, margin : margin + values.shape[1]]


def _lay_out_strands(
    photo: Image, camera: Camera, shell: HairShell, share: Float[np.ndarray, "h w"], size: int
) -> Float[np.ndarray, "t t 3"]:
    """Logarithms of detail for the whole layer: pieces of the photo's hair as large as they are, falling straight."""
    px_per_m = float(camera.scale_px)
    logs = np.log(to_numpy(photo).transpose(1, 2, 0) + DARKEST)
    own = (share > 0.5).astype(np.float32)
    sigma = SHARP * px_per_m
    blurred = cv2.GaussianBlur(np.dstack([logs * own[..., None], own]), (0, 0), sigma)
    detail = (logs - blurred[..., :3] / np.maximum(blurred[..., 3:], 1e-6)) * own[..., None]
    example = Example.cut(detail.astype(np.float32), own > 0, PIECE_RADIUS * px_per_m, px_per_m, QUIET).stand_up()
    places = shell.chart.place(shell.radii)
    normals = vertex_normals(places.reshape(-1, 3), shell.chart.faces).reshape(places.shape)
    points, facing = (to_texels(each, size).reshape(-1, 3) for each in (places, normals))
    facing = facing / np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-9)
    laid = lay_out(example, points, facing, np.random.default_rng(0))
    return laid.reshape(size, size, 3)
