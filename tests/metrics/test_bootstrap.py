"""Confidence intervals by the bootstrap."""

import math

import numpy as np
import pytest

from seqgen.metrics import (
    Bleu,
    Chrf,
    ExactMatch,
    MacroRecall,
    WordErrorRate,
    confidence_interval,
)


def mean(totals):
    return totals[..., 0] / totals[..., 1]


def rows(values):
    return np.stack([values, np.ones(len(values))], axis=1).astype(float)


def interval(metric, answers, seed=0, **options):
    return confidence_interval(metric.statistics(answers), metric.value, seed=seed, **options)


def test_a_mean_spreads_by_its_standard_error():
    values = np.arange(100.0)
    error = values.std() / math.sqrt(100)
    found = confidence_interval(rows(values), mean, seed=0, samples=20_000)
    assert found.low == pytest.approx(49.5 - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(49.5 + 1.96 * error, abs=0.1 * error)
    narrow = confidence_interval(rows(values), mean, seed=0, samples=20_000, level=0.5)
    assert narrow.high - narrow.low == pytest.approx(2 * 0.6745 * error, rel=0.05)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_it_covers_the_truth_as_often_as_it_says(share):
    generator = np.random.default_rng(0)
    covered = 0
    for seed in range(600):
        answers = rows(generator.random(100) < share)
        low, high = confidence_interval(answers, mean, seed=seed, samples=300)
        covered += low <= share <= high
    assert 0.92 <= covered / 600 <= 0.98


def test_of_one_answer_it_is_the_value(answers):
    assert interval(ExactMatch(), answers(("a", "a"))) == (1.0, 1.0)
    one = answers(("the cat sat on the mat", "the cat sat on a mat"))
    value = Bleu().measure(one).value
    assert interval(Bleu(), one) == pytest.approx((value, value))


def test_where_all_answers_are_equal_it_is_the_value(answers):
    assert interval(ExactMatch(), answers(*[("a", "b")] * 9)) == (0.0, 0.0)


def test_a_class_that_is_not_drawn_is_left_out(answers):
    """One answer of three has the rare class, which is right; of those of the other one is."""
    found = MacroRecall().measure(three := answers(("r", "r"), ("a", "a"), ("r", "a")))
    assert found.value == 0.75
    assert interval(MacroRecall(), three, samples=2000) == (0.0, 1.0)


def test_what_is_drawn_may_have_no_ngrams(answers):
    some = answers(("", "a b c d"), ("a b c d e", "a b c d e"))
    assert interval(Bleu(), some) == (0.0, 100.0)
    assert interval(Chrf(), some) == (0.0, 100.0)


def test_metrics_of_the_same_answers_see_the_same_draws(answers):
    some = answers(*[("a", "a")] * 11, *[("a", "b")] * 6)
    right, wrong = interval(ExactMatch(), some, seed=5), interval(WordErrorRate(), some, seed=5)
    assert right == pytest.approx((1 - wrong.high, 1 - wrong.low))


def test_it_is_a_function_of_the_seed():
    values = rows(np.arange(50.0))
    one = confidence_interval(values, mean, seed=1)
    assert one == confidence_interval(values, mean, seed=1)
    assert one != confidence_interval(values, mean, seed=2)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_is_between_0_and_1(level):
    with pytest.raises(ValueError, match="`level` must be between 0 and 1, but is"):
        confidence_interval(rows([1.0]), mean, seed=0, level=level)
