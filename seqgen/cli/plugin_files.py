"""The option `--plugin`, which several verbs have: code runs only where a person names it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PluginFiles = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="A Python file to import first; repeatable."),
]


def load_plugins(files: list[Path] | None) -> None:
    """Import the installed plugins and the files that a person names. Errors: PluginError."""
    from seqgen import plugins

    plugins.load_installed()
    load_named(files)


def load_named(files: list[Path] | None) -> None:
    """Import the files that a person names, for what imports installed plugins by itself."""
    from seqgen import plugins

    plugins.load_files([str(each.resolve()) for each in files or []])
