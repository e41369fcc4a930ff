"""The body under a fitted head: turned upright as the photo shows it, and as broad as its outline says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from portraitist.bust.torso_model import TorsoModel
from portraitist.devices import to_numpy
from portraitist.mesh.grids import grid_faces, grid_normals
from portraitist.rendering.cameras import project_places
from portraitist.rendering.ray_casting import is_occluded
from portraitist.rendering.sampling import look_up
from portraitist.rendering.shader_math import mix, smoothstep
from portraitist.types import Camera, HeadFit, Mesh

FOLLOWING = 0.5  # of the head's turn and nod: a body takes part in them, as far as nobody sees
TWISTED = 0.10  # meters from the ring over which the body's own direction takes over from the head's
SETTLED = 0.06  # meters from the ring over which a neck's own shape gives way to the body's
SEARCHED = np.arange(-0.08, 0.14, 0.002)  # meters from the body's edge in which the photo's outline is looked for
SLANTED = 0.35  # cosine to the line of sight up to which a point lies along the outline
DRESS = 0.02  # meters by which clothes make an outline differ from that of a body (standard deviation)
BELIEVED = 0.06  # meters from the body's edge at which an outline is hardly that of its clothes: arms, things, others
EXTREME = 1.5  # standard deviations that a body may differ from the mean: what is more is clothes
TOGETHER = 12.0  # points along an outline that tell of one thing
ROUNDS = 3
RAY_STEP = 0.004  # meters before the surface at which rays start


@dataclass(frozen=True, eq=False)
class PersonShares:
    """How much of each pixel of a photo is the ``person``, clothes (``cloth``) and ``bare`` skin, 0..1."""

    person: Float[np.ndarray, "h w"]
    cloth: Float[np.ndarray, "h w"]
    bare: Float[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Outline:
    """Where the photo's outline is, seen from points of the body. ``moves``: meters from each point outwards in the
    picture's plane. ``weights``: how much that counts, 0..1. ``outwards``: unit vectors in the picture's plane."""

    moves: Float[np.ndarray, "r c"]
    weights: Float[np.ndarray, "r c"]
    outwards: Float[np.ndarray, "r c 3"]


def fit_body(fit: HeadFit, shares: PersonShares, torso: TorsoModel) -> Float[np.ndarray, "r c 3"]:
    """Rows on the neck, the ring, and below it the most probable body; meters, head space."""
    vertices = to_numpy(fit.mesh.vertices, np.float64)
    neck = torso.follow_neck(vertices, to_numpy(fit.mesh.faces))
    turn = _choose_turn(to_numpy(fit.camera.rotation, np.float64))
    weights = np.zeros(len(torso.modes))
    body = _assemble(neck, torso, turn, weights)
    for _ in range(ROUNDS):
        outline = find_outline(body, shares, fit.camera)
        modes = [
            _assemble(neck, torso, turn, row) - _assemble(neck, torso, turn, 0 * row) for row in np.eye(len(weights))
        ]
        slopes = np.stack([(mode * outline.outwards).sum(-1) for mode in modes], -1).reshape(-1, len(weights))
        certainty = outline.weights.ravel() / TOGETHER / DRESS**2
        wanted = outline.moves.ravel() + slopes @ weights
        normal = slopes.T @ (certainty[:, None] * slopes) + np.eye(len(weights))
        weights = np.linalg.solve(normal, slopes.T @ (certainty * wanted)).clip(-EXTREME, EXTREME)
        body = _assemble(neck, torso, turn, weights)
    return body


def straighten(
    places: Float[np.ndarray, "r c 3"], ring_row: int, rotation: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "r c 3"]:
    """A body as `fit_body` gives it for a camera's ``rotation``, upright and facing ahead as the head does in its own
    space, and cut at one height, on which a bust stands. Who wants the photo's pose turns the neck."""
    ring = places[ring_row]
    torso = places[ring_row + 1 :]
    local = torso - ring.mean(0)
    share = smoothstep(np.linalg.norm(torso - ring, axis=-1, keepdims=True), 0.0, TWISTED)
    straight = ring.mean(0) + mix(local, local @ _choose_turn(rotation), share)
    down = (np.arange(1, len(torso) + 1) / len(torso))[:, None]
    straight[..., 1] += down**3 * (straight[-1, :, 1].mean() - straight[-1, :, 1])
    return np.concatenate([places[: ring_row + 1], straight])


def _choose_turn(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """Rotation of the body in head space: upright in the picture, turned and nodding with a part of the head's turn."""
    ahead = rotation[:, 2]
    yaw = FOLLOWING * np.arctan2(ahead[0], ahead[2])
    pitch = FOLLOWING * np.arcsin(np.clip(ahead[1], -1, 1))
    turned = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    lifted = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    return rotation.T @ turned @ lifted


def _assemble(
    neck: Float[np.ndarray, "q c 3"],
    torso: TorsoModel,
    turn: Float[np.ndarray, "3 3"],
    weights: Float[np.ndarray, "k"],
) -> Float[np.ndarray, "r c 3"]:
    """The body with these weights of its modes below a neck: turned, and towards the ring as the neck is."""
    ring, change = neck[-1], np.tensordot(weights, torso.modes, 1)
    distance = np.linalg.norm(torso.mean + change - torso.mean_ring, axis=-1, keepdims=True)
    local = torso.mean + change - torso.ring_middle
    turned = mix(local, local @ turn.T, smoothstep(distance, 0.0, TWISTED))
    missed = (ring - ring.mean(0)) - (torso.mean_ring - torso.ring_middle) - change
    settled = 1 - smoothstep(distance, 0.0, SETTLED)
    return np.concatenate([neck, ring.mean(0) + turned + settled * missed])


def find_outline(body: Float[np.ndarray, "r c 3"], shares: PersonShares, camera: Camera) -> Outline:
    """Where the person ends beside points that lie along the outline of a body; where it ends with hair, or something
    held, that is not the body's."""
    rotation = to_numpy(camera.rotation, np.float64)
    in_view = grid_normals(body) @ rotation.T
    slant = in_view[..., 2]
    flat = in_view * [1, 1, 0]
    flat /= np.linalg.norm(flat, axis=-1, keepdims=True).clip(1e-6)
    outwards = flat @ rotation
    along = body[:, :, None] + SEARCHED[:, None] * outwards[:, :, None]
    pixels = project_places(along, camera)
    inside = look_up(shares.person, pixels) > 0.5
    count = np.logical_and.accumulate(inside, axis=2).sum(2)
    last = np.maximum(count - 1, 0)
    ended = (count > 0) & (count < len(SEARCHED))
    beyond = np.take_along_axis(pixels, np.minimum(count, len(SEARCHED) - 1)[..., None, None], 2)[:, :, 0]
    in_picture = ((beyond > 1) & (beyond < np.array(shares.person.shape[::-1]) - 1)).all(-1)
    just_inside = np.maximum(last[..., None] - np.arange(1, 5), 0)
    of_body = np.take_along_axis(look_up(np.maximum(shares.cloth, shares.bare), pixels), just_inside, 2).mean(2)
    moves = SEARCHED[last]
    weights = np.exp(-((slant / SLANTED) ** 2) - (moves / BELIEVED) ** 2) * ended * in_picture * of_body
    return Outline(moves, weights, outwards)


def find_visible(
    points: Float[np.ndarray, "*k 3"], places: Float[np.ndarray, "r c 3"], head: Mesh, camera: Camera
) -> Bool[np.ndarray, "*k"]:
    """Which points neither a head nor the surface with the rows ``places`` hides from a camera."""
    view = to_numpy(camera.rotation, np.float64)[2]
    of_head = to_numpy(head.vertices, np.float64)[to_numpy(head.faces)]
    corners = np.concatenate([of_head, places.reshape(-1, 3)[grid_faces(*places.shape[:2])]])
    starts = (points + RAY_STEP * view).reshape(-1, 3)
    hidden = is_occluded(corners, starts, np.broadcast_to(view, starts.shape))
    return ~hidden.reshape(points.shape[:-1])
