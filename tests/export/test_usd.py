"""USD opens the USDZ as it is meant: valid, upright, in meters, with textures and blendshapes that move it."""

from __future__ import annotations

import dataclasses
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from conftest import add_layers, make_marked_head
from portraitist import InputError, OutputError
from portraitist.export.gltf_parts import ORIGINAL_SHAPE
from portraitist.export.provenance import Provenance
from portraitist.export.usd import write_usdz
from portraitist.mesh.carrying import pose_head
from portraitist.types import EXPRESSION_NAMES, Head

pxr = pytest.importorskip("pxr", reason="usd-core is not installed: USDZ is NOT tested")
from pxr import Usd, UsdGeom, UsdShade, UsdSkel, UsdValidation, Vt  # noqa: E402

PARTS = ("Head", "Hair", "Headwear")


@pytest.fixture(scope="module")
def head() -> Head:
    return add_layers(make_marked_head())


@pytest.fixture(scope="module")
def path(head: Head, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("usd") / "head.usdz"
    write_usdz(path, head, provenance=Provenance("Ann Özil", "CC BY 4.0", "2026-11-30"))
    return path


@pytest.fixture(scope="module")
def stage(path: Path) -> Any:
    return Usd.Stage.Open(str(path))


def list_meshes(stage: Any) -> dict[str, Any]:
    return {prim.GetName(): UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)}


def validate(stage: Any) -> list[str]:
    registry = UsdValidation.ValidationRegistry()
    errors = UsdValidation.ValidationContext(registry.GetOrLoadAllValidators()).Validate(stage)
    return [f"{error.GetName()}: {error.GetMessage()}" for error in errors]


def deform(stage: Any, weights: dict[str, float] | None = None) -> dict[str, np.ndarray]:
    """Points of each mesh as UsdSkel moves them, by other ``weights`` than those of the animation if given."""
    root = UsdSkel.Root(stage.GetDefaultPrim())
    cache = UsdSkel.Cache()
    assert cache.Populate(root, Usd.PrimDefaultPredicate)
    (binding,) = cache.ComputeSkelBindings(root, Usd.PrimDefaultPredicate)
    animation = cache.GetSkelQuery(binding.GetSkeleton()).GetAnimQuery()
    own = np.array(animation.ComputeBlendShapeWeights())
    if weights is not None:
        own = np.array([weights.get(name, 0.0) for name in animation.GetBlendShapeOrder()])
    points = {}
    for target in binding.GetSkinningTargets():
        query = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(target.GetPrim()))
        mapped = target.GetBlendShapeMapper().Remap(Vt.FloatArray.FromNumpy(own.astype(np.float32)))
        moved = Vt.Vec3fArray(UsdGeom.Mesh(target.GetPrim()).GetPointsAttr().Get())
        sub_weights = query.ComputeSubShapeWeights(mapped)
        indices, offsets = query.ComputeBlendShapePointIndices(), query.ComputeSubShapePointOffsets()
        assert query.ComputeDeformedPoints(*sub_weights, indices, offsets, moved)
        points[target.GetPrim().GetName()] = np.array(moved)
    return points


def test_usd_finds_nothing_wrong(stage: Any, capfd: pytest.CaptureFixture[str]):
    assert validate(stage) == []
    assert capfd.readouterr().err == ""


def test_usd_would_find_what_is_wrong(stage: Any, tmp_path: Path):
    """The validators above are at work: without its units, or with a material bound from nowhere, it is not valid."""
    broken = Usd.Stage.CreateInMemory()
    broken.GetRootLayer().TransferContent(stage.GetRootLayer())
    broken.GetRootLayer().pseudoRoot.ClearInfo("metersPerUnit")
    assert validate(broken)


def test_it_is_upright_in_meters(stage: Any, head: Head):
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert [*list_meshes(stage)] == [*PARTS]
    neutral = pose_head(head, head.expression * 0)
    for mesh, own in zip(list_meshes(stage).values(), [neutral.mesh, *(x.mesh for x in neutral.layers)], strict=True):
        np.testing.assert_allclose(mesh.GetPointsAttr().Get(), own.vertices, atol=1e-6)
        faces = np.reshape(mesh.GetFaceVertexIndicesAttr().Get(), (-1, 3))
        np.testing.assert_array_equal(faces, own.faces)
        assert mesh.GetSubdivisionSchemeAttr().Get() == "none"


def test_uvs_have_v_up(stage: Any, head: Head):
    primvar = UsdGeom.PrimvarsAPI(list_meshes(stage)["Head"]).GetPrimvar("st")
    expected = head.mesh.uvs[head.mesh.uv_faces].reshape(-1, 2).numpy() * [1, -1] + [0, 1]
    np.testing.assert_allclose(primvar.ComputeFlattened(), expected, atol=1e-6)
    assert primvar.GetInterpolation() == "faceVarying"


def test_its_expression_is_the_heads_own(stage: Any, head: Head):
    shown = deform(stage)
    for name, mesh in zip(PARTS, [head.mesh, *(layer.mesh for layer in head.layers)], strict=True):
        np.testing.assert_allclose(shown[name], mesh.vertices, atol=1e-5)


@pytest.mark.parametrize("expression", ["jawOpen", "eyeBlinkLeft", "mouthPucker"])
def test_blendshapes_move_every_part(stage: Any, head: Head, expression: str):
    weights = head.expression * 0
    weights[EXPRESSION_NAMES.index(expression)] = 1
    posed = pose_head(head, weights)
    shown = deform(stage, {expression: 1.0})
    for name, mesh in zip(PARTS, [posed.mesh, *(layer.mesh for layer in posed.layers)], strict=True):
        np.testing.assert_allclose(shown[name], mesh.vertices, atol=1e-5)


def test_the_exaggeration_can_be_taken_out(stage: Any, head: Head):
    own = dict(zip(EXPRESSION_NAMES, head.expression.tolist(), strict=True))
    shown = deform(stage, own | {ORIGINAL_SHAPE: 1.0})
    for name, original in zip(PARTS, [head.original, *(layer.original for layer in head.layers)], strict=True):
        np.testing.assert_allclose(shown[name], original, atol=1e-5)


def test_blendshapes_have_arkits_names(stage: Any, head: Head, tmp_path: Path):
    for mesh in list_meshes(stage).values():
        names = [*UsdSkel.BindingAPI(mesh.GetPrim()).GetBlendShapesAttr().Get()]
        assert names == [*EXPRESSION_NAMES, ORIGINAL_SHAPE]
    write_usdz(tmp_path / "a.usdz", head, visemes=True)
    other = Usd.Stage.Open(str(tmp_path / "a.usdz"))
    names = [*UsdSkel.BindingAPI(list_meshes(other)["Hair"].GetPrim()).GetBlendShapesAttr().Get()]
    assert len(names) == 53 + 17
    assert "viseme_aa" in names


def test_textures_are_shown_and_are_the_heads(stage: Any, path: Path, head: Head):
    textures = [head.texture, *(layer.texture for layer in head.layers)]
    for mesh, texture in zip(list_meshes(stage).values(), textures, strict=True):
        material, _ = UsdShade.MaterialBindingAPI(mesh.GetPrim()).ComputeBoundMaterial()
        surface = material.ComputeSurfaceSource()[0]
        assert surface.GetIdAttr().Get() == "UsdPreviewSurface"
        ((source, _, _),) = [surface.GetInput("diffuseColor").GetConnectedSource()]
        image = UsdShade.Shader(source.GetPrim())
        name = image.GetInput("file").Get().resolvedPath.split("[")[1].rstrip("]")
        with zipfile.ZipFile(path) as package:
            pixels = np.asarray(PillowImage.open(io.BytesIO(package.read(name))).convert("RGB"))
        np.testing.assert_allclose(pixels / 255, np.moveaxis(texture.numpy(), 0, -1), atol=1 / 255)


def test_it_says_what_it_is(stage: Any):
    facts = stage.GetRootLayer().customLayerData
    assert facts["synthetic"] is True
    assert facts["author"] == "Ann Özil"
    assert facts["source_license"] == "CC BY 4.0"
    assert facts["date"] == "2026-11-30"


def test_same_bytes_whenever_it_is_written_and_without_a_word(
    head: Head, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    small = dataclasses.replace(head, layers=())
    written = []
    for name in ("a", "b"):
        write_usdz(tmp_path / f"{name}.usdz", small)
        written.append((tmp_path / f"{name}.usdz").read_bytes())
    assert written[0] == written[1]
    assert capfd.readouterr() == ("", "")
    with zipfile.ZipFile(tmp_path / "a.usdz") as package:
        assert {info.date_time[0] for info in package.infolist()} == {1980}


def test_a_missing_package_is_told(head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pxr.UsdSkel", None)
    with pytest.raises(InputError, match=r"usd-core.*pip install 'portraitist\[usd\]'"):
        write_usdz(tmp_path / "a.usdz", head)
    assert not [*tmp_path.iterdir()]


def test_nothing_half_written_is_left(head: Head, tmp_path: Path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_usdz(tmp_path / "absent" / "a.usdz", head)
    assert not [*tmp_path.iterdir()]
