"""Draw the style exemplars src/portraitist/assets/exemplars/{brush,ink,mosaic}.jpg and record their hashes.

Each is a different, strongly exaggerated head of this project's own head model, painted by the code in
``tools/exemplars``: nothing in them is taken from any picture. Same seeds, same packages, same pictures.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from exemplars.brush_portrait import paint_brush_portrait
from exemplars.ink_portrait import draw_ink_portrait
from exemplars.mosaic_portrait import lay_mosaic_portrait
from record_assets import record_assets

FOLDER = Path(__file__).resolve().parents[1] / "src" / "portraitist" / "assets" / "exemplars"
MAX_BYTES = 400_000


def save_picture(name: str, picture: np.ndarray, quality: int) -> None:
    """Write ``picture [h, w, 3]`` 0..1 as JPEG; refuses to ship a file that is too large."""
    path = FOLDER / f"{name}.jpg"
    pixels = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=quality, optimize=True, progressive=True)
    if path.stat().st_size >= MAX_BYTES:
        raise SystemExit(f"{path.name} has {path.stat().st_size} bytes; lower its quality.")


def make_exemplars() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    save_picture("brush", paint_brush_portrait(1024), quality=88)
    save_picture("ink", draw_ink_portrait(1024), quality=82)
    save_picture("mosaic", lay_mosaic_portrait(960), quality=84)
    record_assets()


if __name__ == "__main__":
    make_exemplars()
