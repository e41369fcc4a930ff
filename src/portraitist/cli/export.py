"""``portraitist export``: a saved head for other programs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portraitist.body.skeleton import CONVENTIONS
from portraitist.cli.running import tell_notes, tell_result
from portraitist.cli.stopping import STOP
from portraitist.cli.values import existing_file, number, some_of
from portraitist.errors import InputError
from portraitist.export.profiles import LOOKS, PROFILES

if TYPE_CHECKING:
    from portraitist.types import Head

SPELLINGS = {
    "looks": "--looks",
    "styles": "--style",
    "visemes": "--visemes",
    "morph_normals": "--morph-normals",
    "compressed": "--compressed",
    "vertex_colors": "--vertex-colors",
    "bones": "--bones",
    "terms": "--terms",
    "license_url": "--license-url",
    "height_mm": "--height",
    "flat_base": "--flat-base",
    "thinnest_mm": "--thinnest",
}
"""Options that not every profile takes."""


def add_export_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("head", type=existing_file, metavar="HEAD", help="head.safetensors of a result")
    text = "; ".join(f"{name} ({profile.about})" for name, profile in PROFILES.items())
    add("--for", dest="profile", choices=PROFILES, metavar="PROGRAM", required=True, help=text)
    add("-o", "--output", type=Path, metavar="FILE", help="the file (default: head_PROGRAM in the current folder)")
    add("--overwrite", action="store_true", help="replace the file FILE")
    text = "another HEAD of the same sitter, whose texture becomes a variant and whose shape a morph; may be repeated"
    add("--style", dest="styles", action="append", type=existing_file, metavar="HEAD2", help=text)
    text = f"of {', '.join(LOOKS)}: the first is shown, others become variants (default: as the program has it)"
    add("--looks", type=some_of(LOOKS), metavar="LOOK,...", help=text)
    add("--visemes", action="store_true", help="also the 15 visemes of Oculus, mouthOpen and eyesClosed as morphs")
    add("--morph-normals", action="store_true", help="morphs move normals, too")
    add("--compressed", action="store_true", help="by meshopt, for pages that have its decoder")
    add("--vertex-colors", action="store_true", help="colors at the vertices, too, for programs without textures")
    text = "what the bones of a body are called (default: as the program has it)"
    add("--bones", choices=CONVENTIONS, help=text)
    add("--terms", choices=("author", "everyone"), help="who may use the avatar (default: author)")
    add("--license-url", metavar="URL", help="of a license of the avatar beside that of VRM")
    text = "of the print with hair and all (default: 100)"
    add("--height", dest="height_mm", type=number(float, 10, 2000), metavar="MM", help=text)
    add("--flat-base", action="store_true", help="the neck is drawn down to the lowest point, so that the print stands")
    text = "parts thinner than this are told (default: 0.8)"
    add("--thinnest", dest="thinnest_mm", type=number(float, 0.01, 100), metavar="MM", help=text)
    add("--author", metavar="NAME", help="stands in the file")
    add("--license", dest="source_license", metavar="TEXT", help="of the photo and the artwork; stands in the file")
    text = "stands in the file (default: the day of SOURCE_DATE_EPOCH, or none: the same bytes every day)"
    add("--date", metavar="YYYY-MM-DD", help=text)


def find_export_mistake(values: argparse.Namespace) -> str | None:
    """What does not go together, or None."""
    profile = PROFILES[values.profile]
    for name, spelling in SPELLINGS.items():
        if hasattr(values, name) and name not in profile.takes:
            return f"{spelling} means nothing for {values.profile}"
    suffixes = (profile.suffix, *profile.others)
    if hasattr(values, "output") and values.output.suffix.lower() not in suffixes:
        needed = " or ".join(suffixes)
        return f"-o: the name of a file for {values.profile} must end in {needed}, got {str(values.output)!r}"
    names = [name_style(path) for path in (values.head, *getattr(values, "styles", ()))]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return f"Two styles are called {twice[0]!r}; rename one of the files, since variants go by their names"
    return None


def run_export(
    head: Path,
    profile: str,
    output: Path | None = None,
    overwrite: bool = False,
    styles: list[Path] | None = None,
    author: str | None = None,
    source_license: str | None = None,
    date: str | None = None,
    **options: Any,
) -> None:
    """Read, check, write. ``options``: of the profile."""
    from portraitist.cli.terminal import show_progress

    chosen = PROFILES[profile]
    output = output or Path(f"{head.stem}_{profile}{chosen.suffix}")
    with show_progress() as show:
        show("loading", 0, 1)
        from portraitist.export.provenance import Provenance
        from portraitist.io.head_file import load_head
        from portraitist.io.output_file import check_output_file

        provenance = Provenance(author, source_license, date)
        check_output_file(output, overwrite)
        loaded = load_head(head)
        if styles:
            options |= {"name": name_style(head), "styles": {name_style(path): load_head(path) for path in styles}}
        check_bones(loaded, options)
        beside = chosen.list_files(output, loaded, **options)
        for path in beside:
            check_output_file(path, overwrite)
        STOP.expect(output)
        show("writing", 0, 1)
        notes = chosen.write(output, loaded, provenance=provenance, **options)
    tell_notes(notes or ())
    tell_result(output, "".join(f"  {path.name}\n" for path in beside))


def check_bones(head: Head, options: Mapping[str, Any]) -> None:
    """Raises InputError where bones are to be called somehow that are not there."""
    from portraitist.body.standing import has_body

    if "bones" in options and not has_body(head):
        raise InputError(
            "--bones names the bones of a body, and this head has none. Put it on one first: portraitist character."
        )


def name_style(path: Path) -> str:
    """After the file, or after its folder where it has the name that all results have."""
    path = path.absolute()
    own = path.parent.name if path.stem == "head" else path.stem
    return re.sub(r"\W+", "_", own).strip("_") or "style"
