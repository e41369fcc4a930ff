"""A GPU to test without one: a device of PyTorch whose tensors live on the CPU and only say otherwise.

As on a real GPU, an operation on tensors of two devices is an error, and so is ``numpy()``. Stricter than a real one:
moving a tensor is an error too, unless ``portraitist.devices`` does it, and so are numbers in double precision, which
Apple's GPUs do not have.
"""

from __future__ import annotations

import inspect
import sys
from types import CodeType
from typing import Any

import torch
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from portraitist import devices

_setup_privateuseone_for_python_backend("pretend")
DEVICE = torch.device("pretend", 0)
MOVERS: set[CodeType] = {
    inspect.unwrap(getattr(devices, name)).__code__
    for name in ("move", "to_numpy", "from_numpy", "random_order", "random_integers", "random_uniform", "random_normal")
}
COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


class DeviceError(AssertionError):
    """What a real GPU would refuse, or what would wait for it unasked."""


class PretendTensor(torch.Tensor):
    """Says that it is on ``DEVICE``."""

    values: torch.Tensor

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> PretendTensor:
        layout = {"strides": values.stride(), "storage_offset": values.storage_offset()}
        return torch.Tensor._make_wrapper_subclass(cls, values.size(), dtype=values.dtype, device=DEVICE, **layout)

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values

    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(operation, args, kwargs or {})

    def tolist(self) -> Any:  # PyTorch does not do it for classes like this one
        return self.values.tolist()


class PretendMode(TorchDispatchMode):
    """Also sees operations that make tensors, or that are given tensors of the CPU alone."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(operation, args, kwargs or {})


def run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on the values; raises DeviceError."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    ours = [x for x in tensors if isinstance(x, PretendTensor)]
    strangers = [x for x in tensors if x.ndim and not isinstance(x, PretendTensor)]  # numbers are welcome everywhere
    asked = kwargs.get("device")
    result_is_ours = bool(ours) if asked is None else torch.device(asked).type == DEVICE.type
    if operation in COPIES:
        if (ours and strangers) or (asked is not None and result_is_ours != bool(ours)):
            _check_mover(operation)
    elif ours and strangers:
        shapes = [[tuple(x.shape) for x in side] for side in (ours, strangers)]
        raise DeviceError(f"{operation} of tensors on two devices: {shapes[0]} on {DEVICE}, {shapes[1]} on the CPU")
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    given_args, given_kwargs = tree_map(lambda x: x.values if isinstance(x, PretendTensor) else x, (args, kwargs))
    result = operation(*given_args, **given_kwargs)
    if isinstance(result, torch.Tensor) and given_args and result is given_args[0]:  # changed in place
        if result is not args[0] and torch.Tag.inplace_view in operation.tags:  # its shape, too
            with no_dispatch():
                operation(*args, **kwargs)
        return args[0]

    def wrap(x: Any) -> Any:
        if not (result_is_ours and isinstance(x, torch.Tensor)):
            return x
        if x.dtype == torch.float64:
            raise DeviceError(f"{operation} makes numbers in double precision on {DEVICE}")
        return PretendTensor(x)

    return tree_map(wrap, result)


def _check_mover(operation: Any) -> None:
    frame = sys._getframe()
    while frame:
        if frame.f_code in MOVERS:
            return
        frame = frame.f_back
    raise DeviceError(f"{operation} moves a tensor between devices, and devices.py was not asked to")


# ``torch.tensor`` and ``new_tensor`` fill a tensor on the CPU and send it, past every mode.
LIBRARY = torch.library.Library("aten", "IMPL")
LIBRARY.impl("_to_copy", lambda x, **kwargs: PretendTensor(x.to(kwargs.get("dtype") or x.dtype)), "PrivateUse1")
