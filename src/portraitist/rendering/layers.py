"""Several meshes in one view: a head and what lies over it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from portraitist.rendering.rasterizer import rasterize
from portraitist.types import Camera, Fragments, Head, Image, Mesh

DEPTH_ROUNDING = 2.0**-16  # of the depth of all meshes: more than float32 leaves open about the length of a ray


def list_parts(head: Head) -> list[tuple[Mesh, Image]]:
    """Mesh and texture of all that a picture of ``head`` shows: its own, then those of its layers."""
    return [(head.mesh, head.texture), *((layer.mesh, layer.texture) for layer in head.layers)]


def rasterize_parts(meshes: Sequence[Mesh], camera: Camera) -> list[Fragments]:
    """What each mesh shows where no other one is nearer to the viewer, in the order of ``meshes``.

    No pixel is in two masks; where surfaces coincide, the later mesh is seen. Face ids and UVs are the mesh's own. One
    ray cast serves all of them. No gradient.
    """
    seen = rasterize(join_meshes(_apart(meshes, camera)), camera)
    fragments, first = [], 0
    for mesh in meshes:
        mask = (seen.face_ids >= first) & (seen.face_ids < first + len(mesh.faces))
        fragments.append(
            Fragments(
                face_ids=(seen.face_ids - first).masked_fill(~mask, -1),
                barycentrics=seen.barycentrics * mask[..., None],
                uv=seen.uv * mask[..., None],
                uv_footprint=seen.uv_footprint * mask,
                mask=mask,
            )
        )
        first += len(mesh.faces)
    return fragments


def _apart(meshes: Sequence[Mesh], camera: Camera) -> list[Mesh]:
    """Each mesh nearer to the viewer than the one before by what rounding hides (some micrometers on a head)."""
    depths = camera.depth(torch.cat([mesh.vertices.detach() for mesh in meshes]))
    step = (depths.amax() - depths.amin()) * DEPTH_ROUNDING * camera.rotation[2]
    return [meshes[0], *(mesh.with_vertices(mesh.vertices + order * step) for order, mesh in enumerate(meshes[1:], 1))]


def join_meshes(meshes: Sequence[Mesh]) -> Mesh:
    """All of them as one; their UV layouts lie over each other."""
    return Mesh(
        vertices=torch.cat([mesh.vertices for mesh in meshes]),
        faces=_join_ids([mesh.faces for mesh in meshes], [len(mesh.vertices) for mesh in meshes]),
        uvs=torch.cat([mesh.uvs for mesh in meshes]),
        uv_faces=_join_ids([mesh.uv_faces for mesh in meshes], [len(mesh.uvs) for mesh in meshes]),
        regions=torch.cat([mesh.regions for mesh in meshes]),
    )


def _join_ids(ids: list[Int[Tensor, "_f 3"]], counts: list[int]) -> Int[Tensor, "g 3"]:
    """Each list's ids behind the ``counts`` of those before."""
    return torch.cat([own + sum(counts[:order]) for order, own in enumerate(ids)])
