"""Resampling: how a function of sums varies if the answers are drawn again, many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, check_answers
from seqgen.options import shown

CELLS = 1 << 20
"""How many numbers of an array are there at once: 8 MB of each kind."""

ROUNDING = 1e-9
"""Differences that are nearer than this share of the values are equal but for rounding."""

Value = Callable[[Numbers], Numbers]
"""The values `[...]` of sums `[..., columns]`."""

Draw = Callable[[Generator, int, int], NDArray[np.int64]]
"""How often each answer counts in each sample, `[samples, answers]`, by a generator."""


def with_replacement(generator: Generator, samples: int, answers: int) -> NDArray[np.int64]:
    """As many answers as there are, each draw among all of them: multinomial counts."""
    drawn = generator.integers(answers, size=(samples, answers))
    drawn += np.arange(samples)[:, None] * answers
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(samples, answers)


def each_or_not(generator: Generator, samples: int, answers: int) -> NDArray[np.int64]:
    """Each answer or not, by a coin of its own."""
    return generator.integers(2, size=(samples, answers))


def resampled(statistics: Numbers, value: Value, draw: Draw, samples: int, seed: int) -> Numbers:
    """`value` of the sums of `statistics: [answers, columns]` over each draw, `[samples]`.

    What is drawn is a function of the seed (a PCG64, see `numpy.random`), the number of answers and
    the draw alone, so two metrics of the same answers see the same draws.

    Raises ValueError if there is no answer, fewer than 1 sample, or a value that is not finite.
    """
    if not len(statistics):
        raise ValueError("`statistics` must have at least 1 answer, but has none")
    if samples < 1:
        raise ValueError(f"`samples` must be at least 1, but is {samples}")
    generator = Generator(PCG64(seed))
    at_once = max(1, CELLS // max(statistics.shape))
    found = np.empty(samples)
    for start in range(0, samples, at_once):
        counts = draw(generator, min(at_once, samples - start), len(statistics))
        found[start : start + at_once] = value(counts.astype(float) @ statistics)
    if not np.isfinite(found).all():
        lost = np.count_nonzero(~np.isfinite(found))
        raise ValueError(f"`value` must be finite for what is drawn, but is not in {lost} samples")
    return found


class Interval(NamedTuple):
    """A confidence interval: its lower and upper end."""

    low: float
    high: float


def confidence_interval(
    statistics: Numbers, value: Value, *, seed: int, samples: int = 1000, level: float = 0.95
) -> Interval:
    """The percentile bootstrap (Efron and Tibshirani 1993; Koehn 2004 for machine translation).

    As many answers as there are, of `statistics: [answers, columns]`, are drawn with replacement,
    `samples` times; the interval is what the middle `level` of their values span. Quantiles are
    those at p * (samples + 1) of the sorted values (Davison and Hinkley 1997). It says how far the
    choice of sources matters, not that of the seed of a training.

    Of one answer, and where all are equal, the interval is the value. Of few answers it is too
    short: for a mean of 20 by about a tenth.

    Raises ValueError if there is no answer, fewer than 1 sample, a `level` that is not between 0
    and 1, or a value that is not finite.
    """
    if not 0 < level < 1:
        raise ValueError(f"`level` must be between 0 and 1, but is {level}")
    values = resampled(statistics, value, with_replacement, samples, seed)
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="weibull")
    return Interval(float(low), float(high))


class Difference(NamedTuple):
    """The difference between the values of two systems, its interval, and the probability of a
    difference at least as large by chance."""

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

    Raises ValueError if there is no answer, one has no reference, or the answers of a system
    do not go with the same sources and references as those of the first, in the same order.
    """
    systems = [first, *others]
    same = "systems must have answers to the same sources"
    for number, answers in enumerate(systems, start=1):
        check_answers(answers)
        if len(answers) != len(first):
            counts = f"system 1 has {len(first)} and system {number} has {len(answers)}"
            raise ValueError(f"{same}, but {counts}")
        for place, (wanted, found) in enumerate(zip(first, answers, strict=True), start=1):
            source = shown(found.source)
            if wanted.source != found.source:
                raise ValueError(
                    f"{same} in the same order, but source {place} of system 1 is "
                    f"{shown(wanted.source)}, and of system {number} {source}"
                )
            if wanted.references != found.references:
                raise ValueError(
                    f"systems must have the same references, but those of source {place}, "
                    f"{source}, are others for system {number} than for system 1"
                )
    every = metric.statistics([answer for answers in systems for answer in answers])
    return every.reshape(len(systems), len(first), every.shape[1])


def paired_test(
    one: Numbers,
    other: Numbers,
    value: Value,
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
    samples), so p is never 0 and the test keeps its level (Phipson and Smyth 2010). Unlike the
    bootstrap's test (Koehn 2004), which has to move what it draws to where no difference would be
    and errs towards differences that are none, it assumes nothing but that, and is exact for few
    answers as for many. Where answers are right or wrong it is McNemar's exact test.

    **Interval**: the paired bootstrap, as in `confidence_interval`, the same draws for both. How
    large a difference is is another question, so 0 may be just within it where p is below 1 -
    level, or the other way round.

    p is 1 where no answer differs, and for one answer. It is of one comparison; for several see
    `holm`.

    Raises ValueError as `confidence_interval` does, and if the shapes differ.
    """
    if one.shape != other.shape:
        shapes = f"{one.shape} and {other.shape}"
        raise ValueError(f"`one` and `other` must have the same shape, but have {shapes}")
    width = one.shape[1]

    def difference(totals: Numbers) -> Numbers:
        return value(totals[..., :width]) - value(totals[..., width:])

    both = np.concatenate([one, other], axis=1)
    interval = confidence_interval(both, difference, seed=seed, samples=samples, level=level)
    delta = float(difference(both.sum(axis=0)))
    return Difference(delta, *interval, _p_value(one, other, value, samples, seed))


def _p_value(one: Numbers, other: Numbers, value: Value, samples: int, seed: int) -> float:
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


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of m tests, adjusted for one another, in the order given (Holm 1979).

    From the smallest on, p_1 <= ... <= p_m: `adjusted_i = min(1, max over j <= i of (m - j + 1) *
    p_j)`. Calling different what is below 0.05 then calls anything different by mistake with a
    probability of at most 0.05 in all, however the tests hang together.

    Raises ValueError if a p-value is not between 0 and 1.
    """
    wrong = [each for each in p_values if not 0 <= each <= 1]
    if wrong:
        raise ValueError(f"`p_values` must be between 0 and 1, but one is {wrong[0]}")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(highest, 1.0)
    return adjusted
