"""The multi-modal landmark-to-landmark translation network (paper Sec. 4.1, Fig. 4), and its file.

Explicit disentanglement: the content code is that of a normal face (E_X, and E_Y^C on artworks), the style code
(E_Y^S) is what an artwork adds to it. How it is trained is in ``training/``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from portraitist.errors import InputError
from portraitist.geometry.shape_space import ShapeSpace

FORMAT_VERSION = 2
"""Goes up when an older Portraitist could not read, or would misread, what a newer one writes."""
METADATA_KEY = "portraitist_translator"
# Bounds on what a stranger's file can make us allocate.
MAX_FILE_BYTES = 1 << 26  # that of the package has 0.4 MB
MAX_HEADER_BYTES = 1 << 16
MAX_SIZE = 1024  # of a layer
MAX_GAIN = 4.0  # that of the package has 1.1

# Layers as printed in Sec. 4.1: content encoders and decoders 8, style encoder 16.
CONTENT_LAYERS = 8
STYLE_LAYERS = 16
DECODER_LAYERS = 8
LEAKY_SLOPE = 0.2  # of leaky ReLUs, in plain layers


@dataclass(frozen=True)
class NetworkSize:
    """``coefficients``: of the shape space. ``content``, ``style``: lengths of the codes. ``width``: of hidden layers.
    ``residual``: hidden layers in normalized residual pairs; False for plain layers as the paper has them."""

    coefficients: int = 32
    content: int = 32
    style: int = 32
    width: int = 64
    residual: bool = True


class ResidualPair(nn.Module):
    """Two layers around which the input skips: 16 of them in a row train well, plain ones do not."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.first, self.second = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b w"]) -> Float[Tensor, "b w"]:
        return x + self.second(F.silu(self.first(self.norm(x))))


def build_mlp(inputs: int, outputs: int, layers: int, width: int, residual: bool) -> nn.Sequential:
    """Fully connected network of ``layers`` linear layers (an even number)."""
    if residual:
        pairs = [ResidualPair(width) for _ in range((layers - 2) // 2)]
        return nn.Sequential(nn.Linear(inputs, width), *pairs, nn.LayerNorm(width), nn.Linear(width, outputs))
    hidden: list[nn.Module] = []
    for layer in range(layers - 1):
        hidden += [nn.Linear(width if layer else inputs, width), nn.LeakyReLU(LEAKY_SLOPE)]
    network = nn.Sequential(*hidden, nn.Linear(width, outputs))
    for module in network:
        if isinstance(module, nn.Linear):  # PyTorch's default shrinks signals from layer to layer
            nn.init.kaiming_normal_(module.weight, a=LEAKY_SLOPE)
            nn.init.zeros_(module.bias)
    return network


class LandmarkNetwork(nn.Module):
    """E_X, G_X, E_Y^C, E_Y^S and G_Y of Fig. 4, on coefficients of a shape space."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        c, kind = size.coefficients, (size.width, size.residual)
        self.size = size
        self.encode_normal = build_mlp(c, size.content, CONTENT_LAYERS, *kind)  # E_X
        self.decode_normal = build_mlp(size.content, c, DECODER_LAYERS, *kind)  # G_X
        self.encode_content = build_mlp(c, size.content, CONTENT_LAYERS, *kind)  # E_Y^C
        self.encode_style = build_mlp(c, 2 * size.style, STYLE_LAYERS, *kind)  # E_Y^S: means and log variances
        self.decode_art = build_mlp(size.content + size.style, c, DECODER_LAYERS, *kind)  # G_Y

    def style_distribution(self, art: Float[Tensor, "b c"]) -> tuple[Float[Tensor, "b s"], Float[Tensor, "b s"]]:
        """Means and log variances of the style codes."""
        mean, log_variance = self.encode_style(art).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def style_code(self, art: Float[Tensor, "b c"]) -> Float[Tensor, "b s"]:
        """s_y, most probable."""
        return self.style_distribution(art)[0]

    def combine(self, content: Float[Tensor, "b d"], style: Float[Tensor, "b s"]) -> Float[Tensor, "b c"]:
        """G_Y: coefficients of the art face with these codes."""
        return self.decode_art(torch.cat([content, style], dim=1))

    def translate(self, normal: Float[Tensor, "b c"], style: Float[Tensor, "b s"]) -> Float[Tensor, "b c"]:
        """l_z = G_Y(E_X(l_x), s_y)."""
        return self.combine(self.encode_normal(normal), style)


@dataclass(frozen=True)
class TrainedTranslator:
    """A network with the space it works in.

    ``gain``: what its displacements are multiplied by. A network moves faces less far than artworks deviate, since it
    credits to the person what artworks share with normal faces. ``card``: what it was trained on, who may use it.
    """

    space: ShapeSpace
    network: LandmarkNetwork
    gain: float
    card: dict[str, Any]

    def move(self, normal: Float[Tensor, "b c"], style: Float[Tensor, "b s"]) -> Float[Tensor, "b c"]:
        """What the style adds to normal faces, as coefficients: ``gain`` (G_Y(c_x, s_y) - G_X(c_x)). What 32
        components and the auto-encoder lose of the sitter is not lost by it."""
        content = self.network.encode_normal(normal)
        return self.gain * (self.network.combine(content, style) - self.network.decode_normal(content))


def save_translator(path: Path, translator: TrainedTranslator) -> None:
    """Write a translator, weights in half precision (rounding moves no landmark by 0.1 % of the eye distance)."""
    weights = {f"network.{name}": value.half() for name, value in translator.network.state_dict().items()}
    space = translator.space
    tensors = {"mean": space.mean, "basis": space.basis, **weights}
    about = {
        "version": FORMAT_VERSION,
        "size": asdict(translator.network.size),
        "spread": space.spread,
        "reach": translator.gain,  # the word of format version 2
        "card": translator.card,
    }
    path.write_bytes(safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(about)}))


def load_translator(path: Path) -> TrainedTranslator:
    """Read what ``save_translator`` wrote. Raises InputError when it is no such file or damaged."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"it has more than {MAX_FILE_BYTES >> 20} MiB")
        data = path.read_bytes()
        about = _read_about(data)
        size = _check_size(about["size"])
        tensors = {name: tensor.float() for name, tensor in safetensors.torch.load(data).items()}
        for name, shape in (("mean", (68, 2)), ("basis", (size.coefficients, 136))):
            if tensors[name].shape != shape:
                raise ValueError(f"{name} has the shape {tuple(tensors[name].shape)} instead of {shape}")
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise ValueError("it holds numbers that are not finite")
        spread = float(about["spread"])
        if not 0 < spread < 1:
            raise ValueError(f"its spread is {spread}, not between 0 and 1")
        gain = float(about["reach"])
        if not 0 < gain <= MAX_GAIN:
            raise ValueError(f"its gain is {gain}, not between 0 and {MAX_GAIN:g}")
        network = LandmarkNetwork(size)
        prefix = "network."
        network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        card = dict(about["card"])
    except OSError as error:
        raise InputError(f"The translator {path} cannot be read ({error.strerror}). Check its path.") from error
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} is no translator of this version, or it is damaged: {reason}. "
            "Give a file made by training/train.py, or --translator network for the one in the package."
        ) from error
    space = ShapeSpace(tensors["mean"], tensors["basis"], spread)
    return TrainedTranslator(space, network.eval().requires_grad_(False), gain, card)


def _read_about(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER_BYTES or len(data) < 8 + length:
        raise ValueError("its header is too long or cut off")
    about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][METADATA_KEY])
    if about["version"] != FORMAT_VERSION:
        raise ValueError(f"it has format version {about['version']}, this Portraitist reads {FORMAT_VERSION}")
    return about


def _check_size(values: dict[str, Any]) -> NetworkSize:
    size = NetworkSize(**values)
    numbers = (size.coefficients, size.content, size.style, size.width)
    if not all(type(number) is int and 0 < number <= MAX_SIZE for number in numbers) or size.coefficients > 136:
        raise ValueError(f"its sizes {numbers} are not whole numbers between 1 and {MAX_SIZE}")
    return size
