"""What was sculpted or painted elsewhere comes back, what was not is the same bit for bit, and all still moves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import add_layers, make_head, make_marked_head
from portraitist import GlbForm, InputError, import_glb, save_head, subdivide_head, write_glb
from portraitist.export.gltf_buffer import split_at_uv_seams
from portraitist.export.profiles import PROFILES
from portraitist.export.provenance import UNSIGNED
from portraitist.types import EXPRESSION_NAMES, Head

JAW = EXPRESSION_NAMES.index("jawOpen")
GLBS = [name for name, profile in PROFILES.items() if profile.suffix == ".glb"]


@pytest.fixture(scope="module")
def layered() -> Head:
    """Its texture in whole 255ths, as those of all results are."""
    head = add_layers(make_marked_head(64))
    layers = [dataclasses.replace(layer, texture=(255 * layer.texture).round() / 255) for layer in head.layers]
    return dataclasses.replace(head, texture=(255 * head.texture).round() / 255, layers=tuple(layers))


def sculpt(head: Head, *, deltas_follow: bool = True) -> Head:
    """A chin pulled down by up to 2 cm. Of the file only the base shape, targets and textures are read."""
    chin = head.landmarks68.positions(head.neutral, head.mesh.faces)[8]
    share = (1 - (head.neutral - chin).norm(dim=1) / 0.05).clamp(0, 1)
    way = share[:, None] * torch.tensor([0.0, -0.02, 0.005])
    neutral = head.neutral + way
    deltas = head.expression_deltas if deltas_follow else head.expression_deltas - way
    mesh = head.mesh.with_vertices(neutral + torch.einsum("e,end->nd", head.expression, deltas))
    return dataclasses.replace(head, neutral=neutral, expression_deltas=deltas, mesh=mesh)


def relax(head: Head) -> Head:
    """Without expression: that of layers follows from the skin next to them, and so from where they lie."""
    return dataclasses.replace(head, expression=0 * head.expression, mesh=head.mesh.with_vertices(head.neutral))


def assert_same(got: Head, expected: Head) -> None:
    for field in ("neutral", "expression", "expression_deltas", "texture", "original"):
        assert torch.equal(getattr(got, field), getattr(expected, field)), field
    assert torch.equal(got.mesh.vertices, expected.mesh.vertices)
    assert [layer.name for layer in got.layers] == [layer.name for layer in expected.layers]
    for mine, own in zip(got.layers, expected.layers, strict=True):
        assert torch.equal(mine.mesh.vertices, own.mesh.vertices)
        assert torch.equal(mine.texture, own.texture)


@pytest.mark.parametrize("profile", [name for name in GLBS if name != "web"])
def test_an_untouched_file_gives_the_head_itself(profile: str, layered: Head, tmp_path: Path):
    PROFILES[profile].write(tmp_path / "head.glb", layered, provenance=UNSIGNED)
    assert_same(import_glb(tmp_path / "head.glb", layered), layered)


def test_of_a_web_file_only_the_textures_differ(layered: Head, tmp_path: Path):
    PROFILES["web"].write(tmp_path / "head.glb", layered, provenance=UNSIGNED)
    got = import_glb(tmp_path / "head.glb", layered)
    assert (got.texture - layered.texture).abs().mean() < 0.05
    same = [
        dataclasses.replace(mine, texture=own.texture) for mine, own in zip(got.layers, layered.layers, strict=True)
    ]
    assert_same(dataclasses.replace(got, texture=layered.texture, layers=tuple(same)), layered)


@pytest.mark.parametrize("follow", [True, False])
def test_a_sculpted_shape_comes_back(follow: bool, layered: Head, tmp_path: Path):
    """Whether or not the program moved the shape keys with it."""
    sculpted = sculpt(layered, deltas_follow=follow)
    write_glb(tmp_path / "head.glb", sculpted)
    got = import_glb(tmp_path / "head.glb", layered)
    moved = (sculpted.neutral - layered.neutral).norm(dim=1)
    assert moved.max() > 0.01
    assert (got.neutral - sculpted.neutral).norm(dim=1).max() < 3e-5
    assert torch.equal(got.neutral[moved == 0], layered.neutral[moved == 0])
    assert torch.equal(got.original, layered.original)
    save_head(tmp_path / "head.safetensors", got)  # which checks that it is one
    # The chin goes down with the jaw as it did, turned and scaled as its place was.
    chin = moved > 0.5 * moved.max()
    before, after = (each.expression_deltas[JAW, chin].norm(dim=1) for each in (layered, got))
    assert (after - before).abs().max() < 0.3 * before.max()
    far = (moved == 0) & ((layered.neutral[:, 1] - layered.neutral[:, 1].amax()).abs() < 0.05)
    assert (got.expression_deltas[:, far] - layered.expression_deltas[:, far]).abs().max() < 1e-4


def test_a_sculpted_shape_key_comes_back(layered: Head, tmp_path: Path):
    deltas = layered.expression_deltas.clone()
    deltas[JAW] *= 1.3
    mesh = layered.mesh.with_vertices(layered.neutral + torch.einsum("e,end->nd", layered.expression, deltas))
    write_glb(tmp_path / "head.glb", dataclasses.replace(layered, expression_deltas=deltas, mesh=mesh))
    got = import_glb(tmp_path / "head.glb", layered)
    assert (got.expression_deltas[JAW] - deltas[JAW]).abs().max() < 1e-6
    others = torch.arange(len(EXPRESSION_NAMES)) != JAW
    assert torch.equal(got.expression_deltas[others], layered.expression_deltas[others])
    assert (got.mesh.vertices - got.posed(got.expression)).abs().max() < 1e-6


def test_a_sculpted_shape_key_on_a_sculpted_shape_that_the_keys_did_not_follow(layered: Head, tmp_path: Path):
    """The move of the base shape is told from that of the key."""
    sculpted = sculpt(layered, deltas_follow=False)
    deltas = sculpted.expression_deltas.clone()
    deltas[JAW] += 0.3 * layered.expression_deltas[JAW]
    write_glb(tmp_path / "head.glb", dataclasses.replace(sculpted, expression_deltas=deltas))
    got = import_glb(tmp_path / "head.glb", layered)
    assert (got.expression_deltas[JAW] - 1.3 * layered.expression_deltas[JAW]).norm(dim=1).max() < 3e-5


def test_vertices_may_come_in_any_order(layered: Head, tmp_path: Path):
    """Numbers of vertices and triangles at random: they are known by their UVs."""
    sculpted, generator = sculpt(layered), torch.Generator().manual_seed(1)

    def shuffle(mesh):
        order = torch.randperm(len(mesh.vertices), generator=generator)
        faces = torch.randperm(len(mesh.faces), generator=generator)
        new = dataclasses.replace(
            mesh,
            vertices=mesh.vertices[order],
            faces=order.argsort()[mesh.faces[faces]],
            uv_faces=mesh.uv_faces[faces],
            regions=mesh.regions[faces],
        )
        return new, order

    mesh, order = shuffle(sculpted.mesh)
    layers = []
    for layer in sculpted.layers:
        own, own_order = shuffle(layer.mesh)
        layers.append(dataclasses.replace(layer, mesh=own, original=layer.original[own_order]))
    shuffled = dataclasses.replace(
        sculpted,
        mesh=mesh,
        neutral=sculpted.neutral[order],
        expression_deltas=sculpted.expression_deltas[:, order],
        original=sculpted.original[order],
        layers=tuple(layers),
    )
    write_glb(tmp_path / "head.glb", shuffled)
    got = import_glb(tmp_path / "head.glb", layered)
    assert (got.neutral - sculpted.neutral).norm(dim=1).max() < 3e-5
    for mine, own in zip(got.layers, layered.layers, strict=True):
        assert (mine.mesh.vertices - own.mesh.vertices).norm(dim=1).max() < 3e-5


def test_a_file_without_targets_may_show_the_expression(layered: Head, tmp_path: Path):
    """As programs without morph targets write it; or the neutral shape, which others keep."""
    still = dataclasses.replace(layered, expression=0 * layered.expression, layers=())
    head = dataclasses.replace(layered, layers=())
    for name, shape in (("shown", head.mesh.vertices), ("neutral", head.neutral)):
        other = dataclasses.replace(still, mesh=head.mesh.with_vertices(shape), neutral=shape)
        path = tmp_path / f"{name}.glb"
        write_glb(path, other)
        path.write_bytes(path.read_bytes().replace(b'"targetNames"', b'"otherNames_"'))
        assert_same(import_glb(path, head), head)


def test_repainted_textures_of_any_size_come_back(layered: Head, tmp_path: Path):
    texture, hair = torch.rand(3, 128, 128), torch.rand(3, 48, 48)
    first, second = layered.layers
    painted = dataclasses.replace(layered, texture=texture, layers=(dataclasses.replace(first, texture=hair), second))
    write_glb(tmp_path / "head.glb", painted, GlbForm(textures_beside=True))
    got = import_glb(tmp_path / "head.glb", layered)
    assert (got.texture - texture).abs().max() <= 0.51 / 255
    assert (got.layers[0].texture - hair).abs().max() <= 0.51 / 255
    assert torch.equal(got.layers[1].texture, second.texture)
    assert torch.equal(got.mesh.vertices, layered.mesh.vertices)


def test_a_moved_layer_comes_back_and_a_deleted_one_stays_away(layered: Head, tmp_path: Path):
    layered = relax(layered)
    first, _ = layered.layers
    higher = dataclasses.replace(first, mesh=first.mesh.with_vertices(first.mesh.vertices + torch.tensor([0, 0.01, 0])))
    write_glb(tmp_path / "head.glb", dataclasses.replace(layered, layers=(higher,)))
    got = import_glb(tmp_path / "head.glb", layered)
    assert [layer.name for layer in got.layers] == ["hair"]
    assert (got.layers[0].mesh.vertices - higher.mesh.vertices).norm(dim=1).max() < 3e-5


def test_a_subdivided_head_keeps_its_blendshapes(layered: Head, tmp_path: Path):
    fine = subdivide_head(dataclasses.replace(layered, layers=()))
    sculpted = sculpt(fine)
    write_glb(tmp_path / "head.glb", sculpted)
    got = import_glb(tmp_path / "head.glb", fine)
    assert (got.neutral - sculpted.neutral).norm(dim=1).max() < 3e-5
    assert torch.equal(got.expression_deltas, fine.expression_deltas)


def test_both_sides_of_a_layer_are_told_apart(tmp_path: Path):
    """They may share UVs, one of them turned over."""
    head = relax(make_head())
    shell = add_layers(head).layers[0]
    inner = shell.mesh.vertices * 0.9
    count = len(inner)
    mesh = dataclasses.replace(
        shell.mesh,
        vertices=torch.cat([shell.mesh.vertices, inner]),
        faces=torch.cat([shell.mesh.faces, shell.mesh.faces.flip(1) + count]),
        uv_faces=torch.cat([shell.mesh.uv_faces, shell.mesh.uv_faces.flip(1)]),
        regions=shell.mesh.regions.repeat(2),
    )
    layer = dataclasses.replace(shell, mesh=mesh, original=mesh.vertices)
    both = dataclasses.replace(head, layers=(layer,))
    higher = dataclasses.replace(layer, mesh=mesh.with_vertices(mesh.vertices + torch.tensor([0, 0.01, 0])))
    write_glb(tmp_path / "head.glb", dataclasses.replace(both, layers=(higher,)))
    got = import_glb(tmp_path / "head.glb", both)
    assert (got.layers[0].mesh.vertices - higher.mesh.vertices).norm(dim=1).max() < 1e-4
    assert len(split_at_uv_seams(mesh)[0]) > len(split_at_uv_seams(shell.mesh)[0])


def test_what_is_no_edit_of_this_head_is_refused(layered: Head, tmp_path: Path):
    bare = dataclasses.replace(layered, layers=())
    fewer = dataclasses.replace(
        bare.mesh, faces=bare.mesh.faces[1:], uv_faces=bare.mesh.uv_faces[1:], regions=bare.mesh.regions[1:]
    )
    turned = dataclasses.replace(bare.mesh, faces=bare.mesh.faces.flip(1), uv_faces=bare.mesh.uv_faces.flip(1))
    shifted = dataclasses.replace(bare.mesh, uvs=0.9 * bare.mesh.uvs)
    for name, edited, reason in (
        ("fewer", dataclasses.replace(bare, mesh=fewer), "1 are missing, so its topology was changed"),
        ("turned", dataclasses.replace(bare, mesh=turned), "topology was changed"),
        ("shifted", dataclasses.replace(bare, mesh=shifted), "UVs that the head does not have"),
        ("ball", make_head(), "UVs that the head does not have|topology was changed"),
        ("inches", dataclasses.replace(bare, neutral=39.37 * bare.neutral), "39.4 times as large"),
    ):
        write_glb(tmp_path / f"{name}.glb", edited)
        with pytest.raises(InputError, match=reason):
            import_glb(tmp_path / f"{name}.glb", bare)
    path = tmp_path / "renamed.glb"
    write_glb(path, bare)
    path.write_bytes(path.read_bytes().replace(b'"Head"', b'"Haed"'))
    with pytest.raises(InputError, match=r"no mesh called Head .*Haed"):
        import_glb(path, bare)


def test_every_number_is_finite_where_a_vertex_has_no_triangle(tmp_path: Path):
    head = make_head()
    loose = torch.zeros(1, 3)
    add = {
        "neutral": torch.cat([head.neutral, loose]),
        "expression_deltas": torch.cat([head.expression_deltas, torch.zeros(52, 1, 3)], dim=1),
        "original": torch.cat([head.original, loose]),
        "mesh": head.mesh.with_vertices(torch.cat([head.mesh.vertices, loose])),
    }
    head = dataclasses.replace(head, **add)
    write_glb(tmp_path / "head.glb", dataclasses.replace(head, neutral=head.neutral * 1.05))
    got = import_glb(tmp_path / "head.glb", head)
    assert np.isfinite(got.neutral.numpy()).all()
    assert torch.equal(got.neutral[-1:], loose)
