"""Photos of the mean head with hair or a hat of a known shape, drawn by rendering: what layers are compared with."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch
import trimesh

from portraitist.hair.layers import build_layers
from portraitist.hair.shell import HairShell, fit_shell
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.layers import rasterize_parts
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import REGIONS, Camera, HeadFit, Layer, Mesh

SIDE_PX = 400
SKIN, GREEN = torch.tensor([0.80, 0.60, 0.50]), torch.tensor([0.1, 0.9, 0.15])
BROWN = (0.35, 0.22, 0.12)
FEATURES = ("eyelids", "lips", "brows", "nose", "eyeballs")

# Center and radii in meters, head space. The mean head's crown is at y = 0.116, its back at z = -0.178.
SHORT = ((0.0, 0.04, -0.095), (0.100, 0.100, 0.105))
LONG = ((0.0, -0.03, -0.110), (0.120, 0.190, 0.115))
BUSHY = ((0.0, 0.05, -0.130), (0.140, 0.130, 0.140))


@dataclasses.dataclass(frozen=True)
class DrawnHead:
    """``covers``: by layer name, ``head``: of all that is head, ``clothes``: 0..1 of each pixel. ``photo``: sRGB."""

    fit: HeadFit
    covers: dict[str, torch.Tensor]
    head: torch.Tensor
    photo: torch.Tensor
    clothes: torch.Tensor

    @functools.cached_property
    def shell(self) -> HairShell:
        covers = {name: cover.double().numpy() for name, cover in self.covers.items()}
        head, clothes = (image.double().numpy() for image in (self.head, self.clothes))
        shell = fit_shell(covers, head, clothes, self.fit, load_head_model())
        assert shell is not None
        return shell

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        return build_layers(self.photo, self.covers, self.head, self.clothes, self.fit, load_head_model(), 128)


def fit_mean(model: HeadModel, camera: Camera) -> HeadFit:
    """The mean head without expression."""
    return HeadFit(
        identity=torch.zeros(len(model.identity_basis)),
        expression=torch.zeros(52),
        mesh=model.template,
        neutral=model.mean,
        expression_deltas=model.expression_deltas,
        camera=camera,
        residual_px=0.0,
        residual_relative=0.0,
    )


def make_ellipsoid(center: tuple[float, ...], radii: tuple[float, ...]) -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=5)
    faces = torch.from_numpy(np.array(ball.faces)).long()
    vertices = torch.from_numpy(np.array(ball.vertices) * radii + center).float()
    return Mesh(vertices, faces, vertices[:, :2] * 0 + 0.5, faces, torch.full((len(faces),), REGIONS.index("hair")))


@functools.cache
def draw_head(
    shape: tuple[tuple[float, ...], tuple[float, ...]] | None, yaw_deg: float = 0.0, hat_above: float | None = None
) -> DrawnHead:
    """The mean head with an ellipsoid of ``shape`` as its hair, before green. ``hat_above``: height in meters from
    which on it is headwear."""
    model = load_head_model()
    ellipsoid = make_ellipsoid(*(shape or ((0.0, 0.0, -0.09), (0.01, 0.01, 0.01))))  # else hidden in the head
    framed = torch.cat([model.mean, make_ellipsoid(*BUSHY).vertices])
    camera = view_camera(framed, yaw_deg, 0.0, SIDE_PX)
    bare, cover = rasterize_parts([model.template, ellipsoid], camera)
    corners = ellipsoid.vertices[ellipsoid.faces[cover.face_ids.clamp(min=0)]]
    places = (corners * cover.barycentrics[..., None]).sum(-2)
    worn = cover.mask & (places[..., 1] > (torch.inf if hat_above is None else hat_above))
    covers = {"hair": (cover.mask & ~worn).float(), "headwear": worn.float()}
    strands = 1 + 0.25 * torch.sin(torch.atan2(places[..., 0], places[..., 2] - ellipsoid.vertices[:, 2].mean()) * 96)
    hair = torch.tensor(BROWN)[:, None, None] * strands
    photo = torch.where(cover.mask, hair, torch.where(bare.mask, SKIN[:, None, None], GREEN[:, None, None]))
    head = (bare.mask | cover.mask).float()
    return DrawnHead(fit_mean(model, camera), covers, head, photo, torch.zeros_like(head))


def crop(drawn: DrawnHead, top: int = 0, bottom: int = SIDE_PX) -> DrawnHead:
    """The same photo with these rows of pixels only."""
    camera = drawn.fit.camera
    center = (camera.center_px[0], camera.center_px[1] - top)
    camera = dataclasses.replace(camera, center_px=center, size=(bottom - top, SIDE_PX))
    covers = {name: cover[top:bottom] for name, cover in drawn.covers.items()}
    fit = dataclasses.replace(drawn.fit, camera=camera)
    head, clothes = drawn.head[top:bottom], drawn.clothes[top:bottom]
    return DrawnHead(fit, covers, head, drawn.photo[:, top:bottom], clothes)


def see(layers: tuple[Layer, ...], camera: Camera) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Masks of what one sees of the mean head, and of each of its layers."""
    bare, *seen = rasterize_parts([load_head_model().template, *(layer.mesh for layer in layers)], camera)
    return bare.mask, {layer.name: part.mask for layer, part in zip(layers, seen, strict=True)}


def show_regions(camera: Camera, *names: str) -> torch.Tensor:
    """Where one sees these regions of the mean head without layers."""
    mesh = load_head_model().template
    seen = rasterize(mesh, camera)
    return seen.mask & torch.isin(mesh.regions[seen.face_ids.clamp(min=0)], torch.tensor([*map(REGIONS.index, names)]))


def measure_overlap(a: torch.Tensor, b: torch.Tensor) -> float:
    """Intersection over union."""
    return float((a & b).sum() / (a | b).sum())
