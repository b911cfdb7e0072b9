"""The verb `evaluate`: the figures of a held-out split."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.cli.completion import runs
from seqgen.cli.output import echo
from seqgen.cli.plugin_files import PluginFiles
from seqgen.errors import UsageError


class SplitName(StrEnum):
    """The held-out splits."""

    valid = "valid"
    test = "test"


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run directory.", autocompletion=runs)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="e.g. data.path=FILE for other data, metrics=[bleu]."
        ),
    ] = None,
    split: Annotated[SplitName, typer.Option(help="Which part of the data.")] = SplitName.test,
    decoder: Annotated[
        str | None, typer.Option(help="Whose outputs are measured; the recipe's if not given.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of it.")
    ] = None,
    answers_file: Annotated[
        Path | None,
        typer.Option("--answers", metavar="FILE", help="All outputs, as JSON lines or .tsv."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    plugins: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs, with details.")] = False,
) -> None:
    """Score a held-out split with the best weights of a run: likelihood and the recipe's metrics.

    Each target counts once, from its true state. Metrics judge what the decoder makes of the
    sources.
    """
    import warnings

    from seqgen.cli.decoder_option import DecoderOptions
    from seqgen.trained import TrainedRun

    trained = TrainedRun.load(run, device, overrides or [], plugins or [])
    if (decoder or settings) and not trained.built.recipe.metrics and answers_file is None:
        raise UsageError(
            "--decoder: the recipe has no metrics, so nothing is decoded; metrics=[NAME] lists "
            "some (seqgen list metrics), --answers FILE writes the outputs"
        )
    chosen = DecoderOptions(decoder, settings or ()).build(trained)
    if not _other_data(overrides or []) and not trained.data_is_the_same():
        warnings.warn("the data is not what this run was trained on", stacklevel=1)
    if answers_file is None:
        figures, _ = trained.judged(split.value, chosen)
    else:
        from seqgen.cli.answers_file import answers_into

        with answers_into(answers_file) as write:  # before the work, for it may not be writable
            figures, answers = trained.judged(split.value, chosen, answered=True)
            write(answers)
    echo(json.dumps(figures, indent=2) if as_json else _table(figures))


def _other_data(overrides: list[str]) -> bool:
    return any(each.split("=")[0].strip().split(".")[0] == "data" for each in overrides)


def _table(figures: dict[str, Any]) -> str:
    """A figure a line, metrics behind the likelihood; beside a metric the signature that says how
    it was computed, where it has one."""
    details = figures.get("details", {})
    rows = [(name, value, "") for name, value in figures.items() if not isinstance(value, dict)]
    for name, value in figures.get("metrics", {}).items():
        rows.append((name, value, details.get(name, {}).get("signature", "")))
    width = max(15, *(len(name) for name, _, _ in rows))
    lines = [f"{name:{width}} {value:<10.6g} {note}".rstrip() for name, value, note in rows]
    return "\n".join(lines)
