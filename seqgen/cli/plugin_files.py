"""Options that several verbs have: `--plugin` (code runs only where a person names it), numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

PluginFiles = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="A Python file to import first; repeatable."),
]


def number(kind: str) -> Callable[[Any], Any]:
    """A parser for an option that is a number of a `kind` of `seqgen.options`, such as `Seed`.

    So the command line reads numbers and states their ranges as recipes do.
    """

    def parse(text: Any) -> Any:
        if not isinstance(text, str):  # the default
            return text
        from seqgen import options
        from seqgen.options import check_plain
        from seqgen.yaml_io import parse_value

        try:
            return check_plain(getattr(options, kind), parse_value(text))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parse


def load_plugins(files: list[Path] | None) -> None:
    """Import the installed plugins and the files that a person names. Errors: PluginError."""
    from seqgen import plugins

    plugins.load_installed()
    load_named(files)


def load_named(files: list[Path] | None) -> None:
    """Import the files that a person names, for what imports installed plugins by itself."""
    from seqgen import plugins

    plugins.load_files([str(each.resolve()) for each in files or []])
