"""Every kind of file that people have becomes the same kind of picture, or one clear sentence."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from PIL import ImageCms

from portraitist.errors import InputError, OutputError
from portraitist.io import images
from portraitist.io.images import load_image, read_picture_size, save_image

RED, BLUE = (200, 30, 20), (10, 40, 220)


def two_colored(mode: str = "RGB") -> PIL.Image.Image:
    """60 x 40 pixels: left half red, right half blue."""
    pixels = np.empty((40, 60, 3), dtype=np.uint8)
    pixels[:, :30], pixels[:, 30:] = RED, BLUE
    return PIL.Image.fromarray(pixels).convert(mode)


def color_at(image: torch.Tensor, x: int, y: int) -> np.ndarray:
    return (image[:, y, x] * 255).round().numpy()


def test_png_comes_back_exactly(tmp_path: Path) -> None:
    image = torch.randint(0, 256, (3, 40, 50)) / 255
    save_image(tmp_path / "a.png", image)
    assert torch.equal(load_image(tmp_path / "a.png"), image)


def test_color_is_rgb_and_x_goes_right(tmp_path: Path) -> None:
    two_colored().save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    assert image.shape == (3, 40, 60)
    assert image.dtype == torch.float32
    assert tuple(color_at(image, 5, 20)) == RED
    assert tuple(color_at(image, 55, 20)) == BLUE


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise: the left half comes on top
    two_colored().save(tmp_path / "a.png", exif=exif)
    image = load_image(tmp_path / "a.png")
    assert image.shape == (3, 60, 40)
    assert tuple(color_at(image, 20, 5)) == RED
    assert tuple(color_at(image, 20, 55)) == BLUE


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp", "avif"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 8])
def test_size_is_that_of_the_picture_as_seen(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    two_colored().save(tmp_path / f"a.{suffix}", exif=exif)
    seen = (60, 40) if orientation > 4 else (40, 60)
    assert load_image(tmp_path / f"a.{suffix}").shape[1:] == seen
    assert read_picture_size(tmp_path / f"a.{suffix}") == seen


def test_broken_exif_data_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_colored().save(tmp_path / "a.png")

    def fail(self: PIL.Image.Image) -> None:
        raise SyntaxError("not a TIFF file")

    monkeypatch.setattr(PIL.Image.Image, "getexif", fail)
    assert load_image(tmp_path / "a.png").shape == (3, 40, 60)


def test_heic_keeps_its_colors(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="writes the HEIC file of this test")
    pillow_heif.from_pillow(two_colored()).save(tmp_path / "a.heic", quality=95)
    image = load_image(tmp_path / "a.heic")
    assert image.shape == (3, 40, 60)
    assert np.abs(color_at(image, 5, 20) - RED).max() <= 12
    assert np.abs(color_at(image, 55, 20) - BLUE).max() <= 12


def test_postscript_is_not_run(tmp_path: Path) -> None:
    """Pillow would hand it to Ghostscript."""
    two_colored().save(tmp_path / "a.jpg", format="EPS")
    with pytest.raises(InputError, match="not a picture in a known format"):
        load_image(tmp_path / "a.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_devices_and_huge_files_are_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(InputError, match="pipe or device"):
            load_image(path)
    (tmp_path / "huge.jpg").touch()
    os.truncate(tmp_path / "huge.jpg", 2 * 2**30)
    with pytest.raises(InputError, match=r"2\.0 GB"):
        load_image(tmp_path / "huge.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    with pytest.raises(InputError, match="cannot be opened"):
        load_image(tmp_path / "loop.jpg")


def test_floats_without_meaning_are_black_or_white(tmp_path: Path) -> None:
    values = np.full((40, 40), 0.5, dtype=np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    PIL.Image.fromarray(values).save(tmp_path / "a.tiff")
    image = load_image(tmp_path / "a.tiff")
    assert image[0, 0, :3].tolist() == [0.0, 1.0, 0.0]
    assert image[0, 5, 5].item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("white", "dtype"), [(1, "f4"), (255, "f4"), (65535, "f4"), (255, "i4"), (65535, "i4")])
def test_floats_and_long_integers_are_read_by_their_range(
    tmp_path: Path, white: int, dtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Many programs write 0..255 as floats: read as 0..1, such a picture is white."""
    grays = np.linspace(0.0, 0.9, 1600).reshape(40, 40)
    PIL.Image.fromarray((white * grays).astype(dtype)).save(tmp_path / "a.tiff")
    assert np.abs(load_image(tmp_path / "a.tiff")[0].numpy() - grays).max() < 1 / 255
    usual = (white, dtype) in ((1, "f4"), (65535, "i4"))
    assert usual == ("taken for white" not in caplog.text)


def test_highlights_above_white_do_not_darken_a_float_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    grays = np.linspace(-0.2, 3.0, 1600).astype(np.float32).reshape(40, 40)
    PIL.Image.fromarray(grays).save(tmp_path / "a.tiff")
    assert np.abs(load_image(tmp_path / "a.tiff")[0].numpy() - grays.clip(0, 1)).max() < 1 / 255
    assert "up to 3; 1 was taken" in caplog.text


def test_alpha_is_laid_over_white(tmp_path: Path) -> None:
    picture = two_colored("RGBA")
    alpha = np.full((40, 60), 255, dtype=np.uint8)
    alpha[:, :10], alpha[:, 10:20] = 0, 128
    picture.putalpha(PIL.Image.fromarray(alpha))
    picture.save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    assert tuple(color_at(image, 5, 5)) == (255, 255, 255)
    assert np.abs(color_at(image, 15, 5) - (np.array(RED) + 255) / 2).max() <= 1
    assert tuple(color_at(image, 25, 5)) == RED


@pytest.mark.parametrize(
    ("mode", "suffix", "tolerance"),
    [("P", "png", 30), ("CMYK", "jpg", 12), ("RGB", "webp", 12), ("RGB", "bmp", 0), ("RGB", "gif", 30)],
)
def test_modes_keep_their_colors(tmp_path: Path, mode: str, suffix: str, tolerance: int) -> None:
    path = tmp_path / f"a.{suffix}"
    two_colored(mode).save(path)
    image = load_image(path)
    assert np.abs(color_at(image, 5, 20) - RED).max() <= tolerance
    assert np.abs(color_at(image, 55, 20) - BLUE).max() <= tolerance


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grayscale_becomes_three_equal_channels(tmp_path: Path, mode: str) -> None:
    two_colored(mode).save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    assert image.shape == (3, 40, 60)
    assert torch.equal(image[0], image[2])
    assert image.max() > image.min()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    PIL.Image.fromarray(ramp).save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    assert np.abs(image[0].numpy() - ramp / 65535).max() < 0.5 / 255 + 1e-4


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_color_profile(tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    two_colored(mode).save(tmp_path / "a.png", icc_profile=srgb)
    assert np.abs(color_at(load_image(tmp_path / "a.png"), 5, 20) - RED).max() <= 1
    assert caplog.text == ""
    # The same profile with red and green primaries exchanged (their tags swapped) turns red to green.
    swapped = srgb.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    two_colored(mode).save(tmp_path / "b.png", icc_profile=swapped)
    red, green, _ = color_at(load_image(tmp_path / "b.png"), 5, 20)
    assert green > 150 > 100 > red
    two_colored(mode).save(tmp_path / "c.png", icc_profile=b"not a profile")
    assert tuple(color_at(load_image(tmp_path / "c.png"), 5, 20)) == RED
    assert "profile" in caplog.text


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [PIL.Image.new("RGB", (40, 40), color) for color in (RED, BLUE)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert np.abs(color_at(load_image(tmp_path / "a.webp"), 20, 20) - RED).max() <= 2


def test_large_picture_is_scaled_down_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    PIL.Image.new("RGB", (4096, 1024), RED).save(tmp_path / "a.png")
    with caplog.at_level(logging.INFO):
        image = load_image(tmp_path / "a.png")
    assert image.shape == (3, 512, images.MAX_SIDE)
    assert "scaled down to 2048 x 512" in caplog.text


def test_large_jpeg_keeps_its_orientation(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    two_colored().resize((6000, 4000)).save(tmp_path / "a.jpg", exif=exif)
    image = load_image(tmp_path / "a.jpg")
    assert image.shape == (3, images.MAX_SIDE, 1365)
    assert np.abs(color_at(image, 600, 100) - RED).max() <= 12


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_file(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(tmp_path / f"whole.{suffix}")
    content = (tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged or cut short"):
        load_image(tmp_path / f"cut.{suffix}")


def test_unusable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="is a folder"):
        load_image(tmp_path)
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(InputError, match="not a picture"):
        load_image(tmp_path / "text.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(InputError, match="is empty"):
        load_image(tmp_path / "empty.jpg")
    PIL.Image.new("RGB", (200, 3)).save(tmp_path / "tiny.png")
    with pytest.raises(InputError, match="only 200 x 3 pixels"):
        load_image(tmp_path / "tiny.png")


def test_decompression_bomb_is_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PIL.Image.new("1", (3000, 3000)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 1_000_000)
    monkeypatch.setattr(images, "convert_to_8bit", lambda picture: pytest.fail("decoded"))
    with pytest.raises(InputError, match="3000 x 3000 pixels, more than 1 million"):
        load_image(tmp_path / "bomb.png")


def test_saving_clips_and_says_where_it_cannot(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", torch.stack([torch.full((40, 40), value) for value in (-1.0, 0.5, 2.0)]))
    assert tuple(color_at(load_image(tmp_path / "a.png"), 0, 0)) == (0, 128, 255)
    with pytest.raises(OutputError, match="cannot be written"):
        save_image(tmp_path / "no" / "folder.png", torch.zeros(3, 40, 40))
