"""Weights and models that ship with the package.

``manifest.json`` lists every file; ``ASSETS.md`` says where each is from.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from portraitist.errors import AssetError

FOLDER = Path(__file__).parent


CURE = "Reinstall the package (pip install --force-reinstall portraitist)."


@functools.cache
def asset_hashes() -> dict[str, str]:
    """sha256 of every asset by file name, as recorded when the package was made. Raises AssetError."""
    path = FOLDER / "manifest.json"
    try:
        return {str(name): str(digest) for name, digest in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise AssetError(f"The package file {path} is missing or damaged ({error}). {CURE}") from error


@functools.cache
def asset_path(name: str) -> Path:
    """Path of a shipped file, after checking that it is the file that was shipped.

    Raises AssetError when it is missing, cannot be read, or its sha256 differs.
    """
    path, expected = FOLDER / name, asset_hashes().get(name)
    if not path.is_file():
        raise AssetError(f"The package file {path} is missing. {CURE}")
    if expected is None:
        raise AssetError(f"The list of package files, {FOLDER / 'manifest.json'}, does not name {name}. {CURE}")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AssetError(f"The package file {path} cannot be read ({error.strerror}). {CURE}") from error
    if digest != expected:
        raise AssetError(
            f"The package file {path} is damaged (sha256 {digest[:12]}…, expected {expected[:12]}…). {CURE}"
        )
    return path
