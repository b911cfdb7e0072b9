"""The verb `list`: registered parts, their options and where they come from; recipes and plans."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from seqgen.cli.completion import rooms
from seqgen.cli.output import echo
from seqgen.cli.plugin_files import PluginFiles, load_plugins
from seqgen.config import bundled_plans, bundled_recipes
from seqgen.errors import UsageError

FILES = {"recipes": bundled_recipes, "plans": bundled_plans}
"""What else than parts can be listed."""

BUDGETS = {"max_steps": "{:,} steps", "max_epochs": "{} epochs", "max_seconds": "{:,} s"}
"""How a recipe says for how long it trains."""


def list_parts(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="e.g. cells; all kinds if not given. Or recipes, plans.", autocompletion=rooms
        ),
    ] = None,
    plugin_files: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the parts that a recipe may name: options with defaults, one line, file:line.

    `recipes` and `plans` are those that come along.
    """
    if kind in FILES:
        _list_files(kind, as_json)
        return
    from seqgen.options import did_you_mean
    from seqgen.plugins import ROOMS

    load_plugins(plugin_files)
    if kind is not None and kind not in ROOMS:
        near = did_you_mean(kind, [*ROOMS, *FILES])
        every = ", ".join([*ROOMS, *FILES])
        raise UsageError(f"no kind of part named '{kind}'{near} ({every})")
    chosen = {name: ROOMS[name] for name in ([kind] if kind else ROOMS)}
    found = {name: _parts(registry) for name, registry in chosen.items()}
    if as_json:
        echo(json.dumps(found, indent=2, default=str))
    else:
        _show(found)


def _list_files(kind: str, as_json: bool) -> None:
    """What comes along of a kind: names, how long the budget is, and descriptions."""
    from rich.table import Table
    from rich.text import Text

    from seqgen.cli.terminal import Terminal
    from seqgen.config import ConfigFile

    found = []
    for name, path in FILES[kind]().items():
        data: Any = ConfigFile.read(path).data
        budget = {key: each for key, each in data.get("train", {}).items() if key in BUDGETS}
        description = data.get("description", "")
        found.append({"name": name, "budget": budget, "description": description})
    if as_json:
        echo(json.dumps({kind: found}, indent=2))
        return
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for no_wrap in (True, True, False):
        table.add_column(no_wrap=no_wrap)
    for each in found:
        times = [BUDGETS[key].format(amount) for key, amount in each["budget"].items()]
        table.add_row(Text(each["name"], "bold"), " or ".join(times), Text(each["description"]))
    Terminal(highlight=False, width=80).print(table)


def _parts(registry: Any) -> list[dict[str, Any]]:
    parts = []
    for name in registry.names():
        entry = registry.entry(name)
        options = {each.name: _default(each) for each in entry.options.values()}
        parts.append(
            {"name": name, "options": options, "summary": entry.summary, "where": entry.where}
        )
    return parts


def _default(option: Any) -> Any:
    """The default as a recipe would write it; a part's by its name."""
    from seqgen.options import REQUIRED, default_of
    from seqgen.registry import Part, plain

    if option.default is REQUIRED:
        return "(required)"
    value = default_of(option)
    return value.name if isinstance(value, Part) else plain(value)


def _show(found: dict[str, list[dict[str, Any]]]) -> None:
    from rich.text import Text

    from seqgen.cli.terminal import Terminal

    console = Terminal(highlight=False, soft_wrap=True)
    for room, parts in found.items():
        console.print(Text(room, style="bold underline"))
        for part in parts:
            console.print(Text("  ").append(part["name"], "bold").append(f"  {part['summary']}"))
            options = "  ".join(f"{key}={_brief(each)}" for key, each in part["options"].items())
            if options:
                console.print(Text(f"      {options}"))
            console.print(Text(f"      {part['where']}", style="dim"))


def _brief(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
