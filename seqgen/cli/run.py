"""The verb `run`: train a recipe and leave a run directory."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from seqgen.cli.completion import recipes
from seqgen.cli.output import echo
from seqgen.cli.plugin_files import PluginFiles
from seqgen.errors import StoppedError, UsageError


def run(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A recipe's path or bare name; with --resume, a run directory will do.",
            autocompletion=recipes,
        ),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="e.g. train.lr=3e-3")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run directory; runs/<recipe name> if not given.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that is there.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove the run that is there.")
    ] = False,
    plugin_files: PluginFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print result.json; progress goes to standard error.")
    ] = False,
) -> None:
    """Train a recipe: checkpoints, figures, samples and a report go to the run directory."""
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude one another")
    from seqgen.cli.display import Display
    from seqgen.machine import keep_freed_memory

    keep_freed_memory()
    from seqgen.conclusion import read_result
    from seqgen.run import RunRequest, run_directory
    from seqgen.run import run as run_recipe

    given = tuple(plugin_files or ())
    request = RunRequest(recipe, overrides or [], out, resume, overwrite, sys.argv, given)
    directory = run_directory(request)
    with Display(to_stderr=as_json) as display:
        try:
            run_recipe(request, display.announce, [display.event])
        except StoppedError as error:
            files = [f"--plugin={each}" for each in directory.record().get("plugins", ())]
            again = shlex.join(["seqgen", "run", str(directory.folder), "--resume", *files])
            raise StoppedError(f"{error}; go on with: {again}", error.signal_number) from None
    result = read_result(directory)
    if as_json:
        echo(json.dumps(result, indent=2))
    else:
        display.conclude(result, directory.folder)
