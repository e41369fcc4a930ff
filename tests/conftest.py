"""What the tests share: how they are spread over workers, the embedded example, a small ball and the real topology."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
import torch.nn.functional as F
from matplotlib.cbook import get_sample_data
from xdist.scheduler import LoadScopeScheduling

from golden.rewrite import load_models, run_example
from portraitist import Config, Models, Result, load_image, stylize
from portraitist.assets import asset_path
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.segmentation.picture import PART_NAMES, PictureParts
from portraitist.types import EXPRESSION_NAMES, REGIONS, Fragments, Head, Image, LandmarkEmbedding, Layer, Mesh

RINGS, SEGMENTS = 9, 16
MOST_WORKERS = 4  # each holds every model
# Files that share runs of the example.
EXAMPLE_FILES = ("test_determinism", "test_golden", "test_pipeline", "test_texture_options")

# One thread per worker and per command that a test starts: two workers on two cores would fight for a second one.
torch.set_num_threads(1)
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

hypothesis.settings.register_profile("quick", max_examples=20)
hypothesis.settings.register_profile("thorough", max_examples=300)
hypothesis.settings.load_profile("quick")  # pytest --hypothesis-profile=thorough for the other


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Of ``-n auto``: none for a few files, whose tests would be done before the workers have started."""
    few = all(argument.split("::")[0].endswith(".py") for argument in config.args)
    return 0 if few else min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, MOST_WORKERS)


class FileScheduling(LoadScopeScheduling):
    """The tests of a file stay on one worker, which then makes their fixtures once; so do those of `EXAMPLE_FILES`."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "example" if Path(file).stem in EXAMPLE_FILES else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    return FileScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The most work comes first, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: item.path.stem not in EXAMPLE_FILES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def model() -> HeadModel:
    return load_head_model()


@pytest.fixture(scope="session")
def models() -> Models:
    """Everything a run needs, with a network in float32 whatever the processor."""
    return load_models()


@pytest.fixture(scope="session")
def hopper() -> Image:
    """The embedded photo."""
    return load_image(Path(get_sample_data("grace_hopper.jpg", asfileobj=False)))


@pytest.fixture(scope="session")
def brush() -> Image:
    """An embedded artwork."""
    return load_image(asset_path("exemplars/brush.jpg"))


@pytest.fixture(scope="session")
def example_result(models: Models) -> Result:
    """The embedded example with the artwork mosaic, in draft quality. For tests in `EXAMPLE_FILES`."""
    return run_example("draft", models)


def make_quick_config(geometry: float = 1.0, texture: float = 1.0, **values: object) -> Config:
    """Small and of few steps. ``values``: of the texture's configuration."""
    config = Config.draft()
    small = {"view_px": 64, "steps": 10, "samples": 192, "near_views": 2}
    strokes = {"stroke_px": 64, "stroke_steps": 4}
    return dataclasses.replace(
        config,
        geometry=dataclasses.replace(config.geometry, strength=geometry),
        unwrap=dataclasses.replace(config.unwrap, texture_size=256),
        texture=dataclasses.replace(config.texture, strength=texture, **small | strokes | values),
    )


@pytest.fixture(scope="session")
def quick_result(hopper: Image, brush: Image, models: Models) -> Result:
    """A run of the quick configuration. For tests in `EXAMPLE_FILES`."""
    return stylize(hopper, brush, models, make_quick_config())


@pytest.fixture(scope="session")
def sitter(hopper: Image, brush: Image, models: Models) -> Result:
    """The embedded photo's landmarks, mask, fitted head and small texture, without any style."""
    return stylize(hopper, brush, models, make_quick_config(geometry=0.0, texture=0.0))


def make_head(texture_size: int = 32) -> Head:
    """A 20 cm ball whose UV is a longitude-latitude chart, so that its back meridian is a seam."""
    latitude = torch.linspace(-1.4, 1.4, RINGS)
    longitude = torch.arange(SEGMENTS) * (2 * torch.pi / SEGMENTS)
    lat, lon = torch.meshgrid(latitude, longitude, indexing="ij")
    neutral = 0.1 * torch.stack([lat.cos() * lon.sin(), lat.sin(), -lat.cos() * lon.cos()], dim=-1).reshape(-1, 3)
    u, v = torch.meshgrid(torch.linspace(0.05, 0.95, SEGMENTS + 1), torch.linspace(0.95, 0.05, RINGS), indexing="xy")
    faces, uv_faces = [], []
    for ring in range(RINGS - 1):
        for segment in range(SEGMENTS):
            a, b = ring * SEGMENTS + segment, ring * SEGMENTS + (segment + 1) % SEGMENTS
            c, d = a + SEGMENTS, b + SEGMENTS
            faces += [[a, d, b], [a, c, d]]
            a, b = ring * (SEGMENTS + 1) + segment, ring * (SEGMENTS + 1) + segment + 1
            c, d = a + SEGMENTS + 1, b + SEGMENTS + 1
            uv_faces += [[a, d, b], [a, c, d]]
    generator = torch.Generator().manual_seed(0)
    deltas = torch.zeros(len(EXPRESSION_NAMES), len(neutral), 3)
    deltas[:, 40:60] = 0.01 * torch.randn(len(EXPRESSION_NAMES), 20, 3, generator=generator)
    deltas[EXPRESSION_NAMES.index("tongueOut")] = 0.0  # a blendshape that moves nothing
    deltas[EXPRESSION_NAMES.index("jawOpen")] = deltas[EXPRESSION_NAMES.index("jawOpen")].abs()  # and a one-sided one
    expression = torch.rand(len(EXPRESSION_NAMES), generator=generator)
    vertices = neutral + torch.einsum("e,env->nv", expression, deltas)
    mesh = Mesh(
        vertices=vertices,
        faces=torch.tensor(faces),
        uvs=torch.stack([u, v], dim=-1).reshape(-1, 2),
        uv_faces=torch.tensor(uv_faces),
        regions=torch.zeros(len(faces), dtype=torch.int64),
    )
    texture = torch.rand(3, texture_size, texture_size, generator=generator)
    ids = torch.arange(68)
    return Head(
        mesh=mesh,
        texture=texture,
        neutral=neutral,
        expression=expression,
        expression_deltas=deltas,
        landmarks68=LandmarkEmbedding(ids, torch.full((68, 3), 1 / 3)),
        original=vertices * torch.tensor([0.8, 1.1, 1.0]),
    )


def make_marked_head(texture_size: int = 256) -> Head:
    """The head model, exaggerated, lopsided, with an expression; red is u, green is v, blue a chequerboard.

    Nothing about it is symmetric, so that no mirroring, turning or flipping of shape or texture goes unseen.
    """
    model = load_head_model()
    expression = torch.zeros(len(EXPRESSION_NAMES))
    for name, weight in {"jawOpen": 0.3, "mouthSmileLeft": 0.8, "browOuterUpRight": 1.0, "eyeBlinkLeft": 0.6}.items():
        expression[EXPRESSION_NAMES.index(name)] = weight
    moved = torch.einsum("e,env->nv", expression, model.expression_deltas)
    x, y, z = model.mean.unbind(1)
    neutral = torch.stack([x * (1 - 3 * y) + 0.15 * y, 1.15 * y, z], dim=1)
    mesh = model.template.with_vertices(neutral + moved)
    centers = (torch.arange(texture_size) + 0.5) / texture_size
    v, u = torch.meshgrid(centers, centers, indexing="ij")
    texture = torch.stack([u, v, ((16 * u).floor() + (16 * v).floor()) % 2])
    original = model.mean + moved
    return Head(mesh, texture, neutral, expression, model.expression_deltas, model.landmarks68, original)


def make_layer(head: Head, name: str = "hair", side: int = 16) -> Layer:
    """A closed dome over ``head``: hair down to its middle, headwear higher up and further out; colors at random."""
    reach, bottom = {"hair": (1.15, 0.0), "headwear": (1.3, 0.5)}[name]
    rings, segments = 10, 24  # the first and the last ring are one vertex
    latitude = torch.linspace(math.asin(bottom), torch.pi / 2, rings - 1)[:-1]
    lat, lon = torch.meshgrid(latitude, torch.arange(segments) * (2 * torch.pi / segments), indexing="ij")
    around = torch.stack([lat.cos() * lon.sin(), lat.sin(), lat.cos() * lon.cos()], dim=-1).reshape(-1, 3)
    dome = torch.cat([torch.tensor([[0.0, bottom, 0.0], [0.0, 1.0, 0.0]]), around])
    v, u = torch.meshgrid(torch.linspace(0.95, 0.05, rings), torch.linspace(0.05, 0.95, segments + 1), indexing="ij")

    def find_vertex(ring: int, segment: int) -> int:
        ends = {0: 0, rings - 1: 1}
        return ends.get(ring, 2 + (ring - 1) * segments + segment % segments)

    faces, uv_faces = [], []
    for ring, segment in itertools.product(range(rings - 1), range(segments)):
        a, b, c, d = (ring, segment), (ring, segment + 1), (ring + 1, segment), (ring + 1, segment + 1)
        for triangle in ((a, b, d), (a, d, c)):
            corners = [find_vertex(*corner) for corner in triangle]
            if len({*corners}) == 3:
                faces.append(corners)
                uv_faces.append([row * (segments + 1) + column for row, column in triangle])

    def lay_over(vertices: torch.Tensor) -> torch.Tensor:
        low, high = vertices.amin(0), vertices.amax(0)
        return (low + high) / 2 + dome * reach * (high - low) / 2

    mesh = Mesh(
        vertices=lay_over(head.mesh.vertices),
        faces=torch.tensor(faces),
        uvs=torch.stack([u, v], dim=-1).reshape(-1, 2),
        uv_faces=torch.tensor(uv_faces),
        regions=torch.full((len(faces),), REGIONS.index(name)),
    )
    texture = torch.rand(3, side, side, generator=torch.Generator().manual_seed(len(name)))
    return Layer(name, mesh, texture, lay_over(head.original))


def make_parts(labels: torch.Tensor) -> PictureParts:
    """Parts of a picture of which each pixel shows one alone: ``labels`` [h, w] are indices into `PART_NAMES`."""
    return PictureParts(F.one_hot(labels, len(PART_NAMES)).permute(2, 0, 1).float())


def map_head(mesh: Mesh, seen: Fragments) -> torch.Tensor:
    """Labels for `make_parts` of a picture of a head: hair on its scalp, skin elsewhere, background beside it."""
    scalp = mesh.regions[seen.face_ids.clamp(min=0)] == REGIONS.index("scalp")
    hair, skin = (PART_NAMES.index(name) for name in ("hair", "skin"))
    return torch.where(seen.mask, torch.where(scalp, hair, skin), 0)


def add_layers(head: Head) -> Head:
    """With hair, and with headwear over it whose texture has another size."""
    return dataclasses.replace(head, layers=(make_layer(head, "hair"), make_layer(head, "headwear", side=24)))


def assert_same_picture(got: Image, expected: Image, tight: float, different: float) -> None:
    """Two tiers: colors within ``tight`` everywhere but in a fraction ``different`` of the pixels (edges flip)."""
    assert got.shape == expected.shape
    fraction = ((got - expected).abs().amax(0) > tight).float().mean().item()
    assert fraction <= different, f"{100 * fraction:.2f} % of the pixels differ by more than {tight:.3f}"


@pytest.fixture
def head() -> Head:
    return make_head()


@pytest.fixture
def content_head(head: Head) -> Head:
    return dataclasses.replace(head, original=head.mesh.vertices)
