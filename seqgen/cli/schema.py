"""The verb `schema`: the JSON Schema of recipes."""

from __future__ import annotations

import json

import typer

from seqgen.cli.plugin_files import PluginFiles, load_plugins


def schema(plugin_files: PluginFiles = None) -> None:
    """Print the JSON Schema of recipes, for editors that check and complete YAML."""
    from seqgen.recipe import recipe_schema

    load_plugins(plugin_files)
    typer.echo(json.dumps(recipe_schema(), indent=2))
