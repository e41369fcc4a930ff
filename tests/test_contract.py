"""The rules of the house: who may import whom, what is public, and documents that agree with the files."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import portraitist
from portraitist.assets import FOLDER, asset_hashes, asset_path
from portraitist.errors import AssetError

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "portraitist"
LEVELS = {
    "types": 0,
    "errors": 0,
    "devices": 0,
    "assets": 1,
    "io": 1,
    "mesh": 1,
    "rendering": 2,
    "vgg": 2,
    "body": 2,
    "landmarks": 3,
    "segmentation": 3,
    "export": 3,
    "reconstruction": 4,
    "unwrapping": 5,
    "hair": 5,
    "bust": 5,
    "geometry": 6,
    "texture": 6,
    "characters": 6,
    "config": 7,
    "models": 7,
    "progress": 7,
    "reading": 7,
    "pipeline": 8,
    "apps": 9,
    "cli": 10,
    "__main__": 11,
}


MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
SOURCES = sorted(PACKAGE.rglob("*.py"))


def name_module(path: Path) -> str:
    """``portraitist.mesh.handles``; a package goes by the name of its folder."""
    parts = ("portraitist", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_module(path): path for path in SOURCES}


def name_package(module: str) -> str:
    """The folder of a module, or the module where it stands beside the folders."""
    return module.split(".")[1]


def list_imports(path: Path) -> set[str]:
    """Modules of this package that a file imports, anywhere in it."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            source = node.module or ""
            modules |= {f"{source}.{alias.name}" for alias in node.names} & MODULES.keys() or {source}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return {module for module in modules if module.startswith("portraitist.")}


def list_edges() -> set[tuple[str, str]]:
    """(importer, imported) modules. The public list imports everything and is left out."""
    modules = MODULES.items()
    return {(name, imported) for name, path in modules if name != "portraitist" for imported in list_imports(path)}


def find_circle(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """What remains when importers of nothing that remains are taken away, again and again."""
    while True:
        importers = {importer for importer, _ in edges}
        remaining = {(importer, imported) for importer, imported in edges if imported in importers}
        if remaining == edges:
            return edges
        edges = remaining


def test_imports_go_one_way():
    packages = {(name_package(importer), name_package(imported)) for importer, imported in list_edges()}
    assert not [(importer, imported) for importer, imported in packages if LEVELS[importer] < LEVELS[imported]]


def test_packages_on_one_level_do_not_import_each_other_in_circles():
    packages = {(name_package(importer), name_package(imported)) for importer, imported in list_edges()}
    assert not find_circle({(a, b) for a, b in packages if a != b and LEVELS[a] == LEVELS[b]})


def test_modules_do_not_import_each_other_in_circles():
    edges = list_edges()
    assert ("portraitist.pipeline", "portraitist.mesh.subdivision") in edges
    assert not find_circle(edges)


def test_files_and_functions_are_short():
    too_long = set()
    for path in SOURCES:
        text, name = path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix()
        too_long |= {name} if len(text.splitlines()) > MAX_FILE_LINES else set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                too_long |= {f"{name}: {node.name}"} if node.end_lineno - first >= MAX_FUNCTION_LINES else set()
    assert not too_long


def test_every_public_name_exists_and_is_listed_once():
    assert len(set(portraitist.__all__)) == len(portraitist.__all__)
    for name in portraitist.__all__:
        value = getattr(portraitist, name)
        assert isinstance(value, tuple) or value.__module__.startswith("portraitist."), name
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = portraitist.no_such_name
    assert set(portraitist.__all__) <= set(dir(portraitist))


def test_public_functions_say_what_they_do():
    """Shapes, units, errors: at least a sentence for every public name that can be called."""
    for name in portraitist.__all__:
        value = getattr(portraitist, name)
        assert isinstance(value, tuple) or len(value.__doc__ or "") > 30, name


def test_stylize_is_short():
    """Fig. 2 in one look: the stages do the work."""
    tree = ast.parse((PACKAGE / "pipeline.py").read_text(encoding="utf-8"))
    stylize = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "stylize")
    first = stylize.body[1]  # after the docstring
    assert stylize.end_lineno is not None
    assert stylize.end_lineno - first.lineno < 40


def test_importing_the_package_does_not_load_torch():
    program = "import sys, portraitist; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_library_never_prints_or_exits():
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] == "cli":
            continue
        calls = [
            node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ]
        assert not [call for call in calls if ast.unparse(call) in {"print", "exit", "sys.exit", "os._exit"}], path


def test_manifest_lists_exactly_the_shipped_files():
    shipped = {
        path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FOLDER.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc", ".json"}
    }
    assert shipped == asset_hashes()


def test_asset_documents_name_every_file_with_its_hash():
    rows = re.findall(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", (ROOT / "ASSETS.md").read_text(), re.MULTILINE)
    assert dict(rows) == asset_hashes()


def test_damaged_and_missing_assets_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("portraitist.assets.FOLDER", tmp_path)
    (tmp_path / "manifest.json").write_text('{"a.bin": "00"}')
    asset_hashes.cache_clear()
    asset_path.cache_clear()
    try:
        with pytest.raises(AssetError, match="missing"):
            asset_path("a.bin")
        (tmp_path / "a.bin").write_bytes(b"changed")
        with pytest.raises(AssetError, match="damaged"):
            asset_path("a.bin")
    finally:
        asset_hashes.cache_clear()
        asset_path.cache_clear()


def test_readme_commands_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^ *make ([a-z]+)", readme, re.MULTILINE))
    assert targets >= {"demo", "test"}
    assert targets <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    options = set(re.findall(r"--[a-z-]+", " ".join(re.findall(r"^ *portraitist .*$", readme, re.MULTILINE))))
    known = "\n".join(path.read_text() for path in (PACKAGE / "cli").glob("*.py"))
    assert options <= set(re.findall(r'"(--[a-z-]+)"', known))


def test_readme_example_uses_public_names():
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "portraitist":
                assert {alias.name for alias in node.names} <= set(portraitist.__all__)


def test_links_between_the_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} -> {target}"


def test_constraints_pin_one_cv2_and_one_torch():
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert [pin for pin in pins if pin.startswith("opencv")] == ["opencv-contrib-python==5.0.0.93"]
    assert [pin for pin in pins if pin.startswith("torch=")] == ["torch==2.13.0"]
    assert all(re.fullmatch(r"#.*|[A-Za-z0-9_.-]+==[^\s]+", pin) for pin in pins)
