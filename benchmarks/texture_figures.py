"""How good a texture of a head is: the objective of STROTSS on held-out views, and the figures of ``quality.py``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from metrics.face_crop import FaceCrop, crop_face
from metrics.identity import compare_embeddings, embed_face
from metrics.style import measure_edges, measure_style
from portraitist import Result
from portraitist.io.images import image_to_uint8
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import render_view, shade
from portraitist.rendering.seams import find_seams, measure_seams
from portraitist.segmentation.parts import BROWS, EYES, FACE_REGIONS, HAIR, LIPS, select_faces
from portraitist.texture.color_transfer import decorrelate
from portraitist.texture.exemplar import StyleSource
from portraitist.texture.labels import TexelLabels, label_head
from portraitist.texture.losses import (
    color_distances,
    cosine_distances,
    moment_distance,
    relaxed_emd,
    sample_points,
    self_similarity_loss,
    unit_rows,
)
from portraitist.texture.views import render_front_view
from portraitist.types import Fragments
from portraitist.vgg import VGG, sample_hypercolumns

HELD_OUT = ((0.0, 7.0), (-25.0, -12.0), (-12.0, 15.0), (14.0, -6.0), (27.0, 11.0))
VIEW_PX, SAMPLES = 256, 1024
FEATURES = {"lips": LIPS, "eyes": EYES, "brows": BROWS}


@dataclass(frozen=True)
class HeldOutView:
    """What is seen, where it is compared, and the content's hypercolumns there."""

    fragments: Fragments
    points: Tensor
    content_units: Tensor


@dataclass(frozen=True)
class Yardstick:
    """Everything about a pair that does not depend on the texture."""

    result: Result
    vgg: VGG
    ground: Tensor
    style: Tensor
    views: list[HeldOutView]
    crops: tuple[FaceCrop, FaceCrop]
    person: np.ndarray | None
    art_colors: dict[str, Tensor]
    texel_labels: TexelLabels

    @classmethod
    @torch.no_grad()
    def make(cls, result: Result, source: StyleSource, labels: Tensor, art_points: Tensor, vgg: VGG) -> Yardstick:
        mesh, generator = result.stylized.mesh, torch.Generator().manual_seed(1)
        face = select_faces(mesh, FACE_REGIONS)
        vertices = mesh.vertices[torch.unique(mesh.faces[face])]
        views, face_px = [], 0.0
        for yaw, pitch in HELD_OUT:
            seen = rasterize(mesh, view_camera(vertices, yaw, pitch, VIEW_PX))
            shown = seen.mask & face[seen.face_ids.clamp(min=0)]
            face_px = face_px or shown.sum().sqrt().item()
            points = sample_points(shown, SAMPLES, generator)
            columns = sample_hypercolumns(vgg(shade(seen, result.content.texture, source.background)), points)
            views.append(HeldOutView(seen, points, unit_rows(columns)))
        of_face = (source.labels >= 0) & (source.labels != HAIR)  # as are the points of the views
        factor = min(face_px / of_face.sum().sqrt().item(), 2.0)
        size = [round(side * factor) for side in of_face.shape]
        art = F.interpolate(source.image[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
        inside = F.interpolate(of_face[None, None].float(), size, mode="nearest")[0, 0] > 0
        style = sample_hypercolumns(vgg(art), sample_points(inside, SAMPLES, generator))
        crops = crop_face(result.photo, result.photo_landmarks.points), crop_face(result.art, art_points)
        colors = {name: result.art[:, labels == part].T for name, part in FEATURES.items()}
        person = embed_face(image_to_uint8(result.photo))
        texel_labels = label_head(result.content.mesh, result.content.texture.shape[-1])
        return cls(result, vgg, source.background, style, views, crops, person, colors, texel_labels)

    @torch.no_grad()
    def measure_objective(self, texture: Tensor) -> dict[str, float]:
        """Style and content loss (Eq. 11 as STROTSS relaxes it, with its moment and palette terms, and Eq. 12), mean
        over the held-out views; plain, without guidance."""
        style, content = [], []
        for view in self.views:
            columns = sample_hypercolumns(self.vgg(shade(view.fragments, texture, self.ground)), view.points)
            units = unit_rows(columns)
            loss = relaxed_emd(cosine_distances(units, unit_rows(self.style)))
            loss = loss + moment_distance(columns, self.style)
            loss = loss + relaxed_emd(color_distances(columns[:, :3], self.style[:, :3]))
            style.append(loss.item())
            content.append(self_similarity_loss(units, view.content_units).item())
        return {"style": sum(style) / len(style), "content": sum(content) / len(content)}

    def measure(self, texture: Tensor) -> dict[str, float]:
        """All figures of a finished texture."""
        head = self.result.stylized
        camera = view_camera(head.mesh.vertices, 0.0, 0.0, 512)
        front = render_view(head.mesh, texture, camera, torch.ones(3))
        points = camera.project(head.landmarks68.positions(head.mesh.vertices, head.mesh.faces))
        photo, art = self.crops
        crop = crop_face(front, points)
        reached, start = measure_style(crop, art), measure_style(photo, art)
        figures = self.measure_objective(texture)
        return {
            **figures,
            "objective": figures["style"] + figures["content"],
            "identity": compare_embeddings(self.person, embed_face(image_to_uint8(front))),
            "vgg": reached.vgg / start.vgg,
            "network_free": (reached.color / start.color + reached.edges / start.edges) / 2,
            "seam": measure_seam(self.result, texture),
            "sharpness": float(finest_edges(crop) / finest_edges(art)),
            **{f"{name}_color": self.measure_color(texture, name) for name in FEATURES},
        }

    def measure_color(self, texture: Tensor, name: str) -> float:
        """Distance of a feature's mean color, as seen from the front, from the artwork's, in sRGB units of 0..1."""
        seen = render_front_view(self.result.stylized.mesh, texture, self.texel_labels)
        ours = seen.image[:, seen.labels == FEATURES[name]].T
        theirs = self.art_colors[name]
        if not len(ours) or not len(theirs):
            return float("nan")
        return float((decorrelate(ours).mean(0) - decorrelate(theirs).mean(0)).norm())

    def draw(self, texture: Tensor) -> Tensor:
        mesh = self.result.stylized.mesh
        angles = ((0.0, 0.0), (-30.0, 0.0), (60.0, 0.0), (180.0, 0.0))
        return torch.cat(
            [render_view(mesh, texture, view_camera(mesh.vertices, *angle, 512), torch.ones(3)) for angle in angles], 2
        )


def measure_seam(result: Result, texture: Tensor) -> float:
    """Mean color difference across the cut at the back of the head, in sRGB units of 0..1."""
    found = find_seams(result.stylized.mesh, texture.shape[-1], largest_island_only=True)
    return measure_seams(texture, found)


def finest_edges(crop: FaceCrop) -> Tensor:
    """Mean amplitude of edges of the shortest wavelength inside the face."""
    return measure_edges(crop.image)[:8, crop.inside].mean()
