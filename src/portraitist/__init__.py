"""Photo + one artwork in, stylised 3D head out.

    from portraitist import Config, Models, load_image, stylize

Names are loaded on first use, so that importing the package (and ``portraitist --help``) does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portraitist.files.gltf import write_glb
    from portraitist.files.head_file import load_head, save_head
    from portraitist.files.images import load_image, save_image
    from portraitist.files.landmark_files import read_landmarks
    from portraitist.files.obj import write_obj
    from portraitist.files.output_folder import check_output
    from portraitist.files.results import write_result
    from portraitist.files.turntable import write_turntable
    from portraitist.geometry.subdivision import subdivide_head
    from portraitist.pipeline import Config, Models, stylize
    from portraitist.texture.rendering import render_view, view_camera
    from portraitist.types import (
        AssetError,
        Camera,
        Cancelled,
        FitError,
        Head,
        InputError,
        Landmarks,
        Mesh,
        NoFaceError,
        OutputError,
        PortraitistError,
        Progress,
        Result,
    )

__version__ = "0.1.0"

__all__ = [
    "AssetError",
    "Camera",
    "Cancelled",
    "Config",
    "FitError",
    "Head",
    "InputError",
    "Landmarks",
    "Mesh",
    "Models",
    "NoFaceError",
    "OutputError",
    "PortraitistError",
    "Progress",
    "Result",
    "check_output",
    "load_head",
    "load_image",
    "read_landmarks",
    "render_view",
    "save_head",
    "save_image",
    "stylize",
    "subdivide_head",
    "view_camera",
    "write_glb",
    "write_obj",
    "write_result",
    "write_turntable",
]

_HOMES = {
    "Config": "pipeline",
    "Models": "pipeline",
    "check_output": "files.output_folder",
    "load_head": "files.head_file",
    "load_image": "files.images",
    "read_landmarks": "files.landmark_files",
    "render_view": "texture.rendering",
    "save_head": "files.head_file",
    "save_image": "files.images",
    "stylize": "pipeline",
    "subdivide_head": "geometry.subdivision",
    "view_camera": "texture.rendering",
    "write_glb": "files.gltf",
    "write_obj": "files.obj",
    "write_result": "files.results",
    "write_turntable": "files.turntable",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'portraitist' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"portraitist.{_HOMES.get(name, 'types')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
