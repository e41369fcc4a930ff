"""Colours for the part of the head's surface that the photo does not show.

Low frequencies live on the mesh's vertices, where the cut down the back of the UV layout does not exist: a Poisson
problem carries the mirrored side over, in logarithms so that side light only scales it, and membranes spread hair over
the scalp and skin over the rest. High frequencies are added per texel: mirrored detail, else noise as strong.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float
from scipy.sparse.linalg import splu

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.observation import (
    DARKEST,
    HairColours,
    SkinColours,
    TexelColours,
    luminance,
    mix,
    smoothstep,
)
from portraitist.reconstruction.surface import SURFACE_PARTS, cotangent_laplacian
from portraitist.reconstruction.texel_atlas import TexelAtlas

PRIOR_REACH = 0.03  # metres from anything seen at which scalp counts as hair (or not) by default
RETURN_STRENGTH = 0.3  # of the return to the median colour, against that prior
DATA_STRENGTH = 100.0  # against membrane weights of order one
HAIR_NOISE_LIMIT, SKIN_NOISE_LIMIT = 0.06, 0.007  # standard deviations in sRGB
UNGUIDED_STIFFNESS = 0.05
SHADE_STRENGTH = 0.55
EAR_CAUTION = 2.5  # times as much of an ear has to be seen as of other skin


class Membrane:
    """Smoothest field on the connected surface that meets weighted data; other vertices stay 0."""

    def __init__(self, model: HeadModel) -> None:
        ids, faces = np.unique(model.faces[model.face_mask(*SURFACE_PARTS)].numpy(), return_inverse=True)
        self.ids = ids
        self.laplacian, self.areas = cotangent_laplacian(model.mean.double().numpy()[ids], faces.reshape(-1, 3))
        edges = sp.coo_matrix(sp.triu(self.laplacian, 1))
        self.edges, self.stiffness = np.stack([edges.row, edges.col], axis=1), -np.asarray(edges.data, np.float64)

    def solve(self, data: Float[np.ndarray, "n c"], weights: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n c"]:
        """Minimise ``sum w |x - data|² + x' L x``."""
        return self._minimise(self.laplacian, data, weights, 0.0)

    def solve_guided(
        self,
        data: Float[np.ndarray, "n c"],
        weights: Float[np.ndarray, "n"],
        guide: Float[np.ndarray, "n c"],
        trust: Float[np.ndarray, "n"],
    ) -> Float[np.ndarray, "n c"]:
        """The same, but differences along edges are drawn to the guide's where both ends trust it, else weakly to 0."""
        first, second = self.edges.T
        agreed = np.minimum(trust[self.ids][first], trust[self.ids][second])
        flow = (guide[self.ids][first] - guide[self.ids][second]) * (self.stiffness * agreed)[:, None]
        count = len(self.ids)
        rows, signs = np.concatenate([first, second]), np.repeat([1.0, -1.0], len(first))
        spread = sp.csr_matrix((signs, (rows, np.tile(np.arange(len(first)), 2))), (count, len(first)))
        laplacian = spread @ sp.diags(self.stiffness * np.maximum(agreed, UNGUIDED_STIFFNESS)) @ spread.T
        return self._minimise(laplacian, data, weights, spread @ flow)

    def _minimise(
        self, laplacian: sp.spmatrix, data: np.ndarray, weights: np.ndarray, divergence: np.ndarray | float
    ) -> np.ndarray:
        own = np.maximum(weights[self.ids].astype(np.float64), 1e-7)
        system = (laplacian + sp.diags(own)).tocsc()
        factor = splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        result = np.zeros_like(data, np.float32)
        result[self.ids] = factor.solve(own[:, None] * data[self.ids] + divergence)
        return result


@functools.lru_cache(maxsize=2)
def build_membrane(model: HeadModel) -> Membrane:
    """Membrane of the model's mean head; remembered."""
    return Membrane(model)


def complete_surface(
    seen: TexelColours, skin: SkinColours, hair_colours: HairColours | None, atlas: TexelAtlas, model: HeadModel
) -> Float[np.ndarray, "k 3"]:
    """Colours of all texels: the photo where it is trusted, mirrored or invented ones elsewhere."""
    membrane = build_membrane(model)
    mirror = model.mirror.numpy()
    own_weights = seen.weights * atlas.in_parts(*SURFACE_PARTS)
    means, weights = atlas.vertex_means(seen.colours, own_weights**2)
    base = mirror_low_frequencies(means, weights, mirror, membrane)
    photo_base = mix(base, means, smoothstep(weights, 0.05, 0.4)[:, None])
    detail = (seen.colours - atlas.interpolation @ photo_base) * (own_weights > 0)[:, None]
    known = np.maximum(weights, weights[mirror])
    hair, skin_fill, hairness = spread_layers(base, known, hair_colours, skin, model, membrane)

    hair_share = smoothstep(atlas.interpolation @ hairness + 0.06 * atlas.strands, 0.3, 0.7)
    ears = smoothstep(atlas.interpolation @ vertex_share(model, "ears"), 0.2, 0.5)  # they stand out of the hair
    hair_share *= 1 - ears
    invented = mix(atlas.interpolation @ skin_fill, atlas.interpolation @ hair, hair_share[:, None])
    shade = shade_folds(atlas.openness, vertex_share(model, "ears"))
    # Lips, lids and nostrils, sockets and mouth continue what is next to them; all else is either hair or skin.
    outer = atlas.in_regions("scalp", "neck", "ears", "brows", "skin")
    # An ear hardly seen would be continued from the hair around it.
    level = mix(1.0, EAR_CAUTION, ears)
    replaced = smoothstep(atlas.interpolation @ known / level, 0.3, 0.02) * outer
    low = mix(atlas.interpolation @ base, invented, replaced[:, None])
    shaded = np.maximum(replaced, ~atlas.in_parts("outer_skin"))
    low *= mix(1.0, atlas.interpolation @ mix(shade, 1.0, known), shaded)[:, None]
    hair_noise, skin_noise = measure_noise(detail, own_weights, hair_share, atlas)
    noise = mix(skin_noise * atlas.pores, hair_noise * atlas.strands, hair_share) * np.minimum(luminance(low) / 0.4, 1)
    high = mix(noise[:, None], detail[atlas.mirror_ids], own_weights[atlas.mirror_ids][:, None])
    return mix((low + high).clip(0, 1), seen.colours, own_weights[:, None]).astype(np.float32)


def mirror_low_frequencies(
    means: Float[np.ndarray, "n 3"], weights: Float[np.ndarray, "n"], mirror: np.ndarray, membrane: Membrane
) -> Float[np.ndarray, "n 3"]:
    """Vertex colours: the photo's where seen; differences of the mirrored side's elsewhere, hence no visible patch."""
    logs = np.log(means + DARKEST)
    trust = smoothstep(weights[mirror], 0.02, 0.5) * (1 - weights).clip(0, 1)
    solved = membrane.solve_guided(logs, DATA_STRENGTH * weights**2, logs[mirror], trust)
    return (np.exp(solved) - DARKEST).clip(0, 1)


def spread_layers(
    base: Float[np.ndarray, "n 3"],
    known: Float[np.ndarray, "n"],
    hair: HairColours | None,
    skin: SkinColours,
    model: HeadModel,
    membrane: Membrane,
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]]:
    """Continue hair and skin separately, and decide which of them a vertex shows: 1 is hair."""
    data = DATA_STRENGTH * known**2
    prior = np.full_like(known, 1e-6)
    prior[membrane.ids] = membrane.areas / PRIOR_REACH**2
    # The last that is seen of hair and skin is often a darkened or blurred edge: far from it, return to the median.
    back = RETURN_STRENGTH * prior
    own = data * skin.likeness(base)
    if hair is None:
        return base, membrane.solve(weigh(base, own, skin.median, back), own + back), np.zeros_like(known)
    scalp = vertex_share(model, "scalp")
    hairness = hair.likeness(base) * (1 - vertex_share(model, "neck"))
    own *= 1 - hairness
    skin_fill = membrane.solve(weigh(base, own, skin.median, back), own + back)
    own = data * hairness * scalp
    hair_fill = membrane.solve(weigh(base, own, hair.median, back), own + back)
    spread = membrane.solve(weigh(hairness[:, None], data, scalp[:, None], prior), data + prior)
    return hair_fill, skin_fill, spread[:, 0]


def weigh(
    a: Float[np.ndarray, "n c"], weight_a: Float[np.ndarray, "n"], b: np.ndarray, weight_b: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n c"]:
    """Weighted mean of two fields."""
    return (a * weight_a[:, None] + b * weight_b[:, None]) / (weight_a + weight_b)[:, None]


def vertex_share(model: HeadModel, region: str) -> Float[np.ndarray, "n"]:
    """Share of each vertex's faces that belong to the region."""
    faces = model.faces.numpy()
    counts = np.bincount(faces.ravel(), minlength=len(model.mean))
    inside = np.bincount(faces[model.face_mask(region).numpy()].ravel(), minlength=len(model.mean))
    return (inside / np.maximum(counts, 1)).astype(np.float32)


def shade_folds(openness: Float[np.ndarray, "n"], ears: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Darkening of hidden skin: folds, sockets and under the chin get less light than the open face. On ears, which
    have no other drawing, already the shallow folds."""
    folded = mix(smoothstep(openness, 0.7, 0.0), smoothstep(openness, 1.0, 0.15), ears)
    return (1 - SHADE_STRENGTH * folded).astype(np.float32)


def measure_noise(
    detail: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    hair_share: Float[np.ndarray, "k"],
    atlas: TexelAtlas,
) -> tuple[float, float]:
    """Strength of the photo's own detail on hair and on skin, bounded."""
    strength = np.abs(luminance(detail))

    def deviation(inside: Bool[np.ndarray, "k"], limit: float) -> float:
        chosen = inside & (weights > 0.5)
        if chosen.sum() < 100:
            return limit / 2
        return min(1.4826 * float(np.median(strength[chosen])), limit)

    hair, skin = atlas.in_regions("scalp") & (hair_share > 0.5), atlas.in_regions("skin") & (hair_share < 0.5)
    return deviation(hair, HAIR_NOISE_LIMIT), deviation(skin, SKIN_NOISE_LIMIT)
