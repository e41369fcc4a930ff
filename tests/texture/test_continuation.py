"""What artworks do not show: neck, ears and scalp painted like the face, the back of hair like its front."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from conftest import make_layer, make_marked_head
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.shader_math import luminance
from portraitist.rendering.uv_layout import locate_texels
from portraitist.segmentation.texels import mark_face_texels
from portraitist.texture.continuation import continue_layer, continue_skin
from portraitist.texture.labels import label_head
from portraitist.texture.views import Subject
from portraitist.types import REGIONS, Mesh

SIDE = 256
PALE, BROWN, GREEN = (0.80, 0.55, 0.45), (0.40, 0.25, 0.15), (0.0, 1.0, 0.0)
STROKES = (0.15, 0.012)  # contrast of the face's stripes, and their period in meters
STRANDS = (0.4, 0.014)  # the same of strands in upright planes, as the front shows them
NEAR_DEG = ((0.0, 0.0), (-40.0, -10.0), (40.0, -10.0))
SOFT = 8  # texels beside the face in which its border is soft


@functools.cache
def locate(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place in meters, normal and region of each texel; the region is -1 between the islands."""
    texel_ids, face_ids, barycentrics = locate_texels(mesh, SIDE)
    vertices, faces = mesh.vertices.numpy(), mesh.faces.numpy()
    fields = []
    for values in (vertices, vertex_normals(vertices, faces)):
        picture = np.zeros((SIDE * SIDE, 3), np.float32)
        picture[texel_ids] = np.einsum("kcd,kc->kd", values[faces[face_ids]], barycentrics)
        fields.append(picture.reshape(SIDE, SIDE, 3))
    regions = np.full(SIDE * SIDE, -1)
    regions[texel_ids] = mesh.regions.numpy()[face_ids]
    return fields[0], fields[1], regions.reshape(SIDE, SIDE)


def is_in(*names: str) -> np.ndarray:
    """Texels of the mean head's regions."""
    return np.isin(locate(load_head_model().template)[2], [REGIONS.index(name) for name in names])


def grow(mask: np.ndarray, texels: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * texels + 1, 2 * texels + 1), np.uint8)) > 0


def to_image(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))


def paint_head() -> np.ndarray:
    """A pale face under level stripes, with checkered features; all that is not the face is green."""
    mesh = load_head_model().template
    heights = locate(mesh)[0][..., 1]
    stripes = 1 + STROKES[0] * np.sin(2 * np.pi * heights / STROKES[1])
    face = mark_face_texels(mesh, SIDE).numpy()[..., None]
    picture = np.where(face, np.array(PALE) * stripes[..., None], GREEN)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    features = is_in("eyeballs", "eyelids", "brows", "lips", "mouth_inside", "teeth", "tongue")
    picture[features] = np.where((rows + columns)[features, None] % 2, (0.9, 0.1, 0.1), (0.1, 0.1, 0.5))
    return picture.astype(np.float32)


def continue_head(texture: np.ndarray, content: np.ndarray | float = 0.6) -> np.ndarray:
    """`continue_skin` of a texture [t, t, 3] over a sitter's texture of this brightness [t, t]."""
    model, photo = load_head_model(), np.broadcast_to(content, (3, SIDE, SIDE)).transpose(1, 2, 0)
    subject = Subject(model.template, to_image(photo), to_image(photo), label_head(model.template, SIDE))
    result = continue_skin(to_image(texture), subject, model)
    assert result.dtype == torch.float32
    return result.permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def continued() -> np.ndarray:
    return continue_head(paint_head())


@pytest.fixture(scope="module")
def beyond() -> np.ndarray:
    """Texels of ears, neck and scalp that are not at the border of the face."""
    mesh = load_head_model().template
    return is_in("ears", "neck", "scalp") & ~grow(mark_face_texels(mesh, SIDE).numpy(), SOFT)


def measure_fineness(mesh: Mesh, picture: np.ndarray, where: np.ndarray) -> float:
    """Root mean square of the slope of brightness over the surface, per meter and contrast."""
    places, brightness, square = locate(mesh)[0], luminance(picture), 0.0
    for axis in range(2):
        within, inside, at = (np.moveaxis(values, axis, 0) for values in (brightness, where, places))
        pairs = inside[1:] & inside[:-1]
        steps = np.linalg.norm(np.diff(at, axis=0)[pairs], axis=1)
        square += np.mean((np.diff(within, axis=0)[pairs] / steps) ** 2)
    return float(np.sqrt(square) / brightness[where].std())


def test_ears_neck_and_scalp_get_the_faces_color(continued, beyond) -> None:
    for name in ("ears", "neck", "scalp"):
        colors = continued[beyond & is_in(name)]
        assert len(colors) > 500
        assert np.abs(colors.mean(0) - PALE).max() < 0.03
        assert (colors[:, 1] < colors[:, 0]).all()  # nowhere green


def test_the_faces_middle_stays_bit_by_bit(continued) -> None:
    (places, normals, _), mesh = locate(load_head_model().template), load_head_model().template
    face = mark_face_texels(mesh, SIDE).numpy()
    inner = ~grow(~(face | (locate(mesh)[2] < 0)), SOFT) & face
    frontal = inner & (normals[..., 2] > np.cos(np.radians(60))) & (places[..., 2] > -0.05)
    assert frontal.sum() > 5000
    assert np.array_equal(continued[frontal], paint_head()[frontal])


def test_features_stay(continued) -> None:
    """Also at the rims of lids and lips, where the layout has holes."""
    same = (continued == paint_head()).all(2)
    assert same[is_in("eyeballs", "brows", "mouth_inside", "teeth", "tongue")].all()
    for name in ("eyelids", "lips"):
        assert same[is_in(name)].mean() > 0.95


def test_strokes_go_on_as_strong_and_as_large(continued, beyond) -> None:
    mesh = load_head_model().template
    face = is_in("skin") & (continued == paint_head()).all(2)
    for name in ("neck", "scalp"):
        continuation = beyond & is_in(name)
        contrast = luminance(continued)[continuation].std() / luminance(continued)[face].std()
        assert 0.7 < contrast < 1.3
    ahead = beyond & is_in("neck") & (locate(mesh)[1][..., 2] > 0.8)
    assert measure_fineness(mesh, continued, ahead) == pytest.approx(measure_fineness(mesh, continued, face), rel=0.2)


def test_lines_of_a_face_do_not_become_gravel_on_the_neck() -> None:
    """A drawing's wrinkles and hatching, on half of the face: the neck is as calm as the other half."""
    texture = np.where(is_in("neck")[..., None], np.float32(PALE), paint_head())
    calm = np.where(mark_face_texels(load_head_model().template, SIDE).numpy()[..., None], np.float32(PALE), texture)
    lined = np.where(locate(load_head_model().template)[0][..., :1] > 0.0, texture, calm)
    neck = is_in("neck") & ~grow(mark_face_texels(load_head_model().template, SIDE).numpy(), SOFT)
    contrasts = [luminance(continue_head(each))[neck].std() for each in (texture, lined)]
    assert contrasts[1] < 0.4 * contrasts[0]


def test_the_slanted_sides_of_a_face_are_continued() -> None:
    """What the views see at a slant, or not at all, is painted anew, whatever was there."""
    normals, texture = locate(load_head_model().template)[1], paint_head()
    turned = np.degrees(np.abs(np.arctan2(normals[..., 0], normals[..., 2])))
    slanted = is_in("skin") & (turned > 100)
    texture[slanted] = GREEN
    colors = continue_head(texture)[slanted]
    assert len(colors) > 200
    assert (colors[:, 1] < colors[:, 0]).all()
    assert np.abs(colors.mean(0) - PALE).max() < 0.05


def test_a_neck_stays_darker_where_the_sitters_is(continued, beyond) -> None:
    """In one hue, and less than in the photo."""
    left = locate(load_head_model().template)[0][..., 0] > 0
    content = np.where(is_in("neck") & left, 0.25, 0.6)
    shaded, neck = continue_head(paint_head(), content), beyond & is_in("neck")
    shares = shaded[neck & left].mean(0) / continued[neck & left].mean(0)
    assert 0.45 < shares.min() < shares.max() < 0.9
    assert shares.max() - shares.min() < 0.05
    other = neck & (locate(load_head_model().template)[0][..., 0] < -0.02)
    assert np.abs(shaded[other].mean(0) - continued[other].mean(0)).max() < 0.03


def test_no_seam_runs_down_the_back(continued, beyond) -> None:
    """Both sides of the cut in the layout agree though they are painted apart."""
    places, columns = locate(load_head_model().template)[0], np.arange(SIDE)
    left, right = beyond & (columns < SIDE / 2), beyond & (columns >= SIDE / 2)
    distances, nearest = KDTree(places[right]).query(places[left])
    pairs = distances < 0.002
    assert pairs.sum() > 50
    ours, theirs = luminance(continued)[left][pairs], luminance(continued)[right][nearest[pairs]]
    assert np.corrcoef(ours, theirs)[0, 1] > 0.7


def test_the_same_texture_is_continued_in_the_same_way(continued) -> None:
    assert np.array_equal(continue_head(paint_head()), continued)


@functools.cache
def make_hair() -> Mesh:
    return make_layer(make_marked_head(SIDE), "hair").mesh


@functools.cache
def see_hair() -> np.ndarray:
    """Cosine between each texel's normal and the nearest camera's line of sight; NaN between the islands."""
    _, normals, regions = locate(make_hair())
    sights = [view_camera(make_hair().vertices, *angles, 8).rotation[2].numpy() for angles in NEAR_DEG]
    lengths = np.linalg.norm(normals, axis=2)
    return np.where(regions >= 0, (normals @ np.stack(sights, 1)).max(2) / np.maximum(lengths, 1e-9), np.nan)


def paint_hair() -> np.ndarray:
    """Brown strands in front, flat brown behind."""
    strands = 1 + STRANDS[0] * np.sin(2 * np.pi * locate(make_hair())[0][..., 0] / STRANDS[1])
    picture = np.where(see_hair()[..., None] > 0.2, np.array(BROWN) * strands[..., None], BROWN)
    return picture.astype(np.float32)


def continue_hair(angles_deg: tuple[tuple[float, float], ...] = NEAR_DEG) -> np.ndarray:
    mesh, texture = make_hair(), to_image(paint_hair())
    cameras = [view_camera(mesh.vertices, *angles, 384) for angles in angles_deg]
    subject = Subject(mesh, texture, texture, label_head(mesh, SIDE))
    return continue_layer(texture, subject, cameras).permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def hair() -> np.ndarray:
    return continue_hair()


def test_hair_that_the_cameras_see_stays_bit_by_bit(hair) -> None:
    seen = see_hair() > 0.76
    assert seen.sum() > 5000
    assert np.array_equal(hair[seen], paint_hair()[seen])
    assert np.array_equal(hair[np.isnan(see_hair())], paint_hair()[np.isnan(see_hair())])


def test_the_back_of_hair_has_the_fronts_contrast_and_color(hair) -> None:
    front, back = see_hair() > 0.76, see_hair() < 0.1
    assert back.sum() > 5000
    contrast = np.log(hair[back]).std(0) / np.log(hair[front]).std(0)
    assert 0.6 < contrast.min() < contrast.max() < 1.4
    assert np.abs(hair[back].mean(0) - BROWN).max() < 0.03


def test_strands_stand_up_behind(hair) -> None:
    back = see_hair() < 0.1
    across, along = (np.abs(np.diff(luminance(hair), axis=axis)) for axis in (1, 0))
    assert np.median(across[back[:, 1:] & back[:, :-1]]) > 2.5 * np.median(along[back[1:] & back[:-1]])


def test_strands_are_as_wide_behind() -> None:
    """Where the surface faces straight ahead or straight back."""
    hair, normals = continue_hair(NEAR_DEG[:1]), locate(make_hair())[1]
    front, back = normals[..., 2] > 0.9, normals[..., 2] < -0.9
    ours, theirs = (measure_fineness(make_hair(), hair, where) for where in (back, front))
    assert ours == pytest.approx(theirs, rel=0.15)


def test_the_same_hair_is_continued_in_the_same_way(hair) -> None:
    assert np.array_equal(continue_hair(), hair)
