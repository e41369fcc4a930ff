"""Everything that is loaded once: the head model, the networks, and where they compute."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from portraitist.errors import InputError
from portraitist.geometry.translation import Translator, make_translator
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.segmentation.person import PersonSegmenter
from portraitist.texture.vgg import VGG, load_vgg


@dataclass(frozen=True)
class Models:
    """Loaded once, passed to every stage. Use one per thread: the detectors are not thread-safe."""

    head: HeadModel
    detector: LandmarkDetector
    segmenter: PersonSegmenter
    vgg: VGG
    translator: Translator
    device: torch.device

    @classmethod
    def load(cls, device: str = "auto", threads: int | None = None, translator: str = "network") -> Models:
        """``device``: auto (CUDA when there is one), cpu or cuda. Raises InputError for a device that is not there.

        ``translator``: network (that of the package), direct, or the path of a translator file; InputError if damaged.

        ``threads``: CPU threads of torch, for the whole process, since sums in another order differ in the last digit.
        None leaves it at what torch found: every CPU this process may use, or OMP_NUM_THREADS.
        """
        chosen = "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
        if chosen.startswith("cuda") and not torch.cuda.is_available():
            raise InputError("Device cuda was asked for, but this PyTorch sees no CUDA GPU. Use --device auto or cpu.")
        if chosen.split(":")[0] not in {"cpu", "cuda"}:
            raise InputError(f"Unknown device {device!r}: use auto, cpu or cuda.")
        if threads is not None:
            torch.set_num_threads(threads)
        head = load_head_model()
        translating = make_translator(translator, head)
        return cls(
            head, LandmarkDetector(), PersonSegmenter(), load_vgg(chosen), translating, torch.device(chosen)
        )  # fmt: skip
