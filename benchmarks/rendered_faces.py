"""Ground truth made here: textured heads of known shape, pose, expression and camera, rendered in perspective.

    python benchmarks/rendered_faces.py             # 72 faces into benchmarks/cache, once; three minutes
    python benchmarks/rendered_faces.py --sheet     # and a contact sheet of them, to be looked at

Shapes: see ``rendered_shapes.py``; hair: ``rendered_hair.py``; cameras, lights, backgrounds: ``rendered_scene.py``. Yaw
to +-45, pitch to +-25, roll to +-15 degrees and focal lengths from 28 to 135 mm are spread evenly over the set. Skin:
the development photos unwrapped by the product itself, other tones mixed in, since painted skin is found by no detector
as reliably; without those photos, the one of Grace Hopper that matplotlib brings. An unwrapped photo keeps its features
where the product's fit put them, so the textures are as exact as that fit (about half a millimeter at the landmarks)
and the set belongs to the version that made it: it is kept under the number of its recipe and the hash of the head
model, not of the product's source, so that two versions are measured on the same pictures. Needs ``pip install anny``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from pair_runs import CACHE
from pairs import DEFAULT_DATA
from portraitist import load_image, save_image
from portraitist.export.preview import Panel, draw_sheet
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.types import REGIONS, Image
from rendered_hair import COLORS_SRGB, HAIR_STYLES, grow_hair
from rendered_scene import (
    Light,
    PerspectiveCamera,
    Solid,
    draw_background,
    make_ball,
    place_camera,
    render_scene,
    srgb_to_linear,
)
from rendered_shapes import EXPRESSIONS, TrueShape, sample_shapes

RECIPE = 1
"""To be raised by hand whenever what is on the pictures changes: figures of two recipes do not compare."""
COUNT, SEED, SIDE_PX = 72, 4, 640
YAW_DEG, PITCH_DEG, ROLL_DEG = 45.0, 25.0, 15.0
FOCAL_MM = (28.0, 135.0)
HEAD_SHARE = (0.42, 0.62)
HEAD_MIDDLE = np.array([0.0, -0.01, -0.03])
TEXTURE_SIZE = 1024
TEXTURE_PHOTOS = (
    "p06",
    "p08",
    "p09",
    "p10",
    "p11",
    "p12",
    "p13",
    "p14",
    "p16",
    "p18",
    "p23",
    "p25",
    "p29",
    "p31",
    "p32",
)
"""Closed mouths, open eyes, no glasses, even light."""
HAIR_CYCLE = ("none", "short", "fringe", "none", "long", "none", "bob", "short")
LIGHTS: dict[str, Light] = {
    "even": Light(0.85, 0.3, (0.2, 0.4, 1.0), shadows=False),
    "window left": Light(0.55, 0.9, (-1.0, 0.3, 0.7), (1.0, 0.98, 0.94)),
    "window right": Light(0.5, 0.95, (1.0, 0.35, 0.6), (0.94, 0.98, 1.0)),
    "above": Light(0.5, 0.8, (0.2, 1.2, 0.8)),
    "flash": Light(0.35, 0.85, (0.05, 0.1, 1.0), shadows=False),
    "lamp": Light(0.45, 0.8, (-0.5, -0.2, 0.8), (1.0, 0.82, 0.62)),
}
SENSOR_NOISE = 0.008


@dataclass(frozen=True)
class Plan:
    """What one picture shows. Angles in degrees, as in ``cameras.rotation_from_yaw_pitch``; ``roll_deg`` > 0 turns the
    picture's content counter-clockwise."""

    number: int
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    focal_mm: float
    expression: str
    hair: str
    light: str
    texture: int
    seed: int


@dataclass(frozen=True)
class RenderedFace:
    """One picture and its truth, as ``load_faces`` gives them back. ``rotation_seen``: against the line of sight to the
    head's middle (see ``PerspectiveCamera.rotation_seen``)."""

    plan: Plan
    picture: Path
    shape: TrueShape
    camera: PerspectiveCamera
    rotation_seen: Float[np.ndarray, "3 3"]


def plan_faces(count: int = COUNT, seed: int = SEED) -> list[Plan]:
    """Every quantity is spread evenly over its range and shuffled by itself (Latin hypercube)."""
    rng = np.random.default_rng(seed)

    def spread(low: float, high: float) -> np.ndarray:
        return low + (high - low) * (rng.permutation(count) + rng.random(count)) / count

    def deal(names: tuple[str, ...]) -> np.ndarray:
        return rng.permutation(np.resize(np.array(names), count))

    columns = zip(
        spread(-YAW_DEG, YAW_DEG), spread(-PITCH_DEG, PITCH_DEG), spread(-ROLL_DEG, ROLL_DEG),
        np.exp(spread(*np.log(FOCAL_MM))), deal(tuple(EXPRESSIONS)), deal(HAIR_CYCLE), deal(tuple(LIGHTS)),
        rng.integers(0, 2**31, (count, 2)), strict=True,
    )  # fmt: skip
    return [
        Plan(i, float(yaw), float(pitch), float(roll), float(focal), str(kind), str(hair), str(light), *map(int, seeds))
        for i, (yaw, pitch, roll, focal, kind, hair, light, seeds) in enumerate(columns)
    ]


def set_folder() -> Path:
    """Where the set belongs: named by everything that decides what is on the pictures, but the skins."""
    digest = hashlib.sha256(f"{RECIPE} {COUNT} {SEED}".encode())
    model = load_head_model()
    for tensor in (model.faces, model.mean, model.expression_deltas):
        digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return CACHE / f"rendered-{digest.hexdigest()[:10]}"


@cache
def load_faces() -> list[RenderedFace]:
    """The finished set, read once per process. Raises FileNotFoundError when it has not been made."""
    folder = set_folder()
    if not (folder / "plans.json").is_file():
        raise FileNotFoundError("There are no rendered faces of this recipe: run python benchmarks/rendered_faces.py")
    return [read_face(folder, Plan(**record)) for record in json.loads((folder / "plans.json").read_text())]


def read_face(folder: Path, plan: Plan) -> RenderedFace:
    with np.load(folder / f"{plan.number:02d}.npz") as file:
        truth = {name: file[name] for name in file.files}
    shape = TrueShape(truth["neutral"].astype(float), truth["expressive"].astype(float), truth["expression"])
    camera = PerspectiveCamera(truth["rotation"], truth["translation"], float(truth["focal_px"]), int(truth["size"]))
    return RenderedFace(plan, folder / f"{plan.number:02d}.png", shape, camera, camera.rotation_seen(HEAD_MIDDLE))


def make_faces(data: Path, processes: int) -> Path:
    """Make the whole set; it appears under its name when it is complete."""
    folder = set_folder()
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    plans = plan_faces()
    shapes = sample_shapes(load_head_model(), [plan.expression for plan in plans], SEED)
    textures = unwrap_textures(data)
    jobs = [
        (plan, shape, textures[plan.texture % len(textures)], unfinished)
        for plan, shape in zip(plans, shapes, strict=True)
    ]
    context = multiprocessing.get_context("spawn")  # nobody may fork after making a landmarker
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        list(pool.map(make_face, *zip(*jobs, strict=True)))
    (unfinished / "plans.json").write_text(json.dumps([asdict(plan) for plan in plans], indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)
    return folder


def unwrap_textures(data: Path) -> list[Float[np.ndarray, "t t 3"]]:
    """sRGB skins for the head model, float16: of the development photos, or of the one photo that is always there."""
    from portraitist.landmarks.detection import detect_landmarks
    from portraitist.landmarks.detector import LandmarkDetector
    from portraitist.reconstruction.fitting import fit_head
    from portraitist.segmentation.person import PersonSegmenter, segment_person
    from portraitist.unwrapping.projection import UnwrapConfig
    from portraitist.unwrapping.unwrap import unwrap_photo
    from reconstruction_runs import segment_bare_head

    paths = [data / "photos" / f"{name}.jpg" for name in TEXTURE_PHOTOS]
    if not paths[0].is_file():
        from matplotlib.cbook import get_sample_data

        paths = [Path(get_sample_data("grace_hopper.jpg", asfileobj=False))]
    model, detector, segmenter = load_head_model(), LandmarkDetector(), PersonSegmenter()
    textures = []
    for path in paths:
        photo = load_image(path)
        landmarks, _ = detect_landmarks(photo, detector)
        person = segment_person(photo, landmarks, segmenter)
        fit = fit_head(landmarks, model)
        bare = segment_bare_head(photo, landmarks, fit, person)
        unwrapped = unwrap_photo(photo, fit, bare, model, UnwrapConfig(TEXTURE_SIZE))
        textures.append(unwrapped.texture.permute(1, 2, 0).numpy().astype(np.float16))
    return textures


def make_face(plan: Plan, shape: TrueShape, texture: np.ndarray, folder: Path) -> None:
    """Render one picture and write it with its truth."""
    torch.set_num_threads(1)
    picture, camera = photograph(plan, shape, texture, load_head_model(), SIDE_PX)
    save_image(folder / f"{plan.number:02d}.png", picture)
    np.savez_compressed(
        folder / f"{plan.number:02d}.npz",
        neutral=shape.neutral.astype(np.float32), expressive=shape.expressive.astype(np.float32),
        expression=shape.expression, rotation=camera.rotation, translation=camera.translation,
        focal_px=camera.focal_px, size=camera.size,
    )  # fmt: skip


def photograph(
    plan: Plan, shape: TrueShape, texture: np.ndarray, model: HeadModel, side_px: int, darkest: float = 1.0
) -> tuple[Image, PerspectiveCamera]:
    """One picture and its camera. ``darkest`` < 1: the skin in a random tone down to this share of its light."""
    rng = np.random.default_rng(plan.seed)
    height = float(np.ptp(shape.neutral[model.vertex_ids("skin", "scalp").numpy(), 1]))
    rotation = Rotation.from_euler("z", plan.roll_deg, degrees=True).as_matrix()
    rotation = rotation @ rotation_from_yaw_pitch(plan.yaw_deg, plan.pitch_deg).double().numpy()
    offset = float(rng.uniform(-0.07, 0.07)), float(rng.uniform(-0.04, 0.06))
    share = float(rng.uniform(*HEAD_SHARE))
    camera = place_camera(rotation, HEAD_MIDDLE, height, plan.focal_mm, share, offset, side_px)
    if darkest < 1:
        texture = texture * rng.uniform(darkest, 1) ** (1 / 2.2)
    solids = assemble_scene(plan, shape, texture, camera, model, rng)
    picture = render_scene(solids, LIGHTS[plan.light], draw_background(side_px, rng), camera.focal_px)
    picture = (picture + rng.normal(0, SENSOR_NOISE, picture.shape)).clip(0, 1)
    return torch.from_numpy(picture).permute(2, 0, 1).float(), camera


def assemble_scene(
    plan: Plan,
    shape: TrueShape,
    texture: np.ndarray,
    camera: PerspectiveCamera,
    model: HeadModel,
    rng: np.random.Generator,
) -> list[Solid]:
    """Head, hair and shoulders in camera space."""
    vertices, mesh = shape.expressive, model.template
    albedo = srgb_to_linear(texture.astype(np.float32))
    tone = rng.uniform(0.75, 1.1) * rng.uniform(0.93, 1.07, 3)
    colors = np.tile(tone.astype(np.float32), (len(vertices), 1))
    hair_color = srgb_to_linear(np.array(COLORS_SRGB[rng.integers(len(COLORS_SRGB))]))
    style = HAIR_STYLES[plan.hair]
    faces, uvs = mesh.faces.numpy(), mesh.uvs.numpy()[mesh.uv_faces.numpy()]
    solids = []
    if style is not None:
        hair = grow_hair(vertices, model, style, hair_color, rng)
        seen = camera.to_camera(hair.vertices)
        solids.append(Solid(seen, hair.faces, hair.colors, normals=hair.normals @ camera.rotation.T))
        scalp = mesh.regions.numpy() == REGIONS.index("scalp")
        bare = camera.to_camera(vertices)
        solids.append(Solid(bare, faces[scalp], np.tile(0.5 * hair_color, (len(bare), 1))))
        faces, uvs = faces[~scalp], uvs[~scalp]
    solids.append(Solid(camera.to_camera(vertices), faces, colors, uvs, albedo))
    neck = camera.to_camera(vertices[model.vertex_ids("neck").numpy()])
    base = neck[neck[:, 1] < np.quantile(neck[:, 1], 0.15)].mean(0)
    cloth = srgb_to_linear(rng.uniform(0.05, 0.8, 3))
    return [*solids, make_ball(base - np.array([0.0, 0.12, 0.02]), (0.23, 0.14, 0.14), cloth)]


def draw_faces_sheet(faces: list[RenderedFace], columns: int = 9) -> Path:
    """All pictures on one page, with what they should show."""
    panels = [
        Panel(f"{f.plan.number} {f.plan.expression} {f.plan.hair} {f.plan.focal_mm:.0f}mm", load_image(f.picture))
        for f in faces
    ]
    path = set_folder() / "sheet.png"
    save_image(path, draw_sheet([panels[i : i + columns] for i in range(0, len(panels), columns)], 320 * columns))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the rendered faces.")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the development pictures")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sheet", action="store_true", help="draw a contact sheet of the set")
    parser.add_argument("--again", action="store_true", help="make the set anew, with the skins of today's unwrap")
    options = parser.parse_args()
    if options.again or not set_folder().is_dir():
        make_faces(options.data, options.processes)
    print(set_folder())
    if options.sheet:
        print(draw_faces_sheet(load_faces()))


if __name__ == "__main__":
    main()
