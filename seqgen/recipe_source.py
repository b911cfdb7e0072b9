"""Recipe and plan files: finding one by path or by name, and reading it as plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seqgen.bundled_recipes import known_plans, known_recipes
from seqgen.errors import RecipeError
from seqgen.files import OPTIONS_LIMIT, read_bytes
from seqgen.options import did_you_mean
from seqgen.yaml_loader import Document, load_document


@dataclass(frozen=True)
class RecipeSource:
    """A recipe or plan as it is written: what errors call it, its folder, its data with places."""

    name: str
    folder: Path
    document: Document

    @classmethod
    def read(cls, path: Path) -> RecipeSource:
        """Read the file at `path`. Errors: RecipeError."""
        content = read_bytes(path, RecipeError, limit=OPTIONS_LIMIT, wanted="a YAML file")
        return cls(str(path), path.parent, load_document(content, str(path)))


def find_recipe(wanted: str) -> Path:
    """The recipe file that `wanted` means: a path, or the bare name of a recipe that comes along.

    Errors: RecipeError with a suggestion.
    """
    return find_file(wanted, known_recipes(), "recipe")


def find_file(wanted: str, known: Mapping[str, Path], kind: str) -> Path:
    """The file of a `kind` that `wanted` means: a path, or one of those `known` by name.

    Errors: RecipeError with a suggestion.
    """
    if os.path.lexists(wanted):  # unlike Path.exists, it takes a name of any length
        if Path(wanted, "recipe.yaml").is_file():
            made_by = f"that of the run is {Path(wanted, 'recipe.yaml')}"
            raise RecipeError(f"{wanted}: this is a run and no {kind}; {made_by}")
        return Path(wanted)
    if wanted in known:
        return known[wanted]
    if kind == "recipe" and wanted in known_plans():
        raise RecipeError(
            f"{wanted}: no such recipe; it is a plan (seqgen compare RUN --plan {wanted})"
        )
    if kind == "plan" and wanted in known_recipes():
        raise RecipeError(f"{wanted}: no such plan; it is a recipe (seqgen run {wanted})")
    near = did_you_mean(wanted.removesuffix(".yaml").split("recipes/")[-1], known)
    raise RecipeError(f"{wanted}: no such {kind}{near} (a path, or one of {', '.join(known)})")
