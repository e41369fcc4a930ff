"""Part masks: what is written comes back, what people paint is understood, and what is no mask is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from portraitist.devices import to_numpy
from portraitist.errors import InputError, OutputError
from portraitist.segmentation.part_masks import PALETTE, place_parts, read_part_mask, save_part_mask
from portraitist.segmentation.picture import PART_NAMES, PictureParts

SIZE = (120, 160)


def make_labels() -> torch.Tensor:
    """A ball of each part on a ground of the first one."""
    rows, columns = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    labels = torch.zeros(SIZE, dtype=torch.int64)
    for part in range(1, len(PART_NAMES)):
        y, x = 30 + 60 * (part % 2), 10 + 20 * part
        labels[(rows - y) ** 2 + (columns - x) ** 2 < 15**2] = part
    return labels


def make_parts(labels: torch.Tensor) -> PictureParts:
    return PictureParts(torch.nn.functional.one_hot(labels, len(PART_NAMES)).permute(2, 0, 1).float())


def paint(labels: torch.Tensor) -> PillowImage.Image:
    colors = np.array([PALETTE[name][1] for name in PART_NAMES], np.uint8)
    return PillowImage.fromarray(colors[to_numpy(labels)])


def test_every_part_has_a_color_far_from_all_others():
    assert list(PALETTE) == list(PART_NAMES)
    assert len({name for name, _ in PALETTE.values()}) == len(PALETTE)
    colors = torch.tensor([color for _, color in PALETTE.values()]).float()
    assert (torch.cdist(colors, colors) + 999 * torch.eye(len(colors))).min() >= 255


def test_what_is_written_comes_back(tmp_path):
    parts = make_parts(make_labels())
    soft = PictureParts(0.6 * parts.shares + 0.4 / len(PART_NAMES))  # the largest share counts
    save_part_mask(tmp_path / "mask.png", soft)
    assert torch.equal(read_part_mask(tmp_path / "mask.png", SIZE).shares, parts.shares)
    shown = PillowImage.open(tmp_path / "mask.png").convert("RGB")
    assert np.array_equal(np.asarray(shown), np.asarray(paint(make_labels())))


def test_the_mask_of_a_picture_that_was_scaled_down_fits_its_file(tmp_path):
    parts = make_parts(make_labels())
    save_part_mask(tmp_path / "mask.png", parts, (3 * SIZE[0], 3 * SIZE[1]))
    assert PillowImage.open(tmp_path / "mask.png").size == (3 * SIZE[1], 3 * SIZE[0])
    large = read_part_mask(tmp_path / "mask.png", (3 * SIZE[0], 3 * SIZE[1]))
    assert torch.equal(large.shares[:, 1::3, 1::3], parts.shares)
    save_part_mask(tmp_path / "large.png", parts, (1800, 2400))
    assert read_part_mask(tmp_path / "large.png", (1536, 2048)).share("hair").any()


@pytest.mark.parametrize("kind", ["smooth edges", "jpeg"])
def test_edges_go_with_what_is_nearest(kind, tmp_path):
    """Between red and blue there is purple, which must not become a third part."""
    labels = torch.full((512, 640), PART_NAMES.index("headwear"))
    labels[:, 320:] = PART_NAMES.index("hair")
    labels[300:] = PART_NAMES.index("skin")
    mask = paint(labels)
    if kind == "jpeg":
        mask.save(tmp_path / "mask.jpg", quality=80)
    else:
        mask.resize((1280, 1024)).resize((640, 512), PillowImage.Resampling.BICUBIC).save(tmp_path / "mask.jpg.png")
        (tmp_path / "mask.jpg.png").rename(tmp_path / "mask.jpg")
    read = read_part_mask(tmp_path / "mask.jpg", (512, 640))
    assert read.shares[labels.unique()].sum() == labels.numel()  # no other part
    assert (read.labels() != labels).float().mean() < 0.01


def test_what_was_erased_is_background(tmp_path):
    mask = np.asarray(paint(make_labels()).convert("RGBA")).copy()
    mask[:40, :, 3] = 0
    PillowImage.fromarray(mask).save(tmp_path / "mask.png")
    assert read_part_mask(tmp_path / "mask.png", SIZE).share("background")[:40].min() == 1


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "mask.png").write_text("no picture")
    with pytest.raises(InputError, match=r"mask\.png is not a picture"):
        read_part_mask(tmp_path / "mask.png", SIZE)
    with pytest.raises(InputError, match="does not exist"):
        read_part_mask(tmp_path / "absent.png", SIZE)


def test_another_size_is_refused_with_both(tmp_path):
    save_part_mask(tmp_path / "mask.png", make_parts(make_labels()))
    with pytest.raises(InputError, match=r"160 x 120 pixels, its picture with 161 x 120.*portraitist landmarks"):
        read_part_mask(tmp_path / "mask.png", (120, 161))


def test_a_photo_is_no_mask(hopper, tmp_path):
    pixels = (to_numpy(hopper).transpose(1, 2, 0) * 255).astype(np.uint8)
    PillowImage.fromarray(pixels).save(tmp_path / "photo.png")
    with pytest.raises(InputError, match=r"is no mask: \d+ % of its pixels .* Paint background white, skin yellow"):
        read_part_mask(tmp_path / "photo.png", (600, 512))


def test_a_mask_without_skin_is_refused(tmp_path):
    labels = make_labels()
    labels[labels == PART_NAMES.index("skin")] = 0
    paint(labels).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="nothing in yellow, which marks the skin"):
        read_part_mask(tmp_path / "mask.png", SIZE)


def test_a_mask_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    (tmp_path / "mask.png").write_text("mine")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PillowImage.Image, "save", fail)
    with pytest.raises(OutputError, match="No space left"):
        save_part_mask(tmp_path / "mask.png", make_parts(make_labels()))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("mask.png", "mine")]


def test_parts_of_another_picture_are_refused():
    parts = make_parts(make_labels())
    assert place_parts(parts, torch.zeros(3, *SIZE), "photo") is parts
    with pytest.raises(InputError, match="given for the photo are 160 x 120 pixels, it is 50 x 40"):
        place_parts(parts, torch.zeros(3, 40, 50), "photo")
