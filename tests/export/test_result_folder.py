"""A result folder appears whole or not at all, replaces nothing but our own results, and says how it was made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from conftest import add_layers
from portraitist.errors import OutputError
from portraitist.export import result_folder as results
from portraitist.export import turntable
from portraitist.export.preview import Panel, draw_landmarks, draw_sheet
from portraitist.export.result_folder import write_result
from portraitist.io import output_folder
from portraitist.io.head_file import load_head
from portraitist.io.output_folder import check_output, new_folder
from portraitist.types import Camera, Head, HeadFit, Landmarks, Result


@dataclasses.dataclass(frozen=True)
class StageConfig:
    strength: float = 1.0


@dataclasses.dataclass(frozen=True)
class RunConfig:
    geometry: StageConfig = StageConfig(0.5)
    seed: int = 7


@pytest.fixture(autouse=True)
def small_views(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendering is not what is tested here; one test looks at the real size."""
    if request.node.name != "test_folder_holds_what_is_promised":
        monkeypatch.setattr(results, "VIEW_SIZE_PX", 64)


@pytest.fixture
def result(head: Head, content_head: Head) -> Result:
    camera = Camera(torch.eye(3), 200.0, (32.0, 32.0), (64, 64))
    landmarks = Landmarks(points=torch.rand(68, 2) * 60, size=(64, 64))
    fit = HeadFit(
        identity=torch.zeros(5),
        expression=head.expression,
        mesh=head.mesh,
        neutral=head.neutral,
        expression_deltas=head.expression_deltas,
        camera=camera,
        residual_px=1.0,
        residual_relative=0.02,
    )
    return Result(
        photo=torch.rand(3, 64, 48),
        art=torch.rand(3, 64, 64),
        photo_landmarks=landmarks,
        art_landmarks=dataclasses.replace(landmarks, dense=torch.rand(478, 2) * 60, expressions=torch.rand(52)),
        photo_fit=fit,
        art_fit=fit,
        person_mask=torch.rand(64, 48),
        content=content_head,
        stylized=head,
        target_landmarks=torch.rand(68, 3),
        seconds={"fitting": 0.25},
        quality={"residual": float("nan")},
        warnings=("two faces",),
    )


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "me.jpg").write_bytes(b"photo")
    return {"photo": tmp_path / "me.jpg"}


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


PLAIN = {"head.glb", "head.obj", "head.mtl", "head.png", "head.safetensors", "preview.png", "run.json"}
VIEWS = {f"views/{view}.png" for view in ("front", "left", "right", "above", "below")}


def test_folder_holds_what_is_promised(result: Result, inputs: dict[str, Path], tmp_path: Path):
    out = tmp_path / "new" / "out"
    write_result(result, out, config=RunConfig(), inputs=inputs, device="cpu", precision="float32")
    assert names(out) == PLAIN | VIEWS
    assert {path.name for path in tmp_path.iterdir()} == {"new", "me.jpg"}
    front = np.asarray(PillowImage.open(out / "views" / "front.png"))
    assert front.shape == (512, 512, 3)
    assert (front[0, 0] == 255).all()
    assert (front[256, 256] != 255).any()


def test_layers_are_in_every_file_and_picture(result: Result, inputs: dict[str, Path], tmp_path: Path):
    layered = dataclasses.replace(result, stylized=add_layers(result.stylized), content=add_layers(result.content))
    pictures = {}
    for name, made in {"bare": result, "layered": layered}.items():
        out = tmp_path / name
        write_result(made, out, config=RunConfig(), inputs=inputs, device="cpu", precision="float32",
                     save_intermediates=True)  # fmt: skip
        views = [*(out / "views").iterdir(), *(out / "content" / "views").iterdir(), out / "preview.png"]
        pictures[name] = {path.relative_to(out): path.read_bytes() for path in views}
    files = {"head_hair.png", "head_headwear.png", "content/texture_hair.png", "content/texture_headwear.png"}
    assert names(tmp_path / "layered") - names(tmp_path / "bare") == files
    assert set(json.loads((tmp_path / "layered" / "run.json").read_text())["files"]) == names(tmp_path / "layered")
    assert [name for name, data in pictures["bare"].items() if pictures["layered"][name] == data] == []
    for path in ("head.safetensors", "content/head.safetensors"):
        assert [layer.name for layer in load_head(tmp_path / "layered" / path).layers] == ["hair", "headwear"]


def test_turntable_is_written_when_asked_for(
    result: Result, inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(turntable, "FRAMES", 3)
    monkeypatch.setattr(turntable, "SIZE_PX", 64)
    out, seen = tmp_path / "out", []
    record = write_result(
        result,
        out,
        config=RunConfig(),
        inputs=inputs,
        device="cpu",
        precision="float32",
        turntable=True,
        progress=seen.append,
    )
    assert names(out) == PLAIN | VIEWS | {"turntable.mp4", "turntable.webp"} == set(record["files"])
    assert [(progress.stage, progress.step, progress.steps) for progress in seen] == [
        ("turntable", step, 3) for step in range(3)
    ]


def test_views_turn_the_right_way(result: Result, inputs: dict[str, Path], tmp_path: Path):
    """The half at the viewer's left (-X, u > 0.5) is dark: a face turned to the viewer's right shows more of it."""
    texture = torch.ones(3, 64, 64)
    texture[:, :, 32:] = 0
    dark_left = dataclasses.replace(result, stylized=dataclasses.replace(result.stylized, texture=texture))
    write_result(dark_left, tmp_path / "out", config=RunConfig(), inputs=inputs, device="cpu", precision="float32")
    dark = {
        name: (np.asarray(PillowImage.open(tmp_path / "out" / "views" / f"{name}.png")) < 128).mean()
        for name in ("left", "front", "right")
    }
    assert 1.2 * dark["left"] < dark["front"] < dark["right"] / 1.2


def test_save_intermediates_adds_content_and_intermediates(result: Result, inputs: dict[str, Path], tmp_path: Path):
    out = tmp_path / "out"
    record = write_result(
        result, out, config=RunConfig(), inputs=inputs, device="cpu", precision="float32", save_intermediates=True
    )
    added = names(out) - PLAIN - VIEWS
    assert {f"content/{name}" for name in VIEWS | {"head.obj", "head.mtl", "texture.png", "head.safetensors"}} <= added
    assert set(record["files"]) == names(out)
    landmarks = json.loads((out / "intermediates" / "art_landmarks.json").read_text())
    np.testing.assert_allclose(landmarks["points"], result.art_landmarks.points.numpy(), atol=1e-5)
    assert landmarks["expressions"].keys() >= {"jawOpen"}
    assert json.loads((out / "intermediates" / "photo_landmarks.json").read_text())["dense"] is None


def test_record_takes_names_that_are_no_unicode(result: Result, inputs: dict[str, Path], tmp_path: Path):
    """As in a word about a former result at a place with such a name."""
    said = dataclasses.replace(result, warnings=("it is back at \udcff.",))
    record = write_result(said, tmp_path / "out", config=RunConfig(), inputs=inputs, device="cpu", precision="float32")
    assert record["warnings"] == [r"it is back at \udcff."]


def test_record_is_strict_json_and_tells_how_to_repeat(result: Result, inputs: dict[str, Path], tmp_path: Path):
    returned = write_result(
        result, tmp_path / "out", config=RunConfig(), inputs=inputs, device="cpu", precision="float32"
    )
    text = (tmp_path / "out" / "run.json").read_text()
    record = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert record == returned
    assert record["config"] == {"geometry": {"strength": 0.5}, "seed": 7}
    assert record["inputs"]["photo"] == {"name": "me.jpg", "sha256": hashlib.sha256(b"photo").hexdigest()}
    assert record["versions"].keys() >= {"portraitist", "torch", "mediapipe", "numpy"}
    assert record["seconds"] == {"fitting": 0.25}
    assert record["quality"] == {"residual": None}
    assert record["warnings"] == ["two faces"]
    assert record["seed"] == 7
    assert record["threads"] == torch.get_num_threads()
    assert record["assets"]
    assert record["peak_memory_mb"] is None or record["peak_memory_mb"] > 50


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device"), RuntimeError])
def test_failure_while_writing_leaves_everything_as_it_was(
    result: Result, inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type
):
    out = tmp_path / "out"
    write_result(result, out, config=RunConfig(), inputs=inputs, device="cpu", precision="float32")
    before = {name: (out / name).read_bytes() for name in names(out)}

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(results, "draw_preview", fail)
    expected = OutputError if isinstance(failure, OSError) else failure
    with pytest.raises(expected):
        write_result(result, out, config=RunConfig(), inputs=inputs, device="cpu", precision="float32", overwrite=True)
    with pytest.raises(expected):
        write_result(
            result, tmp_path / "deep" / "other", config=RunConfig(), inputs=inputs, device="cpu", precision="float32"
        )
    assert {name: (out / name).read_bytes() for name in names(out)} == before
    assert {path.name for path in tmp_path.iterdir()} == {"out", "me.jpg"}


def test_failing_swap_puts_the_former_result_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = write_former_result(tmp_path)
    rename = Path.rename

    def fail_on_new(self: Path, target: Path) -> Path:
        if target == out and not self.name.endswith(".former"):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_on_new)
    with pytest.raises(OutputError, match="Input/output error"), new_folder(out, overwrite=True):
        pass
    assert names(out) == {"run.json", "head.glb"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def write_former_result(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    out.mkdir()
    (out / "head.glb").write_bytes(b"old")
    (out / "run.json").write_text(json.dumps({"files": ["head.glb", "run.json"]}))
    return out


def test_former_result_is_replaced_only_when_asked(tmp_path: Path):
    out = write_former_result(tmp_path)
    with pytest.raises(OutputError, match="not empty"):
        check_output(out, overwrite=False)
    with new_folder(out, overwrite=True) as folder:
        (folder / "new.txt").write_text("new")
    assert names(out) == {"new.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_overwrite_leaves_foreign_folders_and_files_alone(tmp_path: Path):
    out = write_former_result(tmp_path)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        check_output(out, overwrite=True)
    (out / "run.json").write_text("[]")
    with pytest.raises(OutputError, match="not a result of portraitist"):
        check_output(out, overwrite=True)
    (out / "run.json").unlink()
    with pytest.raises(OutputError, match="not a result of portraitist"):
        check_output(out, overwrite=True)


def test_files_that_appear_during_the_run_are_kept(tmp_path: Path):
    out = tmp_path / "out"

    def write_while_somebody_else_does() -> None:
        with new_folder(out, overwrite=False) as folder:
            (folder / "new.txt").write_text("new")
            out.mkdir()
            (out / "theirs.txt").write_text("theirs")

    with pytest.raises(OutputError, match="not empty"):
        write_while_somebody_else_does()
    assert names(tmp_path) == {"out/theirs.txt"}


def test_unusable_places_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        check_output(tmp_path / "file", overwrite=True)
    with pytest.raises(OutputError, match="Cannot write into"):
        check_output(tmp_path / "file" / "out", overwrite=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="folder you are in"):
        check_output(Path("."), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_empty_folder_is_used_and_new_folder_has_ordinary_rights(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    with new_folder(out, overwrite=False) as folder:
        (folder / "a").write_text("a")
    (tmp_path / "plain").mkdir()
    assert out.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_hidden_files_do_not_count_as_foreign(tmp_path: Path):
    out = write_former_result(tmp_path)
    (out / ".DS_Store").write_text("")
    check_output(out, overwrite=True)
    assert output_folder.list_files(out) == ["head.glb", "run.json"]


def test_sheet_shows_every_panel_whole():
    red, wide = torch.zeros(3, 10, 10), torch.ones(3, 10, 40)
    red[0] = 1
    wide[1:] = 0
    sheet = draw_sheet([[Panel("a", red), Panel("b", wide)]], width_px=436)
    is_red = (sheet[0] > 0.9) & (sheet[1:].amax(0) < 0.1)
    left, right = is_red[:, :218].sum().item(), is_red[:, 218:].sum().item()
    assert left == 200 * 200
    assert right == pytest.approx(200 * 50, rel=0.05)


def test_landmarks_are_drawn_where_they_are():
    """Points from 20 to 80 px get a margin of 15 px: the overlay shows 5 to 95 px, enlarged to 1024."""
    points = torch.full((68, 2), 20.0)
    points[30] = torch.tensor([80.0, 80.0])
    drawn = draw_landmarks(torch.zeros(3, 100, 100), Landmarks(points=points, size=(100, 100)))
    assert drawn.shape == (3, 1024, 1024)
    at = round(75 * 1024 / 90)
    assert drawn[0, at - 1 : at + 2, at - 1 : at + 2].min() > 0.9
    assert drawn[:, :, at + 40 :].max() == 0
