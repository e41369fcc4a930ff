"""Pictures of the README and of docs/, from the embedded photo and artworks: python tools/draw_docs_pictures.py

docs/images/demo.png: heads in the three styles. image.jpg: the photo painted (docs/image.md). stickers.jpg: a sheet of
expressions (docs/stickers.md).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib.cbook
from PIL import Image, ImageOps

from portraitist import Config, Head, Models, load_image, stylize, stylize_image, write_expression_sheet
from portraitist.assets import asset_path
from portraitist.export.result_folder import render_named_views
from portraitist.io.images import image_to_uint8

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images"
STYLES = ("brush", "ink", "mosaic")
PAINTED = ("brush", "ink")
CELL = 300
SHEET_HEIGHT = 320
JPEG_QUALITY = 85


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    photo_path = Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    models, photo = Models.load(), load_image(photo_path)
    arts = {style: asset_path(f"exemplars/{style}.jpg") for style in STYLES}
    heads = {
        style: stylize(photo, load_image(path), models, Config.standard()).stylized for style, path in arts.items()
    }
    draw_heads(photo_path, arts, heads)
    draw_stickers(heads["brush"])
    draw_paintings(photo_path, arts, heads, models)


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


def draw_stickers(head: Head) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_expression_sheet(Path(folder) / "stickers", head)
        sheet = Image.open(Path(folder) / "stickers" / "sheet.png").convert("RGB")
    ImageOps.contain(sheet, (CELL * 4, CELL * 4)).save(TARGET / "stickers.jpg", quality=JPEG_QUALITY)


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
