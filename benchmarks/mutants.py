"""How sharp the tests of the core are: of operators swapped at random, how many does a test notice?

    python benchmarks/mutants.py --count 300 --seed 1

Each mutant is one swapped operator, constant or keyword in a file of the core. The tests of its
room run against a copy of the project with that one change; a failure, an error or two minutes
without an end kill the mutant. Prints those that lived, and the count. Needs fork (Linux, macOS).
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from house import CORE  # noqa: E402

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
    ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip
SECONDS = 120


def sites(tree: ast.Module) -> Iterator[tuple[ast.AST, str, int]]:
    """What can be swapped: the node, its field, and the place in it if it is a list."""
    annotations = {id(each) for node in ast.walk(tree) for each in _annotations(node)}
    for node in ast.walk(tree):
        if id(node) in annotations:
            continue
        for field in ("op", "ops"):
            value = getattr(node, field, None)
            for place, each in enumerate(value if isinstance(value, list) else [value]):
                if type(each) in SWAPS:
                    yield node, field, place
        if isinstance(node, ast.Constant) and type(node.value) in (int, bool):
            yield node, "value", 0


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    for field in ("annotation", "returns"):
        found = getattr(node, field, None)
        yield from ast.walk(found) if found is not None else ()


def swap(node: ast.AST, field: str, place: int) -> None:
    """Change it in place."""
    value = getattr(node, field)
    if isinstance(value, list):
        value[place] = SWAPS[type(value[place])]()
    elif isinstance(node, ast.Constant):
        node.value = not value if isinstance(value, bool) else value + 1
    else:
        setattr(node, field, SWAPS[type(value)]())


def tests_of(path: Path) -> list[str]:
    """The tests of a module's room, those of the module first."""
    parts = path.relative_to(ROOT / "seqgen").with_suffix("").parts
    first = Path("tests", *parts[:-1], f"test_{parts[-1]}.py")
    room = Path("tests", parts[0]) if len(parts) > 1 else first
    return [str(each) for each in dict.fromkeys((first, room)) if (ROOT / each).exists()]


def killed(folder: Path, tests: list[str]) -> bool:
    """Whether the tests fail in a copy of the project; what torch loads is shared by fork."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        import pytest

        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])))
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status != 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main() -> None:
    """Draw, swap, test, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    import numpy  # noqa: F401
    import torch

    torch.set_num_threads(1)
    paths = [path for name in CORE for path in sorted((ROOT / "seqgen").glob(f"{name}*/**/*.py"))]
    paths += [path for name in CORE if (path := ROOT / "seqgen" / f"{name}.py").exists()]
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    every = [(path, at) for path in paths for at in range(len(list(sites(ast.parse(texts[path])))))]
    drawn = random.Random(options.seed).sample(every, min(options.count, len(every)))
    survivors = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("seqgen", "tests", "recipes", "docs", "benchmarks"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / each, folder / each, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", folder)
        for number, (path, at) in enumerate(drawn, 1):
            tree = ast.parse(texts[path])
            node, field, place = list(sites(tree))[at]
            swap(node, field, place)
            target = folder / path.relative_to(ROOT)
            target.write_text(ast.unparse(tree), encoding="utf-8")
            if not killed(folder, tests_of(path)):
                survivors += 1
                line = getattr(node, "lineno", 0)
                print(f"lives: {path.relative_to(ROOT)}:{line}: {ast.unparse(node)}", flush=True)
            target.write_text(texts[path], encoding="utf-8")
            if number % 25 == 0:
                print(f"{number - survivors} of {number} killed", flush=True)
    print(f"{len(drawn) - survivors} of {len(drawn)} killed (seed {options.seed})")


if __name__ == "__main__":
    main()
