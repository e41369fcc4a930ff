"""What a user can cause or cure. Each error says what was got, what is needed, and what to do."""

from __future__ import annotations


class PortraitistError(Exception):
    """Base of every error a user can cause or cure. The message says what was got, what is needed, what to do."""

    exit_code = 1


class InputError(PortraitistError):
    """A file or value given by the user cannot be used."""

    exit_code = 2


class NoFaceError(PortraitistError):
    """No face was found in a picture."""

    exit_code = 3


class FitError(PortraitistError):
    """The landmarks do not look like a face, so no head can be fitted to them."""

    exit_code = 4


class OutputError(PortraitistError):
    """The result cannot be written where it should go."""

    exit_code = 5


class AssetError(PortraitistError):
    """A file of the package is missing or damaged."""

    exit_code = 6


class Cancelled(PortraitistError):
    """Raised from a progress callback to stop a run."""

    exit_code = 130
