"""Training of the landmark translator and the figures of its table, on made-up shapes."""

import dataclasses

import numpy as np
import pytest
import torch

from dataset import Faces, RealFaces, assign_folds, build_training_set, find_mean_shape, weigh_groups
from growth import distort, grow_art, mirror
from portraitist.geometry.translation import mean_face
from portraitist.geometry.translation_network import LandmarkNetwork, NetworkSize, TrainedTranslator
from systems import DRIT, MUNIT, OURS, AutoEncoder, CycleGAN, Translation, count_classes
from train import measure_photo_share
from trainer import train_stage
from translation_alignment import align_by_affine, align_by_similarity
from translation_figures import (
    Translated,
    frechet_distance,
    measure_diversity,
    retrieve_contents,
    retrieve_styles,
    style_transfer,
)
from translation_sheets import MARGIN, SIDE_PX, pick_different, warp_photo

SIZE = NetworkSize(content=8, style=4, width=16)


@pytest.fixture(scope="module")
def real(model) -> RealFaces:
    """Forty people and ten artworks, noise around the mean face."""
    random, mean = np.random.default_rng(0), mean_face(model).double().numpy()
    mean = find_mean_shape(mean[None], np.ones(1))

    def faces(count: int, size: float) -> Faces:
        return Faces(random.normal(0, size, (count, 68, 2)), np.ones(count), np.arange(count).astype(str))

    return RealFaces(mean, faces(40, 0.02), faces(10, 0.08))


@pytest.fixture(scope="module")
def training(real):
    return build_training_set(real, None, seed=0, count=200)


def test_frechet_distance_of_two_gaussians_by_hand():
    random = np.random.default_rng(0)
    first = random.standard_normal((200000, 2))
    second = first * [3.0, 1.0] + [0.0, 2.0]
    assert frechet_distance(first, second) == pytest.approx(2.0**2 + (3.0 - 1.0) ** 2, rel=0.02)


def test_direct_transfer_retrieves_everything_and_a_copy_no_content():
    random = np.random.default_rng(0)
    contents, styles = random.standard_normal((30, 136)), 3 * random.standard_normal((20, 136))
    direct = Translated(contents + styles[:, None], contents, styles)
    cosines, gains = style_transfer(direct)
    assert cosines.min() == pytest.approx(1)
    assert gains == pytest.approx(np.ones((20, 30)))
    assert (retrieve_styles(direct), retrieve_contents(direct)) == (1, 1)
    assert measure_diversity(direct) == pytest.approx(1)
    copy = Translated(np.broadcast_to(styles[:, None], (20, 30, 136)), contents, styles)
    assert retrieve_contents(copy) < 0.2
    still = Translated(np.broadcast_to(contents, (20, 30, 136)), contents, styles)
    assert retrieve_styles(still) <= 0.1
    assert measure_diversity(still) == 0


def test_folds_keep_groups_together_and_videos_do_not_count_by_the_frame():
    groups = np.array(["a"] * 30 + ["b"] * 2 + list("cdefghijk"))
    folds = assign_folds(groups)
    assert len(set(folds[:30])) == 1
    assert set(folds) == set(range(8))
    assert weigh_groups(groups)[[0, 30, 32]] == pytest.approx([0.1, 1.0, 1.0])


def test_grown_shapes_are_made_of_what_was_given(real):
    random = np.random.default_rng(0)
    none = np.zeros((0, 68, 2))
    grown = grow_art(real.art.deviations, real.normal.deviations, real.normal.weights, none, 300, random, real.mean)
    assert grown.shape == (300, 68, 2)
    assert np.isfinite(grown).all()
    assert 0.5 < np.sqrt((grown**2).mean()) / np.sqrt((real.art.deviations**2).mean()) < 1.5
    assert mirror(mirror(grown)) == pytest.approx(grown)


def test_distortions_differ_from_face_to_face_and_their_size_can_be_chosen(real):
    shapes = np.broadcast_to(real.mean, (400, 68, 2))

    def sizes(size: float) -> np.ndarray:
        moved = distort(shapes, real.mean, np.random.default_rng(0), size) - shapes
        return np.sqrt((moved**2).sum(-1).mean(-1))

    whole = sizes(1.0)
    assert np.quantile(whole, 0.05) < 0.04 < 0.12 < np.quantile(whole, 0.95) < 0.3
    assert sizes(0.0) == pytest.approx(0)
    assert np.median(sizes(0.5)) == pytest.approx(np.median(whole) / 2, rel=0.2)


def test_components_and_classes_of_a_training_set(training):
    assert training.art.shape == (200, 32)
    assert training.normal.shape == (80, 32)  # mirrored too
    assert float(training.art.square().mean()) == pytest.approx(1, rel=1e-3)
    assert 0.3 < training.explained < 1
    assert count_classes(training.classes) <= 25


def test_the_affine_map_swallows_a_stretch_that_a_similarity_leaves(real):
    stretched = real.mean * [1.0, 1.4]
    assert np.abs(align_by_affine(stretched[None], real.mean)[0] - real.mean).max() < 1e-9
    assert np.abs(align_by_similarity(stretched[None], real.mean)[0] - real.mean).max() > 0.1


def make_translation(training):
    torch.manual_seed(0)
    return Translation(LandmarkNetwork(SIZE), count_classes(training.classes), OURS)


def test_a_stopped_run_goes_on_as_if_it_had_not(training, tmp_path):
    whole, stopped = make_translation(training), make_translation(training)
    torch.manual_seed(1)
    train_stage("whole", whole, training, 12, torch.Generator().manual_seed(2))
    torch.manual_seed(1)
    train_stage("stopped", stopped, training, 7, torch.Generator().manual_seed(2), tmp_path / "state.pt")
    again = make_translation(training)
    torch.manual_seed(99)
    train_stage("again", again, training, 12, torch.Generator().manual_seed(98), tmp_path / "state.pt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_the_first_stage_learns_and_the_second_leaves_it_alone(training):
    torch.manual_seed(0)
    network = LandmarkNetwork(SIZE)
    encoder = AutoEncoder(network)
    first = float(encoder.train_step(training.normal, training.art, training.classes)["recon_x"])
    train_stage("stage 1", encoder, training, 150, torch.Generator().manual_seed(0))
    last = float(encoder.train_step(training.normal, training.art, training.classes)["recon_x"])
    assert last < 0.7 * first
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train_stage("stage 2", Translation(network, 25, OURS), training, 3, torch.Generator().manual_seed(0))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith(("encode_normal", "decode_normal")), name


def test_photo_share_of_moves_is_proportional_to_the_reach_and_follows_the_seed(training):
    torch.manual_seed(0)
    trained = TrainedTranslator(training.space, LandmarkNetwork(SIZE), 1.0, {})
    share = measure_photo_share(trained, training, 0)
    assert measure_photo_share(trained, training, 0) == share > 0
    assert measure_photo_share(trained, training, 1) != share
    assert measure_photo_share(dataclasses.replace(trained, gain=0.5), training, 0) == pytest.approx(share / 2)


@pytest.mark.parametrize("system", [CycleGAN, MUNIT, DRIT])
def test_rivals_train_and_only_multi_modal_ones_follow_the_exemplar(training, system):
    torch.manual_seed(0)
    rival = system(NetworkSize(width=16, content=8))
    before = {name: value.clone() for name, value in rival.state_dict().items()}
    losses = rival.train_step(training.normal[:68], training.art[:68], training.classes[:68])
    assert all(torch.isfinite(loss) for loss in losses.values())
    moved = [name for name, value in rival.state_dict().items() if not torch.equal(value, before[name])]
    assert len(moved) > 0.9 * len(before)
    one, other = (rival.translate(training.normal[:5], art.expand(5, -1)) for art in training.art[:2])
    assert torch.equal(one, other) == (system is CycleGAN)


def test_a_photo_is_warped_as_its_landmarks_are_moved_and_its_frame_stays():
    random = np.random.default_rng(0)
    points = 100 + 100 * random.random((68, 2))
    points[:60:59] = [[100, 100], [200, 200]]  # the box that the picture is cut by
    image = torch.zeros(3, 300, 300)
    image[:, 148:153, 148:153] = 1.0
    moved = np.tile([20.0, -10.0], (68, 1))
    center = torch.stack(torch.meshgrid(*2 * [torch.arange(SIDE_PX) + 0.5], indexing="xy")) * (220 / SIDE_PX) + 40

    def find_spot(picture: torch.Tensor) -> np.ndarray:
        return ((center * picture[0]).sum((1, 2)) / picture[0].sum()).numpy()

    assert MARGIN == 0.6
    assert find_spot(warp_photo(image, points, 0 * moved)) == pytest.approx([150.5, 150.5], abs=0.5)
    assert find_spot(warp_photo(image, points, moved)) == pytest.approx([170.5, 140.5], abs=3)
    image[:] = torch.linspace(0, 1, 300)
    still, warped = warp_photo(image, points, 0 * moved), warp_photo(image, points, moved)
    assert (still - warped)[:, :, [0, -1]].abs().max() < 0.01


def test_pictures_are_of_artworks_that_differ():
    shapes = np.array([[3.0, 0.0], [0.1, 0.0], [3.1, 0.0], [0.0, -2.0]])
    assert pick_different(shapes, 3).tolist() == [1, 2, 3]
