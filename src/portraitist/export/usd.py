"""A head as USDZ, with blendshapes, for programs of Apple, Pixar and whoever reads USD."""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation
from torch import Tensor

from portraitist.body.motion import RATE, Clip
from portraitist.body.skeleton import PARENTS, SKELETON
from portraitist.body.skin import find_joints, find_weights
from portraitist.body.standing import has_body, stand
from portraitist.devices import to_numpy
from portraitist.errors import InputError, OutputError
from portraitist.export.body_joints import list_clips
from portraitist.export.gltf_buffer import NEGLIGIBLE_M
from portraitist.export.gltf_materials import encode_texture
from portraitist.export.gltf_parts import Part, find_normals, list_parts, list_weights
from portraitist.export.provenance import UNSIGNED, Provenance
from portraitist.export.skin import find_strongest
from portraitist.io.output_file import new_file
from portraitist.types import EXPRESSION_NAMES, Head

MODULES = ("Gf", "Sdf", "Usd", "UsdGeom", "UsdShade", "UsdSkel", "UsdUtils", "Vt")
EPOCH = time.mktime((1980, 1, 1, 0, 0, 0, 0, 1, 0))  # the first day of zip files, by the clock of this place
ROOT = "/Portrait"
JOINT = "Root"  # the one bone of a skeleton that nothing turns: blendshapes are part of UsdSkel


def import_usd() -> Any:
    """The modules of `MODULES` as attributes. Raises InputError where usd-core is not installed."""
    try:
        return SimpleNamespace(**{name: importlib.import_module(f"pxr.{name}") for name in MODULES})
    except ImportError as error:
        raise InputError(
            "USDZ needs the package usd-core, which is not installed here. Install it: pip install 'portraitist[usd]'."
        ) from error


def write_usdz(path: str | Path, head: Head, *, visemes: bool = False, provenance: Provenance = UNSIGNED) -> None:
    """Write ``head`` as USDZ: a mesh "Head" and one for each layer ("Hair", "Headwear", "Bust"), in meters, y
    up.

    Points are those of the neutral shape. Each mesh has the 52 ARKit blendshapes and ``originalShape`` as
    SkelBlendShapes, all weighted by one SkelAnimation, which holds the head's own expression; with ``visemes`` also
    those of `COMBINATIONS`. Somebody with a body stands on its bones, as tall as they are, and idles; their other
    motions are SkelAnimations below the skeleton, too. Materials are UsdPreviewSurfaces that show the textures, without
    gloss. ``provenance``: stands in the layer's custom data. The file appears whole or not at all. Raises InputError
    where usd-core is not installed, OutputError when the file cannot be written.
    """
    usd, path, head = import_usd(), Path(path), stand(head)
    parts = list_parts(head, visemes=visemes)
    with tempfile.TemporaryDirectory() as name, new_file(path) as temporary:
        folder = Path(name)
        stage = usd.Usd.Stage.CreateNew(str(folder / "head.usdc"))
        _describe_stage(usd, stage, provenance)
        animation = _add_skeleton(usd, stage, head, [*parts[0].morphs], list_weights(head, parts[0]))
        weights = find_weights(head) if has_body(head) else [None] * len(parts)
        extents = [
            _add_part(usd, stage, part, animation, normals, rows, folder)
            for part, normals, rows in zip(parts, find_normals(parts), weights, strict=True)
        ]
        low, high = np.min([low for low, _ in extents], 0), np.max([high for _, high in extents], 0)
        usd.UsdGeom.Boundable(stage.GetPrimAtPath(ROOT)).CreateExtentAttr(_vectors(usd, np.stack([low, high])))
        stage.GetRootLayer().Save()
        for file in folder.iterdir():
            os.utime(file, (EPOCH, EPOCH))  # which the package holds
        packed = folder / "head.usdz"
        if not usd.UsdUtils.CreateNewUsdzPackage(str(folder / "head.usdc"), str(packed)):
            raise OutputError(f"{path} cannot be written: USD could not pack it. Is there room for temporary files?")
        temporary.write_bytes(packed.read_bytes())


def _describe_stage(usd: Any, stage: Any, provenance: Provenance) -> None:
    facts = provenance.facts()
    usd.UsdGeom.SetStageUpAxis(stage, usd.UsdGeom.Tokens.y)
    usd.UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = usd.UsdSkel.Root.Define(stage, ROOT)
    stage.SetDefaultPrim(root.GetPrim())
    layer = stage.GetRootLayer()
    layer.customLayerData = facts
    layer.comment = ", ".join(f"{name}: {value}" for name, value in facts.items())


def _add_skeleton(usd: Any, stage: Any, head: Head, names: list[str], weights: list[float]) -> Any:
    """The joints of a body, or one, and the animation that turns them and weights blendshapes; returns its path."""
    skeleton = usd.UsdSkel.Skeleton.Define(stage, f"{ROOT}/Skeleton")
    places = to_numpy(find_joints(head), np.float64) if has_body(head) else np.zeros((1, 3))
    parents = PARENTS if has_body(head) else (-1,)
    offsets = [place - (places[parent] if parent >= 0 else 0) for place, parent in zip(places, parents, strict=True)]
    joints = list_paths() if has_body(head) else [JOINT]
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateBindTransformsAttr(_matrices(usd, places))
    skeleton.CreateRestTransformsAttr(_matrices(usd, offsets))

    def add_animation(name: str) -> Any:
        animation = usd.UsdSkel.Animation.Define(stage, f"{ROOT}/Skeleton/{name}")
        animation.CreateJointsAttr(joints)
        animation.CreateTranslationsAttr(_vectors(usd, np.stack(offsets)))
        animation.CreateRotationsAttr([usd.Gf.Quatf(1)] * len(joints))
        animation.CreateScalesAttr([usd.Gf.Vec3h(1)] * len(joints))
        animation.CreateBlendShapesAttr(names)
        animation.CreateBlendShapeWeightsAttr(weights)
        return animation

    animations = [add_animation("Expression")]
    for clip in list_clips(head) if has_body(head) else ():
        animations.append(add_animation(clip.name))
        _animate(usd, animations[-1], clip, np.stack(offsets), dict(zip(names, weights, strict=True)))
    binding = usd.UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    shown = animations[min(1, len(animations) - 1)]  # somebody with a body idles
    binding.CreateAnimationSourceRel().SetTargets([shown.GetPath()])
    return shown.GetPath()


def _animate(usd: Any, animation: Any, clip: Clip, offsets: np.ndarray, weights: dict[str, float]) -> None:
    """Time samples of joints and blendshapes."""
    stage = animation.GetPrim().GetStage()
    stage.SetTimeCodesPerSecond(RATE)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(max(stage.GetEndTimeCode(), RATE * clip.times[-1]))
    turns = Rotation.from_matrix(clip.turns.reshape(-1, 3, 3)).as_quat().reshape(*clip.turns.shape[:2], 4)
    rows = {name: clip.weights[:, number] for number, name in enumerate(EXPRESSION_NAMES)}
    for moment, code in enumerate((RATE * clip.times).tolist()):
        quaternions = [usd.Gf.Quatf(w, x, y, z) for x, y, z, w in turns[moment].tolist()]
        animation.GetRotationsAttr().Set(quaternions, code)
        animation.GetTranslationsAttr().Set(_vectors(usd, np.concatenate([clip.hips[moment, None], offsets[1:]])), code)
        own = [min(weight + (float(rows[name][moment]) if name in rows else 0), 1) for name, weight in weights.items()]
        animation.GetBlendShapeWeightsAttr().Set(own, code)


def list_paths() -> list[str]:
    """The joints of a body as USD names them: with all above them."""
    paths: list[str] = []
    for bone, parent in zip(SKELETON, PARENTS, strict=True):
        paths.append(bone.name if parent < 0 else f"{paths[parent]}/{bone.name}")
    return paths


def _matrices(usd: Any, places: Any) -> Any:
    return usd.Vt.Matrix4dArray([usd.Gf.Matrix4d(1.0).SetTranslate(usd.Gf.Vec3d(*place)) for place in places])


def _add_part(
    usd: Any, stage: Any, part: Part, animation: Any, normals: np.ndarray, weights: Tensor | None, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """A mesh with its blendshapes and its material; returns the corners of its box. ``weights``: how much each joint
    moves its vertices, [n, j]; None: the first moves all."""
    points, faces = to_numpy(part.mesh.vertices, np.float32), to_numpy(part.mesh.faces)
    extent = np.stack([points.min(0), points.max(0)])
    mesh = usd.UsdGeom.Mesh.Define(stage, f"{ROOT}/{part.name}")
    mesh.CreatePointsAttr(_vectors(usd, points))
    mesh.CreateFaceVertexCountsAttr(usd.Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(usd.Vt.IntArray.FromNumpy(faces.astype(np.int32).ravel()))
    mesh.CreateExtentAttr(_vectors(usd, extent))
    mesh.CreateSubdivisionSchemeAttr(usd.UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)  # the neck is open below, and the mouth is seen from inside
    mesh.CreateNormalsAttr(_vectors(usd, normals))
    mesh.SetNormalsInterpolation(usd.UsdGeom.Tokens.vertex)
    uvs = to_numpy(part.mesh.uvs, np.float32) * [1, -1] + [0, 1]  # v up
    kinds = usd.Sdf.ValueTypeNames
    st = usd.UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", kinds.TexCoord2fArray, usd.UsdGeom.Tokens.faceVarying)
    st.Set(usd.Vt.Vec2fArray.FromNumpy(uvs.astype(np.float32)))
    st.SetIndices(usd.Vt.IntArray.FromNumpy(to_numpy(part.mesh.uv_faces).astype(np.int32).ravel()))
    binding = usd.UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([f"{ROOT}/Skeleton"])
    binding.CreateAnimationSourceRel().SetTargets([animation])
    if weights is None:
        ids, shares = np.zeros((1, 1), np.int64), np.ones((1, 1))
    else:
        ids, shares = find_strongest(to_numpy(weights, np.float32))
    how = {"constant": weights is None, "elementSize": ids.shape[1]}
    binding.CreateJointIndicesPrimvar(**how).Set(usd.Vt.IntArray.FromNumpy(ids.astype(np.int32).ravel()))
    binding.CreateJointWeightsPrimvar(**how).Set(usd.Vt.FloatArray.FromNumpy(shares.astype(np.float32).ravel()))
    binding.CreateGeomBindTransformAttr(usd.Gf.Matrix4d(1.0))
    binding.CreateBlendShapesAttr([*part.morphs])
    shapes = [_add_blendshape(usd, stage, mesh, name, offsets) for name, offsets in part.morphs.items()]
    binding.CreateBlendShapeTargetsRel().SetTargets(shapes)
    _add_material(usd, stage, mesh, part, folder)
    return extent[0], extent[1]


def _add_blendshape(usd: Any, stage: Any, mesh: Any, name: str, offsets: np.ndarray) -> Any:
    """Of the points that it moves; returns its path."""
    shape = usd.UsdSkel.BlendShape.Define(stage, mesh.GetPath().AppendChild(name))
    (moved,) = np.nonzero(np.abs(offsets).max(1) > NEGLIGIBLE_M)
    if not len(moved):
        moved = np.zeros(1, np.int64)  # some readers take an empty list for all points
    shape.CreateOffsetsAttr(_vectors(usd, offsets[moved]))
    shape.CreatePointIndicesAttr(usd.Vt.IntArray.FromNumpy(moved.astype(np.int32)))
    return shape.GetPath()


def _add_material(usd: Any, stage: Any, mesh: Any, part: Part, folder: Path) -> None:
    data, kind = encode_texture(part.texture)
    texture_file = f"{part.material}.{'png' if kind == 'image/png' else 'jpg'}"
    (folder / texture_file).write_bytes(data)
    place, kinds = f"{ROOT}/Materials/{part.material}", usd.Sdf.ValueTypeNames
    usd.UsdGeom.Scope.Define(stage, f"{ROOT}/Materials")
    material = usd.UsdShade.Material.Define(stage, place)

    def add_shader(name: str, kind: str, inputs: dict[str, tuple[Any, Any]]) -> Any:
        shader = usd.UsdShade.Shader.Define(stage, f"{place}/{name}")
        shader.CreateIdAttr(kind)
        for key, (value_type, value) in inputs.items():
            shader.CreateInput(key, value_type).Set(value)
        return shader

    surface = {"roughness": (kinds.Float, 1.0), "metallic": (kinds.Float, 0.0), "useSpecularWorkflow": (kinds.Int, 1)}
    surface["specularColor"] = (kinds.Color3f, usd.Gf.Vec3f(0))
    shader = add_shader("Surface", "UsdPreviewSurface", surface)
    reader = add_shader("UV", "UsdPrimvarReader_float2", {"varname": (kinds.String, "st")})
    image = {"file": (kinds.Asset, f"./{texture_file}"), "sourceColorSpace": (kinds.Token, "sRGB")}
    image |= dict.fromkeys(("wrapS", "wrapT"), (kinds.Token, "clamp"))
    texture = add_shader("Texture", "UsdUVTexture", image)
    st = reader.CreateOutput("result", kinds.Float2)
    texture.CreateInput("st", kinds.Float2).ConnectToSource(st)
    color = texture.CreateOutput("rgb", kinds.Float3)
    shader.CreateInput("diffuseColor", kinds.Color3f).ConnectToSource(color)
    material.CreateSurfaceOutput().ConnectToSource(shader.CreateOutput("surface", kinds.Token))
    usd.UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def _vectors(usd: Any, values: np.ndarray) -> Any:
    return usd.Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values, dtype=np.float32))
