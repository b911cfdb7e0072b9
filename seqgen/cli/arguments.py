"""Arguments and options that several verbs share, and what a shell completes, all without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

ROOM_NAMES = (
    *("attentions", "averages", "bridges", "cells", "constraints", "corpora", "data", "decoders"),
    *("embeddings", "encoders", "heads", "metrics", "models", "optimizers", "schedules"),
    "tokenizers",
)


def recipes(incomplete: str) -> list[str]:
    """Bundled recipes, and YAML files below the current folder."""
    return _files_or(incomplete, "recipes")


def plans(incomplete: str) -> list[str]:
    """Bundled plans, and YAML files below the current folder."""
    return _files_or(incomplete, "plans")


def recipes_and_plans(incomplete: str) -> list[str]:
    """Both kinds of bundled files, and YAML files below the current folder."""
    return _files_or(incomplete, "recipes", "plans")


def _files_or(incomplete: str, *kinds: str) -> list[str]:
    from seqgen.config import bundled_plans, bundled_recipes

    prefix = incomplete[: incomplete.rfind("/") + 1]
    try:
        paths = sorted(Path(prefix).iterdir())
    except OSError:
        paths = []
    names = [prefix + path.name for path in paths if path.suffix in (".yaml", ".yml")]
    names += [f"{prefix}{path.name}/" for path in paths if path.is_dir()]
    for kind in kinds:
        names += bundled_recipes() if kind == "recipes" else bundled_plans()
    return [name for name in names if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Run directories below `runs`."""
    folders = [str(path.parent) for path in sorted(Path("runs").glob("*/recipe.yaml"))]
    return [folder for folder in folders if folder.startswith(incomplete)]


def rooms(incomplete: str) -> list[str]:
    """The kinds of parts, `plans` and `recipes`."""
    return [name for name in (*ROOM_NAMES, "plans", "recipes") if name.startswith(incomplete)]


def number(kind: str, help: str, *names: str, metavar: str = "N") -> Any:
    """An option that is a number of a `kind` of `seqgen.options`, such as `Seed`, so that the
    command line reads numbers and states their ranges as recipes do."""

    def parse(text: Any) -> Any:
        if not isinstance(text, str):  # the default
            return text
        from seqgen import options
        from seqgen.yaml_io import parse_value

        try:
            return options.check_plain(getattr(options, kind), parse_value(text))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return typer.Option(*names, parser=parse, metavar=metavar, help=help)


RunFolder = Annotated[Path, typer.Argument(help="A run directory.", autocompletion=runs)]
RecipeOverrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="e.g. train.lr=3e-3")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An option of the decoder. Repeatable."),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
PluginFiles = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="A Python file to import first. Repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load_plugins(files: list[Path] | None, *, installed: bool = True) -> None:
    """Import the installed plugins (unless the verb does that itself) and the given files.

    Raises PluginError if one cannot be imported.
    """
    from seqgen import plugins

    if installed:
        plugins.load_installed()
    plugins.load_files([str(each.resolve()) for each in files or []])
