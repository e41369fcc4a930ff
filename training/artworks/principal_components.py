"""Principal components of VGG16's layers, whitened but for the weak ones: what small networks read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch

from portraitist.types import Image
from portraitist.vgg import LayerProjections, load_vgg, read_layers

SAMPLED_CELLS = 200  # of each view


def learn_projections(views: Iterable[Image], kept: Mapping[str, int]) -> LayerProjections:
    """From some views (sRGB 0..1). ``kept``: how many components of each layer."""
    vgg, rng = load_vgg(dtype=torch.float32), np.random.default_rng(0)
    samples = {layer: [] for layer in kept}
    for view in views:
        for layer, seen in zip(kept, read_layers(vgg, view, tuple(kept)), strict=True):
            cells = seen[0].flatten(1).T.numpy()
            samples[layer].append(cells[rng.permutation(len(cells))[:SAMPLED_CELLS]])
    projections = LayerProjections(kept)
    for layer, components in kept.items():
        together = np.concatenate(samples[layer])
        mean = together.mean(0)
        _, spread, axes = np.linalg.svd(together - mean, full_matrices=False)
        deviation = spread[:components] / np.sqrt(len(together))
        projections.get_buffer(f"{layer}_mean").copy_(torch.from_numpy(mean))
        basis = axes[:components] / (deviation + 0.1 * deviation[0])[:, None]
        projections.get_buffer(f"{layer}_basis").copy_(torch.from_numpy(basis))
    return projections
