"""Pictures of shape style alone: landmark sets and untextured heads, to be looked at."""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image as PillowImage
from PIL import ImageDraw

from portraitist import save_image
from portraitist.export.preview import CLOSED_LINES, IBUG_LINES, Panel, draw_sheet
from portraitist.geometry.deformation import build_deformer, deform_to_landmarks
from portraitist.geometry.translation import GeometryConfig, ShapeExemplar, Translator, mean_face, translate_landmarks
from portraitist.io.images import image_from_pil
from portraitist.landmarks.ibug68 import outer_eye_distance
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import Head, HeadFit, Image

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
VIEW_PX, LANDMARKS_PX = 256, 320
LANDMARKS_WIDTH = 2.9  # of a panel, in outer eye distances
SITTER, DRAWN = (190, 190, 190), (20, 20, 20)
LIGHT = torch.nn.functional.normalize(torch.tensor([-0.4, 0.5, 0.8]), dim=0)


def deform(
    fit: HeadFit, head: Head, exemplar: ShapeExemplar, model: HeadModel, translator: Translator, config: GeometryConfig
) -> Head:
    targets = translate_landmarks(fit, [exemplar], model, translator, config)
    return deform_to_landmarks(head, targets, build_deformer(model, config.stiffness))


def draw_sheets(
    folder: Path, fits: dict, heads: dict, exemplars: dict, model: HeadModel, translator: Translator
) -> None:
    """Landmark sets at every strength; heads: sitters by artworks at strength 1, one sitter's strengths, and both ways
    of lifting to depth from 60 degrees to either side."""
    for strength in STRENGTHS:
        rows = [_draw_row(art, strength, fits, exemplar, model, translator) for art, exemplar in exemplars.items()]
        save_image(folder / f"landmarks-{strength:g}.png", draw_sheet(rows, 2400))
    grid = [[Panel("unstylized", render_untextured(heads[name], 0.0)) for name in fits]]
    for art, exemplar in exemplars.items():
        config = GeometryConfig()
        made = [deform(fit, heads[name], exemplar, model, translator, config) for name, (_, fit) in fits.items()]
        grid.append([Panel(art, render_untextured(head, 0.0)) for head in made])
    save_image(folder / "sitters.png", draw_sheet(grid))
    name, (_, fit) = next(iter(fits.items()))
    strengths = []
    for art, exemplar in exemplars.items():
        made = [
            deform(fit, heads[name], exemplar, model, translator, GeometryConfig(strength=strength))
            for strength in STRENGTHS
        ]
        labeled = zip(STRENGTHS, made, strict=True)
        strengths.append([Panel(f"{art} {strength:g}", render_untextured(head, 0.0)) for strength, head in labeled])
    save_image(folder / "strengths.png", draw_sheet(strengths))
    depths = []
    for art, exemplar in exemplars.items():
        row = []
        for depth, yaw in itertools.product(("paper", "model"), (-60.0, 60.0)):
            head = deform(fit, heads[name], exemplar, model, translator, GeometryConfig(depth=depth))
            row.append(Panel(f"{art}, {depth}", render_untextured(head, yaw)))
        depths.append(row)
    save_image(folder / "depth.png", draw_sheet(depths))


def _draw_row(
    art: str, strength: float, fits: dict, exemplar: ShapeExemplar, model: HeadModel, translator: Translator
) -> list[Panel]:
    """The artwork's shape over the mean face, then every sitter's translation over the sitter."""
    mean = mean_face(model)
    row = [Panel(art, draw_landmark_sets(mean, mean + exemplar.deviation))]
    for name, (_, fit) in fits.items():
        own = model.landmarks68.positions(fit.mesh.vertices, model.faces)
        targets = translate_landmarks(fit, [exemplar], model, translator, GeometryConfig(strength=strength))
        row.append(Panel(f"{name}, {strength:g}", draw_landmark_sets(own[:, :2], targets[:, :2])))
    return row


def draw_landmark_sets(before: Float[torch.Tensor, "68 2"], after: Float[torch.Tensor, "68 2"]) -> Image:
    """Both sets joined as faces, gray and black."""
    picture = PillowImage.new("RGB", (LANDMARKS_PX, LANDMARKS_PX), "white")
    draw = ImageDraw.Draw(picture)
    scale = LANDMARKS_PX / LANDMARKS_WIDTH / outer_eye_distance(before)
    for points, color in ((before, SITTER), (after, DRAWN)):
        places = (points - before.mean(0)) * scale * torch.tensor([1.0, -1.0]) + LANDMARKS_PX / 2
        for first, last in IBUG_LINES:
            curve = [tuple(place) for place in places[first : last + 1].tolist()]
            draw.line(curve + (curve[:1] if first in CLOSED_LINES else []), fill=color, width=2)
    return image_from_pil(picture)


def render_untextured(head: Head, yaw_deg: float) -> Image:
    """Clay, lit from above left, on white."""
    camera = view_camera(head.mesh.vertices, yaw_deg, 0.0, VIEW_PX)
    seen = rasterize(head.mesh, camera)
    faces = head.mesh.faces
    a, b, c = head.mesh.vertices[faces].unbind(1)
    by_corner = torch.linalg.cross(b - a, c - a).repeat_interleave(3, 0)
    normals = torch.zeros_like(head.mesh.vertices).index_add_(0, faces.flatten(), by_corner) @ camera.rotation.T
    ids = faces[seen.face_ids.clamp(min=0)]
    smooth = (torch.nn.functional.normalize(normals, dim=1)[ids] * seen.barycentrics[..., None]).sum(-2)
    shade = 0.25 + 0.7 * (torch.nn.functional.normalize(smooth, dim=-1) @ LIGHT).clamp(min=0)
    return torch.where(seen.mask, shade, torch.ones(()))[None].expand(3, -1, -1)
