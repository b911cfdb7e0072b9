"""What the shell may complete, without importing torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from seqgen.config import bundled_plans, bundled_recipes

ROOM_NAMES = (
    "attentions",
    "averages",
    "bridges",
    "cells",
    "constraints",
    "corpora",
    "data",
    "decoders",
    "embeddings",
    "encoders",
    "heads",
    "metrics",
    "models",
    "optimizers",
    "schedules",
    "tokenizers",
)


def recipes(incomplete: str) -> list[str]:
    """Recipes that come along, and YAML files below the current folder."""
    return _files_or(bundled_recipes(), incomplete)


def plans(incomplete: str) -> list[str]:
    """Plans that come along, and YAML files below the current folder."""
    return _files_or(bundled_plans(), incomplete)


def recipes_and_plans(incomplete: str) -> list[str]:
    """Both of what comes along, and YAML files below the current folder."""
    return _files_or([*bundled_recipes(), *bundled_plans()], incomplete)


def _files_or(known: Iterable[str], incomplete: str) -> list[str]:
    prefix = incomplete[: incomplete.rfind("/") + 1]
    try:
        paths = sorted(Path(prefix).iterdir())
    except OSError:
        paths = []
    names = [prefix + path.name for path in paths if path.suffix in (".yaml", ".yml")]
    names += [f"{prefix}{path.name}/" for path in paths if path.is_dir()]
    return [name for name in (*names, *known) if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Run directories below `runs`."""
    folders = [path.parent for path in sorted(Path("runs").glob("*/recipe.yaml"))]
    return [str(folder) for folder in folders if str(folder).startswith(incomplete)]


def rooms(incomplete: str) -> list[str]:
    """What can be listed."""
    return [name for name in (*ROOM_NAMES, "plans", "recipes") if name.startswith(incomplete)]
