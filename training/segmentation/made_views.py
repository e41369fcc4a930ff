"""Views of labeled pictures, varied: cut, warped, painted over, before other grounds, with masks that are wrong."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from dressed_heads import grow_hair, put_on_hat, widen
from jaxtyping import Float, UInt8
from shaved_heads import can_be_shaved, shave
from sources import SIDE_PX, SOURCE_WINDOW, Source

from portraitist.segmentation.part_network import VIEW_PX
from portraitist.segmentation.picture import WINDOW

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "artworks"))  # scripts, not a package

from deformed_faces import LEAST_AREA, SmoothWarp, exaggerate, find_mean_face
from painted_pictures import Painter, change_tones, draw_over

UNKNOWN = 255  # label of what lies outside of the picture
EYE_PX = VIEW_PX / WINDOW
SIZE, ASPECT, TURN, SHIFT = 0.1, 0.05, 0.12, 0.12  # logarithms, radians, eye distances
CARICATURED, BENT, MIRRORED = 0.3, 0.5, 0.5  # shares of the views
BENDS, BEND_PX = 5, 5.0  # points across of a random displacement, and its size
CUT, LARGEST_CUT = 0.35, (0.3, 0.2)  # share of views that are cut to less, at most of either side: across, down
SHAVED, WIDENED, LONG_HAIRED, HATTED = 0.2, 0.5, 0.3, 0.15
OTHER_GROUND = 0.4
GROUND_BLUR = (0.5, 12.0)  # px
PAINTED = {True: 0.25, False: 0.06}  # photos, paintings
DRAWN = {True: 0.15, False: 0.06}
TONED, BLURRED, NOISY, COMPRESSED = 0.85, 0.25, 0.25, 0.3
NO_PERSON, ALL_PERSON, WRONG_PERSON = 0.06, 0.03, 0.1
NO_HEAD, HEAD_SIZE, HEAD_SHIFT = 0.03, 0.04, 0.04
TRIES = 5
GRID = 32  # points across a view at which a caricature is computed


@dataclass(frozen=True)
class MadeView:
    """As the network will see it, but for VGG16's maps. ``masks``: inside, person, four parts of the head; 0..255."""

    pixels: UInt8[np.ndarray, "v v 3"]
    masks: UInt8[np.ndarray, "6 v v"]
    labels: UInt8[np.ndarray, "v v"]


def make_view(source: Source, others: list[Source], painter: Painter | None, rng: np.random.Generator) -> MadeView:
    """``painter``: None for the view that the product takes, unvaried."""
    if painter is None:
        places = _place(0.0, 0.0, 0.0, np.zeros(2), mirrored=False)
        return _cut_out(source, source.pixels, places, places)
    if rng.random() < SHAVED and can_be_shaved(source):
        source = shave(source, rng)
    if rng.random() < WIDENED:
        source = widen(source, others[rng.integers(len(others))], rng)
    if rng.random() < LONG_HAIRED:
        source = grow_hair(source, rng)
    if rng.random() < HATTED:
        source = put_on_hat(source, others[rng.integers(len(others))], rng)
    places = _draw_places(source, rng)
    pixels = source.pixels
    if rng.random() < OTHER_GROUND:
        pixels = _change_ground(source, others[rng.integers(len(others))], rng)
    moved = _place(rng.normal(0, HEAD_SIZE), 0.0, 0.0, rng.normal(0, HEAD_SHIFT, 2), mirrored=False)
    steps = (moved - SIDE_PX / 2) * (EYE_PX * SOURCE_WINDOW / SIDE_PX) + VIEW_PX / 2
    view = _cut_out(source, pixels, places, _sample(places, steps, border=cv2.BORDER_REPLICATE))
    if rng.random() < CUT:
        _cut_sides(view, rng)
    _spoil_masks(view, others[rng.integers(len(others))], rng)
    picture, chance = view.pixels, rng.random()
    if chance < PAINTED[source.is_photo]:
        picture = painter.paint(picture, rng)
    elif chance < PAINTED[source.is_photo] + DRAWN[source.is_photo]:
        picture = draw_over(picture, rng)
    picture = _spoil_picture(picture, rng)
    outside = view.masks[0] < 128
    picture[outside] = picture[~outside].mean(0) if outside.any() else 0
    return MadeView(picture, view.masks, view.labels)


def _place(
    size: float, aspect: float, turn: float, shift: Float[np.ndarray, "2"], *, mirrored: bool
) -> Float[np.ndarray, "v v 2"]:
    """Where in the source each pixel of a view lies. ``size``, ``aspect``: logarithms. ``shift``: eye distances."""
    y, x = np.mgrid[:VIEW_PX, :VIEW_PX] + 0.5 - VIEW_PX / 2
    across = np.stack([-x if mirrored else x, y], -1) / EYE_PX + shift
    cos, sin = np.cos(turn), np.sin(turn)
    linear = np.exp(size) * np.array([[cos, -sin], [sin, cos]]) @ np.diag([np.exp(aspect), np.exp(-aspect)])
    return ((across @ linear.T) * (SIDE_PX / SOURCE_WINDOW) + SIDE_PX / 2).astype(np.float32)


def _draw_places(source: Source, rng: np.random.Generator) -> Float[np.ndarray, "v v 2"]:
    shift = rng.normal(0, SHIFT, 2)
    mirrored = bool(rng.random() < MIRRORED)
    places = _place(rng.normal(0, SIZE), rng.normal(0, ASPECT), rng.normal(0, TURN), shift, mirrored=mirrored)
    if rng.random() < CARICATURED:
        for _ in range(TRIES):
            made = _caricature(source, places, rng)
            if made is not None:
                places = made
                break
    if rng.random() < BENT:
        bends = rng.normal(0, BEND_PX, (BENDS, BENDS, 2)).astype(np.float32)
        places = places + cv2.resize(bends, (VIEW_PX, VIEW_PX), interpolation=cv2.INTER_CUBIC)
    return places


def _caricature(
    source: Source, places: Float[np.ndarray, "v v 2"], rng: np.random.Generator
) -> Float[np.ndarray, "v v 2"] | None:
    """None where it folds the picture."""
    unit, mean = SIDE_PX / SOURCE_WINDOW, find_mean_face()[:, :2]
    middle = source.points.mean(0)
    target = exaggerate((source.points - middle) / unit, mean, rng) * unit + middle
    warp = SmoothWarp(source.points, target)
    coarse = cv2.resize(places, (GRID, GRID), interpolation=cv2.INTER_AREA)
    traced = warp.trace_back(coarse.reshape(-1, 2)).reshape(coarse.shape)
    if (_find_areas(traced) / _find_areas(coarse)).min() < LEAST_AREA:
        return None
    moved = (traced - coarse).astype(np.float32)
    return places + cv2.resize(moved, (VIEW_PX, VIEW_PX), interpolation=cv2.INTER_LINEAR)


def _find_areas(grid: Float[np.ndarray, "m n 2"]) -> Float[np.ndarray, "_a _b"]:
    across, down = np.diff(grid, axis=1)[:-1], np.diff(grid, axis=0)[:, :-1]
    return across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]


def _cut_out(
    source: Source, pixels: np.ndarray, places: Float[np.ndarray, "v v 2"], of_head: Float[np.ndarray, "v v 2"]
) -> MadeView:
    head = _sample(source.head, of_head, cv2.INTER_NEAREST)
    inside, person = _sample(source.inside, places), _sample(source.person, places)
    labels = _sample(source.labels, places, cv2.INTER_NEAREST)
    labels[inside < 128] = UNKNOWN
    masks = np.stack([inside, person, *(np.uint8(255) * (head == part) for part in range(1, 5))])
    return MadeView(_sample(pixels, places), masks.astype(np.uint8), labels)


def _sample(
    layer: np.ndarray,
    places: Float[np.ndarray, "v v 2"],
    how: int = cv2.INTER_LINEAR,
    border: int = cv2.BORDER_CONSTANT,
) -> np.ndarray:
    x, y = np.moveaxis(places.astype(np.float32) - 0.5, -1, 0)  # OpenCV puts whole numbers at pixel centers
    return cv2.remap(layer, np.ascontiguousarray(x), np.ascontiguousarray(y), how, borderMode=border)


def _change_ground(source: Source, other: Source, rng: np.random.Generator) -> np.ndarray:
    """The source before a plain wall, a lit one, or another picture."""
    ground = source.labels == 0
    soft = cv2.GaussianBlur(ground.astype(np.float32), (0, 0), 1.2)[..., None]
    kind = rng.random()
    if kind < 0.6:
        corners = rng.uniform(0, 255, 3) if kind < 0.3 else np.full(3, rng.uniform(0, 255))
        lit = np.clip(corners + rng.normal(0, rng.uniform(0, 35), (2, 2, 1)) + rng.normal(0, 5, (2, 2, 3)), 0, 255)
        behind = cv2.resize(lit.astype(np.float32), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR)
    else:
        turned = np.rot90(other.pixels, int(rng.choice([0, 1, 2, 3])))
        behind = cv2.GaussianBlur(np.ascontiguousarray(turned), (0, 0), rng.uniform(*GROUND_BLUR)).astype(np.float32)
    return (soft * behind + (1 - soft) * source.pixels).clip(0, 255).astype(np.uint8)


def _cut_sides(view: MadeView, rng: np.random.Generator) -> None:
    """As if the picture ended nearer to the head."""
    left, right = (rng.uniform(0, LARGEST_CUT[0], 2) * VIEW_PX).astype(int)
    top, bottom = (rng.uniform(0, LARGEST_CUT[1], 2) * VIEW_PX).astype(int)
    kept = np.zeros(view.labels.shape, bool)
    kept[top : VIEW_PX - bottom, left : VIEW_PX - right] = True
    view.masks[:2, ~kept] = 0
    view.labels[~kept] = UNKNOWN


def _spoil_masks(view: MadeView, other: Source, rng: np.random.Generator) -> None:
    inside, person = view.masks[:2]
    chance = rng.random()
    if chance < NO_PERSON:
        person[:] = 0
    elif chance < NO_PERSON + ALL_PERSON:
        person[:] = inside
    elif chance < NO_PERSON + ALL_PERSON + WRONG_PERSON:
        size = int(rng.integers(3, 20))
        change = cv2.dilate if rng.random() < 0.5 else cv2.erode
        holes = cv2.resize(rng.random((6, 6)).astype(np.float32), (VIEW_PX, VIEW_PX), interpolation=cv2.INTER_CUBIC)
        changed = change(person, np.ones((size, size), np.uint8))
        person[:] = np.where(holes > 0.5, changed, person)
        person[inside < 128] = 0
    if rng.random() < NO_HEAD:
        view.masks[2:] = 0


def _spoil_picture(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < TONED:
        picture = change_tones(picture, rng)
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV).astype(np.float32)
        hsv[..., 0] = (hsv[..., 0] + rng.normal(0, 5)) % 180
        hsv[..., 1] = np.clip(hsv[..., 1] * np.exp(rng.normal(0, 0.3)), 0, 255)
        picture = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
        mean = picture.mean()
        picture = np.clip(mean + (picture - mean) * np.exp(rng.normal(0, 0.2)) + rng.normal(0, 12), 0, 255).astype(
            np.uint8
        )
    if rng.random() < BLURRED:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 2.0))
    if rng.random() < NOISY:
        picture = np.clip(picture + rng.normal(0, rng.uniform(2, 14), picture.shape), 0, 255).astype(np.uint8)
    if rng.random() < COMPRESSED:
        quality = int(rng.integers(20, 90))
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return np.ascontiguousarray(picture)
