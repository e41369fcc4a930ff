"""Ray casting against hand-computed pixels and a slow obvious rasterizer; the filtered look-up and its gradient."""

import math

import numpy as np
import pytest
import torch

from portraitist.rendering.cameras import NAMED_VIEWS, rotation_from_yaw_pitch, view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import render_view, sample_mipmapped, shade
from portraitist.rendering.uv_layout import find_nearest_inside, mark_texels
from portraitist.types import Camera, Fragments, Mesh

WHITE = torch.ones(3)


def make_mesh(vertices, uvs) -> Mesh:
    faces = torch.arange(len(vertices)).reshape(-1, 3)
    return Mesh(torch.tensor(vertices), faces, torch.tensor(uvs), faces, torch.zeros(len(faces), dtype=torch.long))


def make_random_mesh(count: int = 12) -> Mesh:
    generator = torch.Generator().manual_seed(3)
    vertices = torch.rand(count * 3, 3, generator=generator) * 2 - 1
    uvs = torch.rand(count * 3, 2, generator=generator)
    return make_mesh(vertices.tolist(), uvs.tolist())


def front_camera(size: int, scale: float | None = None) -> Camera:
    return Camera(torch.eye(3), scale or size / 2, (size / 2, size / 2), (size, size))


def rasterize_slowly(mesh: Mesh, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pixel against every triangle, in double precision: face ids, barycentrics, distance to the nearest edge."""
    points = camera.project(mesh.vertices).double().numpy()[mesh.faces]
    depths = camera.depth(mesh.vertices).double().numpy()[mesh.faces]
    height, width = camera.size
    ids = np.full(camera.size, -1)
    weights, nearest = np.zeros((*camera.size, 3)), np.full(camera.size, -np.inf)
    clearance = np.full(camera.size, np.inf)
    for row in range(height):
        for column in range(width):
            for face, (corners, depth) in enumerate(zip(points, depths, strict=True)):
                matrix = np.vstack([corners.T, np.ones(3)])
                w = np.linalg.solve(matrix, [column + 0.5, row + 0.5, 1.0])
                clearance[row, column] = min(clearance[row, column], abs(w).min())
                if (w >= 0).all() and w @ depth > nearest[row, column]:
                    ids[row, column], weights[row, column], nearest[row, column] = face, w, w @ depth
    return ids, weights, clearance


def test_one_triangle_by_hand():
    # Corners at pixels (0, 0), (4, 0), (0, 4): the six pixel centers with x + y < 4 are inside.
    mesh = make_mesh([[-1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0], [0.0, 0.5]])
    seen = rasterize(mesh, front_camera(4, scale=2.0))
    inside = torch.tensor([[c + 0.5 + r + 0.5 < 4 for c in range(4)] for r in range(4)])
    on_edge = torch.tensor([[c + r + 1 == 4 for c in range(4)] for r in range(4)])
    assert torch.equal(seen.mask | on_edge, inside | on_edge)
    torch.testing.assert_close(seen.barycentrics[1, 1], torch.tensor([0.25, 0.375, 0.375]))
    torch.testing.assert_close(seen.uv[1, 1], torch.tensor([0.375, 0.1875]))
    # 8 px of area hold 0.25 of UV area.
    torch.testing.assert_close(seen.uv_footprint[0, 0].item(), math.sqrt(0.25 / 8))
    assert seen.face_ids[3, 3] == -1
    assert seen.uv_footprint[3, 3] == 0


@pytest.mark.parametrize("angles", [(0.0, 0.0), (25.0, -15.0)])
def test_rasterize_agrees_with_the_slow_rasterizer(angles):
    mesh = make_random_mesh()
    camera = view_camera(mesh.vertices, *angles, 24)
    seen = rasterize(mesh, camera)
    ids, weights, clearance = rasterize_slowly(mesh, camera)
    safe = clearance > 1e-4  # on an edge either side may win
    assert safe.mean() > 0.95
    assert (ids >= 0).mean() > 0.2
    np.testing.assert_array_equal(seen.face_ids.numpy()[safe], ids[safe])
    np.testing.assert_allclose(seen.barycentrics.numpy()[safe], weights[safe], atol=1e-4)


def test_the_nearer_of_two_faces_is_seen_and_back_faces_too():
    near = [[-1.0, 1.0, 0.5], [1.0, 1.0, 0.5], [-1.0, -1.0, 0.5]]
    far = [[-1.0, 1.0, -0.5], [-1.0, -1.0, -0.5], [1.0, 1.0, -0.5]]
    mesh = make_mesh(far + near, [[0.0, 0.0]] * 6)
    assert rasterize(mesh, front_camera(4)).face_ids[0, 0] == 1
    turned = Camera(rotation_from_yaw_pitch(180.0, 0.0), 2.0, (2.0, 2.0), (4, 4))
    assert rasterize(mesh, turned).face_ids[0, 3] == 0


def test_framing_is_the_same_for_every_angle():
    vertices = torch.rand(50, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([0.2, 0.3, 0.25]) + 1.0
    center = (vertices.amin(0) + vertices.amax(0))[None] / 2
    for angles in [*NAMED_VIEWS.values(), (180.0, 0.0), (77.0, 60.0)]:
        camera = view_camera(vertices, *angles, 128)
        assert camera.scale_px == pytest.approx(view_camera(vertices, 0.0, 0.0, 128).scale_px)
        torch.testing.assert_close(camera.project(center)[0], torch.tensor([64.0, 64.0]), atol=1e-2, rtol=0)
        pixels = camera.project(vertices)
        assert pixels.min() >= 0
        assert pixels.max() <= 128


def test_named_views_turn_the_way_their_names_say():
    nose = torch.tensor([[0.0, 0.0, 1.0]])
    where = {}
    for name, angles in NAMED_VIEWS.items():
        rotated = nose @ rotation_from_yaw_pitch(*angles).T
        where[name] = rotated[0, :2].tolist()
    assert where["front"] == pytest.approx([0, 0])
    assert where["left"][0] < -0.4
    assert where["right"][0] > 0.4
    assert where["above"][1] < -0.3  # seen from above the nose points down
    assert where["below"][1] > 0.3


def full_quad(size: int) -> Mesh:
    """A square whose UV covers the texture once; at ``size`` pixels each pixel is one texel."""
    corners = [
        [-1.0, 1.0, 0.0],
        [1.0, 1.0, 0.0],
        [-1.0, -1.0, 0.0],
        [1.0, 1.0, 0.0],
        [1.0, -1.0, 0.0],
        [-1.0, -1.0, 0.0],
    ]
    uvs = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    return make_mesh(corners, uvs)


def test_shade_reproduces_the_pixels_of_a_texture():
    texture = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    seen = rasterize(full_quad(16), front_camera(16))
    assert seen.mask.all()
    torch.testing.assert_close(shade(seen, texture, WHITE), texture, atol=1e-4, rtol=0)


def test_shade_at_half_size_takes_the_mean_of_four_texels():
    texture = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = texture.reshape(3, 8, 2, 8, 2).mean((2, 4))
    torch.testing.assert_close(
        shade(rasterize(full_quad(8), front_camera(8)), texture, WHITE), expected, atol=1e-4, rtol=0
    )


def test_every_texel_gets_gradient_in_a_small_view():
    texture = torch.rand(3, 64, 64, requires_grad=True)
    shade(rasterize(full_quad(20), front_camera(20)), texture, WHITE).sum().backward()
    assert (texture.grad > 0).all()


def test_background_is_where_nothing_was_hit():
    mesh = make_mesh([[-1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]], [[0.5, 0.5]] * 3)
    ground = torch.tensor([0.1, 0.2, 0.3])
    seen = rasterize(mesh, front_camera(8))
    picture = shade(seen, torch.full((3, 4, 4), 0.7), ground)
    torch.testing.assert_close(picture[:, ~seen.mask], ground[:, None].expand(-1, int((~seen.mask).sum())))
    torch.testing.assert_close(picture[:, seen.mask], torch.full((3, int(seen.mask.sum())), 0.7))


def test_shade_of_an_empty_view_is_plain_ground():
    empty = Fragments(
        face_ids=torch.full((4, 5), -1),
        barycentrics=torch.zeros(4, 5, 3),
        uv=torch.zeros(4, 5, 2),
        uv_footprint=torch.zeros(4, 5),
        mask=torch.zeros(4, 5, dtype=torch.bool),
    )
    assert torch.equal(shade(empty, torch.rand(3, 8, 8), WHITE), torch.ones(3, 4, 5))


def test_gradient_of_shade():
    generator = torch.Generator().manual_seed(5)
    mask = torch.rand(3, 3, generator=generator) > 0.3
    fragments = Fragments(
        face_ids=mask.long() - 1,
        barycentrics=torch.zeros(3, 3, 3),
        uv=torch.rand(3, 3, 2, generator=generator),
        uv_footprint=torch.rand(3, 3, generator=generator) * 0.6,
        mask=mask,
    )
    texture = torch.rand(3, 6, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    ground = torch.rand(3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t, g: shade(fragments, t, g), (texture, ground))


def test_render_view_is_antialiased():
    mesh = make_mesh([[-1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]], [[0.5, 0.5]] * 3)
    picture = render_view(mesh, torch.zeros(3, 4, 4), front_camera(8), WHITE, supersample=2)
    assert picture.shape == (3, 8, 8)
    on_diagonal = picture[0].flip(1).diagonal()
    assert ((on_diagonal > 0.1) & (on_diagonal < 0.9)).all()


def test_mark_texels_follows_the_uv_layout():
    mesh = make_mesh([[0.0, 0.0, 0.0]] * 6, [[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [1.0, 1.0], [0.5, 1.0], [1.0, 0.5]])
    marks = mark_texels(mesh, 8)
    assert marks[0, 0] == 0
    assert marks[7, 7] == 1
    assert marks[0, 7] == -1
    assert (marks == 0).sum() == pytest.approx(8, abs=3)


def test_mipmapped_look_up_takes_means_over_the_footprint_also_of_a_picture_that_is_not_square():
    image = torch.rand(2, 8, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    blocks = image.reshape(2, 2, 4, 4, 4).mean((2, 4))  # [c, row, column] of blocks of four by four pixels
    rows, columns = torch.meshgrid(torch.arange(2), torch.arange(4), indexing="ij")
    uv = torch.stack([(columns + 0.5) / 4, (rows + 0.5) / 2], dim=-1).reshape(-1, 2).double()
    torch.testing.assert_close(sample_mipmapped(image, uv, torch.full((8,), 4.0)), blocks.reshape(2, 8))
    whole = sample_mipmapped(image, uv[:1], torch.tensor([1000.0]))
    torch.testing.assert_close(whole[:, 0], image.mean((1, 2)))


def test_nearest_inside_is_the_pixel_itself_on_the_mask():
    mask = np.zeros((3, 5), bool)
    mask[1, 0] = mask[2, 4] = True
    rows, columns = find_nearest_inside(mask)
    assert (rows[1, 0], columns[1, 0], rows[2, 4], columns[2, 4]) == (1, 0, 2, 4)
    assert columns[0].tolist() == [0, 0, 0, 4, 4]
