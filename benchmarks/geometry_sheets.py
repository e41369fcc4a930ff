"""Pictures of shape style alone: strongly exaggerated artworks with the points read, and the heads they make."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from pairs import DEFAULT_DATA
from portraitist import load_image, save_image
from portraitist.export.preview import Panel, draw_sheet, mark_landmarks
from portraitist.geometry.deformation import build_deformer, deform_to_landmarks
from portraitist.geometry.translation import GeometryConfig, LandmarkTranslation
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import Head, Image, Landmarks

STRENGTHS = (0.5, 1.0, 1.5)
YAWS_DEG = {"front": 0.0, "three-quarter": 35.0, "profile": 90.0}
VIEW_PX, SHEET_PX = 320, 2600
ROWS = 6  # on one sheet
CROP = 0.4  # of the points' extent, around them
LIGHT = torch.nn.functional.normalize(torch.tensor([-0.4, 0.5, 0.8]), dim=0)


def draw_strong_artworks(
    folder: Path, drawn: Iterable[tuple[str, Landmarks, Head, LandmarkTranslation]], model: HeadModel
) -> None:
    """Sheets ``artworks-N.png``: of each artwork the picture with its points, the sitter, and heads of every strength
    from every side."""
    deformer, rows = build_deformer(model, GeometryConfig().stiffness), []
    for name, landmarks, head, translation in drawn:
        row = [Panel(name, crop_to_face(load_image(DEFAULT_DATA / name), landmarks))]
        row.append(Panel("sitter", render_untextured(head, 0.0)))
        for strength in STRENGTHS:
            made = deform_to_landmarks(head, translation.find_targets(strength), deformer)
            row += [Panel(f"{strength:g}, {view}", render_untextured(made, yaw)) for view, yaw in YAWS_DEG.items()]
        rows.append(row)
    for first in range(0, len(rows), ROWS):
        save_image(folder / f"artworks-{first // ROWS}.png", draw_sheet(rows[first : first + ROWS], SHEET_PX))


def crop_to_face(picture: Image, landmarks: Landmarks) -> Image:
    """Around the points, which are drawn."""
    low, high = landmarks.points.amin(0), landmarks.points.amax(0)
    half = float((0.5 + CROP) * (high - low).amax())
    middle = (low + high) / 2
    limits = torch.tensor([picture.shape[2], picture.shape[1]])
    left, top = (middle - half).round().long().clamp(min=0).tolist()
    right, bottom = (middle + half).round().long().minimum(limits).tolist()
    return mark_landmarks(picture, landmarks)[:, top:bottom, left:right]


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
