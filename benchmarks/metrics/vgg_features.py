"""VGG16 features for the style metrics, written apart from the product's on purpose.

The metrics must stay what they are when the product changes its layers, gains or pooling; only the weights are shared.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from portraitist.assets import asset_path

VGG_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
_CONVOLUTIONS = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1")
_MEAN_BGR = (103.939, 116.779, 123.68)


def extract_vgg_features(image: Tensor) -> dict[str, Tensor]:
    """Activations ``[c, h / 2^i, w / 2^i]`` of ``VGG_LAYERS`` for an sRGB image ``[3, h, w]`` in 0..1."""
    weights = _load_weights()
    # As the network was trained: BGR, 0..255, minus the mean.
    signal = (image.flip(0) * 255 - image.new_tensor(_MEAN_BGR)[:, None, None])[None]
    features = {}
    with torch.no_grad():
        for name in _CONVOLUTIONS:
            if name in ("2_1", "3_1", "4_1"):
                signal = F.max_pool2d(signal, 2)
            signal = F.conv2d(signal, weights[f"conv{name}.weight"], weights[f"conv{name}.bias"], padding=1).relu()
            if f"relu{name}" in VGG_LAYERS:
                features[f"relu{name}"] = signal[0]
    return features


@cache
def _load_weights() -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in load_file(asset_path("vgg16_conv.safetensors")).items()}
