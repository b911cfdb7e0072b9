"""The story of a run, from recipe to report, top to bottom."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
from seqgen.conclusion import (
    check_samples,
    conclude,
    concluded,
    sample_prompts,
    samples_at_validation,
)
from seqgen.config import ConfigFile, bundled_recipes, find_file
from seqgen.data import Dataset, Split
from seqgen.errors import DataError, SeqgenError, UsageError
from seqgen.options import OptionError
from seqgen.recipe import Recipe, check_recipe, named_plugins
from seqgen.reports import try_drawing, write_report
from seqgen.run_directory import REPORT, RunDirectory, check_same, manifest, runs_near
from seqgen.tokenizers import vocabulary_statistics
from seqgen.trained import runs_beside, saved_recipe
from seqgen.training import (
    Checkpoints,
    MetricsLog,
    Outcome,
    Signals,
    Sink,
    Trainer,
    Validation,
    cut_back,
    load_weights,
)


@dataclass(frozen=True)
class RunRequest:
    """What a person asks for: a recipe, overrides of it, and where to."""

    recipe: str
    overrides: Sequence[str] = ()
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    command: Sequence[str] = field(default_factory=tuple)
    plugins: Sequence[str | Path] = ()


def load_recipe(
    wanted: str, overrides: Sequence[str], given: Sequence[str | Path] = ()
) -> tuple[Recipe, ConfigFile]:
    """Find a recipe, import the plugins it names and those `given`, and check it."""
    file = ConfigFile.read(find_file(wanted), overrides)
    named = [file.folder / each for each in named_plugins(file)]
    files = list(dict.fromkeys(str(Path(each).resolve()) for each in (*named, *given)))
    plugins.load_installed()
    plugins.load_files(files)
    # With whole paths, the recipe finds its plugins from the run directory too.
    return replace(check_recipe(file), plugins=tuple(files)), file


def run(request: RunRequest, announce: Sink, watch: Sequence[Sink] = ()) -> Path:
    """Train, evaluate, sample and report; returns the run directory.

    `announce` is called once, with what the run will do; `watch` with every event. Errors: those
    of `seqgen.errors`; nothing is written before recipe and data have been found good.
    """
    directory = run_directory(request)
    if goes_on(request):
        recipe, file = saved_recipe(directory, request.overrides, request.plugins)
    else:
        recipe, file = load_recipe(request.recipe, request.overrides, request.plugins)
    free = partial(directory.check_free, resume=request.resume, overwrite=request.overwrite)
    free()
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
            built.model.initialise(vocabulary_statistics(tokenizers, dataset.train.counts()))
        load = runs_beside(built, recipe.plugins)
        check_samples(built, sample_prompts(built, dataset.valid), load)
        _check_judging(built, dataset)
        trainer = _trainer(built, dataset, directory, load)
        record = manifest(built, dataset, file, request.command)
        record["precision"] = trainer.precision
        record["remarks"] += [trainer.remark] if trainer.remark else []
    except OptionError as error:
        raise file.error(error) from None
    except ValueError as error:  # from a tokenizer that the training text does not suit
        raise DataError(str(error)) from None
    with directory.locked():
        free()  # once more, for a run may have come and gone meanwhile
        if resumed:
            record["recipe"] = check_same(directory, recipe, record).get("recipe")
            _go_back(trainer, directory, recipe)
        else:
            _begin(directory, built, record)
        announce({**record, "resumed_at": trainer.counters.step if resumed else None})
        if not trainer.counters.step or not (
            trainer.finished() and concluded(built, dataset, directory)
        ):
            try_drawing()
            with _training(trainer, directory, watch) as outcome:
                _conclude(built, dataset, load, directory, outcome)
        elif not all((directory.folder / name).exists() for name in REPORT):
            write_report(directory.folder)
    return directory.folder


def goes_on(request: RunRequest) -> bool:
    """Whether the recipe that is asked for is a run directory, whose run shall go on; or is none
    that there is, so that a run must be meant where there are some nearby."""
    wanted = request.recipe
    if not request.resume or os.path.lexists(wanted):  # both take any name
        return request.resume and os.path.isdir(wanted)  # noqa: PTH112
    is_recipe = wanted in bundled_recipes() or Path(wanted).suffix == ".yaml"
    return request.out is None and not is_recipe and bool(runs_near(Path(wanted)))


def run_directory(request: RunRequest) -> RunDirectory:
    """Where the run is, or will be.

    Raises UsageError if the recipe is a run directory, and something else is asked than to resume.
    """
    recipe, out = Path(request.recipe), request.out
    if goes_on(request):
        if out is not None and out.resolve() != recipe.resolve():
            raise UsageError(f"--out {out}: the run in {recipe} goes on where it is")
        return RunDirectory(recipe)
    if RunDirectory(recipe).exists() and RunDirectory(recipe).manifest.is_file():
        raise UsageError(
            f"{recipe}: this is a run; `seqgen run {recipe} --resume` goes on with it, and "
            f"`seqgen run {recipe}/recipe.yaml --out NEW` begins another like it"
        )
    return RunDirectory(out or default_folder(request.recipe))


def default_folder(recipe: str) -> Path:
    """`runs/<recipe name>`."""
    return Path("runs") / Path(recipe).stem


def _trainer(built: Built, dataset: Dataset[Any], directory: RunDirectory, load: Load) -> Trainer:
    return Trainer(
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


def _begin(directory: RunDirectory, built: Built, record: dict[str, Any]) -> None:
    directory.clear()
    directory.write_json(directory.manifest, record)  # first: it says whose the rest is
    save_tokenizers(built.tokenizers, directory.tokenizer)
    directory.write(directory.recipe, built.recipe.text())


def _go_back(trainer: Trainer, directory: RunDirectory, recipe: Recipe) -> None:
    """Stand where the last checkpoint stands; without one, at the beginning.

    What of the recipe may change (the budget, say) is from now on as `recipe` has it.
    """
    checkpoints = Checkpoints(directory.checkpoints)
    folder, best = checkpoints.find("last"), checkpoints.find("best")
    if best is not None:  # which the end of the run needs
        load_weights(best, trainer.model)
    if folder is not None:
        trainer.resume(folder)
    cut_back(directory.metrics, trainer.counters.step if folder is not None else -1)
    directory.write(directory.recipe, recipe.text())


@contextmanager
def _training(
    trainer: Trainer, directory: RunDirectory, watch: Sequence[Sink]
) -> Iterator[Outcome]:
    """Train with a log; after what is done with the outcome a report is written, also where
    training was interrupted."""
    log = MetricsLog(directory.metrics)
    trainer.sinks = (log, *watch)
    try:
        yield trainer.run()
    except BaseException as error:
        if trainer.counters.step and not isinstance(error, KeyboardInterrupt):  # which wants an end
            with suppress(SeqgenError):  # of a full disk, say: what came first is what to mend
                write_report(directory.folder)
        raise
    finally:
        log.close()
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
