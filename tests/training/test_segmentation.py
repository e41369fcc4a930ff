"""What the segmenter learns from: labels drawn by hand, and views in which picture and labels stay together."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
for folder in ("segmentation", "artworks"):
    sys.path.insert(0, str(ROOT / "training" / folder))

from drawn_labels import draw_labels  # noqa: E402
from dressed_heads import grow_hair, put_on_hat, widen  # noqa: E402
from made_views import UNKNOWN, make_view  # noqa: E402
from shaved_heads import can_be_shaved, shave  # noqa: E402
from sources import SIDE_PX, SOURCE_WINDOW, Source, find_mean_points  # noqa: E402

from portraitist.segmentation.picture import PART_NAMES  # noqa: E402

SKIN, HAIR, GLASSES, HEADWEAR, CLOTHES = (
    PART_NAMES.index(name) for name in ("skin", "hair", "glasses", "headwear", "clothes")
)
COLORS = np.array([[20, 60, 200], [220, 180, 150], [60, 30, 10]], np.uint8)  # ground, skin, hair


class Unpainted:
    def paint(self, picture: np.ndarray, _: np.random.Generator) -> np.ndarray:
        return picture


@pytest.fixture
def source() -> Source:
    """A round face with a cap of short hair, in flat colors; the fitted skull is a little smaller than the hair."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    unit = SIDE_PX / SOURCE_WINDOW
    points = find_mean_points().numpy().astype(float) * unit + SIDE_PX / 2 + [0, 0.05 * unit]
    middle = points[27]

    def ball(radius: float) -> np.ndarray:
        return (x - middle[0]) ** 2 + (y - middle[1]) ** 2 < (radius * unit) ** 2

    labels = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    labels[ball(1.1) & (y < middle[1])] = HAIR
    labels[ball(0.9) & (y > middle[1] - 0.4 * unit)] = SKIN
    whole = np.full(labels.shape, 255, np.uint8)
    head = ball(1.0).astype(np.uint8)
    return Source("photos/none.jpg", COLORS[labels], labels, whole, whole * (labels > 0), head, points)


def test_upper_parts_cover_lower_ones_and_holes_show_what_is_below() -> None:
    def rectangle(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
        return [[left, top], [right, top], [right, bottom], [left, bottom]]

    drawn = {
        "hair": [rectangle(0, 0, 0.5, 1)],
        "hair_holes": [rectangle(0.1, 0.1, 0.3, 0.3)],
        "skin": [rectangle(0, 0, 1, 1)],
        "glasses": [rectangle(0.4, 0.4, 0.9, 0.6)],
    }
    labels = draw_labels(drawn, (40, 80))
    assert labels[8, 16] == SKIN
    assert labels[30, 10] == HAIR
    assert labels[30, 70] == SKIN
    assert labels[20, 36] == labels[20, 60] == GLASSES


def test_a_plain_view_is_what_the_product_sees(source: Source) -> None:
    view = make_view(source, [source], None, np.random.default_rng(0))
    assert (abs(view.pixels - COLORS[view.labels].astype(float)).max(2) < 1).mean() > 0.97  # but along borders
    assert set(np.unique(view.labels)) == {0, SKIN, HAIR}


@pytest.mark.parametrize("seed", range(8))
def test_labels_go_with_the_picture(source: Source, seed: int) -> None:
    """However a view is varied, hair stays darker than skin, and the person mask stays on the person unless spoiled."""
    view = make_view(source, [source], Unpainted(), np.random.default_rng(seed))  # pyright: ignore[reportArgumentType]
    assert view.pixels.shape == (*view.labels.shape, 3)
    assert set(np.unique(view.labels)) <= {0, SKIN, HAIR, HEADWEAR, UNKNOWN}
    assert (view.masks[0][view.labels == UNKNOWN] < 255).all()
    gray = view.pixels.mean(2)
    if (view.labels == HAIR).sum() > 200:
        assert gray[view.labels == HAIR].mean() < gray[view.labels == SKIN].mean()


def test_shaved_heads_are_bald_as_far_as_the_skull_reaches(source: Source) -> None:
    assert can_be_shaved(source)
    amounts = set()
    for seed in range(6):
        shaved = shave(source, np.random.default_rng(seed))
        amounts.add(bool((shaved.labels == HAIR).any()))
        bare = (source.labels == HAIR) & (shaved.labels == SKIN)
        assert (source.head[bare] > 0).all()
        assert abs(shaved.pixels[bare].mean(0) - COLORS[SKIN]).max() < 80  # shaded
        gone = (source.labels == HAIR) & (shaved.labels == 0)
        assert abs(shaved.pixels[gone].mean(0) - COLORS[0]).max() < 40
        assert (shaved.person[gone] == 0).all()
    assert amounts == {True, False}


def test_long_hair_is_not_shaved(source: Source) -> None:
    labels = source.labels.copy()
    labels[SIDE_PX // 2 :, : SIDE_PX // 3] = HAIR
    assert not can_be_shaved(dataclasses.replace(source, labels=labels))


def cut_off(source: Source) -> Source:
    """Of the source no more than what lies near the middle is known."""
    inside = np.zeros_like(source.inside)
    inside[SIDE_PX // 4 : -SIDE_PX // 4, SIDE_PX // 4 : -SIDE_PX // 4] = 255
    return dataclasses.replace(source, inside=inside, labels=np.where(inside > 0, source.labels, 0))


@pytest.mark.parametrize("seed", range(4))
def test_widened_pictures_go_on_beyond_their_border(source: Source, seed: int) -> None:
    cut = cut_off(source)
    wide = widen(cut, source, np.random.default_rng(seed))
    known = cut.inside > 0
    assert (wide.inside == 255).all()
    assert np.array_equal(wide.pixels[known], cut.pixels[known])
    assert np.array_equal(wide.labels[known], cut.labels[known])
    assert set(np.unique(wide.labels[~known])) <= {0, HAIR, CLOTHES}  # shoulders, and hair where it is cut off
    assert (wide.labels[~known] == CLOTHES).sum() > 500
    assert np.array_equal(wide.person[~known] > 0, wide.labels[~known] > 0)
    assert abs(wide.pixels[~known & (wide.labels == 0)].mean(0) - COLORS[0]).max() < 10


def test_a_whole_picture_is_not_widened(source: Source) -> None:
    assert widen(source, source, np.random.default_rng(0)) is source


@pytest.mark.parametrize("seed", range(4))
def test_long_hair_has_the_colors_of_the_sitters_own(source: Source, seed: int) -> None:
    long = grow_hair(source, np.random.default_rng(seed))
    grown = (long.labels == HAIR) & (source.labels != HAIR)
    assert grown.sum() > 200
    assert np.array_equal(long.labels[~grown], source.labels[~grown])
    assert (long.person[grown] == 255).all()
    assert abs(long.pixels[grown].mean(0) - COLORS[HAIR]).max() < 40
    jaw = source.points[[4, 12], 1].max()
    assert np.nonzero(grown)[0].max() > jaw - SIDE_PX / SOURCE_WINDOW


def test_no_hair_grows_where_none_is_seen(source: Source) -> None:
    bald = dataclasses.replace(source, labels=np.where(source.labels == HAIR, 0, source.labels).astype(np.uint8))
    assert grow_hair(bald, np.random.default_rng(0)) is bald


@pytest.mark.parametrize("seed", range(6))
def test_hats_cover_what_is_above_the_brows(source: Source, seed: int) -> None:
    hatted = put_on_hat(source, source, np.random.default_rng(seed))
    hat = hatted.labels == HEADWEAR
    brows = source.points[17:27, 1].mean()
    assert not (hatted.labels[: round(brows - 0.9 * SIDE_PX / SOURCE_WINDOW)] == HAIR).any()
    assert np.array_equal(hatted.labels[~hat], source.labels[~hat])
    assert (hatted.person[hat] == 255).all()
    assert np.nonzero(hat)[0].max() < source.points[33, 1]  # no hat reaches down to the nose
    again = put_on_hat(hatted, source, np.random.default_rng(seed))
    assert again is hatted
