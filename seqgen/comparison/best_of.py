"""The best of n: what is gained by drawing several outputs and taking one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from seqgen.comparison.lengths import lengths
from seqgen.comparison.measures import Outputs
from seqgen.comparison.plan import Unit
from seqgen.comparison.produced import Output
from seqgen.comparison.quality import answers_of
from seqgen.comparison.scores import log_prob, scores
from seqgen.comparison.variety import split
from seqgen.data import Example
from seqgen.metrics import Metric, MetricOfSums
from seqgen.metrics.base import Numbers
from seqgen.metrics.diversity import distinct


def best_of(
    draws: Outputs,
    examples: Sequence[Example],
    metrics: Mapping[str, Metric],
    sizes: Sequence[int],
    unit: Unit,
) -> list[dict[str, Any]]:
    """For each n of `sizes` the measures of the best of the first n draws of each input.

    **by_score**: of each input the draw that the model finds most probable as a whole, the first
    of equal ones; measured by the `metrics`, where all examples have references, and by
    `log_prob_per_token`, `mean_length` and `distinct_2`. It is what can be had without knowing
    what is right.

    **oracle**: of each input the draw that is best by the metric itself, for each metric that adds
    up. It is a bound: what choosing could give at most. (For a metric that is more than a mean over
    inputs, such as BLEU, another choice may be a little better still.)

    Errors: ValueError where an input has fewer than `max(sizes)` draws.
    """
    fewest, most = min(map(len, draws)), max(sizes)
    if fewest < most:
        raise ValueError(f"each input must have at least {most} draws, but one has {fewest}")
    judged = metrics if all(each.references for each in examples) else {}
    sums = {name: each for name, each in judged.items() if isinstance(each, MetricOfSums)}
    statistics = {name: _statistics(each, draws, examples, most) for name, each in sums.items()}
    points = []
    for n in sizes:
        chosen = [max(own[:n], key=log_prob) for own in draws]
        by_score = {**_judged(chosen, examples, judged), **_unjudged(chosen, unit)}
        oracle = {name: _oracle(each, statistics[name][:, :n]) for name, each in sums.items()}
        points.append({"n": n, "by_score": by_score, "oracle": oracle})
    return points


def _judged(
    chosen: Sequence[Output], examples: Sequence[Example], metrics: Mapping[str, Metric]
) -> dict[str, float]:
    answers = answers_of(chosen, examples)
    return {name: metric.measure(answers).value for name, metric in metrics.items()}


def _unjudged(chosen: Sequence[Output], unit: Unit) -> dict[str, float]:
    """What can be said without references."""
    outputs = [[each] for each in chosen]
    found = {**scores(outputs), **lengths(outputs, None, ends=False)}
    diverse = distinct([split(each, unit) for each in chosen], 2)
    if diverse is not None:
        found["distinct_2"] = diverse
    names = ("log_prob_per_token", "mean_length", "distinct_2")
    return {name: value for name, value in found.items() if name in names}


def _statistics(
    metric: MetricOfSums, draws: Outputs, examples: Sequence[Example], most: int
) -> Numbers:
    """Those of the first `most` draws of each input, `[inputs, most, columns]`."""
    by_place = [answers_of([own[place] for own in draws], examples) for place in range(most)]
    found = metric.statistics([*chain.from_iterable(by_place)])
    return found.reshape(most, len(draws), -1).transpose(1, 0, 2)


def _oracle(metric: MetricOfSums, statistics: Numbers) -> float:
    """The value where each input has its best draw, of `[inputs, draws, columns]`."""
    values = metric.value(statistics)
    places = values.argmax(axis=1) if metric.better == "higher" else values.argmin(axis=1)
    chosen = statistics[np.arange(len(statistics)), places]
    return float(metric.value(chosen.sum(axis=0)))
