"""Hair that hides part of a head: ribbons that grow on the scalp, are combed, and hang outside the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from rendered_scene import Solid

STRANDS, JOINTS = 5000, 10
RIBBON_WIDTH = 0.0022
GRAVITY = np.array([0.0, -1.0, 0.0])
CROWN = np.array([0.0, 0.85, -0.53])
FACE_WINDOW = (0.050, -0.02, 0.0)
"""Nobody's hair hangs over eyes and mouth here: it is cut where abs(x) is below the first, and z above the second. Its
y is below the third, or below ``PARTED_TOP`` where there is no fringe (meters, eyes at 0)."""
PARTED_TOP = 0.045
COLORS_SRGB = (
    (0.05, 0.04, 0.04), (0.20, 0.12, 0.08), (0.40, 0.26, 0.15), (0.72, 0.55, 0.33), (0.50, 0.18, 0.09), (0.6, 0.6, 0.6),
)  # fmt: skip


@dataclass(frozen=True)
class HairStyle:
    """``length``: at the sides and back. ``fringe``: length of hair combed to the front, 0 for none. ``volume``: height
    of the outermost hair above the skin. All in meters."""

    length: float
    fringe: float
    volume: float


HAIR_STYLES: dict[str, HairStyle | None] = {
    "none": None,
    "short": HairStyle(0.035, 0.03, 0.014),
    "fringe": HairStyle(0.07, 0.085, 0.016),
    "bob": HairStyle(0.16, 0.06, 0.022),
    "long": HairStyle(0.26, 0.0, 0.018),
}


def grow_hair(
    vertices: Float[np.ndarray, "n 3"],
    model: HeadModel,
    style: HairStyle,
    color: Float[np.ndarray, "3"],
    rng: np.random.Generator,
) -> Solid:
    """Ribbons in head space over the head ``vertices``. ``color``: linear RGB, varied from strand to strand."""
    skin = model.vertex_ids("outer_skin").numpy()
    normals = vertex_normals(vertices, model.faces.numpy())
    tree, normals_of_skin, skin_places = KDTree(vertices[skin]), normals[skin], vertices[skin]
    roots, outward = scatter_roots(vertices, normals, model, rng)
    clearance = 0.002 + style.volume * rng.random(STRANDS) ** 0.7
    direction, length = comb(roots, outward, style, rng)
    joints = [roots]
    place, growing = roots, np.ones(STRANDS, bool)
    for joint in range(JOINTS):
        direction = unit(direction + (0.15 + 0.15 * joint) * GRAVITY)
        place = place + direction * (length / JOINTS)[:, None]
        _, nearest = tree.query(place)
        height = ((place - skin_places[nearest]) * normals_of_skin[nearest]).sum(1)
        lift = (clearance * min(1.0, 0.3 + joint / 3) - height).clip(0, 0.03)
        place = place + lift[:, None] * normals_of_skin[nearest]
        growing &= ~hides_face(place, style)
        place = np.where(growing[:, None], place, joints[-1])
        direction = unit(place - joints[-1])
        joints.append(place)
    return make_ribbons(np.stack(joints, axis=1), skin_places.mean(0), color, rng)


def hides_face(places: np.ndarray, style: HairStyle) -> np.ndarray:
    """Which places lie before eyes, nose or mouth."""
    half_width, depth, top = FACE_WINDOW
    top = top if style.fringe else PARTED_TOP
    return (np.abs(places[:, 0]) < half_width) & (places[:, 2] > depth) & (places[:, 1] < top)


def scatter_roots(
    vertices: np.ndarray, normals: np.ndarray, model: HeadModel, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Random places on the scalp, even by area, with the normals there."""
    corners = model.faces[model.face_mask("scalp")].numpy()
    a, b, c = (vertices[corners[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    chosen = corners[rng.choice(len(corners), STRANDS, p=area / area.sum())]
    weights = rng.dirichlet((1, 1, 1), STRANDS)[..., None]
    return (vertices[chosen] * weights).sum(1), unit((normals[chosen] * weights).sum(1))


def comb(
    roots: np.ndarray, outward: np.ndarray, style: HairStyle, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """First directions and lengths: away from the crown; at the front into a fringe, or to both sides of a parting."""
    middle = roots.mean(0)
    away = unit(roots - middle) - CROWN / np.linalg.norm(CROWN)
    flow = unit(away - (away * outward).sum(1, keepdims=True) * outward)
    front = roots[:, 2] > middle[2] + 0.045
    high = roots[:, 1] > middle[1]
    side = np.where(np.abs(roots[:, 0]) > 0.004, np.sign(roots[:, 0]), 1.0)
    parted = unit(np.stack([side, np.zeros(STRANDS), -0.3 * np.ones(STRANDS)], axis=1))
    slant = rng.uniform(-0.5, 0.5)
    fringe = unit(np.stack([slant + 2.0 * roots[:, 0], -0.2 * np.ones(STRANDS), np.ones(STRANDS)], axis=1))
    forward = (front & high)[:, None]
    flow = np.where(forward, fringe if style.fringe else parted, flow)
    length = np.where(front & high & (style.fringe > 0), style.fringe, style.length)
    direction = unit(flow + 0.35 * outward + rng.normal(0, 0.12, roots.shape))
    return direction, length * rng.uniform(0.75, 1.1, STRANDS)


def make_ribbons(
    joints: Float[np.ndarray, "s j 3"], middle: np.ndarray, color: np.ndarray, rng: np.random.Generator
) -> Solid:
    """Two triangles to a link, flat towards the outside, thinner at the tip."""
    along = unit(np.gradient(joints, axis=1))
    out = unit(joints - middle)
    across = unit(np.cross(along, out))
    taper = np.linspace(1.0, 0.35, joints.shape[1])[None, :, None]
    left, right = joints - RIBBON_WIDTH / 2 * taper * across, joints + RIBBON_WIDTH / 2 * taper * across
    vertices = np.stack([left, right], axis=2).reshape(-1, 3)
    per_strand = 2 * joints.shape[1]
    start = np.arange(len(joints))[:, None] * per_strand + 2 * np.arange(joints.shape[1] - 1)[None]
    a = start.ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + 3], 1), np.stack([a, a + 3, a + 2], 1)])
    tone = np.exp(rng.normal(0, 0.25, (len(joints), 1))) * np.array(color)
    normals = unit(np.cross(across, along) + 0.8 * out)
    return Solid(
        vertices, faces, np.repeat(tone, per_strand, axis=0), normals=np.repeat(normals.reshape(-1, 3), 2, axis=0)
    )


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
