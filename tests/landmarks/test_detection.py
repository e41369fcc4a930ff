"""Faces are found, in place, with the right names for left and right, in easy and in spoilt pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import pytest
import torch

from portraitist.errors import InputError, NoFaceError
from portraitist.io.images import image_to_uint8, load_image
from portraitist.landmarks.detection import detect_landmarks, tile
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.ibug68 import IBUG_FROM_DENSE, dense_to_ibug68
from portraitist.landmarks.views import VIEW_SIDE, Augmentation, ViewRenderer
from portraitist.types import EXPRESSION_NAMES, Landmarks

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
RIGHT_EYE, LEFT_EYE, CHIN = 36, 45, 8

HOPPER = {468: (223.0, 190.0), 473: (305.0, 187.0), 61: (231.0, 280.0), 291: (305.0, 277.0)}
"""Dense index and place of the pupils and mouth corners, sitter's right first, read off the picture by hand."""


@pytest.fixture(scope="module")
def detector() -> LandmarkDetector:
    return LandmarkDetector()


@pytest.fixture(scope="module")
def hopper() -> torch.Tensor:
    return load_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


@pytest.fixture(scope="module")
def found(hopper: torch.Tensor, detector: LandmarkDetector) -> Landmarks:
    landmarks, warnings = detect_landmarks(hopper, detector)
    assert warnings == []
    return landmarks


def to_image(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float() / 255


def relative_error(landmarks: Landmarks, expected: torch.Tensor) -> float:
    """Mean distance over the outer eye distance."""
    return float((landmarks.points - expected).norm(dim=1).mean() / (expected[RIGHT_EYE] - expected[LEFT_EYE]).norm())


def test_points_lie_where_the_face_is(found: Landmarks) -> None:
    assert found.size == (600, 512)
    assert found.dense is not None
    assert found.dense.shape == (478, 2)
    for index, place in HOPPER.items():
        assert (found.dense[index] - torch.tensor(place)).norm() < 6
    assert found.points[CHIN, 1] > found.dense[61, 1] + 30


def test_points_between_two_dense_points() -> None:
    assert len(IBUG_FROM_DENSE) == 68
    assert all(len(set(indices)) == len(indices) <= 2 for indices in IBUG_FROM_DENSE)
    dense = torch.arange(478 * 2, dtype=torch.float32).reshape(478, 2)
    assert torch.equal(dense_to_ibug68(dense)[1], (dense[234] + dense[93]) / 2)
    assert torch.equal(dense_to_ibug68(dense)[8], dense[152])


def test_mirrored_picture_gives_mirrored_points(
    hopper: torch.Tensor, found: Landmarks, detector: LandmarkDetector
) -> None:
    mirrored, _ = detect_landmarks(hopper.flip(2), detector)
    order = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    order += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]
    order += [64, 63, 62, 61, 60, 67, 66, 65]
    expected = found.points[order] * torch.tensor([-1.0, 1.0]) + torch.tensor([512.0, 0.0])
    assert relative_error(mirrored, expected) < 0.04


def test_left_and_right_are_the_sitters_own(hopper: torch.Tensor, found: Landmarks, detector: LandmarkDetector) -> None:
    """Pull up the mouth corner on the picture's right: the sitter's left smiles."""
    corner, reach = found.points[54].numpy(), 20.0
    rows, columns = np.mgrid[:600, :512].astype(np.float32)
    weight = np.exp(-((columns - corner[0]) ** 2 + (rows - corner[1]) ** 2) / reach**2).astype(np.float32)
    pulled, _ = detect_landmarks(to_image(cv2.remap(image_to_uint8(hopper), columns, rows + 12 * weight, 1)), detector)
    assert pulled.expressions is not None
    left, right = (pulled.expressions[EXPRESSION_NAMES.index(f"mouthSmile{side}")] for side in ("Left", "Right"))
    assert left > right + 0.1
    assert pulled.expressions[EXPRESSION_NAMES.index("tongueOut")] == 0


@pytest.mark.parametrize("turn_deg", [-90, -30, 20, 60, 180])
def test_turned_picture(hopper: torch.Tensor, found: Landmarks, detector: LandmarkDetector, turn_deg: float) -> None:
    matrix = cv2.getRotationMatrix2D((256, 300), turn_deg, 1.0) + np.array([[0, 0, 144.0], [0, 0, 100.0]])
    turned, _ = detect_landmarks(
        to_image(cv2.warpAffine(image_to_uint8(hopper), matrix, (800, 800), borderValue=(128, 128, 128))), detector
    )
    expected = found.points @ torch.from_numpy(matrix[:, :2].T).float() + torch.from_numpy(matrix[:, 2]).float()
    assert relative_error(turned, expected) < 0.06


def test_small_face_in_a_large_picture(hopper: torch.Tensor, found: Landmarks, detector: LandmarkDetector) -> None:
    canvas = np.full((1200, 1600, 3), 200, dtype=np.uint8)
    canvas[700:880, 1200:1354] = cv2.resize(image_to_uint8(hopper), (154, 180), interpolation=cv2.INTER_AREA)
    small, _ = detect_landmarks(to_image(canvas), detector)
    assert relative_error(small, found.points * 0.3 + torch.tensor([1200.0, 700.0])) < 0.08


@pytest.mark.parametrize("spoil", ["low contrast", "dark", "noise", "gray"])
def test_spoilt_picture(hopper: torch.Tensor, found: Landmarks, detector: LandmarkDetector, spoil: str) -> None:
    noise = torch.randn(hopper.shape, generator=torch.Generator().manual_seed(0))
    image = {
        "low contrast": hopper * 0.03 + 0.48,
        "dark": hopper * 0.03,
        "noise": (hopper * 0.5 + 0.25 + 0.3 * noise).clamp(0, 1),
        "gray": hopper.mean(0, keepdim=True).expand(3, -1, -1),
    }[spoil]
    spoilt, _ = detect_landmarks(image, detector)
    assert relative_error(spoilt, found.points) < 0.1


def test_largest_of_two_faces_wins(hopper: torch.Tensor, found: Landmarks, detector: LandmarkDetector) -> None:
    small = torch.nn.functional.interpolate(hopper[None], scale_factor=0.7, mode="area")[0]
    pair = torch.ones(3, 600, 512 + small.shape[2])
    pair[:, : small.shape[1], : small.shape[2]], pair[:, :, small.shape[2] :] = small, hopper
    landmarks, warnings = detect_landmarks(pair, detector, what="artwork")
    assert relative_error(landmarks, found.points + torch.tensor([float(small.shape[2]), 0.0])) < 0.05
    assert len(warnings) == 1
    assert warnings[0].startswith("2 faces were found in the artwork: 1: 7")
    assert "% from the top (used); 2: 2" in warnings[0]
    assert "--art-face" in warnings[0]
    assert "crop" in warnings[0]
    other, (warning,) = detect_landmarks(pair, detector, face=2)
    assert relative_error(other, found.points * 0.7) < 0.05
    assert warning.index("; 2: 2") < warning.index("(used)")
    for face in (0, 3):
        with pytest.raises(InputError, match=rf"Face {face} was .* 2 faces were found in the photo: 1: 7.*; 2: 2"):
            detect_landmarks(pair, detector, face=face)


def test_a_second_face_of_one_is_refused(hopper: torch.Tensor, detector: LandmarkDetector) -> None:
    with pytest.raises(InputError, match="1 face was found in the photo: 1: 52 % from the left, 39 % from the top"):
        detect_landmarks(hopper, detector, face=2)


def test_largest_of_a_crowd_wins(hopper: torch.Tensor, found: Landmarks, detector: LandmarkDetector) -> None:
    """Twelve small faces, of which the detector sees only one or two in the whole picture."""
    one = torch.nn.functional.interpolate(hopper[None], scale_factor=0.5, mode="area")[0]
    crowd = one.repeat(1, 3, 4)
    crowd[:, 600:, :256] = torch.nn.functional.interpolate(hopper[None, :, 40:556, 40:480], size=(300, 256))[0]
    landmarks, warnings = detect_landmarks(crowd, detector)
    expected = (found.points - 40) * torch.tensor([256 / 440, 300 / 516]) + torch.tensor([0.0, 600.0])
    assert relative_error(landmarks, expected) < 0.1
    assert len(warnings) == 1
    assert warnings[0].startswith("12 faces were found in the photo")


def test_face_cut_by_the_border_is_used_with_a_warning(
    hopper: torch.Tensor, found: Landmarks, detector: LandmarkDetector
) -> None:
    whole, warnings = detect_landmarks(hopper[:, 90:340, 160:360], detector)  # touches the border
    assert relative_error(whole, found.points - torch.tensor([160.0, 90.0])) < 0.05
    assert warnings == []
    half, warnings = detect_landmarks(hopper[:, :, 230:], detector)
    assert relative_error(half, found.points - torch.tensor([230.0, 0.0])) < 0.1
    assert len(warnings) == 1
    assert "% of the face in the photo is outside" in warnings[0]


def test_tiny_face_is_used_with_a_warning(hopper: torch.Tensor, found: Landmarks, detector: LandmarkDetector) -> None:
    canvas = np.full((1500, 2000, 3), 130, dtype=np.uint8)
    canvas[900:1030, 1300:1411] = cv2.resize(image_to_uint8(hopper), (111, 130), interpolation=cv2.INTER_AREA)
    tiny, warnings = detect_landmarks(to_image(canvas), detector)
    assert relative_error(tiny, found.points * 0.2167 + torch.tensor([1300.0, 900.0])) < 0.1
    assert len(warnings) == 1
    assert "only 4" in warnings[0]
    assert "crop" in warnings[0]


@pytest.mark.parametrize("kind", ["blank", "noise", "stripes"])
def test_no_face_says_what_to_do(detector: LandmarkDetector, kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    image = {
        "blank": torch.full((3, 200, 300), 0.5),
        "noise": torch.rand(3, 200, 300, generator=generator),
        "stripes": (torch.arange(300) % 20 / 20).expand(3, 200, 300),
    }[kind]
    with pytest.raises(NoFaceError, match=r"in the art \(300 x 200 pixels\).*--art-landmarks"):
        detect_landmarks(image, detector, what="art")


def test_same_picture_gives_the_same_points(hopper: torch.Tensor, found: Landmarks) -> None:
    again, _ = detect_landmarks(hopper, LandmarkDetector())
    assert torch.equal(again.points, found.points)


@pytest.mark.parametrize(
    "augmentation", [Augmentation(zoom=0.5), Augmentation(zoom=1.7, turn_deg=30.0, stretch=1.4, center=(0.6, 0.4))]
)
def test_view_shows_what_its_matrix_says(augmentation: Augmentation) -> None:
    rows, columns = np.mgrid[:300, :401] + 0.5  # odd sizes: the pyramid rounds them
    ramp = np.stack([columns / 401 * 255, rows / 300 * 255, rows * 0 + 60], axis=-1).astype(np.uint8)
    for factor in (1, 4):
        picture = cv2.resize(ramp, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        view = ViewRenderer(picture).render_augmented(augmentation)
        at = view.to_picture(np.array([[VIEW_SIDE / 2 + 40.5, VIEW_SIDE / 2 - 30.5]]))[0] / (401 * factor, 300 * factor)
        assert np.abs(view.pixels[VIEW_SIDE // 2 - 31, VIEW_SIDE // 2 + 40, :2] - at * 255).max() < 1.5


def test_tiles_cover_the_picture() -> None:
    for zoom in (2.0, 4.0, 7.0):
        centers = np.array([augmentation.center for augmentation in tile(zoom)])
        for face in np.random.default_rng(0).random((50, 2)):  # middle of a face a third of a tile long
            face = face.clip(0.17 / zoom, 1 - 0.17 / zoom)
            assert (np.abs(centers - face) <= 0.34 / zoom).all(axis=1).any()


def test_importing_is_cheap() -> None:
    code = "import sys, portraitist.landmarks.detection; sys.exit('mediapipe' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_detector_is_quiet_from_start_to_exit() -> None:
    code = (
        "import torch; from portraitist.landmarks.detection import *; d = LandmarkDetector()\n"
        "try: detect_landmarks(torch.zeros(3, 64, 64), d)\n"
        "except NoFaceError: print('no face')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "no face\n"
    assert ran.stderr == ""


@pytest.mark.skipif(not DATA.is_dir(), reason="the development pictures (../shared/data) are not here")
@pytest.mark.parametrize("number", ["000", "010", "012", "073", "132", "142", "148"])
def test_artworks_that_need_the_search(detector: LandmarkDetector, number: str) -> None:
    table = np.load(DATA / "landmarks" / "art68.npz")
    name = f"artistic_faces/{number}.png"
    expected = torch.from_numpy(table["points"][list(table["image"]).index(name)])
    landmarks, _ = detect_landmarks(load_image(DATA / name), detector)
    assert relative_error(landmarks, expected) < 0.2
