"""Faces replaced on characters: python benchmarks/replace_face.py --characters GLB [GLB...] --photos PHOTO [PHOTO...]

Writes results/replace_face.json: seconds of each stage, and how well head and neck meet.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from portraitist import Config, Models, ReplaceConfig, load_image, read_figure, replace_face
from portraitist.characters.figure import Figure, build_figure
from portraitist.characters.paint import Paints

RESULTS = Path(__file__).parent / "results" / "replace_face.json"
BESIDE = 0.05  # of the neck's width: how far below the seam neighboring skin is looked at


def measure_seam(figure: Figure) -> dict[str, float]:
    """Over the vertices that the node Face shares with other skin: the largest angle between normals, degrees; the mean
    difference of colors (sRGB, root mean square of the channels) across the seam, and that between the skin at the seam
    and a little below it."""
    names = [figure.document.tree["nodes"][piece.node]["name"] for piece in figure.pieces]
    face = figure.pieces[names.index("Face")]
    paints = Paints(figure.document, figure.path)
    own = {figure.vertices[n].tobytes(): n for n in np.unique(figure.faces[face.faces])}
    pairs = []
    for piece in figure.pieces:
        if piece is not face:
            used = np.unique(figure.faces[piece.faces])
            pairs += [(own[key], n, piece) for n in used if (key := figure.vertices[n].tobytes()) in own]
    if not pairs:
        return {"shared": 0.0}
    mine, theirs = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    owner = pairs[0][2]
    here, there = _look_up(figure, paints, face, mine), _look_up(figure, paints, owner, theirs)
    skin = np.unique(figure.faces[owner.faces])
    width = float(np.ptp(figure.vertices[theirs], axis=0).max())
    below = figure.vertices[theirs] - np.array([0.0, BESIDE * width, 0.0])
    nearest = skin[np.linalg.norm(figure.vertices[skin][None] - below[:, None], axis=2).argmin(1)]
    normals = [_read_normals(figure, piece, ids) for piece, ids in ((face, mine), (owner, theirs))]
    best: dict[int, float] = {}
    for number, cosine in zip(mine.tolist(), (normals[0] * normals[1]).sum(1).tolist(), strict=True):
        best[number] = max(best.get(number, -1.0), cosine)  # seams of textures double vertices
    return {
        "shared": float(len(best)),
        "normals_deg": float(np.degrees(np.arccos(np.clip(min(best.values()), -1, 1)))),
        "color_across": float(np.sqrt(((here - there) ** 2).mean(1)).mean()),
        "color_beside": float(np.sqrt(((there - _look_up(figure, paints, owner, nearest)) ** 2).mean(1)).mean()),
    }


def _look_up(figure: Figure, paints: Paints, piece: Any, ids: np.ndarray) -> np.ndarray:
    still = np.zeros(len(ids))
    return paints.look_up(piece.material, figure.uvs[ids], figure.colors[ids], still)[:, :3]


def _read_normals(figure: Figure, piece: Any, ids: np.ndarray) -> np.ndarray:
    accessor = figure.primitive(piece)["attributes"]["NORMAL"]
    return figure.document.buffers.read(accessor)[ids - piece.vertices.start]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--characters", type=Path, nargs="+", required=True)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--preset", default="draft")
    values = parser.parse_args()
    models, config = Models.load("cpu"), ReplaceConfig(getattr(Config, values.preset)())
    rows = []
    for path, photo in product(values.characters, values.photos):
        replaced = replace_face(load_image(photo), read_figure(path), models, config)
        after = build_figure(replaced.document, path)
        row = {"photo": photo.stem, "character": path.stem, "preset": values.preset}
        seconds = {f"{stage}_s": spent for stage, spent in replaced.result.seconds.items()}
        rows.append(row | seconds | measure_seam(after))
        print(rows[-1])
    RESULTS.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
