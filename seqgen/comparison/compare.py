"""The story of a comparison, from a contest and a plan to the document that reports are made of."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from seqgen.answers import spread, unsatisfied_remark
from seqgen.comparison.best_of import best_of
from seqgen.comparison.catalogue import all_measures
from seqgen.comparison.contest import Contest
from seqgen.comparison.curves import curves
from seqgen.comparison.inputs import Inputs, choose_inputs, unit_of
from seqgen.comparison.measures import columns
from seqgen.comparison.plan import Plan
from seqgen.comparison.produced import Produced
from seqgen.comparison.producing import Workshop
from seqgen.comparison.quality import Quality, judge
from seqgen.comparison.rounding import rounded
from seqgen.comparison.searching import searched
from seqgen.comparison.showing import outputs_shown, traces_shown
from seqgen.comparison.speed import measure_speed
from seqgen.comparison.systems import baseline_of
from seqgen.comparison.values import Measurer
from seqgen.comparison.verdict import quality_measure, verdict
from seqgen.decoders import decoders
from seqgen.metrics import Metric
from seqgen.registry import plain
from seqgen.version import __version__

Document = dict[str, Any]

DIVERSITY = "distinct_2"
"""The measure of diversity by which outputs are drawn against their quality."""


def compare(contest: Contest, plan: Plan) -> Document:
    """Decode, measure and judge; what `compare.json` holds, as plain data.

    But for `timings` it is the same whenever the same weights, plan and seed meet, whatever the
    batches: outputs come in double precision, and numbers are rounded to 9 digits. Errors: those of
    `choose_inputs`, DecodeError. A warning for each system that breaks its own constraints.
    """
    inputs = choose_inputs(contest.runs, plan)
    plan = replace(plan, unit=unit_of(plan, inputs))
    workshops = [Workshop(run, plan) for run in contest.runs]
    references = [
        [first for first, *_ in each.references(inputs.examples)] if inputs.referenced else []
        for each in workshops
    ]
    measurer = Measurer(contest.runs, plan, inputs.examples, references)
    measurer.read_training_texts()  # what is wrong with one is told before the work
    produced = [
        workshops[system.run].produce(system, inputs.texts)
        for system in contest.each(contest.systems, lambda system: system.label)
    ]
    for each in produced:
        _warn_of_constraints(each)
    metrics = contest.runs[0].built.judge().metrics
    quality = judge(produced, inputs.examples, metrics, plan.significance, plan.seed)
    found = {
        **_head(contest, plan, inputs),
        **_measured(contest, plan, produced, quality, measurer),
    }
    found["search"] = searched(contest, workshops, inputs, produced, plan, metrics)
    found["curves"] = curves(contest.systems, contest.names)
    found["best_of"] = _best_of(contest, workshops, inputs, plan, metrics)
    found["verdict"] = verdict(
        found, lambda label: quality.against(found["quality"], label), plan.significance.level
    )
    found["outputs"] = outputs_shown(inputs, produced, quality, plan.shown)
    found["traces"] = traces_shown(contest, workshops, inputs, plan)
    return {**rounded(found), "timings": measure_speed(contest, inputs.texts, plan)}


def _warn_of_constraints(produced: Produced) -> None:
    """Say how many of the best outputs of a system do not satisfy its constraints."""
    best = [own[0].generated.hypothesis for outputs in produced.outputs for own in outputs]
    remark = unsatisfied_remark(sum(not each.satisfied for each in best), len(best))
    if remark:
        warnings.warn(f"{produced.system.label}: {remark}", stacklevel=3)


def _head(contest: Contest, plan: Plan, inputs: Inputs) -> Document:
    """What was compared, and on what."""
    data = contest.runs[0].built.data
    return {
        "format": 1,
        "seqgen": __version__,
        "description": plan.description,
        "seed": plan.seed,
        "plan": plain(plan),
        "runs": contest.described(),
        "inputs": {
            "origin": inputs.origin,
            "count": len(inputs.examples),
            "of": inputs.of,
            "continues": data.continues,
            "references": inputs.referenced,
            "ends": data.ends,
        },
    }


def _measured(
    contest: Contest,
    plan: Plan,
    produced: Sequence[Produced],
    quality: Quality,
    measurer: Measurer,
) -> Document:
    """The measures, and their values for the systems and, by the first run, the references."""
    of_references = measurer.of_references(0)
    baseline = baseline_of(plan, contest.systems, contest.names).label
    systems: list[dict[str, Any]] = [
        {
            "label": each.system.label,
            "run": contest.names[each.system.run],
            "decoder": dict(each.system.spec),
            "draws": each.system.draws,
            "seeds": list(each.seeds),
            "values": measurer.system(each, quality),
            "against_baseline": _tests(quality, each.system.label, baseline),
        }
        for each in produced
    ]
    values = [each["values"] for each in systems]
    measures = columns(all_measures(quality.metrics), values, plan.quality)
    return {
        "measures": {name: each.as_data() for name, each in measures.items()},
        "quality": quality_measure(plan.quality, measures),
        "diversity": DIVERSITY if DIVERSITY in measures else None,
        "baseline": baseline,
        "systems": systems,
        "references": {"values": of_references} if of_references else None,
    }


def _tests(quality: Quality, label: str, baseline: str) -> dict[str, Any]:
    """By each metric that has one, the test of a system against the baseline."""
    tests = {name: quality.against(name, baseline) for name in quality.metrics}
    return {name: own[label] for name, own in tests.items() if label in own}


def _best_of(
    contest: Contest,
    workshops: Sequence[Workshop],
    inputs: Inputs,
    plan: Plan,
    metrics: Mapping[str, Metric],
) -> Document | None:
    """The best of n draws for some of the inputs, evenly spread; None where none are wanted."""
    options, examples = plan.best_of, spread(inputs.examples, plan.best_of.inputs)
    if not examples:
        return None
    part = decoders.check(options.decoder)
    texts = [each.source for each in examples]
    by_run = []
    for run, name in contest.each(
        list(enumerate(contest.names)), lambda each: f"the best of n draws of {each[1]}"
    ):
        decoder = workshops[run].run.decoder(part.plain(), plan.seed)
        draws = workshops[run].draws(decoder, texts, max(options.sizes))
        points = best_of(draws, examples, metrics, options.sizes, plan.diversity_unit)
        by_run.append({"run": name, "points": points})
    return {"decoder": part.plain(), "inputs": len(examples), "by_run": by_run}
