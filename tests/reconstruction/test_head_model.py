"""The baked head: topology, statistics, actions, regions and the canonical UV."""

import numpy as np
import torch

from portraitist.assets import FOLDER
from portraitist.reconstruction.head_model import load_head_model
from portraitist.types import EXPRESSION_NAMES, LAYER_NAMES, REGIONS


def signed_areas(uvs: torch.Tensor) -> torch.Tensor:
    a, b = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    return 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def count_coverage(triangles: np.ndarray, size: int) -> np.ndarray:
    """How many triangles cover each texel center."""
    count = np.zeros((size, size), int)
    for corners in triangles * size - 0.5:
        low = np.maximum(np.ceil(corners.min(0)).astype(int), 0)
        high = np.minimum(np.floor(corners.max(0)).astype(int), size - 1)
        if (high < low).any():
            continue
        x, y = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
        inside = np.ones(x.shape, bool)
        for i in range(3):
            (ax, ay), (bx, by) = corners[i], corners[(i + 1) % 3]
            inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) < -1e-9
        count[low[1] : high[1] + 1, low[0] : high[0] + 1] += inside
    return count


def test_asset_is_small_and_loaded_once(model):
    assert (FOLDER / "head_model.safetensors").stat().st_size <= 8e6
    assert load_head_model() is model


def test_vertices_are_metres_with_the_face_towards_z(model):
    skin = model.mean[model.vertex_ids("outer_skin")]
    assert 0.25 < float(skin[:, 1].max() - skin[:, 1].min()) < 0.36  # head and neck
    nose = model.mean[model.vertex_ids("nose")]
    scalp = model.mean[model.vertex_ids("scalp")]
    assert nose[:, 2].max() == skin[:, 2].max()
    assert scalp[:, 1].max() == skin[:, 1].max()


def test_every_region_and_component_is_there(model):
    for name in REGIONS:
        assert model.face_mask(name).any() == (name not in LAYER_NAMES), name
    assert len(model.vertex_ids("eyeball_left")) == len(model.vertex_ids("eyeball_right"))
    assert model.mean[model.vertex_ids("eyeball_left")][:, 0].mean() > 0  # the sitter's left is +X


def test_mirror_maps_left_onto_right(model):
    flip = torch.tensor([-1.0, 1.0, 1.0])
    assert (model.mirror[model.mirror] == torch.arange(len(model.mean))).all()
    assert (model.mean[model.mirror] * flip - model.mean).abs().max() < 1e-4
    left, right = (model.expression_deltas[EXPRESSION_NAMES.index(f"mouthSmile{side}")] for side in ("Left", "Right"))
    assert (left[model.mirror] * flip - right).abs().max() < 1e-4


def test_identity_basis_is_well_conditioned_on_the_landmarks(model):
    corners = model.faces[model.landmarks478.face_ids]
    at_points = (model.identity_basis[:, corners] * model.landmarks478.barycentrics[None, :, :, None]).sum(2)
    values = torch.linalg.svdvals(at_points.flatten(1))
    assert values[50] > 1e-3 * values[0]
    assert at_points.flatten(1).norm(dim=1).min() > 0


def test_actions_move_the_right_side(model):
    for name in ("eyeBlinkLeft", "mouthSmileLeft"):
        moved = model.expression_deltas[EXPRESSION_NAMES.index(name)].norm(dim=1)
        assert model.mean[moved > 0.3 * moved.max()][:, 0].mean() > 0.01, name
    jaw = model.expression_deltas[EXPRESSION_NAMES.index("jawOpen")]
    assert jaw[model.vertex_ids("lower_teeth")][:, 1].mean() < -0.005
    assert jaw[model.vertex_ids("upper_teeth")].norm(dim=1).max() < 0.003


def test_landmarks_lie_on_skin_and_irises_on_eyeballs(model):
    skin, balls = model.face_mask("outer_skin"), model.face_mask("eyeball_left", "eyeball_right")
    on_outer_skin = model.components == 0
    assert on_outer_skin[model.landmarks68.face_ids].all()
    assert on_outer_skin[model.landmarks478.face_ids[:468]].all()
    assert balls[model.landmarks478.face_ids[468:]].all()
    assert skin.any()
    for embedding in (model.landmarks68, model.landmarks478):
        assert (embedding.barycentrics >= 0).all()
        assert (embedding.barycentrics.sum(1) - 1).abs().max() < 1e-5


def test_no_texel_is_covered_twice(model):
    triangles = model.template.uvs[model.template.uv_faces].double().numpy()
    assert (signed_areas(torch.from_numpy(triangles)) < 0).all()  # one orientation: nothing folds
    count = count_coverage(triangles, 1024)
    assert count.max() == 1
    assert 0.6 < (count > 0).mean() < 0.9


def test_uv_islands_keep_a_margin(model):
    size = 512
    parts_at = np.full((size, size), -1)
    for part in range(9):
        mask = model.components == part
        count = count_coverage(model.template.uvs[model.template.uv_faces[mask]].double().numpy(), size)
        near = np.zeros_like(count, bool)
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                near |= np.roll(count > 0, (dy, dx), (0, 1))
        assert not ((parts_at >= 0) & near & (parts_at != part)).any(), f"part {part} comes within 2 texels of another"
        parts_at[count > 0] = part


def test_uv_is_mirror_symmetric(model):
    centers = model.mean[model.faces].mean(1)
    middle_u = model.template.uvs[model.template.uv_faces].mean(1)
    lookup = {tuple(np.round(c * [1e4], 0).astype(int)): k for k, c in enumerate(centers.double().numpy())}
    checked = 0
    for k, center in enumerate(centers.double().numpy()):
        other = lookup.get(tuple(np.round(center * np.array([-1, 1, 1]) * 1e4, 0).astype(int)))
        if other is not None and model.components[k] == 0:
            checked += 1
            assert abs(float(middle_u[k, 0] + middle_u[other, 0]) - 1) < 1e-3
            assert abs(float(middle_u[k, 1] - middle_u[other, 1])) < 1e-3
    assert checked > 3000


def test_face_gets_at_least_forty_percent_of_the_used_texels(model):
    areas = signed_areas(model.template.uvs[model.template.uv_faces]).abs()
    centers = model.mean[model.faces].mean(1)
    chin = model.landmarks68.positions(model.mean, model.faces)[8]
    face = ~model.face_mask("scalp", "neck", "ears")
    face &= (model.components == 0) & (centers[:, 1] > chin[1] - 0.005) & (centers[:, 2] > -0.09)
    assert areas[face].sum() / areas.sum() >= 0.40


def test_seam_is_at_the_back(model):
    uv_of = {}
    seam = set()
    for corner, uv in zip(
        model.faces[model.components == 0].flatten().tolist(),
        model.template.uv_faces[model.components == 0].flatten().tolist(),
        strict=True,
    ):
        if uv_of.setdefault(corner, uv) != uv:
            seam.add(corner)
    places = model.mean[sorted(seam)]
    assert len(seam) > 5
    assert places[:, 0].abs().max() < 1e-5
    assert places[:, 2].max() < -0.05
