"""Quality: the metrics of what is best, with intervals, and tests of what is better."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seqgen.comparison.judgements import Judgement, Plain, Sums, Tests
from seqgen.comparison.measures import Measure, Values
from seqgen.comparison.plan import SignificanceOptions
from seqgen.comparison.produced import Output, Produced
from seqgen.comparison.scores import log_prob
from seqgen.data import Example
from seqgen.metrics import Answer, Metric, MetricOfSums
from seqgen.reports.measures import metric_label


@dataclass(frozen=True)
class Quality:
    """What the metrics say of the best outputs of each system. Without references no metric can
    say anything, and `metrics` is empty."""

    metrics: Mapping[str, Metric]
    judgements: Mapping[str, Judgement]
    _tests: dict[tuple[str, str], Tests] = field(default_factory=dict)

    def values(self, label: str) -> Values:
        """The values of a system by each metric, with an interval where it has one."""
        return {name: judged.value(label) for name, judged in self.judgements.items()}

    def against(self, metric: str, label: str) -> Tests:
        """How the other systems differ from that of `label`, by `metric`; `delta` is their value
        less its value. Nothing for a metric that has no test. A result is kept."""
        key = metric, label
        if metric in self.judgements and key not in self._tests:
            self._tests[key] = self.judgements[metric].against(label)
        return self._tests.get(key, {})

    def single(self, metric: str, label: str, place: int) -> float | None:
        """The value of the best output for the input at `place` alone, by the first seed."""
        judged = self.judgements.get(metric)
        return None if judged is None else judged.single(label, place)


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
    (their statistics are summed before; a bootstrap of clusters). So
    they speak of other inputs of the same kind, and of what a system gives on the average of these
    seeds; they do not take several draws for as many inputs, which would make them too sure. Where
    two systems have different numbers of seeds, each counts as often as makes them weigh the same.

    **What the test tests**: whether the two could have changed sides on any input. Where both have
    one seed that is exact. Where one draws and the other does not, their sums for an input differ
    in spread also if they are alike in the mean; then it is a test of the mean for many inputs, as
    a sign test with sizes, and no longer exact for few.

    **Many tests**: `p_holm` is corrected for all systems that are tested against the same one by
    the same metric. All intervals and tests use the same draws, of `seed`.
    """
    if not examples or not all(each.references for each in examples):
        return Quality({}, {})
    answers = {
        each.system.label: [
            answers_of(each.best(place), examples) for place in range(len(each.seeds))
        ]
        for each in produced
    }
    judged = {
        name: Sums(metric, answers, options, seed)
        if isinstance(metric, MetricOfSums)
        else Plain(metric, answers)
        for name, metric in metrics.items()
    }
    return Quality(metrics, judged)


def answers_of(outputs: Sequence[Output], examples: Sequence[Example]) -> list[Answer]:
    """An output for each example as the answer that metrics judge."""
    return [
        Answer(
            example.source,
            output.generated.text,
            example.references,
            log_prob(output),
            output.generated.hypothesis.finished,
        )
        for output, example in zip(outputs, examples, strict=True)
    ]


def measures_of(metrics: Mapping[str, Metric]) -> list[Measure]:
    """The metrics as measures, explained by the first paragraph of their docstrings and the formula
    that the second begins with."""
    return [
        Measure(name, metric_label(name), "quality", metric.better, metric.unit, _about(metric))
        for name, metric in metrics.items()
    ]


def _about(metric: Metric) -> str:
    paragraphs = inspect.cleandoc(type(metric).__doc__ or "").split("\n\n")
    first, *rest = [" ".join(each.split()) for each in paragraphs]
    formula = re.match("`([^`]+)`", rest[0]) if rest else None
    return f"{first} Formula: {formula[1]}." if formula else first
