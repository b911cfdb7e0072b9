"""The verb `validate`: is a recipe right? Nothing is read but the recipe, nothing is written."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from seqgen.cli.completion import recipes


def validate(
    recipe: Annotated[
        str, typer.Argument(help="A recipe's path or bare name.", autocompletion=recipes)
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="e.g. train.lr=3e-3")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the recipe with every option written out.")
    ] = False,
) -> None:
    """Check a recipe and its overrides, without reading data or training."""
    from seqgen.build import rehearse
    from seqgen.option_files import placed
    from seqgen.options import OptionError
    from seqgen.overrides import read_override
    from seqgen.run import load_recipe

    checked, source = load_recipe(recipe, overrides or [])
    try:
        rehearse(checked)
    except OptionError as error:
        read = [read_override(each) for each in overrides or []]
        raise placed(error, source, read) from None
    if as_json:
        typer.echo(json.dumps(checked.plain(), indent=2))
    else:
        typer.echo(f"{source.name}: a valid recipe")
