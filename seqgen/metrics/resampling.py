"""Resampling: what becomes of a function of sums where the answers are drawn anew, many times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from seqgen.metrics.base import Numbers

CELLS = 1 << 20
"""How many numbers of an array are there at once: 8 MB of each kind, whatever the samples."""

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


def resampled(
    statistics: Numbers, value: Callable[[Numbers], Numbers], draw: Draw, samples: int, seed: int
) -> Numbers:
    """`value` of the sums of `statistics: [answers, columns]` over each draw, `[samples]`.

    What is drawn is a function of the seed (a PCG64, see `numpy.random`), the number of answers and
    the draw alone, so two metrics of the same answers see the same draws. A sample is a row of
    counts times the statistics, and a bounded number of them is there at once.

    Errors: ValueError where there is no answer, fewer than 1 sample, or a value that is no number.
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
