"""The rules of the house: who may import whom, what is public, and papers that agree with the files."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
import time
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
    "assets": 1,
    "io": 1,
    "mesh": 1,
    "rendering": 2,
    "landmarks": 3,
    "segmentation": 3,
    "export": 3,
    "reconstruction": 4,
    "unwrapping": 5,
    "hair": 5,
    "geometry": 6,
    "texture": 6,
    "models": 7,
    "pipeline": 7,
    "cli": 9,
}


def read_room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def list_imports(path: Path) -> list[str]:
    """Rooms of this package that a file imports, anywhere in it."""
    rooms = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "portraitist":
                names = [f"portraitist.{alias.name}" for alias in node.names if alias.name != "__version__"]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        rooms += [name.split(".")[1] for name in names if name.startswith("portraitist.")]
    return rooms


def list_edges() -> set[tuple[str, str]]:
    files = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    return {(read_room(path), room) for path in files for room in list_imports(path) if room != read_room(path)}


def test_imports_go_one_way():
    wrong = [(importer, room) for importer, room in list_edges() if LEVELS[importer] < LEVELS[room]]
    assert not wrong


def test_rooms_on_one_floor_do_not_import_each_other_in_circles():
    beside = {(importer, room) for importer, room in list_edges() if LEVELS[importer] == LEVELS[room]}
    while True:  # take away rooms that import none of the remaining ones
        importers = {importer for importer, _ in beside}
        remaining = {(importer, room) for importer, room in beside if room in importers}
        if remaining == beside:
            break
        beside = remaining
    assert not beside


def test_every_public_name_exists_and_is_listed_once():
    assert len(set(portraitist.__all__)) == len(portraitist.__all__)
    for name in portraitist.__all__:
        assert getattr(portraitist, name).__module__.startswith("portraitist."), name
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = portraitist.no_such_name
    assert set(portraitist.__all__) <= set(dir(portraitist))


def test_importing_the_package_does_not_load_torch():
    program = "import sys, portraitist; sys.exit('torch' in sys.modules)"
    start = time.perf_counter()
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert time.perf_counter() - start < 1


def test_library_never_prints_or_exits():
    for path in PACKAGE.rglob("*.py"):
        if read_room(path) == "cli":
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


def test_asset_papers_name_every_file_with_its_hash():
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
    assert options <= set(re.findall(r'"(--[a-z-]+)"', (PACKAGE / "cli" / "arguments.py").read_text()))


def test_readme_example_uses_public_names():
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "portraitist":
                assert {alias.name for alias in node.names} <= set(portraitist.__all__)


def test_links_between_the_papers_lead_somewhere():
    for paper in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", paper.read_text()):
            assert (paper.parent / target).exists(), f"{paper.name} -> {target}"


def test_constraints_pin_one_cv2_and_one_torch():
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert [pin for pin in pins if pin.startswith("opencv")] == ["opencv-contrib-python==5.0.0.93"]
    assert [pin for pin in pins if pin.startswith("torch=")] == ["torch==2.13.0"]
    assert all(re.fullmatch(r"#.*|[A-Za-z0-9_.-]+==[^\s]+", pin) for pin in pins)
