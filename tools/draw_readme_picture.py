"""docs/images/demo.png: the embedded photo in the three embedded styles. python tools/draw_readme_picture.py"""

from __future__ import annotations

from pathlib import Path

import matplotlib.cbook
from PIL import Image, ImageOps

from portraitist import Config, Models, load_image, stylize
from portraitist.assets import asset_path
from portraitist.export.result_folder import render_named_views
from portraitist.io.images import image_to_uint8

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "demo.png"
STYLES = ("brush", "ink", "mosaic")
CELL = 300


def main() -> None:
    photo_path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    models, photo = Models.load(), load_image(photo_path)
    sheet = Image.new("RGB", (CELL * 5, CELL * len(STYLES)), "white")
    for row, style in enumerate(STYLES):
        art_path = asset_path(f"exemplars/{style}.jpg")
        result = stylize(photo, load_image(art_path), models, Config.standard())
        views = render_named_views(result.stylized)
        cells = [Image.open(photo_path) if row == 0 else None, Image.open(art_path)]
        cells += [Image.fromarray(image_to_uint8(views[name])) for name in ("left", "front", "right")]
        for column, cell in enumerate(cells):
            if cell is not None:
                cell = ImageOps.contain(cell.convert("RGB"), (CELL - 10, CELL - 10))
                sheet.paste(cell, (column * CELL + (CELL - cell.width) // 2, row * CELL + (CELL - cell.height) // 2))
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
