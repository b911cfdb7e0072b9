"""Rehearsal: what is wrong with a plan is told before anything is decoded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from seqgen.build import dry_run_decoder
from seqgen.comparison.catalogue import all_measures
from seqgen.comparison.plan import Plan
from seqgen.comparison.systems import System
from seqgen.comparison.verdict import quality_measure
from seqgen.decoders import decoders
from seqgen.options import OptionError
from seqgen.registry import plain
from seqgen.trained import TrainedRun


def check_for_runs(
    plan: Plan, systems: Sequence[System], runs: Sequence[TrainedRun], names: Sequence[str]
) -> None:
    """Build each decoder of a plan for its run once, since what only a vocabulary can tell shall be
    told now; and look whether there may be such a `quality`.

    Errors: OptionError with the path in the plan, and those of runs that help.
    """
    _check_quality(plan, runs)
    about = [f" (of the run {name})" if len(names) > 1 else "" for name in names]
    for system in systems:
        with _placing(system.origin.placed, about[system.run]):
            runs[system.run].decoder(dict(system.spec))
    for place, run in enumerate(runs):
        with _placing(_of_best_of, about[place]):
            run.decoder(plain(plan.best_of.decoder))


def fitting(systems: Sequence[System], runs: Sequence[TrainedRun]) -> list[System]:
    """Those of `systems` whose decoder can be built for its run; a warning says which cannot.

    It is for a plan that nobody wrote for these runs: one may have fewer tokens than `top_k` wants.
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


def rehearse_decoders(plan: Plan, systems: Sequence[System]) -> None:
    """Build each decoder of a plan without a run, for a vocabulary that is large enough.

    Errors: OptionError with the path in the plan.
    """
    for system in systems:
        with _placing(system.origin.placed):
            dry_run_decoder(decoders.check(dict(system.spec)), plan.seed)
    with _placing(_of_best_of):
        dry_run_decoder(decoders.check(plain(plan.best_of.decoder)), plan.seed)


def _check_quality(plan: Plan, runs: Sequence[TrainedRun]) -> None:
    """An OptionError where there is no such measure, or none of what the plan compares."""
    metrics = runs[0].built.judge().metrics
    measures = all_measures(metrics)
    quality_measure(plan.quality, {each.id: each for each in measures})
    given = {"prompts": plan.inputs.prompts, "lines of a file": plan.inputs.file}
    for inputs in (name for name, own in given.items() if own is not None):
        if plan.quality in (*metrics, "unlikeness"):
            needs = f"needs references, and {inputs} have none"
            raise OptionError(("quality",), f"'{plan.quality}' {needs}")
    known = {
        "unlikeness": (any(run.built.data.continues for run in runs), "text that goes on"),
        "finished": (any(run.built.data.ends for run in runs), "outputs that end by themselves"),
        "copied": (plan.copies, "`copies`, which the plan has switched off"),
        "longest_copy": (plan.copies, "`copies`, which the plan has switched off"),
    }
    possible, needs = known.get(plan.quality or "", (True, ""))
    if not possible:
        raise OptionError(("quality",), f"'{plan.quality}' needs {needs}")


@contextmanager
def _placing(placed: Callable[[OptionError], OptionError], about: str = "") -> Iterator[None]:
    """A context in which an OptionError is about a decoder, and becomes one about the plan."""
    try:
        yield
    except OptionError as error:
        told = OptionError(error.path, f"{error.message}{about}", at_key=error.at_key)
        raise placed(told) from None


def _of_best_of(error: OptionError) -> OptionError:
    path = ("best_of", "decoder", *error.path)
    return OptionError(path, error.message, at_key=error.at_key)
