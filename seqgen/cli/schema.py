"""The verb `schema`: the JSON Schema of recipes."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of recipes, for editors that check and complete YAML."""
    from seqgen import plugins
    from seqgen.recipe import recipe_schema

    plugins.load_installed()
    typer.echo(json.dumps(recipe_schema(), indent=2))
