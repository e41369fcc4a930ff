"""The odd inputs themselves: what is fed, and what has to come back."""

from __future__ import annotations

import os
from pathlib import Path

import odd_files as files
from odd_files import ART, PHOTO
from odd_runs import (
    Case,
    change_points,
    feed,
    feed_bytes_name,
    feed_device,
    feed_disk,
    feed_former_result,
    feed_large_with_points,
    feed_package,
    feed_points,
    flatten,
    link_in_a_circle,
    save_objects,
    spoil_first,
)

USED, REFUSED, NO_FACE, NO_OUTPUT, NO_ASSET = 0, 2, 3, 5, 6
"""Exit codes."""

PACKAGE_LINKS = {"PYTHONPATH": "site", "PYTHONDONTWRITEBYTECODE": "1"}
NOWHERE = {
    name: "/dev/null/nowhere"
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "MPLCONFIGDIR", "TORCH_HOME")
}

PICTURES = [
    Case("JPEG cut short", feed("cut.jpg", cut_jpg=files.save_truncated), REFUSED, ("cut.jpg", "damaged or cut short")),
    Case("PNG cut short", feed(art="cut.png", cut_png=files.save_truncated), REFUSED, ("damaged or cut short",)),
    Case("empty file", feed("empty.jpg", empty_jpg=Path.touch), REFUSED, ("empty.jpg", "is empty")),
    Case(
        "1 x 1 pixel",
        feed("dot.png", dot_png=lambda path: files.read_photo().resize((1, 1)).save(path)),
        REFUSED,
        ("only 1 x 1", "32 x 32"),
    ),
    Case(
        "PNG that claims 50,000 x 50,000",
        feed("bomb.png", bomb_png=files.save_bomb),
        REFUSED,
        ("150,000,000 pixels", "Scale it down"),
    ),
    Case(
        "SVG named .jpg",
        feed("drawing.jpg", drawing_jpg=lambda path: path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")),
        REFUSED,
        ("not a picture in a known format", "JPEG"),
    ),
    Case(
        "PDF named .jpg",
        feed("page.jpg", page_jpg=lambda path: files.read_photo().save(path, format="PDF")),
        REFUSED,
        ("not a picture in a known format",),
    ),
    Case(
        "PostScript named .jpg (would start Ghostscript)",
        feed("page.jpg", page_jpg=lambda path: files.read_photo().save(path, format="EPS")),
        REFUSED,
        ("not a picture in a known format",),
    ),
    Case(
        "text named .jpg",
        feed(art="text.jpg", text_jpg=lambda path: path.write_text("hello")),
        REFUSED,
        ("not a picture in a known format",),
    ),
    Case("file of 5 GB", feed("huge.jpg", huge_jpg=files.save_sparse), REFUSED, ("GB",)),
    Case("folder as picture", feed("."), REFUSED, ("PHOTO", "not a file")),
    Case("/dev/null as picture", feed("/dev/null"), REFUSED, ("PHOTO", "not a file")),
    Case("/dev/zero as picture", feed("/dev/zero"), REFUSED, ("PHOTO", "not a file")),
    Case("named pipe as picture", feed("pipe.jpg", pipe_jpg=lambda path: os.mkfifo(path)), REFUSED, ("not a file",)),
    Case("symbolic links in a circle", feed("loop.jpg", loop_jpg=link_in_a_circle), REFUSED, ("loop.jpg",)),
    Case("name of 300 letters", feed("x" * 300 + ".jpg"), REFUSED, ("PHOTO",)),
    Case(
        "photo: CMYK JPEG; artwork: 16-bit gray PNG",
        feed(
            "cmyk.jpg",
            "deep.png",
            cmyk_jpg=lambda path: files.read_photo().convert("CMYK").save(path),
            deep_png=lambda path: files.save_16_bit(path, 1),
        ),
        USED,
    ),
    Case(
        "photo: 16-bit RGB PNG; artwork: palette PNG with a transparent color",
        feed("deep.png", "map.png", deep_png=lambda path: files.save_16_bit(path, 3), map_png=files.save_palette),
        USED,
    ),
    Case(
        "photo: animated GIF; artwork: animated WebP",
        feed("a.gif", "b.webp", a_gif=files.save_animation, b_webp=files.save_animation),
        USED,
    ),
    Case(
        "photo: HEIC of a phone; artwork: AVIF",
        feed("a.heic", "b.avif", a_heic=files.save_heic, b_avif=lambda path: files.read_photo().save(path)),
        USED,
    ),
    Case(
        "photo: stored on its side, with an EXIF note; artwork: translucent PNG",
        feed("turned.jpg", "alpha.png", turned_jpg=files.save_turned, alpha_png=files.save_translucent),
        USED,
    ),
    Case(
        "photo: gray PNG; artwork: spoilt EXIF data and color profile",
        feed(
            "gray.png",
            "notes.jpg",
            gray_png=lambda path: files.read_photo().convert("L").save(path),
            notes_jpg=files.save_spoilt_notes,
        ),
        USED,
    ),
    Case(
        "photo: gray TIFF of floats up to 255; artwork: gray TIFF of floats up to 255",
        feed("a.tiff", "b.tiff", a_tiff=files.save_floats, b_tiff=files.save_floats),
        USED,
        ("255 was taken for white",),
    ),
    Case("names that are no UTF-8, long, of many scripts", feed_bytes_name, USED),
    Case("the same file as photo and artwork", feed(PHOTO, PHOTO), USED),
]

FACES = [
    Case(
        "photo: 20,000 x 2,400 pixels; artwork: face of 40 pixels in 2000",
        feed("wide.jpg", "tiny.png", wide_jpg=files.save_wide, tiny_png=files.save_tiny_face),
        USED,
        ("face in the art is only 4", "crop"),
    ),
    Case(
        "photo: twelve faces; artwork: upside down",
        feed("crowd.png", "down.png", crowd_png=files.save_crowd, down_png=files.save_upside_down),
        USED,
        ("12 faces were found in the photo: 1: 63 %", "(used); 2:", "--photo-face", "crop the picture"),
    ),
    Case(
        "photo: twelve faces, the second one asked for",
        feed("crowd.png", options=("--photo-face", "2"), crowd_png=files.save_crowd),
        USED,
        ("12 faces were found in the photo: 1: 63 %", "--photo-face"),
    ),
    Case(
        "photo: one face, the second one asked for",
        feed(options=("--photo-face", "2")),
        REFUSED,
        ("Face 2 was asked for, but 1 face was found in the photo: 1: 52 %",),
    ),
    Case(
        "photo: overexposed threefold; artwork: the same",
        feed("a.png", "a.png", a_png=files.change_pixels(lambda pixels: 3 * pixels)),
        USED,
        ("as white or as black as a picture can be",),
    ),
    Case(
        "photo: black and white at a threshold; artwork: the same",
        feed("a.png", "a.png", a_png=files.change_pixels(lambda p: 255 * (p.mean(2, keepdims=True) > 127) + 0 * p)),
        USED,
        ("as white or as black as a picture can be",),
    ),
    Case(
        "photo: 8 % of its brightness; artwork: the same",
        feed("a.png", "a.png", a_png=files.change_pixels(lambda pixels: 0.08 * pixels)),
        USED,
        ("The face in the photo is too dark",),
    ),
    Case(
        "photo: squashed to half its height; artwork: the same",
        feed("a.png", "a.png", a_png=lambda path: files.read_photo().resize((512, 300)).save(path)),
        USED,
        ("times as wide as faces are",),
    ),
    Case(
        "photo: cropped to the face, 32 pixels; artwork: the same",
        feed("a.png", "a.png", a_png=lambda p: files.read_photo().crop((180, 110, 350, 350)).resize((34, 48)).save(p)),
        USED,
        ("pixels large, so the result is blurred",),
    ),
    Case("photo: a painting; artwork: a photo", feed(ART, PHOTO), USED),
    Case(
        "photo: half a face at the border; artwork: a whole face that touches the border",
        feed("half.png", "close.png", half_png=files.save_cut_face, close_png=files.save_close_face),
        USED,
        ("% of the face in the photo is outside",),
    ),
    Case(
        "photo: face turned by 55 degrees",
        feed("turned.png", turned_png=lambda path: files.save_turned_head(path, 55)),
        USED,
        ("face in the photo is turned far to the side",),
    ),
    Case(
        "face turned beyond profile",
        feed("side.png", side_png=lambda path: files.save_turned_head(path, 100)),
        NO_FACE,
        ("No face was found in the photo", "less turned"),
    ),
    Case(
        "head from behind",
        feed(art="back.png", back_png=lambda path: files.save_turned_head(path, 180)),
        NO_FACE,
        ("No face was found in the art", "--art-landmarks"),
    ),
    Case("blank picture", feed("blank.png", blank_png=files.save_blank), NO_FACE, ("No face",)),
    Case("photo without a face", feed("coat.png", coat_png=files.save_no_face), NO_FACE, ("No face",)),
]

LANDMARKS = [
    Case("67 points", change_points(lambda points: points[:67]), REFUSED, ("67 points", "68 lines")),
    Case("a point that is NaN", change_points(spoil_first), REFUSED, ("not a finite",)),
    Case("points outside of the picture", change_points(lambda points: points + 5000), REFUSED, ("512 x 600 pixels",)),
    Case("fractions instead of pixels", change_points(lambda points: points / 600), REFUSED, ("in pixels",)),
    Case("68 equal points", change_points(lambda points: points * 0 + 200), REFUSED, ("less than 8 pixels",)),
    Case("mirrored points", change_points(lambda points: points * [-1, 1] + [512, 0]), REFUSED, ("mirrored",)),
    Case("x and y exchanged", change_points(lambda points: points[:, ::-1]), REFUSED, ("exchanged",)),
    Case(
        "shuffled points (every third first)",
        change_points(lambda points: points[[*range(0, 68, 3), *range(1, 68, 3), *range(2, 68, 3)]]),
        REFUSED,
        ("not those of its face", "iBUG order"),
    ),
    Case("a face a tenth as high as it is", change_points(flatten), REFUSED, ("are no face",)),
    Case(
        "a picture as landmark file", feed_points(lambda path: path.write_bytes(PHOTO.read_bytes())), REFUSED, ("68",)
    ),
    Case("arrays of Python objects (.npy)", feed_points(save_objects, "points.npy"), REFUSED, ("type object",)),
    Case(
        ".npy that claims a terabyte", feed_points(files.save_huge_header, "points.npy"), REFUSED, ("68 x 2000000000",)
    ),
    Case(
        "JSON of 100,000 brackets",
        feed_points(lambda path: path.write_text("[" * 100_000), "points.json"),
        REFUSED,
        ("68",),
    ),
    Case("named pipe as landmark file", feed_points(os.mkfifo, "points.txt"), REFUSED, ("not a file",)),
    Case("points of --save-all, for a picture of 3072 x 3600", feed_large_with_points, USED),
    Case(
        "points of --save-all, for another picture",
        feed_points(
            lambda path: path.write_text(f'{{"points": {files.find_points().tolist()}, "size": [400, 900]}}'), "p.json"
        ),
        REFUSED,
        ("made for a picture of 900 x 400",),
    ),
]

MASKS = [
    Case(
        "mask of another size",
        feed(options=("--photo-mask", "m.png"), m_png=lambda path: files.save_mask(path, "yellow", (300, 200))),
        REFUSED,
        ("300 x 200", "512 x 600", "portraitist landmarks"),
    ),
    Case("a photo as mask", feed(options=("--photo-mask", str(PHOTO))), REFUSED, ("no mask", "skin yellow")),
    Case(
        "mask without skin",
        feed(options=("--photo-mask", "m.png"), m_png=lambda path: files.save_mask(path, "blue", (512, 600))),
        REFUSED,
        ("nothing in yellow", "skin yellow"),
    ),
]

PLACES = [
    Case("OUT is the photo", feed("me.jpg", out="me.jpg", me_jpg=files.copy_photo), NO_OUTPUT, ("is a file",)),
    Case(
        "OUT below a file", feed("me.jpg", out="me.jpg/out", me_jpg=files.copy_photo), NO_OUTPUT, ("Not a directory",)
    ),
    Case("OUT is the current folder", feed(out="."), NO_OUTPUT, ("folder you are in",)),
    Case("OUT with a name of 300 letters", feed(out="x" * 300), NO_OUTPUT, ("shorter name",)),
    Case("OUT with a name of 255 letters", feed(out="x" * 255), USED),
    Case("OUT through symbolic links in a circle", feed(out="loop.x/out", loop_x=link_in_a_circle), NO_OUTPUT, ("-o",)),
    Case("OUT on a read-only disk", feed_disk, NO_OUTPUT, ("Read-only",), surroundings="read-only disk"),
    Case(
        "disk full while writing", feed_disk, NO_OUTPUT, ("No space left", "Free some space"), surroundings="full disk"
    ),
    Case("files may not grow (ulimit -f)", feed(), NO_OUTPUT, ("File too large",), surroundings="file limit"),
    Case(
        "an earlier run killed while writing; a former result at OUT",
        feed_former_result,
        NO_OUTPUT,
        ("not empty",),
        surroundings="killed while writing",
    ),
    Case(
        "an earlier run killed after it had put the former result aside",
        feed_former_result,
        NO_OUTPUT,
        ("not empty",),
        surroundings="killed between the renames",
    ),
]

MACHINES = [
    Case("device that does not exist", feed_device("tpu"), REFUSED, ("--device", "cpu")),
    Case(
        "cuda without a GPU",
        feed_device("cuda"),
        REFUSED,
        ("--device auto or cpu",),
        environment={"CUDA_VISIBLE_DEVICES": ""},
    ),
    Case(
        "damaged package file",
        feed_package("face_landmarker.task", b"damaged"),
        NO_ASSET,
        ("face_landmarker.task", "damaged", "Reinstall"),
        environment=PACKAGE_LINKS,
    ),
    Case(
        "missing package file",
        feed_package("vgg16_conv.safetensors", None),
        NO_ASSET,
        ("vgg16_conv.safetensors", "missing", "Reinstall"),
        environment=PACKAGE_LINKS,
    ),
    Case(
        "damaged list of package files",
        feed_package("manifest.json", b"{"),
        NO_ASSET,
        ("manifest.json", "Reinstall"),
        environment=PACKAGE_LINKS,
    ),
    Case("home, cache and settings folders that cannot be made", feed(), USED, environment=NOWHERE),
]

CASES = {
    "Pictures": PICTURES,
    "Faces": FACES,
    "Landmark files": LANDMARKS,
    "Masks": MASKS,
    "Places": PLACES,
    "Machines": MACHINES,
}
