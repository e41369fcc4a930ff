"""Everything that is loaded once: the head model, the networks, and where they compute."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from portraitist.devices import choose_device, move
from portraitist.geometry.translation import Translator, make_translator
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.refinement import LandmarkRefiner, load_refiner
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.segmentation.person import PersonSegmenter
from portraitist.segmentation.picture import PictureSegmenter, load_picture_segmenter
from portraitist.vgg import VGG, load_vgg


@dataclass(frozen=True)
class Models:
    """Loaded once, passed to every stage. Use one per thread: the detectors are not thread-safe."""

    head: HeadModel
    detector: LandmarkDetector
    refiner: LandmarkRefiner
    segmenter: PersonSegmenter
    parts: PictureSegmenter
    vgg: VGG
    translator: Translator
    device: torch.device

    @classmethod
    def load(cls, device: str = "auto", translator: str = "network") -> Models:
        """``device``: auto (CUDA when there is one, else the CPU), cpu, cuda, cuda:1 or mps; every stage computes there
        and returns its results there. For mps, set PYTORCH_ENABLE_MPS_FALLBACK=1 before PyTorch is imported, as the
        command does: not every operation is there. Raises InputError for a device that is not there.

        ``translator``: network (that of the package), direct, or the path of a translator file; InputError if damaged.

        Threads are PyTorch's: every CPU this process may use, OMP_NUM_THREADS, or ``torch.set_num_threads``. Sums in
        another order differ in the last digit, so that results are the same for the same number of threads.
        """
        chosen = choose_device(device)
        head = move(load_head_model(), chosen)
        translating = move(make_translator(translator, head), chosen)
        refiner = move(load_refiner(), chosen)
        parts = move(load_picture_segmenter(), chosen)
        return cls(head, LandmarkDetector(), refiner, PersonSegmenter(), parts, load_vgg(chosen), translating, chosen)
