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

from portraitist.devices import to_numpy
from portraitist.errors import InputError, OutputError
from portraitist.export.gltf_buffer import NEGLIGIBLE_M
from portraitist.export.gltf_materials import encode_texture
from portraitist.export.gltf_parts import Part, list_parts, list_weights
from portraitist.export.provenance import UNSIGNED, Provenance
from portraitist.io.output_file import new_file
from portraitist.mesh.laplacian import vertex_normals
from portraitist.types import Head

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
    those of `COMBINATIONS`. Materials are UsdPreviewSurfaces that show the textures, without gloss. ``provenance``:
    stands in the layer's custom data. The file appears whole or not at all. Raises InputError where usd-core is not
    installed, OutputError when the file cannot be written.
    """
    usd, path = import_usd(), Path(path)
    parts = list_parts(head, visemes=visemes)
    with tempfile.TemporaryDirectory() as name, new_file(path) as temporary:
        folder = Path(name)
        stage = usd.Usd.Stage.CreateNew(str(folder / "head.usdc"))
        _describe_stage(usd, stage, provenance)
        animation = _add_skeleton(usd, stage, [*parts[0].morphs], list_weights(head, parts[0]))
        extents = [_add_part(usd, stage, part, animation, folder) for part in parts]
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


def _add_skeleton(usd: Any, stage: Any, names: list[str], weights: list[float]) -> Any:
    """A skeleton of one joint, and the animation that weights blendshapes; returns the animation's path."""
    skeleton = usd.UsdSkel.Skeleton.Define(stage, f"{ROOT}/Skeleton")
    matrices = usd.Vt.Matrix4dArray([usd.Gf.Matrix4d(1.0)])
    skeleton.CreateJointsAttr([JOINT])
    skeleton.CreateBindTransformsAttr(matrices)
    skeleton.CreateRestTransformsAttr(matrices)
    animation = usd.UsdSkel.Animation.Define(stage, f"{ROOT}/Skeleton/Expression")
    animation.CreateJointsAttr([JOINT])
    animation.CreateTranslationsAttr([usd.Gf.Vec3f(0)])
    animation.CreateRotationsAttr([usd.Gf.Quatf(1)])
    animation.CreateScalesAttr([usd.Gf.Vec3h(1)])
    animation.CreateBlendShapesAttr(names)
    animation.CreateBlendShapeWeightsAttr(weights)
    binding = usd.UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    return animation.GetPath()


def _add_part(usd: Any, stage: Any, part: Part, animation: Any, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """A mesh with its blendshapes and its material; returns the corners of its box."""
    points, faces = to_numpy(part.mesh.vertices, np.float32), to_numpy(part.mesh.faces)
    extent = np.stack([points.min(0), points.max(0)])
    mesh = usd.UsdGeom.Mesh.Define(stage, f"{ROOT}/{part.name}")
    mesh.CreatePointsAttr(_vectors(usd, points))
    mesh.CreateFaceVertexCountsAttr(usd.Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(usd.Vt.IntArray.FromNumpy(faces.astype(np.int32).ravel()))
    mesh.CreateExtentAttr(_vectors(usd, extent))
    mesh.CreateSubdivisionSchemeAttr(usd.UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)  # the neck is open below, and the mouth is seen from inside
    mesh.CreateNormalsAttr(_vectors(usd, vertex_normals(points, faces)))
    mesh.SetNormalsInterpolation(usd.UsdGeom.Tokens.vertex)
    uvs = to_numpy(part.mesh.uvs, np.float32) * [1, -1] + [0, 1]  # v up
    kinds = usd.Sdf.ValueTypeNames
    st = usd.UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", kinds.TexCoord2fArray, usd.UsdGeom.Tokens.faceVarying)
    st.Set(usd.Vt.Vec2fArray.FromNumpy(uvs.astype(np.float32)))
    st.SetIndices(usd.Vt.IntArray.FromNumpy(to_numpy(part.mesh.uv_faces).astype(np.int32).ravel()))
    binding = usd.UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([f"{ROOT}/Skeleton"])
    binding.CreateAnimationSourceRel().SetTargets([animation])
    binding.CreateJointIndicesPrimvar(constant=True, elementSize=1).Set([0])
    binding.CreateJointWeightsPrimvar(constant=True, elementSize=1).Set([1.0])
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
