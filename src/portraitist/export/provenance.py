"""What every file says about itself: what made it, whose it is, and that it is synthetic."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime

from portraitist import __version__
from portraitist.errors import InputError

PROGRAM = "Portraitist"
DATE_VARIABLE = "SOURCE_DATE_EPOCH"
"""Seconds since 1970 that tools for reproducible builds set (reproducible-builds.org)."""


@dataclass(frozen=True)
class Provenance:
    """What a file is to say besides the program, its version and that it is synthetic.

    ``author``: who made it. ``source_license``: of the photo and the artwork it was made from, such as "CC BY 4.0".
    ``date``: day, YYYY-MM-DD. Without one, files of one head are the same byte for byte; where the environment has
    SOURCE_DATE_EPOCH, its day is taken. Raises InputError for what cannot be written, and for what is no day.
    """

    author: str | None = None
    source_license: str | None = None
    date: str | None = None

    def __post_init__(self) -> None:
        for name, text in (("author", self.author), ("source license", self.source_license)):
            if text is not None:
                _check_text(name, text)
        if self.date is not None:
            _check_day(self.date)

    def facts(self) -> dict[str, str | bool]:
        """By the names under which files hold them; what is not known is left out. Raises InputError where
        SOURCE_DATE_EPOCH is not a number of seconds."""
        known = {"author": self.author, "source_license": self.source_license, "date": self.date or _environment_day()}
        own = {"program": PROGRAM, "version": __version__, "synthetic": True}
        return own | {name: value for name, value in known.items() if value is not None}

    def copyright(self) -> str | None:
        """Author and license in one line, as many formats have it; None where neither is known."""
        license_text = self.source_license and f"sources: {self.source_license}"
        return ", ".join(text for text in (self.author, license_text) if text) or None


UNSIGNED = Provenance()
"""Of who says nothing more."""


def _check_text(name: str, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"The {name} {text!a} is not text that files can hold. Give it in UTF-8.") from error
    if not text.strip() or not text.isprintable():
        raise InputError(f"The {name} {text!r} must be one line of text. Leave it out if there is none.")


def _check_day(text: str) -> None:
    try:
        is_day = date.fromisoformat(text).isoformat() == text
    except ValueError:
        is_day = False
    if not is_day:
        raise InputError(f"The date {text!r} is no day. Give it as YYYY-MM-DD, such as 2026-11-30.")


def _environment_day() -> str | None:
    text = os.environ.get(DATE_VARIABLE)
    if text is None:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC).date().isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(f"{DATE_VARIABLE} is {text!r}, but must be whole seconds since 1970. Unset it.") from error
