"""The verbs about recipes, plans and corpora: schema, validate, recipes, data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.cli import arguments
from seqgen.cli.arguments import AsJson, PluginFiles, RecipeOverrides
from seqgen.cli.output import echo
from seqgen.errors import SetupError, UsageError
from seqgen.files import write_file
from seqgen.yaml_io import dump

BUDGETS = {"max_steps": "{:,} steps", "max_epochs": "{} epochs", "max_seconds": "{:,} s"}
"""How `seqgen list recipes` shows how long a recipe trains."""


def list_files(kind: str, as_json: bool) -> None:
    """The bundled files of a kind: names, how long the budget is, and descriptions."""
    from seqgen.cli.displays import Terminal, Text, plain_table
    from seqgen.config import ConfigFile, bundled_plans, bundled_recipes

    found = []
    files = bundled_recipes() if kind == "recipes" else bundled_plans()
    for name, path in files.items():
        data: Any = ConfigFile.read(path, kind=kind[:-1]).data
        budget = {key: each for key, each in data.get("train", {}).items() if key in BUDGETS}
        description = data.get("description", "")
        found.append({"name": name, "budget": budget, "description": description})
    if as_json:
        echo(json.dumps({kind: found}, indent=2))
        return
    table = plain_table(padding=(0, 2, 0, 0))
    for each in found:
        times = [BUDGETS[key].format(amount) for key, amount in each["budget"].items()]
        table.add_row(Text(each["name"], "bold"), " or ".join(times), Text(each["description"]))
    Terminal(highlight=False, width=80).print(table)


def schema(
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the schema of plans for seqgen compare.")
    ] = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Print the JSON Schema of recipes, for editors that check and complete YAML."""
    with arguments.importing():
        from seqgen.comparison import plan_schema
        from seqgen.recipe import recipe_schema

    arguments.load_plugins(plugin_files)
    echo(json.dumps(plan_schema() if plan else recipe_schema(), indent=2))


def validate(
    recipe: Annotated[
        str,
        typer.Argument(help="A path or a bare name.", autocompletion=arguments.recipes_and_plans),
    ],
    overrides: RecipeOverrides = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Check a plan for seqgen compare, not a recipe.")
    ] = False,
    plugin_files: PluginFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON with every option written out.")
    ] = False,
    show: Annotated[
        bool,
        typer.Option("--show", help="Print it as YAML, with what it extends and the overrides."),
    ] = False,
) -> None:
    """Check a recipe (or a plan) and its overrides, without reading data or training."""
    arguments.load_plugins(plugin_files, installed=plan)
    if plan:
        from seqgen.comparison import PlanSource, dry_run_decoders
        from seqgen.registry import plain

        source = PlanSource.find(recipe, overrides or [])
        checked_plan, systems = source.expand(["run"])
        with source.locating_errors():
            dry_run_decoders(checked_plan, systems)
        file, options = source.file, plain(checked_plan)
    else:
        from seqgen.build import dry_run
        from seqgen.options import OptionError
        from seqgen.run import load_recipe

        checked, file = load_recipe(recipe, overrides or [])
        try:
            dry_run(checked)
        except OptionError as error:
            raise file.error(error) from None
        options = checked.plain()
    if as_json:
        echo(json.dumps(options, indent=2))
    elif show:
        echo(dump(file.data), end="")
    else:
        echo(f"{file.name}: a valid {'plan' if plan else 'recipe'}")


recipes_app = typer.Typer(
    help="List the recipes that come with seqgen, or copy one.", invoke_without_command=True
)


@recipes_app.callback()
def list_recipes(context: typer.Context, as_json: AsJson = False) -> None:
    """List the recipes that come with seqgen, or copy one."""
    if context.invoked_subcommand is None:
        list_files("recipes", as_json)


@recipes_app.command("copy")
def copy(
    name: Annotated[
        str,
        typer.Argument(help="A bundled recipe's bare name.", autocompletion=arguments.recipes),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default NAME.yaml, here.")
    ] = None,
) -> None:
    """Write a bundled recipe to a file of your own, to edit it."""
    from seqgen.config import bundled_recipes
    from seqgen.options import did_you_mean

    known = bundled_recipes()
    if name not in known:
        raise UsageError(f"no recipe named '{name}'{did_you_mean(name, known)} (seqgen recipes)")
    source = known[name]
    target = out or Path(source.name)
    if target.exists() or target.is_symlink():
        raise SetupError(f"{target}: already exists; choose another file with --out")
    write_file(target, source.read_bytes())
    echo(f"{target}: seqgen run {target}")


data_app = typer.Typer(help="List the named corpora, or fetch one.", invoke_without_command=True)


@data_app.callback()
def list_corpora(
    context: typer.Context, plugin_files: PluginFiles = None, as_json: AsJson = False
) -> None:
    """List the named corpora, or fetch one."""
    if context.invoked_subcommand is not None:
        context.obj = plugin_files  # also where they are named before the verb
        return
    from seqgen.data import corpora

    arguments.load_plugins(plugin_files)
    found = [
        (each, corpora.build(each).ready(), corpora.entry(each).summary) for each in corpora.names()
    ]
    if as_json:
        rows = [dict(zip(("name", "ready", "summary"), each, strict=True)) for each in found]
        echo(json.dumps(rows, indent=2))
        return
    for name, ready, summary in found:
        state = "ready" if ready else f"not here yet: seqgen data get {name}"
        echo(f"{name}  ({state})\n    {summary}")


@data_app.command("get")
def get(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The name of a corpus.")],
    plugin_files: PluginFiles = None,
) -> None:
    """Fetch a corpus once, check its SHA-256 and keep it in the cache."""
    from seqgen.data import corpora

    arguments.load_plugins([*(context.obj or []), *(plugin_files or [])])
    try:
        corpus = corpora.build(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    corpus.fetch()
    echo(f"{name}: ready")
