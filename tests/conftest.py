"""A small head with seams, a moving part and a known texture: enough to test everything that writes or draws heads."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from portraitist.types import EXPRESSION_NAMES, Head, LandmarkEmbedding, Mesh

RINGS, SEGMENTS = 9, 16


def make_head(texture_size: int = 32) -> Head:
    """A 20 cm ball whose UV is a longitude-latitude chart, so that its back meridian is a seam."""
    latitude = torch.linspace(-1.4, 1.4, RINGS)
    longitude = torch.arange(SEGMENTS) * (2 * torch.pi / SEGMENTS)
    lat, lon = torch.meshgrid(latitude, longitude, indexing="ij")
    neutral = 0.1 * torch.stack([lat.cos() * lon.sin(), lat.sin(), -lat.cos() * lon.cos()], dim=-1).reshape(-1, 3)
    u, v = torch.meshgrid(torch.linspace(0.05, 0.95, SEGMENTS + 1), torch.linspace(0.95, 0.05, RINGS), indexing="xy")
    faces, uv_faces = [], []
    for ring in range(RINGS - 1):
        for segment in range(SEGMENTS):
            a, b = ring * SEGMENTS + segment, ring * SEGMENTS + (segment + 1) % SEGMENTS
            c, d = a + SEGMENTS, b + SEGMENTS
            faces += [[a, d, b], [a, c, d]]
            a, b = ring * (SEGMENTS + 1) + segment, ring * (SEGMENTS + 1) + segment + 1
            c, d = a + SEGMENTS + 1, b + SEGMENTS + 1
            uv_faces += [[a, d, b], [a, c, d]]
    generator = torch.Generator().manual_seed(0)
    deltas = torch.zeros(len(EXPRESSION_NAMES), len(neutral), 3)
    deltas[:, 40:60] = 0.01 * torch.randn(len(EXPRESSION_NAMES), 20, 3, generator=generator)
    deltas[EXPRESSION_NAMES.index("tongueOut")] = 0.0  # an action that moves nothing
    deltas[EXPRESSION_NAMES.index("jawOpen")] = deltas[EXPRESSION_NAMES.index("jawOpen")].abs()  # and a one-sided one
    expression = torch.rand(len(EXPRESSION_NAMES), generator=generator)
    vertices = neutral + torch.einsum("e,env->nv", expression, deltas)
    mesh = Mesh(
        vertices=vertices,
        faces=torch.tensor(faces),
        uvs=torch.stack([u, v], dim=-1).reshape(-1, 2),
        uv_faces=torch.tensor(uv_faces),
        regions=torch.zeros(len(faces), dtype=torch.int64),
    )
    texture = torch.rand(3, texture_size, texture_size, generator=generator)
    ids = torch.arange(68)
    return Head(
        mesh=mesh,
        texture=texture,
        neutral=neutral,
        expression=expression,
        expression_deltas=deltas,
        landmarks68=LandmarkEmbedding(ids, torch.full((68, 3), 1 / 3)),
        original=vertices * torch.tensor([0.8, 1.1, 1.0]),
    )


@pytest.fixture
def head() -> Head:
    return make_head()


@pytest.fixture
def content_head(head: Head) -> Head:
    return dataclasses.replace(head, original=head.mesh.vertices)
