"""Shape style alone: all 168 annotated artworks, one sitter each.

    python benchmarks/geometry.py [--sheet FOLDER] [TRANSLATOR ...]

Translators are ``network``, ``direct`` or files (default: network and direct). Artworks are read by the product
(``artworks.read_artwork``) and by hand; the hand-set points are the truth. Measures how well artworks are read, where
the final head goes, flipped triangles, what a photo given as the artwork does, and times. Run with the defaults it
writes ``results/geometry.json``. ``--sheet`` draws the heads of the most exaggerated ones (``geometry_sheets.py``).
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from artworks import AnnotatedArtwork, read_annotated_artworks, read_photos_as_artworks, read_sitters
from geometry_sheets import draw_strong_artworks
from mean_face import average_faces, frontalize_fit
from metrics.shape import ShapeTransfer, measure_flipped_share, measure_shape_transfer
from pair_figures import load_mean_face
from pairs import DEFAULT_DATA
from portraitist.geometry.deformation import build_deformer, deform_neutral, deform_to_landmarks
from portraitist.geometry.translation import (
    GeometryConfig,
    LandmarkTranslation,
    NetworkTranslator,
    ShapeExemplar,
    Translator,
    make_translator,
    measure_displacement,
    measure_shape,
    precompute_translation,
    translate_landmarks,
)
from portraitist.landmarks.ibug68 import outer_eye_distance
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.types import Head, HeadFit, Landmarks
from portraitist.unwrapping.unwrap import make_content

DEFAULT_TRANSLATORS = ("network", "direct")
WAYS = ("detected", "hand-set")
STRENGTHS = (1.0, 2.0)
AS_ARTWORKS = 12  # photos given as artworks to each other
NAMED = 3  # of the worst artworks
STRONGEST = 24  # artworks: with figures of their own, and drawn on the sheets
RESULTS = Path(__file__).parent / "results" / "geometry.json"
REPEATS = 10


@dataclass(frozen=True)
class Case:
    """An artwork and the sitter it is given. ``truth``: its hand-set points, ``seen``: the ones read, both from the
    front, meters; the latter None when no face was found. ``strength``: size of its true deviation."""

    artwork: AnnotatedArtwork
    fit: HeadFit
    head: Head
    hand_fit: HeadFit
    read_fit: HeadFit | None
    truth: Tensor
    seen: Tensor | None
    strength: float

    def find_exemplar(self, how: str, model: HeadModel) -> ShapeExemplar | None:
        if how == "hand-set":
            return measure_shape(self.artwork.by_hand, self.hand_fit, model)
        if self.artwork.read is None or self.read_fit is None:
            return None
        return measure_shape(self.artwork.read, self.read_fit, model)

    def translate(self, how: str, model: HeadModel, translator: Translator) -> LandmarkTranslation | None:
        exemplar = self.find_exemplar(how, model)
        return precompute_translation(self.fit, [exemplar], model, translator) if exemplar else None


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure and draw the shape style alone.")
    parser.add_argument("translators", nargs="*", default=DEFAULT_TRANSLATORS, metavar="TRANSLATOR")
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="also draw heads there, by the first translator")
    options = parser.parse_args()
    if not DEFAULT_DATA.is_dir():
        raise SystemExit(f"No development data at {DEFAULT_DATA}; this benchmark needs its pictures.")
    torch.set_num_threads(1)
    model = load_head_model()
    translators = {Path(name).stem: make_translator(name, model) for name in options.translators}
    sitters = {name: (seen, fit_head(seen, model)) for name, seen in read_sitters(DEFAULT_DATA).items()}
    cases = read_cases(sitters, model)
    first = next(iter(translators.values()))
    record = {
        "reading": measure_reading(cases, model),
        "final mesh": {
            f"{name}, {how}": measure_meshes(cases, how, model, translator)
            for (name, translator), how in itertools.product(translators.items(), WAYS)
        },
        "triangles turned over": {
            f"{next(iter(translators))}, {how}": measure_flips(cases, how, model, first) for how in WAYS
        },
        "photo as artwork": measure_photos(sitters, model, translators),
        "milliseconds": time_steps(cases[-1], model, first),
    }
    print(json.dumps(record, indent=1))
    if tuple(options.translators) == DEFAULT_TRANSLATORS:
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    if options.sheet:
        options.sheet.mkdir(parents=True, exist_ok=True)
        draw_most_exaggerated(options.sheet, cases, model, first)


def read_cases(sitters: dict[str, tuple[Landmarks, HeadFit]], model: HeadModel) -> list[Case]:
    """Every artwork with the next of the sitters in turn."""
    heads = [(fit, make_content(fit, torch.zeros(3, 4, 4), model)) for _, fit in sitters.values()]
    cases = []
    for artwork, sitter in zip(read_annotated_artworks(DEFAULT_DATA), itertools.cycle(heads), strict=False):
        hand_fit = fit_head(artwork.by_hand, model)
        read_fit = fit_head(artwork.read, model) if artwork.read else None
        truth = frontalize_fit(artwork.by_hand, hand_fit, model)
        seen = frontalize_fit(artwork.read, read_fit, model) if artwork.read and read_fit else None
        strength = float(measure_shape(artwork.by_hand, hand_fit, model).deviation.norm())
        cases.append(Case(artwork, *sitter, hand_fit, read_fit, truth, seen, strength))
    return cases


def measure_reading(cases: list[Case], model: HeadModel) -> dict[str, dict[str, float | int]]:
    """Of paintings, caricatures and all: distance of the read points to the hand-set ones, and the deviation read, each
    from the mean face that is read the same way."""
    mean = load_mean_face(DEFAULT_DATA, True)
    read_mean = average_faces(list(read_photos_as_artworks(DEFAULT_DATA).values()), model)
    rows = {}
    for group, members in _group(cases).items():
        found = [case for case in members if case.artwork.read is not None and case.seen is not None]
        errors = [_measure_error(case.artwork) for case in found]
        transfers = [
            measure_shape_transfer(read_mean, case.seen, case.truth, mean) for case in found if case.seen is not None
        ]
        rows[group] = {
            "artworks": len(members),
            "found": len(found),
            "error, % of eye distance (median)": statistics.median(errors),
            "deviation, cosine": statistics.mean(transfer.cosine for transfer in transfers),
            "deviation, gain": statistics.mean(transfer.gain for transfer in transfers),
        }
    return rows


def _measure_error(artwork: AnnotatedArtwork) -> float:
    assert artwork.read is not None
    apart = (artwork.read.points - artwork.by_hand.points).norm(dim=1).mean()
    return 100 * float(apart / outer_eye_distance(artwork.by_hand.points))


def measure_meshes(cases: list[Case], how: str, model: HeadModel, translator: Translator) -> dict[str, float | str]:
    """Where the heads go at strength 1. An artwork in which no face was found moves nothing: cosine and gain 0."""
    mean, deformer = load_mean_face(DEFAULT_DATA, True), build_deformer(model, GeometryConfig().stiffness)
    transfers: dict[str, ShapeTransfer] = {}
    for case in cases:
        translation = case.translate(how, model, translator)
        before = model.landmarks68.positions(case.head.neutral, model.faces)
        after = before
        if translation:
            shape = deform_neutral(case.head, translation.displace(), deformer)
            after = model.landmarks68.positions(shape, model.faces)
        transfers[case.artwork.name] = measure_shape_transfer(before[:, :2], after[:, :2], case.truth, mean)
    row: dict[str, float | str] = {}
    for group, members in _group(cases).items():
        of_group = [transfers[case.artwork.name] for case in members]
        row[f"cosine, {group}"] = statistics.mean(transfer.cosine for transfer in of_group)
        row[f"gain, {group}"] = statistics.mean(transfer.gain for transfer in of_group)
    worst = sorted(transfers, key=lambda name: transfers[name].cosine)[:NAMED]
    return row | {"worst": ", ".join(f"{Path(name).with_suffix('')} {transfers[name].cosine:.2f}" for name in worst)}


def measure_flips(cases: list[Case], how: str, model: HeadModel, translator: Translator) -> dict[str, float]:
    """Shares of skin triangles that are turned over on the heads without expression."""
    deformer, row = build_deformer(model, GeometryConfig().stiffness), {}
    translations = [(case.head, case.translate(how, model, translator)) for case in cases]
    for strength in STRENGTHS:
        shares = []
        for head, translation in translations:
            if translation:
                shape = deform_neutral(head, translation.displace(strength), deformer)
                shares.append(100 * measure_flipped_share(head.neutral, shape, head.mesh.faces, head.mesh.regions))
        row |= {f"% at {strength:g} (mean)": statistics.mean(shares), f"% at {strength:g} (most)": max(shares)}
    return row


def _group(cases: list[Case]) -> dict[str, list[Case]]:
    return {
        "paintings": [case for case in cases if case.artwork.is_painting],
        "caricatures": [case for case in cases if not case.artwork.is_painting],
        f"the {STRONGEST} strongest": find_strongest(cases),
        "all": cases,
    }


def find_strongest(cases: list[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: -case.strength)[:STRONGEST]


def measure_photos(
    sitters: dict[str, tuple[Landmarks, HeadFit]], model: HeadModel, translators: dict[str, Translator]
) -> dict[str, dict[str, float]]:
    """Movement when another sitter's photo is the artwork, root mean square in eye distances."""
    sitters = dict(list(sitters.items())[:AS_ARTWORKS])
    photos = {name: (seen, fit_head(seen, model)) for name, seen in read_photos_as_artworks(DEFAULT_DATA).items()}
    rows = {}
    for name, translator in translators.items():
        shapes = {photo: measure_shape(*seen, model) for photo, seen in photos.items()}
        moves = [
            measure_displacement(fit, translate_landmarks(fit, [shape], model, translator), model)
            for (sitter, (_, fit)), (photo, shape) in itertools.product(sitters.items(), shapes.items())
            if photo in sitters and photo != sitter
        ]
        rows[name] = {"mean": statistics.mean(moves), "most": max(moves)}
    return rows


def time_steps(case: Case, model: HeadModel, translator: Translator) -> dict[str, float]:
    """Medians of processor time on one thread, everything factored and warm; other programs do not count."""
    fit, head, exemplar = case.fit, case.head, case.find_exemplar("hand-set", model)
    assert exemplar is not None
    deformer = build_deformer(model, GeometryConfig().stiffness)
    targets = translate_landmarks(fit, [exemplar], model, translator)
    moved = targets - head.landmarks68.positions(head.mesh.vertices, head.mesh.faces)
    steps = {
        "translate 68 landmarks": lambda: translate_landmarks(fit, [exemplar], model, translator),
        "slider step: handle matrix to vertices": lambda: deformer.displace(head.neutral, moved),
        "deform the head, 52 expressions carried": lambda: deform_to_landmarks(head, targets, deformer),
    }
    if isinstance(translator, NetworkTranslator):
        content = torch.zeros(68, 2)
        steps["network alone"] = lambda: translator.move(content, [exemplar])
    return {name: 1000 * statistics.median(_time(step) for _ in range(REPEATS)) for name, step in steps.items()}


def _time(step) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def draw_most_exaggerated(folder: Path, cases: list[Case], model: HeadModel, translator: Translator) -> None:
    """Sheets of the artworks that deviate most by their hand-set points, as the product reads them."""
    drawn = []
    for case in find_strongest(cases):
        moved = case.translate("detected", model, translator)
        if case.artwork.read and moved:
            drawn.append((case.artwork.name, case.artwork.read, case.head, moved))
    draw_strong_artworks(folder, drawn, model)


if __name__ == "__main__":
    main()
