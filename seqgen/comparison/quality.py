"""Quality: what the metrics say of the best outputs, with intervals and tests; what is gained by
taking one of several draws; what a search missed, and what the model itself has wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqgen.comparison import document as stored
from seqgen.comparison import measures
from seqgen.comparison.decode import Comparison, Output, Produced
from seqgen.comparison.document import Difference, RunSearch, Value
from seqgen.comparison.measures import Outputs, averaged
from seqgen.comparison.plan import SignificanceOptions, Unit
from seqgen.data import Example
from seqgen.decoders import Exact
from seqgen.evaluate import evenly_spaced
from seqgen.metrics import (
    Answer,
    Metric,
    MetricOfSums,
    Numbers,
    confidence_interval,
    distinct,
    holm,
    paired_test,
)

TOLERANCE = 1e-6
"""Log-probabilities that are nearer than this (nats, and of large ones this share) are the same."""

BySeed = Sequence[Sequence[Answer]]
"""The best answer to each input, seed by seed."""

Tests = dict[str, Difference]
"""By the label of each other system how it differs."""


@dataclass(frozen=True)
class PlainMetric:
    """A metric that does not add up: its values have no interval and no test.

    `value` is the mean over seeds, `single` that of one input's answer by the first seed.
    """

    metric: Metric
    answers: Mapping[str, BySeed]

    def value(self, label: str) -> Value:
        return averaged([self.metric.measure(own).value for own in self.answers[label]])

    def single(self, label: str, index: int) -> float:
        return self.metric.measure([self.answers[label][0][index]]).value

    def against(self, label: str) -> Tests:
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
        samples, level = self.options.resamples, self.options.level
        low, high = confidence_interval(
            summed, self.metric.value, seed=self.seed, samples=samples, level=level
        )
        seeds = [self.statistics[rows].sum(axis=0) for rows in self.rows_of[label]]
        by_seed = [float(self.metric.value(each)) for each in seeds]
        value = float(self.metric.value(summed.sum(axis=0)))
        return Value(value=value, low=low, high=high, by_seed=by_seed)

    def single(self, label: str, index: int) -> float:
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
        found.append(Answer(example.source, text, example.references, output.log_prob, finished))
    return found


def measured(metric: Metric, answers: BySeed) -> float:
    """The value over all seeds: of all answers together where the metric adds up, else the mean
    over seeds."""
    if isinstance(metric, MetricOfSums):
        return metric.measure([*chain.from_iterable(answers)]).value
    return fmean(metric.measure(own).value for own in answers)


def best_of(
    draws: Outputs,
    examples: Sequence[Example],
    metrics: Mapping[str, Metric],
    sizes: Sequence[int],
    unit: Unit,
) -> list[stored.BestOfPoint]:
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
        chosen = [max(own[:n], key=lambda each: each.log_prob) for own in draws]
        answers = answers_of(chosen, examples)
        by_score = {name: metric.measure(answers).value for name, metric in judged.items()}
        values = measures.scores(chosen)
        values |= measures.lengths([[each] for each in chosen], (), ends=False)
        kept = ("log_prob_per_token", "mean_length")
        by_score |= {name: values[name] for name in kept if name in values}
        diverse = distinct([each.units(unit) for each in chosen], 2)
        by_score |= {} if diverse is None else {"distinct_2": diverse}
        oracle = {
            name: _oracle(metric, statistics[name][:, :n]) for name, metric in additive.items()
        }
        points.append(stored.BestOfPoint(n=n, by_score=by_score, oracle=oracle))
    return points


def _oracle(metric: MetricOfSums, statistics: Numbers) -> float:
    """The value where each input has its best draw, of `[inputs, draws, columns]`."""
    values = metric.value(statistics)
    best = values.argmax(axis=1) if metric.better == "higher" else values.argmin(axis=1)
    chosen = statistics[np.arange(len(statistics)), best]
    return float(metric.value(chosen.sum(axis=0)))


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
        return [i for i, each in enumerate(self.best) if each.generated.hypothesis.complete]


def search(comparison: Comparison, produced: Sequence[Produced]) -> stored.Search | None:
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
    return stored.Search(
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

    **stored.Search error or model error**: an output that is no reference is a search error where a
    reference is more probable, for then the model would have preferred what is right; else it is a
    model error, which no better search would fix. This distinction comes from statistical machine
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
        systems.append(stored.SystemSearch(label=each.system.label, quality=values, **found))
    right, beaten = [], []
    for index, output, example in zip(certain, best, judged, strict=True) if referenced else ():
        right.append(output.generated.text in example.references)
        above = _above(output.log_prob, max(searched.references[index]))
        beaten.append(above and not right[-1])
    reachable = sum(max(each) > -math.inf for each in searched.references) if referenced else None
    return RunSearch(
        run=searched.run,
        certain=len(certain),
        empty=stored.EmptyOutput(
            mean_probability=fmean(map(math.exp, searched.empty)),
            best=fmean(each.length == 0 for each in best) if best else None,
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
        (most.log_prob, output.log_prob)
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
        _above(max(references), output.log_prob)
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
