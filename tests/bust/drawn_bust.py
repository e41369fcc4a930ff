"""A photo of the mean head on a known body in a red jacket, drawn by rendering: what busts are compared with."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch

from hair.drawn_hair import GREEN, SKIN, fit_mean
from portraitist.bust.body import PersonShares
from portraitist.bust.grid_mesh import build_mesh
from portraitist.bust.layer import PhotoBust, build_bust
from portraitist.bust.torso_model import load_torso_model
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.rendering.layers import rasterize_parts
from portraitist.types import Camera, Head, HeadFit
from portraitist.unwrapping.unwrap import make_content

SIZE_PX = (420, 400)
SCALE_PX = 620.0
RED = torch.tensor([0.7, 0.1, 0.12])
BROAD = np.array([-1.2, 0, 0, 0, 0, 0])  # a body that is not the mean one, in standard deviations of its modes


@dataclasses.dataclass(frozen=True)
class DrawnBust:
    """``body``: rows of the true surface, meters. ``shares`` as tensors: person, cloth and bare skin of each pixel."""

    fit: HeadFit
    photo: torch.Tensor
    person: torch.Tensor
    cloth: torch.Tensor
    bare: torch.Tensor
    body: np.ndarray

    @property
    def shares(self) -> PersonShares:
        return PersonShares(*(x.double().numpy() for x in (self.person, self.cloth, self.bare)))

    @functools.cached_property
    def content(self) -> Head:
        texture = SKIN[:, None, None].expand(3, 128, 128).clone()
        return make_content(self.fit, texture, load_head_model())

    @functools.cached_property
    def bust(self) -> PhotoBust:
        shares = self.person, self.cloth, self.bare
        return build_bust(self.content, self.photo, *shares, self.fit, load_head_model())


@functools.cache
def draw_bust(neckline: float = -0.16, center_y: float = 110.0) -> DrawnBust:
    """Clothes reach up to the height ``neckline``. ``center_y``: pixel row of the head's middle."""
    model, torso = load_head_model(), load_torso_model()
    vertices, faces = model.mean.double().numpy(), model.faces.numpy()
    neck = torso.follow_neck(vertices, faces)
    body = np.concatenate([neck, torso.mean + np.tensordot(BROAD, torso.modes, 1)])
    camera = Camera(rotation_from_yaw_pitch(0.0, 0.0), SCALE_PX, (SIZE_PX[1] / 2, center_y), SIZE_PX)
    mesh = build_mesh(body, model.template)
    head, rest = rasterize_parts([model.template, mesh], camera)
    meshes = torch.stack([_depict(m, seen)[..., 1] for m, seen in ((model.template, head), (mesh, rest))])
    person = head.mask | rest.mask
    height = torch.where(rest.mask, meshes[1], meshes[0])
    cloth = person & (height < neckline)
    photo = torch.where(cloth, RED[:, None, None], torch.where(person, SKIN[:, None, None], GREEN[:, None, None]))
    masks = person.float(), cloth.float(), (person & ~cloth).float()
    return DrawnBust(fit_mean(model, camera), photo, *masks, body)


def _depict(mesh, seen) -> torch.Tensor:
    corners = mesh.vertices[mesh.faces[seen.face_ids.clamp(min=0)]]
    return (corners * seen.barycentrics[..., None]).sum(-2)


def crop_below(drawn: DrawnBust, rows: int) -> DrawnBust:
    """The same photo with its upper ``rows`` only."""
    camera = dataclasses.replace(drawn.fit.camera, size=(rows, SIZE_PX[1]))
    fit = dataclasses.replace(drawn.fit, camera=camera)
    masks = (x[:rows] for x in (drawn.person, drawn.cloth, drawn.bare))
    return DrawnBust(fit, drawn.photo[:, :rows], *masks, drawn.body)
