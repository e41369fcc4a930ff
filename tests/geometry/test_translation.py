"""Landmark translation: alignment, the network and its file, strengths, mixtures, depth, and what must not fold."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from portraitist.errors import InputError
from portraitist.geometry.depth import predict_depth, scale_depth, turn_to_front
from portraitist.geometry.foldover import prevent_foldover
from portraitist.geometry.shape_space import (
    ShapeSpace,
    align_to,
    measure_deviation,
    mirror_deviation,
)
from portraitist.geometry.translation import (
    DirectTranslator,
    GeometryConfig,
    RegionStrengths,
    ShapeExemplar,
    make_translator,
    mean_face,
    measure_displacement,
    translate_landmarks,
)
from portraitist.geometry.translation_network import (
    LandmarkNetwork,
    NetworkSize,
    TrainedTranslator,
    load_translator,
    save_translator,
)
from portraitist.landmarks.alignment import similarity_2d
from portraitist.landmarks.ibug68 import outer_eye_distance
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.types import Camera, HeadFit

SIZE = NetworkSize(coefficients=8, content=6, style=4, width=16)


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(136, SIZE.coefficients))[0].T.contiguous()
    network = LandmarkNetwork(SIZE).eval().requires_grad_(False)
    return TrainedTranslator(ShapeSpace(torch.randn(68, 2), basis, 0.1), network, 1.5, {"data": "none"})


@pytest.fixture(scope="module")
def shipped(model):
    return make_translator("network", model)


@pytest.fixture(scope="module")
def sitter(model):
    """A person of the head model, seen from the front, relaxed."""
    identity = 0.7 * torch.randn(len(model.identity_basis), generator=torch.Generator().manual_seed(3))
    vertices = model.mean + torch.einsum("k,knd->nd", identity, model.identity_basis)
    camera = Camera(torch.eye(3), 2000.0, (256.0, 256.0), (512, 512))
    expression, mesh = torch.zeros(52), model.template.with_vertices(vertices)
    return HeadFit(identity, expression, mesh, vertices, model.expression_deltas, camera, 0.0, 0.0)


def draw_deviation(model, seed, size=0.06):
    """A smooth exaggeration that is its own best alignment."""
    mean, random = mean_face(model), torch.Generator().manual_seed(seed)
    apart = torch.cdist(mean, mean)
    smooth = torch.exp(-0.5 * (apart / 0.4) ** 2)
    field = smooth @ torch.randn(68, 2, generator=random)
    return measure_deviation(mean + size * field / field.square().mean().sqrt(), mean)


def draw_people(model, count, seed):
    """Deviations of heads of the model."""
    generator = torch.Generator().manual_seed(seed)
    identities = torch.randn(count, len(model.identity_basis), generator=generator)
    heads = model.mean + torch.einsum("pk,knd->pnd", identities, model.identity_basis)
    shapes = torch.stack([model.landmarks68.positions(head, model.faces)[:, :2] for head in heads])
    return measure_deviation(shapes, mean_face(model))


def landmarks_of(fit, model):
    return model.landmarks68.positions(fit.mesh.vertices, model.faces)


def test_similarity_of_many_shapes_is_that_of_each():
    shapes, target = torch.randn(5, 68, 2), torch.randn(68, 2)
    linear, shift = similarity_2d(shapes, target)
    for row in range(5):
        one, by = similarity_2d(shapes[row], target)
        torch.testing.assert_close((linear[row], shift[row]), (one, by))


def test_deviation_holds_nothing_of_where_how_large_and_how_tilted_a_face_is(model):
    mean, deviation = mean_face(model), draw_deviation(model, 0)
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    moved = 3.0 * (mean + deviation) @ turn.T + torch.tensor([4.0, -2.0])
    torch.testing.assert_close(measure_deviation(moved, mean), deviation, atol=1e-5, rtol=0)


def test_mirroring_twice_changes_nothing_and_the_mean_face_is_symmetric(model):
    deviation = draw_deviation(model, 1)
    assert torch.equal(mirror_deviation(mirror_deviation(deviation)), deviation)
    mean = mean_face(model) - torch.tensor([1.0, 0.0]) * mean_face(model)[27:31].mean(0)
    assert (mirror_deviation(mean) - mean).abs().max() < 0.02


def test_shape_space_gives_back_what_lies_in_it(trained):
    coefficients = torch.randn(3, SIZE.coefficients)
    torch.testing.assert_close(trained.space.encode(trained.space.decode(coefficients)), coefficients)


def test_a_saved_translator_translates_alike(trained, tmp_path):
    path = tmp_path / "translator.safetensors"
    save_translator(path, trained)
    again = load_translator(path)
    assert again.card == trained.card
    assert again.network.size == SIZE
    assert again.gain == trained.gain
    normal, style = torch.randn(4, SIZE.coefficients), torch.randn(4, SIZE.style)
    torch.testing.assert_close(
        again.network.translate(normal, style), trained.network.translate(normal, style), atol=2e-2, rtol=2e-2
    )
    save_translator(tmp_path / "again.safetensors", again)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def rewrite(path, change):
    """Change the JSON part of a translator's header in place."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    about = json.loads(header["__metadata__"]["portraitist_translator"])
    change(header, about)
    header["__metadata__"]["portraitist_translator"] = json.dumps(about)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


DAMAGES = {
    "newer version": lambda header, about: about.update(version=99),
    "older version": lambda header, about: about.update(version=1),
    "reach": lambda header, about: about.update(reach=-1.0),
    "no reach": lambda header, about: about.update(reach=float("nan")),
    "no size": lambda header, about: about.pop("size"),
    "unknown size": lambda header, about: about["size"].update(depth=3),
    "huge": lambda header, about: about["size"].update(width=10**6),
    "other width": lambda header, about: about["size"].update(width=32),
    "spread": lambda header, about: about.update(spread=0),
    "basis": lambda header, about: header.update(basis={**header["basis"], "shape": [136, 8]}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_translator_that_is_not_one_is_said_so(trained, tmp_path, damage):
    path = tmp_path / "translator.safetensors"
    save_translator(path, trained)
    rewrite(path, DAMAGES[damage])
    with pytest.raises(InputError, match=r"no translator of this version"):
        load_translator(path)


def test_cut_off_foreign_and_missing_files_are_said_so(trained, tmp_path):
    path = tmp_path / "translator.safetensors"
    save_translator(path, trained)
    for content in (path.read_bytes()[:-1], path.read_bytes()[:100], b"", b"not a translator at all"):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            load_translator(tmp_path / "bad")
    with pytest.raises(InputError, match="cannot be read"):
        load_translator(tmp_path / "missing")


def test_direct_transfer_reaches_the_deviation_and_strength_scales_it(model, sitter):
    direct = DirectTranslator()
    deviation, own = draw_deviation(model, 2), landmarks_of(sitter, model)
    to_mean = align_to(own[:, :2], mean_face(model))[1]
    config = GeometryConfig()
    moved = translate_landmarks(sitter, [ShapeExemplar(deviation)], model, direct, config) - own
    torch.testing.assert_close(moved[:, :2] @ to_mean.T, deviation, atol=1e-5, rtol=0)
    half = translate_landmarks(
        sitter, [ShapeExemplar(deviation)], model, direct, dataclasses.replace(config, strength=0.5)
    )
    torch.testing.assert_close(half - own, moved / 2, atol=1e-6, rtol=0)
    none = dataclasses.replace(config, strength=0.0)
    assert torch.equal(translate_landmarks(sitter, [ShapeExemplar(deviation)], model, direct, none), own)


def test_mixtures_weigh_their_exemplars(model, shipped):
    content = draw_deviation(model, 3, 0.02)
    first, second = draw_deviation(model, 4, 0.1), draw_deviation(model, 5, 0.1)
    direct = DirectTranslator()
    mixed = direct.move(content, [ShapeExemplar(first, 3.0), ShapeExemplar(second, 1.0)])
    torch.testing.assert_close(mixed, 0.75 * first + 0.25 * second)
    alone = shipped.move(content, [ShapeExemplar(first)])
    torch.testing.assert_close(shipped.move(content, [ShapeExemplar(first, 2.0), ShapeExemplar(first, 5.0)]), alone)
    nearly = shipped.move(content, [ShapeExemplar(first, 99.0), ShapeExemplar(second, 1.0)])
    assert (nearly - alone).norm() < 0.1 * alone.norm()


def test_moves_are_multiplied_by_the_gain(trained):
    normal, style = torch.randn(3, SIZE.coefficients), torch.randn(3, SIZE.style)
    network = trained.network
    bare = network.translate(normal, style) - network.decode_normal(network.encode_normal(normal))
    torch.testing.assert_close(trained.move(normal, style), 1.5 * bare)


def test_random_styles_follow_the_seed(model, sitter, shipped):
    config = GeometryConfig(random_style=True)

    def draw(seed):
        return translate_landmarks(sitter, [], model, shipped, config, torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert 0.005 < measure_displacement(sitter, draw(1), model) < 0.4
    with pytest.raises(InputError, match="--translator network"):
        translate_landmarks(sitter, [], model, DirectTranslator(), config)


def test_a_region_of_strength_zero_stays_where_it_is(model, sitter):
    direct, own = DirectTranslator(), landmarks_of(sitter, model)
    exemplars = [ShapeExemplar(draw_deviation(model, 6, 0.03))]
    config = GeometryConfig(regions=RegionStrengths(nose=0.0))
    moved = (translate_landmarks(sitter, exemplars, model, direct, config) - own)[:, :2].norm(dim=1)
    assert moved[27:36].max() < 1e-7
    assert moved[36:48].min() > 1e-5


def test_self_exaggeration_moves_along_the_sitters_own_deviation(model, sitter):
    direct, mean, own = DirectTranslator(), mean_face(model), landmarks_of(sitter, model)
    config = GeometryConfig(strength=0.0, exaggeration=1.0)
    moved = translate_landmarks(sitter, [ShapeExemplar(torch.zeros(68, 2))], model, direct, config)[:, :2] - own[:, :2]
    deviation = measure_deviation(own[:, :2], mean)
    cosine = torch.nn.functional.cosine_similarity(moved.flatten(), deviation.flatten(), dim=0)
    assert cosine > 0.8


def test_the_average_sitter_gets_the_artworks_own_deviation(model, shipped):
    """In full and in its direction; what is special for one sitter is small. Real ones: benchmarks/geometry.py."""
    deviation, people = draw_deviation(model, 10, 0.12), draw_people(model, 20, 33)
    torch.testing.assert_close(shipped.move(torch.zeros(68, 2), [ShapeExemplar(deviation)]), deviation)
    moves = torch.stack([shipped.move(person, [ShapeExemplar(deviation)]) for person in people])
    gains = (moves * deviation).sum((1, 2)) / deviation.square().sum()
    cosines = torch.nn.functional.cosine_similarity(moves.flatten(1), deviation.flatten()[None])
    assert abs(gains.mean() - 1) < 0.05
    assert cosines.min() > 0.95
    assert (moves[0] - moves[1]).abs().max() > 1e-3


def test_content_and_style_codes_of_a_translation_are_those_that_went_in(model, shipped):
    """Explicit disentanglement, on faces not seen in training, against how far codes of different faces are apart."""
    space, network = shipped.trained.space, shipped.trained.network
    people = draw_people(model, 20, 30)
    styles = torch.stack([draw_deviation(model, seed, 0.12) for seed in range(50, 70)])
    content, style = network.encode_normal(space.encode(people)), network.style_code(space.encode(styles))
    translated = network.combine(content, style)
    found = torch.cdist(network.encode_content(translated), content).argmin(1)
    content_error = (network.encode_content(translated) - content).norm(dim=1).mean() / torch.pdist(content).mean()
    style_error = (network.style_code(translated) - style).norm(dim=1).mean() / torch.pdist(style).mean()
    assert (found == torch.arange(20)).float().mean() > 0.8, found
    assert content_error < 0.75
    assert style_error < 0.4


def test_depth_follows_what_the_model_knows(model):
    """Heads of the model: frontal deviation in, their own depth out better than the mean's."""
    generator, mean = torch.Generator().manual_seed(1), mean_face(model)
    guessed, plain = [], []
    for _ in range(20):
        identity = torch.randn(len(model.identity_basis), generator=generator)
        vertices = model.mean + torch.einsum("k,knd->nd", identity, model.identity_basis)
        points = model.landmarks68.positions(vertices, model.faces)
        _aligned, linear = align_to(points[:, :2], mean)
        flat = model.landmarks68.positions(model.mean, model.faces)
        unit = (flat[45, :2] - flat[36, :2]).norm()
        depth = linear.det().sqrt() * (points[:, 2] - points[:, 2].mean()) - (flat[:, 2] - flat[:, 2].mean()) / unit
        guessed.append((predict_depth(measure_deviation(points[:, :2], mean), model) - depth).norm())
        plain.append(depth.norm())
    assert np.mean(guessed) < 0.85 * np.mean(plain)


def test_depth_of_the_paper_scales_with_the_bounding_box():
    points, depth = torch.randn(68, 2), torch.randn(68)
    torch.testing.assert_close(scale_depth(points, 0.5 * points, depth), 0.5 * (depth - depth.mean()))


def test_displacements_that_fold_nothing_are_left_alone(model):
    mean, deviation = mean_face(model), draw_deviation(model, 8, 0.03)
    torch.testing.assert_close(prevent_foldover(mean, deviation), deviation)


def test_a_mouth_driven_over_the_nose_is_held_back(model):
    mean = mean_face(model)
    moved = torch.zeros(68, 2)
    moved[48:68, 1] = 0.6
    held = prevent_foldover(mean, moved)
    assert (mean + moved)[51, 1] > (mean + moved)[33, 1]
    assert (mean + held)[51, 1] < (mean + held)[33, 1]
    assert held[48:68, 1].min() > 0.1


def draw_turned_heads(model, yaw_deg, count=20):
    """Landmarks of enlarged heads of the model, their deviations, true depth beyond the mean's, and a view."""
    generator, mean = torch.Generator().manual_seed(4), mean_face(model)
    flat = model.landmarks68.positions(model.mean, model.faces)
    unit = outer_eye_distance(flat[:, :2])
    for _ in range(count):
        identity = 2 * torch.randn(len(model.identity_basis), generator=generator)
        vertices = model.mean + torch.einsum("k,knd->nd", identity, model.identity_basis)
        points = model.landmarks68.positions(vertices, model.faces)
        size = align_to(points[:, :2], mean)[1].det().sqrt()
        depth = size * (points[:, 2] - points[:, 2].mean()) - (flat[:, 2] - flat[:, 2].mean()) / unit
        yield points, measure_deviation(points[:, :2], mean), depth, rotation_from_yaw_pitch(yaw_deg, 0.0)


def test_a_face_seen_from_the_side_shows_its_depth(model):
    shown, predicted = [], []
    for points, deviation, depth, rotation in draw_turned_heads(model, 35.0):
        guess = predict_depth(deviation, model)
        predicted.append((guess - depth).norm())
        turned, beyond = turn_to_front(points, deviation, rotation, model)
        shown.append((predict_depth(turned, model) + beyond - depth).norm())
    assert np.mean(shown) < 0.7 * np.mean(predicted)


def test_a_face_seen_from_the_front_shows_none(model):
    points, deviation, _depth, rotation = next(draw_turned_heads(model, 0.0))
    turned, beyond = turn_to_front(points, deviation, rotation, model)
    assert beyond.abs().max() < 1e-5
    assert (turned - deviation).abs().max() < 1e-3


def test_a_chin_that_comes_forward_is_not_put_to_one_side(model):
    """Seen from the side it is drawn beside the face; faces are symmetric, so it stands out."""
    points, mean = model.landmarks68.positions(model.mean, model.faces), mean_face(model)
    rotation = rotation_from_yaw_pitch(35.0, 0.0)
    unit, chin = outer_eye_distance(points[:, :2]), list(range(5, 12))
    drawn = points.clone()
    drawn[chin, 2] += 0.2 * unit
    # What a fit that knows nothing of this makes of the drawing: moved in its plane.
    in_view = (drawn - points) @ rotation.mT * torch.tensor([1.0, 1.0, 0.0])
    frontal = points + in_view @ rotation
    seen = measure_deviation(frontal[:, :2], mean)
    turned, beyond = turn_to_front(frontal, seen, rotation, model)
    assert seen[chin, 0].mean().abs() > 0.05
    assert turned[chin, 0].mean().abs() < 0.4 * seen[chin, 0].mean().abs()
    assert (predict_depth(turned, model) + beyond)[chin].mean() > 0.05


def test_shown_depth_moves_the_sitter_along_its_axis_only(model, sitter):
    direct = DirectTranslator()
    depth = torch.linspace(-0.1, 0.1, 68)
    deviation = draw_deviation(model, 6, 0.03)

    def translate(strength, *exemplars):
        return translate_landmarks(sitter, exemplars, model, direct, GeometryConfig(strength=strength))

    plain, with_depth = ShapeExemplar(deviation), ShapeExemplar(deviation, depth=depth)
    added = translate(1.0, with_depth) - translate(1.0, plain)
    assert added[:, :2].abs().max() < 1e-7
    assert (added[:, 2] * depth >= 0).all()
    assert added[:, 2].abs().max() > 0.005
    torch.testing.assert_close(translate(0.5, with_depth) - translate(0.5, plain), 0.5 * added, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        translate(1.0, with_depth, plain) - translate(1.0, plain), 0.5 * added, atol=1e-6, rtol=0
    )
