"""The verb `compare`: the same inputs decoded in many ways, and one report of what each gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from seqgen.cli.completion import plans, runs
from seqgen.cli.evaluate import SplitName
from seqgen.cli.output import echo_exactly
from seqgen.cli.plugin_files import PluginFiles, load_plugins, number
from seqgen.errors import UsageError


def compare(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN... [KEY=VALUE]...",
            help="Run directories, and overrides: plan.seeds=5 of the plan, data.path=DIR of runs.",
            autocompletion=runs,
        ),
    ],
    plan: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A plan's path or bare name.", autocompletion=plans),
    ] = None,
    decoder: Annotated[
        list[str] | None, typer.Option(help="A registered decoder, instead of a plan; repeatable.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=V1,V2", help="Values of an option, each in its turn."),
    ] = None,
    split: Annotated[SplitName | None, typer.Option(help="Decode this part of the data.")] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="Decode its lines.")
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="Decode this prompt or source; repeatable.")
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            parser=number("Count"),
            metavar="N",
            help="So many inputs, evenly spread; the plan's if not given.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(parser=number("Seed"), metavar="N", help="The plan's own if not given."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to; runs/compare/<run> if not given.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the comparison that is there.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    plugin_files: PluginFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print compare.json; progress goes to standard error.")
    ] = False,
) -> None:
    """Decode the same inputs with many decoders and settings; compare.html says what each gives.

    Without --plan and --decoder, the plan that comes along for models of its kind: language_model
    or seq2seq. The same plan, runs and seed give the same compare.json but for its timings.
    """
    from seqgen.cli.comparison_display import ComparisonDisplay
    from seqgen.cli.plan_options import PlanOptions, flag_overrides, sort_words
    from seqgen.comparison import (
        Comparison,
        applicable,
        check_for_runs,
        check_free,
        document_text,
        write,
    )
    from seqgen.comparison import compare as run_comparison
    from seqgen.trained import TrainedRun

    found = sort_words(words)
    names = _names(found.runs)
    said = flag_overrides(
        {
            "--split": split,
            "--input": input_file,
            "--prompt": prompt,
            "--most": most,
            "--seed": seed,
        }
    )
    load_plugins(plugin_files)
    options = PlanOptions(plan, decoder or (), settings or (), [*said, *found.of_plan])
    own = options.source()
    if own is not None:  # what is wrong with it is said before the runs are read
        own.expand(names)
    folder = out or Path("runs", "compare", names[0].split("/")[-1])
    check_free(folder, overwrite=overwrite)
    trained = [
        TrainedRun.load(each, device, found.of_recipes, plugin_files or []) for each in found.runs
    ]
    source = own or options.ready(trained[0].built.data.continues)
    checked, systems = source.expand(names)
    systems = systems if own else applicable(systems, trained)
    with source.locating_errors(), ComparisonDisplay(to_stderr=as_json) as display:
        comparison = Comparison(trained, names, systems, checked, display.watch)
        check_for_runs(comparison)
        document = run_comparison(comparison)
    write(folder, document)
    if as_json:
        echo_exactly(document_text(document))
    else:
        display.conclude(document, folder)


def _names(folders: list[Path]) -> list[str]:
    """What the runs are called: the last part of the way to them, or as many as tell them apart.

    Errors: UsageError where one is there twice.
    """
    paths = [Path(os.path.abspath(each)) for each in folders]  # noqa: PTH100  a link stays one
    for place, path in enumerate(paths):
        if path in paths[:place]:
            raise UsageError(f"{folders[place]}: the run is named twice")
    for size in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-size:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names
