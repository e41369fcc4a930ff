"""The shell: its outline is that of the hair that was drawn, the face stays free, and the back is covered."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hair.drawn_hair import BUSHY, FEATURES, LONG, SHORT, SIDE_PX, crop, draw_head, measure_overlap, see, show_regions
from portraitist.hair.blending import find_outer_side
from portraitist.hair.layers import build_layers
from portraitist.hair.shell import fit_shell
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize

SHAPES = pytest.mark.parametrize("shape", [SHORT, BUSHY], ids=["short", "bushy"])
YAWS = pytest.mark.parametrize("yaw_deg", [0.0, 25.0])
HAT_ABOVE = 0.07
EDGE_PX = 8


@SHAPES
@YAWS
def test_the_layer_is_seen_where_hair_was_drawn(shape, yaw_deg: float) -> None:
    drawn = draw_head(shape, yaw_deg)
    bare, seen = see(drawn.layers, drawn.fit.camera)
    assert seen.keys() == {"hair"}
    assert measure_overlap(seen["hair"], drawn.covers["hair"] > 0) >= 0.91
    assert measure_overlap(seen["hair"] | bare, drawn.head > 0) >= 0.96


@SHAPES
@YAWS
def test_the_face_stays_free(shape, yaw_deg: float) -> None:
    """Its features in the photo's view, and nearly so from other sides, of which the photo does not show all."""
    drawn = draw_head(shape, yaw_deg)
    others = [view_camera(drawn.fit.mesh.vertices, yaw, 0.0, 200) for yaw in (-40.0, 0.0, 40.0)]
    for camera, least in ((drawn.fit.camera, 0.995), *((other, 0.97) for other in others)):
        features = show_regions(camera, *FEATURES)
        bare, _ = see(drawn.layers, camera)
        assert features.sum() > 500
        assert (bare & features).sum() >= least * features.sum()


@SHAPES
@YAWS
def test_the_back_of_the_head_is_covered(shape, yaw_deg: float) -> None:
    drawn = draw_head(shape, yaw_deg)
    for yaw, pitch in ((180.0, 0.0), (140.0, 10.0), (-140.0, 10.0), (0.0, -70.0)):
        camera = view_camera(drawn.fit.mesh.vertices, yaw, pitch, 200)
        scalp = show_regions(camera, "scalp")
        bare, _ = see(drawn.layers, camera)
        assert (scalp & ~bare).sum() >= 0.95 * scalp.sum()


@SHAPES
def test_hair_is_as_thick_as_it_was_drawn(shape) -> None:
    """Also behind, where the photo does not show how thick: about as thick as elsewhere."""
    shell = draw_head(shape).shell
    (_, middle_y, _), (across, up, _) = shape
    thickness = shell.radii - shell.chart.skull
    crown = middle_y + up - shell.chart.place(shell.chart.skull)[0, :, 1].max()
    assert thickness[0].mean() == pytest.approx(crown, abs=0.004)
    side = np.abs(np.abs(shell.chart.azimuths) - np.pi / 2).argmin()
    above_ear = np.abs(shell.chart.place(shell.radii)[:, side, 1] - middle_y).argmin()
    assert abs(shell.chart.place(shell.radii)[above_ear, side, 0]) == pytest.approx(across, abs=0.006)
    back = thickness[:20, :8]
    assert 0.3 * crown < back.mean() < 2 * crown
    assert np.isfinite(shell.radii).all()
    assert (thickness > 0).all()


@SHAPES
def test_a_crown_that_the_picture_cuts_off_is_as_thick_as_the_rest(shape) -> None:
    """And no cone: the picture's border is no outline."""
    (_, middle_y, _), (_, up, _) = shape
    drawn = draw_head(shape)
    cut = int(drawn.fit.camera.project(torch.tensor([[0.0, 0.09, -0.1]]))[0, 1])
    shell = crop(drawn, top=cut).shell
    crown = shell.chart.place(shell.radii)[..., 1].max()
    assert crown == pytest.approx(middle_y + up, abs=0.025)


def test_long_hair_that_the_picture_cuts_off_falls_to_the_end_of_the_neck(model: HeadModel) -> None:
    drawn = draw_head(LONG)
    neck = model.mean[model.vertex_ids("neck"), 1]
    cut = int(drawn.fit.camera.project(torch.tensor([[0.0, -0.12, 0.0]]))[0, 1])
    (layer,) = crop(drawn, bottom=cut).layers
    assert layer.mesh.vertices[:, 1].min() == pytest.approx(float(neck.min()), abs=0.01)
    camera = view_camera(drawn.fit.mesh.vertices, 180.0, 0.0, 200)
    bare, _ = see((layer,), camera)
    everything = rasterize(drawn.fit.mesh, camera).mask
    assert (bare & everything).sum() < 0.02 * everything.sum()  # also behind


def test_long_hair_that_the_picture_cuts_off_hangs_straight(model: HeadModel) -> None:
    """As wide as the lowest row shows it."""
    drawn = draw_head(LONG)
    cut = int(drawn.fit.camera.project(torch.tensor([[0.0, -0.10, 0.0]]))[0, 1])
    shell = crop(drawn, bottom=cut).shell
    places = shell.chart.place(shell.radii)
    beside = np.abs(np.abs(shell.chart.azimuths) - np.pi / 2) < 0.1
    heights, across = places[:, beside, 1].mean(1), np.abs(places[:, beside, 0]).mean(1)
    below = (heights < -0.11) & (heights > float(model.mean[model.vertex_ids("neck"), 1].min()))
    (_, middle, _), (widest, up, _) = LONG
    shown = widest * np.sqrt(1 - ((-0.10 - middle) / up) ** 2)
    assert below.sum() > 5
    assert across[below].min() > 0.8 * shown
    assert across[below].max() < shown


def test_hair_beside_a_collar_is_as_wide_as_the_photo_shows_it() -> None:
    """Cloth between neck and hair is no outline of the hair."""
    drawn = draw_head(LONG)
    camera = drawn.fit.camera
    rows, columns = torch.meshgrid(torch.arange(SIDE_PX), torch.arange(SIDE_PX), indexing="ij")
    (right, top), (left, _) = camera.project(torch.tensor([[-0.07, -0.09, 0.0], [0.07, -0.09, 0.0]])).round().int()
    collar = ((rows > top) & (columns > right) & (columns < left) & (drawn.head > 0)).float()
    covers = {name: cover * (1 - collar) for name, cover in drawn.covers.items()}
    dressed = dataclasses.replace(drawn, covers=covers, head=drawn.head * (1 - collar), clothes=collar)
    side = np.abs(np.abs(drawn.shell.chart.azimuths) - np.pi / 2).argmin()
    widths = []
    for shell in (drawn.shell, dressed.shell):
        places = shell.chart.place(shell.radii)[:, side]
        widths.append(np.interp((0.11, 0.125, 0.14), -places[28:, 1], np.abs(places[28:, 0])))
    assert widths[1] == pytest.approx(widths[0], abs=0.005)


def test_a_border_between_the_rays_is_no_staircase() -> None:
    """Hair that ends on a slanted line in the photo ends on one on the head."""
    drawn = draw_head(BUSHY)
    rows, columns = torch.meshgrid(torch.arange(SIDE_PX), torch.arange(SIDE_PX), indexing="ij")
    camera = drawn.fit.camera
    (x, y), slope = camera.project(torch.tensor([[0.03, 0.06, 0.0]]))[0].tolist(), 0.4
    above = (rows - y < slope * (columns - x)).float()
    bare = rasterize(drawn.fit.mesh, camera).mask.float()
    covers = {"hair": torch.maximum(drawn.covers["hair"], bare) * above, "headwear": drawn.covers["headwear"]}
    (layer,) = dataclasses.replace(drawn, covers=covers).layers
    outer, border = find_outer_side(layer.mesh)
    pixels = camera.project(outer.vertices[np.unique(border)]).numpy()
    shown = (outer.vertices[np.unique(border), 2] > 0.0).numpy()
    off = (pixels[:, 1] - y - slope * (pixels[:, 0] - x))[shown] / camera.scale_px
    assert shown.sum() > 10
    assert np.std(off) < 0.001


def test_hair_behind_is_as_long_as_on_the_longer_side() -> None:
    drawn = draw_head(LONG)
    camera = drawn.fit.camera
    jaw, middle = (int(value) for value in camera.project(torch.tensor([[0.0, -0.04, 0.0]]))[0].flip(0))
    hair = drawn.covers["hair"].clone()
    hair[jaw:, :middle] = 0  # the sitter's right
    head = torch.maximum(rasterize(drawn.fit.mesh, camera).mask.float(), hair)
    one_sided = dataclasses.replace(drawn, covers={**drawn.covers, "hair": hair}, head=head)
    (layer,) = one_sided.layers
    behind = view_camera(drawn.fit.mesh.vertices, 180.0, 0.0, 200)
    _, seen = see((layer,), behind)
    columns = [int(behind.project(torch.tensor([[x, 0.0, -0.1]]))[0, 0]) for x in (-0.04, 0.0, 0.04)]
    ends = [int(torch.nonzero(seen["hair"][:, column]).max()) for column in columns]
    assert max(ends) - min(ends) <= 0.03 * behind.scale_px


def test_without_hair_nothing_is_built(model: HeadModel) -> None:
    drawn = draw_head(None)
    assert not (drawn.covers["hair"] > 0).any()
    nothing = np.zeros((SIDE_PX, SIDE_PX))
    head = drawn.head.double().numpy()
    assert fit_shell({"hair": nothing, "headwear": nothing}, head, nothing, drawn.fit, model) is None
    assert build_layers(drawn.photo, drawn.covers, drawn.head, drawn.clothes, drawn.fit, model, 64) == ()
    doubtful = {name: torch.full_like(cover, 0.2) for name, cover in drawn.covers.items()}
    assert build_layers(drawn.photo, doubtful, drawn.head, drawn.clothes, drawn.fit, model, 64) == ()


@YAWS
def test_a_hat_over_hair_is_a_layer_of_its_own(yaw_deg: float) -> None:
    drawn = draw_head(BUSHY, yaw_deg, HAT_ABOVE)
    assert [layer.name for layer in drawn.layers] == ["hair", "headwear"]
    _, seen = see(drawn.layers, drawn.fit.camera)
    for name, mask in seen.items():
        assert measure_overlap(mask, drawn.covers[name] > 0) >= 0.8
    alone = [rasterize(layer.mesh, drawn.fit.camera).mask for layer in drawn.layers]
    assert (alone[0] & alone[1]).sum() < 0.05 * (alone[0] | alone[1]).sum()
    heights = [layer.mesh.vertices[:, 1] for layer in drawn.layers]
    assert heights[1].min() > HAT_ABOVE - 0.02
    assert heights[0].max() < HAT_ABOVE + 0.02


def test_a_hat_goes_around_the_head() -> None:
    """Down to the height at which it is seen to end in front."""
    drawn = draw_head(BUSHY, 0.0, HAT_ABOVE)
    camera = view_camera(drawn.fit.mesh.vertices, 180.0, 0.0, 300)
    _, seen = see(drawn.layers, camera)
    top, bottom = (int(camera.project(torch.tensor([[0.0, y, -0.2]]))[0, 1]) for y in (0.11, 0.05))
    middle = int(camera.project(torch.tensor([[0.0, 0.0, 0.0]]))[0, 0])
    assert seen["headwear"][top, middle]
    assert seen["hair"][bottom, middle]
    assert not seen["headwear"][bottom:].any()


def test_glasses_pushed_up_into_the_hair_are_no_hat() -> None:
    """What is worn on a part of the crown only does not go around it."""
    drawn = draw_head(BUSHY, 0.0, HAT_ABOVE)
    hat = drawn.covers["headwear"]
    columns = torch.arange(SIDE_PX)
    left = (columns > columns[hat.any(0)].float().quantile(0.7)).float()
    covers = {"headwear": hat * left, "hair": drawn.covers["hair"] + hat * (1 - left)}
    behind = view_camera(drawn.fit.mesh.vertices, 180.0, 0.0, 200)
    _, seen = see(dataclasses.replace(drawn, covers=covers).layers, behind)
    assert seen["headwear"].sum() < 0.1 * seen["hair"].sum()
    _, whole = see(drawn.layers, behind)
    assert whole["headwear"].sum() > 0.15 * whole["hair"].sum()


@pytest.mark.parametrize("with_hair", [True, False])
def test_a_spot_taken_for_hair_leaves_no_hole_in_a_hat(with_hair: bool) -> None:
    """A piece apart is of the other layer. Of hair under a hat that hides the rest of it nobody knows the color."""
    drawn = draw_head(SHORT, 0.0, 0.04)
    hat, hair = drawn.covers["headwear"], drawn.covers["hair"] * with_hair
    radius = 24
    row = int(torch.nonzero(hat[:, SIDE_PX // 2]).max()) - radius
    down, across = torch.arange(SIDE_PX)[:, None] - row, torch.arange(SIDE_PX) - SIDE_PX / 2
    spot = hat * (across**2 + down**2 < radius**2)
    bare = rasterize(drawn.fit.mesh, drawn.fit.camera).mask.float()
    covers = {"headwear": hat - spot, "hair": hair + spot}
    head = torch.maximum(torch.maximum(bare, hat), hair)
    layers = dataclasses.replace(drawn, covers=covers, head=head).layers
    skin, seen = see(layers, drawn.fit.camera)
    assert spot.sum() > 1000
    within = F.avg_pool2d(hat[None], 2 * EDGE_PX + 1, stride=1, padding=EDGE_PX)[0] > 0.999
    assert not (skin & within & (spot > 0)).any()
    assert (seen["headwear"] & (spot > 0)).sum() > 0.9 * spot.sum()
    assert [layer.name for layer in layers] == (["hair", "headwear"] if with_hair else ["headwear"])


def test_the_same_photo_gives_the_same_shell() -> None:
    drawn = draw_head(SHORT)
    again = dataclasses.replace(drawn).shell
    assert np.array_equal(again.radii, drawn.shell.radii)
    assert np.array_equal(again.shares["hair"], drawn.shell.shares["hair"])
