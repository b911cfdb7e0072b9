"""The story of a run, from recipe to report, top to bottom."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from seqgen import plugins
from seqgen.build import (
    Built,
    Load,
    build,
    build_data,
    build_decoder,
    fit_tokenizers,
    restore_tokenizers,
    save_tokenizers,
    supply_decoder,
)
from seqgen.conclusion import conclude
from seqgen.data.base import Dataset, Split
from seqgen.errors import DataError
from seqgen.manifest import check_same, manifest
from seqgen.option_files import placed
from seqgen.options import OptionError
from seqgen.overrides import read_override
from seqgen.recipe import Recipe, check_recipe, named_plugins
from seqgen.recipe_source import RecipeSource, find_recipe
from seqgen.reports import write_report
from seqgen.run_directory import RunDirectory
from seqgen.samples import (
    check_samples,
    sample_prompts,
    samples_at_validation,
)
from seqgen.saved_run import runs_beside
from seqgen.tokenizers import gather_facts
from seqgen.training import Fit, Outcome, Validation
from seqgen.training.checkpoint import Checkpoints, load_weights
from seqgen.training.log import MetricsLog, cut_back
from seqgen.training.loop import Sink
from seqgen.training.signals import Signals


@dataclass(frozen=True)
class RunRequest:
    """What a person asks for: a recipe, overrides of it, and where to."""

    recipe: str
    overrides: Sequence[str] = ()
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    command: Sequence[str] = field(default_factory=tuple)


def load_recipe(wanted: str, overrides: Sequence[str]) -> tuple[Recipe, RecipeSource]:
    """Find a recipe, import the plugins it names, and check it."""
    source = RecipeSource.read(find_recipe(wanted))
    files = [str((source.folder / each).resolve()) for each in named_plugins(source, overrides)]
    plugins.load_installed()
    plugins.load_files(files)
    # With whole paths, the recipe finds its plugins from the run directory too.
    return replace(check_recipe(source, overrides), plugins=tuple(files)), source


def run(request: RunRequest, announce: Sink, watch: Sequence[Sink] = ()) -> Path:
    """Train, evaluate, sample and report; returns the run directory.

    `announce` is called once, with what the run will do; `watch` with every event. Errors: those
    of `seqgen.errors`; nothing is written before recipe and data have been found good.
    """
    recipe, source = load_recipe(request.recipe, request.overrides)
    directory = RunDirectory(request.out or default_folder(request.recipe))
    directory.check_free(resume=request.resume, overwrite=request.overwrite)
    resumed = request.resume and directory.exists()
    try:
        data = build_data(recipe)
        if resumed:
            tokenizers = restore_tokenizers(recipe, data, directory.tokenizer)
        else:
            tokenizers = fit_tokenizers(recipe, data)
        dataset = data.encode(tokenizers)
        built = build(recipe, data, tokenizers, dataset.train.batch(0).tokens)
        if not (resumed and Checkpoints(directory.checkpoints).find("last")):
            built.model.initialise(gather_facts(tokenizers, dataset.train.counts()))
        load = runs_beside(built, recipe.plugins)
        check_samples(built, sample_prompts(built, dataset.valid), load)
        _check_judging(built, dataset)
        fit = _fit(built, dataset, directory, load)
        record = manifest(built, dataset, source, request.command)
        record["precision"] = fit.precision
        record["remarks"] += [fit.remark] if fit.remark else []
    except OptionError as error:
        overrides = [read_override(text) for text in request.overrides]
        raise placed(error, source, overrides) from None
    except ValueError as error:  # from a tokenizer that the training text does not suit
        raise DataError(str(error)) from None
    with directory.locked():
        if resumed:
            check_same(directory, recipe, record)
            _go_back(fit, directory, recipe)
        else:
            _begin(directory, built, record, request.overwrite)
        announce({**record, "resumed_at": fit.counters.step if resumed else None})
        if fit.counters.step == 0 or not directory.result.exists() or not fit.finished():
            with _training(fit, directory, watch) as outcome:
                _conclude(built, dataset, load, directory, outcome)
    return directory.folder


def default_folder(recipe: str) -> Path:
    """`runs/<recipe name>`."""
    return Path("runs") / Path(recipe).stem


def _fit(built: Built, dataset: Dataset[Any], directory: RunDirectory, load: Load) -> Fit:
    return Fit(
        built.model,
        dataset.train,
        built.recipe.train,
        built.device,
        Checkpoints(directory.checkpoints),
        partial(_validate, built, dataset.valid, load) if dataset.valid else None,
    )


def _validate(built: Built, split: Split[Any], load: Load) -> Validation:
    """The figures of the validation part, and samples to see the model learn by."""
    recipe, judge = built.recipe, built.judge()
    options = recipe.evaluation
    quick = supply_decoder(options.validation_decoder, built.tokenizer, recipe.seed, load)
    figures, _ = judge.figures(split, quick, options.validation_examples)
    figures.pop("details", None)  # for people, and at the end
    decoder = build_decoder(recipe, built.tokenizer, load=load)
    prompts, length = sample_prompts(built, split), recipe.samples.length
    samples = samples_at_validation(built.generator(), decoder, prompts, length)
    criterion = judge.criterion(options.criterion, figures)
    return Validation({**figures, "samples": samples}, criterion)


def _check_judging(built: Built, dataset: Dataset[Any]) -> None:
    """An OptionError unless there will be outputs to measure, and a figure by which to choose."""
    judge, options = built.judge(), built.recipe.evaluation
    held_out = [split for split in (dataset.valid, dataset.test) if split is not None]
    if judge.metrics and held_out and not any(split.examples for split in held_out):
        raise OptionError(
            ("metrics",), "this data has no sources, so there are no outputs to judge"
        )
    try:
        judge.check_criterion(options.criterion, dataset.valid, options.validation_examples)
    except ValueError as error:
        raise OptionError(("evaluation", "criterion"), str(error)) from None


def _begin(directory: RunDirectory, built: Built, record: dict[str, Any], overwrite: bool) -> None:
    if overwrite:
        directory.clear()
    save_tokenizers(built.tokenizers, directory.tokenizer)
    directory.write_json(directory.manifest, record)
    directory.write(directory.recipe, built.recipe.text())


def _go_back(fit: Fit, directory: RunDirectory, recipe: Recipe) -> None:
    """Stand where the last checkpoint stands; without one, at the beginning.

    What of the recipe may change (the budget, say) is from now on as `recipe` has it.
    """
    folder = Checkpoints(directory.checkpoints).find("last")
    if folder is not None:
        fit.resume(folder)
    cut_back(directory.metrics, fit.counters.step if folder is not None else -1)
    directory.write(directory.recipe, recipe.text())


@contextmanager
def _training(fit: Fit, directory: RunDirectory, watch: Sequence[Sink]) -> Iterator[Outcome]:
    """Train with a log beside; behind what is done with the outcome stands a report, also where
    training was interrupted."""
    log = MetricsLog(directory.metrics)
    fit.sinks = (log, *watch)
    try:
        yield fit.run()
    finally:
        log.close()
        if fit.counters.step and not isinstance(sys.exception(), KeyboardInterrupt):  # at once
            write_report(directory.folder)


def _conclude(
    built: Built, dataset: Dataset[Any], load: Load, directory: RunDirectory, outcome: Outcome
) -> None:
    """Conclude with the best checkpoint."""
    best = Checkpoints(directory.checkpoints).find("best")
    if best is not None:
        load_weights(best, built.model)
    decoder = build_decoder(built.recipe, built.tokenizer, load=load)
    # All of it is made again where the last of its files is not there.
    with Signals() as signals, signals.interrupting("stopped at the evaluation after training"):
        conclude(built, dataset, decoder, directory, outcome)
