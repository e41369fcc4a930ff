"""Pictures of the README and of docs/, from the embedded photo and artworks: python tools/draw_docs_pictures.py

docs/images/demo.png: heads in the three styles. image.jpg: the photo painted (docs/image.md). stickers.jpg: a sheet of
expressions (docs/stickers.md). bust.jpg: the full portrait (docs/bust.md). character.jpg: somebody on a body
(docs/character.md). reenactment.jpg: a video of the photo's own head, made here, and two heads that follow it
(docs/reenactment.md).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib.cbook
import numpy as np
import torch
from PIL import Image, ImageOps
from scipy.spatial.transform import Rotation

from portraitist import (
    Config,
    Head,
    Models,
    head_camera,
    load_image,
    read_manner,
    reenact_video,
    stylize,
    stylize_bust,
    stylize_character,
    stylize_image,
    write_expression_sheet,
)
from portraitist.apps.animated_head import AnimatedHead
from portraitist.apps.expression_presets import set_actions
from portraitist.apps.reenactment import ReenactmentConfig
from portraitist.assets import asset_path
from portraitist.export.character_folder import draw_character
from portraitist.export.result_folder import BUST_YAWS_DEG, render_named_views
from portraitist.io.images import image_to_uint8
from portraitist.io.video import Video
from portraitist.io.video_writer import write_video
from portraitist.rendering.sampling import render_all

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images"
STYLES = ("brush", "ink", "mosaic")
PAINTED = ("brush", "ink")
CELL = 300
SHEET_HEIGHT = 320
JPEG_QUALITY = 85
ACTS = (
    ({}, 0, 0),
    ({"mouthSmile": 0.9}, 15, 0),
    ({"jawOpen": 0.6, "browInnerUp": 0.8, "browOuterUp": 0.8}, -10, 5),
    ({"mouthPucker": 0.9}, -30, 0),
    ({"browDown": 1.0, "mouthFrown": 0.9}, 10, -10),
    ({"mouthSmile": 0.8, "jawOpen": 0.35, "mouthUpperUp": 0.6}, 30, 5),
)
"""What the head in the video does, one after another: actions, yaw and pitch in degrees."""
ACT_FRAMES, FRAMES_PER_SECOND, VIDEO_PX, FRAME_PX = 16, 25, 512, 220


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    photo_path = Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    models, photo = Models.load(), load_image(photo_path)
    arts = {style: asset_path(f"exemplars/{style}.jpg") for style in STYLES}
    results = {style: stylize(photo, load_image(path), models, Config.standard()) for style, path in arts.items()}
    heads = {style: result.stylized for style, result in results.items()}
    draw_heads(photo_path, arts, heads)
    draw_stickers(heads["brush"])
    draw_reenactment(results["brush"].content, [heads[style] for style in PAINTED], models)
    draw_paintings(photo_path, arts, heads, models)
    draw_busts(photo, arts, models)
    draw_person(heads["brush"], arts["brush"], models)


def draw_heads(photo_path: Path, arts: dict[str, Path], heads: dict[str, Head]) -> None:
    sheet = Image.new("RGB", (CELL * 5, CELL * len(heads)), "white")
    for row, (style, head) in enumerate(heads.items()):
        views = render_named_views(head)
        cells = [Image.open(photo_path) if row == 0 else None, Image.open(arts[style])]
        cells += [Image.fromarray(image_to_uint8(views[name])) for name in ("left", "front", "right")]
        for column, cell in enumerate(cells):
            if cell is not None:
                cell = ImageOps.contain(cell.convert("RGB"), (CELL - 10, CELL - 10))
                sheet.paste(cell, (column * CELL + (CELL - cell.width) // 2, row * CELL + (CELL - cell.height) // 2))
    sheet.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(TARGET / "demo.png", optimize=True)


def draw_busts(photo: torch.Tensor, arts: dict[str, Path], models: Models) -> None:
    """Photo and artwork, then the bust from the front, both sides and behind."""
    rows = []
    for style in PAINTED:
        art = load_image(arts[style])
        bust = stylize_bust(photo, art, models).stylized
        views = render_all(bust, [head_camera(bust, yaw, 0.0, CELL) for yaw in BUST_YAWS_DEG])
        cells = [Image.fromarray(image_to_uint8(image)) for image in (photo, art, *views)]
        row = Image.new("RGB", (CELL * len(cells), CELL), "white")
        for column, cell in enumerate(cells):
            cell = ImageOps.contain(cell, (CELL - 10, CELL - 10))
            row.paste(cell, (column * CELL + (CELL - cell.width) // 2, (CELL - cell.height) // 2))
        rows.append(row)
    sheet = Image.new("RGB", (rows[0].width, CELL * len(rows)), "white")
    for number, row in enumerate(rows):
        sheet.paste(row, (0, CELL * number))
    sheet.save(TARGET / "bust.jpg", quality=JPEG_QUALITY)


def draw_person(head: Head, art: Path, models: Models) -> None:
    """Standing, moving, and the face."""
    person = stylize_character(head, models, manner=read_manner(load_image(art), models))
    Image.fromarray(image_to_uint8(draw_character(person))).save(TARGET / "character.jpg", quality=JPEG_QUALITY)


def draw_stickers(head: Head) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_expression_sheet(Path(folder) / "stickers", head)
        sheet = Image.open(Path(folder) / "stickers" / "sheet.png").convert("RGB")
    ImageOps.contain(sheet, (CELL * 4, CELL * 4)).save(TARGET / "stickers.jpg", quality=JPEG_QUALITY)


def draw_reenactment(sitter: Head, heads: list[Head], models: Models) -> None:
    """Columns: moments of the video. Rows: the video, and the heads."""
    weights = np.stack([set_actions(torch.zeros(52), actions).numpy() for actions, _, _ in ACTS])
    angles = np.array([[yaw, pitch] for _, yaw, pitch in ACTS], float)
    moments = np.linspace(0, len(ACTS) - 1, ACT_FRAMES * (len(ACTS) - 1) + 1)
    middles = [ACT_FRAMES * act for act in range(len(ACTS))]

    def between(values: np.ndarray, moment: float) -> np.ndarray:
        act = min(int(moment), len(ACTS) - 2)
        share = (1 - np.cos(np.pi * (moment - act))) / 2
        return (1 - share) * values[act] + share * values[act + 1]

    with tempfile.TemporaryDirectory() as folder:
        video, made = Path(folder) / "video.mp4", Path(folder) / "made.mp4"
        animated = AnimatedHead(sitter, VIDEO_PX)
        with write_video(video, (VIDEO_PX, VIDEO_PX), FRAMES_PER_SECOND) as writer:
            for index, moment in enumerate(moments):
                turn = Rotation.from_euler("YX", between(angles, moment), degrees=True).as_matrix()
                picture = animated.draw(between(weights, moment).astype(np.float32), turn)
                writer.add(picture, index / FRAMES_PER_SECOND, 1 / FRAMES_PER_SECOND)
        films = [video]
        for number, head in enumerate(heads):
            films.append(made.with_stem(f"made{number}"))
            reenact_video(head, video, films[-1], models, ReenactmentConfig(layout="head", frame=0))
        sheet = Image.new("RGB", (FRAME_PX * len(ACTS), FRAME_PX * len(films)), "white")
        for row, film in enumerate(films):
            frames = list(Video(film).read())
            for column, index in enumerate(middles):
                cell = Image.fromarray(frames[index].pixels).resize((FRAME_PX, FRAME_PX), Image.Resampling.LANCZOS)
                sheet.paste(cell, (column * FRAME_PX, row * FRAME_PX))
    sheet.save(TARGET / "reenactment.jpg", quality=JPEG_QUALITY)


def draw_paintings(photo_path: Path, arts: dict[str, Path], heads: dict[str, Head], models: Models) -> None:
    """The photo; then each artwork, the painting, and the same smiling."""
    photo, cells = load_image(photo_path), [Image.open(photo_path).convert("RGB")]
    for style in PAINTED:
        cells.append(Image.open(arts[style]).convert("RGB"))
        for expression in (None, {"mouthSmile": 0.8}):
            made = stylize_image(photo, load_image(arts[style]), models, head=heads[style], expression=expression)
            cells.append(Image.fromarray(image_to_uint8(made.image)))
    cells = [ImageOps.contain(cell, (SHEET_HEIGHT, SHEET_HEIGHT)) for cell in cells]
    sheet = Image.new("RGB", (sum(cell.width + 4 for cell in cells) - 4, SHEET_HEIGHT), "white")
    left = 0
    for cell in cells:
        sheet.paste(cell, (left, (SHEET_HEIGHT - cell.height) // 2))
        left += cell.width + 4
    sheet.save(TARGET / "image.jpg", quality=JPEG_QUALITY)


if __name__ == "__main__":
    main()
