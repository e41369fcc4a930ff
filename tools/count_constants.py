"""Count the tuned numbers of the source, folder by folder: python tools/count_constants.py

A tuned number is a float literal other than 0, 1, 0.5 and 2, wherever it stands; defaults of configs are among them.
Unit tables that are facts (color spaces, statistics of a network) are counted too: telling them apart is judgment.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from pathlib import Path

UNTUNED = {0.0, 0.5, 1.0, 2.0}
PACKAGE = Path(__file__).resolve().parents[1] / "src" / "portraitist"


def count_tuned(source: str) -> int:
    """Tuned numbers in the text of one Python file."""
    return sum(
        isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value not in UNTUNED
        for node in ast.walk(ast.parse(source))
    )


def count_by_folder(package: Path) -> Counter[str]:
    """Tuned numbers per folder of the package; files beside the folders count under their own names."""
    counts: Counter[str] = Counter()
    for path in sorted(package.rglob("*.py")):
        counts[path.relative_to(package).parts[0]] += count_tuned(path.read_text(encoding="utf-8"))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", nargs="?", type=Path, default=PACKAGE, help="folder of the package")
    counts = count_by_folder(parser.parse_args().package)
    for folder, count in counts.most_common():
        if count:
            print(f"{folder:<20}{count:>5}")
    print(f"{'all':<20}{counts.total():>5}")


if __name__ == "__main__":
    main()
