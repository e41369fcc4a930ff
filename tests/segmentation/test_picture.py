"""Parts of a picture: what a portrait shows is found, wherever and however it stands in the picture."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from portraitist import Landmarks, Models, load_vgg
from portraitist.devices import CPU, move
from portraitist.errors import InputError
from portraitist.landmarks.detection import detect_landmarks
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.silhouette import fit_photo
from portraitist.segmentation.person import fill_face_core, segment_person
from portraitist.segmentation.picture import (
    PART_NAMES,
    VIEW_PX,
    WINDOW,
    PictureParts,
    PictureSegmenter,
    draw_head,
    load_picture_segmenter,
    look_at_head,
    move_camera,
    pack_segmenter,
    render_mask,
    segment_picture,
    unpack_segmenter,
)
from portraitist.types import HeadFit, Image
from pretend_device import DEVICE, PretendMode


@pytest.fixture(scope="module")
def segmenter() -> PictureSegmenter:
    return load_picture_segmenter()


@dataclasses.dataclass
class Seen:
    image: Image
    landmarks: Landmarks
    person: torch.Tensor
    fit: HeadFit

    def segment(self, segmenter: PictureSegmenter, models: Models) -> PictureParts:
        mesh, camera = self.fit.mesh, self.fit.camera
        return segment_picture(self.image, self.landmarks, mesh, camera, self.person, segmenter, models.vgg)


def see(image: Image, models: Models, landmarks: Landmarks | None = None) -> Seen:
    landmarks = landmarks or detect_landmarks(image, models.detector)[0]
    person = segment_person(image, landmarks, models.segmenter)
    return Seen(image, landmarks, person, fit_photo(landmarks, person, models.head))


@pytest.fixture(scope="module")
def portrait(hopper: Image, models: Models) -> Seen:
    return see(hopper, models)


@pytest.fixture(scope="module")
def parts(portrait: Seen, segmenter: PictureSegmenter, models: Models) -> PictureParts:
    return portrait.segment(segmenter, models)


def find(parts: PictureParts, name: str) -> torch.Tensor:
    return parts.labels() == PART_NAMES.index(name)


def test_shares_are_of_every_pixel_and_sum_to_one(parts: PictureParts, hopper: Image) -> None:
    assert parts.shares.shape == (len(PART_NAMES), *hopper.shape[1:])
    assert parts.shares.min() >= 0
    assert torch.allclose(parts.shares.sum(0), torch.ones(()), atol=1e-5)
    assert torch.allclose(parts.share(*PART_NAMES), torch.ones(()), atol=1e-5)
    assert torch.equal(parts.share("hair"), parts.shares[2])


def test_the_officer_wears_cap_and_jacket(parts: PictureParts, portrait: Seen) -> None:
    """The embedded photo: a cap above the face, a dark jacket below, a flag behind."""
    core = torch.from_numpy(fill_face_core(portrait.landmarks.points, portrait.landmarks.size))
    assert parts.share("skin", "glasses")[core].mean() > 0.9
    y, x = torch.meshgrid(torch.arange(600), torch.arange(512), indexing="ij")
    points = portrait.landmarks.points
    brows, chin, left, right = points[19:25, 1].mean(), points[8, 1], points[0, 0], points[16, 0]
    cap, hair, clothes = (find(parts, name) for name in ("headwear", "hair", "clothes"))
    assert cap[(y < brows) & (x > left) & (x < right)].float().mean() > 0.3
    assert not cap[y > chin].any()
    assert hair[y > chin].sum() < 0.1 * hair.sum()
    assert clothes[(y > 500) & (x > 100) & (x < 400)].float().mean() > 0.8
    assert find(parts, "background")[:60, :60].float().mean() > 0.9


def test_the_same_bytes_every_time(
    parts: PictureParts, portrait: Seen, segmenter: PictureSegmenter, models: Models
) -> None:
    assert torch.equal(portrait.segment(segmenter, models).shares, parts.shares)


def test_a_picture_on_its_side_is_told_apart_alike(
    parts: PictureParts, hopper: Image, segmenter: PictureSegmenter, models: Models
) -> None:
    turned = see(hopper.rot90(1, (1, 2)).contiguous(), models).segment(segmenter, models).labels().rot90(-1)
    assert (turned == parts.labels()).float().mean() > 0.9


def test_a_larger_picture_is_told_apart_alike(
    parts: PictureParts, hopper: Image, segmenter: PictureSegmenter, models: Models
) -> None:
    doubled = hopper.repeat_interleave(2, 1).repeat_interleave(2, 2)
    labels = see(doubled, models).segment(segmenter, models).labels()[::2, ::2]
    assert (labels == parts.labels()).float().mean() > 0.95


def test_an_artwork_has_skin_where_its_face_is(brush: Image, segmenter: PictureSegmenter, models: Models) -> None:
    seen = see(brush, models)
    seen.fit = fit_head(seen.landmarks, models.head)
    core = torch.from_numpy(fill_face_core(seen.landmarks.points, seen.landmarks.size))
    assert seen.segment(segmenter, models).share("skin")[core].mean() > 0.9


def test_far_from_the_head_the_person_mask_decides(
    hopper: Image, segmenter: PictureSegmenter, models: Models, portrait: Seen
) -> None:
    width = 2000  # of a picture of a whole room
    wide = torch.nn.functional.pad(hopper, (0, width - 512, 0, 0))
    person = torch.zeros(600, width)
    person[:, :512] = portrait.person
    person[:, -100:] = 1
    seen = dataclasses.replace(portrait, image=wide, landmarks=_resize(portrait.landmarks, (600, width)), person=person)
    labels = seen.segment(segmenter, models).labels()
    assert (labels[:, -100:] == PART_NAMES.index("clothes")).all()
    assert (labels[:, 1200:1800] == 0).all()


def _resize(landmarks: Landmarks, size: tuple[int, int]) -> Landmarks:
    return Landmarks(landmarks.points, size, landmarks.dense)


def test_a_mask_of_another_picture_is_refused(portrait: Seen, segmenter: PictureSegmenter, models: Models) -> None:
    other = dataclasses.replace(portrait, person=torch.ones(60, 50))
    with pytest.raises(InputError, match="50 x 60 pixels, the picture 512 x 600"):
        other.segment(segmenter, models)


def test_the_view_is_upright_and_of_one_size(portrait: Seen, segmenter: PictureSegmenter) -> None:
    mesh, camera = portrait.fit.mesh, portrait.fit.camera
    view = look_at_head(portrait.image, portrait.landmarks, mesh, camera, portrait.person, segmenter.mean)
    points = portrait.landmarks.points.numpy() @ view.matrix[:, :2].T + view.matrix[:, 2]
    across = points[42:48].mean(0) - points[36:42].mean(0)
    assert abs(np.degrees(np.arctan2(across[1], across[0]))) < 4
    assert np.linalg.norm(points[45] - points[36]) == pytest.approx(VIEW_PX / WINDOW, rel=0.15)
    assert view.hints.min() >= 0
    assert view.hints.max() <= 1


def test_the_camera_of_a_view_sees_what_the_view_shows(portrait: Seen) -> None:
    camera, vertices = portrait.fit.camera, portrait.fit.mesh.vertices
    angle, scale = 0.4, 0.3
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([linear, [20.0, -7.0]])
    moved = move_camera(camera, matrix, 128).project(vertices)
    expected = camera.project(vertices).numpy() @ linear.T + matrix[:, 2]
    assert np.allclose(moved.numpy(), expected, atol=1e-3)


def test_masks_and_heads_lie_on_the_view(portrait: Seen) -> None:
    """A shrunk and moved picture: its mask and the head drawn in it are where the same map takes them."""
    matrix = np.array([[0.25, 0.0, 3.0], [0.0, 0.25, -5.0]])
    square = np.zeros((600, 512), np.float32)
    square[200:400, 100:300] = 1
    small = render_mask(square, matrix, 128)
    assert np.argwhere(small > 0.5).min(0).tolist() == [45, 28]
    assert np.argwhere(small > 0.5).max(0).tolist() == [94, 77]
    head = draw_head(portrait.fit.mesh, move_camera(portrait.fit.camera, matrix, 128))
    nose = portrait.landmarks.points[30].numpy() * 0.25 + [3, -5]
    assert head[0, int(nose[1]), int(nose[0])] == 1
    assert head.sum(0).max() == 1


def test_what_is_packed_comes_back(segmenter: PictureSegmenter) -> None:
    packed = pack_segmenter(segmenter)
    again = pack_segmenter(unpack_segmenter(packed))
    assert packed.keys() == again.keys()
    assert all(torch.equal(packed[name], again[name]) for name in packed)


def test_it_stays_on_its_device(
    portrait: Seen, segmenter: PictureSegmenter, models: Models, parts: PictureParts
) -> None:
    with PretendMode():
        seen = Seen(*(move(value, DEVICE) for value in vars(portrait).values()))
        copy = move(unpack_segmenter(pack_segmenter(segmenter)), DEVICE)
        mesh, camera = seen.fit.mesh, seen.fit.camera
        vgg = load_vgg(DEVICE, models.vgg.dtype)
        there = segment_picture(seen.image, seen.landmarks, mesh, camera, seen.person, copy, vgg)
        assert there.shares.device == DEVICE
        shares = move(there.shares, CPU)
    assert torch.allclose(shares, parts.shares, atol=0.01)
