"""VGG16 convolutions as a frozen feature extractor for hypercolumns (Sec. 5.2; Kolkin et al., STROTSS, Sec. 3.1)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from portraitist.assets import asset_path
from portraitist.devices import move
from portraitist.types import Image

HYPERCOLUMN_LAYERS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_3", "conv5_3")
HYPERCOLUMN_CHANNELS = 3 + 2 * 64 + 2 * 128 + 3 * 256 + 512 + 512

_BLOCKS = (
    ("conv1_1", "conv1_2"),
    ("conv2_1", "conv2_2"),
    ("conv3_1", "conv3_2", "conv3_3"),
    ("conv4_1", "conv4_2", "conv4_3"),
    ("conv5_1", "conv5_2", "conv5_3"),
)
_CHANNELS = {"conv1": 64, "conv2": 128, "conv3": 256, "conv4": 512, "conv5": 512}
_BFLOAT16_TESTS = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
_ISA_WITH_BFLOAT16 = ("AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX512_CORE_AMX", "AVX10")
_MEAN_BGR = (103.939, 116.779, 123.68)

# Root mean square activation of each layer over 16 portraits and paintings at 192 px. They differ a hundredfold:
# undivided, the cosine of two hypercolumns would be that of their conv3 part alone, and what tells eyes, lips and brows
# apart (conv4, conv5) would not count. Divided, every channel weighs about the same.
_ACTIVATIONS = {
    "conv1_1": 46.0,
    "conv1_2": 198.0,
    "conv2_1": 298.0,
    "conv2_2": 437.0,
    "conv3_1": 521.0,
    "conv3_2": 546.0,
    "conv3_3": 494.0,
    "conv4_3": 97.0,
    "conv5_3": 5.6,
}


class VGG(nn.Module):
    """Feature maps of the layers in `HYPERCOLUMN_LAYERS`, preceded by the picture itself. Has no trainable parameter.

    Convolutions pad with zeros, that is with the mean color the network was trained to subtract; samples near the
    picture's border see that padding, so callers leave a margin around what they sample.
    """

    def __init__(self, weights: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        for name, tensor in weights.items():
            layout = {"memory_format": torch.channels_last} if tensor.ndim == 4 else {}
            self.register_buffer(name.replace(".", "_"), tensor.to(dtype).contiguous(**layout))
        self.register_buffer("mean_bgr", torch.tensor(_MEAN_BGR)[:, None, None])

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and maps."""
        return self.get_buffer("conv1_1_weight").dtype

    def forward(self, image: Image) -> list[Float[Tensor, "1 _c _m _n"]]:
        """Maps of an sRGB picture in 0..1, finest first: 3, 64, 64, 128, 128, 256, 256, 256, 512 and 512 channels."""
        maps = [image[None]]
        x = (image.flip(0) * 255 - self.get_buffer("mean_bgr"))[None].to(self.dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        for index, block in enumerate(_BLOCKS):
            x = F.max_pool2d(x, 2, ceil_mode=True) if index else x
            for name in block:
                x = F.relu(F.conv2d(x, self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias"), padding=1))
                if name in _ACTIVATIONS:
                    maps.append(x)
        return maps


def load_vgg(device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> VGG:
    """The shipped network in evaluation mode. Raises AssetError when its file is missing or damaged.

    ``dtype``: of the convolutions; by default bfloat16 on processors that compute in it, where it is faster (with the
    matrix units of Intel AMX several times, with AVX512-BF16 1.6 times) and moves hypercolumns by less than a hundredth
    of their length, else float32. What the processor can do decides alone, so that it always gives the same bytes.
    """
    is_faster = torch.device(device).type == "cpu" and _computes_in_bfloat16()
    chosen = dtype or (torch.bfloat16 if is_faster else torch.float32)
    weights = load_file(asset_path("vgg16_conv.safetensors"))
    return move(VGG(weights, chosen).eval().requires_grad_(False), torch.device(device))


def _computes_in_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16, and oneDNN, which does the convolutions, is allowed to."""
    limit = (os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "DEFAULT").upper()
    if limit not in ("ALL", "DEFAULT") and not limit.startswith(_ISA_WITH_BFLOAT16):
        return False
    tests = (getattr(torch.cpu, name, None) for name in _BFLOAT16_TESTS)  # not in every PyTorch that we accept
    return any(test() for test in tests if test)


def read_layers(vgg: VGG, image: Image, layers: Sequence[str]) -> list[Float[Tensor, "1 _c _m _n"]]:
    """Maps of the named layers, each scaled to unit activation."""
    maps = vgg(image)
    return [maps[1 + HYPERCOLUMN_LAYERS.index(layer)].float() / _ACTIVATIONS[layer] for layer in layers]


class LayerProjections(nn.Module):
    """Principal components of layers, in which small networks read feature maps. ``kept``: how many of each layer."""

    def __init__(self, kept: Mapping[str, int]) -> None:
        super().__init__()
        self.layers = tuple(kept)
        for layer, components in kept.items():
            channels = _CHANNELS[layer[:5]]
            self.register_buffer(f"{layer}_mean", torch.zeros(channels))
            self.register_buffer(f"{layer}_basis", torch.zeros(components, channels))

    def forward(self, view: Image, vgg: VGG) -> list[Float[Tensor, "1 _c _m _n"]]:
        """Projected maps of an sRGB picture in 0..1, in the order of ``kept``."""
        projected = []
        for layer, seen in zip(self.layers, read_layers(vgg, view, self.layers), strict=True):
            centered = seen - self.get_buffer(f"{layer}_mean")[:, None, None]
            projected.append(torch.einsum("kc,bcmn->bkmn", self.get_buffer(f"{layer}_basis"), centered))
        return projected


def sample_hypercolumns(
    maps: list[Float[Tensor, "1 _c _m _n"]], points_px: Float[Tensor, "k 2"]
) -> Float[Tensor, "k channels"]:
    """Hypercolumns at points (x, y) of the picture: bilinear in every map, each layer scaled to unit activation.

    Only the sampled columns are ever made; the full stack of a 256 px picture would take 570 MB.
    """
    height, width = maps[0].shape[-2:]
    relative = points_px / points_px.new_tensor([width, height])
    scales = (1.0, *(_ACTIVATIONS[name] for name in HYPERCOLUMN_LAYERS))
    return torch.cat([_sample_map(m, relative) / scale for m, scale in zip(maps, scales, strict=True)], dim=1)


def _sample_map(features: Float[Tensor, "1 c m n"], relative: Float[Tensor, "k 2"]) -> Float[Tensor, "k c"]:
    """Bilinear look-up at positions in 0..1, clamped at the border.

    Written as weighted rows of the channels-last map because grid_sample would copy the map into the other layout.
    """
    channels, height, width = features.shape[1:]
    rows = features.permute(0, 2, 3, 1).reshape(height * width, channels)
    limits = relative.new_tensor([width - 1, height - 1])
    position = (relative * (limits + 1) - 0.5).clamp(min=0).minimum(limits)
    low = position.floor()
    high = (low + 1).minimum(limits)
    fraction = position - low
    ids, weights = [], []
    for y, weight_y in ((low[:, 1], 1 - fraction[:, 1]), (high[:, 1], fraction[:, 1])):
        for x, weight_x in ((low[:, 0], 1 - fraction[:, 0]), (high[:, 0], fraction[:, 0])):
            ids.append((y * width + x).long())
            weights.append(weight_y * weight_x)
    taps = rows.index_select(0, torch.cat(ids)).view(4, -1, channels).float()  # its gradient is twice as fast as of []
    return (taps * torch.stack(weights)[..., None]).sum(0)
