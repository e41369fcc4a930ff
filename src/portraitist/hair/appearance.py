"""Color of a layer: the photo where it shows the shell, continued around the head from there."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

from portraitist.devices import from_numpy, to_numpy
from portraitist.hair.shell import HairShell
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.sampling import sample_mipmapped
from portraitist.rendering.shader_math import mix, smoothstep
from portraitist.types import Camera, Image

FACING = (0.05, 0.3)  # cosine to the line of sight: too slanted to be read, read
OWN_SHARE = (0.9, 1.0)  # of the layer in a pixel: along the border colors are mixed
SHARP = 8.0  # texels of 1024: detail is what is finer
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
) -> Image:
    """Texture of the layer whose ``share`` 0..1 of the photo's pixels is given, sRGB ``[3, size, size]``."""
    colors, weights = _project(photo, camera, shell, share, size)
    if not (weights > 0).any():  # so narrow that no texel is surely its own
        own = to_numpy(photo)[:, share > share.max() / 2]
        return from_numpy(np.broadcast_to(own.mean(1)[:, None, None], (3, size, size)).copy(), photo)
    logs = np.log(colors + DARKEST)
    broad, spread = _spread(logs, weights, size)
    filled = np.exp(spread + _synthesize_detail(logs - broad, weights)) - DARKEST
    texture = mix(filled, colors, weights[..., None]).clip(0, 1).astype(np.float32)
    return from_numpy(np.ascontiguousarray(texture.transpose(2, 0, 1)), photo)


def _project(
    photo: Image, camera: Camera, shell: HairShell, share: Float[np.ndarray, "h w"], size: int
) -> tuple[Float[np.ndarray, "t t 3"], Float[np.ndarray, "t t"]]:
    """Colors of the texels as the photo shows them, and how much each counts."""
    places = shell.chart.place(shell.radii)
    normals = vertex_normals(places.reshape(-1, 3), shell.chart.faces).reshape(places.shape)
    facing = normals @ to_numpy(camera.rotation, np.float64)[2]
    rows, columns = shell.radii.shape
    at = np.mgrid[:size, :size] + 0.5
    where = (at[1] / size * columns).astype(np.float32), (at[0] / size * rows - 0.5).astype(np.float32)

    def to_texels(values: Float[np.ndarray, "r c *d"]) -> Float[np.ndarray, "t t *d"]:
        around = np.concatenate([values, values[:, :1]], 1).astype(np.float32)
        return cv2.remap(around, *where, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    points = to_texels(places)
    flat = from_numpy(points.reshape(-1, 3).astype(np.float32), photo)
    pixels = camera.project(flat)
    across = pixels.reshape(size, size, 2).diff(dim=1, append=pixels.reshape(size, size, 2)[:, :1]).norm(dim=-1)
    height, width = photo.shape[1:]
    picture = np.concatenate([to_numpy(photo), share[None].astype(np.float32)])
    uv = pixels / pixels.new_tensor([width, height])
    samples = sample_mipmapped(from_numpy(picture, photo), uv, across.reshape(-1).clamp(1, 16))
    samples = to_numpy(samples.T).reshape(size, size, 4).clip(0, 1)
    inside = to_numpy(((uv > 0) & (uv < 1)).all(1)).reshape(size, size)
    weights = smoothstep(to_texels(facing), *FACING) * smoothstep(samples[..., 3], *OWN_SHARE)
    return samples[..., :3], weights * to_texels(shell.seen.astype(float)) * inside


def _spread(
    logs: Float[np.ndarray, "t t 3"], weights: Float[np.ndarray, "t t"], size: int
) -> tuple[Float[np.ndarray, "t t 3"], Float[np.ndarray, "t t 3"]]:
    """Broad colors around each texel, and the same spread to where none is known: means over ever wider surroundings,
    the narrowest that holds enough."""
    weighted = np.concatenate([logs * weights[..., None], weights[..., None]], 2)
    small = cv2.resize(weighted, None, fx=1 / COARSER, fy=1 / COARSER, interpolation=cv2.INTER_AREA)
    means, known = [], []
    for step in range(WIDTHS):
        blurred = _blur(small, SHARP / COARSER * size / 1024 * WIDENING**step)
        known.append(blurred[..., 3:])
        means.append(blurred[..., :3] / np.maximum(known[-1], 1e-9))
    spread = np.broadcast_to(small[..., :3].sum((0, 1)) / small[..., 3].sum(), means[0].shape)
    for mean, count in zip(reversed(means), reversed(known), strict=True):
        spread = mix(spread, mean, count / (count + LEAST_KNOWN))
    broad, spread = (
        cv2.resize(each, weights.shape[::-1], interpolation=cv2.INTER_LINEAR) for each in (means[0], spread)
    )
    return broad, spread


def _blur(values: Float[np.ndarray, "t t *c"], sigma: float) -> Float[np.ndarray, "t t *c"]:
    """Gaussian mean, around the head without an end."""
    margin = min(int(3 * sigma) + 1, values.shape[1])
    wide = np.concatenate([values[:, -margin:], values, values[:, :margin]], 1)
    blurred = cv2.GaussianBlur(wide, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return blurred[:, margin : margin + values.shape[1]]


def _synthesize_detail(
    detail: Float[np.ndarray, "t t 3"], weights: Float[np.ndarray, "t t"]
) -> Float[np.ndarray, "t t 3"]:
    """Detail like that which is seen, everywhere: spot noise (van Wijk 1991) with all that is seen as the spot, which
    has the same spectrum and so the same width and direction of strands. Around the head it has no end."""
    spot = detail * np.sqrt(weights)[..., None]
    noise = np.random.default_rng(0).standard_normal(weights.shape).astype(np.float32)
    axes = (0, 1)
    drawn = np.fft.irfft2(np.fft.rfft2(noise)[..., None] * np.fft.rfft2(spot, axes=axes), s=weights.shape, axes=axes)
    return (drawn / np.sqrt(weights.sum())).astype(np.float32)
