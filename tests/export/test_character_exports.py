"""Somebody with a body in every program's file: on their bones, moving, without a seam at the neck."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gl
import pytest
import torch
from scipy.spatial.transform import Rotation

from body.people import make_person
from conftest import make_layer
from export.gltf_validator import assert_valid, needs_validator
from metrics.gltf_motion import MovingGlb, measure_knees, measure_loop, measure_seam, measure_slide
from portraitist import InputError, import_glb, save_animation
from portraitist.apps.animated_head import AnimatedHead
from portraitist.body.body_model import load_body_model
from portraitist.body.clips import CLIP_NAMES
from portraitist.body.posing import SIDES, build_rig, place_joints, to_world
from portraitist.body.skeleton import CONVENTIONS, JOINT_NAMES
from portraitist.body.skin import find_joints
from portraitist.body.standing import stand
from portraitist.export.body_joints import list_clips
from portraitist.export.glb import GlbForm, write_glb
from portraitist.export.profiles import PROFILES
from portraitist.export.provenance import UNSIGNED
from portraitist.export.solid import build_solid
from portraitist.export.usd import import_usd, write_usdz
from portraitist.export.vrm import write_vrm
from portraitist.io.glb_file import read_glb
from portraitist.types import EXPRESSION_NAMES, Head

GLBS = [name for name, profile in PROFILES.items() if profile.suffix == ".glb"]
OWN_NAMES = {"web": "vrm", "blender": "standard", "unity": "mixamo", "unreal": "game-engine"}
FORMS: dict[str, dict[str, Any]] = {
    "all": {"visemes": True, "morph_normals": True, "looks": ("unlit", "lit", "toon")},
    "compressed": {"quantized": True, "compressed": True},
}


@pytest.fixture(scope="module")
def head() -> Head:
    person = make_person()
    return dataclasses.replace(person, layers=(make_layer(person), *person.layers))


@pytest.fixture(scope="module")
def files(head: Head, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("character")
    paths = {name: folder / f"{name}{PROFILES[name].suffix}" for name in GLBS}
    for name, path in paths.items():
        PROFILES[name].write(path, head, provenance=UNSIGNED)
    for name, options in FORMS.items():
        paths[name] = folder / f"{name}.glb"
        write_glb(paths[name], head, GlbForm(**options))
    paths["plain"] = folder / "plain.glb"
    write_glb(paths["plain"], head)
    paths["vrm"] = folder / "person.vrm"
    write_vrm(paths["vrm"], head)
    return paths


@needs_validator
@pytest.mark.parametrize("name", [*GLBS, *FORMS, "plain", "vrm"])
def test_the_validator_finds_nothing(files: dict[str, Path], name: str):
    assert_valid(files[name])


@pytest.mark.parametrize("name", GLBS)
def test_all_hangs_on_the_bones_of_the_body(files: dict[str, Path], head: Head, name: str):
    file = gl.GLTF2().load(str(files[name]))
    (skin,) = file.skins
    assert [file.nodes[joint].name for joint in skin.joints] == list(CONVENTIONS[OWN_NAMES[name]])
    assert {node.name for node in file.nodes if node.mesh is not None} == {"Head", "Hair", "Body", "Clothes"}
    assert all(node.skin == 0 for node in file.nodes if node.mesh is not None)
    moving = MovingGlb(files[name])
    joints = find_joints(stand(head)).numpy()
    rest = moving.turn_joints("idle", np.zeros(1))[0, 0, :3, 3]
    assert np.linalg.norm(rest - joints[0]) < 0.05, "the hips are where they were, but for how somebody stands"
    for clip in CLIP_NAMES:
        assert measure_loop(moving, clip) < 1e-6


def test_bones_are_called_as_asked(head: Head, tmp_path: Path):
    for convention, names in CONVENTIONS.items():
        PROFILES["web"].write(tmp_path / "head.glb", head, provenance=UNSIGNED, bones=convention)
        assert MovingGlb(tmp_path / "head.glb").list_joints() == list(names)
    with pytest.raises(InputError, match="'biped'"):
        PROFILES["web"].write(tmp_path / "other.glb", head, provenance=UNSIGNED, bones="biped")
    assert not (tmp_path / "other.glb").exists()


def test_at_rest_it_is_the_person_who_stands(files: dict[str, Path], head: Head):
    standing = stand(head)
    neutral = [standing.neutral, *(layer.mesh.vertices for layer in standing.layers)]
    for name, tolerance in {"plain": 1e-5, "unity": 1e-5, "web": 1e-4}.items():
        parts = read_glb(files[name])
        for part, vertices in zip(("Head", "Hair", "Body", "Clothes"), neutral, strict=True):
            low, high = parts[part].positions.min(0), parts[part].positions.max(0)
            used = vertices if part != "Body" else vertices[torch.from_numpy(load_body_model().skin_faces).unique()]
            if part == "Hair":  # moves with expressions
                continue
            np.testing.assert_allclose(low, used.amin(0), atol=tolerance)
            np.testing.assert_allclose(high, used.amax(0), atol=tolerance)


@pytest.mark.parametrize("name", ["plain", "web"])
def test_there_is_no_seam_at_the_neck(files: dict[str, Path], name: str):
    glb = MovingGlb(files[name])
    for clip in CLIP_NAMES:
        gap, angle, count = measure_seam(glb, clip)
        assert count >= len(load_body_model().ring)
        assert gap < (1e-6 if name == "plain" else 1e-4)
        assert angle < 5


def test_there_is_no_seam_under_any_morph(files: dict[str, Path]):
    """Also the unstylized shape, into which a slider takes it."""
    parts = read_glb(files["plain"])
    ring, own = parts["Body"].positions, parts["Head"]
    apart = np.linalg.norm(own.positions[:, None] - ring[None, ring[:, 1] > ring[:, 1].max() - 0.1], axis=2)
    shared = np.argwhere(apart < 1e-6)
    assert len(shared) >= len(load_body_model().ring)
    above = np.flatnonzero(ring[:, 1] > ring[:, 1].max() - 0.1)
    for name in EXPRESSION_NAMES:
        moves = parts["Body"].morphs.get(name, np.zeros_like(ring))[above][shared[:, 1]]
        np.testing.assert_allclose(own.morphs[name][shared[:, 0]], moves, atol=2e-5)


@pytest.mark.parametrize("name", ["plain", "web"])
def test_feet_do_not_slide_and_knees_do_not_snap(files: dict[str, Path], name: str):
    """On the written file, between its keys, too."""
    glb = MovingGlb(files[name])
    assert tuple(glb.clips) == CLIP_NAMES
    assert glb.find_speed("walk") > 0.5
    for clip in CLIP_NAMES:
        slide, depth = measure_slide(glb, clip, "Clothes")
        assert slide < (0.01 if clip == "walk" else 0.002), clip
        assert depth < 0.002, clip
        assert measure_knees(glb, clip) < 500, clip


def test_slides_and_jumps_would_be_seen(files: dict[str, Path]):
    """The measures themselves: over ground of another speed feet slide, in half a loop things end elsewhere."""
    glb = MovingGlb(files["plain"])
    clip = next(each for each in glb.tree["animations"] if each["name"] == "walk")
    clip["extras"]["speed_m_per_s"] *= 1.1
    assert measure_slide(glb, "walk", "Clothes")[0] > 0.02
    glb.clips["walk"] /= 2
    assert measure_loop(glb, "walk") > 0.1
    glb.parts["Body"].positions[:] += 5e-5
    assert measure_seam(glb, "idle")[0] > 5e-5


def test_only_what_moves_has_targets(files: dict[str, Path]):
    file = gl.GLTF2().load(str(files["unity"]))
    names = {mesh.name: (mesh.extras or {}).get("targetNames", []) for mesh in file.meshes}
    assert names["Head"] == names["Hair"] == [*EXPRESSION_NAMES, "originalShape"]
    assert set(names["Body"]) | set(names["Clothes"]) <= {"originalShape"}
    assert all(len(mesh.weights or []) == len(names[mesh.name]) for mesh in file.meshes)


def test_expressions_play_on_top_of_the_own_one(files: dict[str, Path], head: Head):
    glb = MovingGlb(files["plain"])
    clips = {clip.name: clip for clip in list_clips(stand(head))}
    own = head.expression.numpy()
    for name in ("idle", "wave", "head_turn"):
        stored = next(clip for clip in glb.tree["animations"] if clip["name"] == name)
        channels = [each for each in stored["channels"] if each["target"]["path"] == "weights"]
        assert {glb.tree["nodes"][each["target"]["node"]]["name"] for each in channels} == {"Head", "Hair"}
        sampler = stored["samplers"][channels[0]["sampler"]]
        times = glb.read(sampler["input"])[:, 0]
        values = glb.read(sampler["output"]).reshape(len(times), -1)[:, :52]
        expected = np.clip(clips[name].weights + own, 0, 1)
        nearest = np.abs(clips[name].times[:, None] - times).argmin(0)
        np.testing.assert_allclose(values, expected[nearest], atol=1e-6)
    walk = next(clip for clip in glb.tree["animations"] if clip["name"] == "walk")
    assert all(each["target"]["path"] != "weights" for each in walk["channels"])


def test_a_vrm_rests_in_a_t_on_its_own_bones(files: dict[str, Path], head: Head):
    file = gl.GLTF2().load_binary(str(files["vrm"]))
    bones = file.extensions["VRMC_vrm"]["humanoid"]["humanBones"]
    assert {name: file.nodes[bone["node"]].name for name, bone in bones.items()} == {name: name for name in JOINT_NAMES}
    assert not file.animations
    places, open_nodes = {}, [(node, np.zeros(3)) for node in file.scenes[0].nodes]
    while open_nodes:
        number, above = open_nodes.pop()
        places[file.nodes[number].name] = above + np.array(file.nodes[number].translation or [0, 0, 0])
        open_nodes += [(child, places[file.nodes[number].name]) for child in file.nodes[number].children or []]
    for side, sign in SIDES.items():
        arm = places[f"{side}Hand"] - places[f"{side}UpperArm"]
        assert sign * arm[0] / np.linalg.norm(arm) > 0.999
    lows = [file.accessors[mesh.primitives[0].attributes.POSITION].min for mesh in file.meshes]
    highs = [file.accessors[mesh.primitives[0].attributes.POSITION].max for mesh in file.meshes]
    assert np.min(lows, 0)[1] == pytest.approx(0, abs=1e-5)
    assert np.max(highs, 0)[0] == pytest.approx(-np.min(lows, 0)[0], rel=0.02)
    assert np.max(highs, 0)[0] * 2 == pytest.approx(head.height, rel=0.15), "as far as the arms reach"


def test_a_reenactment_turns_the_head_alone(head: Head, tmp_path: Path):
    turns = Rotation.from_euler("y", [[0], [30]], degrees=True).as_matrix()
    weights = torch.zeros(2, 52)
    weights[1, EXPRESSION_NAMES.index("jawOpen")] = 1.0
    path = tmp_path / "moved.glb"
    save_animation(path, head, torch.tensor([0.0, 1.0]), weights, torch.from_numpy(turns).float())
    glb = MovingGlb(path)
    assert [*glb.clips] == ["Reenactment"]
    before, after = (glb.move("Reenactment", np.array([time]), "Head")[0] for time in (0.0, 1.0))
    crown = before[:, 1] > before[:, 1].max() - 0.05
    pivot = find_joints(stand(head)).numpy()[JOINT_NAMES.index("head")]
    np.testing.assert_allclose(after[crown] - pivot, (before[crown] - pivot) @ turns[1].T, atol=1e-4)
    body = [glb.move("Reenactment", np.array([time]), "Clothes")[0] for time in (0.0, 1.0)]
    assert np.abs(body[1] - body[0]).max() < 1e-3
    arms = stand(head).layers[2].mesh.vertices[:, 0].max()
    assert body[0][:, 0].max() < 0.8 * float(arms), "arms hang"
    film = AnimatedHead(head, 64)
    still, turned = (film.draw(weights[0].numpy(), turn).astype(int) for turn in turns)
    moved = np.abs(turned - still).max(2) > 30
    assert moved[:32].any()
    assert not moved[-12:].any(), "shoulders stay"


def test_an_obj_stands_as_tall_as_the_person(head: Head, tmp_path: Path):
    PROFILES["obj"].write(tmp_path / "person.obj", head, provenance=UNSIGNED)
    text = (tmp_path / "person.obj").read_text()
    heights = [float(line.split()[2]) for line in text.splitlines() if line.startswith("v ")]
    assert min(heights) == pytest.approx(0, abs=1e-5)
    assert [line[2:] for line in text.splitlines() if line.startswith("o ")] == ["head", "hair", "body", "clothes"]
    assert head.height is not None
    assert max(heights) > head.height - 1e-3


def test_a_print_is_one_body_with_feet(head: Head):
    solid = build_solid(dataclasses.replace(head, layers=head.layers[1:]), 60.0)
    assert solid.vertices[:, 2].min() == pytest.approx(0, abs=1e-6)
    lowest = solid.vertices[solid.vertices[:, 2] < 1.0]
    assert lowest[:, 0].min() < -1 < 1 < lowest[:, 0].max(), "two feet"
    assert solid.lost_mm3 < 1


@pytest.mark.parametrize("name", ["blender", "unity", "plain"])
def test_an_untouched_file_comes_back_as_the_person(files: dict[str, Path], head: Head, name: str):
    """Into head space, from the ground on which files have them."""
    got = import_glb(files[name], head)
    assert got.height == head.height
    assert torch.equal(got.neutral, head.neutral)
    assert torch.equal(got.expression_deltas, head.expression_deltas)
    for mine, own in zip(got.layers, head.layers, strict=True):
        assert torch.equal(mine.mesh.vertices, own.mesh.vertices), mine.name


def test_usd_holds_the_skeleton_and_all_motions(head: Head, tmp_path: Path):
    usd = import_usd()
    write_usdz(tmp_path / "person.usdz", head)
    stage = usd.Usd.Stage.Open(str(tmp_path / "person.usdz"))
    skeleton = usd.UsdSkel.Skeleton.Get(stage, "/Portrait/Skeleton")
    paths = list(skeleton.GetJointsAttr().Get())
    assert [path.rsplit("/")[-1] for path in paths] == list(JOINT_NAMES)
    assert all(path.rsplit("/", 1)[0] in paths for path in paths[1:])
    clips = {clip.name: clip for clip in list_clips(stand(head))}
    animations = {name: usd.UsdSkel.Animation.Get(stage, f"/Portrait/Skeleton/{name}") for name in clips}
    for name, animation in animations.items():
        codes = animation.GetRotationsAttr().GetTimeSamples()
        np.testing.assert_allclose(codes, 30 * clips[name].times, atol=1e-6)
    # UsdSkel's own skinning of the idle pose is ours.
    cache = usd.UsdSkel.Cache()
    root = usd.UsdSkel.Root.Get(stage, "/Portrait")
    cache.Populate(root, usd.Usd.PrimDefaultPredicate)
    query = cache.GetSkelQuery(skeleton)
    code = 60.0
    transforms = np.array(query.ComputeSkinningTransforms(code))
    rig = build_rig(find_joints(stand(head)).numpy().astype(float))
    turns = to_world(clips["idle"].turns[60:61])
    places = place_joints(rig, turns, clips["idle"].hips[60:61])
    np.testing.assert_allclose(transforms[:, :3, :3].swapaxes(1, 2), turns[0], atol=1e-4)
    np.testing.assert_allclose(
        transforms[:, 3, :3], places[0] - np.einsum("jab,jb->ja", turns[0], rig.joints), atol=1e-4
    )
    cloth = usd.UsdSkel.BindingAPI(stage.GetPrimAtPath("/Portrait/Clothes"))
    shares = np.array(cloth.GetJointWeightsPrimvar().Get()).reshape(-1, 4)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
    assert len(shares) == len(head.layers[2].mesh.vertices)
