"""Answers drawn anew: resampling, confidence intervals, paired tests and Holm's correction."""

import math
import random
import tracemalloc
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy.random import PCG64, Generator
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest

from seqgen.metrics import (
    Answer,
    Bleu,
    Chrf,
    ExactMatch,
    MacroRecall,
    TagScores,
    WordErrorRate,
    confidence_interval,
    holm,
    metrics,
    paired_statistics,
    paired_test,
    significance,
)
from seqgen.metrics.significance import each_or_not, resampled, with_replacement

ROWS = np.array([[1.0, 1.0], [0.0, 1.0], [2.0, 1.0], [5.0, 1.0]])


def total(sums):
    return sums[..., 0]


def mean(totals):
    return totals[..., 0] / totals[..., 1]


def rows(values):
    return np.stack([values, np.ones(len(values))], axis=1).astype(float)


def interval(metric, answers, seed=0, **options):
    return confidence_interval(metric.statistics(answers), metric.value, seed=seed, **options)


def compared(metric, one, other, samples=4000, seed=0):
    systems = paired_statistics(metric, one, other)
    return paired_test(*systems, metric.value, samples=samples, seed=seed)


def systems(count, error_rates, seed=0):
    """For each of the rates, answers with so many words wrong, to the same sources."""
    generator = np.random.default_rng(seed)
    words = np.array(list("abcdefghij"))
    texts = words[generator.integers(10, size=(count, 9))]
    found = []
    for rate in error_rates:
        wrong = generator.random(texts.shape) < rate
        outputs = np.where(wrong, words[generator.integers(10, size=texts.shape)], texts)
        pairs = enumerate(zip(outputs, texts, strict=True))
        found.append([Answer(str(i), " ".join(one), (" ".join(two),)) for i, (one, two) in pairs])
    return found


def test_each_way_to_draw_has_its_probability():
    for draw, count, shares in [
        (
            with_replacement,  # multinomial counts that sum to 3
            20_000,
            {
                kind: math.factorial(3) / math.prod(map(math.factorial, kind)) / 27
                for kind in product(range(4), repeat=3)
                if sum(kind) == 3
            },
        ),
        (each_or_not, 16_000, dict.fromkeys(product((0, 1), repeat=3), 1 / 8)),
    ]:
        counts = draw(Generator(PCG64(0)), count, 3)
        kinds, times = np.unique(counts, axis=0, return_counts=True)
        found = dict(zip(map(tuple, kinds.tolist()), times / count, strict=True))
        assert found == pytest.approx(shares, abs=0.01)


def test_sums_are_of_what_is_drawn_by_the_seed():
    assert (resampled(ROWS, lambda sums: sums[..., 1], with_replacement, 50, 0) == 4).all()
    swapped = resampled(ROWS, total, each_or_not, 200, 0)
    assert set(swapped) <= set(range(9)) - {4}
    assert {0.0, 8.0} <= set(swapped)
    one = resampled(ROWS, total, with_replacement, 30, 7)
    assert (one == resampled(ROWS, total, with_replacement, 30, 7)).all()
    assert (one != resampled(ROWS, total, with_replacement, 30, 8)).any()
    assert (one[:10] == resampled(ROWS, total, with_replacement, 10, 7)).all()


@pytest.mark.parametrize("draw", [with_replacement, each_or_not])
def test_how_many_are_there_at_once_does_not_matter(draw, monkeypatch):
    wanted = resampled(ROWS, total, draw, 101, 3)
    for cells in (1, 9, 130):
        monkeypatch.setattr(significance, "CELLS", cells)
        assert (resampled(ROWS, total, draw, 101, 3) == wanted).all()


def test_memory_is_bounded():
    """All counts at once would be 80 MB."""
    tracemalloc.start()
    resampled(np.ones((20_000, 2)), total, with_replacement, 500, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


def test_what_has_no_value_is_refused():
    def undefined(sums):
        return np.where(sums[..., 0] > 0, 1.0, np.nan)

    for statistics, value, samples, message in [
        (np.array([[1.0], [0.0]]), undefined, 100, r"`value` must be finite .* in \d+ samples"),
        (np.ones((0, 2)), total, 10, "`statistics` must have at least 1 answer, but has none"),
        (ROWS, total, 0, "`samples` must be at least 1, but is 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            resampled(statistics, value, with_replacement, samples, 0)


def test_a_mean_spreads_by_its_standard_error():
    values = rows(np.arange(100.0))
    error = values[:, 0].std() / math.sqrt(100)
    found = confidence_interval(values, mean, seed=0, samples=20_000)
    wanted = (49.5 - 1.96 * error, 49.5 + 1.96 * error)
    assert found == pytest.approx(wanted, abs=0.1 * error)
    narrow = confidence_interval(values, mean, seed=0, samples=20_000, level=0.5)
    assert narrow.high - narrow.low == pytest.approx(2 * 0.6745 * error, rel=0.05)
    one = confidence_interval(values, mean, seed=1)
    assert one == confidence_interval(values, mean, seed=1)
    assert one != confidence_interval(values, mean, seed=2)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_an_interval_covers_the_truth_as_often_as_it_says(share):
    generator = np.random.default_rng(0)
    covered = 0
    for seed in range(600):
        answers = rows(generator.random(100) < share)
        low, high = confidence_interval(answers, mean, seed=seed, samples=300)
        covered += low <= share <= high
    assert 0.92 <= covered / 600 <= 0.98


SHORT = [("", "a b c d"), ("a b c d e", "a b c d e")]
POINTS = pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** (1 / 4))


@pytest.mark.parametrize(
    ("metric", "some", "wanted"),
    [
        (ExactMatch(), [("a", "a")], (1.0, 1.0)),  # of one answer it is the value
        (Bleu(), [("a b c d e f", "a b c d x f")], (POINTS, POINTS)),
        (ExactMatch(), [("a", "b")] * 9, (0.0, 0.0)),  # and where all are equal
        (MacroRecall(), [("r", "r"), ("a", "a"), ("r", "a")], (0.0, 1.0)),  # a class is not drawn
        (Bleu(), SHORT, (0.0, 100.0)),  # what is drawn may have no n-grams
        (Chrf(), SHORT, (0.0, 100.0)),
    ],
)
def test_an_interval_of_few_answers(metric, some, wanted, answers):
    assert interval(metric, answers(*some), samples=2000) == wanted


def test_metrics_of_the_same_answers_see_the_same_draws(answers):
    some = answers(*[("a", "a")] * 11, *[("a", "b")] * 6)
    right, wrong = interval(ExactMatch(), some, seed=5), interval(WordErrorRate(), some, seed=5)
    assert right == pytest.approx((1 - wrong.high, 1 - wrong.low))


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_is_between_0_and_1(level):
    for call in (
        lambda: confidence_interval(ROWS, mean, seed=0, level=level),
        lambda: paired_test(ROWS, ROWS, mean, seed=0, level=level),
    ):
        with pytest.raises(ValueError, match="`level` must be between 0 and 1, but is"):
            call()


def enumerated(metric, one, other):
    """The p-value of all ways to change sides, each by its definition."""
    differences = []
    for sides in product([False, True], repeat=len(one)):
        pairs = list(zip(sides, one, other, strict=True))
        left = [other if side else one for side, one, other in pairs]
        right = [one if side else other for side, one, other in pairs]
        differences.append(metric.measure(left).value - metric.measure(right).value)
    return np.mean(np.abs(differences) >= abs(differences[0]) - 1e-9)


@pytest.mark.parametrize(
    "name", ["bleu", "exact_match", "character_error_rate", "tag_scores", "macro_recall"]
)
def test_p_is_the_share_of_all_ways_to_change_sides(name, answers):
    metric, (one, other) = metrics.build(name), systems(7, [0.1, 0.4])
    if name == "macro_recall":
        one = answers(*zip("aabcbbca", "aabbbcca", strict=True))
        other = answers(*zip("abcccbaa", "aabbbcca", strict=True))
    wanted = enumerated(metric, one, other)
    assert wanted < 1
    assert compared(metric, one, other).p_value == pytest.approx(wanted, abs=0.03)


def test_for_right_and_wrong_it_is_the_test_of_mcnemar(answers):
    """Of 10 answers that differ 9 speak for one: (1 + 10) * 2 of 1024 are as far apart."""
    one = answers(*[("a", "a")] * 29, ("b", "a"))
    other = answers(*[("a", "a")] * 20, *[("b", "a")] * 9, ("a", "a"))
    found = compared(ExactMatch(), one, other, samples=20_000)
    assert found.delta == pytest.approx(8 / 30)
    assert found.p_value == pytest.approx(22 / 1024, abs=0.004)
    assert 0 < found.low < found.delta < found.high


def test_where_nothing_differs_but_by_chance_p_is_uniform():
    generator = np.random.default_rng(0)

    def p_value(seed):
        pair = map(rows, generator.normal(size=(2, 30)))
        return paired_test(*pair, mean, seed=seed, samples=199).p_value

    found = np.sort([p_value(seed) for seed in range(400)])
    assert np.abs(found - np.linspace(0, 1, 400)).max() < 1.36 / 20  # Kolmogorov and Smirnov at 5 %
    assert 0.02 < (found <= 0.05).mean() < 0.08


def test_a_clear_difference_has_a_small_p_by_the_seed():
    one, other = systems(60, [0.1, 0.4])
    found = compared(Bleu(), one, other, samples=999)
    assert found.p_value == 1 / 1000
    assert found.delta == pytest.approx(Bleu().measure(one).value - Bleu().measure(other).value)
    assert 0 < found.low < found.delta < found.high
    assert compared(Bleu(), one, other, samples=999) == found
    assert compared(Bleu(), one, other, samples=999, seed=1) != found


@pytest.mark.parametrize("name", metrics.names())
def test_what_holds_of_every_metric(name):
    metric = metrics.build(name)
    one, other = systems(25, [0.2, 0.3])
    there, back = (compared(metric, *pair, samples=500) for pair in ((one, other), (other, one)))
    wanted = (-there.delta, -there.high, -there.low)
    assert (back.delta, back.low, back.high) == pytest.approx(wanted), "only signs change"
    assert back.p_value == there.p_value
    assert compared(metric, one, list(one)) == (0.0, 0.0, 0.0, 1.0), "it differs from itself"
    found = compared(metric, *systems(1, [0.0, 0.5]))
    assert found.low == pytest.approx(found.delta) == pytest.approx(found.high)
    assert found.p_value == 1.0, "of one answer nothing follows"


def test_what_is_equal_or_as_large_but_for_rounding_is_no_difference():
    constant = paired_test(rows([1, 2]), rows([3, 4]), lambda totals: totals[..., 1], seed=0)
    assert constant == (0.0, 0.0, 0.0, 1.0)
    # All that a coin can do here is to change the sign.
    one, other = rows([0.6, 0.6, 0.2]), rows([0.6, 0.6, 0.9])
    assert paired_test(one, other, mean, seed=0, samples=500).p_value == 1.0
    with pytest.raises(ValueError, match=r"same shape, but have \(1, 2\) and \(2, 2\)"):
        paired_test(rows([1.0]), rows([1.0, 2.0]), mean, seed=0)


def test_sacrebleu_finds_the_same():
    one, other = systems(80, [0.25, 0.29], seed=1)
    outputs = [[answer.output for answer in system] for system in (other, one)]
    references = [[answer.references[0] for answer in one]]
    named = list(zip(["other", "one"], outputs, strict=True))
    wanted = {}
    for kind in ("ar", "bs"):
        test = PairedTest(named, {"BLEU": BLEU()}, references, test_type=kind, n_samples=2000)
        wanted[kind] = test()[1]["BLEU"]
    found = compared(Bleu(), one, other)
    assert 0.02 < found.p_value < 0.5
    assert found.p_value == pytest.approx(wanted["ar"][1].p_value, abs=0.03)
    assert found.p_value == pytest.approx(wanted["bs"][1].p_value, abs=0.08)
    assert found.delta == pytest.approx(wanted["ar"][1].score - wanted["ar"][0].score)
    low, high = interval(Bleu(), one)
    assert (high - low) / 2 == pytest.approx(wanted["bs"][1].ci, rel=0.1)


def test_systems_share_their_columns(answers):
    """Each has a tag that the other has not."""
    one, other = answers(("N X", "N V"), ("V", "V")), answers(("N V", "N V"), ("Y", "V"))
    found = paired_statistics(TagScores(), one, other)
    assert found.shape == (2, 2, 2 * len(["N", "V", "X", "Y"]))
    wanted = [TagScores().measure(each).value for each in (one, other)]
    assert TagScores().value(found.sum(axis=1)) == pytest.approx(np.array(wanted))
    assert paired_statistics(Bleu(), *systems(5, [0.1, 0.2, 0.3])).shape == (3, 5, 10)


def test_systems_answer_the_same_sources(answers):
    one = answers(("a", "a"), ("b", "b"))
    order = "in the same order, but source 1 of system 1 is 'source 0', and of system 3 'source 1'"
    for others, message in [
        ([one, one[::-1]], order),
        ([one[:1]], "but system 1 has 2 and system 2 has 1"),
        ([[one[0], replace(one[1], references=("c",))]], "but those of source 2, 'source 1'"),
    ]:
        with pytest.raises(ValueError, match=message):
            paired_statistics(ExactMatch(), one, *others)
    for none, message in [
        ([], "`answers` must have at least 1 answer"),
        ([Answer("a", "b", ())], "must have at least 1 reference"),
    ]:
        with pytest.raises(ValueError, match=message):
            paired_statistics(ExactMatch(), none, none)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        # 4 * 0.005 = 0.02, 3 * 0.01 = 0.03, 2 * 0.03 = 0.06, 0.04 is raised to what came before.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.4, 0.6, 0.9], [1.0, 1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([0.03], [0.03]),
        ([1.0, 0.0], [1.0, 0.0]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values, adjusted):
    assert holm(p_values) == pytest.approx(adjusted)


def test_holm_keeps_the_order_and_lies_between_the_p_values_and_bonferroni():
    generator = random.Random(1)
    p_values = [generator.random() ** 3 for _ in range(50)]
    adjusted = holm(p_values)
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert [after for _, after in pairs] == sorted(adjusted)
    assert all(p <= after <= min(50 * p, 1.0) for p, after in pairs)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(ValueError, match="`p_values` must be between 0 and 1, but one is"):
        holm([0.5, wrong])
