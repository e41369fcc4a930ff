"""Parts of a picture, photo or artwork alike: skin, hair, beard, headwear, glasses, clothes, other, background.

A small network (``part_network.py``) reads VGG16's feature maps of the upright head, and knows where fitted head and
person mask are. It says what each of 128 x 128 cells shows; a guided filter carries that to the picture's pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from portraitist.assets import asset_path
from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import InputError
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.alignment import similarity_2d
from portraitist.landmarks.views import View, ViewRenderer
from portraitist.rendering.rasterizer import rasterize
from portraitist.segmentation.part_network import COMPONENTS, MAP_PX, VIEW_PX, PartNetwork
from portraitist.segmentation.parts import FACE_REGIONS, select_faces
from portraitist.types import Camera, Image, Landmarks, Mesh
from portraitist.vgg import VGG, LayerProjections

ASSET = "picture_segmenter.safetensors"
PART_NAMES = ("background", "skin", "hair", "beard", "headwear", "glasses", "clothes", "other")
"""Skin is face, ears, neck and other bare skin of the person; hair is that of the scalp, brows are skin; other is what
is held before the person, hands before the face, and other people."""

BARE_PARTS = ("skin", "beard", "glasses")
"""What is painted on the head itself."""

WINDOW = 4.6  # outer eye distances of the mean face across the network's view: hats, and hair to the shoulders
WINDOW_MIDDLE = (0.0, -0.05)  # eye distances (right, down) from the middle of the mean face's points
HEAD_REGIONS = (FACE_REGIONS, ("scalp",), ("ears",), ("neck",))
CELL_PX = VIEW_PX // MAP_PX
EDGE_CELLS = 2.0  # of the network's map: how far the guided filter looks for the edge
EDGE_SMOOTHNESS = 1e-4  # variance (grays 0..1) below which the guided filter ignores an edge
SURE = 0.8  # share of hair from which on it is not doubted
CUTS = 3  # rounds of cutting and learning colors anew
FEATHER_CELLS = 4  # along the rim of the view, where what the network says gives way to the person mask


@dataclass(frozen=True)
class PictureParts:
    """``shares``: how much of each pixel shows each part of `PART_NAMES`, 0..1; they sum to 1."""

    shares: Float[Tensor, "8 h w"]

    def share(self, *names: str) -> Float[Tensor, "h w"]:
        """Of the named parts together, 0..1."""
        return self.shares[[PART_NAMES.index(name) for name in names]].sum(0)

    def labels(self) -> Int[Tensor, "h w"]:
        """The part with the largest share, as an index into `PART_NAMES`."""
        return self.shares.argmax(0)


@dataclass(frozen=True)
class HeadView:
    """What the network is shown: an upright square around the head.

    ``pixels``: sRGB 0..1. ``hints``: on the network's map, 0..1: the pixels' colors; where the picture is; the person
    mask; face, scalp, ears and neck of the fitted head. ``matrix``: from pixels of the picture to those of the view.
    """

    pixels: Float[Tensor, "3 256 256"]
    hints: Float[Tensor, "9 128 128"]
    matrix: Float[np.ndarray, "2 3"]


@dataclass(frozen=True)
class PictureSegmenter:
    """``mean``: 68 points of the mean face, y down, outer eye distance 1, middle at 0."""

    mean: Float[Tensor, "68 2"]
    projections: LayerProjections
    network: PartNetwork

    def read(self, view: HeadView, vgg: VGG) -> Float[Tensor, "8 128 128"]:
        """Shares in the cells of the network's map: means over the plain and the mirrored view."""
        shares = []
        with torch.no_grad():
            for axes in ((), (2,)):
                maps = self.projections(view.pixels.flip(axes), vgg)
                shares.append(self.network(maps, view.hints.flip(axes)[None])[0].softmax(0).flip(axes))
        return torch.stack(shares).mean(0)


def segment_picture(
    image: Image,
    landmarks: Landmarks,
    mesh: Mesh,
    camera: Camera,
    person: Float[Tensor, "m n"],
    segmenter: PictureSegmenter,
    vgg: VGG,
) -> PictureParts:
    """What each pixel of a photo or an artwork shows.

    ``image``: sRGB 0..1. ``mesh``, ``camera``: the head fitted to ``landmarks``. ``person``: how much of each pixel is
    the person, 0..1; far from the head it alone tells the person from the background. Raises InputError for a mask of
    another size.
    """
    if person.shape != image.shape[1:]:
        got, needed = (f"{size[1]} x {size[0]}" for size in (person.shape, image.shape[1:]))
        raise InputError(f"The person mask is {got} pixels, the picture {needed}: give the mask of this picture.")
    view = look_at_head(image, landmarks, mesh, camera, person, segmenter.mean)
    cells = segmenter.read(view, vgg)
    return PictureParts(from_numpy(_enlarge(to_numpy(cells), view, image, person), image))


def look_at_head(
    image: Image,
    landmarks: Landmarks,
    mesh: Mesh,
    camera: Camera,
    person: Float[Tensor, "h w"],
    mean: Float[Tensor, "68 2"],
) -> HeadView:
    """The view of the head, upright and of the same size in every picture. What lies outside of the picture gets its
    mean color."""
    view = render_view(ViewRenderer(image_to_uint8(image)), landmarks, mean, WINDOW, VIEW_PX)
    pixels = from_numpy(view.pixels, image).permute(2, 0, 1) / 255
    cells = view.matrix / CELL_PX
    masks = [render_mask(mask, cells, MAP_PX) for mask in (np.ones(image.shape[1:], np.float32), to_numpy(person))]
    hints = [F.avg_pool2d(pixels, CELL_PX), from_numpy(np.stack(masks), image)]
    hints.append(draw_head(mesh, move_camera(camera, cells, MAP_PX)))
    return HeadView(pixels, torch.cat(hints), view.matrix)


def render_view(
    renderer: ViewRenderer, landmarks: Landmarks, mean: Float[Tensor, "68 2"], window: float, side: int
) -> View:
    """The upright square of ``window`` outer eye distances and ``side`` pixels."""
    points, upright = (torch.from_numpy(to_numpy(each, np.float64)) for each in (landmarks.points, mean))
    linear, shift = (part.numpy() for part in similarity_2d(points, upright))
    center = np.linalg.solve(linear, np.array(WINDOW_MIDDLE) - shift)
    return renderer.render(linear * side / window, center, side=side)


def render_mask(mask: Float[np.ndarray, "h w"], matrix: Float[np.ndarray, "2 3"], side: int) -> np.ndarray:
    """A mask as a view shows it, 0 outside of the picture. ``matrix``: from pixels of the picture to the view's."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    height, width = mask.shape
    size = (max(round(width * min(scale, 1)), 1), max(round(height * min(scale, 1)), 1))
    small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    linear = matrix[:, :2] @ np.diag([width / size[0], height / size[1]])
    # OpenCV puts whole numbers at pixel centers.
    placed = np.column_stack([linear, matrix[:, 2] + linear @ [0.5, 0.5] - 0.5])
    return cv2.warpAffine(small, placed, (side, side))


def move_camera(camera: Camera, matrix: Float[np.ndarray, "2 3"], side: int) -> Camera:
    """The camera of a view of its picture. ``matrix``: similarity from pixels of the picture to the view's."""
    scale = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    turn = np.eye(3)
    turn[:2, :2] = matrix[:, :2].T / scale  # pictures have y down, cameras up
    x, y = matrix[:, :2] @ camera.center_px + matrix[:, 2]
    rotation = from_numpy(turn, camera.rotation) @ camera.rotation
    return Camera(rotation, camera.scale_px * scale, (float(x), float(y)), (side, side))


def draw_head(mesh: Mesh, camera: Camera) -> Float[Tensor, "4 h w"]:
    """Where face, scalp, ears and neck of the fitted head are: 1 or 0."""
    seen = rasterize(mesh, camera)
    ids = seen.face_ids.clamp(min=0)
    return torch.stack([select_faces(mesh, regions)[ids] & seen.mask for regions in HEAD_REGIONS]).float()


def _enlarge(
    cells: Float[np.ndarray, "8 128 128"], view: HeadView, image: Image, person: Tensor
) -> Float[np.ndarray, "8 h w"]:
    """To the picture's pixels, edges moved to the picture's: a guided filter whose coefficients are those of the view
    (He and Sun, "Fast Guided Filter", 2015). Beyond the view the person goes on as at its rim, or as clothes."""
    back = np.linalg.inv(np.vstack([view.matrix, [0, 0, 1]]))[:2]
    shares = np.stack([_warp(share, back @ np.diag([CELL_PX, CELL_PX, 1.0]), image.shape[1:]) for share in cells])
    shares *= to_numpy(person)
    shares[PART_NAMES.index("clothes")] += shares[0]
    shares[0] = 1 - to_numpy(person)
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * VIEW_PX @ back[:, :2].T + back[:, 2]
    (left, top), (right, bottom) = (np.clip(end, 0, image.shape[:0:-1]) for end in _round_out(corners))
    window = shares[:, top:bottom, left:right]
    back[:, 2] -= left, top
    guide = _to_gray(image_to_uint8(image)[top:bottom, left:right])
    pixels = image_to_uint8(view.pixels)
    slopes, offsets = _guide(_cut_hair(cells, pixels), _to_gray(pixels))
    rim = np.minimum(np.arange(VIEW_PX) + 0.5, VIEW_PX - 0.5 - np.arange(VIEW_PX)) / (CELL_PX * FEATHER_CELLS)
    inside = _warp(np.minimum(1, np.minimum(rim, rim[:, None])), back, guide.shape, cv2.BORDER_CONSTANT)
    for slope, offset, whole in zip(slopes, offsets, window, strict=True):
        fine = _warp(slope, back, guide.shape) * guide + _warp(offset, back, guide.shape)
        whole += inside * (fine.clip(0, 1) - whole)
    window /= window.sum(0)
    return shares


def _cut_hair(
    cells: Float[np.ndarray, "8 128 128"], pixels: UInt8[np.ndarray, "256 256 3"]
) -> Float[np.ndarray, "8 256 256"]:
    """Shares of every pixel of the view, hair told from the rest by color where the network is not sure (GrabCut,
    Rother et al. 2004)."""
    shares = np.stack([cv2.resize(share, pixels.shape[:2], interpolation=cv2.INTER_LINEAR) for share in cells])
    hair = shares[PART_NAMES.index("hair")]
    marks = np.where(hair > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[hair > SURE], marks[hair < 1 - SURE] = cv2.GC_FGD, cv2.GC_BGD
    unsure = (marks == cv2.GC_PR_FGD) | (marks == cv2.GC_PR_BGD)
    if not (unsure.any() and (marks == cv2.GC_FGD).any() and (marks == cv2.GC_BGD).any()):
        return shares
    cv2.setRNGSeed(0)  # its color models start at random
    cv2.grabCut(pixels, marks, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), CUTS, cv2.GC_INIT_WITH_MASK)
    cut = np.where(unsure, np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)), hair).astype(np.float32)
    shares *= (1 - cut) / (1 - hair).clip(1e-6)
    shares[PART_NAMES.index("hair")] = cut
    return shares


def _guide(
    shares: Float[np.ndarray, "8 256 256"], guide: Float[np.ndarray, "256 256"]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Slope and offset of each share as a linear function of the guide's gray, around every pixel of the view."""
    side = 2 * round(EDGE_CELLS * CELL_PX) + 1

    def average(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (side, side))

    mean = average(guide)
    variance = average(guide * guide) - mean * mean + EDGE_SMOOTHNESS
    slopes, offsets = [], []
    for share in shares:
        slope = (average(share * guide) - average(share) * mean) / variance
        slopes.append(average(slope))
        offsets.append(average(average(share) - slope * mean))
    return slopes, offsets


def _to_gray(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255


def _round_out(corners: Float[np.ndarray, "4 2"]) -> tuple[np.ndarray, np.ndarray]:
    return np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int)


def _warp(
    values: np.ndarray, back: Float[np.ndarray, "2 3"], size: tuple[int, ...], border: int = cv2.BORDER_REPLICATE
) -> np.ndarray:
    placed = np.column_stack([back[:, :2], back[:, 2] + back[:, :2] @ [0.5, 0.5] - 0.5])
    return cv2.warpAffine(values.astype(np.float32), placed, size[::-1], flags=cv2.INTER_LINEAR, borderMode=border)


def load_picture_segmenter() -> PictureSegmenter:
    """The shipped one, on the CPU. Raises AssetError when its file is missing or damaged."""
    return unpack_segmenter(load_file(asset_path(ASSET)))


def pack_segmenter(segmenter: PictureSegmenter) -> dict[str, Tensor]:
    """Its tensors by name, networks in half precision."""
    packed = {"mean": segmenter.mean}
    for name in ("projections", "network"):
        state = getattr(segmenter, name).state_dict()
        packed |= {f"{name}.{key}": value.half().contiguous() for key, value in state.items()}
    return packed


def unpack_segmenter(packed: dict[str, Tensor]) -> PictureSegmenter:
    modules = LayerProjections(COMPONENTS), PartNetwork()
    for name, module in zip(("projections", "network"), modules, strict=True):
        prefix = f"{name}."
        module.load_state_dict({key[len(prefix) :]: value for key, value in packed.items() if key.startswith(prefix)})
        module.eval().requires_grad_(False)
    return PictureSegmenter(packed["mean"], *modules)
