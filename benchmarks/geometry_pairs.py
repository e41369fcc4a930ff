"""Shape style of the 32 prescribed pairs without texture: the shape figures of ``quality.py`` in seconds.

    python benchmarks/geometry_pairs.py [TRANSLATOR ...]

Translators are ``network``, ``direct`` or files (default: network and direct). Every artwork is read once by the
detector, as ``quality.py`` reads it, and the annotated ones once from their hand-set points, as ``--art-landmarks``
does; either way it is the hand-set points that count as the truth where there are any. Run with the defaults it writes
``results/geometry_pairs.json``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float

from artworks import find_artist, read_artwork
from mean_face import frontalize_fit
from metrics.shape import measure_flipped_share, measure_shape_transfer
from pair_figures import load_mean_face
from pairs import DEFAULT_DATA, Pair, prescribed_pairs, read_annotation
from portraitist import load_image
from portraitist.geometry.deformation import build_deformer, deform_to_landmarks
from portraitist.geometry.translation import (
    GeometryConfig,
    Translator,
    make_translator,
    measure_displacement,
    measure_shape,
    translate_landmarks,
)
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.reconstruction.silhouette import fit_photo
from portraitist.segmentation.person import PersonSegmenter, segment_person
from portraitist.types import Head, HeadFit, Landmarks
from portraitist.unwrapping.unwrap import make_content

RESULTS = Path(__file__).parent / "results" / "geometry_pairs.json"
DEFAULT_TRANSLATORS = ("network", "direct")
AS_ARTWORKS = 12  # photos given as artworks to each other


@dataclass(frozen=True)
class ReadPair:
    """``seen``: the artwork as the product reads it; ``annotated``: by hand, or None. ``photo_as_art``: the photo as
    the product reads artworks."""

    pair: Pair
    photo: tuple[Landmarks, HeadFit]
    photo_as_art: tuple[Landmarks, HeadFit]
    head: Head
    seen: tuple[Landmarks, HeadFit]
    annotated: tuple[Landmarks, HeadFit] | None


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the shapes of the 32 pairs without texture.")
    parser.add_argument("translators", nargs="*", default=DEFAULT_TRANSLATORS, metavar="TRANSLATOR")
    options = parser.parse_args()
    if not DEFAULT_DATA.is_dir():
        raise SystemExit(f"No development data at {DEFAULT_DATA}; this benchmark needs its pictures.")
    torch.set_num_threads(1)
    model = load_head_model()
    pairs = read_pairs(DEFAULT_DATA, model)
    rows = {}
    for name in options.translators:
        translator = make_translator(name, model)
        for how in ("detected", "hand-set"):
            rows[f"{Path(name).stem}, {how}"] = measure_pairs(pairs, model, translator, by_hand=how == "hand-set")
    print(json.dumps(rows, indent=1))
    if tuple(options.translators) == DEFAULT_TRANSLATORS:
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


def read_pairs(data: Path, model: HeadModel) -> list[ReadPair]:
    detector, segmenter, pairs = LandmarkDetector(), PersonSegmenter(), []
    for pair in prescribed_pairs():
        photo, art = load_image(data / pair.photo), load_image(data / pair.art)
        landmarks, _ = detect_landmarks(photo, detector)
        fit = fit_photo(landmarks, segment_person(photo, landmarks, segmenter), model)
        seen, as_art = read_artwork(art, find_artist(pair.art), detector), read_artwork(photo, None, detector)
        annotated = None
        if pair.annotated:
            points = Landmarks(read_annotation(data, pair.art).float(), (art.shape[1], art.shape[2]))
            annotated = points, fit_head(points, model)
        head = make_content(fit, torch.zeros(3, 4, 4), model)
        both = [(landmarks, fit_head(landmarks, model)) for landmarks in (as_art, seen)]
        pairs.append(ReadPair(pair, (landmarks, fit), both[0], head, both[1], annotated))
    return pairs


def measure_pairs(
    pairs: list[ReadPair], model: HeadModel, translator: Translator, *, by_hand: bool
) -> dict[str, float | str]:
    """Means over the pairs at strength 1. ``by_hand``: the translator gets hand-set points where there are any."""
    deformer = build_deformer(model, GeometryConfig().stiffness)
    transfers, flips = {}, []
    for one in pairs:
        art = one.annotated if by_hand and one.annotated else one.seen
        exemplar = measure_shape(*art, model)
        targets = translate_landmarks(one.photo[1], [exemplar], model, translator)
        made = deform_to_landmarks(one.head, targets, deformer)
        truth = frontalize_fit(*(one.annotated or one.seen), model)
        mean = load_mean_face(DEFAULT_DATA, one.pair.annotated)
        transfers[str(one.pair)] = measure_shape_transfer(_frontal(one.head), _frontal(made), truth, mean)
        flips.append(measure_flipped_share(one.head.neutral, made.neutral, made.mesh.faces, made.mesh.regions))
    worst = min(transfers, key=lambda name: transfers[name].cosine)
    annotated = [transfers[str(one.pair)] for one in pairs if one.pair.annotated]
    return {
        "cosine": statistics.mean(transfer.cosine for transfer in transfers.values()),
        "gain": statistics.mean(transfer.gain for transfer in transfers.values()),
        "cosine of the 8 annotated": statistics.mean(transfer.cosine for transfer in annotated),
        "gain of the 8 annotated": statistics.mean(transfer.gain for transfer in annotated),
        "worst cosine": transfers[worst].cosine,
        "worst pair": worst,
        "flipped % (most)": 100 * max(flips),
        "photo as artwork": measure_photos(pairs[:AS_ARTWORKS], model, translator),
    }


def _frontal(head: Head) -> Float[torch.Tensor, "68 2"]:
    return head.landmarks68.positions(head.mesh.vertices, head.mesh.faces)[:, :2]


def measure_photos(pairs: list[ReadPair], model: HeadModel, translator: Translator) -> float:
    """Mean movement by other sitters' photos as artworks, root mean square in eye distances; at most 0.04 wanted."""
    photos = [(one.photo[1], measure_shape(*one.photo_as_art, model)) for one in pairs]
    return statistics.mean(
        measure_displacement(fit, translate_landmarks(fit, [other], model, translator), model)
        for (fit, own), (_, other) in itertools.product(photos, photos)
        if other is not own
    )


if __name__ == "__main__":
    main()
