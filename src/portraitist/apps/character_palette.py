"""What a stylized head tells about the paint of the rest of the person: tones of its skin, strokes, and colors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.cameras import head_camera
from portraitist.rendering.layers import list_parts, rasterize_parts
from portraitist.rendering.patch_noise import Example
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import shade, shade_parts
from portraitist.rendering.shader_math import luminance
from portraitist.types import REGIONS, Camera, Fragments, Head

VIEW_PX = 640
VIEW_YAWS_DEG = (0.0, 35.0, -35.0)
STROKE = 0.006  # meters: what is finer is stroke, broader is shade
PIECE_RADIUS = 0.014  # meters, of what strokes are taken from
QUIET = 0.35  # share of the pieces that is used: the others are wrinkles, shadows and features
FACING = 0.6  # cosine to the line of sight from which on paint is read
TONES = 32  # steps of a ramp
SMOOTH_TONES = 3.0  # steps that a tone is the mean of: hues of one light may differ


@dataclass(frozen=True, eq=False)
class Ramp:
    """Colors of one material from its darkest to its lightest, sRGB 0..1, as logarithms."""

    logs: Float[np.ndarray, "n 3"]

    @classmethod
    def measure(cls, colors: Float[np.ndarray, "k 3"]) -> Ramp:
        """Of samples of the material: at each share of its brightness the mean of what is as bright."""
        logs = np.log(colors + DARKEST)
        order = np.argsort(luminance(colors), kind="stable")
        steps = np.array([part.mean(0) for part in np.array_split(logs[order], TONES)])
        return cls(gaussian_filter1d(steps, SMOOTH_TONES, axis=0, mode="nearest"))

    @property
    def middle(self) -> Float[np.ndarray, "3"]:
        """sRGB of its median."""
        return np.exp(self.logs[TONES // 2]) - DARKEST

    def look_up(self, tones: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k 3"]:
        """Logarithms at 0..1, dark to light."""
        at = tones.clip(0, 1) * (len(self.logs) - 1)
        return np.stack([np.interp(at, np.arange(len(self.logs)), axis) for axis in self.logs.T], 1)

    def recolor(self, color: Float[np.ndarray, "3"]) -> Ramp:
        """The same light and shade on something of another color."""
        gray = self.logs.mean(1, keepdims=True)
        return replace(self, logs=np.log(color + DARKEST) + gray - gray[TONES // 2])


@dataclass(frozen=True, eq=False)
class Palette:
    """``skin``: tones of the face. ``strokes``: how it is painted. ``covers``: the same of hair, headwear and bust,
    where a head has them."""

    skin: Ramp
    strokes: Example
    covers: dict[str, Ramp]


def read_palette(head: Head) -> Palette:
    """From pictures of a stylized head. Its own texture is that of a bare head, so hair over it is left away for its
    skin."""
    cameras = [head_camera(replace(head, layers=()), yaw, 0.0, VIEW_PX) for yaw in VIEW_YAWS_DEG]
    pictures, masks = zip(*(_look_at_skin(head, camera) for camera in cameras), strict=True)
    px_per_m = float(cameras[0].scale_px)
    details = [find_strokes(*view, STROKE * px_per_m) for view in zip(pictures, masks, strict=True)]
    skin = np.concatenate([picture[mask] for picture, mask in zip(pictures, masks, strict=True)])
    usable = np.concatenate([np.pad(mask[1:-1, 1:-1], 1) for mask in masks], 1)
    strokes = Example.cut(np.concatenate(details, 1), usable, PIECE_RADIUS * px_per_m, px_per_m, QUIET)
    return Palette(Ramp.measure(skin), strokes, _read_covers(head, cameras[0]))


def _look_at_skin(head: Head, camera: Camera) -> tuple[Float[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """A picture of a bare head, and where it shows skin of the face from the front."""
    seen = rasterize(head.mesh, camera)
    picture = to_numpy(shade(seen, head.texture, head.texture.new_ones(3)), np.float64).transpose(1, 2, 0)
    return picture, to_numpy(find_skin(head, seen, camera))


def find_skin(head: Head, seen: Fragments, camera: Camera) -> Bool[Tensor, "h w"]:
    """Which pixels show skin of the face, and not from the side. ``seen``: of the head's own mesh."""
    normals = vertex_normals(to_numpy(head.mesh.vertices), to_numpy(head.mesh.faces)) @ to_numpy(camera.rotation)[2]
    facing = from_numpy(normals[to_numpy(head.mesh.faces)].astype(np.float32), head.texture)
    ids = seen.face_ids.clamp(min=0)
    is_skin = head.mesh.regions[ids] == REGIONS.index("skin")
    return seen.mask & is_skin & ((facing[ids] * seen.barycentrics).sum(-1) > FACING)


def find_strokes(
    picture: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"], sigma: float
) -> Float[np.ndarray, "h w 3"]:
    """Logarithms against their surroundings on the mask."""
    own = mask.astype(np.float32)[..., None]
    logs = np.log(picture + DARKEST).astype(np.float32) * own
    broad = cv2.GaussianBlur(np.dstack([logs, own]), (0, 0), sigma)
    return own * (logs - broad[..., :3] / broad[..., 3:].clip(1e-6))


def _read_covers(head: Head, camera: Camera) -> dict[str, Ramp]:
    meshes, textures = zip(*list_parts(head), strict=True)
    parts = rasterize_parts(meshes, camera)
    picture = to_numpy(shade_parts(parts, textures, head.texture.new_ones(3)), np.float64).transpose(1, 2, 0)
    colors = {layer.name: picture[to_numpy(seen.mask)] for layer, seen in zip(head.layers, parts[1:], strict=True)}
    return {name: Ramp.measure(own) for name, own in colors.items() if len(own) >= TONES}
