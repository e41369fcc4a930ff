"""What a face does beyond the 52 actions: displacements against the neutral frame, carried to a stylized head.

Over a clip they are a few fields that come and go, its principal components. So they are smoothed over time like any
other signal, and are transferred and drawn like so many more blendshapes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.geometry.blendshape_transfer import transfer_blendshapes
from portraitist.mesh.handles import HandleSystem, factor_handles
from portraitist.reconstruction.fitting import FACE_OVAL, SKIN_POINTS, FitConfig, embed_skin_points
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import build_surface
from portraitist.types import REGIONS, Head, HeadFit, LandmarkEmbedding

MOST_MODES = 12  # hold 97 % and more of what the displacements of videos of talking and grimacing people vary


def find_modes(
    displacements: Float[np.ndarray, "t k 3"], rest: Sequence[int], model: HeadModel
) -> tuple[Float[np.ndarray, "m k 3"], Float[np.ndarray, "t m"]]:
    """Principal components of the displacements of dense landmarks against those at rest, of length 1, and how much of
    each every frame has; meters, head space.

    ``displacements``: NaN where the face was lost, and so are the amounts. ``rest``: frames in which the face is at
    rest. Lids have none: how far they are open is seen by itself (``apps/eyes.py``).
    """
    found = np.isfinite(displacements).all((1, 2))
    regions = model.template.regions[embed_skin_points(model).face_ids]
    moved = displacements - np.median(displacements[list(rest)], axis=0)
    moved[:, to_numpy(regions) == REGIONS.index("eyelids")] = 0
    seen = moved[found].reshape(found.sum(), -1)
    _, _, axes = np.linalg.svd(seen, full_matrices=False)
    axes = axes[:MOST_MODES]
    amounts = np.full((len(moved), len(axes)), np.nan)
    amounts[found] = seen @ axes.T
    return axes.reshape(len(axes), *moved.shape[1:]), amounts


def transfer_modes(
    modes: Float[np.ndarray, "m k 3"], sitter: HeadFit, head: Head, model: HeadModel, config: FitConfig
) -> Float[Tensor, "m n 3"]:
    """The modes as moves of the vertices of a stylized ``head``: spread over the ``sitter``'s face as smoothly as in
    fitting, then scaled and turned by the local deformation from the head's original shape, as its expressions are.
    What no action moves stays in place.

    All 0 for a head whose vertices are not the model's, such as a subdivided one.
    """
    if len(head.mesh.vertices) != len(model.mean):
        return head.neutral.new_zeros(len(modes), len(head.mesh.vertices), 3)
    system, still_count = _factor_spread(model, config)
    still = np.zeros((still_count, 3))
    targets = [from_numpy(np.concatenate([mode, still]).astype(np.float32), head.neutral) for mode in modes]
    spread = torch.stack([system.displace(sitter.neutral, moves) for moves in targets])
    original = head.neutral + head.original - head.mesh.vertices
    return transfer_blendshapes(original, head.neutral, spread, model)


@functools.lru_cache(maxsize=2)
def _factor_spread(model: HeadModel, config: FitConfig) -> tuple[HandleSystem, int]:
    """Handles at the dense points, weighted as in fitting, and behind them at all of the surface that no action moves,
    with their number: beyond the face, a field that is only smooth would go on growing."""
    surface, faces = build_surface(model), to_numpy(model.faces)
    still = np.intersect1d(surface.vertex_ids, np.flatnonzero(~to_numpy(model.expression_deltas).any((0, 2))))
    of_surface = np.flatnonzero(np.isin(faces, surface.vertex_ids).all(1))
    vertices, first = np.unique(faces[of_surface], return_index=True)
    corners = first[np.searchsorted(vertices, still)]
    dense = embed_skin_points(model)
    handles = LandmarkEmbedding(
        torch.cat([dense.face_ids, from_numpy(of_surface[corners // 3], dense.face_ids)]),
        torch.cat([dense.barycentrics, from_numpy(np.eye(3)[corners % 3], dense.barycentrics)]),
    )
    weights = torch.ones(SKIN_POINTS)
    weights[list(FACE_OVAL)] = config.oval_weight
    weights = torch.cat([weights * 68 / SKIN_POINTS, torch.ones(len(still))])
    return factor_handles(surface, model.faces, handles, weights, config.residual_stiffness), len(still)
