"""Unwrapping: seen texels are the photo's, hidden ones plausible, nothing shows the seam."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import torch

from portraitist.errors import InputError
from portraitist.io.images import load_image
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, locate_head_texels
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import render_view, shade
from portraitist.segmentation.person import PersonSegmenter, segment_person
from portraitist.types import REGIONS, Camera, HeadFit, Landmarks, Mesh
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.projection import UnwrapConfig, find_visible
from portraitist.unwrapping.unwrap import Unwrapped, unwrap_photo

SIZE = 512
SKIN, HAIR, BACKGROUND = (0.80, 0.60, 0.50), (0.25, 0.16, 0.10), (0.1, 0.8, 0.2)


@pytest.fixture(scope="module")
def texels(model: HeadModel) -> HeadTexels:
    return locate_head_texels(model, SIZE)


@pytest.fixture(scope="module")
def true_texture(model: HeadModel, texels: HeadTexels) -> torch.Tensor:
    """Skin with a slow pattern, mirror-symmetric; brown hair; white eyeballs with dark irises."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    pattern = 0.06 * np.sin(14 * rows) * np.cos(14 * (columns - 0.5))
    texture = np.array(SKIN)[:, None, None] + pattern
    texture[:, texels.to_texture(texels.in_regions("scalp").astype(np.float32)) > 0] = np.array(HAIR)[:, None]
    eyes = texels.in_components("eyeball_left", "eyeball_right")
    depth = texels.interpolation @ model.mean.numpy()[:, 2]
    texture[:, texels.to_texture(eyes.astype(np.float32)) > 0] = 0.9
    texture[:, texels.to_texture((eyes & (depth > 0.0145)).astype(np.float32)) > 0] = 0.2
    return torch.from_numpy(texture).float()


def render(
    mesh: Mesh, texture: torch.Tensor, camera: Camera, background: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> torch.Tensor:
    """One ray per pixel."""
    return shade(rasterize(mesh, camera), texture, torch.tensor(background))


def photograph(
    model: HeadModel, texture: torch.Tensor, yaw_deg: float, covered: np.ndarray | None = None
) -> tuple[torch.Tensor, HeadFit, torch.Tensor]:
    """Picture, perfect fit and perfect mask of the mean head with a given texture. ``covered``: which texels of it show
    what lies over the head [t, t]; without it the head is bare."""
    mesh = model.template
    camera = view_camera(mesh.vertices, yaw_deg, 0.0, 640)
    fit = HeadFit(
        identity=torch.zeros(len(model.identity_basis)),
        expression=torch.zeros(52),
        mesh=mesh,
        neutral=mesh.vertices,
        expression_deltas=model.expression_deltas,
        camera=camera,
        residual_px=0.0,
        residual_relative=0.0,
    )
    photo = render(mesh, texture, camera, BACKGROUND)
    bare = torch.ones(1, SIZE, SIZE) if covered is None else torch.from_numpy(~covered)[None].float()
    mask = render(mesh, bare.expand(3, -1, -1), camera)[0]
    return photo, fit, mask


def mark(texels: HeadTexels, chosen: np.ndarray) -> np.ndarray:
    """Texels of the texture [t, t] that are among the ``chosen`` [k] of the head's."""
    return texels.to_texture(chosen.astype(np.float32)) > 0


def unwrap(model: HeadModel, texture: torch.Tensor, yaw_deg: float, covered: np.ndarray | None = None) -> Unwrapped:
    """With the photo's own light."""
    photo, fit, mask = photograph(model, texture, yaw_deg, covered)
    return unwrap_photo(photo, fit, mask, model, UnwrapConfig(texture_size=SIZE, delighting=0.0))


@pytest.fixture(scope="module")
def hair(texels: HeadTexels) -> np.ndarray:
    return mark(texels, texels.in_regions("scalp"))


@pytest.fixture(scope="module")
def frontal(model: HeadModel, true_texture: torch.Tensor, hair: np.ndarray) -> Unwrapped:
    return unwrap(model, true_texture, 0.0, hair)


@pytest.fixture(scope="module")
def turned(model: HeadModel, true_texture: torch.Tensor, hair: np.ndarray) -> Unwrapped:
    return unwrap(model, true_texture, 35.0, hair)


def island_colors(texture: torch.Tensor, texels: HeadTexels) -> np.ndarray:
    """Colors [k, 3] of the texels inside the islands."""
    return texture.flatten(1).T.numpy()[texels.texel_ids]


def test_what_lies_behind_is_not_visible() -> None:
    near, far = (np.array([[0, 0, z], [4, 0, z], [0, 4, z]], np.float32) for z in (5.0, 1.0))
    points = np.array([[1, 1, 5], [1, 1, 1], [3.9, 3.9, 1]], np.float32)
    assert find_visible(points, np.stack([near, far]), offset=0.01).tolist() == [1, 0, 1]


def test_every_texel_has_a_valid_color(frontal: Unwrapped, turned: Unwrapped) -> None:
    for result in (frontal, turned):
        assert result.texture.shape == (3, SIZE, SIZE)
        assert result.texture.dtype == torch.float32
        assert torch.isfinite(result.texture).all()
        assert result.texture.min() >= 0
        assert result.texture.max() <= 1
        assert 0.15 < (result.seen > 0.5).float().mean() < 0.6


def test_seen_texels_are_the_photos(frontal: Unwrapped, true_texture: torch.Tensor, texels: HeadTexels) -> None:
    error = np.abs(island_colors(frontal.texture, texels) - island_colors(true_texture, texels)).max(1)
    surely_seen = (island_colors(frontal.seen[None].expand(3, -1, -1), texels)[:, 0] > 0.95) & texels.in_regions(
        "skin", "nose"
    )
    assert surely_seen.sum() > 20_000
    assert np.median(error[surely_seen]) < 0.01
    assert np.quantile(error[surely_seen], 0.99) < 0.08


def test_rendering_the_texture_returns_the_photo(
    model: HeadModel, true_texture: torch.Tensor, turned: Unwrapped
) -> None:
    photo, fit, _ = photograph(model, true_texture, 35.0)
    again = render(model.template, turned.texture, fit.camera)
    seen = render(model.template, turned.seen.expand(3, -1, -1), fit.camera)[0] > 0.5
    assert psnr(again[:, seen], photo[:, seen]) > 30


def test_hidden_cheek_comes_from_the_other_side(
    turned: Unwrapped, true_texture: torch.Tensor, texels: HeadTexels
) -> None:
    seen = turned.seen.flatten().numpy()[texels.texel_ids]
    hidden = (seen < 0.05) & (seen[texels.mirror_ids] > 0.9) & texels.in_regions("skin")
    assert hidden.sum() > 3_000
    error = np.abs(island_colors(turned.texture, texels) - island_colors(true_texture, texels))[hidden]
    assert error.mean() < 0.03


def test_background_never_gets_in(frontal: Unwrapped, turned: Unwrapped) -> None:
    for result in (frontal, turned):
        red, green, _ = result.texture
        assert (green - red).max() < 0.1


def test_skin_goes_on_under_the_hair_and_down_the_neck(
    frontal: Unwrapped, turned: Unwrapped, model: HeadModel, texels: HeadTexels
) -> None:
    z = texels.interpolation @ model.mean.numpy()[:, 2]
    for result in (frontal, turned):
        colors = island_colors(result.texture, texels)
        scalp = colors[texels.in_regions("scalp")]
        back = colors[texels.in_regions("scalp") & (z < -0.12)]
        neck = colors[texels.in_regions("neck") & (z < -0.05)]
        assert np.abs(np.median(back, axis=0) - SKIN).max() < 0.08
        assert np.abs(np.median(neck, axis=0) - SKIN).max() < 0.12
        assert np.quantile(scalp[:, 0], 0.001) > (SKIN[0] + HAIR[0]) / 2
        seen = result.seen.flatten().numpy()[texels.texel_ids][texels.in_regions("scalp")]
        assert (seen > 0).mean() < 0.01  # along the hairline
        assert seen.max() < 0.2


def test_bald_head_stays_bald(model: HeadModel, texels: HeadTexels) -> None:
    skin = torch.tensor(SKIN)[:, None, None].expand(3, SIZE, SIZE).contiguous()
    result = unwrap(model, skin, 0.0)
    scalp = island_colors(result.texture, texels)[texels.in_regions("scalp")]
    assert np.abs(np.median(scalp, axis=0) - SKIN).max() < 0.05


def test_beard_is_not_continued_over_hidden_skin(
    model: HeadModel, true_texture: torch.Tensor, texels: HeadTexels
) -> None:
    height = texels.interpolation @ model.mean.numpy()[:, 1]
    bearded = true_texture.clone()
    beard = texels.to_texture((texels.in_regions("skin") & (height < -0.06)).astype(np.float32)) > 0
    bearded[:, torch.from_numpy(beard)] = torch.tensor(HAIR)[:, None]
    result = unwrap(model, bearded, 0.0)
    hidden = result.seen.flatten().numpy()[texels.texel_ids] < 0.05
    below = island_colors(result.texture, texels)[hidden & texels.in_regions("skin") & (height < -0.04)]
    assert np.quantile(below[:, 0], 0.05) > 0.5


def test_cable_on_the_neck_is_left_out(
    model: HeadModel, true_texture: torch.Tensor, hair: np.ndarray, texels: HeadTexels
) -> None:
    place = texels.interpolation @ model.mean.numpy()
    wired = true_texture.clone()
    cable = texels.in_regions("neck") & (np.abs(place[:, 0] - 0.03) < 0.0015) & (place[:, 2] > -0.06)
    wired[:, torch.from_numpy(mark(texels, cable))] = 0.97
    painted = island_colors(unwrap(model, wired, 0.0, hair | mark(texels, cable)).texture, texels)[cable]
    assert len(painted) > 50
    assert np.quantile(painted.min(1), 0.95) < 0.7


def test_shirt_does_not_climb_onto_the_neck(
    model: HeadModel, true_texture: torch.Tensor, hair: np.ndarray, texels: HeadTexels
) -> None:
    y = texels.interpolation @ model.mean.numpy()[:, 1]
    dressed = true_texture.clone()
    shirt = mark(texels, texels.in_regions("neck") & (y < -0.14))
    dressed[:, torch.from_numpy(shirt)] = torch.tensor([0.2, 0.3, 0.9])[:, None]
    result = unwrap(model, dressed, 0.0, hair | shirt)
    red, _, blue = island_colors(result.texture, texels)[texels.in_regions("neck")].T
    assert np.quantile(blue - red, 0.99) < 0


def test_what_lies_on_a_neck_unnoticed_is_no_skin(
    model: HeadModel, true_texture: torch.Tensor, hair: np.ndarray, texels: HeadTexels
) -> None:
    """A collar that the segmentation took for skin, and a shadow too deep to tell."""
    y = texels.interpolation @ model.mean.numpy()[:, 1]
    for unlike in ((0.2, 0.3, 0.9), (0.05, 0.03, 0.02)):
        dressed = true_texture.clone()
        collar = texels.in_regions("neck") & (y < -0.13)
        dressed[:, torch.from_numpy(mark(texels, collar))] = torch.tensor(unlike)[:, None]
        colors = island_colors(unwrap(model, dressed, 0.0, hair).texture, texels)[texels.in_regions("neck")]
        assert np.abs(np.quantile(colors, 0.02, axis=0) - SKIN).max() < 0.35
        assert (colors[:, 0] > colors[:, 2]).mean() > 0.98


def test_both_sides_of_the_cut_agree(model: HeadModel, frontal: Unwrapped, turned: Unwrapped) -> None:
    first, second = seam_points(model)
    assert len(first) > 10
    for result in (frontal, turned):
        colors = [sample(result.texture, points) for points in (first, second)]
        assert np.abs(colors[0] - colors[1]).max() < 0.06


def test_both_sides_of_the_cut_agree_on_a_real_head(model: HeadModel, hopper: Unwrapped) -> None:
    colors = [sample(hopper.texture, points) for points in seam_points(model)]
    difference = np.abs(colors[0] - colors[1])
    assert difference.max() < 0.03
    assert difference.mean() < 0.01


def test_magenta_ground_and_shirt_stay_off_the_skin(model: HeadModel, hair: np.ndarray, texels: HeadTexels) -> None:
    """The mask is a few pixels too wide, as a network's is."""
    magenta = torch.tensor([0.9, 0.1, 0.9])[:, None]
    height = texels.interpolation @ model.mean.numpy()[:, 1]
    dressed = torch.tensor(SKIN)[:, None, None].repeat(1, SIZE, SIZE)
    shirt = mark(texels, texels.in_regions("neck") & (height < -0.13))
    dressed[:, torch.from_numpy(hair)] = torch.tensor(HAIR)[:, None]
    dressed[:, torch.from_numpy(shirt)] = magenta
    photo, fit, mask = photograph(model, dressed, 10.0, hair | shirt)
    photo[:, ~rasterize(fit.mesh, fit.camera).mask] = magenta
    wide = torch.from_numpy(cv2.dilate(mask.numpy(), np.ones((5, 5), np.uint8)))
    result = unwrap_photo(photo, fit, wide, model, UnwrapConfig(texture_size=SIZE))
    red, green, blue = island_colors(result.texture, texels)[texels.in_regions("skin", "nose", "ears", "neck")].T
    magenta_share = ((red + blue) / 2 - green).clip(0.0) / 0.8
    assert magenta_share.max() < 0.2  # this skin's own: 0.06
    assert np.quantile(magenta_share, 0.999) < 0.12


def test_black_and_white_stays_gray(model: HeadModel, true_texture: torch.Tensor, texels: HeadTexels) -> None:
    photo, fit, mask = photograph(model, true_texture, 20.0)
    gray = photo.mean(0, keepdim=True).expand(3, -1, -1).contiguous()
    texture = unwrap_photo(gray, fit, mask, model, UnwrapConfig(texture_size=SIZE)).texture
    surface = island_colors(texture, texels)[texels.in_components("outer_skin")]
    assert np.ptp(surface, axis=1).max() < 1e-4


def test_hair_over_an_ear_does_not_become_the_ear(
    model: HeadModel, true_texture: torch.Tensor, hair: np.ndarray, texels: HeadTexels
) -> None:
    """Both ears hidden by hair, then one of them; each time they come out as skin."""
    columns = texels.texel_ids % SIZE
    for hidden in (columns >= 0, columns < SIZE / 2):
        covered = true_texture.clone()
        ears = mark(texels, texels.in_regions("ears") & hidden)
        covered[:, torch.from_numpy(ears)] = torch.tensor(HAIR)[:, None]
        painted = island_colors(unwrap(model, covered, 0.0, hair | ears).texture, texels)[texels.in_regions("ears")]
        assert np.quantile(painted[:, 0], 0.1) > 0.4
        assert (
            np.abs(np.median(painted, axis=0) / np.median(painted, axis=0)[0] - np.array(SKIN) / SKIN[0]).max() < 0.05
        )


def test_tinted_rim_light_stays(
    model: HeadModel, true_texture: torch.Tensor, hair: np.ndarray, texels: HeadTexels
) -> None:
    """Blue light on one cheek's edge is neither hair nor ground."""
    place = texels.interpolation @ model.mean.numpy()
    rim = texels.in_regions("skin") & (place[:, 0] > 0.045) & (place[:, 1] < 0.0) & (place[:, 2] > -0.02)
    lit = true_texture.clone()
    blue = torch.tensor([0.70, 0.75, 1.0])[:, None]
    lit[:, torch.from_numpy(texels.to_texture(rim.astype(np.float32)) > 0)] = blue
    shares = [
        unwrap(model, texture, 10.0, hair).seen.flatten().numpy()[texels.texel_ids][rim]
        for texture in (true_texture, lit)
    ]
    assert (shares[0] > 0.5).sum() > 500
    assert (shares[1] > 0.5).sum() > 0.9 * (shares[0] > 0.5).sum()


def seam_points(model: HeadModel) -> tuple[np.ndarray, np.ndarray]:
    """UVs of both copies of the vertices along the cut down the back."""
    skin = model.face_mask("scalp", "neck")
    pairs = torch.stack([model.faces[skin].flatten(), model.template.uv_faces[skin].flatten()], dim=1).unique(dim=0)
    vertex_ids, counts = pairs[:, 0].unique(return_counts=True)
    twice = vertex_ids[counts == 2]
    uvs = [model.template.uvs[pairs[pairs[:, 0] == vertex, 1]] for vertex in twice]
    return torch.stack([uv[0] for uv in uvs]).numpy(), torch.stack([uv[1] for uv in uvs]).numpy()


def sample(texture: torch.Tensor, uvs: np.ndarray) -> np.ndarray:
    grid = torch.from_numpy(uvs)[None, None] * 2 - 1
    return torch.nn.functional.grid_sample(texture[None], grid, align_corners=False)[0, :, 0].T.numpy()


def test_eyeball_is_completed_around_its_iris(frontal: Unwrapped, model: HeadModel, texels: HeadTexels) -> None:
    eye = texels.in_components("eyeball_left")
    depth = (texels.interpolation @ model.mean.numpy()[:, 2])[eye]
    gray = island_colors(frontal.texture, texels)[eye].mean(1)
    assert np.median(gray[depth > 0.0155]) < 0.35
    assert np.quantile(gray[(depth < 0.012) & (depth > 0.0)], 0.1) > 0.5


def test_islands_are_dilated(frontal: Unwrapped, texels: HeadTexels) -> None:
    inside = texels.to_texture(np.ones(len(texels.texel_ids), np.float32)) > 0
    ring = cv2.dilate(inside.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool) & ~inside
    nearest = island_colors(frontal.texture, texels)[texels.nearest_ids[ring]]
    assert np.array_equal(frontal.texture.permute(1, 2, 0).numpy()[ring], nearest)


def test_texel_interpolates_positions_exactly(model: HeadModel, texels: HeadTexels) -> None:
    rows, columns = np.divmod(texels.texel_ids, SIZE)
    corners = model.template.uvs[model.template.uv_faces].numpy()[texels.face_ids]
    weights = texels.interpolation.data.reshape(-1, 3)
    uv = (corners * weights[..., None]).sum(1) * SIZE
    assert np.abs(uv - np.stack([columns + 0.5, rows + 0.5], axis=1)).max() < 0.02
    mirrored = columns[texels.mirror_ids]
    assert np.mean(np.abs(columns + mirrored - (SIZE - 1)) <= 1) > 0.999


def test_skin_is_told_by_its_colors() -> None:
    generator = np.random.default_rng(0)
    skin_samples = (np.array(SKIN) + 0.02 * generator.standard_normal((500, 3))).astype(np.float32)
    ones = np.ones(500, np.float32)
    skin = SkinColors.learn(skin_samples, ones)
    assert skin.likelihood(skin_samples).mean() > 0.95
    assert skin.likelihood(skin_samples * 0.6).mean() > 0.9  # shadow
    assert skin.likelihood(np.full((1, 3), 0.95, np.float32))[0] < 0.1  # white collar


def test_sizes_must_agree(model: HeadModel, true_texture: torch.Tensor) -> None:
    photo, fit, mask = photograph(model, true_texture, 0.0)
    with pytest.raises(InputError, match="different sizes"):
        unwrap_photo(photo, fit, mask[:-1], model)
    smaller = dataclasses.replace(fit, camera=fit.camera.resized(0.5))
    with pytest.raises(InputError, match="different sizes"):
        unwrap_photo(photo, smaller, mask, model)


def test_same_input_same_bytes(
    model: HeadModel, true_texture: torch.Tensor, hair: np.ndarray, frontal: Unwrapped
) -> None:
    assert torch.equal(unwrap(model, true_texture, 0.0, hair).texture, frontal.texture)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


@dataclasses.dataclass(frozen=True)
class RealPhoto:
    photo: torch.Tensor
    landmarks: Landmarks
    fit: HeadFit


@pytest.fixture(scope="module")
def real(model: HeadModel) -> RealPhoto:
    photo = load_image(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    landmarks, _ = detect_landmarks(photo, LandmarkDetector())
    return RealPhoto(photo, landmarks, fit_head(landmarks, model))


@pytest.fixture(scope="module")
def hopper(model: HeadModel, real: RealPhoto) -> Unwrapped:
    """Of his cap nothing is taken for the scalp."""
    person = segment_person(real.photo, real.landmarks, PersonSegmenter())
    seen = rasterize(real.fit.mesh, real.fit.camera)
    scalp = real.fit.mesh.regions[seen.face_ids.clamp(min=0)] == REGIONS.index("scalp")
    return unwrap_photo(real.photo, real.fit, person * (seen.mask & ~scalp), model)


def test_round_trip_on_a_real_photo(model: HeadModel, real: RealPhoto) -> None:
    everything = torch.ones(real.photo.shape[1:])
    result = unwrap_photo(real.photo, real.fit, everything, model, UnwrapConfig(delighting=0.0))
    again = render_view(real.fit.mesh, result.texture, real.fit.camera, torch.zeros(3))
    features = cv2.convexHull(real.landmarks.points[17:].numpy().astype(np.float32)).astype(np.int32)
    inside = torch.from_numpy(cv2.fillConvexPoly(np.zeros(real.photo.shape[1:], np.uint8), features, 1)) > 0
    assert psnr(again[:, inside], real.photo[:, inside]) > 30
