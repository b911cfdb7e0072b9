"""What the shell may complete, without importing torch."""

from __future__ import annotations

from pathlib import Path

from seqgen.bundled_recipes import known_recipes

ROOM_NAMES = (
    "attentions",
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
    prefix = incomplete[: incomplete.rfind("/") + 1]
    try:
        paths = sorted(Path(prefix).iterdir())
    except OSError:
        paths = []
    names = [prefix + path.name for path in paths if path.suffix in (".yaml", ".yml")]
    names += [f"{prefix}{path.name}/" for path in paths if path.is_dir()]
    return [name for name in (*names, *known_recipes()) if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Run directories below `runs`."""
    folders = [path.parent for path in sorted(Path("runs").glob("*/recipe.yaml"))]
    return [str(folder) for folder in folders if str(folder).startswith(incomplete)]


def rooms(incomplete: str) -> list[str]:
    """The kinds of parts that can be listed."""
    return [name for name in ROOM_NAMES if name.startswith(incomplete)]
