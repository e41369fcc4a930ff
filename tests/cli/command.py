"""A command in this process, as a user starts it."""

from __future__ import annotations

import pytest

from portraitist.cli.main import main


def run_command(*arguments: object) -> int:
    """Its exit code."""
    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments)])
    assert isinstance(end.value.code, int)
    return end.value.code
