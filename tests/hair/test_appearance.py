"""The texture of a layer: the photo's own colors, nothing of the background, and the same kind of hair behind."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import torch

from hair.drawn_hair import BROWN, BUSHY, SHORT, draw_head
from portraitist.hair.appearance import paint_layer
from portraitist.hair.chart import CAP_ROWS, HANGING_ROWS
from portraitist.rendering.shader_math import luminance

SIZE = 512
SOFT_PX = 1.0
CAP = round(SIZE * CAP_ROWS / (CAP_ROWS + HANGING_ROWS))  # texels from the crown down to the ears
BACK = np.r_[: SIZE // 6, SIZE - SIZE // 6 : SIZE]


def soften(picture: np.ndarray) -> np.ndarray:
    """As a camera does."""
    return cv2.GaussianBlur(picture, (0, 0), SOFT_PX)


@functools.cache
def take_photo(yaw_deg: float) -> np.ndarray:
    """[h, w, 3], its borders as soft as real ones."""
    return soften(draw_head(BUSHY, yaw_deg).photo.permute(1, 2, 0).numpy())


@functools.cache
def paint(yaw_deg: float = 0.0) -> np.ndarray:
    """Texture [t, t, 3]."""
    drawn, photo = draw_head(BUSHY, yaw_deg), torch.from_numpy(take_photo(yaw_deg)).permute(2, 0, 1).contiguous()
    share = soften(drawn.covers["hair"].numpy())
    texture = paint_layer(photo, drawn.fit.camera, drawn.shell, share.astype(float), SIZE, strands=True)
    assert texture.dtype == torch.float32
    assert texture.shape == (3, SIZE, SIZE)
    return texture.permute(1, 2, 0).numpy()


def list_hair_colors(yaw_deg: float = 0.0) -> np.ndarray:
    """Of the photo, well inside the hair."""
    inside = cv2.erode(draw_head(BUSHY, yaw_deg).covers["hair"].numpy(), np.ones((11, 11))) > 0
    return take_photo(yaw_deg)[inside]


def test_the_texture_has_the_photos_hair_colors() -> None:
    for yaw_deg in (0.0, 25.0):
        texture, colors = paint(yaw_deg), list_hair_colors(yaw_deg)
        assert np.isfinite(texture).all()
        low, high = np.quantile(colors, (0.02, 0.98), axis=0)
        inside = ((texture > low - 0.06) & (texture < high + 0.06)).all(2)
        assert inside.mean() > 0.97


def test_no_background_and_no_skin_get_in() -> None:
    """Green ground and light skin beside brown hair, mixed along the borders."""
    for yaw_deg in (0.0, 25.0):
        red, green, blue = paint(yaw_deg).transpose(2, 0, 1)
        assert (green - red).max() < 0.02  # brown: -0.13
        assert np.quantile(green - red, 0.999) < -0.02
        assert luminance(paint(yaw_deg)).max() < 0.5  # of the skin: 0.64
        assert (green - blue).min() > 0


def test_what_is_not_seen_is_hair_of_the_same_kind() -> None:
    """The same mean color, and about as much contrast; no ends meet with a step at the middle of the back."""
    texture, colors = paint(), list_hair_colors()
    back = texture[CAP // 3 : CAP][:, BACK]
    assert np.abs(back.mean((0, 1)) - colors.mean(0)).max() < 0.03
    contrast = np.std(luminance(back)) / np.std(luminance(colors))
    assert 0.5 < contrast < 1.5
    across = np.abs(texture[CAP // 3 : CAP, 0] - texture[CAP // 3 : CAP, -1]).mean()
    beside = np.abs(np.diff(texture[CAP // 3 : CAP, BACK[: SIZE // 6]], axis=1)).mean()
    assert across < 2 * beside + 0.01


def test_strands_run_behind_as_they_do_in_front() -> None:
    """They were drawn from the crown down: colors change around the head, and hardly along it."""
    back = luminance(paint()[CAP // 2 : CAP])[:, BACK[: SIZE // 6]]
    assert np.abs(np.diff(back, axis=1)).mean() > 1.5 * np.abs(np.diff(back, axis=0)).mean()


def test_the_same_photo_gives_the_same_texture() -> None:
    before = paint()
    paint.cache_clear()
    assert np.array_equal(paint(), before)


def test_seen_strands_are_the_photos_own() -> None:
    """Drawn again in the photo's view, the layer looks as the photo does."""
    from portraitist.rendering.rasterizer import rasterize
    from portraitist.rendering.sampling import shade

    drawn = draw_head(SHORT)
    layer = drawn.layers[0]
    texture = paint_layer(
        drawn.photo, drawn.fit.camera, drawn.shell, drawn.covers["hair"].double().numpy(), SIZE, strands=True
    )
    seen = rasterize(layer.mesh, drawn.fit.camera)
    again = shade(seen, texture, torch.zeros(3))
    inside = cv2.erode((drawn.covers["hair"] > 0).float().numpy(), np.ones((9, 9))) > 0
    difference = (again - drawn.photo)[:, torch.from_numpy(inside) & seen.mask].abs()
    assert inside.sum() > 3000
    assert difference.mean() < 0.03


def test_hair_too_narrow_to_be_read_has_its_color() -> None:
    """No texel is surely its own."""
    drawn = draw_head(SHORT)
    thin = 0.4 * drawn.covers["hair"]
    texture = paint_layer(drawn.photo, drawn.fit.camera, drawn.shell, thin.double().numpy(), 64, strands=True)
    assert np.abs(texture.mean((1, 2)).numpy() - BROWN).max() < 0.06
    assert texture.std((1, 2)).max() < 1e-6


def test_the_unseen_side_of_a_hat_is_plain() -> None:
    """Hair goes on in strands; emblems do not."""
    drawn = draw_head(SHORT)
    share = drawn.covers["hair"].double().numpy()
    rest = drawn.photo, drawn.fit.camera, drawn.shell, share, SIZE
    behind = np.s_[:, SIZE // 4 : SIZE // 3, : SIZE // 8]
    with_strands, plain = (paint_layer(*rest, strands=strands).numpy()[behind] for strands in (True, False))
    assert plain.std(axis=(1, 2)).max() < 0.02
    assert with_strands.std(axis=(1, 2)).max() > 2 * plain.std(axis=(1, 2)).max()
