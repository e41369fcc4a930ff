"""Former spellings of options: they work for one more version."""

from __future__ import annotations

import argparse
import sys
from typing import Any


class OldName(argparse.Action):
    """The former spelling of another option (``renamed``): does the same, with a note on stderr."""

    def __init__(self, renamed: argparse.Action, **values: Any) -> None:
        super().__init__(**values)
        self.renamed = renamed

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        new = self.renamed.option_strings[0]
        print(f"{option_string} is now called {new}; the old name goes in the next version.", file=sys.stderr)
        self.renamed(parser, namespace, values, new)


def add_old_name(parser: argparse.ArgumentParser, old: str, renamed: argparse.Action) -> None:
    """Accept ``old`` for one more version, without listing it in the help."""
    parser.add_argument(
        old,
        action=OldName,
        renamed=renamed,
        dest=renamed.dest,
        nargs=renamed.nargs,
        type=renamed.type or str,
        metavar=renamed.metavar,
        help=argparse.SUPPRESS,
    )
