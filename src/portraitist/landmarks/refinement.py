"""Reading artworks: 68 points as exaggerated as the picture is (Sec. 4.2, first step; the paper sets them by hand).

The detector knows photos. It draws a caricature's points back to where a normal face has them, half of the way and
more. So networks that have seen caricatures read the picture again (``point_network.py``), and both readings are
weighed by how far each is off: a Gaussian process over the face, so that a point that cannot be seen, a jaw in shadow
or a brow under hair, follows what is around it. Photos need none of this.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from portraitist.assets import asset_path
from portraitist.devices import from_numpy, to_numpy
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.alignment import similarity_2d
from portraitist.landmarks.camera_pose import solve_camera
from portraitist.landmarks.ibug68 import MIRROR_IDS
from portraitist.landmarks.point_network import COMPONENTS, SIDE_PX, PointNetwork
from portraitist.landmarks.views import View, ViewRenderer
from portraitist.types import Image, Landmarks
from portraitist.vgg import VGG, LayerProjections

ASSET = "artwork_landmarks.safetensors"
WINDOW = 3.2  # outer eye distances of the mean face across the network's view
WINDOW_MIDDLE = (0.0, 0.05)  # eye distances (right, down) from the middle of the mean face's points


@dataclass(frozen=True)
class ErrorModel:
    """How far a reading is off, as a Gaussian process over the mean face, per coordinate: squared outer eye distances.

    ``local``: of what neighbors within ``reach`` share, ``shared``: of what all do, ``single``: of each point alone.
    ``share_of_expected``: of the square of the error that the network expects, added to a point's own.
    """

    local: float
    reach: float
    shared: float
    single: float
    share_of_expected: float = 0.0

    def covariance(
        self, mean: Float[np.ndarray, "68 2"], expected: Float[np.ndarray, "68"] | None = None
    ) -> Float[np.ndarray, "68 68"]:
        """Of the 68 points. ``expected``: error that the network expects of each, eye distances."""
        apart = ((mean[:, None] - mean) ** 2).sum(-1)
        own = np.full(68, self.single) if expected is None else self.single + self.share_of_expected * expected**2
        return self.local * np.exp(-apart / (2 * self.reach**2)) + self.shared + np.diag(own)


@dataclass(frozen=True)
class FrontalFrame:
    """Pose in which a picture shows a face, from its detected points. ``mean``: the mean face. ``rotation``, ``scale``
    (px per outer eye distance), ``origin`` (px): of a scaled orthographic camera."""

    mean: Float[np.ndarray, "68 3"]
    rotation: Float[np.ndarray, "3 3"]
    scale: float
    origin: Float[np.ndarray, "2"]

    def to_deviation(self, points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "68 2"]:
        """Of points in the picture (px) from the mean face, seen from the front; depth is the mean face's."""
        flat = (points - self.origin) / self.scale * [1, -1]
        return (np.column_stack([flat, self.mean @ self.rotation[2]]) @ self.rotation - self.mean)[:, :2]

    def to_picture(self, moved: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "68 2"]:
        """Displacement in the picture (px) for one of the frontal face."""
        return moved @ self.rotation[:2, :2].T * self.scale * [1, -1]


@dataclass(frozen=True)
class Reading:
    """Of one picture: deviations from the mean face, ``detected`` and ``read`` by the networks, and the error that
    these expect of each point; outer eye distances."""

    frame: FrontalFrame
    detected: Float[np.ndarray, "68 2"]
    read: Float[np.ndarray, "68 2"]
    expected: Float[np.ndarray, "68"]


@dataclass(frozen=True)
class LandmarkRefiner:
    """``mean``: the head model's mean face in head space, outer eye distance 1, middle at 0. ``normal``: what
    the weighed reading of normal faces deviates from it, ``by_hand``: what annotators' points do: everyone places some
    points elsewhere. ``size``: what a weighed deviation is multiplied by to be as large as the artworks' own; not the
    part of it that is the face's place, size and tilt in its picture."""

    mean: Float[np.ndarray, "68 3"]
    projections: LayerProjections
    networks: nn.ModuleList
    detector_error: ErrorModel
    network_error: ErrorModel
    normal: Float[np.ndarray, "68 2"]
    by_hand: Float[np.ndarray, "68 2"]
    size: float

    def refine(self, image: Image, landmarks: Landmarks, vgg: VGG) -> Landmarks:
        """The 68 points where annotators would set them, with ``confidence``, to be treated like points set by hand.

        ``image``: sRGB [3, h, w] in 0..1. ``landmarks``: the detector's. Its dense points and expression are not taken
        over: what it reads as expression of an exaggerated face is shape.
        """
        return self.correct(landmarks, self.read(image, landmarks.points, vgg))

    def correct(self, landmarks: Landmarks, reading: Reading) -> Landmarks:
        """The detector's landmarks, moved to where both readings together say."""
        deviation, confidence = self.weigh(reading)
        own = deviation - self.normal
        wanted = own + (self.size - 1) * _without_similarity(own, self.mean[:, :2]) + self.by_hand
        moved = reading.frame.to_picture(wanted - reading.detected)
        points = landmarks.points + from_numpy(moved, landmarks.points)
        return Landmarks(points, landmarks.size, confidence=from_numpy(confidence, points))

    def read(self, image: Image, points: Float[Tensor, "68 2"], vgg: VGG) -> Reading:
        """Both readings of one picture, turned to the front by the pose of the detected ``points`` (px)."""
        detected = to_numpy(points, np.float64)
        frame = FrontalFrame(self.mean, *solve_camera(self.mean, detected, np.ones(68)))
        read, expected = self.read_points(image, detected, vgg)
        return Reading(frame, frame.to_deviation(detected), frame.to_deviation(read), expected / frame.scale)

    def read_points(
        self, image: Image, detected: Float[np.ndarray, "68 2"], vgg: VGG
    ) -> tuple[Float[np.ndarray, "68 2"], Float[np.ndarray, "68"]]:
        """The networks' points and the errors they expect (px): means over networks, plain and mirrored view."""
        view = self.render_view(image, detected)
        pixels = from_numpy(view.pixels, image).permute(2, 0, 1) / 255
        points, errors = [], []
        with torch.no_grad():
            for mirrored in (False, True):
                maps = self.projections(pixels.flip(2) if mirrored else pixels, vgg)
                for network in self.networks:
                    places, logarithms = (to_numpy(output[0], np.float64) for output in network(*maps))
                    if mirrored:
                        places = ([SIDE_PX, 0] + places * [-1, 1])[list(MIRROR_IDS)]
                        logarithms = logarithms[list(MIRROR_IDS)]
                    points.append(places)
                    errors.append(np.exp(logarithms))
        size = np.sqrt(np.linalg.det(view.matrix[:, :2]))
        return view.to_picture(np.mean(points, 0)), np.mean(errors, 0) / size

    def render_view(self, image: Image, points: Float[np.ndarray, "68 2"]) -> View:
        """The upright face that the networks see, put there by points in the picture (px)."""
        upright = torch.from_numpy(self.mean[:, :2] * [1, -1])
        linear, shift = (part.numpy() for part in similarity_2d(torch.from_numpy(points), upright))
        center = np.linalg.solve(linear, np.array(WINDOW_MIDDLE) - shift)
        return ViewRenderer(image_to_uint8(image)).render(linear * SIDE_PX / WINDOW, center, side=SIDE_PX)

    def weigh(self, reading: Reading) -> tuple[Float[np.ndarray, "68 2"], Float[np.ndarray, "68"]]:
        """Most probable deviation given both readings, and confidence 0..1: the share of a point that is the network's
        reading of itself."""
        plane = self.mean[:, :2]
        of_detector = self.detector_error.covariance(plane)
        of_network = self.network_error.covariance(plane, reading.expected)
        gain = np.linalg.solve(of_detector + of_network, of_detector).T
        deviation = reading.detected + gain @ (reading.read - reading.detected)
        return deviation, np.diag(of_detector) / np.diag(of_detector + of_network)


def _without_similarity(
    deviation: Float[np.ndarray, "*b 68 2"], plane: Float[np.ndarray, "68 2"]
) -> Float[np.ndarray, "*b 68 2"]:
    """The deviation from the points ``plane`` that no similarity explains."""
    reference = torch.from_numpy(plane)
    moved = reference + torch.from_numpy(deviation)
    linear, shift = similarity_2d(moved, reference)
    return (moved @ linear.mT + shift[..., None, :] - reference).numpy()


def load_refiner() -> LandmarkRefiner:
    """The shipped one, on the CPU. Raises AssetError when its file is missing or damaged."""
    return unpack_refiner(load_file(asset_path(ASSET)))


@functools.cache
def load_annotated_deviation() -> Float[np.ndarray, "68 2"]:
    """What points set by hand on normal faces deviate from the mean face, outer eye distances, y up: ``by_hand`` of the
    shipped refiner."""
    with safe_open(str(asset_path(ASSET)), "pt") as file:
        return to_numpy(file.get_tensor("by_hand"), np.float64)


def pack_refiner(refiner: LandmarkRefiner) -> dict[str, Tensor]:
    """Its tensors by name, networks in half precision."""
    packed = {name: torch.tensor(getattr(refiner, name)) for name in ("mean", "normal", "by_hand", "size")}
    for name, module in _list_modules(refiner.projections, refiner.networks).items():
        packed |= {f"{name}.{key}": value.half() for key, value in module.state_dict().items()}
    for name in ("detector_error", "network_error"):
        packed[name] = torch.tensor(list(vars(getattr(refiner, name)).values()))
    return packed


def unpack_refiner(packed: dict[str, Tensor]) -> LandmarkRefiner:
    count = len({name.split(".")[0] for name in packed if name.startswith("network") and "." in name})
    projections, networks = LayerProjections(COMPONENTS), nn.ModuleList(PointNetwork() for _ in range(count))
    for name, module in _list_modules(projections, networks).items():
        prefix = f"{name}."
        module.load_state_dict({key[len(prefix) :]: value for key, value in packed.items() if key.startswith(prefix)})
        module.eval().requires_grad_(False)
    mean, normal, by_hand = (to_numpy(packed[name], np.float64) for name in ("mean", "normal", "by_hand"))
    of_detector, of_network = (ErrorModel(*packed[name].tolist()) for name in ("detector_error", "network_error"))
    return LandmarkRefiner(mean, projections, networks, of_detector, of_network, normal, by_hand, float(packed["size"]))


def _list_modules(projections: LayerProjections, networks: nn.ModuleList) -> dict[str, nn.Module]:
    named: dict[str, nn.Module] = {"projections": projections}
    return named | {f"network{number}": network for number, network in enumerate(networks)}
