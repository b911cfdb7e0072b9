"""Two systems on the same sources: how far apart they are, and whether that is chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, check_answers
from seqgen.metrics.bootstrap import check_level, percentiles
from seqgen.metrics.resampling import each_or_not, resampled, with_replacement
from seqgen.plain_values import shown

ROUNDING = 1e-9
"""Differences that are nearer than this share of the values are equal but for rounding."""


class Difference(NamedTuple):
    """How much more the value of one system is than the other's, the interval about that, and how
    often chance alone would set them as far apart."""

    delta: float
    low: float
    high: float
    p_value: float


def paired_statistics(
    metric: MetricOfSums, first: Sequence[Answer], *others: Sequence[Answer]
) -> Numbers:
    """The statistics of systems on the same sources, `[systems, answers, columns]`.

    They have the same columns, those of all answers together, as `paired_test` needs them: a class
    or a tag that only one system gives is one that the others never gave.

    Errors: ValueError where there is no answer, one has no reference, or the answers of a system
    do not go with the same sources and references as those of the first, in the same order.
    """
    systems = [first, *others]
    for number, answers in enumerate(systems, start=1):
        check_answers(answers)
        _check_same_sources(first, answers, number)
    every = metric.statistics([answer for answers in systems for answer in answers])
    return every.reshape(len(systems), len(first), every.shape[1])


def paired_test(
    one: Numbers,
    other: Numbers,
    value: Callable[[Numbers], Numbers],
    *,
    seed: int,
    samples: int = 10_000,
    level: float = 0.95,
) -> Difference:
    """`value` of `one` less that of `other`, both `[answers, columns]` on the same sources.

    **p-value**: paired approximate randomisation (Noreen 1989, Riezler and Maxwell 2005). If the
    systems were alike, either could have given either answer to a source; so answers change sides
    by a coin for each source, `samples` times, and p is the share of these whose difference is at
    least as large, in either direction. What was found counts as one of them, (1 + found) / (1 +
    samples), so p is never 0 and the test keeps its level (Phipson and Smyth 2010). It is the test
    here, and not the bootstrap's (Koehn 2004), for it assumes nothing but that: it is exact for
    few answers as for many. The bootstrap's has to move what it draws to where no difference would
    be, and errs towards differences that are none (Riezler and Maxwell 2005). Where answers are
    right or wrong this is McNemar's exact test.

    **Interval**: the paired bootstrap, as in `confidence_interval`, the same draws for both. It is
    another question, how large the difference is, so now and then 0 is just within it where p is
    below 1 - level, or the other way round.

    p is 1 where no answer differs, and for one answer. It is of one comparison: of 20 systems that
    are no better than the baseline, one has a p of 0.05.

    Errors: as `confidence_interval`; ValueError where the shapes differ.
    """
    check_level(level)
    if one.shape != other.shape:
        shapes = f"{one.shape} and {other.shape}"
        raise ValueError(f"`one` and `other` must have the same shape, but have {shapes}")
    width = one.shape[1]

    def difference(totals: Numbers) -> Numbers:
        return value(totals[..., :width]) - value(totals[..., width:])

    both = np.concatenate([one, other], axis=1)
    differences = resampled(both, difference, with_replacement, samples, seed)
    low, high = percentiles(differences, level)
    delta = float(difference(both.sum(axis=0)))
    return Difference(delta, low, high, _chance(one, other, value, samples, seed))


def _chance(
    one: Numbers, other: Numbers, value: Callable[[Numbers], Numbers], samples: int, seed: int
) -> float:
    """The p-value of the difference between `one` and `other`."""
    ones, others = one.sum(axis=0), other.sum(axis=0)
    # Where both systems have the same, changing sides changes nothing.
    changes = (one - other)[(one != other).any(axis=1)]
    if not len(changes):
        return 1.0

    def difference(changed: Numbers) -> Numbers:
        return np.abs(value(ones - changed) - value(others + changed))

    found = resampled(changes, difference, each_or_not, samples, seed)
    values = float(value(ones)), float(value(others))
    rounding = ROUNDING * max(*map(abs, values), found.max())
    as_large = np.count_nonzero(found >= abs(values[0] - values[1]) - rounding)
    return float(1 + as_large) / (1 + samples)


def _check_same_sources(first: Sequence[Answer], answers: Sequence[Answer], number: int) -> None:
    """A ValueError that says where `answers`, of system `number`, part from the first system's."""
    if len(answers) != len(first):
        counts = f"system 1 has {len(first)} and system {number} has {len(answers)}"
        raise ValueError(f"systems must have answers to the same sources, but {counts}")
    for place, (wanted, found) in enumerate(zip(first, answers, strict=True), start=1):
        if wanted.source != found.source:
            raise ValueError(
                f"systems must have answers to the same sources in the same order, but source "
                f"{place} of system 1 is {shown(wanted.source)}, and of system {number} "
                f"{shown(found.source)}"
            )
        if wanted.references != found.references:
            raise ValueError(
                f"systems must have the same references, but those of source {place}, "
                f"{shown(found.source)}, are others for system {number} than for system 1"
            )
