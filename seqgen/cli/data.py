"""The verb `data`: the named corpora, and fetching those that do not come with Python."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from seqgen.cli.output import echo
from seqgen.cli.plugin_files import PluginFiles, load_plugins

app = typer.Typer(help="The named corpora.", invoke_without_command=True)


@app.callback()
def list_corpora(
    context: typer.Context,
    plugin_files: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the named corpora, or fetch one."""
    if context.invoked_subcommand is not None:
        context.obj = plugin_files  # also where they are named before the verb
        return
    from seqgen.data import corpora

    load_plugins(plugin_files)
    found = [
        {
            "name": name,
            "ready": corpora.build(name).ready(),
            "summary": corpora.entry(name).summary,
        }
        for name in corpora.names()
    ]
    if as_json:
        echo(json.dumps(found, indent=2))
        return
    for each in found:
        state = "ready" if each["ready"] else f"not here yet: seqgen data get {each['name']}"
        echo(f"{each['name']}  ({state})\n    {each['summary']}")


@app.command("get")
def get(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A corpus's name.")],
    plugin_files: PluginFiles = None,
) -> None:
    """Fetch a corpus once, check its SHA-256 and keep it in the cache."""
    from seqgen.data import corpora
    from seqgen.errors import UsageError

    load_plugins([*(context.obj or []), *(plugin_files or [])])
    try:
        corpus = corpora.build(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    corpus.fetch()
    echo(f"{name}: ready")
