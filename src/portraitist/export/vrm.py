"""A head as VRM 1.0 avatar, for programs that move it by a camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gl
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.body.standing import BODY_LAYERS, has_body, shift_head
from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import InputError
from portraitist.export.body_joints import stand_in_t
from portraitist.export.combinations import VISEMES, list_actions
from portraitist.export.glb import GlbForm, build_parts, save_gltf
from portraitist.export.gltf_buffer import add_view
from portraitist.export.gltf_materials import TextureStore
from portraitist.export.gltf_parts import ORIGINAL_SHAPE, list_parts
from portraitist.export.mtoon import MTOON, add_mtoon, find_stroke_width
from portraitist.export.neck_joint import measure_neck
from portraitist.export.provenance import UNSIGNED, Provenance
from portraitist.export.skin import Joint, add_skin
from portraitist.io.images import encode_png
from portraitist.rendering.cameras import head_camera
from portraitist.rendering.sampling import render
from portraitist.rendering.shader_math import smoothstep
from portraitist.types import EXPRESSION_NAMES, REGIONS, Head

VRM = "VRMC_vrm"
LICENSE = "https://vrm.dev/licenses/1.0/"  # the one that VRM 1.0 knows; the terms below are its settings
THUMBNAIL_PX = 256
SHOULDERS_M = 1.38  # height of the lower end of the neck above the ground: of a grown-up
EYE_POINTS = slice(36, 48)  # of the 68
UNKNOWN = "unknown"  # author, where none is given: VRM demands one

BODY = {
    "hips": (None, (0.0, 0.92, 0.0)),
    "spine": ("hips", (0.0, 1.02, 0.0)),
    "chest": ("spine", (0.0, 1.15, 0.0)),
    "leftUpperLeg": ("hips", (0.09, 0.88, 0.0)),
    "leftLowerLeg": ("leftUpperLeg", (0.09, 0.48, 0.0)),
    "leftFoot": ("leftLowerLeg", (0.09, 0.08, 0.0)),
    "rightUpperLeg": ("hips", (-0.09, 0.88, 0.0)),
    "rightLowerLeg": ("rightUpperLeg", (-0.09, 0.48, 0.0)),
    "rightFoot": ("rightLowerLeg", (-0.09, 0.08, 0.0)),
    "leftUpperArm": ("chest", (0.16, 1.32, 0.0)),
    "leftLowerArm": ("leftUpperArm", (0.43, 1.32, 0.0)),
    "leftHand": ("leftLowerArm", (0.68, 1.32, 0.0)),
    "rightUpperArm": ("chest", (-0.16, 1.32, 0.0)),
    "rightLowerArm": ("rightUpperArm", (-0.43, 1.32, 0.0)),
    "rightHand": ("rightLowerArm", (-0.68, 1.32, 0.0)),
}
"""The bones that VRM demands of everybody, arms stretched out: parent, and meters above the ground, x to the avatar's
left. Neck and head come from the head itself."""

TERMS: dict[str, dict[str, Any]] = {
    "author": {
        "avatarPermission": "onlyAuthor",
        "commercialUsage": "personalNonProfit",
        "creditNotation": "required",
        "allowRedistribution": False,
        "modification": "prohibited",
    },
    "everyone": {
        "avatarPermission": "everyone",
        "commercialUsage": "corporation",
        "creditNotation": "required",
        "allowRedistribution": True,
        "modification": "allowModificationRedistribution",
    },
}
"""Who may use the avatar, by names of ours. None of them allows to discredit the person it shows."""

NEVER = (
    "allowExcessivelyViolentUsage",
    "allowExcessivelySexualUsage",
    "allowPoliticalOrReligiousUsage",
    "allowAntisocialOrHateUsage",
)


def _both(weights: Mapping[str, float]) -> dict[str, float]:
    """A name without side means both."""
    return {name: weight for asked, weight in weights.items() for name in list_actions(asked)}


EMOTIONS = {
    "happy": _both({"mouthSmile": 0.9, "cheekSquint": 0.5, "eyeSquint": 0.25, "browOuterUp": 0.15}),
    "angry": _both({"browDown": 0.9, "noseSneer": 0.45, "eyeSquint": 0.35, "mouthFrown": 0.4, "mouthPress": 0.4}),
    "sad": _both({"browInnerUp": 0.9, "mouthFrown": 0.7, "mouthShrugLower": 0.4, "eyeBlink": 0.2}),
    "relaxed": _both({"mouthSmile": 0.35, "eyeBlink": 0.35, "browInnerUp": 0.1}),
    "surprised": _both({"browInnerUp": 0.8, "browOuterUp": 0.8, "eyeWide": 0.8, "jawOpen": 0.35, "mouthFunnel": 0.15}),
}
SOUNDS = {"aa": "viseme_aa", "ih": "viseme_I", "ou": "viseme_U", "ee": "viseme_E", "oh": "viseme_O"}
GAZES = {
    "lookUp": {"eyeLookUpLeft": 1.0, "eyeLookUpRight": 1.0},
    "lookDown": {"eyeLookDownLeft": 1.0, "eyeLookDownRight": 1.0},
    "lookLeft": {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
    "lookRight": {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
}
BLINKS = {
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "blinkLeft": {"eyeBlinkLeft": 1.0},
    "blinkRight": {"eyeBlinkRight": 1.0},
}
PRESETS: dict[str, Mapping[str, float]] = {
    "neutral": {}, **EMOTIONS, **{name: VISEMES[viseme] for name, viseme in SOUNDS.items()}, **BLINKS, **GAZES,
}  # fmt: skip
"""The expressions that every VRM program knows, as weights of the 52 ARKit blendshapes."""

PAINTED = "Painted"
"""Custom expression: the one that the head was made with, since a VRM rests in a neutral one."""


def write_vrm(
    path: str | Path,
    head: Head,
    *,
    name: str = "Portrait",
    terms: str = "author",
    license_url: str | None = None,
    provenance: Provenance = UNSIGNED,
) -> None:
    """Write ``head`` with its layers as VRM 1.0: on the bones of its body, in a T-pose; or without one, as tall as a
    grown-up, on the bones of a plain body without a shape, the neck bending between head and chest, on which a bust
    hangs.

    It rests in its neutral expression. Custom expressions: the 52 ARKit blendshapes by their Perfect Sync names
    (``JawOpen``), "Painted" for the expression of the head, "OriginalShape". Presets are made of the blendshapes; eyes
    look by expressions. Materials are MToon. ``name``: of the avatar. ``terms``: of `TERMS`, who may use it: the author
    alone or everyone. ``license_url``: of a license beside. ``provenance``: its author and source license stand in the
    fields of VRM. The file appears whole or not at all. Raises InputError for unknown terms or a head that is closed
    below, OutputError when the file cannot be written.
    """
    if terms not in TERMS:
        raise InputError(f"The terms of an avatar are {' or '.join(TERMS)}, got {terms!r}.")
    joints, standing, weights = stand_in_t(head) if has_body(head) else _raise_on_body(head)
    store = TextureStore()
    # Khronos' validator warns of unlit materials that are MToon as well.
    file, blob = build_parts(standing, GlbForm(looks=("lit",)), store, provenance=provenance)
    outline_m = find_stroke_width(standing.mesh, head.texture)
    for part, mesh in zip(list_parts(standing), file.meshes, strict=True):
        (primitive,) = mesh.primitives
        add_mtoon(file, blob, part, file.materials[primitive.material or 0], outline_m, store)
        mesh.weights = [0.0] * len(mesh.weights or ()) or None
    add_skin(file, blob, standing, joints, weights)
    file.images.append(gl.Image(name="Thumbnail", bufferView=_add_thumbnail(file, blob, head), mimeType=gl.IMAGEPNG))
    numbers = {node.name: number for number, node in enumerate(file.nodes)}
    file.extensions = {
        VRM: {
            "specVersion": "1.0",
            "meta": _describe(name, terms, license_url, provenance) | {"thumbnailImage": len(file.images) - 1},
            "humanoid": {"humanBones": {joint.name: {"node": numbers[joint.name]} for joint in joints}},
            "lookAt": _describe_gaze(standing, joints),
            "expressions": _list_expressions(file, head),
        }
    }
    file.extensionsUsed = [*(file.extensionsUsed or []), VRM, MTOON]
    save_gltf(path, file, blob)


def _raise_on_body(head: Head) -> tuple[list[Joint], Head, list[Float[Tensor, "_n j"]]]:
    """All joints, the head at its height, and how much each joint moves its vertices and those of its layers."""
    bend = measure_neck(head)
    shift = np.array([0.0, SHOULDERS_M, 0.0]) - bend.middle
    joints = [Joint(name, place, parent) for name, (parent, place) in BODY.items()]
    above = [("neck", "chest", bend.place(0.0)), ("head", "neck", bend.place(1.0))]
    joints += [Joint(name, tuple((place + shift).tolist()), parent) for name, parent, place in above]
    names = [joint.name for joint in joints]

    def share(up: Float[np.ndarray, "_n"]) -> Float[Tensor, "_n j"]:
        rows = np.zeros((len(up), len(joints)), np.float32)
        rows[:, names.index("chest")] = 1 - smoothstep(up, 0.0, 0.5)
        rows[:, names.index("head")] = smoothstep(up, 0.5, 1.0)
        rows[:, names.index("neck")] = 1 - rows.sum(1)
        return from_numpy(rows, head.neutral)

    standing = shift_head(head, from_numpy(shift.astype(np.float32), head.neutral))
    return joints, standing, [share(up) for up in bend.locate(head)]


def _describe(name: str, terms: str, license_url: str | None, provenance: Provenance) -> dict[str, Any]:
    meta = {"name": name, "authors": [provenance.author or UNKNOWN], "licenseUrl": LICENSE, **TERMS[terms]}
    known = {
        "copyrightInformation": provenance.copyright(),
        "thirdPartyLicenses": provenance.source_license and f"Photo and artwork: {provenance.source_license}",
        "otherLicenseUrl": license_url,
    }
    return meta | dict.fromkeys(NEVER, False) | {key: value for key, value in known.items() if value}


def _describe_gaze(head: Head, joints: list[Joint]) -> dict[str, Any]:
    """Eyes look by expressions, which are whole at the angle by which they turn the eyeballs."""
    eyes = torch.unique(head.mesh.faces[head.mesh.regions == REGIONS.index("eyeballs")])
    points = head.landmarks68.positions(head.neutral, head.mesh.faces)
    (bone,) = (joint for joint in joints if joint.name == "head")
    between = to_numpy(points[EYE_POINTS], np.float64).mean(0) - bone.position
    ranges = {
        "rangeMapHorizontalInner": "eyeLookInLeft",
        "rangeMapHorizontalOuter": "eyeLookOutLeft",
        "rangeMapVerticalDown": "eyeLookDownLeft",
        "rangeMapVerticalUp": "eyeLookUpLeft",
    }
    angles = {
        key: {"inputMaxValue": _measure_turn(head, eyes, name), "outputScale": 1.0} for key, name in ranges.items()
    }
    return {"type": "expression", "offsetFromHeadBone": between.tolist(), **angles}


def _measure_turn(head: Head, eyes: Tensor, name: str) -> float:
    """Degrees by which a blendshape turns the eyeball that it moves (Kabsch 1976), 1 to 90."""
    moves = to_numpy(head.expression_deltas[EXPRESSION_NAMES.index(name)][eyes], np.float64)
    moving = np.linalg.norm(moves, axis=1) > 0
    if not moving.any():
        return 90.0
    before = to_numpy(head.neutral[eyes], np.float64)[moving]
    after = before + moves[moving]
    u, _, vt = np.linalg.svd((before - before.mean(0)).T @ (after - after.mean(0)))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    return float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))).clip(1, 90))


def _list_expressions(file: gl.GLTF2, head: Head) -> dict[str, dict[str, Any]]:
    painted = dict(zip(EXPRESSION_NAMES, to_numpy(head.expression).tolist(), strict=True))
    custom = {name[0].upper() + name[1:]: {name: 1.0} for name in (*EXPRESSION_NAMES, ORIGINAL_SHAPE)}
    return {
        "preset": {name: _bind(file, weights, yields=name in EMOTIONS) for name, weights in PRESETS.items()},
        "custom": {name: _bind(file, weights) for name, weights in (custom | {PAINTED: painted}).items()},
    }


def _bind(file: gl.GLTF2, weights: Mapping[str, float], *, yields: bool = False) -> dict[str, Any]:
    """An expression of all meshes that it moves. ``yields``: blinking and talking fade while it is on, since both move
    lids and lips that it moves, too."""
    binds = []
    for number, mesh in enumerate(file.meshes):
        targets = (mesh.extras or {})["targetNames"]
        for name, weight in weights.items():
            if weight > 0 and name in targets:
                binds.append({"node": number, "index": targets.index(name), "weight": weight})
    own: dict[str, Any] = {"isBinary": False, "morphTargetBinds": binds}
    return own | ({"overrideBlink": "blend", "overrideMouth": "blend"} if yields else {})


def _add_thumbnail(file: gl.GLTF2, blob: bytearray, head: Head) -> int:
    bare = replace(head, layers=tuple(layer for layer in head.layers if layer.name not in BODY_LAYERS))
    return add_view(file, blob, encode_png(render(head, head_camera(bare, 0.0, 0.0, THUMBNAIL_PX))))
