"""The bust follows the stylized head: its neck to the point, its shoulders in proportion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from portraitist.bust.draping import drape_layers
from portraitist.bust.grid_mesh import list_rows, list_vertices
from portraitist.bust.torso_model import load_torso_model
from portraitist.devices import from_numpy, to_numpy
from portraitist.rendering.shader_math import smoothstep
from portraitist.types import Head, Layer

SETTLED = 0.1  # meters from the ring over which a neck's own change of shape gives way to that of its size
SMALLEST, LARGEST = 0.6, 1.6  # times the body's size: what is more would be another creature's


def follow_head(bust: Layer, content: Head, stylized: Head) -> Head:
    """``stylized`` with the bust of its ``content`` head below it, and long hair laid on the shoulders."""
    torso = load_torso_model()
    before, after = (to_numpy(head.mesh.vertices, np.float64) for head in (content, stylized))
    faces = to_numpy(content.mesh.faces)
    moves = torso.follow_neck(after, faces) - torso.follow_neck(before, faces)
    ring, moved = torso.follow_ring(before), torso.follow_ring(after)
    middle, there = ring.mean(0), moved.mean(0)
    # The width of both rings: a body does not bend with a neck.
    scale = np.clip(np.sqrt(((moved - there) ** 2).sum() / ((ring - middle) ** 2).sum()), SMALLEST, LARGEST)
    grid = list_rows(bust.mesh, len(ring))
    torso_rows = grid[len(moves) :]
    missed = moved - (there + scale * (ring - middle))
    fade = 1 - smoothstep(np.linalg.norm(torso_rows - ring, axis=-1, keepdims=True), 0.0, SETTLED)
    placed = np.concatenate([grid[: len(moves)] + moves, there + scale * (torso_rows - middle) + fade * missed])
    mesh = bust.mesh.with_vertices(from_numpy(list_vertices(placed), bust.mesh.vertices))
    covers = drape_layers(stylized.layers, mesh)
    return replace(stylized, layers=(*covers, replace(bust, mesh=mesh)))
