"""Photo + one artwork in, stylized 3D head out.

    from portraitist import Config, Models, load_image, stylize

Names are loaded on first use, so that importing the package (and ``portraitist --help``) does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portraitist.errors import (
        AssetError,
        Cancelled,
        FitError,
        InputError,
        NoFaceError,
        OutputError,
        PortraitistError,
    )
    from portraitist.export.glb import write_glb
    from portraitist.export.obj import write_obj
    from portraitist.export.result_folder import write_result
    from portraitist.export.turntable import write_turntable
    from portraitist.io.head_file import load_head, save_head
    from portraitist.io.images import load_image, save_image
    from portraitist.io.landmark_files import read_landmarks
    from portraitist.io.output_folder import check_output
    from portraitist.mesh.subdivision import subdivide_head
    from portraitist.pipeline import Config, Models, stylize
    from portraitist.rendering.cameras import view_camera
    from portraitist.rendering.sampling import render_view
    from portraitist.types import Camera, Head, Landmarks, Mesh, Progress, Result

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
    **dict.fromkeys(
        ("AssetError", "Cancelled", "FitError", "InputError", "NoFaceError", "OutputError", "PortraitistError"),
        "errors",
    ),
    "Config": "pipeline",
    "Models": "pipeline",
    "check_output": "io.output_folder",
    "load_head": "io.head_file",
    "load_image": "io.images",
    "read_landmarks": "io.landmark_files",
    "render_view": "rendering.sampling",
    "save_head": "io.head_file",
    "save_image": "io.images",
    "stylize": "pipeline",
    "subdivide_head": "mesh.subdivision",
    "view_camera": "rendering.cameras",
    "write_glb": "export.glb",
    "write_obj": "export.obj",
    "write_result": "export.result_folder",
    "write_turntable": "export.turntable",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'portraitist' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"portraitist.{_HOMES.get(name, 'types')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
