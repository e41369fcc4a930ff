"""The commands: what each is for, what it can be asked for, and what is done then."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from portraitist import __version__
from portraitist.cli.arguments import Parser
from portraitist.cli.bust import add_bust_options, run_bust
from portraitist.cli.character import add_character_options, run_character
from portraitist.cli.export import add_export_options, find_export_mistake, run_export
from portraitist.cli.image import add_image_options, find_image_mistake, run_image
from portraitist.cli.import_head import add_import_options, find_import_mistake, run_import
from portraitist.cli.landmarks import add_landmarks_options, run_landmarks
from portraitist.cli.reenact import add_reenact_options, find_reenact_mistake, run_reenact
from portraitist.cli.replace_face import add_replace_face_options, run_replace_face
from portraitist.cli.sheet import add_sheet_options, run_sheet
from portraitist.cli.streams import prepare_streams
from portraitist.cli.stylize import run_demo, run_stylize
from portraitist.cli.stylize_arguments import add_demo_options, add_stylize_options, find_stylize_mistake
from portraitist.cli.turntable import add_turntable_options, run_turntable


@dataclass(frozen=True)
class Command:
    """``run`` gets the values of the options that are given; all others have their defaults there, or in what it calls.
    ``find_mistake``: what of the values does not go together, or None."""

    help: str
    description: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[..., None]
    find_mistake: Callable[[argparse.Namespace], str | None] | None = None


COMMANDS = {
    "stylize": Command(
        "turn a photo and an artwork into a 3D head",
        "Turn a portrait photo and one artwork with a face into a stylized 3D head.",
        add_stylize_options,
        run_stylize,
        find_stylize_mistake,
    ),
    "demo": Command(
        "stylize the embedded example",
        "Stylize the photo and one of the artworks that come with the package.",
        add_demo_options,
        run_demo,
    ),
    "image": Command(
        "paint a whole photo, its face shaped as the artwork's",
        "Turn a portrait photo into a painting in the style of one artwork with a face: the shape of the face, and the "
        "paint of face, hair, clothes and background.",
        add_image_options,
        run_image,
        find_image_mistake,
    ),
    "bust": Command(
        "turn a photo and an artwork into a 3D head on shoulders and clothes",
        "Turn a portrait photo and one artwork with a face into a stylized 3D head with hair and hat, on the shoulders "
        "and in the clothes of the photo.",
        add_bust_options,
        run_bust,
    ),
    "character": Command(
        "put a stylized head on a whole body that moves",
        "Put a saved head on a whole body of any age and build, dressed and painted in the artwork's manner, with "
        "bones and motions.",
        add_character_options,
        run_character,
    ),
    "replace-face": Command(
        "give a character of another program the face of a photo",
        "Stylize the face of a photo after that of a character, a GLB or glTF file, and put it in its place: skeleton, "
        "animations and clothes stay.",
        add_replace_face_options,
        run_replace_face,
    ),
    "reenact": Command(
        "let a video move a stylized head",
        "Make a saved head, or the person in the video stylized after an artwork, do what the video shows.",
        add_reenact_options,
        run_reenact,
        find_reenact_mistake,
    ),
    "sheet": Command(
        "make stickers of a head: sixteen expressions, still and moving",
        "Draw a saved head with sixteen expressions: stickers for messengers, and a sheet of them.",
        add_sheet_options,
        run_sheet,
    ),
    "turntable": Command(
        "make a video of a head turning once around",
        "Make a video of a saved head turning once around, on white.",
        add_turntable_options,
        run_turntable,
    ),
    "export": Command(
        "write a head for Blender, Unity, Unreal, web pages...",
        "Write a saved head as the file that a program opens best.",
        add_export_options,
        run_export,
        find_export_mistake,
    ),
    "import": Command(
        "read a head again that was sculpted or repainted in another program",
        "Read the GLB of a head that was sculpted or repainted in another program, as a head again.",
        add_import_options,
        run_import,
        find_import_mistake,
    ),
    "landmarks": Command(
        "write the 68 points of a face, and a mask of its parts, to be corrected",
        "Write the 68 points that are found in a picture. Corrected by hand, they come back with --photo-landmarks or "
        "--art-landmarks of stylize; what --mask writes, with --photo-mask or --art-mask.",
        add_landmarks_options,
        run_landmarks,
    ),
}


def run_command(arguments: list[str] | None) -> None:
    """Do what ``arguments``, or those of the process, ask for.

    Raises ArgumentError, PortraitistError, and SystemExit when all is said.
    """
    prepare_streams()
    values = vars(build_parser().parse_args(arguments))
    run: Callable[..., None] = values.pop("run")
    run(**values)


def build_parser() -> argparse.ArgumentParser:
    """Parser of all commands. The parsed values hold what to ``run``, and only those options that are given."""
    parser = Parser(prog="portraitist", description="Photo + one artwork in, stylized 3D head out.")
    parser.add_argument("--version", action="version", version=f"portraitist {__version__}", help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        own = commands.add_parser(
            name, help=command.help, description=command.description, argument_default=argparse.SUPPRESS
        )
        command.add_options(own)
        own.find_mistake = command.find_mistake
        own.set_defaults(run=command.run)
    return parser
