"""Search errors: what a search missed, and what the model itself has wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from seqgen.comparison.decode import Comparison, Output, Produced
from seqgen.comparison.document import EmptyOutput, RunSearch, Search, SystemSearch
from seqgen.comparison.measures import length, log_prob
from seqgen.comparison.quality import answers_of, measured
from seqgen.data import Example
from seqgen.decoders import Exact
from seqgen.evaluate import evenly_spaced
from seqgen.metrics import Metric

TOLERANCE = 1e-6
"""Log-probabilities that are nearer than this (nats, and of large ones this share) are the same."""


@dataclass(frozen=True)
class Searched:
    """What is known of each searched input by the model of `run` alone.

    `best: [inputs]` is what an exact search found: the most probable output where its hypothesis is
    `complete`; then the input is called certain. `empty: [inputs]` is the log-probability of the
    empty output, `references: [inputs]` those of all references, -inf where one is unreachable, and
    nothing where there are none.
    """

    run: str
    best: Sequence[Output]
    empty: Sequence[float]
    references: Sequence[Sequence[float]]

    @property
    def certain(self) -> list[int]:
        """The indices of the certain inputs."""
        return [i for i, each in enumerate(self.best) if each.generated.hypothesis.complete]


def search(comparison: Comparison, produced: Sequence[Produced]) -> Search | None:
    """The exact search of each run on some of the inputs, evenly spread.

    None where the plan wants it for no input, and where outputs have no end of their own: then
    there is no most probable one. References are left aside where text is continued: none of them
    is the right one.
    """
    options, inputs = comparison.plan.search, comparison.inputs.examples
    ends = all(run.built.data.ends for run in comparison.runs)
    chosen = evenly_spaced(range(len(inputs)), options.inputs) if ends else ()
    if not chosen:
        return None
    examples = [inputs[index] for index in chosen]
    if comparison.runs[0].built.data.continues:
        examples = [replace(each, references=()) for each in examples]
    texts = [each.source for each in examples]
    found: list[Searched] = []
    by_run: list[RunSearch] = []
    for name, runner in comparison.each_run("the most probable outputs"):
        scores = [[sum(each.log_probs) for each in some] for some in runner.references(examples)]
        best = [own for [own] in runner.draws(Exact(max_nodes=options.max_nodes), texts, 1)]
        found.append(Searched(name, best, runner.ends_at_once(texts), scores))
        own = [
            replace(each, outputs=[[seed[index] for index in chosen] for seed in each.outputs])
            for each in produced
            if each.system.run == len(by_run)
        ]
        by_run.append(search_errors(found[-1], own, examples, comparison.metrics))
    return Search(
        inputs=len(examples),
        certain=len(set.intersection(*(set(each.certain) for each in found))),
        max_nodes=options.max_nodes,
        by_run=by_run,
    )


def search_errors(
    searched: Searched,
    produced: Sequence[Produced],
    examples: Sequence[Example],
    metrics: Mapping[str, Metric],
) -> RunSearch:
    """The most probable outputs of a run, and which of them its systems, `produced`, missed.

    Systems, `examples` and `searched` are of the same inputs. Everything is by the log-probability
    of the model alone: a system whose constraints forbid the most probable output missed it, too.

    **Missed** is the most probable output where the best output of a system is less probable, the
    gap is by how many nats (Stahlberg and Byrne 2019 count such search errors by exact search).
    Of several seeds each output counts.

    **Search error or model error**: an output that is no reference is a search error where a
    reference is more probable, for then the model would have preferred what is right; else it is a
    model error, which no better search would mend. This distinction comes from statistical machine
    translation; it takes no exact search, so it is made on all inputs, not only certain ones.

    What is not defined is None: what is about certain inputs where there is none, and what is about
    references where an input has none.
    """
    certain = searched.certain
    best = [searched.best[index] for index in certain]
    judged = [examples[index] for index in certain]
    referenced = all(each.references for each in examples)

    def quality(seeds: Sequence[Sequence[Output]]) -> dict[str, float]:
        answers = [answers_of(each, judged) for each in seeds]
        known = metrics if certain and referenced else {}
        return {name: measured(metric, answers) for name, metric in known.items()}

    systems = []
    for each in produced:
        on_certain = [[outputs[index] for index in certain] for outputs in each.best]
        found = _missed(best, on_certain) | (
            _errors(searched, each, examples) if referenced else {}
        )
        values = quality(on_certain)
        systems.append(SystemSearch(label=each.system.label, quality=values, **found))
    right, beaten = [], []
    for index, output, example in zip(certain, best, judged, strict=True) if referenced else ():
        right.append(output.generated.text in example.references)
        above = _above(log_prob(output), max(searched.references[index]))
        beaten.append(above and not right[-1])
    reachable = sum(max(each) > -math.inf for each in searched.references) if referenced else None
    return RunSearch(
        run=searched.run,
        certain=len(certain),
        empty=EmptyOutput(
            mean_probability=fmean(map(math.exp, searched.empty)),
            best=fmean(length(each) == 0 for each in best) if best else None,
        ),
        reference_reachable=reachable,
        best_is_reference=fmean(right) if right else None,
        best_beats_reference=fmean(beaten) if beaten else None,
        quality_of_best=quality([best]) if referenced else None,
        systems=systems,
    )


def _missed(best: Sequence[Output], seeds: Sequence[Sequence[Output]]) -> dict[str, Any]:
    """How often a system missed the `best` outputs, and by how many nats; `seeds` has its own. A
    gap to an impossible output has no size and does not count in these."""
    pairs = [
        (log_prob(most), log_prob(output))
        for own in seeds
        for most, output in zip(best, own, strict=True)
    ]
    gaps = [most - output for most, output in pairs if _above(most, output)]
    sizes = [each for each in gaps if math.isfinite(each)]
    return {
        "missed": len(gaps) / len(pairs) if pairs else None,
        "mean_gap": fmean(sizes) if sizes else None,
        "largest_gap": max(sizes, default=None),
    }


def _errors(searched: Searched, produced: Produced, examples: Sequence[Example]) -> dict[str, int]:
    """How many of all outputs, by seed, are no reference, and whose error that is."""
    by_search = [
        _above(max(references), log_prob(output))
        for outputs in produced.best
        for output, references, example in zip(outputs, searched.references, examples, strict=True)
        if output.generated.text not in example.references
    ]
    wrong, missed = len(by_search), sum(by_search)
    outputs = len(produced.outputs) * len(examples)
    found = {"outputs": outputs, "wrong": wrong}
    return {**found, "search_errors": missed, "model_errors": wrong - missed}


def _above(one: float, other: float) -> bool:
    """Whether `one` is the larger log-probability, not by rounding alone."""
    if other == -math.inf:
        return one > other
    return one > other + TOLERANCE * max(1.0, abs(other))
