"""The metrics themselves: hand-computed cases, what they must not see, and what they must see."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import write_docs
from metrics.face_crop import FaceCrop, crop_face
from metrics.shape import (
    align_by_similarity,
    frontalize_landmarks,
    measure_flipped_share,
    measure_shape_transfer,
)
from metrics.style import (
    compare_style,
    measure_edges,
    measure_style,
    sliced_wasserstein,
    srgb_to_lab,
)
from metrics.vgg_features import extract_vgg_features
from pairs import prescribed_pairs, spread_pairs
from portraitist.assets import asset_path
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.types import REGIONS, Camera

ROOT = Path(__file__).resolve().parents[2]

DATA = ROOT.parent / "shared" / "data"


def make_face(seed: int = 0) -> torch.Tensor:
    """68 points about the origin."""
    return torch.rand(68, 2, generator=torch.Generator().manual_seed(seed)) - 0.5


def similarity(points: torch.Tensor, degrees: float, size: float, shift: tuple[float, float]) -> torch.Tensor:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return size * points @ torch.tensor([[c, s], [-s, c]]) + torch.tensor(shift)


# --- shape -----


def test_alignment_undoes_a_similarity_and_keeps_a_stretch():
    mean = make_face()
    ids = list(range(60))
    moved = similarity(mean, 25.0, 3.0, (5.0, -2.0))
    torch.testing.assert_close(align_by_similarity(moved, mean, ids), mean[ids], atol=1e-5, rtol=0)
    square = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    tall = square * torch.tensor([1.0, 2.0])
    # Least squares by hand: factor = sum(x² * 1 + y² * 2) / sum(x² + 4 y²) = (4 + 8) / (4 + 16) = 0.6.
    torch.testing.assert_close(align_by_similarity(tall, square, [0, 1, 2, 3]), tall * 0.6)


def test_full_half_opposite_and_no_transfer():
    mean = make_face()
    deviation = torch.zeros(68, 2)
    deviation[[0, 4, 8, 12, 16, 30, 33]] = 0.02 * torch.randn(7, 2, generator=torch.Generator().manual_seed(1))
    art = mean + deviation
    for share, cosine in ((1.0, 1.0), (0.5, 1.0), (-1.0, -1.0)):
        transfer = measure_shape_transfer(mean, mean + share * deviation, art, mean)
        assert transfer.cosine == pytest.approx(cosine, abs=0.02)
        assert transfer.gain == pytest.approx(share, abs=0.05)
    unmoved = measure_shape_transfer(mean, mean, art, mean)
    assert (unmoved.cosine, unmoved.gain) == (0.0, 0.0)
    normal_art = measure_shape_transfer(mean, art, mean, mean)
    assert normal_art.gain == 0.0


def test_transfer_of_orthogonal_movement_is_zero():
    mean = torch.zeros(68, 2)
    mean[:4] = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    stretch, skew = torch.zeros(68, 2), torch.zeros(68, 2)
    stretch[:4] = mean[:4] * torch.tensor([0.01, -0.01])
    skew[:4] = mean[:4].flip(1) * 0.01  # neither a turn nor a change of size, and orthogonal to the stretch
    transfer = measure_shape_transfer(mean, mean + skew, mean + stretch, mean)
    assert transfer.cosine == pytest.approx(0.0, abs=2e-3)  # the best size is of second order in the movement
    assert transfer.gain == pytest.approx(0.0, abs=2e-3)


def test_transfer_ignores_place_tilt_size_and_inner_lips():
    mean, content = make_face(), make_face() + 0.02 * make_face(3)
    art, stylized = mean + 0.1 * make_face(4), content + 0.05 * make_face(4)
    expected = measure_shape_transfer(content, stylized, art, mean)
    art_elsewhere, stylized_elsewhere = art.clone(), stylized.clone()
    art_elsewhere[60:], stylized_elsewhere[60:] = 9.0, -9.0
    found = measure_shape_transfer(
        similarity(content, 10.0, 0.5, (1.0, 2.0)),
        similarity(stylized_elsewhere, -40.0, 2.0, (0.0, 7.0)),
        similarity(art_elsewhere, 80.0, 0.1, (-3.0, 0.0)),
        mean,
    )
    assert found.cosine == pytest.approx(expected.cosine, abs=1e-4)
    assert found.gain == pytest.approx(expected.gain, abs=1e-4)


@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (35.0, 0.0), (-20.0, 15.0)])
def test_frontalised_landmarks_are_those_of_the_head(yaw: float, pitch: float):
    head = torch.cat([make_face(), make_face(5)[:, :1]], dim=1)
    camera = Camera(rotation_from_yaw_pitch(yaw, pitch), 700.0, (250.0, 300.0), (512, 512))
    points = frontalize_landmarks(camera.project(head), camera, head, head)
    torch.testing.assert_close(points, head[:, :2], atol=1e-5, rtol=0)
    neutral = head.clone()
    neutral[8] += 0.1
    missed = torch.zeros(68, 2)
    missed[8, 1] = -7.0  # the artwork's chin is 7 px = 1 cm below the fitted one, seen in its own plane
    at_rest = frontalize_landmarks(camera.project(head) - missed, camera, head, neutral)
    lower = rotation_from_yaw_pitch(yaw, pitch)[1, :2] * -0.01
    torch.testing.assert_close(at_rest[8], neutral[8, :2] + lower, atol=1e-5, rtol=0)


# --- flipped triangles -----


def make_grid(side: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    y, x = torch.meshgrid(torch.arange(side + 1.0), torch.arange(side + 1.0), indexing="ij")
    vertices = torch.stack([x, y, torch.zeros_like(x)], dim=-1).reshape(-1, 3)
    corner = (torch.arange(side)[:, None] * (side + 1) + torch.arange(side)).reshape(-1)
    a, b, c, d = corner, corner + 1, corner + side + 1, corner + side + 2
    return vertices, torch.cat([torch.stack([a, b, d], 1), torch.stack([a, d, c], 1)])


def test_flipped_triangles_by_hand():
    vertices, faces = make_grid()
    skin = torch.zeros(len(faces), dtype=torch.int64)
    pulled = vertices.clone()
    pulled[24, :2] += torch.tensor([1.4, 0.0])  # the middle vertex (3, 3) over its right neighbor
    # Of its six triangles, the two that hold the edge (4, 3)-(4, 4) or end at (4, 3) without holding it turn over.
    before = torch.linalg.cross(*(vertices[faces[:, k]] - vertices[faces[:, 0]] for k in (1, 2)))
    after = torch.linalg.cross(*(pulled[faces[:, k]] - pulled[faces[:, 0]] for k in (1, 2)))
    by_hand = ((before * after).sum(1) < 0).double().mean().item()
    assert by_hand == 2 / 72
    assert measure_flipped_share(vertices, pulled, faces, skin) == pytest.approx(by_hand)
    assert measure_flipped_share(vertices, vertices, faces, skin) == 0.0


def test_turning_bending_or_growing_flips_nothing():
    vertices, faces = make_grid()
    skin = torch.zeros(len(faces), dtype=torch.int64)
    turned = vertices @ rotation_from_yaw_pitch(150.0, 30.0).T
    rolled = torch.stack([(vertices[:, 0] / 1.2).sin(), vertices[:, 1], (vertices[:, 0] / 1.2).cos()], dim=1)
    for after in (turned, rolled, 3 * vertices):
        assert measure_flipped_share(vertices, after, faces, skin) == 0.0


def test_flips_outside_the_skin_do_not_count():
    vertices, faces = make_grid()
    pulled = vertices.clone()
    pulled[24, :2] += torch.tensor([1.4, 0.0])
    teeth = torch.full((len(faces),), REGIONS.index("teeth"))
    teeth[0] = REGIONS.index("nose")
    assert measure_flipped_share(vertices, pulled, faces, teeth) == 0.0


# --- style -----


def make_crop(image: torch.Tensor) -> FaceCrop:
    inside = torch.zeros(image.shape[1:], dtype=torch.bool)
    inside[16:-16, 16:-16] = True
    return FaceCrop(image, inside)


def make_stripes(vertical: bool, period: int = 8) -> torch.Tensor:
    wave = 0.5 + 0.3 * torch.sin(torch.arange(128) * 2 * math.pi / period)
    return (wave[None, :] if vertical else wave[:, None]).expand(3, 128, 128).contiguous()


def test_sliced_wasserstein_of_a_shift_and_of_itself():
    points = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    assert sliced_wasserstein(points, points) == 0.0
    assert sliced_wasserstein(points, points[torch.randperm(500)]) == 0.0
    # In 1-D every direction is +-1, so a shift by 2 is a distance of 2.
    assert sliced_wasserstein(points[:, :1], points[:, :1] + 2) == pytest.approx(2.0, abs=1e-5)
    # In 3-D the mean of |cos| over the sphere is 1/2.
    assert sliced_wasserstein(points, points + torch.tensor([2.0, 0.0, 0.0])) == pytest.approx(1.0, rel=0.1)
    assert sliced_wasserstein(points, points[:250]) < 0.15


def test_lab_of_known_colors():
    colors = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    lab = srgb_to_lab(colors.T[:, :, None])[:, :, 0].T
    expected = torch.tensor([[100.0, 0.0, 0.0], [0.0, 0.0, 0.0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]])
    torch.testing.assert_close(lab, expected, atol=0.1, rtol=0)


def test_edges_answer_to_scale_and_orientation_not_to_phase():
    upright, lying = measure_edges(make_stripes(True)), measure_edges(make_stripes(False))
    middle = (slice(None), slice(32, 96), slice(32, 96))
    strongest = upright[middle].mean((1, 2)).argmax().item()
    assert strongest == 8  # wavelength 8 px is the second of the scales; orientation 0 varies along x
    assert lying[middle].mean((1, 2)).argmax().item() == 8 + 4
    response = upright[middle][strongest]
    assert response.std() < 0.1 * response.mean()


def test_first_vgg_layer_by_hand():
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(3))
    weights = load_file(asset_path("vgg16_conv.safetensors"))
    patch = 255 * image[:, 4:7, 7:10].flip(0) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]  # BGR, centered
    by_hand = (weights["conv1_1.weight"].float() * patch).sum((1, 2, 3)) + weights["conv1_1.bias"].float()
    features = extract_vgg_features(image)
    torch.testing.assert_close(features["relu1_1"][:, 5, 8], by_hand.clamp(min=0), atol=1e-3, rtol=1e-4)
    assert [tuple(map_.shape) for map_ in features.values()] == [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)]


def test_style_is_zero_for_itself_symmetric_and_repeatable():
    generator = torch.Generator().manual_seed(2)
    first, second = make_crop(torch.rand(3, 128, 128, generator=generator)), make_crop(make_stripes(True))
    assert measure_style(first, first) == measure_style(second, second)
    assert measure_style(first, first).vgg == 0.0
    there, back = measure_style(first, second), measure_style(second, first)
    assert there == measure_style(first, second)
    assert there.vgg == pytest.approx(back.vgg)
    assert min(there.vgg, there.color, there.edges) > 0


def test_style_ratios_fall_on_the_way_to_the_artwork():
    art, photo = make_stripes(True), make_stripes(False, 20) * torch.tensor([1.0, 0.8, 0.6])[:, None, None]
    ratios = [
        compare_style(make_crop(torch.lerp(photo, art, share)), make_crop(photo), make_crop(art))
        for share in (0.0, 0.5, 1.0)
    ]
    assert (ratios[0].vgg, ratios[0].network_free) == (1.0, 1.0)
    assert (ratios[2].vgg, ratios[2].network_free) == (0.0, 0.0)
    assert 0 < ratios[1].vgg < 1
    assert 0 < ratios[1].network_free < 1


def test_face_crop_sees_the_face_only_and_at_one_size():
    square = torch.tensor([[30.0, 30.0], [90.0, 30.0], [90.0, 110.0], [30.0, 110.0]]).repeat(17, 1)
    picture = torch.zeros(3, 120, 120)
    picture[0] = 1.0  # red ground
    picture[:, 30:110, 30:90] = 0.5
    small, large = (
        crop_face(picture, square),
        crop_face(picture.repeat_interleave(3, 1).repeat_interleave(3, 2), square * 3),
    )
    for crop in (small, large):
        rows = crop.inside.any(1).sum().item()
        assert 0.7 * 256 - 12 <= rows <= 0.7 * 256
        assert (crop.image[:, crop.inside] - 0.5).abs().max() < 0.01
        assert (crop.image - 0.5).abs().max() < 0.01  # what is outside repeats the face


# --- pairs and page -----


def test_prescribed_pairs_and_their_subset():
    pairs = prescribed_pairs()
    assert [pair.number for pair in pairs] == list(range(32))
    assert (pairs[23].photo, pairs[23].art) == ("photos/p25.jpg", "art/a01.jpg")  # 253 mod 38, 161 mod 40
    assert (pairs[31].photo, pairs[31].art) == ("photos/p37.jpg", "caricatures/33.jpg")
    assert len({pair.photo for pair in pairs}) == len({pair.art for pair in pairs}) == 32
    assert spread_pairs(32) == pairs
    daily = spread_pairs(8)
    assert len(set(daily)) == 8
    assert any(pair.annotated for pair in daily)
    with pytest.raises(ValueError, match="not 33"):
        spread_pairs(33)


def test_page_says_what_is_absent_and_tabulates_what_is_there(tmp_path: Path):
    assert "Not measured yet" in write_docs.describe_result("quality", tmp_path)
    (tmp_path / "speed.json").write_text('{"command": "python benchmarks/speed.py -x", "cpu": {"fit": {"s": 0.25}}}')
    page = write_docs.describe_result("speed", tmp_path)
    assert page.startswith("## Speed\n\nMade by `python benchmarks/speed.py -x`.")
    assert "**cpu**\n\n|  | s |\n| --- | --- |\n| fit | 0.25 |" in page


# --- identity -----

needs_dlib = pytest.mark.skipif(
    importlib.util.find_spec("dlib") is None or importlib.util.find_spec("face_recognition_models") is None,
    reason="dlib or face_recognition_models is not installed (pip install -e .[benchmarks])",
)


@needs_dlib
def test_identity_distance_of_same_blank_and_other_person():
    from matplotlib.cbook import get_sample_data
    from PIL import Image

    from metrics.identity import NOT_FOUND_DISTANCE, measure_identity_distance

    with get_sample_data("grace_hopper.jpg") as file:
        hopper = np.array(Image.open(file).convert("RGB"))
    assert measure_identity_distance(hopper, hopper) == 0.0
    assert measure_identity_distance(hopper, hopper[20:, 10:-10]) < 0.25
    assert measure_identity_distance(hopper, np.full((64, 64, 3), 255, np.uint8)) == NOT_FOUND_DISTANCE


@needs_dlib
@pytest.mark.skipif(
    not (DATA / "photos").is_dir(), reason="the shared development pictures are not beside the checkout"
)
def test_two_persons_are_far_apart():
    from PIL import Image

    from metrics.identity import measure_identity_distance

    first, second = (np.array(Image.open(DATA / "photos" / name).convert("RGB")) for name in ("p04.jpg", "p05.jpg"))
    assert 0.55 < measure_identity_distance(first, second) < 1.2
