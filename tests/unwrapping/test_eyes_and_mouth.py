"""Eyes and mouth painted from a photo of the mean head whose eyes, lashes, lips and teeth are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors, locate_head_texels
from portraitist.rendering.cameras import rotation_from_yaw_pitch, view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import shade
from portraitist.rendering.shader_math import luminance
from portraitist.types import EXPRESSION_NAMES, Camera, HeadFit, Landmarks, Mesh
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.authored import draw_mouth
from portraitist.unwrapping.eyes import observe_eyeball
from portraitist.unwrapping.eyes_and_mouth import paint_eyes_and_mouth
from portraitist.unwrapping.gaze import SIDES, locate_eyeballs, pick_irises, search_gazes, unit, unproject_irises
from portraitist.unwrapping.openings import EYE_CONTOURS, INNER_LIP, clear_lips, locate_margin
from portraitist.unwrapping.projection import UnwrapConfig, project_photo

SIZE = 1024
SKIN, LIPS, WHITE, IRIS, LASH, TOOTH = (
    np.array(color, np.float32)
    for color in (
        (0.80, 0.60, 0.50),
        (0.70, 0.40, 0.38),
        (0.85, 0.83, 0.80),
        (0.30, 0.20, 0.12),
        (0.06, 0.05, 0.05),
        (0.9, 0.88, 0.8),
    )
)


@pytest.fixture(scope="module")
def texels(model: HeadModel) -> HeadTexels:
    return locate_head_texels(model, SIZE)


@pytest.fixture(scope="module")
def truth(model: HeadModel, texels: HeadTexels) -> np.ndarray:
    """Colors [k, 3]: plain skin and lips, lashes on the lids' rims, teeth on the lips' rim, a sharp iris."""
    colors = np.broadcast_to(SKIN, (len(texels.texel_ids), 3)).copy()
    colors[texels.in_regions("lips")] = LIPS
    colors[texels.in_components("mouth_cavity", "tongue")] = LIPS / 2
    colors[texels.in_components("upper_teeth", "lower_teeth")] = TOOTH
    for contours, inner, color in ((EYE_CONTOURS, ("eye_socket_left", "eye_socket_right"), LASH),
                                    ((INNER_LIP,), ("mouth_cavity",), TOOTH)):  # fmt: skip
        margin = locate_margin(model, texels, contours, *inner)
        colors[margin.crop.ids[margin.distance_mm < 1.0]] = color
    for eyeball in locate_eyeballs(model, texels):
        colors[eyeball.crop.ids] = np.where(eyeball.angles_to(eyeball.axis)[:, None] < 1, IRIS, WHITE)
    return colors


def pose(model: HeadModel, **weights: float) -> Mesh:
    expression = torch.tensor([weights.get(name, 0.0) for name in EXPRESSION_NAMES])
    return model.template.with_vertices(model.mean + torch.einsum("e,env->nv", expression, model.expression_deltas))


def fit_mean(model: HeadModel, camera: Camera) -> HeadFit:
    """The mean head without expression, seen by ``camera``."""
    return HeadFit(
        identity=torch.zeros(len(model.identity_basis)),
        expression=torch.zeros(52),
        mesh=model.template,
        neutral=model.mean,
        expression_deltas=model.expression_deltas,
        camera=camera,
        residual_px=0.0,
        residual_relative=0.0,
    )


@dataclass(frozen=True)
class Painted:
    """``seen``: as observed. ``colors`` and ``weights``: of all texels afterwards."""

    seen: TexelColors
    skin: SkinColors
    colors: np.ndarray
    weights: np.ndarray


def paint(model: HeadModel, texels: HeadTexels, truth: np.ndarray, **weights: float) -> Painted:
    """A photo of the head with an expression, unwrapped with a fit that has none."""
    shown = pose(model, **weights)
    camera = view_camera(model.mean, 0.0, 0.0, 1024)
    texture = torch.from_numpy(truth[texels.nearest_ids]).permute(2, 0, 1)
    photo = shade(rasterize(shown, camera), texture, torch.zeros(3))
    fit = fit_mean(model, camera)
    seen = project_photo(photo, fit, torch.ones(camera.size), texels, UnwrapConfig(texture_size=SIZE))
    skin = SkinColors.learn(seen.colors, seen.weights * texels.in_regions("skin", "nose"))
    surface = np.where(seen.weights[:, None] > 0, seen.colors, skin.median).astype(np.float32)
    colors, own_weights = paint_eyes_and_mouth(surface, seen, skin, texels, model)
    return Painted(seen, skin, colors, own_weights)


@pytest.fixture(scope="module")
def plain(model: HeadModel, texels: HeadTexels, truth: np.ndarray) -> Painted:
    return paint(model, texels, truth)


def measure_steps(texels: HeadTexels, chosen: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Differences of brightness between neighboring texels that are both chosen."""
    gray = texels.to_texture(np.where(chosen, luminance(colors), np.nan).astype(np.float32))
    gray[texels.to_texture(chosen.astype(np.float32)) == 0] = np.nan
    steps = np.concatenate([np.abs(np.diff(gray, axis=axis)).ravel() for axis in (0, 1)])
    return steps[np.isfinite(steps)]


@pytest.mark.parametrize(("blink", "limit"), [(0.0, 0.12), (0.15, 0.3)])  # the photo's own steps: 0.50 and 0.77
def test_white_goes_on_under_the_lids_without_an_edge(
    blink: float, limit: float, model: HeadModel, texels: HeadTexels, truth: np.ndarray
) -> None:
    """Also when the photo's lids, with their lashes, lie over a part of the fitted eye."""
    painted = paint(model, texels, truth, eyeBlinkLeft=blink, eyeBlinkRight=blink)
    for eyeball in locate_eyeballs(model, texels):
        beside = np.zeros(len(truth), bool)
        lift = eyeball.directions[:, 1] - eyeball.axis[1]
        angle = eyeball.angles_to(eyeball.axis)
        beside[eyeball.crop.ids] = (angle > 1.35) & (angle < 3) & (np.abs(lift) < 0.5)
        assert measure_steps(texels, beside, painted.colors).max() < limit
        darkness = luminance(painted.colors[beside]) / luminance(WHITE)
        assert darkness.min() > 0.4
        assert np.median(darkness) > 0.75


@pytest.mark.parametrize("turn", [-0.7, -0.3, 0.4, 0.8])
def test_gaze_is_recovered(turn: float, model: HeadModel, texels: HeadTexels, truth: np.ndarray) -> None:
    inner, outer = ("Left", "Right") if turn < 0 else ("Right", "Left")
    actions = {f"eyeLookIn{inner}": abs(turn), f"eyeLookOut{outer}": abs(turn)}
    painted = paint(model, texels, truth, **actions)
    eyeballs = locate_eyeballs(model, texels)
    gazes = search_gazes(eyeballs, [observe_eyeball(eyeball, painted.seen) for eyeball in eyeballs])
    for side, eyeball, gaze in zip(("right", "left"), eyeballs, gazes, strict=True):
        ids = model.vertex_ids(f"eyeball_{side}")
        before, after = model.mean[ids].numpy(), pose(model, **actions).vertices[ids].numpy()
        left, _, right = np.linalg.svd((before - before.mean(0)).T @ (after - after.mean(0)))
        expected = unit((left @ right).T @ eyeball.axis)
        assert np.degrees(np.arccos(np.clip(expected @ gaze, -1, 1))) < 3
        assert expected[0] * turn > 0


@pytest.mark.parametrize(("yaw", "turn"), [(0.0, 0.0), (0.0, 14.0), (25.0, -14.0), (-25.0, 9.0)])
def test_iris_points_give_the_gaze_in_any_view(yaw: float, turn: float, model: HeadModel, texels: HeadTexels) -> None:
    camera = Camera(rotation_from_yaw_pitch(yaw, 10.0), 4000.0, (500.0, 500.0), (1000, 1000))
    points = model.landmarks478.positions(model.mean, model.faces).clone()
    turning = rotation_from_yaw_pitch(turn, 5.0)
    for side, rows in SIDES.items():
        ball = model.mean[model.vertex_ids(f"eyeball_{side}")]
        center = (ball.amin(0) + ball.amax(0)) / 2
        points[rows] = (points[rows] - center) @ turning.T + center
    irises = pick_irises(Landmarks(torch.zeros(68, 2), camera.size, camera.project(points)))
    assert irises is not None
    eyeballs = locate_eyeballs(model, texels)
    for iris, eyeball in zip(
        unproject_irises(irises.numpy(), fit_mean(model, camera), texels, model), eyeballs, strict=True
    ):
        assert iris.direction @ (turning.numpy() @ eyeball.axis) > np.cos(np.radians(0.5))
        assert abs(iris.radius / eyeball.iris_radius - 1) < 0.05


def test_only_68_points_have_no_irises() -> None:
    assert pick_irises(Landmarks(torch.zeros(68, 2), (10, 10))) is None


def redness(colors: np.ndarray) -> np.ndarray:
    """How much red exceeds blue, relative to both; 0 for gray."""
    red, blue = colors[..., 0], colors[..., 2]
    return (red - blue) / (red + blue + 0.1)


def test_teeth_are_bright_parted_and_darker_behind(plain: Painted, model: HeadModel, texels: HeadTexels) -> None:
    enamel = draw_mouth(model, texels, 1.0).enamel
    inside = texels.in_components("mouth_cavity", "upper_teeth", "lower_teeth", "tongue")
    side = np.abs(texels.interpolation[inside] @ model.mean.numpy()[:, 0]) * 1000
    for row in ("upper_teeth", "lower_teeth"):
        own = texels.in_components(row)[inside]
        gray = luminance(plain.colors[inside]) / luminance(WHITE)
        crown = own & (enamel > 0.9)
        assert 0.55 < np.median(gray[crown & (side < 8)]) < 1.05
        between = own & (enamel < 0.5) & (side < 8)
        assert gray[between].mean() < 0.92 * gray[crown & (side < 8)].mean()
        assert gray[crown & (side > 30)].mean() < 0.6 * gray[crown & (side < 8)].mean()


def test_tongue_darkens_to_the_back(plain: Painted, model: HeadModel, texels: HeadTexels) -> None:
    tongue = texels.in_components("tongue")
    depth = (texels.interpolation @ model.mean.numpy()[:, 2])[tongue]
    gray = luminance(plain.colors[tongue])
    tip, back = gray[depth > np.quantile(depth, 0.85)], gray[depth < np.quantile(depth, 0.4)]
    assert np.median(back) < 0.6 * np.median(tip)


def test_lips_carry_no_teeth(plain: Painted, model: HeadModel, texels: HeadTexels) -> None:
    margin = locate_margin(model, texels, (INNER_LIP,), "mouth_cavity")
    near = margin.crop.ids[np.abs(margin.distance_mm) < 1]
    near = near[texels.in_regions("lips")[near]]
    assert redness(plain.seen.colors[near][plain.seen.weights[near] > 0.5]).min() < 0.1  # there were some
    assert redness(plain.colors[near]).min() > 0.6 * redness(LIPS)
    assert luminance(plain.colors[near]).max() < luminance(SKIN)


def test_shade_beside_an_open_mouth_is_no_inside(model: HeadModel, texels: HeadTexels) -> None:
    """Painted lips with the lower half of the face in deep shade: neither stains the other."""
    skin = SkinColors.learn(np.tile(SKIN, (64, 1)), np.ones(64, np.float32))
    colors, purple = np.tile(SKIN / 8, (len(texels.texel_ids), 1)), np.array([0.45, 0.05, 0.4], np.float32)
    on_lips = texels.in_regions("lips")
    colors[on_lips] = purple / 4
    before = colors.copy()
    clear_lips(colors, np.ones(len(colors), np.float32), purple, TOOTH, 1.0, skin, texels, model)
    margin = locate_margin(model, texels, (INNER_LIP,), "mouth_cavity")
    ids, change = margin.crop.ids, np.abs(colors - before).max(axis=1)[margin.crop.ids]
    assert change[(margin.distance_mm > 0) & ~on_lips[ids]].mean() < 0.01
    assert change[(margin.distance_mm > 0) & on_lips[ids]].mean() < 0.03


def test_lid_margins_are_no_black_line(plain: Painted, model: HeadModel, texels: HeadTexels) -> None:
    margin = locate_margin(model, texels, EYE_CONTOURS, "eye_socket_left", "eye_socket_right")
    edge = np.abs(margin.distance_mm) < 0.6
    gray = luminance(plain.colors[margin.crop.ids]) / luminance(SKIN)
    assert gray[edge].min() > 1.8 * luminance(LASH) / luminance(SKIN)
    steps = measure_steps(texels, np.isin(np.arange(len(texels.texel_ids)), margin.crop.ids[edge]), plain.colors)
    assert steps.max() < 0.3  # the photo's is 0.57


def test_black_and_white_photo_stays_gray(model: HeadModel, texels: HeadTexels, truth: np.ndarray) -> None:
    gray = np.repeat(luminance(truth)[:, None], 3, axis=1).astype(np.float32)
    painted = paint(model, texels, gray)
    assert np.ptp(painted.colors, axis=1).max() < 0.01


def test_same_photo_same_bytes(plain: Painted, model: HeadModel, texels: HeadTexels) -> None:
    surface = np.where(plain.seen.weights[:, None] > 0, plain.seen.colors, plain.skin.median).astype(np.float32)
    colors, weights = paint_eyes_and_mouth(surface, plain.seen, plain.skin, texels, model)
    assert np.array_equal(colors, plain.colors)
    assert np.array_equal(weights, plain.weights)
    assert colors.min() >= 0
    assert colors.max() <= 1
