"""The verb `validate`: is a recipe, or a plan, right? Only that is read, and nothing is written."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from seqgen.cli.completion import recipes_and_plans
from seqgen.cli.output import echo
from seqgen.cli.plugin_files import PluginFiles, load_named, load_plugins


def validate(
    recipe: Annotated[
        str, typer.Argument(help="A path or a bare name.", autocompletion=recipes_and_plans)
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="e.g. train.lr=3e-3")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="It is a plan of seqgen compare and no recipe.")
    ] = False,
    plugin_files: PluginFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it with every option written out.")
    ] = False,
) -> None:
    """Check a recipe and its overrides, without reading data or training; with --plan, a plan."""
    (load_plugins if plan else load_named)(plugin_files)
    name, written_out = (_plan if plan else _recipe)(recipe, overrides or [])
    if as_json:
        echo(json.dumps(written_out, indent=2))
    else:
        echo(f"{name}: a valid {'plan' if plan else 'recipe'}")


def _recipe(wanted: str, overrides: list[str]) -> tuple[str, object]:
    """What errors call it, and all its options."""
    from seqgen.build import dry_run
    from seqgen.options import OptionError
    from seqgen.run import load_recipe

    checked, file = load_recipe(wanted, overrides)
    try:
        dry_run(checked)
    except OptionError as error:
        raise file.error(error) from None
    return file.name, checked.plain()


def _plan(wanted: str, overrides: list[str]) -> tuple[str, object]:
    """The same of a plan, whose decoders are built, too."""
    from seqgen.comparison import PlanSource, dry_run_decoders
    from seqgen.registry import plain

    source = PlanSource.find(wanted, overrides)
    checked, systems = source.expand(["run"])
    with source.locating_errors():
        dry_run_decoders(checked, systems)
    return source.file.name, plain(checked)
