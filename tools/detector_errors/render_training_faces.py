"""Pictures of known heads, with what the landmark detector says about them: what ``learn_errors.py`` learns from.

    python tools/detector_errors/render_training_faces.py --count 600 --out FOLDER      # about 2 s of CPU per face

Heads, cameras, lights and hair as in ``benchmarks/rendered_faces.py``, drawn anew: another seed, and none of its
pictures. The skins are unwrapped from two portraits in the public domain that matplotlib and scikit-image install
(Grace Hopper, US Navy; Eileen Collins, NASA), each also mirrored, in random tones. Faces already there are kept,
so that the tool can be stopped and run again. Needs ``pip install -e .[benchmarks]`` and ``pip install anny
scikit-image``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from portraitist import load_image
from portraitist.errors import NoFaceError
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.segmentation.person import PersonSegmenter, segment_person
from portraitist.unwrapping.projection import UnwrapConfig
from portraitist.unwrapping.unwrap import unwrap_photo
from reconstruction_runs import segment_bare_head  # pyright: ignore[reportMissingImports]
from rendered_faces import HEAD_MIDDLE, photograph, plan_faces  # pyright: ignore[reportMissingImports]
from rendered_shapes import sample_shapes  # pyright: ignore[reportMissingImports]

SEED, SIDE_PX = 11, 448
TEXTURE_SIZE = 1024
DARKEST = 0.35


def find_portraits() -> list[Path]:
    import skimage
    from matplotlib.cbook import get_sample_data

    hopper = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))
    return [hopper, Path(skimage.__file__).parent / "data" / "astronaut.png"]


def unwrap_skins(model: HeadModel, detector: LandmarkDetector) -> list[Float[np.ndarray, "t t 3"]]:
    """sRGB skins of the portraits and of their mirror images."""
    segmenter, skins = PersonSegmenter(), []
    for path in find_portraits():
        for photo in (load_image(path), load_image(path).flip(2)):
            landmarks, _ = detect_landmarks(photo, detector)
            person = segment_person(photo, landmarks, segmenter)
            fit = fit_head(landmarks, model)
            bare = segment_bare_head(photo, landmarks, fit, person)
            unwrapped = unwrap_photo(photo, fit, bare, model, UnwrapConfig(TEXTURE_SIZE))
            skins.append(unwrapped.texture.permute(1, 2, 0).numpy())
    return skins


def make_faces(folder: Path, count: int) -> None:
    """Writes ``folder/NNNN.npz`` for every face that is found."""
    model, detector = load_head_model(), LandmarkDetector()
    plans = plan_faces(count, SEED)
    shapes = sample_shapes(model, [plan.expression for plan in plans], SEED)
    skins = unwrap_skins(model, detector)
    for plan, shape in zip(plans, shapes, strict=True):
        path = folder / f"{plan.number:04d}.npz"
        if path.is_file():
            continue
        picture, camera = photograph(plan, shape, skins[plan.texture % len(skins)], model, SIDE_PX, DARKEST)
        try:
            landmarks, _ = detect_landmarks(picture, detector)
        except NoFaceError:
            continue
        assert landmarks.dense is not None
        assert landmarks.expressions is not None
        np.savez_compressed(
            path, dense=landmarks.dense, scores=landmarks.expressions, size=SIDE_PX,
            neutral=shape.neutral.astype(np.float32), expressive=shape.expressive.astype(np.float32),
            expression=shape.expression, rotation_seen=camera.rotation_seen(HEAD_MIDDLE), rotation=camera.rotation,
            translation=camera.translation, focal_px=camera.focal_px,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Render faces and detect their landmarks.")
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pairs")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    make_faces(options.out, options.count)


if __name__ == "__main__":
    main()
