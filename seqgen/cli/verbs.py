"""The verbs about runs: run, verify-resume, generate, evaluate, compare.

What imports torch is imported inside them, so that help and completion wait for nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import warnings
from enum import StrEnum
from functools import partial
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
            help="A recipe's path or bare name; with --resume, a run directory will do.",
            autocompletion=arguments.recipes,
        ),
    ],
    overrides: RecipeOverrides = None,
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
    _exclude_one_another({"--resume": resume or None, "--overwrite": overwrite or None})
    from seqgen.cli.displays import Display
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


def verify_resume(
    recipe: Annotated[
        str, typer.Argument(help="A recipe's path or bare name.", autocompletion=arguments.recipes)
    ],
    overrides: RecipeOverrides = None,
    at: Annotated[
        list[int] | None, arguments.number("Size", "Stop after it; repeatable.", metavar="STEP")
    ] = None,
) -> None:
    """Prove that stopping a run and going on gives the run that never stopped, plugins included.

    A few steps are trained twice: at one go, and stopped by a signal after some steps, each time
    going on in another process. Log, weights, training state, samples and results must be the same
    to the last bit; otherwise the exit code is 8. All is done in a temporary folder.
    """
    from seqgen.cli.displays import Terminal
    from seqgen.verify import verify_resume as prove

    console = Terminal(highlight=False, soft_wrap=True)
    console.say(f"{recipe}: a few steps in place of its budget, twice")
    proof = prove(recipe, overrides or [], at or [], lambda doing: console.say(f"  {doing} ..."))
    stops = ", ".join(map(str, proof.stops))
    console.say(f"{proof.steps} steps, stopped after {stops}; an epoch has {proof.epoch} steps")
    if proof.epoch >= proof.steps:
        console.say(f"  note: no epoch came to its end; --at {proof.epoch} goes there")
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
        list[str] | None, typer.Option(help="What to continue, or a source; repeatable.")
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="FILE", help="A prompt or source a line; - is standard input."
        ),
    ] = None,
    output_file: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="A line for each of them, in their order."),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="How each was found: JSON, or a page if called .html."),
    ] = None,
    score: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score given rows, such as SOURCE<tab>TARGET, instead."),
    ] = None,
    n_best: Annotated[
        int | None, arguments.number("Size", "Lines of NUMBER, RANK, SCORE, TEXT; so many each.")
    ] = None,
    decoder: Annotated[
        str | None, typer.Option(help="A registered decoder; the recipe's own if not given.")
    ] = None,
    settings: Settings = None,
    max_length: Annotated[
        int | None, arguments.number("Count", "Tokens to generate; the recipe's own if not given.")
    ] = None,
    samples: Annotated[int, arguments.number("Size", "Outputs of each prompt or source.")] = 1,
    seed: Annotated[int | None, arguments.number("Seed", "The recipe's own if not given.")] = None,
    device: Device = "auto",
    plugins: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="With tokens and scores.")] = False,
) -> None:
    """Continue prompts or answer sources with a trained run. The same seed gives the same text.

    Where neither is given, a prompt or a source a line from standard input; where there is none,
    the recipe's prompts.
    """
    for word in overrides or []:
        if "=" not in word:
            raise UsageError(
                f"{word}: not of the form KEY=VALUE; did you mean --prompt {shlex.quote(word)}?"
            )
    several = n_best is not None or samples > 1
    many = samples if samples > 1 else None
    _exclude_one_another({"--prompt": prompt, "--input": input_file, "--score": score})
    _exclude_one_another({"--n-best": n_best, "--samples": many, "--score": score})
    _exclude_one_another({"--trace": trace, "--score": score})
    from seqgen.cli import generation, source_lines
    from seqgen.trained import TrainedRun

    trained = TrainedRun.load(run, device, overrides or [], plugins or [])
    if score is not None:
        generation.score_lines(trained, score, output_file, as_json)
        return
    options = generation.DecoderOptions(decoder, settings or (), seed, n_best)
    chosen, continues = options.build(trained), trained.built.data.continues
    if samples > 1 and not chosen.draws:
        same = "this decoder draws nothing at random, so all samples are the same"
        warnings.warn(f"--samples {samples}: {same}", stacklevel=1)
    lines = None if prompt is not None else generation.waiting_lines(input_file, continues)
    if lines is None and input_file is None and output_file is not None:
        raise UsageError("--output goes with --input FILE or --score FILE")
    if trace is not None and trace == output_file:
        raise UsageError("--trace and --output must be two files")
    with generation.tracing_to(trace, trained, options.spec(trained)) as ask:
        if lines is None and input_file is None:
            texts = prompt or trained.prompts
            found = partial(ask, texts, chosen, max_length, samples)
            generation.answer_prompts(trained, texts, found, as_json)
            return
        exact = continues and output_file is None and sys.stdout.isatty()
        best = source_lines.table if several else source_lines.best_line(continues, exact)
        form = source_lines.json_line if as_json else best
        answers = generation.LineGenerator(trained, chosen, form, ask, max_length, samples)
        if lines is not None:
            answers.standard_input(lines, output_file)
        elif input_file is not None:
            answers.file(input_file, output_file)


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
            metavar="[KEY=VALUE]...", help="e.g. data.path=FILE for other data, metrics=[bleu]."
        ),
    ] = None,
    split: Annotated[SplitName, typer.Option(help="Which part of the data.")] = SplitName.test,
    decoder: Annotated[
        str | None, typer.Option(help="Whose outputs are measured; the recipe's if not given.")
    ] = None,
    settings: Settings = None,
    answers_file: Annotated[
        Path | None,
        typer.Option("--answers", metavar="FILE", help="All outputs, as JSON lines or .tsv."),
    ] = None,
    device: Device = "auto",
    plugins: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs, with details.")] = False,
) -> None:
    """Score a held-out split with the best weights of a run: likelihood and the recipe's metrics.

    Each target counts once, from its true state. Metrics judge what the decoder makes of the
    sources.
    """
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
        with answers_to(answers_file) as write:  # before the work, for it may not be writable
            figures, answers = trained.judged(split.value, chosen, answered=True)
            write(answers)
    echo(json.dumps(figures, indent=2) if as_json else _figures_table(figures))


def _figures_table(figures: dict[str, Any]) -> str:
    """A figure a line, metrics after the likelihood, each with the signature that says how it was
    computed, if it has one."""
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
        arguments.number("Count", "So many inputs, evenly spread; the plan's if not given."),
    ] = None,
    seed: Annotated[int | None, arguments.number("Seed", "The plan's own if not given.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to; runs/compare/<run> if not given.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the comparison that is there.")
    ] = False,
    device: Device = "auto",
    plugin_files: PluginFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print compare.json; progress goes to standard error.")
    ] = False,
) -> None:
    """Decode the same inputs with many decoders and settings; compare.html says what each gives.

    Without --plan and --decoder, the bundled plan for models of its kind: language_model or
    seq2seq. The same plan, runs and seed give the same compare.json but for its timings.
    """
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
    if own is not None:  # what is wrong with it is said before the runs are read
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
    """What the runs are called: the last part of their paths, or as many as tell them apart.

    Raises UsageError if one is there twice.
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
