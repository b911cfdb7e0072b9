"""The verb sweep: one recipe with many values of some keys."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from seqgen.cli.arguments import PluginFiles, RecipeOverrides, number, recipes
from seqgen.cli.output import echo
from seqgen.errors import SetupError, UsageError


class Search(StrEnum):
    """How a sweep chooses its trials."""

    grid = "grid"
    optuna = "optuna"


def sweep(
    recipe: Annotated[
        str, typer.Argument(help="A recipe's path or bare name.", autocompletion=recipes)
    ],
    overrides: RecipeOverrides = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=V1,V2",
            help="Values to try; with optuna also LOW..HIGH or log:LOW..HIGH. Repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Its folder; runs/sweep/<recipe name> if not given.")
    ] = None,
    search: Annotated[Search, typer.Option(help="All combinations, or a search.")] = Search.grid,
    trials: Annotated[
        int | None, number("Size", "How many trials a search makes in all; 20 if not given.")
    ] = None,
    plugin_files: PluginFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print sweep.json; progress goes to standard error.")
    ] = False,
) -> None:
    """Run a recipe with other values of some keys, and say which are best.

    Each trial is a run directory. The same command goes on with a sweep that was interrupted; given
    several times at once, it shares the work. A trial that fails does not stop the others.
    """
    if not settings:
        raise UsageError("--set KEY=V1,V2 is missing: what to try")
    if trials is not None and search is Search.grid:
        raise UsageError("--trials goes with --search optuna; a grid tries all combinations")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("a sweep is not for torchrun: start the same sweep several times instead")
    from seqgen import sweeps
    from seqgen.cli.displays import Display
    from seqgen.machine import keep_freed_memory

    keep_freed_memory()
    axes = dict(map(sweeps.read_axis, settings))
    folder = out or Path("runs", "sweep", Path(recipe).stem)
    job = sweeps.Sweep(recipe, overrides or [], axes, folder, search.value)
    job.trials = trials or job.trials
    job.plugins, job.command = tuple(plugin_files or ()), sys.argv
    job.check()
    with Display(to_stderr=as_json) as display:
        outcome = job.run(display.trial_began, display.trial_ended, display.trial_event)
        sweeps.write_charts(outcome, folder)
        if as_json:
            echo((folder / sweeps.FILE).read_text(encoding="utf-8"), end="")
        else:
            display.conclude_sweep(*sweeps.table(outcome), folder)
    failed = [each for each in outcome.trials if each.status == "failed"]
    if len(failed) == len(outcome.trials):
        raise SetupError(f"{folder}: all trials failed; {failed[0].name}: {failed[0].reason}")
