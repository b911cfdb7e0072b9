"""The verb `evaluate`: the figures of a held-out split."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from seqgen.cli.completion import runs
from seqgen.cli.plugin_files import PluginFiles


class SplitName(StrEnum):
    """The held-out splits."""

    valid = "valid"
    test = "test"


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run directory.", autocompletion=runs)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="e.g. data.path=FILE to score another text."),
    ] = None,
    split: Annotated[SplitName, typer.Option(help="Which part of the data.")] = SplitName.test,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    plugins: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Score a held-out split with the best weights of a run, each token once, state carried."""
    import warnings

    from seqgen.trained import TrainedRun

    trained = TrainedRun.load(run, device, overrides or [], plugins or [])
    if not overrides and not trained.data_is_the_same():
        warnings.warn("the data is not what this run was trained on", stacklevel=1)
    figures = trained.evaluate(split.value)
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        typer.echo(f"{name:15} {value:.6g}")
