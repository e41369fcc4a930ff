"""Pictures of body and clothes that show nearly all of them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.apps.view_painting import View, ViewSheet
from portraitist.body.body_model import PIECES, load_body_model
from portraitist.body.posing import SIDES, build_rig, place_joints, skin_vertices
from portraitist.body.skeleton import JOINT_NAMES, JOINTS
from portraitist.body.skin import find_joints, find_weights
from portraitist.body.standing import BODY_LAYERS
from portraitist.devices import from_numpy, move, to_numpy
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.segmentation.parts import UNLABELED
from portraitist.types import Camera, Head, Layer, Mesh

MATERIALS = ("skin", "top", "trousers", "shoes")
"""What the pictures show; labels are indices into this tuple."""

_MATERIAL_OF_PIECE = {"top": 1, "trousers": 2, "left shoe": 3, "right shoe": 3}
_TRUNK_AND_LEGS = ("Shoulder", "UpperLeg", "LowerLeg", "Foot", "Toes")
MARGIN = 1.03  # of a picture around what it shows


def list_body(person: Head) -> list[Layer]:
    """Its layers `BODY_LAYERS`, in their order."""
    return [layer for name in BODY_LAYERS for layer in person.layers if layer.name == name]


def look_at_person(person: Head, height_px: int) -> tuple[ViewSheet, Int[Tensor, "h w"]]:
    """Body and clothes of a person at rest without the head, equally large in all pictures, and which of `MATERIALS`
    each pixel shows, `UNLABELED` elsewhere.

    Front and back are seen as the body rests, with its arms held out; both sides with the arms stretched forwards and
    the backs of the hands outwards, so that nothing is hidden by them and everything is seen that front and back do not
    show but palms, soles, and the inside of arms and legs.
    """
    layers = list_body(person)
    rest, forwards = [layer.mesh for layer in layers], _stretch_arms(person)
    textures = [layer.texture for layer in layers]
    tall = torch.cat([mesh.vertices for mesh in rest])[:, 1]
    px_per_m = height_px / (MARGIN * float(tall.max() - tall.min()))
    poses = ((0.0, rest), (180.0, rest), (-90.0, forwards), (90.0, forwards))
    views = [View.take(meshes, textures, _frame(meshes, yaw, px_per_m, height_px)) for yaw, meshes in poses]
    of_faces, shown = [from_numpy(name_materials(layer), layer.mesh.faces) for layer in layers], []
    for view in views:
        materials = torch.full_like(view.seen[0].face_ids, UNLABELED)
        for seen, own in zip(view.seen, of_faces, strict=True):
            materials = torch.where(seen.mask, own[seen.face_ids.clamp(min=0)], materials)
        shown.append(materials[None])
    sheet = ViewSheet([views])
    return sheet, sheet.join(shown)[0]


def name_materials(layer: Layer) -> Int[np.ndarray, "f"]:
    """Which of `MATERIALS` each face of body or clothes is of."""
    if layer.name == "body":
        return np.zeros(len(layer.mesh.faces), np.int64)
    return np.array([_MATERIAL_OF_PIECE[name] for name in PIECES])[load_body_model().clothes_pieces]


def _stretch_arms(person: Head) -> list[Mesh]:
    """Body and clothes with the arms straight ahead, thumbs up."""
    joints = to_numpy(find_joints(person), np.float64)
    rig = build_rig(joints)
    turns = np.tile(np.eye(3), (len(joints), 1, 1))
    for side, sign in SIDES.items():
        # From the T-pose: what points outwards points forwards, what points up outwards, what points forwards up.
        ahead = np.array([[0, sign, 0], [0, 0, 1], [sign, 0, 0]], np.float64)
        for name in JOINT_NAMES:
            if name.startswith(side) and not name.endswith(_TRUNK_AND_LEGS):
                turns[JOINTS[name]] = ahead @ rig.alignment[JOINTS[name]]
    places = place_joints(rig, turns[None], joints[None, 0])[0]
    weights = dict(zip([layer.name for layer in person.layers], find_weights(person)[1:], strict=True))

    def move_layer(layer: Layer) -> Mesh:
        own, of_joints = to_numpy(layer.mesh.vertices, np.float64), to_numpy(weights[layer.name], np.float64)
        moved = skin_vertices(own, of_joints, rig, turns, places)
        return layer.mesh.with_vertices(from_numpy(moved.astype(np.float32), layer.mesh.vertices))

    return [move_layer(layer) for layer in list_body(person)]


def _frame(meshes: list[Mesh], yaw_deg: float, px_per_m: float, height_px: int) -> Camera:
    """As broad as the meshes are when seen from there."""
    rotation = move(rotation_from_yaw_pitch(yaw_deg, 0.0), meshes[0].vertices.device)
    turned: Float[Tensor, "n 3"] = torch.cat([mesh.vertices for mesh in meshes]) @ rotation.T
    low, high = turned.amin(0), turned.amax(0)
    width = round(MARGIN * px_per_m * float(high[0] - low[0]))
    x, y, _ = ((low + high) / 2 * px_per_m).tolist()
    return Camera(rotation, px_per_m, (width / 2 - x, height_px / 2 + y), (height_px, width))
