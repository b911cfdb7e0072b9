"""The story of a decoding benchmark: a trained run, a comparison of it, pictures and tables."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from decoding_facts import Document
from decoding_tables import fill, tables

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "docs" / "pictures"))

import of_decoding  # noqa: E402  it stands among the other pictures


def options(about: str, out: str) -> argparse.ArgumentParser:
    """What all decoding benchmarks take; `about` is the docstring of one, `out` where it goes."""
    reader = argparse.ArgumentParser(description=about.splitlines()[0])
    reader.add_argument(
        "--out",
        type=Path,
        default=Path(out),
        help="the comparison; one that is there is not redone",
    )
    reader.add_argument(
        "--settings", nargs="*", default=[], help="overrides of the plan: plan.inputs.most=10"
    )
    reader.add_argument("--pictures", type=Path, help="draw them into this folder")
    reader.add_argument("--pages", type=Path, nargs="*", default=[], help="write tables to these")
    return reader


def trained(recipe: str, run: Path | None, overrides: Sequence[str], folder: Path) -> Path:
    """The `run`, or where none is given that of the recipe in `folder`, trained if need be."""
    if run is not None:
        return run
    if not (folder / "result.json").exists():
        path = ROOT / "recipes" / f"{recipe}.yaml"
        _seqgen("run", str(path), *overrides, "--overwrite", "--out", str(folder))
    return folder


def compared(run: Path, plan: Path, out: Path, settings: Sequence[str]) -> Document:
    """What `compare.json` says of the run by the plan; `compare.md` is printed."""
    if not (out / "compare.json").exists():
        words = [str(run), *settings, "--plan", str(plan), "--out", str(out), "--overwrite"]
        _seqgen("compare", *words)
    print((out / "compare.md").read_text(encoding="utf-8"), flush=True)
    found: Document = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    return found


def publish(given: argparse.Namespace, documents: Mapping[str, Document]) -> None:
    """The pictures and the tables, where they are wanted."""
    if given.pictures is not None:
        for name, picture in of_decoding.pictures(documents).items():
            picture.save(given.pictures / f"{name}.svg")
    for page in given.pages:
        fill(page, tables(documents))


def _seqgen(*words: str) -> None:
    """A command of its own, as a person would say it; what it tells goes to standard error."""
    command = [sys.executable, "-m", "seqgen", *words]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode:
        sys.exit(done.returncode)
