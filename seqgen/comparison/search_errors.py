"""Search errors: what a search missed, and what the model itself has wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import fmean
from typing import Any

from seqgen.comparison.judgements import measured
from seqgen.comparison.lengths import length
from seqgen.comparison.produced import Output, Produced
from seqgen.comparison.quality import answers_of
from seqgen.comparison.scores import log_prob
from seqgen.data import Example
from seqgen.metrics import Metric

TOLERANCE = 1e-6
"""Log-probabilities that are nearer than this (nats, and of large ones this share) are the same."""


@dataclass(frozen=True)
class Searched:
    """What was found out about each searched input, by the model of `run` alone.

    `best: [inputs]` is what an exact search found: the most probable output where its hypothesis is
    `complete`, the input is a certain one then. `empty: [inputs]` is the log-probability of the
    empty output, `references: [inputs]` those of all references, -inf where one is unreachable, and
    nothing where there are none.
    """

    run: str
    best: Sequence[Output]
    empty: Sequence[float]
    references: Sequence[Sequence[float]]

    @property
    def certain(self) -> list[int]:
        """The places of the certain inputs."""
        complete = (each.generated.hypothesis.complete for each in self.best)
        return [place for place, known in enumerate(complete) if known]


def search_part(
    searched: Sequence[Searched], by_run: Sequence[Mapping[str, Any]], max_nodes: int
) -> dict[str, Any]:
    """What all runs have said, `by_run`; `certain` inputs are so for each run."""
    certain = set.intersection(*(set(each.certain) for each in searched)) if searched else set()
    return {
        "inputs": len(searched[0].best) if searched else 0,
        "certain": len(certain),
        "max_nodes": max_nodes,
        "by_run": list(by_run),
    }


def search_errors(
    searched: Searched,
    produced: Sequence[Produced],
    examples: Sequence[Example],
    metrics: Mapping[str, Metric],
) -> dict[str, Any]:
    """The most probable outputs of a run, and which of them its systems, `produced`, missed.

    Systems, `examples` and `searched` are of the same inputs. Everything is by the log-probability
    of the model alone: a system whose constraints forbid the most probable output missed it, too.

    **Missed** is the most probable output where the best output of a system is less probable, the
    gap is by how many nats (Stahlberg and Byrne 2019 count such search errors by exact search).
    Of several seeds each output counts.

    **Search error or model error**: an output that is no reference is a search error where a
    reference is more probable, for then the model would have preferred what is right; else it is a
    model error, which no better search would mend. So it is told apart in statistical machine
    translation; it takes no exact search, so it is counted on all inputs, not only certain ones.

    What is not defined, all that is about certain inputs where there is none, and all about
    references where an input has none, is left out.
    """
    certain = searched.certain
    referenced = all(each.references for each in examples)
    judged = metrics if referenced else {}
    of_best = [only_outputs(searched.best, certain)]
    found: dict[str, Any] = {
        "run": searched.run,
        "certain": len(certain),
        "empty": _empty(searched),
    }
    if referenced:
        found |= _references(searched, examples)
        found["quality_of_best"] = _quality(of_best, certain, examples, judged)
    found["systems"] = [
        {
            "label": each.system.label,
            **_missed(searched, each),
            "quality": _quality(_by_seed(each, certain), certain, examples, judged),
            **(_wrong(searched, each, examples) if referenced else {}),
        }
        for each in produced
    ]
    return found


def only(produced: Produced, places: Sequence[int]) -> Produced:
    """What the system produced for the inputs at `places`; the rows stay those of all."""
    outputs = [[own[place] for place in places] for own in produced.outputs]
    return replace(produced, outputs=outputs)


def only_outputs(outputs: Sequence[Output], places: Sequence[int]) -> list[Output]:
    """Those at `places`."""
    return [outputs[place] for place in places]


def _by_seed(produced: Produced, places: Sequence[int]) -> list[list[Output]]:
    """The best outputs for the inputs at `places`, seed by seed."""
    return [only_outputs(produced.best(seed), places) for seed in range(len(produced.seeds))]


def _empty(searched: Searched) -> dict[str, float]:
    """The probability of the empty output, and how often it is the most probable one."""
    found = {"mean_probability": fmean(map(math.exp, searched.empty))} if searched.empty else {}
    best = only_outputs(searched.best, searched.certain)
    if best:
        found["best"] = fmean(length(each) == 0 for each in best)
    return found


def _references(searched: Searched, examples: Sequence[Example]) -> dict[str, Any]:
    """How the references fare beside the most probable outputs."""
    reachable = sum(max(each) > -math.inf for each in searched.references)
    found: dict[str, Any] = {"reference_reachable": reachable}
    right, beaten = [], []
    for place in searched.certain:
        best = searched.best[place]
        right.append(best.generated.text in examples[place].references)
        above = _above(log_prob(best), max(searched.references[place]))
        beaten.append(above and not right[-1])
    if right:
        found |= {"best_is_reference": fmean(right), "best_beats_reference": fmean(beaten)}
    return found


def _missed(searched: Searched, produced: Produced) -> dict[str, float]:
    """How often the most probable output was missed, and by how many nats; gaps of outputs that
    are impossible have no size and do not count in these."""
    certain = searched.certain
    pairs = [
        (log_prob(best), log_prob(output))
        for own in _by_seed(produced, certain)
        for best, output in zip(only_outputs(searched.best, certain), own, strict=True)
    ]
    if not pairs:
        return {}
    gaps = [best - output for best, output in pairs if _above(best, output)]
    sizes = [each for each in gaps if math.isfinite(each)]
    found = {"missed": len(gaps) / len(pairs)}
    return {**found, "mean_gap": fmean(sizes), "largest_gap": max(sizes)} if sizes else found


def _quality(
    outputs: Sequence[Sequence[Output]],
    places: Sequence[int],
    examples: Sequence[Example],
    metrics: Mapping[str, Metric],
) -> dict[str, float]:
    """The metrics of outputs by seed for the examples at `places`; nothing where there are none."""
    if not places:
        return {}
    own = [examples[place] for place in places]
    answers = [answers_of(each, own) for each in outputs]
    return {name: measured(metric, answers) for name, metric in metrics.items()}


def _wrong(searched: Searched, produced: Produced, examples: Sequence[Example]) -> dict[str, int]:
    """How many of all outputs are no reference, and whose fault that is."""
    every = range(len(examples))
    outputs = list(chain.from_iterable(_by_seed(produced, every)))
    places = [place for _ in produced.seeds for place in every]
    wrong = [
        _above(max(searched.references[place]), log_prob(output))
        for place, output in zip(places, outputs, strict=True)
        if output.generated.text not in examples[place].references
    ]
    errors = {"search_errors": sum(wrong), "model_errors": len(wrong) - sum(wrong)}
    return {"outputs": len(outputs), "wrong": len(wrong), **errors}


def _above(one: float, other: float) -> bool:
    """Whether `one` is the larger log-probability, not by rounding alone."""
    if other == -math.inf:
        return one > other
    return one > other + TOLERANCE * max(1.0, abs(other))
