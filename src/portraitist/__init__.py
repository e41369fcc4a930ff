"""Photo + one artwork in, stylized 3D head out.

    from portraitist import Config, Models, load_image, stylize

or stage by stage: ``reconstruct``, ``study_artwork``, ``transfer_geometry``, ``transfer_texture``, ``track``,
``render``.

Names are loaded on first use, so that importing the package (and ``portraitist --help``) does not wait for torch.
"""

from __future__ import annotations

import importlib

from portraitist.public_names import HOME_OF

TYPE_CHECKING = False  # that of typing takes as long to import as all the rest here
if TYPE_CHECKING:
    from portraitist.apps.bust import BustConfig, stylize_bust
    from portraitist.apps.character import build_character
    from portraitist.apps.character_manner import Manner, read_manner
    from portraitist.apps.character_style import CharacterConfig, stylize_character
    from portraitist.apps.edited_head import import_glb
    from portraitist.apps.expression_presets import ExpressionPreset
    from portraitist.apps.expression_sheet import draw_expression, write_expression_sheet
    from portraitist.apps.image_style import ImageConfig, ImageResult, paint_image, stylize_image
    from portraitist.apps.reenactment import Reenactment, ReenactmentConfig, reenact_sitter, reenact_video
    from portraitist.apps.replace_face import ReplaceConfig, Replaced, replace_face
    from portraitist.apps.replaced_folder import write_replaced
    from portraitist.body.shape import BodyShape
    from portraitist.characters.figure import Figure, read_figure
    from portraitist.config import Config
    from portraitist.errors import (
        AssetError,
        Cancelled,
        FitError,
        InputError,
        NoFaceError,
        OutputError,
        PortraitistError,
    )
    from portraitist.export.animation import save_animation
    from portraitist.export.character_folder import write_character
    from portraitist.export.glb import GlbForm, write_glb
    from portraitist.export.obj import write_obj
    from portraitist.export.print_files import write_3mf, write_ply, write_stl
    from portraitist.export.provenance import Provenance
    from portraitist.export.result_folder import write_result
    from portraitist.export.solid import Solid, build_solid, describe_doubts
    from portraitist.export.turntable import write_turntable
    from portraitist.export.usd import write_usdz
    from portraitist.export.vrm import write_vrm
    from portraitist.geometry.transfer import StylizedGeometry
    from portraitist.geometry.translation import GeometryConfig, RegionStrengths
    from portraitist.io.head_file import load_head, save_head
    from portraitist.io.images import load_image, save_image
    from portraitist.io.landmark_files import read_landmarks
    from portraitist.io.output_folder import check_output
    from portraitist.landmarks.detection import detect_landmarks
    from portraitist.mesh.subdivision import subdivide_head
    from portraitist.models import Models
    from portraitist.pipeline import (
        Exemplar,
        Sitter,
        reconstruct,
        study_artwork,
        stylize,
        transfer_geometry,
        transfer_texture,
    )
    from portraitist.reconstruction.fitting import FitConfig
    from portraitist.reconstruction.tracking import track
    from portraitist.rendering.cameras import head_camera, view_camera
    from portraitist.rendering.layers import rasterize_parts
    from portraitist.rendering.rasterizer import rasterize
    from portraitist.rendering.sampling import render, render_view, shade, shade_parts
    from portraitist.rendering.seams import Seams, close_seams, find_seams
    from portraitist.segmentation.part_masks import read_part_mask, save_part_mask
    from portraitist.segmentation.picture import PART_NAMES, PictureParts
    from portraitist.texture.color_transfer import transfer_colors
    from portraitist.texture.exemplar import StyleExemplar, StyleSource, crop_exemplar, study_source
    from portraitist.texture.labels import LabelRoles, LabelStrengths, TexelLabels
    from portraitist.texture.objective import LossWeights
    from portraitist.texture.optimization import TextureConfig, optimize_texture
    from portraitist.texture.views import CameraBank, place_cameras
    from portraitist.types import (
        EXPRESSION_NAMES,
        REGIONS,
        Camera,
        Fragments,
        Head,
        HeadFit,
        LandmarkEmbedding,
        Landmarks,
        Layer,
        Mesh,
        Progress,
        Result,
        Tracked,
    )
    from portraitist.unwrapping.projection import UnwrapConfig
    from portraitist.vgg import load_vgg

__version__ = "0.1.0"

__all__ = [
    "EXPRESSION_NAMES",
    "PART_NAMES",
    "REGIONS",
    "AssetError",
    "BodyShape",
    "BustConfig",
    "Camera",
    "CameraBank",
    "Cancelled",
    "CharacterConfig",
    "Config",
    "Exemplar",
    "ExpressionPreset",
    "Figure",
    "FitConfig",
    "FitError",
    "Fragments",
    "GeometryConfig",
    "GlbForm",
    "Head",
    "HeadFit",
    "ImageConfig",
    "ImageResult",
    "InputError",
    "LabelRoles",
    "LabelStrengths",
    "LandmarkEmbedding",
    "Landmarks",
    "Layer",
    "LossWeights",
    "Manner",
    "Mesh",
    "Models",
    "NoFaceError",
    "OutputError",
    "PictureParts",
    "PortraitistError",
    "Progress",
    "Provenance",
    "Reenactment",
    "ReenactmentConfig",
    "RegionStrengths",
    "ReplaceConfig",
    "Replaced",
    "Result",
    "Seams",
    "Sitter",
    "Solid",
    "StyleExemplar",
    "StyleSource",
    "StylizedGeometry",
    "TexelLabels",
    "TextureConfig",
    "Tracked",
    "UnwrapConfig",
    "build_character",
    "build_solid",
    "check_output",
    "close_seams",
    "crop_exemplar",
    "describe_doubts",
    "detect_landmarks",
    "draw_expression",
    "find_seams",
    "head_camera",
    "import_glb",
    "load_head",
    "load_image",
    "load_vgg",
    "optimize_texture",
    "paint_image",
    "place_cameras",
    "rasterize",
    "rasterize_parts",
    "read_figure",
    "read_landmarks",
    "read_manner",
    "read_part_mask",
    "reconstruct",
    "reenact_sitter",
    "reenact_video",
    "render",
    "render_view",
    "replace_face",
    "save_animation",
    "save_head",
    "save_image",
    "save_part_mask",
    "shade",
    "shade_parts",
    "study_artwork",
    "study_source",
    "stylize",
    "stylize_bust",
    "stylize_character",
    "stylize_image",
    "subdivide_head",
    "track",
    "transfer_colors",
    "transfer_geometry",
    "transfer_texture",
    "view_camera",
    "write_3mf",
    "write_character",
    "write_expression_sheet",
    "write_glb",
    "write_obj",
    "write_ply",
    "write_replaced",
    "write_result",
    "write_stl",
    "write_turntable",
    "write_usdz",
    "write_vrm",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'portraitist' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"portraitist.{HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
