"""The verb `generate`: text from a trained run."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.cli.completion import runs
from seqgen.cli.output import echo, echo_exactly
from seqgen.cli.plugin_files import PluginFiles, number
from seqgen.errors import RecipeError, UsageError

_SAME = "this decoder draws nothing at random, so all samples are the same"


def generate(
    run: Annotated[Path, typer.Argument(help="A run directory.", autocompletion=runs)],
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
        int | None,
        typer.Option(
            parser=number("Size"),
            metavar="N",
            help="Lines of NUMBER, RANK, SCORE, TEXT; so many each.",
        ),
    ] = None,
    decoder: Annotated[
        str | None, typer.Option(help="A registered decoder; the recipe's own if not given.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of it.")
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            parser=number("Count"),
            metavar="N",
            help="Tokens to generate; the recipe's own if not given.",
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(parser=number("Size"), metavar="N", help="Outputs of each prompt or source."),
    ] = 1,
    seed: Annotated[
        int | None,
        typer.Option(parser=number("Seed"), metavar="N", help="The recipe's own if not given."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
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
    _check_together(
        {"--prompt": prompt, "--input": input_file, "--score": score},
        {"--n-best": n_best, "--samples": samples if samples > 1 else None, "--score": score},
        {"--trace": trace, "--score": score},
    )
    from seqgen.cli.decoder_option import DecoderOptions
    from seqgen.cli.trace_file import traced_into
    from seqgen.trained import TrainedRun

    trained = TrainedRun.load(run, device, overrides or [], plugins or [])
    if score is not None:
        from seqgen.cli.line_scores import score_lines

        score_lines(trained, score, output_file, as_json)
        return
    options = DecoderOptions(decoder, settings or (), seed, n_best)
    chosen, continues = options.build(trained), trained.built.data.continues
    if samples > 1 and not chosen.draws:
        warnings.warn(f"--samples {samples}: {_SAME}", stacklevel=1)
    lines = None if prompt is not None else _lines(input_file, continues)
    from_prompts = lines is None and input_file is None
    if from_prompts and output_file is not None:
        raise UsageError("--output goes with --input FILE or --score FILE")
    if trace is not None and trace == output_file:
        raise UsageError("--trace and --output must be two files")
    with traced_into(trace, trained, options.spec(trained)) as ask:
        if from_prompts:
            texts = prompt or trained.prompts
            _from_prompts(trained, texts, partial(ask, texts, chosen, max_length, samples), as_json)
            return
        from seqgen.cli.line_answers import Answering
        from seqgen.cli.line_formats import best_line, json_line, table

        several = n_best is not None or samples > 1
        exact = continues and output_file is None and sys.stdout.isatty()
        form = json_line if as_json else table if several else best_line(continues, exact)
        answering = Answering(trained, chosen, form, max_length, samples, ask)
        if lines is not None:
            answering.standard_input(lines, output_file)
        elif input_file is not None:
            answering.file(input_file, output_file)


def _lines(input_file: Path | None, continues: bool) -> Iterator[str] | None:
    """The lines of standard input that are answered as they come, None where there are none or
    they come from a file."""
    from seqgen.cli.source_lines import is_terminal, piped_lines, typed_lines

    if input_file is None:
        return piped_lines() if continues else typed_lines()
    return typed_lines() if str(input_file) == "-" and is_terminal() else None


def _check_together(*groups: dict[str, object]) -> None:
    """A UsageError where two options of a group are given, which exclude one another."""
    for group in groups:
        given = [name for name, value in group.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude one another")


def _from_prompts(
    trained: Any, texts: Sequence[str], ask: Callable[[], list[list[Any]]], as_json: bool
) -> None:
    """Show for each prompt its outputs, with titles where there are several; as one document where
    JSON is wanted."""
    from seqgen.cli.line_formats import as_data, json_text
    from seqgen.reports import visible

    try:
        found = ask()
        flat = [each for outputs in found for each in outputs]
        remarks = trained.remarks(texts, flat)
    except ValueError as error:
        raise RecipeError(f"--prompt: {error}") from None
    for remark in remarks:
        warnings.warn(remark, stacklevel=1)
    if as_json:
        document = [{"prompt": each.prompt, **as_data(each)} for each in flat]
        echo_exactly(json_text(document, indent=2))
        return
    for outputs in found:
        for place, each in enumerate(outputs, 1):
            if len(flat) > 1:
                echo(f"=== {visible(each.prompt)!r} {place} ===")
            echo(trained.shown(each))
