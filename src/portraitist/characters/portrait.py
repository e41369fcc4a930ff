"""The face of a character: which way it looks, its picture from the front, and its 68 points."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from portraitist.characters.figure import Figure
from portraitist.characters.paint import Paints
from portraitist.characters.viewing import FAINT_SHADE, View, aim, look
from portraitist.errors import InputError, NoFaceError
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.detection import find_faces, is_plausible
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.faces import Face
from portraitist.landmarks.views import Augmentation, ViewRenderer
from portraitist.types import Image

PORTRAIT_PX = 768
SEARCH_PX = 384
YAWS_DEG = (0.0, 180.0, 90.0, -90.0, 45.0, -45.0, 135.0, -135.0)
"""Ways in which a character may stand, the usual first: glTF's own front is +Z."""

MARGIN = 1.25  # of the head's box: what is searched
WIDTH = 5.2  # outer eye distances across the portrait: hair and hat are in it
TURN_DEG = 60.0  # of a face whose `Face.turn` is 1
TURNED = 0.12  # `Face.turn` beyond which the camera goes round to the front
FRONT = 0.4  # `Face.turn` within which no other way of standing can be nearer to the front: half of 45 degrees
HEAD = re.compile(r"(^|[^a-z])head($|[^a-z])", re.IGNORECASE)
ADVICE = (
    "Give a character whose face looks ahead, or write its picture with --face-view, and the 68 points on it with "
    "--face-landmarks."
)


@dataclass(frozen=True)
class Portrait:
    """``view``: from the front. ``art``: the same, with less shade. ``middle``: what they look at, in the scene.
    ``yaw_deg``: by which the character was turned."""

    view: View
    art: Image
    middle: Float[np.ndarray, "3"]
    yaw_deg: float


def find_heads(figure: Figure) -> list[Bool[np.ndarray, "_n"]]:
    """For each joint called head: which vertices it, or what hangs on it, moves most."""
    nodes, parents = figure.document.list("nodes"), figure.document.list_parents()
    named = {number for number, node in enumerate(nodes) if HEAD.search(_split(node.get("name", "")))}
    top = {number for number in named if not named & set(_list_above(number, parents))}
    heads = []
    for head in sorted(top):
        below = [n for n in range(len(nodes)) if n == head or head in _list_above(n, parents)]
        moved = np.asarray(figure.weights[:, below].sum(1)).ravel() > 0.5
        if moved.any():
            heads.append(moved)
    return heads


def find_portrait(figure: Figure, paints: Paints, detector: LandmarkDetector, *, must_be_seen: bool = True) -> Portrait:
    """Turn the character until its face is seen from the front. Raises InputError for two faces, and NoFaceError for
    none, unless it need not be seen: then its head is shown as it stands."""
    heads = find_heads(figure)
    if len(heads) > 1:
        raise InputError(f"{figure.path} holds {len(heads)} heads. Give a file with one character.")
    inside = heads[0] if heads else np.ones(len(figure.vertices), bool)
    low, high = figure.vertices[inside].min(0), figure.vertices[inside].max(0)
    middle, width = (low + high) / 2, MARGIN * float(np.linalg.norm(high - low))
    found = _search(figure, paints, detector, middle, width)
    if found is None and must_be_seen:
        raise NoFaceError(f"No face was found on {figure.path}, seen from {len(YAWS_DEG)} sides. {ADVICE}")
    yaw, view = 0.0, None
    while found is not None:
        seen, yaw, face = found
        yaw -= TURN_DEG * face.turn if abs(face.turn) > TURNED else 0.0
        middle, width = _frame(seen, face)
        view = look(figure, aim(middle, width, yaw, PORTRAIT_PX), paints)
        faces, _ = find_faces(ViewRenderer(image_to_uint8(view.picture)), detector)
        # Once more where it was seen from the side: from the front it is seen better.
        found = (
            (view, yaw, faces[0]) if faces and abs(face.turn) > TURNED and seen.camera.size[0] == SEARCH_PX else None
        )
    view = view or look(figure, aim(middle, width, yaw, PORTRAIT_PX), paints)
    return Portrait(view, view.draw(FAINT_SHADE), middle, yaw)


def _search(
    figure: Figure, paints: Paints, detector: LandmarkDetector, middle: Float[np.ndarray, "3"], width: float
) -> tuple[View, float, Face] | None:
    """The view in which a face looks most to the viewer: first what is seen at once, then all that can be found."""
    for thorough in (False, True):
        best: tuple[View, float, Face] | None = None
        for yaw in YAWS_DEG:
            view = look(figure, aim(middle, width, yaw, SEARCH_PX), paints)
            renderer = ViewRenderer(image_to_uint8(view.picture))
            if thorough:
                faces, _ = find_faces(renderer, detector)
            else:
                seen = detector.detect(renderer.render_augmented(Augmentation()))
                faces = [face for face in seen if is_plausible(face, renderer.size)]
            if len(faces) > 1:
                raise InputError(f"{len(faces)} faces are seen on {figure.path}. Give a file with one character.")
            if faces and (best is None or abs(faces[0].turn) < abs(best[2].turn)):
                best = view, yaw, faces[0]
            if best is not None and abs(best[2].turn) < FRONT:
                return best
        if best is not None:
            return best
    return None


def _frame(view: View, face: Face) -> tuple[Float[np.ndarray, "3"], float]:
    """Middle and width of a picture around a face, in units of the scene."""
    camera, turn = view.camera, view.camera.rotation.numpy().astype(np.float64)
    x, y = face.points.mean(0)
    across = np.array([x - camera.center_px[0], camera.center_px[1] - y]) / camera.scale_px
    return across @ turn[:2], WIDTH * face.eye_distance / camera.scale_px


def _split(name: str) -> str:
    """Words of a name apart: mixamorig:HeadTop becomes mixamorig:Head Top."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ")


def _list_above(number: int, parents: dict[int, int]) -> list[int]:
    above = []
    while number in parents:
        number = parents[number]
        above.append(number)
    return above
