"""Quality: what the metrics say of the best outputs, with intervals and tests; all values of a
system; and what is gained by drawing several outputs and taking one."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from seqgen.build import Built
from seqgen.comparison import measures
from seqgen.comparison.decode import Output, Produced
from seqgen.comparison.document import BestOfPoint, Difference, Measure, Value, Values
from seqgen.comparison.measures import Outputs, averaged, length, log_prob
from seqgen.comparison.plan import SignificanceOptions, Unit
from seqgen.data import Example
from seqgen.metrics import (
    Answer,
    Metric,
    MetricOfSums,
    Numbers,
    TrainingText,
    confidence_interval,
    distinct,
    holm,
    paired_test,
)
from seqgen.reports import metric_label

BySeed = Sequence[Sequence[Answer]]
"""The best answer to each input, seed by seed."""

Tests = dict[str, Difference]
"""By the label of each other system how it differs."""


class PlainMetric:
    """A metric that does not add up: its values have no interval and no test."""

    def __init__(self, metric: Metric, answers: Mapping[str, BySeed]) -> None:
        self.metric = metric
        self.answers = answers

    def value(self, label: str) -> Value:
        """The mean over seeds, and the value of each seed."""
        return averaged([self.metric.measure(own).value for own in self.answers[label]])

    def single(self, label: str, index: int) -> float:
        """The value of the answer to the input of that index alone, by the first seed."""
        return self.metric.measure([self.answers[label][0][index]]).value

    def against(self, label: str) -> Tests:
        """There is none."""
        return {}


class AdditiveMetric:
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
        self.rows_of: dict[str, NDArray[np.int64]] = {
            label: np.array([[rows.setdefault(each, len(rows)) for each in own] for own in seeds])
            for label, seeds in answers.items()
        }
        self.statistics = metric.statistics(list(rows))
        self._tests: dict[str, Tests] = {}

    def value(self, label: str) -> Value:
        """The value of the sums over all seeds, its interval, and the value of each seed."""
        summed = self._summed(label)
        low, high = confidence_interval(
            summed,
            self.metric.value,
            seed=self.seed,
            samples=self.options.resamples,
            level=self.options.level,
        )
        seeds = [self.statistics[rows].sum(axis=0) for rows in self.rows_of[label]]
        by_seed = [float(self.metric.value(each)) for each in seeds]
        value = float(self.metric.value(summed.sum(axis=0)))
        return Value(value=value, low=low, high=high, by_seed=by_seed)

    def single(self, label: str, index: int) -> float:
        """The value of the answer to the input of that index alone, by the first seed."""
        return float(self.metric.value(self.statistics[self.rows_of[label][0, index]]))

    def against(self, label: str) -> Tests:
        """Paired tests of all others against the system of `label`, corrected for their number;
        `delta` is their value less its value."""
        if label not in self._tests:
            found = {}
            for other in [each for each in self.rows_of if each != label]:
                seeds = math.lcm(len(self.rows_of[other]), len(self.rows_of[label]))
                found[other] = paired_test(
                    self._summed(other, seeds),
                    self._summed(label, seeds),
                    self.metric.value,
                    seed=self.seed,
                    samples=self.options.shuffles,
                    level=self.options.level,
                )
            adjusted = holm([each.p_value for each in found.values()])
            self._tests[label] = {
                other: Difference(**test._asdict(), p_holm=p_holm)
                for (other, test), p_holm in zip(found.items(), adjusted, strict=True)
            }
        return self._tests[label]

    def _summed(self, label: str, seeds: int = 0) -> Numbers:
        """The sums over all seeds, `[inputs, columns]`, as if there were so many `seeds`.

        That changes no value, but that of a BLEU which has no match for some n: it is smoothed.
        """
        rows = self.rows_of[label]
        summed: Numbers = self.statistics[rows].sum(axis=0)
        return summed * (seeds // len(rows)) if seeds else summed


Quality = Mapping[str, PlainMetric | AdditiveMetric]
"""What the metrics, by name, say of all systems; empty where an input has no reference."""


def judge(
    produced: Sequence[Produced],
    examples: Sequence[Example],
    metrics: Mapping[str, Metric],
    options: SignificanceOptions,
    seed: int,
) -> Quality:
    """What the `metrics` say of the best output for each example, for all systems.

    **Several seeds.** The value over all seeds is that of all their answers together, as if each
    input came once a seed. Intervals and tests draw inputs, each with the answers of all its seeds
    (their statistics are summed before; a bootstrap of clusters). So they apply to other inputs of
    the same kind, and to the average of these seeds; they do not take several draws for as many
    inputs, which would make them too narrow. Where two systems have different numbers of seeds,
    each counts as often as makes them weigh the same.

    **What the test tests**: whether the two could have changed sides on any input. Where both have
    one seed that is exact. Where one draws and the other does not, their sums for an input differ
    in spread even if their means are equal; then it is a test of the mean for many inputs, as a
    sign test with sizes, and no longer exact for few.

    **Many tests**: `p_holm` is corrected for all systems that are tested against the same one by
    the same metric. All intervals and tests use the same draws, of `seed`.
    """
    if not examples or not all(each.references for each in examples):
        return {}
    answers = {
        each.system.label: [answers_of(own, examples) for own in each.best] for each in produced
    }
    return {
        name: AdditiveMetric(metric, answers, options, seed)
        if isinstance(metric, MetricOfSums)
        else PlainMetric(metric, answers)
        for name, metric in metrics.items()
    }


def answers_of(outputs: Sequence[Output], examples: Sequence[Example]) -> list[Answer]:
    """An output for each example as the answer that metrics judge."""
    found = []
    for output, example in zip(outputs, examples, strict=True):
        text, finished = output.generated.text, output.generated.hypothesis.finished
        score = log_prob(output)
        found.append(Answer(example.source, text, example.references, score, finished))
    return found


def measured(metric: Metric, answers: BySeed) -> float:
    """The value over all seeds: of all answers together where the metric adds up, else the mean
    over seeds."""
    if isinstance(metric, MetricOfSums):
        return metric.measure([*chain.from_iterable(answers)]).value
    return fmean(metric.measure(own).value for own in answers)


def all_measures(metrics: Mapping[str, Metric]) -> list[Measure]:
    """All measures in the order of columns, the `metrics` first. These are explained by the first
    paragraph of their docstrings and the formula that the second begins with."""
    found = []
    for name, metric in metrics.items():
        paragraphs = inspect.cleandoc(type(metric).__doc__ or "").split("\n\n")
        about, *rest = [" ".join(each.split()) for each in paragraphs]
        formula = re.match("`([^`]+)`", rest[0]) if rest else None
        about = f"{about} Formula: {formula[1]}." if formula else about
        title = metric_label(name)
        found.append(Measure(name, title, "quality", metric.better, metric.unit, about))
    return [*found, *measures.MEASURES]


@dataclass
class Measurer:
    """Measures what the systems of a run produced, against its training text if `copies` are looked
    for, and against the first reference of each input, in its own tokens and by its own model;
    `references` is empty where there are none. `unit` is what diversity counts.

    It reads the training text at once. Raises DataError if that cannot be done.
    """

    built: Built
    unit: Unit
    copies: bool
    references: Sequence[Output]
    training: TrainingText | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.copies:
            texts = self.built.data.training_texts()[self.built.data.output_field]
            self.training = measures.training_text(texts, self.unit, self.built.tokenizer)

    def system(self, produced: Produced, quality: Quality) -> Values:
        """All values of a system."""
        rows = produced.rows / sum(map(len, produced.outputs))
        found = {
            **{name: each.value(produced.system.label) for name, each in quality.items()},
            **measures.by_seed(produced, self._measured),
            "rows_per_input": Value(value=rows),
        }
        if not self.built.data.continues:  # then one answer is right
            return found
        wanted = self.of_references
        return found | measures.by_seed(
            produced, lambda each: measures.unlikeness(each, wanted, self.unit)
        )

    @cached_property
    def of_references(self) -> Values:
        """The same measures of the references themselves; empty where there are none."""
        found = self._measured([[each] for each in self.references]) if self.references else {}
        return {name: Value(value=value) for name, value in found.items()}

    def _measured(self, outputs: Outputs) -> Mapping[str, float]:
        return {
            **measures.scores(outputs),
            **measures.variety(outputs, self.unit, self.training),
            **measures.lengths(outputs, list(map(length, self.references)), self.built.data.ends),
        }


def best_of(
    draws: Outputs,
    examples: Sequence[Example],
    metrics: Mapping[str, Metric],
    sizes: Sequence[int],
    unit: Unit,
) -> list[BestOfPoint]:
    """For each n of `sizes` the measures of the best of the first n draws of each input.

    **by_score**: of each input the draw that the model finds most probable as a whole, the first
    of equal ones; measured by the `metrics`, where all examples have references, and by
    `log_prob_per_token`, `mean_length` and `distinct_2`. It needs no reference.

    **oracle**: of each input the draw that is best by the metric itself, for each metric that adds
    up. It is a bound: what choosing could give at most. (For a metric that is more than a mean over
    inputs, such as BLEU, another choice may be a little better still.)

    Raises ValueError if an input has fewer than `max(sizes)` draws.
    """
    fewest, most = min(map(len, draws)), max(sizes)
    if fewest < most:
        raise ValueError(f"each input must have at least {most} draws, but one has {fewest}")
    judged = metrics if all(each.references for each in examples) else {}
    additive = {name: each for name, each in judged.items() if isinstance(each, MetricOfSums)}
    statistics = {}
    for name, metric in additive.items():
        by_draw = [answers_of([own[i] for own in draws], examples) for i in range(most)]
        found = metric.statistics([*chain.from_iterable(by_draw)])
        statistics[name] = found.reshape(most, len(draws), -1).transpose(1, 0, 2)
    points = []
    for n in sizes:
        chosen = [max(own[:n], key=log_prob) for own in draws]
        answers = answers_of(chosen, examples)
        by_score = {name: metric.measure(answers).value for name, metric in judged.items()}
        alone = [[each] for each in chosen]
        values = {**measures.scores(alone), **measures.lengths(alone, (), ends=False)}
        kept = ("log_prob_per_token", "mean_length")
        by_score |= {name: values[name] for name in kept if name in values}
        diverse = distinct([measures.split(each, unit) for each in chosen], 2)
        by_score |= {} if diverse is None else {"distinct_2": diverse}
        oracle = {
            name: _oracle(metric, statistics[name][:, :n]) for name, metric in additive.items()
        }
        points.append(BestOfPoint(n=n, by_score=by_score, oracle=oracle))
    return points


def _oracle(metric: MetricOfSums, statistics: Numbers) -> float:
    """The value where each input has its best draw, of `[inputs, draws, columns]`."""
    values = metric.value(statistics)
    best = values.argmax(axis=1) if metric.better == "higher" else values.argmin(axis=1)
    chosen = statistics[np.arange(len(statistics)), best]
    return float(metric.value(chosen.sum(axis=0)))
