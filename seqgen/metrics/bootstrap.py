"""The bootstrap: how far a value would spread over other answers of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from seqgen.metrics.base import Numbers
from seqgen.metrics.resampling import resampled, with_replacement


class Interval(NamedTuple):
    """The least and the largest of the values that may well be the true one."""

    low: float
    high: float


def confidence_interval(
    statistics: Numbers,
    value: Callable[[Numbers], Numbers],
    *,
    seed: int,
    samples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """The percentile bootstrap (Efron and Tibshirani 1993; Koehn 2004 for machine translation).

    As many answers as there are, of `statistics: [answers, columns]`, are drawn with replacement,
    `samples` times; the interval is what the middle `level` of their values span. Quantiles are
    those at p * (samples + 1) of the sorted values (Davison and Hinkley 1997). It says how far the
    choice of sources matters, not that of the seed of a training.

    What a metric says of answers that lack something (a class, an n-gram) it says of a draw that
    lacks it. Of one answer, and where all are equal, the interval is the value. Of few answers it
    is too short: for a mean of 20 by about a tenth.

    Errors: ValueError where there is no answer, fewer than 1 sample, a `level` that is not between
    0 and 1, or a value that is no number.
    """
    check_level(level)
    return percentiles(resampled(statistics, value, with_replacement, samples, seed), level)


def check_level(level: float) -> None:
    """A ValueError for what is no share between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"`level` must be between 0 and 1, but is {level}")


def percentiles(values: Numbers, level: float) -> Interval:
    """What the middle `level` of `values: [samples]` span."""
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="weibull")
    return Interval(float(low), float(high))
