"""The verbs about runs: run, verify-resume, generate, state, evaluate, compare.

What imports torch is imported inside them, so that help and completion wait for nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.cli import arguments
from seqgen.cli.arguments import Device, PluginFiles, RecipeOverrides, RunFolder, Settings
from seqgen.cli.output import echo, echo_exactly
from seqgen.errors import PluginError, StoppedError, UsageError


class SplitName(StrEnum):
    """The held-out splits."""

    valid = "valid"
    test = "test"


def run(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A recipe's path or bare name; with --resume also a run directory.",
            autocompletion=arguments.recipes,
        ),
    ],
    overrides: RecipeOverrides = None,
    out: Annotated[
        Path | None, typer.Option(help="The run directory; by default runs/<recipe name>.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in the run directory.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in the run directory.")
    ] = False,
    plugin_files: PluginFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print result.json; progress goes to standard error.")
    ] = False,
) -> None:
    """Train a recipe. Checkpoints, metrics, samples and a report go to the run directory."""
    _exclude_one_another({"--resume": resume or None, "--overwrite": overwrite or None})
    with arguments.importing():
        from seqgen.cli.displays import Display
        from seqgen.conclusion import read_result
        from seqgen.machine import keep_freed_memory
        from seqgen.run import RunRequest, run_directory
        from seqgen.run import run as run_recipe
        from seqgen.training import joined

    keep_freed_memory()
    given = tuple(plugin_files or ())
    request = RunRequest(recipe, overrides or [], out, resume, overwrite, sys.argv, given)
    directory = run_directory(request)
    with joined() as processes, Display(to_stderr=as_json) as display:
        try:
            run_recipe(request, display.announce, [display.event], processes=processes)
        except StoppedError as error:
            files = [f"--plugin={each}" for each in directory.record().get("plugins", ())]
            again = shlex.join(["seqgen", "run", str(directory.folder), "--resume", *files])
            if processes.count > 1:
                again = f"torchrun --nproc-per-node {processes.count} -m {again}"
            raise StoppedError(f"{error}; go on with: {again}", error.signal_number) from None
    if processes.rank:
        return
    result = read_result(directory)
    if as_json:
        echo(json.dumps(result, indent=2))
    else:
        display.conclude(result, directory.folder)


def verify_resume(
    recipe: Annotated[
        str, typer.Argument(help="A recipe's path or bare name.", autocompletion=arguments.recipes)
    ],
    overrides: RecipeOverrides = None,
    at: Annotated[
        list[int] | None,
        arguments.number("Size", "A step to stop after. Repeatable.", metavar="STEP"),
    ] = None,
) -> None:
    """Prove that a run that is stopped and resumed equals one that never stopped.

    Trains a few steps twice: once without a stop, and once with stops by a signal, each resumed in
    a new process. Log, weights, training state, samples and results must be identical to the last
    bit; otherwise the exit code is 8. Everything happens in a temporary folder.
    """
    from seqgen.cli.displays import Terminal
    from seqgen.verify import verify_resume as prove

    console = Terminal(highlight=False, soft_wrap=True)
    console.say(f"{recipe}: trains a few steps twice")
    proof = prove(recipe, overrides or [], at or [], lambda doing: console.say(f"  {doing} ..."))
    stops = ", ".join(map(str, proof.stops))
    console.say(f"{proof.steps} steps, stopped after {stops}; an epoch has {proof.epoch} steps")
    if proof.epoch >= proof.steps:
        console.say(f"  note: no epoch was completed; --at {proof.epoch} would complete one")
    width = max(len(each.what) for each in proof.compared)
    for each in proof.compared:
        outcome = f"differs: {each.difference}" if each.difference else "the same"
        console.say(f"  {each.what:{width}}  {each.size:>12}  {outcome}")
    if first := proof.first:
        raise PluginError(f"{recipe}: stopping changes the run: {first.what}: {first.difference}")


def generate(
    run: RunFolder,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="e.g. generation.replace_unknown=true"),
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="A text to continue, or a source. Repeatable.")
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="FILE", help="Prompts or sources, one a line; - is standard input."
        ),
    ] = None,
    state_file: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="FILE", help="Go on from a text that was read by seqgen state."
        ),
    ] = None,
    output_file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write outputs here, one line for each input, in order.",
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write how each output was found: a page if FILE ends in .html, else JSON.",
        ),
    ] = None,
    score: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Instead of generating, score rows such as SOURCE<tab>TARGET."
        ),
    ] = None,
    n_best: Annotated[
        int | None,
        arguments.number(
            "Size", "Print the N best outputs, as lines of NUMBER, RANK, SCORE, TEXT."
        ),
    ] = None,
    decoder: Annotated[
        str | None, typer.Option(help="A registered decoder; by default the recipe's.")
    ] = None,
    settings: Settings = None,
    max_length: Annotated[
        int | None,
        arguments.number("Count", "The most tokens to generate; by default the recipe's."),
    ] = None,
    samples: Annotated[int, arguments.number("Size", "Outputs for each prompt or source.")] = 1,
    seed: Annotated[int | None, arguments.number("Seed", "By default the recipe's.")] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="STRING", help="End a text before this string. Repeatable."),
    ] = None,
    keep_stop: Annotated[
        bool, typer.Option("--keep-stop", help="Texts keep the string that ended them.")
    ] = False,
    max_seconds: Annotated[
        float | None,
        arguments.number(
            "PositiveFloat", "End a text after so much time, wherever it is.", metavar="SECONDS"
        ),
    ] = None,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Show a text as it comes; on a terminal the default for one prompt.",
        ),
    ] = None,
    device: Device = "auto",
    plugins: PluginFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with tokens and scores.")
    ] = False,
) -> None:
    """Continue prompts, or answer sources, with a trained run. The same seed gives the same text.

    Without --prompt and --input, a terminal becomes a prompt; else prompts or sources are read from
    standard input, one a line. If there are none, the recipe's prompts are used.
    """
    for word in overrides or []:
        if "=" not in word:
            raise UsageError(
                f"{word}: not of the form KEY=VALUE; did you mean --prompt {shlex.quote(word)}?"
            )
    many = samples if samples > 1 else None
    exclusive: dict[str, object] = {"--n-best": n_best, "--samples": many, "--score": score}
    whole = {**exclusive, "--trace": trace, "--output": output_file, "--json": as_json or None}
    _exclude_one_another({"--prompt": prompt, "--input": input_file, "--score": score})
    _exclude_one_another(exclusive)
    _exclude_one_another({"--trace": trace, "--score": score})
    _exclude_one_another({"--state": state_file, "--score": score})
    for name, value in {**whole, "--input": input_file}.items():
        _exclude_one_another({"--stream": stream or None, name: value})
    with arguments.importing():
        from seqgen.cli import generation, prompting
        from seqgen.trained import TrainedRun

    stopping = generation.stop_overrides(stop, keep_stop, max_seconds)
    trained = TrainedRun.load(run, device, [*(overrides or []), *stopping], plugins or [])
    if score is not None:
        generation.score_lines(trained, score, output_file, as_json)
        return
    if state_file is not None:
        trained = trained.after(trained.load_state(state_file))
    options = generation.DecoderOptions(decoder, settings or (), seed, n_best)
    wanted = generation.Wanted(max_length, samples, n_best, trace, output_file, as_json)
    plain = all(each is None for each in whole.values()) and sys.stdout.isatty()
    streaming = plain if stream is None else stream
    asked = prompting.Asked(trained, options, wanted, streaming, required=bool(stream))
    asked.answer(prompt, input_file, at_terminal=plain)


def state(
    run: RunFolder,
    prompt_file: Annotated[
        Path,
        typer.Option(metavar="FILE", help="The text to read, as it is; - is standard input."),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write the state here.")],
    device: Device = "auto",
    plugins: PluginFiles = None,
) -> None:
    """Read a long prompt once, for generate --state to go on from.

    The file has what the model remembers of the text, and belongs to this run. What is generated
    from it is what would be generated after the whole text.
    """
    with arguments.importing():
        from seqgen.cli.generation import keep_state
        from seqgen.trained import TrainedRun

    keep_state(TrainedRun.load(run, device, plugins=plugins or []), prompt_file, out)


def _exclude_one_another(options: dict[str, object]) -> None:
    """Raises UsageError if two of the options are given."""
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude one another")


def evaluate(
    run: RunFolder,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="e.g. data.path=FILE for other data, metrics=\\[bleu]."
        ),
    ] = None,
    split: Annotated[
        SplitName, typer.Option(help="The part of the data to evaluate on.")
    ] = SplitName.test,
    decoder: Annotated[
        str | None, typer.Option(help="The decoder to measure; by default the recipe's.")
    ] = None,
    settings: Settings = None,
    answers_file: Annotated[
        Path | None,
        typer.Option(
            "--answers",
            metavar="FILE",
            help="Write all outputs: TSV if FILE ends in .tsv, else JSON lines.",
        ),
    ] = None,
    device: Device = "auto",
    plugins: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with details.")] = False,
) -> None:
    """Evaluate the best checkpoint of a run on a held-out split: likelihood and metrics.

    The likelihood counts each target once, with the state carried on from all text before it.
    Metrics are measured on the decoder's outputs for the sources.
    """
    with arguments.importing():
        from seqgen.cli.generation import DecoderOptions, answers_to
        from seqgen.trained import TrainedRun

    trained = TrainedRun.load(run, device, overrides or [], plugins or [])
    if (decoder or settings) and not trained.built.recipe.metrics and answers_file is None:
        raise UsageError(
            "--decoder: the recipe has no metrics, so nothing is decoded; metrics=[NAME] lists "
            "some (seqgen list metrics), --answers FILE writes the outputs"
        )
    chosen = DecoderOptions(decoder, settings or ()).build(trained)
    keys = {each.split("=")[0].strip().split(".")[0] for each in overrides or []}
    if "data" not in keys and not trained.data_is_the_same():
        warnings.warn("the data is not what this run was trained on", stacklevel=1)
    if answers_file is None:
        figures, _ = trained.judged(split.value, chosen)
    else:
        with answers_to(answers_file) as write:  # before the work, since it may not be writable
            figures, answers = trained.judged(split.value, chosen, answered=True)
            write(answers)
    echo(json.dumps(figures, indent=2) if as_json else _figures_table(figures))


def _figures_table(figures: dict[str, Any]) -> str:
    """One figure a line, likelihood before metrics, each with its signature if it has one."""
    details = figures.get("details", {})
    rows = [(name, value, "") for name, value in figures.items() if not isinstance(value, dict)]
    for name, value in figures.get("metrics", {}).items():
        rows.append((name, value, details.get(name, {}).get("signature", "")))
    width = max(15, *(len(name) for name, _, _ in rows))
    lines = [f"{name:{width}} {value:<10.6g} {note}".rstrip() for name, value, note in rows]
    return "\n".join(lines)


def compare(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN... [KEY=VALUE]...",
            help="Run directories, and overrides: plan.seeds=5 of the plan, data.path=DIR of runs.",
            autocompletion=arguments.runs,
        ),
    ],
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A plan's path or bare name.", autocompletion=arguments.plans
        ),
    ] = None,
    decoder: Annotated[
        list[str] | None, typer.Option(help="Compare this decoder instead of a plan's. Repeatable.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=V1,V2", help="Try each of these values of an option. Repeatable."
        ),
    ] = None,
    split: Annotated[
        SplitName | None, typer.Option(help="Decode this held-out part of the data.")
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="Decode the lines of FILE.")
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="Decode this prompt or source. Repeatable.")
    ] = None,
    most: Annotated[
        int | None,
        arguments.number(
            "Count", "Decode at most N inputs, evenly spaced; by default as in the plan."
        ),
    ] = None,
    seed: Annotated[int | None, arguments.number("Seed", "By default the plan's.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The output folder; by default runs/compare/<run>.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the comparison in the output folder.")
    ] = False,
    device: Device = "auto",
    plugin_files: PluginFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print compare.json; progress goes to standard error.")
    ] = False,
) -> None:
    """Decode the same inputs with many decoders and settings, and report how they compare.

    Without --plan and --decoder, uses the bundled plan for the kind of model: language_model or
    seq2seq. Except for timings, compare.json depends only on the plan, the runs and the seed.
    """
    with arguments.importing():
        from seqgen import comparison
        from seqgen.cli.displays import Display
        from seqgen.cli.plan_options import PlanOptions, flag_overrides, split_arguments
        from seqgen.trained import TrainedRun

    found = split_arguments(words)
    names = _names_of(found.runs)
    flags = {"--split": split, "--input": input_file, "--prompt": prompt, "--most": most}
    of_plan = [*flag_overrides({**flags, "--seed": seed}), *found.of_plan]
    arguments.load_plugins(plugin_files)
    options = PlanOptions(plan, decoder or (), settings or (), of_plan)
    own = options.given_plan()
    if own is not None:  # before the runs are read, so that a mistake in it costs no time
        own.expand(names)
    folder = out or Path("runs", "compare", names[0].split("/")[-1])
    comparison.check_free(folder, overwrite=overwrite)
    trained = [
        TrainedRun.load(each, device, found.of_recipes, plugin_files or []) for each in found.runs
    ]
    source = own or options.default_plan(trained[0].built.data.continues)
    checked, systems = source.expand(names)
    systems = systems if own else comparison.applicable(systems, trained)
    with source.locating_errors(), Display(to_stderr=as_json) as display:
        display.begin()
        job = comparison.Comparison(trained, names, systems, checked, display.compared)
        comparison.check_for_runs(job)
        document = comparison.compare(job)
    comparison.write(folder, document)
    if as_json:
        echo_exactly(comparison.document_text(document))
    else:
        display.conclude_comparison(document, folder)


def _names_of(folders: list[Path]) -> list[str]:
    """The names of the runs: the last part of their paths, or as many parts as distinguish them.

    Raises UsageError if a run is named twice.
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
