"""Files say what they are; nothing in them depends on when they are written unless somebody wants it to."""

from __future__ import annotations

from pathlib import Path

import pygltflib as gl
import pytest

from portraitist import InputError, __version__, write_glb
from portraitist.export.provenance import DATE_VARIABLE, Provenance
from portraitist.types import Head

SIGNED = Provenance("Ada Ångström", "CC BY 4.0", "2026-11-30")


@pytest.fixture(autouse=True)
def no_date(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(DATE_VARIABLE, raising=False)


def read_asset(path: Path) -> gl.Asset:
    return gl.GLTF2().load(str(path)).asset


def test_every_glb_says_that_it_is_synthetic(head: Head, tmp_path: Path):
    write_glb(tmp_path / "head.glb", head)
    asset = read_asset(tmp_path / "head.glb")
    assert asset.extras == {"program": "Portraitist", "version": __version__, "synthetic": True}
    assert asset.copyright is None


def test_what_is_given_stands_in_the_glb(head: Head, tmp_path: Path):
    write_glb(tmp_path / "head.glb", head, provenance=SIGNED)
    asset = read_asset(tmp_path / "head.glb")
    assert asset.extras["author"] == "Ada Ångström"
    assert asset.extras["source_license"] == "CC BY 4.0"
    assert asset.extras["date"] == "2026-11-30"
    assert asset.copyright == "Ada Ångström, sources: CC BY 4.0"


def test_the_same_bytes_unless_a_date_is_wanted(head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    contents = []
    for seconds in (None, None, "1700000000"):
        if seconds:
            monkeypatch.setenv(DATE_VARIABLE, seconds)
        write_glb(tmp_path / "head.glb", head)
        contents.append((tmp_path / "head.glb").read_bytes())
    assert contents[0] == contents[1] != contents[2]
    assert read_asset(tmp_path / "head.glb").extras["date"] == "2023-11-14"
    assert SIGNED.facts()["date"] == "2026-11-30"  # what is asked for goes first


@pytest.mark.parametrize("day", ["2026-02-30", "yesterday", "20261130", "2026-11-30T12:00", ""])
def test_no_day(day: str):
    with pytest.raises(InputError, match="YYYY-MM-DD"):
        Provenance(date=day)


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "\x00"])
def test_no_line_of_text(text: str):
    for name in ("author", "source_license"):
        with pytest.raises(InputError, match="one line"):
            Provenance(**{name: text})
    with pytest.raises(InputError, match="UTF-8"):
        Provenance("\udcff")


@pytest.mark.parametrize("seconds", ["soon", "", "1e400", "9" * 30])
def test_no_time_in_the_environment(seconds: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(DATE_VARIABLE, seconds)
    with pytest.raises(InputError, match=DATE_VARIABLE):
        Provenance().facts()
