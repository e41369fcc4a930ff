"""How an artwork paints skin and cloth: told by its own picture, or by pictures of a head that was painted after it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.apps.character_cloth import Cloth, find_cloth
from portraitist.apps.character_palette import VIEW_PX, VIEW_YAWS_DEG, find_skin
from portraitist.apps.image_labels import PICTURE_LABELS, label_picture
from portraitist.apps.image_style import find_landmarks
from portraitist.devices import move
from portraitist.errors import InputError
from portraitist.models import Models
from portraitist.reading import find_landmarks as find_face
from portraitist.reading import read_artwork
from portraitist.reconstruction.fitting import FitConfig
from portraitist.rendering.cameras import head_camera
from portraitist.rendering.layers import list_parts, rasterize_parts
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import shade_parts
from portraitist.segmentation.parts import NOSE, SKIN, UNLABELED, is_one_of
from portraitist.types import Head, Image

CLOTHES = PICTURE_LABELS.index("clothes")
LEAST_CLOTH = 0.1  # of the area of skin: less is no example of how cloth is painted


@dataclass(frozen=True, eq=False)
class Manner:
    """Examples of paint. ``picture``: sRGB. ``skin``, ``cloth``: where it shows them. ``face_px``: how large the face
    in it is, as `measure_face` has it. ``worn``: the cloth of its person, None where too little is seen."""

    picture: Image
    skin: Bool[Tensor, "h w"]
    cloth: Bool[Tensor, "h w"]
    face_px: float
    worn: Cloth | None = None


def measure_face(points_px: Float[Tensor, "68 2"]) -> float:
    """Diagonal of the box around a face's landmarks."""
    return float((points_px.amax(0) - points_px.amin(0)).norm())


def read_manner(art: Image, models: Models) -> Manner:
    """How an artwork (sRGB [3, h, w] in 0..1) is painted, for ``stylize_character``. Cloth is painted like its clothes,
    or where it shows too little of them like skin. Raises NoFaceError, FitError, and InputError for an artwork that
    shows no skin."""
    art = move(art, models.device)
    points, _ = find_face(art, None, 1, models, "art")
    seen = read_artwork(art, points, models, FitConfig(), "art")
    fit = seen.fit
    labels = label_picture(seen.parts, fit.mesh, rasterize(fit.mesh, fit.camera), points.points)
    if not is_one_of(labels, (SKIN, NOSE)).any():
        raise InputError(
            "The artwork shows no skin, after which hands would be painted. Use one that shows a bare face."
        )
    manner = _choose(art, labels, measure_face(points.points))
    return replace(manner, worn=find_cloth(art, seen))


def find_manner(head: Head) -> Manner:
    """How a stylized head is painted, which is seen from the front and from both sides. What hair and hats cover is
    painted, too; cloth is painted like the bust that it may have, else like skin."""
    bare = replace(head, layers=())
    meshes, textures = zip(
        *list_parts(replace(bare, layers=tuple(x for x in head.layers if x.name == "bust"))), strict=True
    )
    cameras = [head_camera(bare, yaw, 0.0, VIEW_PX) for yaw in VIEW_YAWS_DEG]
    pictures, labels = [], []
    for camera in cameras:
        parts = rasterize_parts(meshes, camera)
        pictures.append(shade_parts(parts, textures, head.texture.new_ones(3)))
        shown = torch.where(find_skin(head, parts[0], camera), SKIN, UNLABELED)
        for seen in parts[1:]:
            shown = torch.where(seen.mask, CLOTHES, shown)
        labels.append(shown)
    return _choose(torch.cat(pictures, 2), torch.cat(labels, 1), measure_face(find_landmarks(head, cameras[0])))


def _choose(picture: Image, labels: Int[Tensor, "h w"], face_px: float) -> Manner:
    """Examples by labels. Features of the face are none, nor is hair: it is painted as the thing that it is."""
    skin, cloth = is_one_of(labels, (SKIN, NOSE)), labels == CLOTHES
    return Manner(picture, skin, cloth if cloth.sum() >= LEAST_CLOTH * skin.sum() else skin, face_px)
