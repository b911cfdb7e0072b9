"""The laws of metrics: every registered one keeps them, and broken ones are found out."""

import numpy as np
import pytest

from seqgen.metrics import Measured, Metric, MetricOfSums, metrics
from seqgen.testing import check_metric
from seqgen.testing.metric import ANSWERS, METRIC_LAWS


@pytest.mark.parametrize("name", metrics.names())
def test_every_registered_metric_keeps_them(name, small):
    report = check_metric(small(metrics, name))
    report.require()
    assert {each.outcome for each in report.findings} == {"kept"}


def test_the_answers_have_what_is_hard():
    right = {each.output in each.references for each in ANSWERS}
    assert right == {True, False}
    assert {len(each.references) for each in ANSWERS} == {1, 2}
    assert all(len(each.source.split()) == len(each.output.split()) for each in ANSWERS)


class Mean(Metric):
    """The share of right outputs; a subclass changes something."""

    better = "higher"

    def measure_all(self, answers):
        return Measured(self.mean([float(each.output in each.references) for each in answers]))

    def mean(self, found):
        return sum(found) / len(found)


class Sums(MetricOfSums):
    """The same by sums."""

    better = "higher"

    def statistics(self, answers):
        return np.array([[each.output in each.references, 1] for each in answers], dtype=float)

    def value(self, totals):
        return totals[..., 0] / totals[..., 1]


class NoDirection(Mean):
    better = "more"


class WrongDirection(Mean):
    better = "lower"


class AlmostAll(Mean):
    def mean(self, found):
        return sum(found[1:]) / max(1, len(found) - 1)


class OnlyWrong(Mean):
    def measure_all(self, answers):
        wrong = [each for each in answers if each.output not in each.references]
        return Measured(float(np.float64(len(answers)) / np.float64(len(wrong))))


class Bare(Mean):
    def measure_all(self, answers):
        return super().measure_all(answers).value


class Text(Mean):
    def mean(self, found):
        return f"{super().mean(found):.0%}"


class Tells(Mean):
    def measure_all(self, answers):
        return (
            super()
            .measure_all(answers)
            ._replace(details={"sources": {each.source for each in answers}})
        )


class Remembers(Mean):
    def __init__(self):
        self.best = 0.0

    def mean(self, found):
        self.best = max(self.best, super().mean(found))
        return self.best


class SharesOfEach(Sums):
    """Divides too early: means of means."""

    def statistics(self, answers):
        return super().statistics(answers) / len(answers)

    def value(self, totals):
        return totals[..., 0]


class OneNumber(Sums):
    def statistics(self, answers):
        return super().statistics(answers)[:, 0]

    def value(self, totals):
        return totals


class Together(Sums):
    def statistics(self, answers):
        return super().statistics(answers).sum(0, keepdims=True)


class OneAtATime(Sums):
    def value(self, totals):
        return totals[0] / totals[1]


SOUND, TWICE = "it measures a finite number", "the same twice"
SUMS, ROWS = "statistics add up", "statistics are a row for each answer"


@pytest.mark.parametrize(
    ("metric", "law", "says"),
    [
        (NoDirection, "it says what is better", '"lower" or "higher", but is \'more\''),
        (WrongDirection, "right answers are no worse than nonsense", 'but `better` is "lower"'),
        (AlmostAll, "the order of answers does not matter", "the order of the answers matters"),
        (OnlyWrong, SOUND, "the value is inf for 1 answers; say what it is"),
        (Bare, SOUND, "must return Measured(value, details), not a float"),
        (Text, SOUND, "the value must be a number, but is a str"),
        (Tells, "details are plain data", "for JSON: Object of type set"),
        (Remembers, TWICE, "keep nothing between calls"),
        (SharesOfEach, SUMS, "sum counts, and divide in `value`"),
        (OneNumber, ROWS, "an array of [answers, columns], not (6,)"),
        (Together, ROWS, "a row for each of 6 answers, but has 1"),
        (OneAtATime, "many values are computed at once", "index columns by `[..., i]`"),
        (lambda: dict, "is a metric", "no Metric"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_breach_is_reported_for_what_it_is(metric, law, says):
    report = check_metric(metric)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(METRIC_LAWS)


def test_classes_will_do_with_sums_or_without():
    check_metric(Sums).require()
    report = check_metric(Mean)
    report.require()
    assert [each.outcome for each in report.findings].count("not tried") == 3
