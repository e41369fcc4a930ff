"""Strong light and shade painted into an artwork's face, evened out before its style is taken.

Otherwise the shaded half of a Rembrandt is a shaded half of the sitter (`lighting`).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.mesh.laplacian import vertex_normals
from portraitist.rendering.rasterizer import rasterize
from portraitist.segmentation.parts import EYELIDS, HAIR, LIPS, NOSE, SKIN
from portraitist.types import Camera, Image, Mesh

_LIT = (SKIN, NOSE, EYELIDS, LIPS)
_DARKEST, _LARGEST_GAIN = 0.02, 1.0  # luminance below which logarithms are noise; log gain
_ROUNDS, _OUTLIER = 4, 0.25  # of fitting; log luminance off by which a pixel counts half: beards, brush strokes, lines


def even_shading(art: Image, labels: Int[Tensor, "h w"], mesh: Mesh, camera: Camera, strength: float) -> Image:
    """The artwork with ``strength`` (0..1) of its face's shading taken out.

    Shading is what second-order spherical harmonics of the fitted head's normals (Ramamoorthi and Hanrahan, 2001)
    explain of the skin's log luminance. Hue and everything outside the face stay as they are.
    """
    face = ((labels >= 0) & (labels != HAIR)).cpu().numpy()
    harmonics = _measure_harmonics(mesh, camera)
    luminance = art.mean(0).double().cpu().numpy().clip(_DARKEST)
    known = np.isin(labels.cpu().numpy(), _LIT) & np.isfinite(harmonics[..., 0])
    if strength == 0 or known.sum() < 100:
        return art
    basis, brightness = harmonics[known], np.log(luminance[known])
    weights = np.ones(len(brightness))
    for _ in range(_ROUNDS):
        system = basis.T * weights
        coefficients = np.linalg.solve(system @ basis + 1e-3 * len(basis) * np.eye(9), system @ brightness)
        weights = 1 / (1 + (np.abs(basis @ coefficients - brightness) / _OUTLIER) ** 2)
    shading = np.where(face, np.nan_to_num(harmonics) @ coefficients, 0.0)
    middle = np.median(shading[known])
    gains = np.where(face, strength * (middle - shading), 0.0).clip(-_LARGEST_GAIN, _LARGEST_GAIN)
    side = 2 * (int(np.sqrt(face.sum())) // 40) + 1
    gains = torch.from_numpy(cv2.blur(gains, (side, side))).to(art)
    return (art * gains.exp()).clamp(0, 1)


def _measure_harmonics(mesh: Mesh, camera: Camera) -> Float[np.ndarray, "h w 9"]:
    """Real spherical harmonics of each pixel's normal in the camera's frame, up to constants; NaN beside the head."""
    seen = rasterize(mesh, camera)
    normals = torch.from_numpy(vertex_normals(mesh.vertices.numpy(force=True), mesh.faces.numpy(force=True)))
    corners = (normals.to(mesh.vertices) @ camera.rotation.T)[mesh.faces[seen.face_ids.clamp(min=0)]]
    smooth = torch.nn.functional.normalize((corners * seen.barycentrics[..., None]).sum(-2), dim=-1)
    x, y, z = smooth.double().cpu().numpy().transpose(2, 0, 1)
    values = np.stack([np.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], -1)
    return np.where(seen.mask.cpu().numpy()[..., None], values, np.nan)
