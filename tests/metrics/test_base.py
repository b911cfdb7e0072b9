"""The laws of metrics, for every registered one."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.metrics import Answer, Measured, Metric, metrics

LARGEST = {
    "bleu": 100,
    "chrf": 100,
    "character_error_rate": math.inf,
    "phoneme_error_rate": math.inf,
}
"""What a value can be at most, where that is not 1."""

TEXTS = st.text("ab é", max_size=8) | st.text(max_size=8)
REFERENCES = st.lists(TEXTS, min_size=1, max_size=3).map(tuple)
ANSWERS = st.lists(st.builds(Answer, TEXTS, TEXTS, REFERENCES), min_size=1, max_size=6)
SENTENCES = st.lists(st.text("abcé", min_size=1), min_size=4, max_size=6).map(" ".join)
"""Long enough for BLEU, which is 0 where no text has four words."""


@pytest.fixture(params=metrics.names(), scope="module")
def name(request):
    return request.param


@pytest.fixture(scope="module")
def metric(name, small):
    return metrics.build(small(metrics, name))


def best(metric, name):
    return 0.0 if metric.better == "lower" else LARGEST.get(name, 1)


def test_is_a_metric(metric):
    assert isinstance(metric, Metric)
    assert metric.better in {"lower", "higher"}


def test_its_first_line_is_a_sentence(name):
    """`seqgen list metrics` shows it alone."""
    summary = metrics.entry(name).summary
    assert summary.endswith(".")
    assert len(summary) > 30


@given(ANSWERS)
@settings(deadline=None, max_examples=60)
def test_a_value_is_a_number_within_its_bounds(name, metric, answers):
    value = metric.measure(answers).value
    assert 0 <= value <= LARGEST.get(name, 1)
    assert math.isfinite(value)


@given(ANSWERS)
@settings(deadline=None, max_examples=30)
def test_details_are_plain_data(metric, answers):
    details = dict(metric.measure(answers).details)
    assert details
    assert json.loads(json.dumps(details, allow_nan=False)) == details


@given(ANSWERS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_the_order_of_answers_does_not_matter(metric, answers, random):
    shuffled = list(answers)
    random.shuffle(shuffled)
    assert metric.measure(shuffled) == metric.measure(answers)


@given(st.lists(st.lists(SENTENCES, min_size=1, max_size=3), min_size=1, max_size=4), st.data())
@settings(deadline=None, max_examples=30)
def test_right_outputs_have_the_best_value(name, metric, references, data):
    answers = [Answer("", data.draw(st.sampled_from(each)), tuple(each)) for each in references]
    assert metric.measure(answers).value == best(metric, name)


def test_an_error_makes_it_worse_and_a_second_one_more_so(name, metric):
    right = [Answer("", text, (text,)) for text in ("a b c d e", "f g h i j", "k l m n o")]
    values = [best(metric, name)]
    for wrong in range(3):
        right[wrong] = replace(right[wrong], output="x y z")
        values.append(metric.measure(right).value)
    assert len(set(values)) == 4
    assert values == sorted(values, reverse=metric.better == "higher")


def test_no_answers_are_a_value_error(metric):
    with pytest.raises(ValueError, match="`answers` must have at least 1 answer, but has none"):
        metric.measure([])


def test_no_references_are_a_value_error(metric):
    with pytest.raises(ValueError, match="the answer to 'two' must have at least 1 reference"):
        metric.measure([Answer("one", "a", ("a",)), Answer("two", "b", ())])


def test_texts_are_compared_as_they_are(metric):
    """A composed letter and its parts look alike, but are two texts."""
    composed, parts = Answer("", "é", ("e\u0301",)), Answer("", "e\u0301", ("é",))
    for answer in (composed, parts):
        wrong = metric.measure([answer]).value
        assert wrong == 0 if metric.better == "higher" else wrong > 0


def test_without_details_there_are_none():
    assert dict(Measured(0.5).details) == {}
