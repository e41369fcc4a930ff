"""The metrics of turned series and whole heads: silhouettes made by hand, whose figures are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import whole_head
from conftest import make_marked_head
from drawn_heads import Drawing, draw_head, find_features, find_up, frame_head, project_landmarks
from metrics.pictures import measure_overlap
from metrics.silhouettes import (
    REACH,
    Alignment,
    Outline,
    Truth,
    align_outline,
    drop_face_pieces,
    mark_above,
    measure_coverage,
    pad_labels,
)
from portraitist.pipeline import Sitter
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.segmentation.picture import PictureParts
from portraitist.types import LAYER_NAMES, REGIONS, Camera, Head, HeadFit, Landmarks, Layer
from turned import summarize
from turned_series import (
    EYES,
    HAIR,
    MOUTH,
    YAWS_DEG,
    LabeledView,
    align_head,
    center_camera,
    find_hair,
    measure_view,
)
from whole_head_photos import measure_person_overlap

UP = np.array([0.0, -1.0])
SIZE = (400, 360)
SKIN, NOSE = 1, 4


def draw_ellipse(size: tuple[int, int], center: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return ((x - center[0]) / radii[0]) ** 2 + ((y - center[1]) / radii[1]) ** 2 <= 1


def draw_bust(alignment: Alignment, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A head on a neck: mask, anchor and chin."""
    middle, chin = alignment.apply(np.array([[180.0, 190.0], [180.0, 280.0]]))
    scale = alignment.scale
    head = draw_ellipse(size, tuple(middle), (80 * scale, 110 * scale))
    lobe = draw_ellipse(size, (middle[0] + 85 * scale, middle[1]), (18 * scale, 30 * scale))
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    neck = (abs(x - middle[0]) < 50 * scale) & (y > middle[1])
    return head | lobe | neck, middle, chin


def know_all(mask: np.ndarray, anchor: np.ndarray) -> Truth:
    return Truth(mask, np.ones_like(mask), anchor)


# --- silhouettes -----


@pytest.mark.parametrize(("scale", "shift"), [(1.0, (0.0, 0.0)), (1.06, (14.0, -22.0)), (0.94, (-9.0, 17.0))])
def test_a_known_shift_and_scale_are_found(scale: float, shift: tuple[float, float]):
    drawn, anchor, chin = draw_bust(Alignment(1.0, (0.0, 0.0)))
    true = Alignment(scale, shift)
    truth, moved_anchor, _ = draw_bust(true)
    misled = moved_anchor + np.array([8.0, -11.0])  # features are never labeled where the model has them
    found = align_outline(Outline(drawn, anchor, chin, UP), know_all(truth, misled), SIZE[0])
    assert found.scale == pytest.approx(scale, abs=0.006)
    np.testing.assert_allclose(found.apply(chin), true.apply(chin), atol=2)
    refined, _, _ = draw_bust(found)
    above = mark_above(SIZE, found.apply(chin), UP)
    assert measure_overlap(refined & above, truth & above) > 0.985


def test_no_head_is_scaled_or_moved_beyond_reach():
    drawn, anchor, chin = draw_bust(Alignment(1.0, (0.0, 0.0)))
    large, large_anchor, _ = draw_bust(Alignment(1.25, (-40.0, -60.0)))
    found = align_outline(Outline(drawn, anchor, chin, UP), know_all(large, large_anchor), SIZE[0])
    assert found.scale == pytest.approx(1 + REACH)
    far = align_outline(Outline(drawn, anchor, chin, UP), know_all(drawn, anchor + np.array([100.0, 0.0])), SIZE[0])
    assert far.apply(anchor)[0] - anchor[0] >= 100 - REACH * SIZE[0] - 1e-6


def test_what_is_below_the_chin_moves_nothing():
    drawn, anchor, chin = draw_bust(Alignment(1.0, (0.0, 0.0)))
    shouldered = drawn.copy()
    shouldered[int(chin[1]) + 2 :] = True
    found = align_outline(Outline(drawn, anchor, chin, UP), know_all(shouldered, anchor), SIZE[0])
    assert found.scale == pytest.approx(1, abs=0.006)
    np.testing.assert_allclose(found.apply(anchor), anchor, atol=1)


def test_a_picture_that_cuts_the_hair_is_no_reason_to_slide_out_of_it():
    true = Alignment(1.0, (0.0, -100.0))
    drawn, anchor, chin = draw_bust(Alignment(1.0, (0.0, 0.0)))
    cut, cut_anchor, _ = draw_bust(true)
    labels, known = pad_labels(cut.astype(np.uint8), 100)
    assert not known[50, 100 + 180]  # above the cut head
    assert known[50, 110]  # above the ground beside it
    found = align_outline(Outline(drawn, anchor, chin, UP), Truth(labels > 0, known, cut_anchor + 100), SIZE[0])
    np.testing.assert_allclose(found.apply(chin) - 100, true.apply(chin), atol=2)


def test_above_follows_the_upright_direction():
    assert mark_above((4, 4), np.array([2.0, 2.0]), UP).tolist() == [[True] * 4] * 2 + [[False] * 4] * 2
    lying = mark_above((4, 4), np.array([2.0, 2.0]), np.array([1.0, 0.0]))
    assert lying.tolist() == [[False, False, True, True]] * 4
    assert mark_above((4, 8), np.array([2.0, 2.0]), UP, 2).tolist() == [[True] * 4, [False] * 4]


def test_coverage_is_the_share_of_the_labels():
    labeled = np.zeros((10, 10), bool)
    labeled[:4] = True
    drawn = np.ones((10, 10), bool)
    assert measure_coverage(drawn, labeled) == 1
    drawn[0] = False
    assert measure_coverage(drawn, labeled) == pytest.approx(0.75)
    assert measure_coverage(drawn, np.zeros((10, 10), bool)) == 1


def test_brows_and_beards_are_no_hair_but_fringes_are():
    hair, face, scalp = (np.zeros((60, 60), bool) for _ in range(3))
    scalp[10:14] = True
    face[14:60] = True
    hair[5:20] = True
    hair[20:28, 10:30] = True  # a fringe: most of it all lies on the face
    hair[30:33, 35:50] = True  # a brow
    hair[50:58, 20:40] = True  # a beard
    hair[40:58, 58:] = True  # a lock beside the face
    face[:, 58:] = False
    kept = drop_face_pieces(hair, face, scalp)
    assert kept[5:20].all()
    assert kept[20:28, 10:30].all()
    assert not kept[30:, :58].any()
    assert kept[40:58, 58:].all()


# --- one labeled view -----


def make_view(yaw_deg: int = 0, size: tuple[int, int] = SIZE) -> tuple[LabeledView, Drawing]:
    """A head whose upper third is hair, with a brow, and a drawing of just that."""
    head, _, chin = draw_bust(Alignment(1.0, (0.0, 0.0)))
    labels = np.where(head, SKIN, 0)
    labels[:150][head[:150]] = HAIR
    labels[165:170, 130:160] = HAIR
    for label, row in zip(range(EYES, MOUTH + 1), (180, 205, 230), strict=True):
        labels[row : row + 6, 160:200] = label
    hair = (labels == HAIR) & (np.arange(SIZE[0])[:, None] < 150)
    view = LabeledView(yaw_deg, torch.zeros(3, *size), labels, np.ones(size, bool), 0)
    return view, Drawing(head, hair, head & ~hair, hair, chin, UP)


def test_a_perfect_match_is_one_in_every_figure():
    view, drawing = make_view()
    assert measure_view(drawing, view) == {"overlap": 1, "hair covered": 1, "hair overlap": 1}
    wrong_below = dataclasses.replace(drawing, all=drawing.all | (np.arange(SIZE[0])[:, None] > 290))
    assert measure_view(wrong_below, view) == measure_view(drawing, view)
    assert not find_hair(drawing, view)[165:170].any()


def test_missing_hair_lowers_what_is_covered():
    view, drawing = make_view()
    shorn = drawing.all & (np.arange(SIZE[0])[:, None] >= 110)
    figures = measure_view(dataclasses.replace(drawing, all=shorn, hair=drawing.hair & shorn), view)
    hair = drawing.hair.sum()
    expected = (drawing.hair & shorn).sum() / hair
    assert expected < 0.8
    assert figures["hair covered"] == pytest.approx(expected)
    assert figures["hair overlap"] == pytest.approx(expected)
    assert figures["overlap"] < 1


def test_hair_drawn_as_skin_is_covered_but_does_not_overlap():
    view, drawing = make_view()
    figures = measure_view(dataclasses.replace(drawing, hair=np.zeros(SIZE, bool)), view)
    assert figures == {"overlap": 1, "hair covered": 1, "hair overlap": 0}


def test_what_nobody_knows_does_not_count():
    view, drawing = make_view()
    unknown = np.arange(SIZE[0])[:, None] >= 110
    known = dataclasses.replace(view, known=np.broadcast_to(unknown, SIZE))
    shorn = dataclasses.replace(drawing, all=drawing.all & unknown, hair=drawing.hair & unknown)
    assert measure_view(shorn, known) == {"overlap": 1, "hair covered": 1, "hair overlap": 1}


def test_series_are_averaged_over_both_sides_and_the_worst_is_named():
    views = {f"{yaw:+04d}": {"overlap": 1.0, "hair covered": 1.0, "hair overlap": 1.0} for yaw in YAWS_DEG}
    one_sided = {**views, "-030": {"overlap": 0.8, "hair covered": 0.5, "hair overlap": 0.0}}
    record = summarize({"a": views, "b": one_sided, "c": {"error": "no face"}})
    overlap = record["means"]["overlap"]
    assert overlap["0"] == pytest.approx(2 / 3)
    assert overlap["30"] == pytest.approx((1 + 0.9 + 0) / 3)
    assert overlap["worst series"].startswith("c")
    assert summarize({"a": views})["means"]["hair overlap"]["mean"] == 1


# --- heads -----


def make_sitter(head: Head, rotation: torch.Tensor, size: int = 300) -> Sitter:
    """A sitter whose person mask is the head as its camera sees it."""
    vertices = head.mesh.vertices
    camera = Camera(rotation, 0.7 * size / 0.28, (size / 2, size * 0.45), (size, size))
    fit = HeadFit(
        torch.zeros(1), head.expression, head.mesh, head.neutral, head.expression_deltas, camera, 0.0, 0.0
    )  # fmt: skip
    points = camera.project(head.landmarks68.positions(vertices, head.mesh.faces))
    person = torch.from_numpy(draw_head(head, camera).all).float()
    landmarks, parts = Landmarks(points, (size, size)), PictureParts(torch.zeros(8, size, size))
    return Sitter(torch.zeros(3, size, size), landmarks, person, parts, fit, head, 1.0)


def put_on_hair(head: Head, reach: float = 1.15) -> Head:
    """The head under a layer: its own scalp, enlarged."""
    scalp = head.mesh.regions == REGIONS.index("scalp")
    middle = head.mesh.vertices[head.mesh.faces[scalp]].mean((0, 1))
    mesh = dataclasses.replace(
        head.mesh,
        vertices=middle + reach * (head.mesh.vertices - middle),
        faces=head.mesh.faces[scalp],
        uv_faces=head.mesh.uv_faces[scalp],
        regions=torch.full((int(scalp.sum()),), REGIONS.index(LAYER_NAMES[0])),
    )
    layer = Layer(LAYER_NAMES[0], mesh, torch.zeros(3, 4, 4), mesh.vertices)
    return dataclasses.replace(head, layers=(layer,))


def test_without_layers_the_scalp_is_the_hair():
    head = make_marked_head()
    drawing = draw_head(head, frame_head(head, 20.0, 0.0, 200))
    assert (drawing.all | ~drawing.hair).all()
    assert not (drawing.hair & drawing.face).any()
    assert np.argwhere(drawing.hair)[:, 0].mean() < np.argwhere(drawing.face)[:, 0].mean()
    assert drawing.mark_above_chin()[drawing.face].mean() > 0.8


def test_layers_are_drawn_as_hair_over_the_same_face():
    pytest.importorskip("portraitist.rendering.layers", reason="heads with layers cannot be drawn yet")
    bald = make_marked_head()
    head = put_on_hair(bald)
    camera = frame_head(head, 0.0, 0.0, 200)
    before, after = draw_head(bald, camera), draw_head(head, camera)
    assert after.all.sum() > 1.05 * before.all.sum()
    assert after.hair[after.all & ~before.all].all()
    np.testing.assert_array_equal(after.face, before.face)


def test_turned_heads_are_found_where_they_were_drawn():
    """Rendered as they would be labeled, moved and scaled; the frontal photo is a little from above and tilted."""
    head = make_marked_head()
    tilt = torch.tensor([[0.995, -0.0998, 0.0], [0.0998, 0.995, 0.0], [0.0, 0.0, 1.0]])
    sitter = make_sitter(head, tilt @ rotation_from_yaw_pitch(4.0, -6.0))
    fitted = sitter.fit.camera
    for yaw_deg in (-60, 90):
        rotation = fitted.rotation @ rotation_from_yaw_pitch(-yaw_deg, 0.0)
        camera = Camera(rotation, 1.05 * fitted.scale_px, (150.0, 190.0), (400, 340))
        labels = np.where(draw_head(head, camera).all, SKIN, 0)
        x, y = np.round(find_features(head, camera)).astype(int)
        for label, below in zip(range(EYES, MOUTH + 1), (-12, 0, 12), strict=True):
            labels[y + below - 2 : y + below + 3, x - 3 : x + 4] = label
        view = LabeledView(yaw_deg, torch.zeros(3, 400, 340), labels, np.ones(labels.shape, bool), 0)
        found, alignment = align_head(sitter, view)
        assert alignment.scale == pytest.approx(1.05, abs=0.01)
        np.testing.assert_allclose(found.center_px, camera.center_px, atol=2)
        assert measure_view(draw_head(head, found), view)["overlap"] > 0.98


def test_a_positive_yaw_of_the_labels_looks_to_the_viewers_left():
    head = make_marked_head()
    camera = center_camera(head, rotation_from_yaw_pitch(-60, 0.0), 800.0)
    points = project_landmarks(head, camera)
    assert points[30, 0] < points[[36, 45], 0].mean()  # the tip of the nose, and the eyes
    seen = draw_head(head, camera).all
    assert not seen[[0, -1]].any()
    assert not seen[:, [0, -1]].any()


def test_up_of_a_tilted_head_leans_with_it():
    tilt = torch.tensor([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])  # counter-clockwise
    np.testing.assert_allclose(find_up(Camera(tilt, 1.0, (0.0, 0.0), (2, 2))), [-0.6, -0.8], atol=1e-6)


def test_person_overlap_counts_hair_and_not_shoulders():
    head = make_marked_head()
    sitter = make_sitter(head, rotation_from_yaw_pitch(10.0, 5.0))
    assert measure_person_overlap(sitter) == 1
    drawing = draw_head(head, sitter.fit.camera)
    shouldered = sitter.person_mask.clone()
    shouldered[int(drawing.chin[1]) + 2 :] = 1.0
    assert measure_person_overlap(dataclasses.replace(sitter, person_mask=shouldered)) > 0.99
    haired = sitter.person_mask.clone()
    haired[int(np.argwhere(drawing.all)[:, 0].min()) - 20 : int(drawing.chin[1]) - 40, 100:200] = 1.0
    assert measure_person_overlap(dataclasses.replace(sitter, person_mask=haired)) < 0.97


def test_worst_photos_are_the_high_distances_and_the_low_overlaps():
    row = {"overlap": 0.9, "identity_pose": 0.1, "identity_front": 0.2, "psnr_db": 33.0, "seconds": 5.0}
    record = whole_head.summarize(
        {"photos": {"p00": row, "p01": {**row, "overlap": 0.7}}, "hair": {"h00": {**row, "identity_pose": 0.4}}}
    )
    overlap = record["means"]["overlap with the person, above the chin"]
    assert overlap["photos (2)"] == pytest.approx(0.8)
    assert overlap["worst"].startswith("p01 0.700")
    assert record["means"]["identity distance, photo's pose"]["worst"].startswith("h00 0.400")
    assert [row["photo"] for row in record["every photo"]] == ["p00", "p01", "h00"]
