"""Comparing: from runs and a plan to the document, what is checked before, and its folder."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from seqgen import files
from seqgen.build import dry_run_decoder
from seqgen.comparison import document as stored
from seqgen.comparison.cost import measure_cost
from seqgen.comparison.decode import Comparison, Produced
from seqgen.comparison.document import Document, SystemResult, Verdict
from seqgen.comparison.measures import Measurer, all_measures, columns, drawn_by_position
from seqgen.comparison.page import write_comparison
from seqgen.comparison.plan import Plan
from seqgen.comparison.quality import Quality, best_of, judge, search
from seqgen.comparison.results import quality_measure, verdict
from seqgen.comparison.systems import System, baseline_of, check_decoders, curves
from seqgen.decoders import decoders
from seqgen.errors import CheckpointError, SetupError
from seqgen.evaluate import evenly_spaced, unsatisfied_remark
from seqgen.options import OptionError
from seqgen.registry import plain
from seqgen.run_directory import best_checkpoint
from seqgen.trained import TrainedRun
from seqgen.training import WEIGHTS
from seqgen.version import __version__

DIVERSITY = "distinct_2"
"""The measure of diversity by which outputs are drawn against their quality."""


def compare(comparison: Comparison) -> Document:
    """Decode, measure and judge.

    But for `timings` the document is the same whenever the same weights, plan and seed meet,
    whatever the batches: outputs come in double precision, and numbers are rounded to 9 digits. A
    warning for each system that breaks its own constraints.

    Raises DecodeError, and what `choose_inputs` raises.
    """
    plan, inputs = comparison.plan, comparison.inputs
    measurers = []
    for runner in comparison.runners:
        references = runner.references(inputs.examples) if inputs.referenced else []
        first = [each for each, *_ in references]
        measurers.append(Measurer(runner.run.built, comparison.unit, plan.copies, first))
    produced = [
        comparison.runners[system.run].produce(system, inputs.texts)
        for system in comparison.each(comparison.systems, lambda system: system.label)
    ]
    for each in produced:
        best = [own.generated.hypothesis for outputs in each.best for own in outputs]
        remark = unsatisfied_remark(sum(not one.satisfied for one in best), len(best))
        if remark:
            warnings.warn(f"{each.system.label}: {remark}", stacklevel=2)
    quality = judge(produced, inputs.examples, comparison.metrics, plan.significance, plan.seed)
    document = _document(comparison, produced, measurers, quality)
    judged = quality.get(document.quality or "")
    given = verdict(document, judged.against if judged else lambda label: {})
    finished: Document = stored.rounded(replace(document, verdict=given))
    return replace(finished, timings=measure_cost(comparison, inputs.texts))


def _document(
    comparison: Comparison,
    produced: Sequence[Produced],
    measurers: Sequence[Measurer],
    quality: Quality,
) -> Document:
    """The document before the verdict and the timings."""
    plan, inputs, names = comparison.plan, comparison.inputs, comparison.names
    data, references = comparison.runs[0].built.data, measurers[0].of_references
    baseline = baseline_of(plan, comparison.systems, names).label
    tests = {name: metric.against(baseline) for name, metric in quality.items()}
    systems = [
        SystemResult(
            label=(label := each.system.label),
            run=names[each.system.run],
            decoder=dict(each.system.spec),
            draws=each.system.draws,
            seeds=list(each.seeds),
            values={name: metric.value(label) for name, metric in quality.items()}
            | measurers[each.system.run].measure(each),
            against_baseline={name: own[label] for name, own in tests.items() if label in own},
        )
        for each in produced
    ]
    metrics = {name: each for name, each in comparison.metrics.items() if name in quality}
    measures = columns(all_measures(metrics), [each.values for each in systems], plan.quality)
    return Document(
        format=stored.FORMAT,
        seqgen=__version__,
        description=plan.description,
        seed=plan.seed,
        plan=plain(replace(plan, unit=comparison.unit)),
        runs=list(map(_run_info, comparison.runs, names)),
        inputs=stored.InputsInfo(
            origin=inputs.origin,
            count=len(inputs.examples),
            of=inputs.of,
            continues=data.continues,
            references=inputs.referenced,
            ends=data.ends,
        ),
        measures=measures,
        quality=quality_measure(plan.quality, measures),
        diversity=DIVERSITY if DIVERSITY in measures else None,
        baseline=baseline,
        systems=systems,
        references=stored.References(values=references) if references else None,
        search=search(comparison, produced),
        curves=curves(comparison.systems, names),
        best_of=_best_of(comparison),
        verdict=Verdict(take=None, why=[]),
        outputs=_shown_outputs(comparison, produced, quality),
        traces=_shown_traces(comparison),
        timings=None,
        drawn=_drawn(produced),
    )


def _drawn(produced: Sequence[Produced]) -> list[stored.DrawnSystem]:
    """What the systems that draw do draw from."""
    found = [(each.system.label, drawn_by_position(each)) for each in produced]
    return [stored.DrawnSystem(label=label, points=points) for label, points in found if points]


def _run_info(run: TrainedRun, name: str) -> stored.RunInfo:
    record = run.directory.record()
    return stored.RunInfo(
        name=name,
        recipe=record.get("recipe"),
        description=run.built.recipe.description,
        parameters=run.built.parameters,
        weights=files.sha256(best_checkpoint(run.directory) / WEIGHTS),
        data=record.get("data"),
    )


def _best_of(comparison: Comparison) -> stored.BestOf | None:
    """The best of n draws for some of the inputs, evenly spread; None where none are wanted."""
    plan, options = comparison.plan, comparison.plan.best_of
    examples = evenly_spaced(comparison.inputs.examples, options.inputs)
    if not examples:
        return None
    spec = decoders.check(options.decoder).plain()
    texts = [each.source for each in examples]
    by_run = []
    for name, runner in comparison.each_run("the best of n draws"):
        draws = runner.draws(runner.run.decoder(spec, plan.seed), texts, max(options.sizes))
        points = best_of(draws, examples, comparison.metrics, options.sizes, comparison.unit)
        by_run.append(stored.BestOfRun(run=name, points=points))
    return stored.BestOf(decoder=spec, inputs=len(examples), by_run=by_run)


def _shown_outputs(
    comparison: Comparison, produced: Sequence[Produced], quality: Quality
) -> list[stored.ShownInput]:
    """For some inputs, evenly spread, the best output of each system by its first seed."""
    inputs, found = comparison.inputs.examples, []
    for index in evenly_spaced(range(len(inputs)), comparison.plan.shown):
        by = []
        for each in produced:
            best, label = each.outputs[0][index][0], each.system.label
            hypothesis = best.generated.hypothesis
            output = stored.ShownOutput(
                label=label,
                text=best.generated.text,
                log_prob=best.log_prob,
                finished=hypothesis.finished,
                **best.generated.early_end,
                complete=hypothesis.complete,
                satisfied=hypothesis.satisfied,
                values={name: metric.single(label, index) for name, metric in quality.items()},
            )
            by.append(output)
        source, references = inputs[index].source, list(inputs[index].references)
        found.append(stored.ShownInput(input=source, references=references, by=by))
    return found


def _shown_traces(comparison: Comparison) -> list[stored.ShownTrace]:
    """Traces of some inputs, evenly spread, by each system and its first seed."""
    inputs = comparison.inputs.texts
    chosen = evenly_spaced(range(len(inputs)), comparison.plan.traced)
    if not chosen:
        return []
    texts = [inputs[index] for index in chosen]
    by_system = []
    for system in comparison.each(comparison.systems, lambda each: f"traces of {each.label}"):
        about = {"label": system.label, "run": comparison.names[system.run]}
        traces = comparison.runners[system.run].traces(system, texts, chosen)
        by_system.append(
            [stored.ShownTrace(input=each["input"], trace=each, **about) for each in traces]
        )
    return [each for of_input in zip(*by_system, strict=True) for each in of_input]


def check_for_runs(comparison: Comparison) -> None:
    """Build each decoder of a plan for its run once, for problems that only a vocabulary can show;
    and see whether there can be such a `quality`.

    Raises OptionError with the path in the plan, and what auxiliary runs raise.
    """
    plan, runs = comparison.plan, comparison.runs
    data = [run.built.data for run in runs]
    quality_measure(plan.quality, {each.id: each for each in all_measures(comparison.metrics)})
    judging = (*comparison.metrics, "unlikeness")
    copying, copies = ("copied", "longest_copy"), "`copies`, which the plan has switched off"
    for names, possible, needs in (
        (judging, plan.inputs.prompts is None, "references, and prompts have none"),
        (judging, plan.inputs.file is None, "references, and lines of a file have none"),
        (["unlikeness"], any(each.continues for each in data), "text that goes on"),
        (["finished"], any(each.ends for each in data), "outputs that end by themselves"),
        (copying, plan.copies, copies),
    ):
        if plan.quality in names and not possible:
            raise OptionError(("quality",), f"'{plan.quality}' needs {needs}")
    check_decoders(
        plan,
        comparison.systems,
        lambda system: runs[system.run].decoder(dict(system.spec)),
        comparison.names,
    )


def dry_run_decoders(plan: Plan, systems: Sequence[System]) -> None:
    """Build each decoder of a plan without a run, for a vocabulary that is large enough.

    Raises OptionError with the path in the plan.
    """
    check_decoders(
        plan, systems, lambda system: dry_run_decoder(decoders.check(dict(system.spec)), plan.seed)
    )


def applicable(systems: Sequence[System], runs: Sequence[TrainedRun]) -> list[System]:
    """Those of `systems` whose decoder can be built for its run; a warning says which cannot.

    It is for a bundled plan: a run may have fewer tokens than `top_k` wants.
    """
    found = []
    for system in systems:
        try:
            runs[system.run].decoder(dict(system.spec))
        except OptionError as error:
            warnings.warn(f"{system.label} is left out: {error.message}", stacklevel=2)
        else:
            found.append(system)
    return found


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder where something else lies, or where nothing can be written; writes nothing.

    Raises SetupError.
    """
    try:
        found = {each.name: files.kind_of(each) for each in folder.iterdir()}
    except FileNotFoundError:
        found = {}
    except NotADirectoryError:
        raise SetupError(f"{folder}: not a directory; choose another with --out") from None
    except OSError as error:
        raise SetupError(f"{folder}: cannot be read: {error.strerror}") from None
    kinds = {name: kind for name, kind in found.items() if not _is_staging(name)}
    ours = not kinds or _is_ours(folder)
    if kinds and ours and not overwrite:
        raise SetupError(
            f"{folder}: has a comparison already; --overwrite it, or choose another --out"
        )
    own = (*stored.FILES, stored.CHARTS)
    foreign = [name for name, kind in sorted(kinds.items()) if name not in own or kind != "file"]
    files.check_unoccupied(folder, "comparison", foreign, ours=ours)
    there = next(each for each in (folder, *folder.absolute().parents) if os.path.lexists(each))
    if not os.access(there, os.W_OK | os.X_OK):
        raise SetupError(f"{folder}: cannot be written: no permission in {there}")


def write(folder: Path, document: Document) -> None:
    """Put compare.json and the reports into `folder`, all of them or none, in place of an older
    comparison. Raises SetupError."""
    staging = files.temporary_name(folder / "compare")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for each in folder.iterdir():
                if _is_staging(each.name) and files.kind_of(each) == "folder":
                    shutil.rmtree(each)
            staging.mkdir()
            files.write_file(staging / stored.DOCUMENT, stored.document_text(document))
            write_comparison(staging)
            for name in stored.FILES:  # the first says that a comparison made the folder
                (staging / name).replace(folder / name)
            (folder / stored.CHARTS).unlink(missing_ok=True)  # those of an older comparison
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            with suppress(OSError):  # empty where nothing was written
                folder.rmdir()
    except SetupError as error:  # that names a file which is not there any more
        raise SetupError(str(error).replace(str(staging), str(folder))) from None
    except OSError as error:
        raise SetupError(f"{folder}: cannot be written: {error.strerror}") from None


def _is_staging(name: str) -> bool:
    """Whether `write` makes its files in a folder of that name; one that was killed leaves it."""
    return name != "compare" and files.written_as(name) == "compare"


def _is_ours(folder: Path) -> bool:
    """Whether the folder has a comparison of any format, and not another file of that name."""
    with suppress(CheckpointError):
        found = files.read_mapping(folder / stored.DOCUMENT)
        return "format" in found and isinstance(found.get("systems"), list)
    return False
