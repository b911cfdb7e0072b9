"""The verb `schema`: the JSON Schema of recipes, or of plans."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from seqgen.cli.output import echo
from seqgen.cli.plugin_files import PluginFiles, load_plugins


def schema(
    plan: Annotated[
        bool, typer.Option("--plan", help="That of the plans of seqgen compare instead.")
    ] = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Print the JSON Schema of recipes, for editors that check and complete YAML."""
    from seqgen.comparison import plan_schema
    from seqgen.recipe import recipe_schema

    load_plugins(plugin_files)
    echo(json.dumps(plan_schema() if plan else recipe_schema(), indent=2))
