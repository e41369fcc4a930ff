"""``portraitist reenact``: a video moves a head."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portraitist.cli.arguments import MOST_FACES, add_device_option, add_output_options, add_preset_option
from portraitist.cli.running import prepare_device, report_to, tell_notes, tell_result
from portraitist.cli.stopping import STOP
from portraitist.cli.values import existing_file, number

if TYPE_CHECKING:
    from portraitist.apps.reenactment import Reenactment

LAYOUTS = ("side-by-side", "head")
HEAD_SUFFIX = ".safetensors"
MOST_FRAMES = 10_000_000  # that can be asked for


def add_reenact_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    text = "head.safetensors of a result, or an artwork: then the person in the video is stylized first"
    add("source", type=existing_file, metavar="HEAD|ART", help=text)
    add("video", type=existing_file, metavar="VIDEO", help="video of a face that the head follows")
    text = "folder for reenacted.mp4 and animated.glb, new or empty; or one file, .mp4 or .glb"
    add_output_options(parser, "OUT", text, "a former result in OUT")
    add("--layout", choices=LAYOUTS, help=f"the video beside the head (default: {LAYOUTS[0]})")
    text = "which of several faces, in the first frame with one: 1 is the largest (default)"
    add("--face", type=number(int, 1, MOST_FACES), metavar="N", help=text)
    text = "number of the frame, from 0, in which the face is at rest; with ART, the one to stylize (default: found)"
    add("--frame", type=number(int, 0, MOST_FRAMES), metavar="N", help=text)
    add_preset_option(parser)
    add_device_option(parser)


def find_reenact_mistake(values: argparse.Namespace) -> str | None:
    """What does not go together, or None."""
    if hasattr(values, "preset") and values.source.suffix.lower() == HEAD_SUFFIX:
        return "--preset says how a head is made; HEAD is made already"
    return None


def run_reenact(
    source: Path, video: Path, output: Path, preset: str | None = None, device: str = "auto", overwrite: bool = False,
    **settings: Any,
) -> None:  # fmt: skip
    """Read, track, draw, write; tell what was lost on the way. ``settings``: of ``ReenactmentConfig``. A run that is
    stopped leaves nothing."""
    from portraitist.cli.terminal import collect_warnings, show_progress

    prepare_device(device)
    with show_progress() as show, collect_warnings() as said:
        show("loading", 0, 1)
        from portraitist.apps.reenactment import ReenactmentConfig, check_target

        check_target(output, overwrite)
        options = {"config": ReenactmentConfig(**settings), "progress": report_to(show), "overwrite": overwrite}
        result = _reenact(source, video, output, preset, device, options)
    tell_notes((*said, *result.warnings))
    tell_result(output, "".join(f"  {name}\n" for name in result.files))


def _reenact(
    source: Path, video: Path, output: Path, preset: str | None, device: str, options: dict[str, Any]
) -> Reenactment:
    from portraitist.apps.reenactment import reenact_sitter, reenact_video
    from portraitist.config import Config
    from portraitist.io.head_file import load_head
    from portraitist.io.images import load_image
    from portraitist.io.video import Video
    from portraitist.models import Models

    Video(video)  # what is wrong with the files is said before the models are loaded
    if source.suffix.lower() == HEAD_SUFFIX:
        head, models = load_head(source), Models.load(device)
        STOP.expect(output)
        return reenact_video(head, video, output, models, **options)
    art, style, models = load_image(source), getattr(Config, preset or "standard")(), Models.load(device)
    STOP.expect(output)
    return reenact_sitter(art, video, output, models, style=style, **options)
