"""Unlikeness: how far the statistics of outputs are from those of held-out text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from seqgen.comparison.measures import Measure, Outputs
from seqgen.comparison.plan import Unit
from seqgen.comparison.scores import scores
from seqgen.comparison.variety import split
from seqgen.metrics.diversity import distinct

COMPARED = ("log_prob_per_token", "distinct_1", "distinct_2", "distinct_3")
"""The measures that are looked at; all have one sign, so that they have a ratio."""

FURTHEST = math.log(100)
"""A statistic that is further away than a hundred times as much, or that is 0, counts as that."""

MEASURES = (
    Measure(
        "unlikeness",
        "unlikeness to held-out text",
        "quality",
        "lower",
        "",
        "How far the statistics of outputs are from those of as much held-out text, 0 for alike: "
        "the mean of |ln(value / value of the held-out text)| over the log-probability per token "
        "and distinct-1 to distinct-3.",
    ),
)


def unlikeness(
    outputs: Outputs, references: Mapping[str, Mapping[str, Any]], unit: Unit
) -> dict[str, float]:
    """The unlikeness of `outputs` to text of which `references` has the values, as `{"unlikeness":
    ...}`; nothing where a statistic is not defined for either.

    For models of running text, where no reference is the right answer. Holtzman et al. (2020) ask
    of generated text that its statistics be those of human text: a maximum is too probable and
    repeats itself, pure sampling from a model's tail is not probable enough. So it is measured on
    both sides, how probable the model finds a token (their perplexity), and how much of what is
    said is different. They look at self-BLEU and repetition besides; those stand in the table
    beside it, for they can be 0, where no ratio is defined. A mean of 0.1 is about 10 % too much
    or too little.

    Distinct n-grams depend on how much text there is. So where an input has several outputs, the
    first ones of all inputs are compared, then the second ones, and the mean of that is given.
    """
    samples = min((len(own) for own in outputs), default=0)
    wanted = {name: references.get(name, {}).get("value") for name in COMPARED}
    found = [
        _distance(_statistics([[own[place]] for own in outputs], unit), wanted)
        for place in range(samples)
    ]
    defined = [each for each in found if each is not None]
    return {"unlikeness": fmean(defined)} if len(defined) == len(found) > 0 else {}


def _statistics(outputs: Outputs, unit: Unit) -> Mapping[str, float | None]:
    """The values of COMPARED."""
    units: Sequence[Sequence[str]] = [split(each, unit) for own in outputs for each in own]
    return {
        "log_prob_per_token": scores(outputs).get("log_prob_per_token"),
        **{f"distinct_{n}": distinct(units, n) for n in (1, 2, 3)},
    }


def _distance(
    values: Mapping[str, float | None], wanted: Mapping[str, float | None]
) -> float | None:
    distances = []
    for name in COMPARED:
        value, other = values[name], wanted[name]
        if value is None or other is None:
            return None
        ratio = value / other if other else math.nan
        distances.append(min(abs(math.log(ratio)), FURTHEST) if ratio > 0 else FURTHEST)
    return fmean(distances)
