"""Which part of a face each pixel shows, on the head and in the artwork, so that eyes are painted like eyes.

Without it the nearest hypercolumn decides, and the artwork's lips end up on cheeks (the paper's Fig. 14).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.rendering.rasterizer import mark_texels, rasterize
from portraitist.types import REGIONS, Camera, Image, InputError, Mesh

PARTS = ("skin", "nose", "eyelids", "lips", "brows", "eyes", "mouth", "hair")
"""Parts that are told apart. Ears and neck count as skin, teeth and tongue as mouth."""

SKIN, NOSE, EYELIDS, LIPS, BROWS, EYES, MOUTH, HAIR = range(len(PARTS))
FEATURES = (EYELIDS, LIPS, BROWS, EYES, MOUTH)
"""Small, but what a person is known by."""

NOWHERE = -1
_PART_OF_REGION = {
    "skin": SKIN,
    "lips": LIPS,
    "eyelids": EYELIDS,
    "brows": BROWS,
    "nose": NOSE,
    "ears": SKIN,
    "scalp": HAIR,
    "neck": SKIN,
    "eyeballs": EYES,
    "mouth_inside": MOUTH,
    "teeth": MOUTH,
    "tongue": MOUTH,
}
_FACE_IDS = [i for i, name in enumerate(REGIONS) if name not in ("ears", "scalp", "neck")]

# Outlines among the 68 points.
_EYES = (range(36, 42), range(42, 48))
_BROWS = (range(17, 22), range(22, 27))
_OUTER_LIPS, _INNER_LIPS = range(48, 60), range(60, 68)
_OPEN_MOUTH = 0.25  # share of an open mouth in all of lips and mouth; less is a dark line between lips
# Widths in outer eye distances: of a brow, whose points run along its middle; of the skin around an eye that counts as
# its lids; and of what is left out along the edge of face and hair, where fitted heads overlap what lies behind.
_BROW_WIDTH, _LID_WIDTH, _EDGE_WIDTH = 0.09, 0.07, 0.05
_CORE = 0.75  # of the width and height of the face
# Hair told from skin by its looks. Windows: in outer eye distances of a picture, and in sides of a texture.
_PIXEL_WINDOW, _TEXEL_WINDOW = 0.05, 0.008
_FEWEST_PIXELS, _LOOKS_NOISE, _DOUBT, _HAIR_VOTES = 50, 4.0, 4.0, 0.3  # the noise in units of Lab
# A person mask is believed that has this share of the face's middle. Without hair on a tenth of a squared eye distance
# of the fitted scalp, it is learnt from the head's upper rim. Looks further from a kind than this are not of it.
_BELIEVED, _LITTLE_HAIR, _RIM_WIDTH, _STRANGE, _LOWEST_HAIR = 0.95, 0.1, 0.25, 12.0, 0.35
_LIGHT_LIPS = 8.0  # by how much lighter than skin, in L of Lab, lips cannot be


def is_one_of(labels: Tensor, members: tuple[int, ...]) -> Bool[Tensor, "..."]:
    """Where any of the parts is."""
    return torch.isin(labels, labels.new_tensor(members))


def label_faces(mesh: Mesh) -> Int[Tensor, "f"]:
    """Part of every face of the head."""
    parts = torch.tensor([_PART_OF_REGION[name] for name in REGIONS], device=mesh.regions.device)
    return parts[mesh.regions]


def label_texels(mesh: Mesh, texture: Image) -> Int[Tensor, "t t"]:
    """Part of every texel of a head's texture, `NOWHERE` between the UV islands.

    Hair ends where it ends in the photo, not where the model's scalp does: over forehead and temples, whatever looks
    more like the scalp's hair than like the face is hair; and a bald scalp is skin.
    """
    face_ids = mark_texels(mesh, texture.shape[-1])
    labels = torch.where(face_ids >= 0, label_faces(mesh)[face_ids.clamp(min=0)], NOWHERE).cpu().numpy()
    heights = mesh.vertices[mesh.faces].mean(1)[:, 1]
    eyes = heights[mesh.regions == REGIONS.index("eyeballs")]
    above = ((face_ids >= 0) & (heights[face_ids.clamp(min=0)] > eyes.mean())).cpu().numpy() if len(eyes) else None
    if above is None or not above.any():
        return torch.from_numpy(labels).to(face_ids)
    looks = _measure_looks(texture.cpu().numpy(), _TEXEL_WINDOW * texture.shape[-1])
    hair, skin = labels == HAIR, np.isin(labels, (SKIN, NOSE)) & ~above
    if _is_bald(looks[hair], looks[skin]):
        labels[hair] = SKIN
    else:
        labels[_find_hair(looks, (labels == SKIN) & above, hair, skin, hair, _TEXEL_WINDOW * texture.shape[-1])] = HAIR
    return torch.from_numpy(labels).to(face_ids)


def label_artwork(
    art: Image,
    mesh: Mesh,
    camera: Camera,
    points_px: Float[Tensor, "68 2"],
    person: Float[Tensor, "h w"] | None = None,
) -> Int[Tensor, "h w"]:
    """Part of every pixel of an artwork, `NOWHERE` where it shows neither face nor hair.

    ``mesh``, ``camera``: the head fitted to the artwork; it tells face from hair and ground. ``points_px``: the
    artwork's own landmarks; they tell the features, since a drawn mouth need not lie where the fitted one does.
    ``art`` itself tells how much of the face's outer parts is covered by hair. ``person``: how likely each pixel
    shows the person; it tells hair from ground, where the fitted skull is not as high as the drawn one, and finds the
    hair that stands out from it. It is not believed when it misses the face: segmenters know photos.
    """
    seen = rasterize(mesh, camera)
    ids = seen.face_ids.clamp(min=0)
    labels = torch.where(seen.mask, label_faces(mesh)[ids], NOWHERE).cpu().numpy()
    face = seen.mask.cpu().numpy() & np.isin(mesh.regions[ids].cpu().numpy(), _FACE_IDS)
    points = points_px.cpu().numpy()
    unit = float(np.linalg.norm(points[36] - points[45]))
    core = _fill_core(labels.shape, points)
    inside = None if person is None else person.cpu().numpy() > 0.5
    if inside is not None and inside[core].mean() < _BELIEVED:
        inside = None
    kept = _erode(face, _EDGE_WIDTH * unit) | _erode(labels == HAIR, _EDGE_WIDTH * unit)
    labels = np.where(kept, labels, NOWHERE)
    labels[face & np.isin(labels, FEATURES)] = SKIN  # drawn anew from the landmarks
    labels = _draw_features(labels, points, unit)
    outer, skin = (labels == SKIN) & ~core, np.isin(labels, (SKIN, NOSE)) & core
    looks = _measure_looks(art.cpu().numpy(), _PIXEL_WINDOW * unit)
    hair, beside = labels == HAIR, np.zeros_like(core)
    if inside is not None:
        labels[~inside & ~core] = NOWHERE
        outer = outer & inside
        hair, beside = _guess_hair(looks, labels, inside, skin, points, unit)
        labels[(labels == HAIR) & ~hair] = NOWHERE
    beyond = np.isin(labels, (HAIR, NOWHERE))
    labels[_find_hair(looks, outer | beside, hair, skin, beyond, _PIXEL_WINDOW * unit)] = HAIR
    lips = labels == LIPS
    if lips.any() and skin.any() and np.median(looks[lips, 0]) > np.median(looks[skin, 0]) + _LIGHT_LIPS:
        # A grin: the landmarks lie on its teeth, of which there are more beside and below.
        heights = _find_heights(labels.shape, points)
        labels[heights < heights[lips].max()] = NOWHERE
        labels[lips] = MOUTH
    return torch.from_numpy(labels).to(mesh.regions)


def apply_style_mask(labels: Int[Tensor, "h w"], mask: Float[Tensor, "m n"]) -> Int[Tensor, "h w"]:
    """``labels`` with the user's word on where style comes from: nowhere where ``mask`` is below one half, and as skin
    is painted where it is above and no part was found. Raises InputError for a mask of another size, or all black."""
    if mask.shape != labels.shape:
        got, needed = (f"{size[1]} x {size[0]}" for size in (mask.shape, labels.shape))
        raise InputError(f"The style mask is {got} pixels, the artwork {needed}: paint it over the artwork itself.")
    inside = mask >= 0.5
    if not inside.any():
        raise InputError("The style mask is black all over: paint white where the style is to be taken from.")
    return torch.where(inside, torch.where(labels >= 0, labels, SKIN), NOWHERE)


def _measure_looks(image: Float[np.ndarray, "3 h w"], window: float) -> Float[np.ndarray, "h w 4"]:
    """Mean Lab color and contrast around each pixel; a drawn head of hair may be as white as skin."""
    lab = cv2.cvtColor(np.ascontiguousarray(image.transpose(1, 2, 0), np.float32), cv2.COLOR_RGB2LAB)
    size = (2 * max(round(window), 1) + 1,) * 2
    mean, mean_square = (cv2.blur(x, size) for x in (lab, lab[..., 0] ** 2))
    return np.dstack([mean, np.sqrt((mean_square - mean[..., 0] ** 2).clip(0))])


def _find_hair(
    looks: Float[np.ndarray, "h w 4"],
    asked: Bool[np.ndarray, "h w"],
    hair: Bool[np.ndarray, "h w"],
    skin: Bool[np.ndarray, "h w"],
    beyond: Bool[np.ndarray, "h w"],
    window: float,
) -> Bool[np.ndarray, "h w"]:
    """Which of the pixels ``asked`` look more like ``hair`` than like ``skin``, each kind a Gaussian, and join what is
    ``beyond`` the face."""
    kinds = [looks[hair], looks[skin]]
    if min(len(kind) for kind in kinds) < _FEWEST_PIXELS or not asked.any():
        return np.zeros_like(asked)
    of_hair, of_skin = (
        _measure_strangeness(looks[asked], kind) + np.linalg.slogdet(_find_spread(kind))[1] for kind in kinds
    )
    votes = np.zeros(asked.shape, np.float32)
    votes[asked] = of_hair + _DOUBT < of_skin
    found = asked & (cv2.blur(votes, (2 * max(round(window), 1) + 1,) * 2) > _HAIR_VOTES)
    # Hair comes from the edge of the face: a spot within it is a shadow or a mole.
    return found & _join(found, beyond)


def _guess_hair(
    looks: Float[np.ndarray, "h w 4"],
    labels: Int[np.ndarray, "h w"],
    inside: Bool[np.ndarray, "h w"],
    skin: Bool[np.ndarray, "h w"],
    points: Float[np.ndarray, "68 2"],
    unit: float,
) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Pixels that are hair for sure, and pixels beside the fitted head that look like it. ``inside``: the person.

    Sure is what the fitted scalp covers of the person. Where that is next to nothing, the drawn skull being lower than
    the fitted one, it is the upper rim of the person, as far as it does not look like skin.
    """
    inside = _erode(inside, _EDGE_WIDTH * unit)
    height = _find_heights(labels.shape, points)
    hair = (labels == HAIR) & inside
    if hair.sum() < _LITTLE_HAIR * unit**2 and skin.sum() >= _FEWEST_PIXELS:
        depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
        rim = inside & np.isin(labels, (SKIN, NOWHERE)) & (height > 1) & (depth < _RIM_WIDTH * unit)
        hair[rim] |= _measure_strangeness(looks[rim], looks[skin]) > _STRANGE
    if hair.sum() < _FEWEST_PIXELS:
        return hair, np.zeros_like(hair)
    beside = inside & (labels == NOWHERE) & (height > _LOWEST_HAIR)
    beside[beside] = _measure_strangeness(looks[beside], looks[hair]) < _STRANGE
    return hair, beside & _join(beside, hair)


def _find_heights(shape: tuple[int, ...], points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "h w"]:
    """How high in the face each pixel lies: 0 at the chin, 1 at the brows."""
    chin, brows = points[8], points[17:27].mean(0)
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return ((np.stack([x, y], -1) - chin) @ (brows - chin)) / ((brows - chin) @ (brows - chin))


def _join(pixels: Bool[np.ndarray, "h w"], roots: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Which pixels lie in one piece with any of the ``roots``."""
    islands = cv2.connectedComponents((pixels | roots).astype(np.uint8))[1]
    return np.isin(islands, np.unique(islands[roots]))


def _measure_strangeness(looks: Float[np.ndarray, "n 4"], kind: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n"]:
    """Squared distances from a kind of pixels in units of its spread."""
    apart = looks - kind.mean(0)
    return (apart @ np.linalg.inv(_find_spread(kind)) * apart).sum(1)


def _find_spread(kind: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "4 4"]:
    return np.cov(kind.T) + _LOOKS_NOISE**2 * np.eye(4)


def _is_bald(hair: Float[np.ndarray, "n 4"], skin: Float[np.ndarray, "m 4"]) -> bool:
    """Whether the scalp looks like the face below the eyes: means less than a spread apart."""
    if min(len(hair), len(skin)) < _FEWEST_PIXELS:
        return False
    spread = (np.cov(hair.T) + np.cov(skin.T)) / 2 + _LOOKS_NOISE**2 * np.eye(4)
    apart = hair.mean(0) - skin.mean(0)
    return float(apart @ np.linalg.solve(spread, apart)) < 1


def _draw_features(labels: np.ndarray, points: np.ndarray, unit: float) -> np.ndarray:
    """The features' outlines filled, wherever the artwork has them."""
    canvas = np.ascontiguousarray(labels, np.int32)
    for ids in _EYES:
        outline = _to_pixels(points[list(ids)])
        cv2.polylines(canvas, [outline], True, EYELIDS, max(round(2 * _LID_WIDTH * unit), 1))
        cv2.fillPoly(canvas, [outline], EYES)
    for ids in _BROWS:
        cv2.polylines(canvas, [_to_pixels(points[list(ids)])], False, BROWS, max(round(_BROW_WIDTH * unit), 1))
    cv2.fillPoly(canvas, [_to_pixels(points[list(_OUTER_LIPS)])], LIPS)
    inner = points[list(_INNER_LIPS)]
    lips = canvas == LIPS
    cv2.fillPoly(canvas, [_to_pixels(inner)], MOUTH)
    if (canvas == MOUTH).sum() < _OPEN_MOUTH * lips.sum():
        canvas[lips] = LIPS
    return canvas.astype(np.int64)


def _fill_core(shape: tuple[int, ...], points: np.ndarray) -> Bool[np.ndarray, "h w"]:
    """The middle of the face, which no hair covers: the hull of jaw and brows, drawn in."""
    outline = points[:27]
    canvas = np.zeros(shape, np.uint8)
    hull = cv2.convexHull((outline.mean(0) + _CORE * (outline - outline.mean(0))).astype(np.float32))
    return cv2.fillPoly(canvas, [_to_pixels(hull)], 1) > 0


def _to_pixels(points: np.ndarray) -> np.ndarray:
    return np.round(points - 0.5).astype(np.int32)


def _erode(mask: np.ndarray, width: float) -> np.ndarray:
    """``mask`` without ``width`` pixels along its edge; all of it when nothing would be left."""
    size = 2 * max(round(width), 0) + 1
    kept = cv2.erode(mask.astype(np.uint8), np.ones((size, size), np.uint8), borderValue=1) > 0
    return kept if kept.any() else mask


def mismatch_costs() -> Float[Tensor, "p p"]:
    """What it costs to paint a part (row) as another one (column) is painted in the artwork, in cosine distances."""
    costs = torch.ones(len(PARTS), len(PARTS))
    for a, b, cost in ((SKIN, NOSE, 0.15), (SKIN, EYELIDS, 0.15), (NOSE, EYELIDS, 0.15)):
        costs[a, b] = costs[b, a] = cost
    return costs.fill_diagonal_(0)
