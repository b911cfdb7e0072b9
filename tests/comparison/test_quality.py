"""The metrics of the best outputs, with intervals and tests."""

import pytest

from seqgen.comparison.plan import SignificanceOptions
from seqgen.comparison.quality import answers_of, judge, measures_of
from seqgen.data import Example
from seqgen.metrics import Answer, ExactMatch, Measured, Metric, WordErrorRate, metrics

OPTIONS = SignificanceOptions(resamples=50, shuffles=50)
EXAMPLES = [Example("1", ("a",)), Example("2", ("b", "c"))]


class Undescribed(Metric):
    better = "lower"

    def measure_all(self, answers):
        return Measured(1.0)


@pytest.fixture
def quality(produced):
    systems = [
        produced("sure", ["a", "x"]),
        produced("drawn", [["a", "x"], "c"], [["x", "a"], "b"]),
    ]
    found = {"word_error_rate": WordErrorRate(), "plain": Undescribed()}
    return judge(systems, EXAMPLES, found, OPTIONS, seed=1)


def test_the_best_output_of_each_input_counts(quality):
    sure, drawn = quality.values("sure"), quality.values("drawn")
    assert sure["word_error_rate"]["value"] == 0.5
    assert drawn["word_error_rate"] == {"value": 0.25, "low": 0, "high": 0.5, "by_seed": [0, 0.5]}
    assert drawn["plain"] == {"value": 1, "by_seed": [1, 1]}


def test_tests_are_against_a_system_and_are_kept(quality):
    found = quality.against("word_error_rate", "sure")
    assert list(found) == ["drawn"]
    assert found["drawn"]["delta"] == -0.25
    assert quality.against("word_error_rate", "sure") is found
    assert quality.against("plain", "sure") == {}
    assert quality.against("unlikeness", "sure") == {}


def test_an_input_alone_is_that_of_the_first_seed(quality):
    assert quality.single("word_error_rate", "drawn", 0) == 0
    assert quality.single("word_error_rate", "sure", 1) == 1
    assert quality.single("unlikeness", "sure", 1) is None


def test_without_references_nothing_is_judged(produced):
    examples = [EXAMPLES[0], Example("2", ())]
    system = produced("a", ["a", "b"])
    for some in (examples, []):
        found = judge([system], some, {"exact_match": ExactMatch()}, OPTIONS, seed=1)
        assert found.metrics == {}
        assert found.values("a") == {}


def test_answers_have_the_score_of_the_model(output):
    found = answers_of([output("a", -2.0, finished=False)], EXAMPLES[:1])
    assert found == [Answer("1", "a", ("a",), -2, False)]


def test_metrics_explain_themselves():
    built = {name: metrics.build(name) for name in metrics.names()}
    for each in measures_of(built):
        assert each.group == "quality"
        assert each.unit in {"share", "points"}, each.id
        assert ". Formula: " in each.about, each.id
    [rate] = measures_of({"word_error_rate": WordErrorRate()})
    assert rate.title == "word error rate"
    assert rate.about == (
        "The share of words whose output equals none of their references; each answer is one "
        "word. Formula: wrong / words."
    )
    [plain] = measures_of({"mine": Undescribed()})
    assert (plain.about, plain.unit) == ("", "")
