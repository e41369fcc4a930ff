"""Write src/portraitist/assets/manifest.json (sha256 of every shipped file) and the hash column of ASSETS.md.

Run after any tool that makes an asset. A file that ASSETS.md does not describe yet is an error: describe it first.
"""

import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "src" / "portraitist" / "assets"


def hash_assets() -> dict[str, str]:
    files = sorted(p for p in FOLDER.rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc", ".json"})
    return {p.relative_to(FOLDER).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def record_assets() -> None:
    hashes = hash_assets()
    (FOLDER / "manifest.json").write_text(json.dumps(hashes, indent=1) + "\n")
    paper = ROOT / "ASSETS.md"
    text = paper.read_text()
    for name, digest in hashes.items():
        text, rows = re.subn(rf"(?m)^(\| `{re.escape(name)}` .*\| `)[0-9a-f]*(` \|)$", rf"\g<1>{digest}\g<2>", text)
        if rows != 1:
            raise SystemExit(f"ASSETS.md needs exactly one row for {name}, found {rows}")
    paper.write_text(text)


if __name__ == "__main__":
    record_assets()
