"""The verb `generate`: text from a trained run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.cli.completion import runs
from seqgen.cli.plugin_files import PluginFiles
from seqgen.errors import RecipeError


def generate(
    run: Annotated[Path, typer.Argument(help="A run directory.", autocompletion=runs)],
    prompt: Annotated[
        list[str] | None, typer.Option(help="What to continue; the recipe's own if not given.")
    ] = None,
    decoder: Annotated[
        str | None, typer.Option(help="A registered decoder; the recipe's own if not given.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of it.")
    ] = None,
    max_length: Annotated[int, typer.Option(min=0, help="Tokens to generate.")] = 300,
    samples: Annotated[int, typer.Option(min=1, help="Continuations of each prompt.")] = 1,
    seed: Annotated[int | None, typer.Option(min=0, help="The recipe's own if not given.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    plugins: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="With tokens and scores.")] = False,
) -> None:
    """Continue prompts with a trained run. The same seed gives the same text."""
    import warnings

    from seqgen.tokenizers import UNK
    from seqgen.trained import TrainedRun

    trained = TrainedRun.load(run, device, plugins=plugins or [])
    chosen = _decoder(trained, decoder, settings or [], seed)
    prompts = prompt or list(trained.built.recipe.samples.prompts or ("",))
    try:
        unknown = sum(int((trained.built.tokenizer.encode(each) == UNK).sum()) for each in prompts)
        found = trained.continuations(prompts, chosen, max_length, samples)
    except ValueError as error:
        raise RecipeError(f"--prompt: {error}") from None
    if unknown:
        warnings.warn(f"{unknown} tokens of the prompts are unknown to the model", stacklevel=1)
    flat = [each for continuations in found for each in continuations]
    cut_short = sum(not each.hypothesis.complete for each in flat)
    if cut_short:
        what = f"{cut_short} of {len(flat)} texts are the best found so far"
        warnings.warn(f"the search's budget ran out: {what}", stacklevel=1)
    if as_json:
        typer.echo(json.dumps([_plain(each) for each in flat], indent=2, ensure_ascii=False))
        return
    several = len(flat) > 1
    for continuations in found:
        for number, each in enumerate(continuations):
            if several:
                typer.echo(f"=== {_visible(each.prompt)!r} {number + 1} ===")
            typer.echo(_visible(each.prompt + each.text))


def _decoder(trained: Any, name: str | None, settings: list[str], seed: int | None) -> Any:
    """What `--decoder` and `--set` say, built, with errors that name the setting."""
    from seqgen.options import OptionError
    from seqgen.overrides import lay_over, read_override

    spec = {"name": name} if name is not None else trained.built.recipe.decoder.plain()
    overrides = [read_override(each, "--set") for each in settings]
    try:
        return trained.decoder(lay_over(spec, overrides), seed)
    except OptionError as error:
        path = ".".join(str(step) for step in error.path)
        for override in overrides:
            if override.path[:1] == error.path[:1]:
                raise RecipeError(f"{override}: {path}: {error.message}") from None
        raise RecipeError(f"--decoder {spec['name']}: {error.message}") from None


def _plain(each: Any) -> dict[str, Any]:
    found = each.hypothesis
    return {
        "prompt": each.prompt,
        "text": each.text,
        "tokens": list(found.tokens),
        "pieces": list(each.pieces),
        "log_probs": list(found.log_probs),
        "score": found.score,
        "rank": found.score if found.rank is None else found.rank,
        "finished": found.finished,
        "complete": found.complete,
    }


def _visible(text: str) -> str:
    from seqgen.reports.text import visible

    return visible(text)
