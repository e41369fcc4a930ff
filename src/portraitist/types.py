"""What flows between the rooms. Read this first, then ``pipeline.py``.

Conventions (``docs/conventions.md`` has the long form):

* Images are float32 tensors ``[3, h, w]``, sRGB-encoded values in 0..1. Pixel (x, y) has its center at (x+0.5, y+0.5).
* Head space is in meters, +X towards the sitter's own left (the viewer's right when looking at the face), +Y up, +Z out
  of the face. It is the space of the GLB.
* UV has its origin at the *top left* of the texture and v points down, as in glTF. (The OBJ writer flips v.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Image = Float[Tensor, "3 _h _w"]
"""sRGB image, values in 0..1. The underscores let one call take pictures of different sizes."""

REGIONS: tuple[str, ...] = (
    "skin",  # face skin that is none of the below
    "lips",
    "eyelids",  # skin around the eyes, lids included
    "brows", "nose", "ears", "scalp", "neck", "eyeballs",
    "mouth_inside",  # inner lip walls and palate of the skin mesh
    "teeth", "tongue",
    "hair", "headwear", "bust", "body", "clothes",  # of layers, see `Layer`
)  # fmt: skip
"""Region names; ``Mesh.regions`` holds indices into this tuple, one per face."""

COVER_NAMES: tuple[str, ...] = ("hair", "headwear")
LAYER_NAMES: tuple[str, ...] = (*COVER_NAMES, "bust", "body", "clothes")
"""What may cover a head, and all that may be added to one; each is a region, too."""

EXPRESSION_NAMES: tuple[str, ...] = (
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)
"""The 52 ARKit actions, alphabetical; rows of ``Head.expression_deltas`` and names of morph targets."""


@dataclass(frozen=True)
class Landmarks:
    """Facial landmarks of one picture, in its pixels (x right, y down).

    ``points``: 68 points in iBUG order. ``dense``: the detector's 478 points, or None when the 68 came from a file.
    ``expressions``: scores 0..1 of the 52 ARKit actions in `EXPRESSION_NAMES` order, or None.
    ``confidence``: of artworks that were read again (``landmarks/refinement.py``), where the 68 points are as people
    set them: the share 0..1 of each that rests on itself rather than on its neighbors and the detector; or None.
    ``size``: (height, width) of the picture.
    """

    points: Float[Tensor, "68 2"]
    size: tuple[int, int]
    dense: Float[Tensor, "478 2"] | None = None
    expressions: Float[Tensor, "52"] | None = None
    confidence: Float[Tensor, "68"] | None = None


@dataclass(frozen=True)
class LandmarkEmbedding:
    """Points tied to a surface: triangle ids and barycentric weights."""

    face_ids: Int[Tensor, "k"]
    barycentrics: Float[Tensor, "k 3"]

    def positions(self, vertices: Float[Tensor, "n 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "k 3"]:
        return (vertices[faces[self.face_ids]] * self.barycentrics[..., None]).sum(1)


@dataclass(frozen=True)
class Mesh:
    """Triangle mesh with per-corner UVs: ``uvs[uv_faces]`` belongs to ``vertices[faces]`` corner by corner."""

    vertices: Float[Tensor, "n 3"]
    faces: Int[Tensor, "f 3"]
    uvs: Float[Tensor, "m 2"]
    uv_faces: Int[Tensor, "f 3"]
    regions: Int[Tensor, "f"]

    def with_vertices(self, vertices: Float[Tensor, "n 3"]) -> Mesh:
        return replace(self, vertices=vertices)


@dataclass(frozen=True)
class Camera:
    """Scaled orthographic camera: ``x_px = center_px + scale_px * (R v).xy * (1, -1)``.

    ``rotation``: head space to camera space (camera looks along -Z, +Y up). ``scale_px``: pixels per meter.
    ``center_px``: where the head-space origin lands (x, y). ``size``: (height, width) in pixels.
    """

    rotation: Float[Tensor, "3 3"]
    scale_px: float
    center_px: tuple[float, float]
    size: tuple[int, int]

    def project(self, points: Float[Tensor, "k 3"]) -> Float[Tensor, "k 2"]:
        """Head-space points to pixels (x right, y down)."""
        rotated = points @ self.rotation.to(points).T
        center = rotated.new_tensor(self.center_px)
        return center + self.scale_px * rotated[:, :2] * rotated.new_tensor([1.0, -1.0])

    def depth(self, points: Float[Tensor, "k 3"]) -> Float[Tensor, "k"]:
        """Camera-space Z in meters; larger is nearer to the viewer."""
        return points @ self.rotation.to(points)[2]

    def resized(self, factor: float | int, size: tuple[int, int] | None = None) -> Camera:
        """The same view on a picture ``factor`` times as large."""
        height, width = self.size
        return replace(
            self,
            scale_px=self.scale_px * factor,
            center_px=(self.center_px[0] * factor, self.center_px[1] * factor),
            size=size or (round(height * factor), round(width * factor)),
        )


@dataclass(frozen=True)
class Fragments:
    """What the rasterizer saw, one view, no gradient. ``face_ids``: -1 where there is background. ``uv_footprint``:
    side of the pixel's footprint in UV units (0..1), for filtered texture look-ups.
    """

    face_ids: Int[Tensor, "h w"]
    barycentrics: Float[Tensor, "h w 3"]
    uv: Float[Tensor, "h w 2"]
    uv_footprint: Float[Tensor, "h w"]
    mask: Bool[Tensor, "h w"]

    def show(self, faces: Bool[Tensor, "f"]) -> Bool[Tensor, "h w"]:
        """Which pixels show one of the marked ``faces``."""
        return self.mask & faces[self.face_ids.clamp(min=0)]


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: the key of what a tracker keeps
class HeadFit:
    """What fitting learned from one set of landmarks, and how well.

    ``mesh``: this person's head with the picture's expression on it. ``neutral``: the same head without expression.
    ``identity``: basis coefficients in standard deviations. ``expression``: 52 ARKit weights 0..1.
    ``residual_px``: root mean square landmark error in pixels; ``residual_relative``: the same over the outer eye
    distance.
    """

    identity: Float[Tensor, "i"]
    expression: Float[Tensor, "52"]
    mesh: Mesh
    neutral: Float[Tensor, "n 3"]
    expression_deltas: Float[Tensor, "52 n 3"]
    camera: Camera
    residual_px: float
    residual_relative: float


@dataclass(frozen=True)
class Tracked:
    """Pose and expression of a fitted sitter in one frame of a video; the identity is that of the sitter's ``HeadFit``.

    ``expression``: 52 ARKit weights 0..1. ``displacement``: meters in head space, what pose and expression leave over.
    ``mesh``: ``neutral + expression @ expression_deltas + displacement``. Residuals as in ``HeadFit``.
    """

    camera: Camera
    expression: Float[Tensor, "52"]
    displacement: Float[Tensor, "n 3"]
    mesh: Mesh
    residual_px: float
    residual_relative: float


@dataclass(frozen=True)
class Layer:
    """What is added to a head as a part of its own: its hair, what it wears, its shoulders, or its body and clothes.

    ``name``: one of `LAYER_NAMES`. ``mesh``: closed, in head space, as it lies over the head with its expression; all
    of its faces are of the region ``name``. ``texture``: ``[3, t, t]``, sRGB 0..1, opaque, in the mesh's own UVs.
    ``original``: its vertices over the unstylized head (equal to ``mesh.vertices`` on a content head).
    """

    name: str
    mesh: Mesh
    texture: Image
    original: Float[Tensor, "k 3"]


@dataclass(frozen=True)
class Head:
    """The one currency of every application: content head and stylized head alike.

    ``mesh.vertices`` carry the expression; ``neutral + expression @ expression_deltas == mesh.vertices``.
    ``texture``: canonical texture ``[3, t, t]``, sRGB 0..1. ``original``: vertices of the unstylized head with the same
    expression (equal to ``mesh.vertices`` on a content head). ``layers``: what lies over it, at most one of a name; the
    head is whole without them. ``height``: of somebody with a body, meters from soles to crown, since head space is as
    large as the head, whatever body it is on; None without a body.
    """

    mesh: Mesh
    texture: Image
    neutral: Float[Tensor, "n 3"]
    expression: Float[Tensor, "52"]
    expression_deltas: Float[Tensor, "52 n 3"]
    landmarks68: LandmarkEmbedding
    original: Float[Tensor, "n 3"]
    layers: tuple[Layer, ...] = ()
    height: float | None = None

    def posed(self, weights: Float[Tensor, "52"]) -> Float[Tensor, "n 3"]:
        """Vertices under ``weights`` 0..1 of the 52 ARKit blendshapes, in `EXPRESSION_NAMES` order; meters, head space.
        All 0 is the neutral head, ``expression`` the head as it is."""
        return self.neutral + torch.einsum("e,end->nd", weights.to(self.neutral), self.expression_deltas)


@dataclass(frozen=True)
class Progress:
    """Sent to one callback; raising ``Cancelled`` (or anything else) from it stops the run."""

    stage: str
    step: int
    steps: int
    loss: float | None = None
    preview: Image | None = None


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class Result:
    """The stylized head and every intermediate, for looking inside."""

    photo: Image
    art: Image
    photo_landmarks: Landmarks
    art_landmarks: Landmarks
    photo_fit: HeadFit
    art_fit: HeadFit
    person_mask: Float[Tensor, "h w"]
    content: Head
    stylized: Head
    target_landmarks: Float[Tensor, "68 3"]
    seconds: dict[str, float] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
