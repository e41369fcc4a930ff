"""What a stylized head tells about the paint of the rest of the person: tones of its skin, strokes, and colors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from portraitist.devices import to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.cameras import head_camera
from portraitist.rendering.layers import list_parts, rasterize_parts
from portraitist.rendering.patch_noise import Example
from portraitist.rendering.sampling import shade_parts
from portraitist.rendering.shader_math import luminance
from portraitist.types import REGIONS, Head

VIEW_PX = 640
VIEW_YAWS_DEG = (0.0, 35.0, -35.0)
STROKE = 0.006  # meters: what is finer is stroke, broader is shade
PIECE_RADIUS = 0.014  # meters, of what strokes are taken from
QUIET = 0.6  # share of the pieces that is used: the others are wrinkles, shadows and features
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
    """From pictures of a stylized head."""
    details, usable, skin, covers = [], [], [], {}
    normals = vertex_normals(to_numpy(head.mesh.vertices), to_numpy(head.mesh.faces))
    faces, regions = to_numpy(head.mesh.faces), to_numpy(head.mesh.regions)
    meshes, textures = zip(*list_parts(head), strict=True)
    bare = replace(head, layers=())
    for yaw in VIEW_YAWS_DEG:
        camera = head_camera(bare, yaw, 0.0, VIEW_PX)
        parts = rasterize_parts(meshes, camera)
        picture = to_numpy(shade_parts(parts, textures, head.texture.new_ones(3)), np.float64).transpose(1, 2, 0)
        own = parts[0]
        ids = to_numpy(own.face_ids).clip(0)
        facing = (
            np.einsum("hwcd,hwc->hwd", normals[faces[ids]], to_numpy(own.barycentrics)) @ to_numpy(camera.rotation)[2]
        )
        is_skin = to_numpy(own.mask) & (regions[ids] == REGIONS.index("skin")) & (facing > FACING)
        skin.append(picture[is_skin])
        for layer, seen in zip(head.layers, parts[1:], strict=True):
            covers.setdefault(layer.name, []).append(picture[to_numpy(seen.mask)])
        logs = np.log(picture + DARKEST)
        own_share = is_skin.astype(np.float64)
        blurred = cv2.GaussianBlur(
            np.dstack([logs * own_share[..., None], own_share]), (0, 0), STROKE * camera.scale_px
        )
        details.append((logs - blurred[..., :3] / blurred[..., 3:].clip(1e-6)) * own_share[..., None])
        usable.append(np.pad(is_skin[1:-1, 1:-1], 1))
    px_per_m = float(head_camera(bare, 0.0, 0.0, VIEW_PX).scale_px)
    strokes = Example.cut(
        np.concatenate(details, 1).astype(np.float32),
        np.concatenate(usable, 1),
        PIECE_RADIUS * px_per_m,
        px_per_m,
        QUIET,
    )
    ramps = {
        name: Ramp.measure(np.concatenate(colors)) for name, colors in covers.items() if sum(map(len, colors)) > TONES
    }
    return Palette(Ramp.measure(np.concatenate(skin)), strokes, ramps)
