"""What all commands do around their work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portraitist.cli.streams import print_out

if TYPE_CHECKING:
    from portraitist.cli.terminal import ShowStep
    from portraitist.models import Models
    from portraitist.types import ProgressCallback


def prepare_device(device: str) -> None:
    """To be called before PyTorch is imported, which reads the variable then: what it cannot do on Apple's GPUs, the
    CPU does."""
    if device == "mps":
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def limit_threads(threads: int | None) -> None:
    """Those of PyTorch; None: as they are."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def report_to(show: ShowStep) -> ProgressCallback:
    """The callback for functions of the package."""
    return lambda progress: show(progress.stage, progress.step, progress.steps)


def describe_models(models: Models) -> dict[str, Any]:
    """What the record of a run says about them."""
    return {"device": str(models.device), "precision": str(models.vgg.dtype).removeprefix("torch.")}


def tell_notes(warnings: Iterable[str]) -> None:
    """On standard error."""
    for warning in warnings:
        print(f"Note: {warning}", file=sys.stderr)


def tell_result(out: Path, what: str = "") -> None:
    """Where the result is. ``what``: more lines about it."""
    print_out(f"Written to {out.resolve()}\n{what}", describe_completion(out))


def tell_folder(out: Path, record: dict[str, Any]) -> None:
    """What a run left in a folder, by the record in it."""
    tell_notes(record["warnings"])
    tell_result(out, "".join(f"  {name}\n" for name in record["files"]))


def describe_completion(out: Path) -> str:
    """Said where telling the result fails."""
    return f"The result is complete, at {out.resolve()}. "
