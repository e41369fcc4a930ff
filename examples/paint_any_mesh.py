"""Texture style without a face: a ring, painted after a picture, with a label map of its own.

    python examples/paint_any_mesh.py -o OUT.png [--art PICTURE] [--steps 60]

The ring's upper half is painted after the upper half of the picture, the lower half after the lower one: labels say
what goes with what, and mean what you want them to mean.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import torch

from portraitist import (
    CameraBank,
    LabelRoles,
    Mesh,
    TexelLabels,
    TextureConfig,
    crop_exemplar,
    find_seams,
    load_image,
    load_vgg,
    optimize_texture,
    place_cameras,
    render_view,
    save_image,
    study_source,
    transfer_colors,
    view_camera,
)
from portraitist.assets import asset_path

AROUND, ACROSS = 48, 24  # quads
RING_M, TUBE_M = 0.10, 0.04  # radii, meters
UPPER, LOWER = 0, 1


def make_ring() -> Mesh:
    """A torus that faces the viewer, with one seam along the ring and one around the tube."""
    along, across = torch.meshgrid(torch.arange(AROUND + 1), torch.arange(ACROSS + 1), indexing="ij")
    u, v = along / AROUND, across / ACROSS
    a, b = 2 * math.pi * u[:-1, :-1].flatten(), 2 * math.pi * v[:-1, :-1].flatten()
    radius = RING_M + TUBE_M * b.cos()
    vertices = torch.stack([radius * a.cos(), radius * a.sin(), TUBE_M * b.sin()], 1)
    i, j = along[:-1, :-1].flatten(), across[:-1, :-1].flatten()

    def quads(width: int, wrap: bool) -> list[torch.Tensor]:
        ids = []
        for di, dj in ((0, 0), (1, 0), (1, 1), (0, 1)):
            row, column = i + di, j + dj
            ids.append((row % AROUND) * width + column % ACROSS if wrap else row * width + column)
        return ids

    faces, uv_faces = (
        torch.stack([torch.stack([q[0], q[1], q[2]], 1), torch.stack([q[0], q[2], q[3]], 1)], 1).reshape(-1, 3)
        for q in (quads(ACROSS, True), quads(ACROSS + 1, False))
    )
    uvs = 0.02 + 0.96 * torch.stack([u, v], -1).reshape(-1, 2)
    return Mesh(vertices, faces, uvs, uv_faces, regions=torch.zeros(len(faces), dtype=torch.int64))


def label_ring(mesh: Mesh, size: int) -> torch.Tensor:
    """Upper and lower half, by the angle along the ring, which is u."""
    u = (torch.arange(size) + 0.5) / size
    return torch.where(u < 0.5, UPPER, LOWER).expand(size, size).clone()


def main(arguments: list[str] | None = None) -> dict[str, torch.Tensor]:
    """Returns the textures before and after, for a look inside."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--art", type=Path, default=asset_path("exemplars/mosaic.jpg"))
    parser.add_argument("--texture-size", type=int, default=512)
    parser.add_argument("--view-px", type=int, default=192)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args(arguments)
    config = replace(
        TextureConfig.draft(),
        view_px=options.view_px,
        steps=options.steps,
        stroke_px=options.view_px * 3 // 2,
        stroke_steps=options.steps // 3,
    )
    generator, vgg = torch.Generator().manual_seed(0), load_vgg()

    # 1. The mesh, its labels and its own texture: a soft gray with some light on it.
    mesh, size = make_ring(), options.texture_size
    roles = LabelRoles.uniform(2)
    labels = TexelLabels.make(mesh, label_ring(mesh, size), roles)
    waves = torch.sin(torch.linspace(0, 8 * math.pi, size))
    content = (0.5 + 0.1 * waves[None, :] * waves[:, None]).expand(3, -1, -1).clone()

    # 2. The picture, its labels, and its features at the size at which the ring is seen.
    art = load_image(options.art)
    halves = torch.where(torch.arange(art.shape[1]) < art.shape[1] // 2, UPPER, LOWER)
    source = crop_exemplar(art, halves[:, None].expand(art.shape[1:]).clone(), roles)
    seen_share = 0.6  # root of the ring's area in a view, over the view's side
    exemplar = study_source(
        source,
        vgg,
        generator,
        view_px=seen_share * config.view_px,
        stroke_px=seen_share * config.stroke_px,
        roles=roles,
    )

    # 3. A start in the picture's colors, label by label, needs far fewer steps than the gray.
    start = content.clone()
    for label in (UPPER, LOWER):
        own, theirs = content[:, labels.map == label].T, source.image[:, source.labels == label].T
        start[:, labels.map == label] = transfer_colors(own, own, theirs).T

    # 4. Optimize, and look.
    cameras: CameraBank = place_cameras(mesh, config.view_px, config.near_views, generator)
    seams = find_seams(mesh, size)
    texture = optimize_texture(
        mesh, content, [exemplar], labels, cameras, seams, config, vgg=vgg, generator=generator, start=start
    )
    camera = view_camera(mesh.vertices, 25.0, -15.0, 512)
    save_image(options.output, render_view(mesh, texture, camera, torch.ones(3)))
    return {"content": content, "texture": texture, "labels": labels.map}


if __name__ == "__main__":
    main()
