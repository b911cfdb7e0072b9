"""What the house measures: how many files and lines there are, and how finely they are ground.

`python tests/house.py` prints the table; `test_house.py` holds each figure to its limit below.
"""

from __future__ import annotations

import ast
import statistics
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "seqgen"
CORE = ("state", "cells", "heads", "attentions", "embeddings", "encoders", "models", "decoders")
CORE += ("tokenizers", "training", "metrics")

# They only go down; a capability that raises a total says so in the commit that adds it. Last: fast
# routes, several processes, sweeps, texts larger than memory, tables for generation.
LIMITS = {
    "files": 184,
    "median lines of a file": 233,
    "imports per 1,000 lines": 69,
    "lines": 43_282,
    "lines of the core": 13_872,
    "lines of reports and comparison": 5_082,
    "lines of tests": 42_507,
    "shared module names": 0,
}
AT_LEAST = {"median lines of a file"}


def measure() -> dict[str, int]:
    """Each figure by its name in `LIMITS`."""
    paths = sorted(PACKAGE.rglob("*.py"))
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    named = (path.parent if path.stem == "__init__" else path for path in paths)
    names = Counter(path.stem for path in named if path.stem != "base")

    def total(*rooms: str) -> int:
        return sum(count for path, count in lines.items() if _room(path) in rooms)

    tests = (ROOT / "tests").rglob("*.py")
    return {
        "files": len(paths),
        "median lines of a file": int(statistics.median(lines.values())),
        "imports per 1,000 lines": round(
            1000 * sum(map(_import_lines, paths)) / sum(lines.values())
        ),
        "lines": sum(lines.values()),
        "lines of the core": total(*CORE),
        "lines of reports and comparison": total("reports", "comparison"),
        "lines of tests": sum(
            len(path.read_text(encoding="utf-8").splitlines())
            for path in tests
            if "golden" not in path.parts
        ),
        "shared module names": sum(count > 1 for count in names.values()),
    }


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _import_lines(path: Path) -> int:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in imports)


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{name:34} {figure:>7,}   limit {LIMITS[name]:>7,}")
