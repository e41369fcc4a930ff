"""Which device computes, and the only places where data goes from one device to another.

Everything that computes follows the device of its inputs; `choose_device` is asked once, by ``Models.load``. NumPy,
SciPy, OpenCV, embree and MediaPipe know only the CPU: what they are given leaves through `to_numpy`, and what they
return comes back through `from_numpy`. Random numbers are drawn on the CPU, so that a seed means the same everywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from portraitist.errors import InputError

Movable = TypeVar("Movable")
CPU = torch.device("cpu")


def choose_device(name: str) -> torch.device:
    """``auto``: CUDA when there is one, else the CPU. Or ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises InputError for a device that is unknown or not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"Unknown device {name!r}: use auto, cpu, cuda or mps.")
    kind = device.type
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("Device cuda was asked for, but this PyTorch sees no CUDA GPU. Use --device auto or cpu.")
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"Device {name} was asked for, but there are only {torch.cuda.device_count()} CUDA GPUs.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError("Device mps was asked for, but this PyTorch sees no Apple GPU. Use --device auto or cpu.")
    return device


def move(value: Movable, device: torch.device) -> Movable:
    """``value`` with every tensor in it on ``device``: a tensor, a module, a tuple or a dataclass of these.

    What is there already is not copied, and what has nothing to move is returned as it is.
    """
    if isinstance(value, (Tensor, torch.nn.Module)):  # modules in place, as PyTorch does
        return value.to(device)  # pyright: ignore[reportReturnType]
    if type(value) is tuple:
        items = tuple(move(item, device) for item in value)
        is_same = all(new is old for new, old in zip(items, value, strict=True))
        return value if is_same else items  # pyright: ignore[reportReturnType]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        changed = {name: new for name, old in fields.items() if (new := move(old, device)) is not old}
        return dataclasses.replace(value, **changed) if changed else value
    return value


def to_numpy(tensor: Tensor, dtype: Any = None) -> np.ndarray:
    """The values of a tensor on the CPU, without gradient; shared with it where it is there already."""
    array = tensor.detach().cpu().numpy()
    return array if dtype is None else array.astype(dtype, copy=False)


def from_numpy(array: np.ndarray, like: Tensor) -> Tensor:
    """A tensor of the array's values on the device of ``like``, and of its kind of numbers."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(like)


def random_order(count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """0 to ``count`` - 1 in random order."""
    return torch.randperm(count, generator=generator).to(device)


def random_integers(below: int, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """``count`` numbers from 0 to ``below`` - 1."""
    return torch.randint(below, (count,), generator=generator).to(device)


def random_uniform(shape: Sequence[int], generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Numbers from 0 to 1."""
    return torch.rand(*shape, generator=generator).to(device)


def random_normal(shape: Sequence[int], generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Numbers of the standard normal distribution."""
    return torch.randn(*shape, generator=generator).to(device)
