"""Every device: what computes follows its inputs, and nothing goes to the CPU and back but through ``devices``."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import portraitist as p
from characters.worn import unpack
from conftest import make_quick_config
from portraitist.apps.view_painting import ViewPainting
from portraitist.devices import CPU, choose_device, from_numpy, move, to_numpy
from portraitist.io.images import image_to_uint8
from portraitist.io.video_writer import write_video
from pretend_device import DEVICE, DeviceError, PretendMode

SIDE = 128
QUICK = make_quick_config(view_px=48, steps=2, samples=64, stroke_px=48, stroke_steps=1)
QUICK = dataclasses.replace(QUICK, unwrap=dataclasses.replace(QUICK.unwrap, texture_size=SIDE))


@dataclasses.dataclass
class Studio:
    """What the public functions are given: pictures come from files, on the CPU; the rest is made of them, on a GPU."""

    photo: p.types.Image
    art: p.types.Image
    models: p.Models
    folder: Path
    sitter: p.Sitter
    exemplar: p.Exemplar
    geometry: p.StylizedGeometry
    landmarks: p.Landmarks

    @property
    def head(self) -> p.Head:
        return self.geometry.head

    @functools.cached_property
    def layered(self) -> p.Head:
        """With the head itself as hair: what lies where does not matter here."""
        mesh = dataclasses.replace(self.head.mesh, regions=torch.full_like(self.head.mesh.regions, HAIR))
        return dataclasses.replace(self.head, layers=(p.Layer("hair", mesh, self.head.texture, self.head.original),))

    @property
    def camera(self) -> p.Camera:
        return p.view_camera(self.head.mesh.vertices, 20.0, 5.0, 64)

    @property
    def source(self) -> p.StyleSource:
        return p.crop_exemplar(self.exemplar.art, self.head.mesh.faces.new_zeros(self.exemplar.art.shape[1:]), ROLES)

    @functools.cached_property
    def result(self) -> p.Result:
        return p.stylize(self.photo, self.art, self.models, QUICK)


HAIR = p.REGIONS.index("hair")
ROLES = p.LabelRoles.uniform(1)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def studio(hopper, brush, tmp_path_factory) -> Iterator[Studio]:
    with PretendMode():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("portraitist.models.choose_device", lambda _: DEVICE)
            models = p.Models.load("pretend")
        sitter, exemplar = p.reconstruct(hopper, models, QUICK), p.study_artwork(brush, models, QUICK)
        geometry = p.transfer_geometry(sitter, [exemplar], models, QUICK)
        landmarks, _ = p.detect_landmarks(sitter.photo, models.detector)
        folder = tmp_path_factory.mktemp("devices")
        yield Studio(hopper, brush, models, folder, sitter, exemplar, geometry, landmarks)


def paint_mesh(s: Studio) -> p.types.Image:
    """Any mesh, with seams and labels that are no face's."""
    mesh, content = s.head.mesh, s.head.texture
    labels = p.TexelLabels.make(mesh, mesh.faces.new_zeros(content.shape[1:]), ROLES)
    source = p.study_source(s.source, s.models.vgg, seeded(), view_px=40.0, stroke_px=40.0, roles=ROLES)
    cameras = p.place_cameras(mesh, 48, 2, seeded())
    seams = p.find_seams(mesh, SIDE)
    return p.optimize_texture(
        mesh, content, [source], labels, cameras, seams, QUICK.texture, vgg=s.models.vgg, generator=seeded()
    )


def save_animation(s: Studio) -> None:
    times = torch.stack([0 * s.head.expression[0], 0 * s.head.expression[0] + 1])
    rotations = torch.stack(2 * [s.camera.rotation])
    p.save_animation(s.folder / "a.glb", s.layered, times, torch.stack(2 * [s.head.expression]), rotations)


def write_stickers(s: Studio) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("portraitist.apps.expression_sheet.EASE_FRAMES", 1)
        presets = [p.ExpressionPreset("smile", {"mouthSmile": 1.0}, yaw_deg=5.0)]
        p.write_expression_sheet(s.folder / "stickers", s.layered, presets, size=32)


TINY = p.ImageConfig(head=QUICK, size_px=128, scales=((64, 1), (128, 1)), stroke_steps=1, samples=64)


def paint(s: Studio, *, transparent: bool = False, expression: dict[str, float] | None = None) -> p.ImageResult:
    config = dataclasses.replace(TINY, transparent=transparent)
    return p.paint_image(s.sitter, s.exemplar, s.layered, s.models, config, expression=expression)


def make_bust(s: Studio) -> p.Result:
    painting = ViewPainting(view_px=64, scales=((64, 1),), stroke_steps=1, samples=64)
    return p.stylize_bust(s.photo, s.art, s.models, p.BustConfig(QUICK, painting))


def dress(s: Studio) -> p.Head:
    painting = ViewPainting(view_px=96, scales=((96, 1),), stroke_steps=1, samples=64)
    return p.stylize_character(s.layered, s.models, p.CharacterConfig(painting=painting))


def write_files(s: Studio) -> None:
    p.write_result(
        s.result, s.folder / "out", config=QUICK, inputs={}, device="pretend", precision="", save_intermediates=True
    )


def write_turntable(s: Studio) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("portraitist.export.turntable.FRAMES", 2)
        p.write_turntable(s.folder / "turn.webp", s.layered)


def write_print(s: Studio) -> p.Solid:
    solid = p.build_solid(s.layered, 10.0, flat_base=True)
    for suffix, write in {"stl": p.write_stl, "3mf": p.write_3mf, "ply": p.write_ply}.items():
        write(s.folder / f"head.{suffix}", solid)
    p.describe_doubts(solid)
    return solid


def save_and_load(s: Studio) -> p.Head:
    p.save_head(s.folder / "head.safetensors", s.head)
    return p.load_head(s.folder / "head.safetensors")


def import_glb(s: Studio) -> p.Head:
    """A head that was sculpted and painted elsewhere."""
    neutral = s.layered.neutral * 1.02
    p.write_glb(s.folder / "edited.glb", dataclasses.replace(s.layered, neutral=neutral, texture=1 - s.layered.texture))
    return p.import_glb(s.folder / "edited.glb", s.layered)


def save_and_load_image(s: Studio) -> p.types.Image:
    p.save_image(s.folder / "photo.png", s.sitter.photo)
    return p.load_image(s.folder / "photo.png")


def save_mask(s: Studio) -> None:
    p.save_part_mask(s.folder / "mask.png", s.sitter.parts)


def mark_art(s: Studio) -> p.PictureParts:
    """Skin all over, given from the CPU."""
    shares = torch.zeros(len(p.PART_NAMES), *s.art.shape[1:])
    shares[p.PART_NAMES.index("skin")] = 1
    return p.PictureParts(shares)


ALL_OPTIONS = dataclasses.replace(
    QUICK,
    geometry=dataclasses.replace(QUICK.geometry, exaggeration=0.5, random_style=True),
    texture=dataclasses.replace(QUICK.texture, delighting=0.5, preserve_color=True, strength=0.5),
    subdivide=True,
)
PAPER = dataclasses.replace(
    QUICK,
    geometry=dataclasses.replace(QUICK.geometry, depth="paper"),
    texture=dataclasses.replace(p.TextureConfig.paper(48), steps=2, samples=64, near_views=2),
)


def film_photo(s: Studio) -> Path:
    """A video of the photo, of a few frames."""
    path = s.folder / "film.mp4"
    pixels = image_to_uint8(s.photo)[: s.photo.shape[1] // 2 * 2, : s.photo.shape[2] // 2 * 2]
    with write_video(path, pixels.shape[:2], 25) as writer:
        for frame in range(4):
            writer.add(pixels, frame / 25, 0.04)
    return path


SMALL_FILM = p.ReenactmentConfig(size_px=32)


def replace_and_write(studio: Studio) -> p.Result:
    """The character itself comes from a file, and is drawn on the CPU."""
    config = p.ReplaceConfig(QUICK, keep_hair=False)
    replaced = p.replace_face(studio.photo, p.read_figure(unpack("toon", studio.folder)), studio.models, config)
    out, inputs = studio.folder / "replaced", {}
    p.write_replaced(replaced, out, config=config, inputs=inputs, device="pretended", precision="float32")
    return replaced.result


CALLS: dict[str, Callable[[Studio], Any]] = {
    "build_solid": write_print,
    "check_output": lambda s: p.check_output(s.folder / "new", overwrite=False),
    "close_seams": lambda s: p.close_seams(s.head.texture, p.find_seams(s.head.mesh, SIDE)),
    "build_character": lambda s: p.build_character(s.layered),
    "crop_exemplar": lambda s: s.source,
    "draw_expression": lambda s: p.draw_expression(s.layered, p.ExpressionPreset("smile", {"mouthSmile": 1.0}), 32),
    "describe_doubts": None,  # needs arrays alone
    "detect_landmarks": lambda s: p.detect_landmarks(s.sitter.photo, s.models.detector)[0],
    "find_seams": lambda s: p.find_seams(s.head.mesh, SIDE, largest_island_only=True),
    "head_camera": lambda s: p.head_camera(s.layered, 20.0, 5.0, 64),
    "import_glb": import_glb,
    "load_head": save_and_load,
    "load_image": save_and_load_image,
    "load_vgg": lambda s: p.load_vgg(DEVICE)(s.sitter.photo[:, :64, :64]),
    "optimize_texture": paint_mesh,
    "paint_image": lambda s: paint(s),
    "paint_image (expression)": lambda s: paint(s, transparent=True, expression={"jawOpen": 0.8}),
    "place_cameras": lambda s: p.place_cameras(s.head.mesh, 48, 3, seeded()).near[0].rotation,
    "rasterize": lambda s: p.rasterize(s.head.mesh, s.camera),
    "rasterize_parts": lambda s: p.rasterize_parts([s.head.mesh, s.layered.layers[0].mesh], s.camera),
    "read_manner": lambda s: p.read_manner(s.art, s.models),
    "read_landmarks": None,  # gives points on the CPU, from a file; `reconstruct` takes them from anywhere
    "reconstruct": lambda s: p.reconstruct(s.photo, s.models, QUICK, landmarks=to_cpu(s.landmarks.points)),
    "read_part_mask": None,  # the same
    "reconstruct (parts)": lambda s: p.reconstruct(s.photo, s.models, QUICK, parts=move(s.sitter.parts, CPU)),
    "reenact_sitter": lambda s: p.reenact_sitter(
        s.art, film_photo(s), s.folder / "sitter.mp4", s.models, SMALL_FILM, QUICK
    ),
    "reenact_video": lambda s: p.reenact_video(s.layered, film_photo(s), s.folder / "out.mp4", s.models, SMALL_FILM),
    "render": lambda s: p.render(s.head, s.camera),
    "render (layers)": lambda s: p.render(s.layered, s.camera),
    "render_view": lambda s: p.render_view(s.head.mesh, s.head.texture, s.camera, s.head.texture.new_zeros(3)),
    "save_animation": save_animation,
    "save_head": save_and_load,
    "save_image": save_and_load_image,
    "save_part_mask": save_mask,
    "shade": lambda s: p.shade(p.rasterize(s.head.mesh, s.camera), s.head.texture, s.head.texture.new_ones(3)),
    "shade_parts": lambda s: p.shade_parts(
        2 * [p.rasterize(s.head.mesh, s.camera)], 2 * [s.head.texture], s.head.texture.new_ones(3)
    ),
    "study_artwork": lambda s: p.study_artwork(s.art, s.models, ALL_OPTIONS, style_mask=torch.ones(s.art.shape[1:])),
    "study_artwork (parts)": lambda s: p.study_artwork(s.art, s.models, QUICK, parts=mark_art(s)),
    "study_source": lambda s: p.study_source(
        s.source, s.models.vgg, seeded(), view_px=40.0, stroke_px=40.0, roles=ROLES
    ),
    "stylize": lambda s: p.stylize(s.photo, s.art, s.models, ALL_OPTIONS, mix=[(s.art, 0.5)]),
    "stylize_bust": make_bust,
    "stylize_character": dress,
    "stylize_image": lambda s: p.stylize_image(s.photo, s.art, s.models, TINY),
    "stylize (paper)": lambda s: p.stylize(s.photo, s.art, s.models, PAPER),
    "subdivide_head": lambda s: p.subdivide_head(s.head),
    "track": lambda s: p.track(s.landmarks, s.sitter.fit, s.models.head),
    "transfer_colors": lambda s: p.transfer_colors(*3 * [s.head.texture.flatten(1).T[:1000]]),
    "transfer_geometry": lambda s: p.transfer_geometry(s.sitter, [s.exemplar], s.models, ALL_OPTIONS),
    "transfer_texture": lambda s: p.transfer_texture(s.head, s.sitter, [s.exemplar], s.models, QUICK),
    "view_camera": lambda s: s.camera,
    "write_glb": lambda s: p.write_glb(s.folder / "head.glb", s.head),
    "write_obj": lambda s: p.write_obj(s.folder / "head.obj", s.head),
    "write_glb (looks)": lambda s: p.write_glb(
        s.folder / "looks.glb",
        s.layered,
        p.GlbForm(quantized=True, visemes=True, looks=("toon", "lit")),
        styles={"ink": s.layered},
    ),
    "write_obj (colors)": lambda s: p.write_obj(s.folder / "colors.obj", s.layered, vertex_colors=True),
    "write_glb (layers)": lambda s: p.write_glb(s.folder / "head.glb", s.layered),
    "write_glb (bust)": lambda s: p.write_glb(
        s.folder / "head.glb",
        dataclasses.replace(s.layered, layers=(dataclasses.replace(s.layered.layers[0], name="bust"),)),
    ),
    "write_usdz": lambda s: p.write_usdz(s.folder / "head.usdz", s.layered),
    "write_vrm": lambda s: p.write_vrm(s.folder / "head.vrm", s.layered),
    "write_stl": None,  # these take what `build_solid` makes, arrays alone
    "write_3mf": None,
    "write_ply": None,
    "write_obj (layers)": lambda s: p.write_obj(s.folder / "head.obj", s.layered),
    "save_head (layers)": lambda s: p.save_head(s.folder / "layered.safetensors", s.layered),
    "subdivide_head (layers)": lambda s: p.subdivide_head(s.layered),
    "build_character (subdivided, large head)": lambda s: p.build_character(
        p.subdivide_head(s.head), p.BodyShape(head_scale=1.3)
    ),
    "write_result": write_files,
    "write_character": lambda s: p.write_character(
        p.build_character(s.layered),
        s.folder / "character",
        config=p.BodyShape(),
        inputs={},
        device="pretended",
        precision="float32",
    ),
    "write_expression_sheet": write_stickers,
    "write_turntable": write_turntable,
    # Methods
    "Camera": lambda s: [s.camera.project(s.head.neutral), s.camera.depth(s.head.neutral)],
    "Head": lambda s: s.head.posed(s.head.expression),
    "LandmarkEmbedding": lambda s: s.head.landmarks68.positions(s.head.neutral, s.head.mesh.faces),
    "StylizedGeometry": lambda s: s.geometry.displace(0.5, p.RegionStrengths(eyes=0.0), 0.5),
    "sitter": lambda s: s.sitter,
    "read_figure": None,  # gives arrays alone
    "replace_face": replace_and_write,
    "write_replaced": None,  # within `replace_face`
}
WHOLE_RUNS = {  # of what the stages do one by one
    "reenact_sitter",
    "replace_face",
    "stylize",
    "stylize (paper)",
    "stylize_bust",
    "stylize_image",
    "write_result",
}
ON_THE_CPU = {"load_head", "save_head", "load_image", "save_image"}  # come from files


def to_cpu(tensor: torch.Tensor) -> torch.Tensor:
    return move(tensor, CPU)


def list_tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for item in value for tensor in list_tensors(item)] if isinstance(value, (list, tuple)) else []


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in WHOLE_RUNS)) for name, call in CALLS.items() if call],
)
def test_public_functions_stay_on_their_device(studio, name):
    result = CALLS[name](studio)
    elsewhere = [tuple(tensor.shape) for tensor in list_tensors(result) if tensor.device != DEVICE]
    assert name in ON_THE_CPU or elsewhere == []


def test_every_public_function_is_covered():
    functions = {name for name in p.__all__ if inspect.isfunction(getattr(p, name))}
    assert functions - CALLS.keys() == set()


@pytest.mark.slow
def test_the_result_is_that_of_the_cpu(studio, hopper, brush, models):
    """Bit for bit, since the pretended GPU computes as the CPU does: nothing depends on where things are."""
    other, here = studio.result, p.stylize(hopper, brush, models, QUICK)
    assert torch.equal(to_cpu(other.stylized.texture), here.stylized.texture)
    assert torch.equal(to_cpu(other.stylized.mesh.vertices), here.stylized.mesh.vertices)


def test_an_unasked_move_is_found(studio, monkeypatch):
    """Among them the one that a careless line in a stage makes."""
    on_gpu = studio.head.neutral
    for careless in (lambda x: x.cpu(), lambda x: x.to("cpu"), lambda x: torch.zeros_like(x, device="cpu").copy_(x)):
        with pytest.raises(DeviceError, match="moves"):
            careless(on_gpu)
    with pytest.raises(DeviceError, match="moves"):
        torch.ones(3).to(on_gpu)
    with pytest.raises(DeviceError, match="two devices"):
        on_gpu + torch.ones(3)
    with pytest.raises(DeviceError, match="two devices"):
        on_gpu[torch.arange(2)]
    with pytest.raises(DeviceError, match="double"):
        on_gpu.double()
    with pytest.raises((RuntimeError, TypeError)):
        on_gpu.numpy()
    monkeypatch.setattr("portraitist.geometry.translation.close_lips", lambda moved: moved.cpu())
    with pytest.raises(DeviceError, match="moves"):
        CALLS["transfer_geometry"](studio)


def test_data_goes_and_comes_back_with_its_values(studio):
    values = studio.head.neutral
    there = to_numpy(values, float)
    assert there.dtype == float
    back = from_numpy(there, values)
    assert (back.device, back.dtype) == (DEVICE, torch.float32)
    assert torch.equal(back, values)
    assert move(studio.layered, DEVICE) is studio.layered
    at_home = move(studio.layered, CPU)
    assert {tensor.device for tensor in list_tensors(at_home)} == {CPU}


@pytest.mark.parametrize("name", ["abacus", "cuda:x", "cuda", "cuda:7", "mps"])
def test_devices_that_are_not_there_are_refused(name):
    if name.split(":")[0] == "cuda" and torch.cuda.is_available() and name != "cuda:x":
        pytest.skip("this machine has a GPU")
    with pytest.raises(p.InputError, match=f"{name.split(':')[0]}.*[Uu]se|[Uu]se .*{name.split(':')[0]}"):
        choose_device(name)


def test_auto_takes_a_gpu_when_there_is_one(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device("auto") == CPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_real_gpu_gives_what_the_cpu_gives(hopper, brush, models):
    on_gpu, here = p.stylize(hopper, brush, p.Models.load("cuda"), QUICK), p.stylize(hopper, brush, models, QUICK)
    assert on_gpu.stylized.texture.is_cuda
    assert torch.allclose(to_cpu(on_gpu.stylized.mesh.vertices), here.stylized.mesh.vertices, atol=1e-5)
    assert (to_cpu(on_gpu.stylized.texture) - here.stylized.texture).abs().mean() < 0.02
