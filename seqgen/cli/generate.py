"""The verb `generate`: text from a trained run."""

from __future__ import annotations

import json
import shlex
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.cli.completion import runs
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
        typer.Option("--input", metavar="FILE", help="A source a line; - is standard input."),
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

    Where neither is given, the recipe's prompts, or a source a line from standard input.
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
    from_prompts = prompt is not None or (input_file is None and continues)
    if from_prompts and output_file is not None:
        raise UsageError("--output goes with --input FILE or --score FILE")
    if trace is not None and trace == output_file:
        raise UsageError("--trace and --output must be two files")
    with traced_into(trace, trained, options.spec(trained)) as ask:
        if from_prompts:
            texts = prompt or list(trained.built.recipe.samples.prompts or ("",))
            found = _from_prompts(trained, partial(ask, texts, chosen, max_length, samples), texts)
            _show(found, as_json, continues)
            return
        from seqgen.cli.line_answers import Answering
        from seqgen.cli.line_formats import best_line, json_line, table

        several = n_best is not None or samples > 1
        form = json_line if as_json else table if several else best_line(continues)
        answering = Answering(trained, chosen, form, max_length, samples, ask)
        if input_file is not None:
            answering.file(input_file, output_file)
        else:
            answering.standard_input(output_file)


def _check_together(*groups: dict[str, object]) -> None:
    """A UsageError where two options of a group are given, which exclude one another."""
    for group in groups:
        given = [name for name, value in group.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude one another")


def _from_prompts(
    trained: Any, ask: Callable[[], list[list[Any]]], texts: list[str]
) -> list[list[Any]]:
    """For each prompt its outputs."""
    from seqgen.answers import unsatisfied_remark
    from seqgen.cli.line_answers import cut_short_remark
    from seqgen.cli.source_lines import unknown_remark

    data, tokenizers = trained.built.data, trained.built.tokenizers
    try:
        unknown = Counter(each for text in texts for each in data.unknown(text, tokenizers))
        found = ask()
    except ValueError as error:
        raise RecipeError(f"--prompt: {error}") from None
    flat = [each for outputs in found for each in outputs]
    cut_short = sum(not each.hypothesis.complete for each in flat)
    unsatisfied = sum(not each.hypothesis.satisfied for each in flat)
    what = "prompts" if data.continues else "sources"
    for remark in (
        unknown_remark(unknown, what),
        cut_short_remark(cut_short, len(flat)),
        unsatisfied_remark(unsatisfied, len(flat)),
    ):
        if remark:
            warnings.warn(remark, stacklevel=1)
    return found


def _show(found: list[Any], as_json: bool, continues: bool) -> None:
    """The outputs, with titles where there are several; as one document where JSON is wanted."""
    from seqgen.cli.line_formats import as_data
    from seqgen.reports.text import visible

    flat = [each for outputs in found for each in outputs]
    if as_json:
        document = [{"prompt": each.prompt, **as_data(each)} for each in flat]
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for outputs in found:
        for place, each in enumerate(outputs, 1):
            if len(flat) > 1:
                typer.echo(f"=== {visible(each.prompt)!r} {place} ===")
            typer.echo(visible(each.prompt + each.text if continues else each.text))
