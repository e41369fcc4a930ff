"""The command as a user meets it: each problem one clear sentence, its own exit code, nothing left behind."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image as PillowImage

from conftest import make_head
from portraitist import Config, Models, __version__, detect_landmarks, load_image, read_part_mask, save_head
from portraitist.assets import asset_path
from portraitist.cli.arguments import PRESETS, ArgumentError
from portraitist.cli.commands import build_parser
from portraitist.cli.main import main
from portraitist.cli.stylize import make_config, make_demo_request, run_stylize
from portraitist.cli.stylize_arguments import DEMO_OUTPUT, STYLES, Request
from portraitist.io.held_signals import STOP_SIGNALS
from portraitist.io.landmark_files import read_landmarks_of_picture
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.refinement import load_refiner
from portraitist.reading import read_artwork, read_photo
from portraitist.segmentation.part_masks import PALETTE
from portraitist.vgg import load_vgg

PHOTO = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))
ART = Path(__file__).parents[2] / "src" / "portraitist" / "assets" / "exemplars" / f"{STYLES[0]}.jpg"
OLD_NAMES = {
    "--regions": ["--geometry-regions", "nose=0.5,eyes=2"],
    "--exaggerate": ["--exaggeration", "1.5"],
    "--parts": ["--texture-regions", "lips=0.5"],
    "--keep-color": ["--preserve-color"],
    "--save-all": ["--save-intermediates"],
}
COMMAND = [sys.executable, "-m", "portraitist"]


def portraitist(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture
def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``portraitist`` in this process, for what ends before anything is computed."""

    def run(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(folder)
        handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        try:
            with pytest.raises(SystemExit) as end:
                main([str(argument) for argument in arguments])
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return subprocess.CompletedProcess([], end.value.code, printed.out, printed.err)

    return run


def assert_refused(run: subprocess.CompletedProcess[str], exit_code: int, *words: str) -> None:
    assert run.returncode == exit_code, run.stderr
    assert "Traceback" not in run.stderr
    message = run.stderr.splitlines()[-1]
    assert message.startswith("portraitist: ")
    for word in words:
        assert word in message


@dataclasses.dataclass(frozen=True)
class EmptyResult:
    warnings: tuple[str, ...] = ()


EMPTY_RESULT = EmptyResult()
EMPTY_MODELS = types.SimpleNamespace(device="cpu", vgg=types.SimpleNamespace(dtype="torch.float32"))

HEAVY = {"torch", "numpy", "scipy", "matplotlib", "cv2", "mediapipe", "PIL", "rich"}
"""What neither help nor an impossible argument may wait for."""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["stylize", "--help"],
        ["demo", "--help"],
        ["turntable", "--help"],
        ["image", "--help"],
        ["bust", "--help"],
        ["character", "--help"],
        ["landmarks", "--help"],
        ["sheet", "--help"],
        ["reenact", "--help"],
        ["export", "--help"],
        ["import", "--help"],
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str], tmp_path: Path):
    program = f"""
import atexit, sys
atexit.register(lambda: print("loaded:", *sorted({HEAVY} & sys.modules.keys())))
from portraitist.cli.main import main
from portraitist.cli.stylize import make_config, make_demo_request, run_stylize
from portraitist.cli.stylize_arguments import DEMO_OUTPUT, STYLES, Request
main({arguments})
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("portraitist " if arguments == ["--version"] else "usage: portraitist")
    assert run.stdout.endswith("loaded:\n")


def test_version_is_printed(tmp_path: Path):
    ran = portraitist("--version", folder=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"portraitist {__version__}\n", "")


def test_demo_computes_where_it_is_told():
    values = vars(build_parser().parse_args(["demo", "--device", "mps"]))
    assert values.pop("run")
    assert make_demo_request(**values).device == "mps"


def test_help_of_threads_names_the_variable_that_counts(tmp_path: Path):
    assert "OMP_NUM_THREADS" in portraitist("stylize", "--help", folder=tmp_path).stdout


def test_help_names_every_option(tmp_path: Path):
    help_text = portraitist("stylize", "--help", folder=tmp_path).stdout
    options = "preset geometry texture photo-landmarks art-landmarks texture-size device threads seed overwrite"
    for option in [
        *options.split(),
        "save-intermediates",
        "subdivide",
        "turntable",
        "json",
        "geometry-regions",
        "texture-regions",
        "style-mask",
        "preserve-color",
        "delight",
        "hair",
        "mix",
        "translator",
        "exaggeration",
        "photo-face",
        "art-face",
        "photo-mask",
        "art-mask",
    ]:
        assert f"--{option} " in help_text or f"--{option}]" in help_text, option
    for option in OLD_NAMES:
        assert not re.search(rf"{option}\b(?!-)", help_text), option


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("COMMAND",)),
        (("stylize", PHOTO, PHOTO), ("-o",)),
        (("stylize", "absent.jpg", PHOTO, "-o", "out"), ("PHOTO", "absent.jpg")),
        (("stylize", PHOTO, ".", "-o", "out"), ("ART", "not a file")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--geometry", "2.1"), ("--geometry", "0 to 2", "2.1")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--texture", "nan"), ("--texture", "0 to 1", "nan")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--texture-size", "x"), ("--texture-size", "128 to 4096")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--preset", "fast"), ("--preset", "draft", "standard", "best")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--art-landmarks", "absent.pts"), ("--art-landmarks", "absent.pts")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--photo-mask", "absent.png"), ("--photo-mask", "absent.png")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--art-mask", "."), ("--art-mask", "not a file")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--threads", "0"), ("--threads", "1 to 1024")),
        (
            ("stylize", PHOTO, PHOTO, "-o", "out", "--geometry-regions", "nose=1,ear=2"),
            ("--geometry-regions", "ear=2", "outline"),
        ),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--regions", "nose=9"), ("--regions", "0 to 2", "9")),
        (
            ("stylize", PHOTO, PHOTO, "-o", "out", "--texture-regions", "nose=1"),
            ("--texture-regions", "nose=1", "lips"),
        ),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--texture-regions", "lips=2"), ("--texture-regions", "0 to 1", "2")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--delight", "2"), ("--delight", "0 to 1", "2")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--hair", "wig"), ("--hair", "wig", "layer", "none")),
        (("demo", "--hair", "wig"), ("--hair", "wig", "layer", "none")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--style-mask", "absent.png"), ("--style-mask", "absent.png")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--mix", f"{PHOTO}=0"), ("--mix", "0.01 to 100")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--mix", "absent.jpg=1"), ("--mix", "absent.jpg")),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--translator", "absent"), ("--translator", "absent")),
        (
            ("stylize", PHOTO, PHOTO, "-o", "out", "--random-style", "--translator", "direct"),
            ("--random-style", "--translator direct"),
        ),
        (
            ("stylize", PHOTO, PHOTO, "-o", "out", "--photo-face", "2", "--photo-landmarks", PHOTO),
            ("--photo-face", "--photo-landmarks"),
        ),
        (("stylize", PHOTO, PHOTO, "-o", "out", "--art-face", "0"), ("--art-face", "1 to")),
        (("demo", "--style", "oil"), ("--style", *STYLES)),
        (("turntable", "absent.safetensors", "-o", "out.mp4"), ("HEAD", "absent.safetensors")),
        (("sheet", "absent.safetensors", "-o", "out"), ("HEAD", "absent.safetensors")),
        (("sheet", PHOTO), ("-o",)),
        (("export", PHOTO), ("--for",)),
        (("export", PHOTO, "--for", "maya"), ("--for", "maya", "blender", "unreal")),
        (("export", PHOTO, "--for", "obj", "--visemes"), ("--visemes", "obj")),
        (("export", PHOTO, "--for", "web", "--vertex-colors"), ("--vertex-colors", "web")),
        (("export", PHOTO, "--for", "unity", "--compressed"), ("--compressed", "unity")),
        (("export", PHOTO, "--for", "web", "-o", "head.obj"), ("-o", ".glb", "head.obj")),
        (("export", PHOTO, "--for", "web", "--looks", "lit,lit"), ("--looks", "lit,lit", "toon")),
        (("export", PHOTO, "--for", "web", "--looks", ""), ("--looks", "unlit")),
        (("export", PHOTO, "--for", "web", "--style", "absent"), ("--style", "absent")),
        (("import", "absent.glb", PHOTO, "-o", "new.safetensors"), ("FILE.glb", "absent.glb")),
        (("import", PHOTO, PHOTO), ("-o",)),
        (("import", PHOTO, PHOTO, "-o", "new.glb"), ("-o", ".safetensors", "new.glb")),
    ],
)
def test_impossible_arguments_are_named(
    arguments: tuple, words: tuple[str, ...], run_here: Callable[..., Any], tmp_path: Path
):
    run = run_here(*arguments, folder=tmp_path)
    assert_refused(run, 2, *words)
    assert len(run.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_command_itself_refuses_in_one_line(tmp_path: Path):
    run = portraitist("stylize", PHOTO, PHOTO, "-o", "out", "--preset", "fast", folder=tmp_path)
    assert_refused(run, 2, "--preset", "draft", "standard", "best")
    assert len(run.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_errors_as_json(tmp_path: Path):
    run = portraitist("stylize", PHOTO, PHOTO, "-o", "out", "--seed", "-1", "--json", folder=tmp_path)
    error = json.loads(run.stdout)["error"]
    assert error["exit_code"] == run.returncode == 2
    assert "--seed" in error["message"]


def test_values_that_are_not_given_are_left_to_the_preset():
    given = vars(build_parser().parse_args(["stylize", str(PHOTO), str(PHOTO), "-o", "out"]))
    assert given.pop("run") is run_stylize
    assert given == {"photo": PHOTO, "art": PHOTO, "output": Path("out")}
    with pytest.raises(ArgumentError):
        build_parser().parse_args(["stylize", str(PHOTO)])


@pytest.mark.parametrize("old", OLD_NAMES)
def test_old_option_names_still_work_and_name_the_new_one(old: str, capsys: pytest.CaptureFixture[str]):
    common, (new, *value) = ["stylize", str(PHOTO), str(PHOTO), "-o", "out"], OLD_NAMES[old]
    expected = build_parser().parse_args([*common, new, *value])
    assert not capsys.readouterr().err
    assert build_parser().parse_args([*common, old, *value]) == expected
    said = capsys.readouterr()
    assert said.err == f"{old} is now called {new}; the old name goes in the next version.\n"
    assert not said.out
    assert build_parser().parse_args(common) != expected


def test_given_values_replace_those_of_the_preset():
    from portraitist import Config

    paths = {"photo": PHOTO, "art": PHOTO, "output": Path("out")}
    for preset in PRESETS:
        assert make_config(Request(**paths, preset=preset)) == getattr(Config, preset)()
    config = make_config(Request(**paths, geometry=0.25, texture=0.5, texture_size=512, seed=9))
    assert (config.geometry.strength, config.texture.strength) == (0.25, 0.5)
    assert (config.unwrap.texture_size, config.seed) == (512, 9)
    config = make_config(Request(**paths, geometry_regions={"nose": 0.5}, exaggeration=1.5, random_style=True))
    assert (config.geometry.regions.nose, config.geometry.regions.eyes) == (0.5, 1.0)
    assert (config.geometry.exaggeration, config.geometry.random_style) == (1.5, True)
    config = make_config(Request(**paths, texture_regions={"lips": 0.5}, preserve_color=True, delight=0.7))
    assert (config.texture.regions.lips, config.texture.regions.skin) == (0.5, 1.0)
    assert (config.texture.preserve_color, config.texture.delighting) == (True, 0.7)


def test_hair_can_be_left_out_of_every_run_that_reconstructs_a_photo():
    pictures = [str(PHOTO), str(PHOTO), "-o", "out"]
    for command in (["stylize", *pictures], ["demo"]):
        for given, expected in ((["--hair", "none"], "none"), (["--hair", "layer"], "layer"), ([], "layer")):
            values = vars(build_parser().parse_args([*command, *given]))
            values.pop("run")
            request = make_demo_request(**values) if command == ["demo"] else Request(**values)
            assert make_config(request).unwrap.hair == expected


def test_mixed_artworks_may_have_weights_and_odd_names(tmp_path: Path):
    odd = tmp_path / "a=2.jpg"
    odd.write_bytes(PHOTO.read_bytes())
    common = ["stylize", str(PHOTO), str(PHOTO), "-o", "out"]
    given = build_parser().parse_args([*common, "--mix", f"{PHOTO}=0.5", "--mix", str(odd)])
    assert given.mix == [(PHOTO, 0.5), (odd, 1.0)]


def test_demo_uses_the_embedded_pictures():
    for style in STYLES:
        request = make_demo_request(style=style)
        assert request.photo == PHOTO
        assert request.art == asset_path(f"exemplars/{style}.jpg")
        assert request.output == DEMO_OUTPUT
        assert request.overwrite
    assert not make_demo_request(output=Path("mine")).overwrite


def save_noise(path: Path) -> Path:
    """A picture without a face."""
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    PillowImage.fromarray(noise).save(path)
    return path


def test_file_that_is_no_picture(tmp_path: Path):
    (tmp_path / "text.jpg").write_text("not a picture")
    run = portraitist("stylize", PHOTO, "text.jpg", "-o", "out", folder=tmp_path)
    assert_refused(run, 2, "text.jpg")
    assert {path.name for path in tmp_path.iterdir()} == {"text.jpg"}


def test_picture_without_a_face(tmp_path: Path):
    save_noise(tmp_path / "noise.png")
    run = portraitist("stylize", "noise.png", ART, "-o", "out", "--json", folder=tmp_path)
    assert_refused(run, 3, "face")
    assert json.loads(run.stdout)["error"]["type"] == "NoFaceError"
    assert {path.name for path in tmp_path.iterdir()} == {"noise.png"}


def test_wrong_landmark_file(run_here: Callable[..., Any], tmp_path: Path):
    (tmp_path / "points.txt").write_text("1 2\n3 4\n")
    run = run_here("stylize", PHOTO, ART, "-o", "out", "--photo-landmarks", "points.txt", folder=tmp_path)
    assert_refused(run, 2, "points.txt", "68")
    assert {path.name for path in tmp_path.iterdir()} == {"points.txt"}


def test_wrong_mask_files(run_here: Callable[..., Any], tmp_path: Path):
    (tmp_path / "text.png").write_text("no picture")
    PillowImage.new("RGB", (40, 50), "yellow").save(tmp_path / "small.png")
    PillowImage.new("RGB", (512, 600), "white").save(tmp_path / "empty.png")
    for option, file, words in (
        ("--photo-mask", "text.png", ("text.png", "not a picture")),
        ("--photo-mask", "small.png", ("small.png", "40 x 50", "512 x 600")),
        ("--photo-mask", "empty.png", ("empty.png", "yellow", "skin")),
        ("--photo-mask", PHOTO, ("no mask", "Paint")),
        ("--art-mask", "small.png", ("small.png", "40 x 50")),
    ):
        assert_refused(run_here("stylize", PHOTO, ART, "-o", "out", option, file, folder=tmp_path), 2, *words)
    assert {path.name for path in tmp_path.iterdir()} == {"text.png", "small.png", "empty.png"}


def test_corrected_files_reach_the_pipeline_and_the_record(
    monkeypatch: pytest.MonkeyPatch, run_here: Callable[..., Any], tmp_path: Path
):
    with PillowImage.open(ART) as art:
        sizes = {"photo": (512, 600), "art": art.size}
    for name, size in sizes.items():
        PillowImage.new("RGB", size, "yellow").save(tmp_path / f"{name}.png")
    seen: dict[str, Any] = {}
    monkeypatch.setattr("portraitist.pipeline.stylize", lambda *_, **values: seen.update(values) or EMPTY_RESULT)
    monkeypatch.setattr("portraitist.pipeline.Models.load", lambda *_: EMPTY_MODELS)
    monkeypatch.setattr(
        "portraitist.export.result_folder.write_result",
        lambda *_, inputs, **__: seen.update(inputs=inputs) or {"files": [], "warnings": []},
    )
    done = run_here(
        "stylize", PHOTO, ART, "-o", "out", "--photo-mask", "photo.png", "--art-mask", "art.png", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    for name, (width, height) in sizes.items():
        assert seen[f"{name}_parts"].shares.shape == (8, height, width)
        assert seen[f"{name}_parts"].share("skin").min() == 1
        assert seen["inputs"][f"{name}_mask"] == Path(f"{name}.png")
    assert seen["photo_landmarks"] is None


def test_folder_with_foreign_files_is_refused_before_the_work(run_here: Callable[..., Any], tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for option in ([], ["--overwrite"]):
        run = run_here("stylize", PHOTO, ART, "-o", "out", *option, folder=tmp_path)
        assert_refused(run, 5, "out")
        assert "landmarks" not in run.stderr  # the first stage
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert_refused(portraitist("stylize", PHOTO, ART, "-o", "file/out", folder=tmp_path), 5, "Cannot write")


def save_odd_photos(folder: Path) -> dict[str, Path]:
    """The same photo as phones and editors store it: turned with an EXIF note, with alpha, and gray."""
    photo = PillowImage.open(PHOTO).convert("RGB")
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # stored turned; to be shown turned by 90 degrees clockwise
    photo.transpose(PillowImage.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=exif, quality=95)
    translucent = photo.copy()
    translucent.putalpha(255)
    translucent.save(folder / "alpha.png")
    photo.convert("L").save(folder / "gray.png")
    return {name: next(folder.glob(f"{name}.*")) for name in ("turned", "alpha", "gray")}


@pytest.mark.parametrize(
    "kind", ["turned", pytest.param("alpha", marks=pytest.mark.slow), pytest.param("gray", marks=pytest.mark.slow)]
)
def test_odd_photos_are_read_as_people_see_them(kind: str, tmp_path: Path):
    """Geometry and texture off: what is tested is that the face is found upright and the result is whole."""
    photo = save_odd_photos(tmp_path)[kind]
    options = ["--preset", "draft", "--geometry", 0, "--texture", 0, "--texture-size", 256, "--json"]
    run = portraitist("stylize", photo, ART, "-o", "out", *options, folder=tmp_path)
    assert run.returncode == 0, run.stderr
    record = json.loads(run.stdout)
    assert record == json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["inputs"]["photo"]["name"] == photo.name
    front = np.asarray(PillowImage.open(tmp_path / "out" / "views" / "front.png"))
    assert front.shape == (512, 512, 3)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_stopping_leaves_nothing(number: signal.Signals, exit_code: int, tmp_path: Path):
    command = [*COMMAND, "stylize", str(PHOTO), str(ART), "-o", "deep/out", "--preset", "best"]
    # A shell that runs the tests in the background has children ignore Ctrl-C; a user's terminal does not.
    restore = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=restore) as process:
        assert process.stderr is not None
        first_line = process.stderr.readline()
        assert "loading" in first_line
        process.stderr.readline()  # the next stage has begun
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(timeout=60) == exit_code
    assert "Traceback" not in rest
    assert not list(tmp_path.iterdir())


def test_landmarks_are_written_drawn_and_read_again(run_here: Callable[..., Any], tmp_path: Path):
    photo = str(make_demo_request().photo)
    done = run_here("landmarks", photo, "-o", "points.txt", "--overlay", "points.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    image = load_image(photo)
    points = read_landmarks_of_picture(tmp_path / "points.txt", photo, (image.shape[1], image.shape[2]))
    found, _ = detect_landmarks(image, LandmarkDetector())
    assert (points - found.points).abs().max() < 0.01
    assert max(PillowImage.open(tmp_path / "points.png").size) == 1024
    for arguments, exit_code, word in (
        (["-o", "points.txt"], 5, "exists already"),
        (["-o", "new.txt", "--overlay", "points.png"], 5, "exists already"),
        (["-o", "points.xml"], 2, "suffix"),
        (["-o", "new.txt", "--face", "2"], 2, "1 face was found"),
    ):
        assert_refused(run_here("landmarks", photo, *arguments, folder=tmp_path), exit_code, word)
    assert {path.name for path in tmp_path.iterdir()} == {"points.txt", "points.png"}


def test_landmarks_of_an_artwork_are_those_that_shape_the_head(run_here: Callable[..., Any], tmp_path: Path):
    art = str(make_demo_request().art)
    done = run_here("landmarks", art, "--art", "-o", "points.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    image = load_image(art)
    points = read_landmarks_of_picture(tmp_path / "points.json", art, (image.shape[1], image.shape[2]))
    found, _ = detect_landmarks(image, LandmarkDetector())
    read = load_refiner().refine(image, found, load_vgg())
    assert (points - read.points).abs().max() < 0.01
    assert (points - found.points).abs().max() > 1


@pytest.mark.parametrize("options", [(), ("--art",)])
def test_the_mask_to_start_from_is_what_stylize_would_see(
    options: tuple[str, ...], run_here: Callable[..., Any], tmp_path: Path
):
    """Written at the size of the picture's file, and read again as the parts that the segmentation found."""
    request, models = make_demo_request(), Models.load("cpu")  # in the command's own precision
    picture = str(request.art if options else request.photo)
    done = run_here("landmarks", picture, *options, "-o", "points.txt", "--mask", "mask.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    with PillowImage.open(picture) as shown, PillowImage.open(tmp_path / "mask.png") as mask:
        assert mask.size == shown.size
        colors = np.unique(np.asarray(mask.convert("RGB")).reshape(-1, 3), axis=0)
    assert {tuple(color) for color in colors.tolist()} <= {color for _, color in PALETTE.values()}
    image = load_image(picture)
    found, _ = detect_landmarks(image, models.detector)
    if options:
        expected = read_artwork(image, found, models, Config.standard().fit, "art").parts.labels()
    else:
        expected = read_photo(image, found, models, Config.standard().fit).parts.labels()
    read = read_part_mask(tmp_path / "mask.png", (image.shape[1], image.shape[2])).labels()
    assert (read != expected).float().mean() < 0.01
    for path in ("mask.png", "absent/mask.png"):
        refused = run_here("landmarks", picture, "-o", "new.txt", "--mask", path, folder=tmp_path)
        assert_refused(refused, 5, path)
    assert {path.name for path in tmp_path.iterdir()} == {"points.txt", "mask.png"}


def test_turntable_refuses_before_it_renders(run_here: Callable[..., Any], tmp_path: Path):
    save_head(tmp_path / "head.safetensors", make_head())
    (tmp_path / "text.safetensors").write_text("no head")
    (tmp_path / "there.mp4").write_text("mine")
    for head, out, exit_code, word in (
        ("head.safetensors", "turn.gif", 2, ".webp"),
        ("head.safetensors", "there.mp4", 5, "--overwrite"),
        ("head.safetensors", "absent/turn.mp4", 5, "Cannot write"),
        ("text.safetensors", "turn.mp4", 2, "head.safetensors"),
    ):
        assert_refused(run_here("turntable", head, "-o", out, folder=tmp_path), exit_code, word)
    assert {path.name for path in tmp_path.iterdir()} == {"head.safetensors", "text.safetensors", "there.mp4"}
    assert (tmp_path / "there.mp4").read_text() == "mine"


def test_what_apples_gpus_cannot_do_is_left_to_the_cpu(monkeypatch, tmp_path):
    """PyTorch reads the variable when it is imported, so that the command has to set it before."""
    monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "0")  # so that it is put back at the end
    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK")
    seen = []
    monkeypatch.setattr(
        "portraitist.cli.stylize.stylize_files",
        lambda request, show: (
            seen.append(os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK")) or {"warnings": [], "files": []}
        ),
    )
    for device in ("cpu", "mps"):
        with pytest.raises(SystemExit) as end:
            main(["demo", "--device", device, "-o", str(tmp_path / "out")])
        assert end.value.code == 0
    assert seen == [None, "1"]


def test_sheet_refuses_before_it_draws(run_here: Callable[..., Any], tmp_path: Path):
    save_head(tmp_path / "head.safetensors", make_head())
    (tmp_path / "text.safetensors").write_text("no head")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("mine")
    for head, out, exit_code, word in (
        ("head.safetensors", "there", 5, "not empty"),
        ("head.safetensors", "text.safetensors", 5, "is a file"),
        ("text.safetensors", "stickers", 2, "head.safetensors"),
    ):
        assert_refused(run_here("sheet", head, "-o", out, folder=tmp_path), exit_code, word)
    assert {path.name for path in tmp_path.iterdir()} == {"head.safetensors", "text.safetensors", "there"}
