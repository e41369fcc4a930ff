"""Hair and hats as a shell around the head, from one photo (the paper models hair in Sec. 7.2 only, and flat).

The shell's outline is that of hair and headwear in the photo. Between outlines its thickness is as smooth as it can be,
on the face it lies on the skin, and long hair hangs straight. What covers the unseen back continues what is seen of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from portraitist.devices import to_numpy
from portraitist.hair.chart import DECIMETER, HairChart, make_chart
from portraitist.hair.surface import find_level
from portraitist.mesh.laplacian import factor_symmetric, vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.cameras import project_places
from portraitist.rendering.ray_casting import is_occluded
from portraitist.rendering.sampling import look_up, look_up_means
from portraitist.rendering.shader_math import mix, smoothstep
from portraitist.types import Camera, HeadFit

LEAST_THICKNESS = 0.003  # meters
LARGEST_THICKNESS = 0.25  # meters: no hat is larger
STEP = 0.002  # meters in which the outline is looked for
SIDEWAYS = 0.25  # cosine to the line of sight up to which a ray ends at the outline
BELOW = 0.02  # meters of chart below the lowest hair
LOCK_LENGTHS = 0.025  # meters by which locks differ in length where nobody sees them end
LOCK_COLUMNS = 4  # of the chart, of a lock
GOLDEN_RATIO = (1 + 5**0.5) / 2  # whose multiples never repeat
EDGE = 0.0007  # meters: how well the photo tells where hair ends
SMOOTH = 0.3  # decimeters within which thickness is smooth
CERTAINTY = 5.0  # of what the photo shows against smoothness over that length
OUTLINE_ROUNDS = 3  # in which what stands over the outline is drawn in
USUAL = 0.02  # weight of the mean thickness where nothing is known
CONTINUED = 0.25  # decimeters from the seen hair at which a scalp's own extent counts as much
HANGING = 0.05  # meters of hair below the scalp: it hangs and leaves the neck
NEAR_ROWS = 3.0  # of the chart, that tell together whether hair grows at a height
FAR_ROWS = 0.05  # of what the others tell
UNSEEN_HAIR = 0.3  # points of hair that are taken for seen: with none at all, there is hair
BEHIND = (np.pi / 2, 2 * np.pi / 3)  # from the line of sight: beside the face, behind it
SIDES = (np.pi / 4, 4 * np.pi / 9)  # from the line of sight: where hair is seen that goes on behind


@dataclass(frozen=True, eq=False)
class HairShell:
    """``radii``: of the outer surface along the chart's rays, meters. ``shares``: by layer name, how likely each of its
    points is covered by this layer, 0..1. ``seen``: whether the photo shows the point."""

    chart: HairChart
    radii: Float[np.ndarray, "r c"]
    shares: dict[str, Float[np.ndarray, "r c"]]
    seen: Bool[np.ndarray, "r c"]


def fit_shell(
    covers: dict[str, Float[np.ndarray, "h w"]],
    head: Float[np.ndarray, "h w"],
    clothes: Float[np.ndarray, "h w"],
    fit: HeadFit,
    model: HeadModel,
) -> HairShell | None:
    """Shell of what covers the head. ``covers``: by layer name, its share 0..1 of each pixel of the photo that was
    fitted. ``head``: share of all that is head: bare skin, beard, glasses and the covers; ``clothes``: that of clothes.
    None when nothing covers the head.
    """
    cover = np.clip(sum(covers.values(), np.zeros_like(head)), 0, 1)
    vertices = to_numpy(fit.mesh.vertices, np.float64)
    rows = np.flatnonzero((cover > 0.5).any(1))
    if not len(rows):
        return None
    neck = vertices[to_numpy(model.vertex_ids("neck")), 1]
    up = max(float(fit.camera.rotation[1, 1]), 0.5)
    lowest = (fit.camera.center_px[1] - rows.max() - 1) / fit.camera.scale_px / up
    # What the picture's lower border cuts off hangs on, in locks, the longest at least to the end of the neck.
    is_cut = rows.max() == len(cover) - 1
    end = min(lowest - LOCK_LENGTHS, float(neck.min())) if is_cut else min(lowest, float(np.quantile(neck, 0.5)))
    chart = make_chart(vertices, end - BELOW, model)
    view = to_numpy(fit.camera.rotation, np.float64)[2]
    base, free = chart.skull, np.zeros_like(chart.skull)
    for rounds in (1, OUTLINE_ROUNDS):  # where hair ends, and whether it hangs, is known once it has been covered
        radii, ends = _fit_radii(chart, base, free, cover, np.clip(head, 0, 1), clothes, fit.camera, rounds)
        seen = _find_seen(chart, radii, view, vertices[to_numpy(model.faces)])
        places = chart.place(np.minimum(radii, ends))
        # Of what is head: along the outline a pixel is in part background.
        pixels = project_places(places, fit.camera)
        of_head, *of_covers = look_up_means([head, *covers.values()], pixels)
        shown = {name: of_cover / of_head.clip(0.1) for name, of_cover in zip(covers, of_covers, strict=True)}
        # A border shows its thickness: where the side below it would be seen, that must be covered, too.
        inner = chart.place_inner_side(radii, STEP)
        open_inside = ~_find_hidden(inner, view, vertices[to_numpy(model.faces)])
        # Of both together: where one ends at the other, there is no gap.
        (below,) = look_up_means([cover], project_places(inner, fit.camera))
        thinned = np.where(open_inside, (below / np.sum(list(shown.values()), axis=0).clip(1e-6)).clip(max=1), 1)
        shown = {name: thinned * share for name, share in shown.items()}
        facing = _measure_facing(chart, radii, view) * of_head * seen * _is_in_picture(pixels, fit.camera)
        depths = {name: _find_depths(chart, places, share, facing, view) for name, share in shown.items()}
        if is_cut:
            locks = end + _vary_ends(len(chart.azimuths))
            depths = {name: np.where(depth < lowest + BELOW, locks, depth) for name, depth in depths.items()}
        base = _hang(chart, np.min(list(depths.values()), axis=0))
        reached = {name: (places[..., 1] > depth).astype(float) for name, depth in depths.items()}
        # A hat covers all that is above its edge; a hairband, or glasses pushed up, do not.
        above = {name: (facing**2 * reached["headwear"] * share).sum() for name, share in shown.items()}
        worn = reached["headwear"] * (above["headwear"] > above["hair"])
        grown = _expect_on_scalp(chart, shown["hair"], facing**2 * (1 - shown["headwear"]).clip(0))
        expected = {"headwear": worn, "hair": np.maximum(grown, reached["hair"]) * (1 - worn)}
        free = (1 - expected["hair"] - worn) * ~seen
    shares = {name: _continue(chart, radii, shown[name], expected[name], facing) for name in covers}
    plain = {name: (facing > 0) & (share > 0.5) for name, share in shown.items()}
    return HairShell(chart, radii, _keep_one_piece(shares, plain), seen)


def _fit_radii(
    chart: HairChart,
    base: Float[np.ndarray, "r c"],
    free: Float[np.ndarray, "r c"],
    cover: Float[np.ndarray, "h w"],
    head: Float[np.ndarray, "h w"],
    clothes: Float[np.ndarray, "h w"],
    camera: Camera,
    rounds: int,
) -> tuple[Float[np.ndarray, "r c"], Float[np.ndarray, "r c"]]:
    """Radii of the outer surface, smooth over ``base``, ending where the outline is, and on the skin where the head is
    bare (``free``: where that is not seen, but expected); and the last radii at which the rays are inside of it."""
    steps = np.arange(0, LARGEST_THICKNESS, STEP)
    along = chart.origins[:, :, None] + (chart.skull[..., None] + steps)[..., None] * chart.directions[:, :, None]
    pixels = project_places(along, camera)
    of_head, shown = look_up(head, pixels), look_up(cover, pixels)
    count = np.logical_and.accumulate(of_head > 0.5, axis=2).sum(2)
    # Long hair hangs beside a collar, too.
    person = np.logical_and.accumulate(of_head + look_up(clothes, pixels) > 0.5, axis=2)
    count = np.maximum(count, ((person & (shown > 0.5)) * np.arange(1, len(steps) + 1)).max(2))
    last = np.maximum(count - 1, 0)
    ends = chart.skull + steps[last]
    at_end = np.take_along_axis(shown, np.maximum(last[..., None] - np.arange(4), 0), 2).mean(2)
    slant = chart.directions @ to_numpy(camera.rotation, np.float64)[2]
    # An outline that is not in the picture is not known: beyond its border there is more hair, nobody knows how much.
    # But below it hair hangs straight down, so its lowest row tells.
    beyond = np.take_along_axis(along, np.minimum(count, len(steps) - 1)[..., None, None], 2)[:, :, 0]
    beyond = project_places(beyond, camera)
    beyond[..., 1] = beyond[..., 1].clip(max=len(cover) - 0.5)
    ended = (count > 0) & (count < len(steps)) & _is_in_picture(beyond, camera)
    ending = np.exp(-((slant / SIDEWAYS) ** 2)) * ended
    bare = np.where(slant > SIDEWAYS, (of_head - shown)[..., 0].clip(0), ending * (1 - at_end))
    bare = np.maximum(bare * (count > 0), free)
    weights = ending * at_end + bare
    wanted = np.where(ending * at_end > bare, ends, np.minimum(chart.skull + LEAST_THICKNESS, ends)) - base
    usual = (ending * at_end * wanted).sum() / max((ending * at_end).sum(), 1e-6)
    laplacian, areas = chart.differentiate(base)
    roughness = SMOOTH**4 * (laplacian @ sp.diags(1 / areas) @ laplacian)
    known = weights.ravel().copy()
    for _ in range(rounds):
        screen = areas * (CERTAINTY * known + USUAL)
        data = areas * (CERTAINTY * known * wanted.ravel() + USUAL * usual)
        radii = base + factor_symmetric(roughness + sp.diags(screen)).solve(data).reshape(base.shape)
        over = (radii > ends + STEP) & (np.abs(slant) < 1 - SIDEWAYS) & (count > 0) & (known.reshape(base.shape) < 1)
        wanted = np.where(over, ends - base, wanted)
        known = np.maximum(known, over.ravel())
    return np.maximum(radii, chart.clear + LEAST_THICKNESS), np.where(count > 0, ends - STEP, np.inf)


def _measure_facing(
    chart: HairChart, radii: Float[np.ndarray, "r c"], view: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "r c"]:
    """Cosine to the line of sight, 0 where the surface turns away."""
    places = chart.place(radii)
    normals = vertex_normals(places.reshape(-1, 3), chart.faces).reshape(places.shape)
    return (normals @ view).clip(0, 1)


def _expect_on_scalp(
    chart: HairChart, shown: Float[np.ndarray, "r c"], weights: Float[np.ndarray, "r c"]
) -> Float[np.ndarray, "r c"]:
    """Where hair grows on a scalp: at each height as much as is seen of it there, so that a bald crown is bald behind,
    and a wreath goes around; elsewhere as on the whole. Hair where nothing is seen."""
    weights = weights * chart.scalp
    near = np.exp(-((np.subtract.outer(*[np.arange(len(shown))] * 2) / NEAR_ROWS) ** 2)) + FAR_ROWS
    sums = [near @ (weights * values).sum(1) for values in (shown, np.ones_like(shown))]
    rows = (sums[0] + UNSEEN_HAIR) / (sums[1] + UNSEEN_HAIR)
    return chart.growing * np.round(rows)[:, None]


def _find_seen(
    chart: HairChart,
    radii: Float[np.ndarray, "r c"],
    view: Float[np.ndarray, "3"],
    corners: Float[np.ndarray, "f 3 3"],
) -> Bool[np.ndarray, "r c"]:
    """Points of the surface that face the camera and are not hidden by the head."""
    places = chart.place(radii)
    return (_measure_facing(chart, radii, view) > 0) & ~_find_hidden(places, view, corners)


def _find_hidden(
    places: Float[np.ndarray, "r c 3"], view: Float[np.ndarray, "3"], corners: Float[np.ndarray, "f 3 3"]
) -> Bool[np.ndarray, "r c"]:
    """Points that the head hides from the camera."""
    starts = places.reshape(-1, 3) + STEP * view
    return is_occluded(corners, starts, np.broadcast_to(view, starts.shape)).reshape(places.shape[:2])


def _find_depths(
    chart: HairChart,
    places: Float[np.ndarray, "r c 3"],
    share: Float[np.ndarray, "r c"],
    facing: Float[np.ndarray, "r c"],
    view: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "c"]:
    """Height down to which a layer reaches around the back: that of its lowest row on the side where it is longer, and
    beside the face that of each side. Infinite where neither side shows any."""
    turned = np.angle(np.exp(1j * (chart.azimuths - np.arctan2(view[0], view[2]))))
    ends = []
    for sign in (-1, 1):
        beside = (sign * turned > SIDES[0]) & (sign * turned < SIDES[1])
        weights = facing[:, beside]
        heights = (weights * places[:, beside, 1]).sum(1) / weights.sum(1).clip(1e-6)
        covered = (weights * share[:, beside]).sum(1) > weights.sum(1) / 2
        ends.append(heights[covered].min() if covered.any() else np.inf)
    if np.isinf(ends).any():
        ends = [min(ends)] * 2
    if np.isinf(ends[0]):
        return np.full(len(turned), np.inf)
    return mix(np.where(turned < 0, *ends), min(ends), smoothstep(np.abs(turned), *BEHIND))


def _vary_ends(columns: int) -> Float[np.ndarray, "c"]:
    """By how much shorter than the longest the hair of each column is, meters."""
    locks = (np.arange(columns // LOCK_COLUMNS) * GOLDEN_RATIO) % 1
    return LOCK_LENGTHS * np.interp(np.arange(columns) / LOCK_COLUMNS, np.arange(len(locks)), locks, period=len(locks))


def _hang(chart: HairChart, depths: Float[np.ndarray, "c"]) -> Float[np.ndarray, "r c"]:
    """The skull, and where hair reaches below the scalp a curtain that falls from its widest place."""
    heights = chart.origins[..., 1] + chart.skull * chart.directions[..., 1]
    nape = heights[chart.scalp].min()
    curtain = np.maximum.accumulate(chart.clear, axis=0)
    long = smoothstep(nape - depths, 0.0, HANGING)
    return mix(chart.skull, curtain, long[None])


def _continue(
    chart: HairChart,
    radii: Float[np.ndarray, "r c"],
    shown: Float[np.ndarray, "r c"],
    expected: Float[np.ndarray, "r c"],
    facing: Float[np.ndarray, "r c"],
) -> Float[np.ndarray, "r c"]:
    """Shares on the whole surface: the photo's where it shows it, elsewhere continued from there, and drawn to what is
    expected. ``facing``: how well each point is seen, 0..1."""
    laplacian, areas = chart.differentiate(radii)
    # As sharp as the photo's borders; but what is seen at a slant is seen badly.
    own, prior = (facing**2 * DECIMETER / EDGE) ** 2, CONTINUED**-2
    screen = areas * (own + prior).ravel()
    data = areas * (own * shown + prior * expected).ravel()
    return factor_symmetric(laplacian + sp.diags(screen)).solve(data).reshape(radii.shape)


def _keep_one_piece(
    shares: dict[str, Float[np.ndarray, "r c"]], seen: dict[str, Bool[np.ndarray, "r c"]]
) -> dict[str, Float[np.ndarray, "r c"]]:
    """Shares in which each layer is its largest piece, and is left out where the photo shows nothing of that: what is
    only expected has no color. A piece apart hangs on nothing; one that the photo shows is of the other layer, if that
    is there."""
    kept = {name: share.copy() for name, share in shares.items()}
    for name, share in shares.items():
        (other,) = (each for each in shares if each != name)
        labels = _label_around(find_level(share, shares[other]) > 0)
        largest = labels == np.bincount(labels[labels > 0], minlength=1).argmax()
        known = np.isin(labels, labels[seen[name]]) & (labels > 0)
        if (find_level(shares[other], share) > 0).any():
            # Only both together are surely one half.
            kept[other] = np.where(known & ~largest, share + shares[other], kept[other])
        kept[name][(labels > 0) & ~(known & largest)] = 0
    return kept


def _label_around(mask: Bool[np.ndarray, "r c"]) -> Int[np.ndarray, "r c"]:
    """Numbers from 1 on of the connected pieces of a chart, which closes around; 0 elsewhere."""
    count, labels = cv2.connectedComponents(np.concatenate([mask, mask[:, :1]], 1).astype(np.uint8), connectivity=4)
    first, last = labels[mask[:, 0]][:, [0, -1]].T
    links = coo_matrix((np.ones(len(first)), (first, last)), (count, count))
    return connected_components(links, directed=False)[1][labels[:, :-1]]


def _is_in_picture(pixels: Float[np.ndarray, "*k 2"], camera: Camera) -> Bool[np.ndarray, "*k"]:
    return np.all((pixels > 0) & (pixels < np.array(camera.size[::-1])), axis=-1)
