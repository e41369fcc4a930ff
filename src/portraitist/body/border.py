"""Where a body begins under a subdivided head: the border of its neck has a vertex more between any two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int

from portraitist.body.body_model import BodyModel
from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.subdivision import find_quartered
from portraitist.types import Head, Layer, Mesh


def find_middles(mesh: Mesh, model: BodyModel) -> Int[np.ndarray, "m"]:
    """Vertices of a subdivided head between those of ``BodyModel.ring_head`` and the next; none of another head."""
    found = find_quartered(to_numpy(mesh.faces))
    if found is None:
        return np.zeros(0, np.int64)
    corners, around = found
    ends = np.stack([corners, np.roll(corners, -1, 1)], -1).reshape(-1, 2)
    middles = dict(zip(map(frozenset, ends.tolist()), around.ravel().tolist(), strict=True))
    pairs = zip(model.ring_head.tolist(), np.roll(model.ring_head, -1).tolist(), strict=True)
    return np.array([middles[frozenset(pair)] for pair in pairs])


def extend_rows(rows: Float[np.ndarray, "n j"], count: int, model: BodyModel) -> Float[np.ndarray, "_k j"]:
    """What each of ``count`` vertices of the body has: those that `refine_border` added, if any, lie between two."""
    if count == len(rows):
        return rows
    return np.concatenate([rows, (rows[model.ring] + rows[np.roll(model.ring, -1)]) / 2])


def refine_border(layer: Layer, head: Head, model: BodyModel) -> Layer:
    """``layer``, the body under ``head``, with the vertices of the border that a subdivided head has more, last."""
    middles = from_numpy(find_middles(head.mesh, model), head.mesh.faces)
    if not len(middles):
        return layer
    mesh, ring = layer.mesh, model.ring.tolist()
    added = {
        frozenset(pair): len(mesh.vertices) + number
        for number, pair in enumerate(zip(ring, np.roll(model.ring, -1).tolist(), strict=True))
    }
    faces, uv_faces = to_numpy(mesh.faces).tolist(), to_numpy(mesh.uv_faces).tolist()
    uvs = to_numpy(mesh.uvs).tolist()
    for number, face in enumerate(list(faces)):
        for side in range(3):
            # Turned so that the side on the border is the first one.
            (a, b, c), (p, q, r) = (each[side:] + each[:side] for each in (face, uv_faces[number]))
            if (new := added.get(frozenset((a, b)))) is None:
                continue
            uvs.append([(x + y) / 2 for x, y in zip(uvs[p], uvs[q], strict=True)])
            faces[number], uv_faces[number] = [a, new, c], [p, len(uvs) - 1, r]
            faces.append([new, b, c])
            uv_faces.append([len(uvs) - 1, q, r])
            break
    finer = Mesh(
        vertices=torch.cat([mesh.vertices, head.neutral[middles]]),
        faces=from_numpy(np.array(faces), mesh.faces),
        uvs=from_numpy(np.array(uvs, np.float32), mesh.uvs),
        uv_faces=from_numpy(np.array(uv_faces), mesh.uv_faces),
        regions=mesh.regions[:1].expand(len(faces)).clone(),
    )
    return replace(layer, mesh=finer, original=torch.cat([layer.original, head.original[middles]]))
