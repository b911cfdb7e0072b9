"""Judgements: what one metric says of the best outputs of all systems, and how surely."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import fmean
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqgen.comparison.measures import averaged
from seqgen.comparison.plan import SignificanceOptions
from seqgen.metrics import (
    Answer,
    Metric,
    MetricOfSums,
    confidence_interval,
    holm,
    paired_test,
)
from seqgen.metrics.base import Numbers

BySeed = Sequence[Sequence[Answer]]
"""The best answer to each input, seed by seed."""

Tests = dict[str, dict[str, float]]
"""For the label of each other system `delta`, `low`, `high`, `p_value` and `p_holm`."""


class Judgement(ABC):
    """What a metric says of the systems."""

    @abstractmethod
    def value(self, label: str) -> dict[str, Any]:
        """The value of a system, with `by_seed` and perhaps `low` and `high`."""

    @abstractmethod
    def against(self, label: str) -> Tests:
        """How the others differ from the system of `label`."""

    @abstractmethod
    def single(self, label: str, place: int) -> float:
        """The value of the answer to the input at `place`, by the first seed."""


@final
class Plain(Judgement):
    """A metric that does not add up: it has values by seed, no interval and no test."""

    def __init__(self, metric: Metric, answers: Mapping[str, BySeed]) -> None:
        self.metric = metric
        self.answers = answers

    def value(self, label: str) -> dict[str, Any]:
        """The mean over seeds."""
        return averaged([self.metric.measure(own).value for own in self.answers[label]])

    def against(self, label: str) -> Tests:
        """Nothing: answers of such a metric cannot be drawn again."""
        return {}

    def single(self, label: str, place: int) -> float:
        """What the metric says of one answer."""
        return self.metric.measure([self.answers[label][0][place]]).value


@final
class Sums(Judgement):
    """A metric that adds up. Each different answer is looked at once: systems mostly agree."""

    def __init__(
        self,
        metric: MetricOfSums,
        answers: Mapping[str, BySeed],
        options: SignificanceOptions,
        seed: int,
    ) -> None:
        self.metric = metric
        self.options = options
        self.seed = seed
        rows: dict[Answer, int] = {}
        self.places: dict[str, NDArray[np.int64]] = {
            label: np.array([[rows.setdefault(each, len(rows)) for each in own] for own in seeds])
            for label, seeds in answers.items()
        }
        self.rows = metric.statistics(list(rows))

    def value(self, label: str) -> dict[str, Any]:
        """The value of the sums over all seeds, its interval, and the value of each seed."""
        summed = self._statistics(label)
        low, high = confidence_interval(
            summed,
            self.metric.value,
            seed=self.seed,
            samples=self.options.resamples,
            level=self.options.level,
        )
        by_seed = [float(self._value(self.rows[places])) for places in self.places[label]]
        value = float(self._value(summed))
        return {"value": value, "low": low, "high": high, "by_seed": by_seed}

    def against(self, label: str) -> Tests:
        """Paired tests of all others, corrected for their number."""
        others = [each for each in self.places if each != label]
        found = [self._difference(other, label) for other in others]
        adjusted = holm([each["p_value"] for each in found])
        pairs = zip(others, found, adjusted, strict=True)
        return {other: {**each, "p_holm": p_holm} for other, each, p_holm in pairs}

    def single(self, label: str, place: int) -> float:
        """The value of one answer's statistics."""
        return float(self.metric.value(self.rows[self.places[label][0, place]]))

    def _difference(self, one: str, other: str) -> dict[str, float]:
        seeds = math.lcm(len(self.places[one]), len(self.places[other]))
        found = paired_test(
            self._statistics(one, seeds),
            self._statistics(other, seeds),
            self.metric.value,
            seed=self.seed,
            samples=self.options.shuffles,
            level=self.options.level,
        )
        return found._asdict()

    def _statistics(self, label: str, seeds: int = 0) -> Numbers:
        """The sums over all seeds, `[inputs, columns]`, as if there were so many `seeds`.

        That changes no value, but that of a BLEU which has no match for some n: it is smoothed.
        """
        places = self.places[label]
        summed: Numbers = self.rows[places].sum(axis=0)
        return summed * (seeds // len(places)) if seeds else summed

    def _value(self, statistics: Numbers) -> Numbers:
        return self.metric.value(statistics.sum(axis=0))


def measured(metric: Metric, answers: BySeed) -> float:
    """The value over all seeds: of all answers together where the metric adds up, else the mean
    over seeds. NaN where there is no answer."""
    if not any(answers):
        return math.nan
    if isinstance(metric, MetricOfSums):
        return metric.measure([*chain.from_iterable(answers)]).value
    return fmean(metric.measure(own).value for own in answers)
