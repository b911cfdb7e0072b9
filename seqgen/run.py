"""A run from recipe to report, from top to bottom."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from seqgen import build, conclusion, plugins, trackers, training
from seqgen.build import Built, Load
from seqgen.config import ConfigFile, Override, bundled_recipes, find_file
from seqgen.data import Dataset, Split
from seqgen.errors import DataError, SeqgenError, UsageError
from seqgen.files import write_file
from seqgen.machine import available_cores, computing
from seqgen.options import OptionError
from seqgen.recipe import Recipe, check_recipe, named_plugins
from seqgen.registry import Part
from seqgen.reports import try_drawing, write_report
from seqgen.run_directory import (
    REPORT,
    RunDirectory,
    check_same,
    flat_options,
    manifest,
    runs_near,
    saved_recipe,
)
from seqgen.tokenizers import vocabulary_statistics
from seqgen.trained import load_auxiliary_runs

ALIKE = ("data", "tokenizers", "seed", "parameters", "vocab_size", "budget", "precision", "torch")
"""What must be the same in the manifests of processes that train one model."""


@dataclass(frozen=True)
class RunRequest:
    """What to run: a recipe (a path, a name, or its content), its overrides, and where to write."""

    recipe: str | Mapping[str, Any]
    overrides: Sequence[str | Override] = ()
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    command: Sequence[str] = ()
    plugins: Sequence[str | Path] = ()
    report: bool = True
    """Whether to write the report and its curves, which takes most of the time of a tiny run."""


def load_recipe(
    wanted: str | Mapping[str, Any],
    overrides: Sequence[str | Override],
    given: Sequence[str | Path] = (),
) -> tuple[Recipe, ConfigFile]:
    """Find a recipe, import the plugins it names and those `given`, and check it."""
    if isinstance(wanted, str):
        file = ConfigFile.read(find_file(wanted), overrides)
    else:
        file = ConfigFile.of(wanted, "recipe", overrides)
    named = [file.folder / each for each in named_plugins(file)]
    files = list(dict.fromkeys(str(Path(each).resolve()) for each in (*named, *given)))
    plugins.load_installed()
    plugins.load_files(files)
    # With whole paths, the recipe finds its plugins from the run directory too.
    return replace(check_recipe(file), plugins=tuple(files)), file


@computing()
def run(
    request: RunRequest,
    announce: training.Sink,
    watch: Sequence[training.Sink] = (),
    *,
    processes: training.Processes = training.ALONE,
) -> Path:
    """Train, evaluate, sample and report; returns the run directory.

    `announce` is called once, with what the run will do; `watch` with every event. Of several
    `processes` that train together all call it, and only rank 0 announces, writes and does what
    comes after training. Raises the errors of `seqgen.errors`; nothing is written before recipe and
    data are checked.
    """
    directory = run_directory(request)
    saved, new = partial(saved_recipe, directory), partial(load_recipe, request.recipe)
    recipe, file = (saved if goes_on(request) else new)(request.overrides, request.plugins)
    check_free = partial(directory.check_free, resume=request.resume, overwrite=request.overwrite)
    check_free()
    resumed = request.resume and directory.exists()
    parts, record = _described(
        recipe, file, directory, request.command, resumed=resumed, processes=processes
    )
    trainer = parts.trainer
    processes.check_alike({key: record[key] for key in ALIKE})
    if processes.rank:
        if resumed:
            _go_back(trainer)
        trainer.run()
        return directory.folder
    with directory.locked():
        check_free()  # once more, for a run may have come and gone meanwhile
        if resumed:
            record["recipe"] = check_same(directory, recipe, record).get("recipe")
            training.cut_back(directory.metrics, _go_back(trainer))
        else:
            directory.clear()
            directory.write_json(directory.manifest, record)  # first: it says whose the rest is
            for field, tokenizer in parts.built.tokenizers.items():
                tokenizer.save(directory.tokenizer / field)
        write_file(directory.recipe, recipe.text())  # of a resumed run the budget, say, may change
        trained = trainer.counters.step and trainer.finished()
        done = trained and conclusion.has_concluded(parts.built, parts.dataset, directory)
        with trackers.Tracking({} if done else parts.trackers, directory.trackers) as tracking:
            remarks = tracking.begin(directory.folder.resolve().name, flat_options(recipe.plain()))
            record["remarks"] += remarks
            if remarks and not resumed:
                directory.write_json(directory.manifest, record)
            announce({**record, "resumed_at": trainer.counters.step if resumed else None})
            if not done:
                _train(parts, directory, (*watch, tracking), request.report)
                conclusion.track(tracking, directory, trainer.counters.step)
            elif request.report and not all((directory.folder / name).exists() for name in REPORT):
                write_report(directory.folder)
    return directory.folder


@dataclass(frozen=True)
class _Parts:
    """What a run is made of, and found good."""

    built: Built
    dataset: Dataset[Any]
    load: Load
    trainer: training.Trainer
    trackers: Mapping[str, trackers.Tracker]


def _described(
    recipe: Recipe,
    file: ConfigFile,
    directory: RunDirectory,
    command: Sequence[str],
    *,
    resumed: bool,
    processes: training.Processes,
) -> tuple[_Parts, dict[str, Any]]:
    """The parts of a run, and its manifest. Raises RecipeError, DataError."""
    try:
        parts = _prepare(recipe, directory, resumed=resumed, processes=processes)
        trainer = parts.trainer
        fast = directory.record().get("fast") if resumed else trainer.wants_fast
        routes = trainer.take_fast_routes() if fast else {}
        record = manifest(parts.built, parts.dataset, file, command) | {"fast": routes}
    except OptionError as error:
        raise file.error(error) from None
    except ValueError as error:  # from a tokenizer that the training text does not suit
        raise DataError(str(error)) from None
    record |= {"precision": trainer.precision, "processes": processes.count}
    record["remarks"] += [trainer.remark] * bool(trainer.remark)
    return parts, record


def _prepare(
    recipe: Recipe, directory: RunDirectory, *, resumed: bool, processes: training.Processes
) -> _Parts:
    """The parts of a run. Raises OptionError where options do not go together, DataError, and
    ValueError from a tokenizer."""
    data = build.build_data(recipe)
    if resumed:
        tokenizers = build.restore_tokenizers(recipe, data, directory.tokenizer)
    else:
        tokenizers = build.fit_tokenizers(recipe, data)
    dataset = data.encode(tokenizers)
    _check_batch_size(recipe, processes)
    batch_tokens = dataset.train.batch(0).tokens // processes.count
    built = build.build(recipe, data, tokenizers, batch_tokens)
    tracked_by = trackers.by_name(cast(Sequence[Part[trackers.Tracker]], recipe.trackers))
    begun_with = directory.record().get("threads") if resumed and recipe.threads == "auto" else None
    if isinstance(begun_with, int):  # what `auto` finds changes with the machine and the release
        built = replace(built, threads=max(1, min(begun_with, available_cores())))
    torch.set_num_threads(built.threads)
    checkpoints = training.Checkpoints(directory.checkpoints)
    if not (resumed and checkpoints.find("last")):
        built.model.initialise(vocabulary_statistics(tokenizers, dataset.train.counts()))
    load = load_auxiliary_runs(built, recipe.plugins)
    conclusion.check_samples(built, conclusion.sample_prompts(built, dataset.valid), load)
    _check_evaluation(built, dataset)
    trainer = training.Trainer(
        built.model,
        dataset.train,
        recipe.train,
        built.device,
        checkpoints,
        partial(_validate, built, dataset.valid, load) if dataset.valid else None,
        processes=processes,
    )
    return _Parts(built, dataset, load, trainer, tracked_by)


def goes_on(request: RunRequest) -> bool:
    """Whether the request is to resume a run directory rather than to run a recipe.

    A name that is neither a recipe nor a folder also means a run if there are runs nearby.
    """
    wanted = request.recipe
    if not isinstance(wanted, str):
        return False
    if not request.resume or os.path.lexists(wanted):  # both take any name
        return request.resume and os.path.isdir(wanted)  # noqa: PTH112
    is_recipe = wanted in bundled_recipes() or Path(wanted).suffix == ".yaml"
    return request.out is None and not is_recipe and bool(runs_near(Path(wanted)))


def run_directory(request: RunRequest) -> RunDirectory:
    """Where the run is, or will be: by default `runs/<recipe name>`.

    Raises UsageError if the recipe is a run directory and the request is not to resume it there.
    """
    out = request.out
    if not isinstance(request.recipe, str):
        return RunDirectory(out or Path("runs", "recipe"))
    recipe = Path(request.recipe)
    if goes_on(request):
        if out is not None and out.resolve() != recipe.resolve():
            raise UsageError(f"--out {out}: the run in {recipe} goes on where it is")
        return RunDirectory(recipe)
    if RunDirectory(recipe).exists() and RunDirectory(recipe).manifest.is_file():
        raise UsageError(
            f"{recipe}: this is a run; `seqgen run {recipe} --resume` goes on with it, and "
            f"`seqgen run {recipe}/recipe.yaml --out NEW` begins another like it"
        )
    return RunDirectory(out or Path("runs") / recipe.stem)


def _validate(built: Built, split: Split[Any], load: Load) -> training.Validation:
    """The figures of the validation part, and the samples of this validation."""
    recipe, judge = built.recipe, built.judge()
    options = recipe.evaluation
    quick = build.build_decoder(options.validation_decoder, built, recipe.seed, load)
    figures, _ = judge.figures(split, quick, options.validation_examples)
    figures.pop("details", None)  # for people, and at the end
    decoder = build.build_decoder(recipe.decoder, built, recipe.seed, load)
    prompts, length = conclusion.sample_prompts(built, split), recipe.samples.length
    samples = conclusion.samples_at_validation(built.generator(), decoder, prompts, length)
    criterion = judge.criterion(options.criterion, figures)
    return training.Validation({**figures, "samples": samples}, criterion)


def _check_evaluation(built: Built, dataset: Dataset[Any]) -> None:
    """Raises OptionError unless there are outputs to measure, and the criterion can be computed."""
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


def _check_batch_size(recipe: Recipe, processes: training.Processes) -> None:
    """Raises OptionError unless `data.batch_size`, if the data has it and it says how many rows a
    batch has, can be divided among all processes and the parts that each reads it in."""
    options, parts = recipe.plain()["data"], processes.count * recipe.train.accumulate
    size = None if options.get("batch_tokens") else options.get("batch_size")
    if size is not None and size % parts:
        shared = f"{processes.count} processes, train.accumulate {recipe.train.accumulate}"
        message = f"must be divisible by {parts} ({shared}), but is {size}"
        raise OptionError(("data", "batch_size"), message)


def _go_back(trainer: training.Trainer) -> int:
    """Go back to the last checkpoint, or to the beginning if there is none. Returns its step, or
    -1."""
    assert trainer.checkpoints is not None
    last = trainer.checkpoints.find("last")
    if best := trainer.checkpoints.find("best"):  # which the end of the run needs: is it whole?
        training.load_weights(best, trainer.model)
    if last is None:
        return -1
    trainer.resume(last)
    return trainer.counters.step


def _train(
    parts: _Parts, directory: RunDirectory, watch: Sequence[training.Sink], report: bool
) -> None:
    """Train with a log, conclude with the best checkpoint, and `report`, also after errors."""
    if report:
        try_drawing()
    log = training.MetricsLog(directory.metrics)
    built, trainer = parts.built, parts.trainer
    trainer.sinks = (log, *watch)
    try:
        outcome = trainer.run()
        if best := training.Checkpoints(directory.checkpoints).find("best"):
            training.load_weights(best, built.model)
        decoder = build.build_decoder(built.recipe.decoder, built, built.recipe.seed, parts.load)
        # Everything is made again if the last of its files is missing.
        stopped = "stopped at the evaluation after training"
        with training.Signals() as signals, signals.interrupting(stopped):
            conclusion.conclude(built, parts.dataset, decoder, directory, outcome)
    except BaseException as error:
        if report and trainer.counters.step and not isinstance(error, KeyboardInterrupt):
            with suppress(SeqgenError):  # such as a full disk: the first error is the one to fix
                write_report(directory.folder)
        raise
    finally:
        log.close()
    if report:
        write_report(directory.folder)
