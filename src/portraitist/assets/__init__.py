"""Weights and models that ship with the package.

``manifest.json`` lists every file; ``ASSETS.md`` says where each is from.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from portraitist.types import AssetError

FOLDER = Path(__file__).parent


@functools.cache
def asset_hashes() -> dict[str, str]:
    """sha256 of every asset by file name, as recorded when the package was made."""
    return json.loads((FOLDER / "manifest.json").read_text())


@functools.cache
def asset_path(name: str) -> Path:
    """Path of a shipped file, after checking that it is the file that was shipped.

    Raises AssetError when it is missing or its sha256 differs.
    """
    path = FOLDER / name
    cure = "Reinstall the package (pip install --force-reinstall portraitist)."
    if not path.is_file():
        raise AssetError(f"The package file {path} is missing. {cure}")
    with path.open("rb") as file:
        digest = (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else hashlib.sha256(file.read()).hexdigest()
        )
    if digest != asset_hashes()[name]:
        raise AssetError(
            f"The package file {path} is damaged (sha256 {digest[:12]}…, expected {asset_hashes()[name][:12]}…). {cure}"
        )
    return path
