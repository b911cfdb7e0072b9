"""Answers drawn anew."""

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


def test_with_replacement_as_many_are_drawn_as_there_are():
    counts = with_replacement(Generator(PCG64(0)), 20_000, 3)
    assert (counts.sum(axis=1) == 3).all()
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    wanted = {(1, 1, 1): 6 / 27} | dict.fromkeys([(3, 0, 0), (0, 3, 0), (0, 0, 3)], 1 / 27)
    found = dict(zip(map(tuple, kinds.tolist()), times / 20_000, strict=True))
    assert len(found) == 10
    for kind, share in found.items():
        assert share == pytest.approx(wanted.get(kind, 3 / 27), abs=0.01)


def test_each_or_not_is_a_coin_for_each():
    counts = each_or_not(Generator(PCG64(0)), 16_000, 3)
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    assert kinds.tolist() == [[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    assert times / 16_000 == pytest.approx(np.full(8, 1 / 8), abs=0.01)


def test_sums_are_of_what_is_drawn():
    assert (resampled(ROWS, lambda sums: sums[..., 1], with_replacement, 50, 0) == 4).all()
    swapped = resampled(ROWS, total, each_or_not, 200, 0)
    assert set(swapped) <= set(range(9)) - {4}
    assert {0.0, 8.0} <= set(swapped)


def test_it_is_a_function_of_the_seed():
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
    """All counts at once would be 160 MB."""
    tracemalloc.start()
    resampled(np.ones((20_000, 2)), total, with_replacement, 1000, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


def test_a_value_that_is_no_number_is_a_value_error():
    def undefined(sums):
        return np.where(sums[..., 0] > 0, 1.0, np.nan)

    rows = np.array([[1.0], [0.0]])
    with pytest.raises(ValueError, match=r"`value` must be finite .* but is not in \d+ samples"):
        resampled(rows, undefined, with_replacement, 100, 0)


def test_nothing_to_draw_is_a_value_error():
    with pytest.raises(ValueError, match="`statistics` must have at least 1 answer, but has none"):
        resampled(np.ones((0, 2)), total, with_replacement, 10, 0)
    with pytest.raises(ValueError, match="`samples` must be at least 1, but is 0"):
        resampled(ROWS, total, with_replacement, 0, 0)


# Confidence intervals by the bootstrap.


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


def test_it_is_a_function_of_the_seed_bootstrap():
    values = rows(np.arange(50.0))
    one = confidence_interval(values, mean, seed=1)
    assert one == confidence_interval(values, mean, seed=1)
    assert one != confidence_interval(values, mean, seed=2)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_is_between_0_and_1(level):
    with pytest.raises(ValueError, match="`level` must be between 0 and 1, but is"):
        confidence_interval(rows([1.0]), mean, seed=0, level=level)


# Two systems on the same sources.


SAMPLES = 4000


def mean_paired(totals):
    return totals[..., 0] / totals[..., 1]


def rows_paired(values):
    return np.stack([values, np.ones(len(values))], axis=1)


def compared(metric, one, other, samples=SAMPLES, seed=0):
    return paired_test(
        *paired_statistics(metric, one, other), metric.value, samples=samples, seed=seed
    )


def systems(count, error_rates, seed=0):
    """For each of the rates, answers with so many words wrong, to the same sources."""
    generator = np.random.default_rng(seed)
    words = np.array(list("abcdefghij"))
    texts = words[generator.integers(10, size=(count, 9))]
    found = []
    for rate in error_rates:
        wrong = generator.random(texts.shape) < rate
        outputs = np.where(wrong, words[generator.integers(10, size=texts.shape)], texts)
        found.append(
            [
                Answer(str(i), " ".join(output), (" ".join(text),))
                for i, (output, text) in enumerate(zip(outputs, texts, strict=True))
            ]
        )
    return found


def enumerated(metric, one, other):
    """The p-value of all ways to change sides, each by its definition."""
    differences = []
    for sides in product([False, True], repeat=len(one)):
        pairs = list(zip(sides, one, other, strict=True))
        left = [other if side else one for side, one, other in pairs]
        right = [one if side else other for side, one, other in pairs]
        differences.append(metric.measure(left).value - metric.measure(right).value)
    return np.mean(np.abs(differences) >= abs(differences[0]) - 1e-9)


@pytest.mark.parametrize("name", ["bleu", "exact_match", "character_error_rate", "tag_scores"])
def test_it_is_the_share_of_all_ways_to_change_sides(name):
    metric = metrics.build(name)
    one, other = systems(7, [0.1, 0.4])
    wanted = enumerated(metric, one, other)
    assert wanted < 1
    assert compared(metric, one, other).p_value == pytest.approx(wanted, abs=0.03)


def test_of_classes_too(answers):
    one = answers(*zip("aabcbbca", "aabbbcca", strict=True))
    other = answers(*zip("abcccbaa", "aabbbcca", strict=True))
    wanted = enumerated(MacroRecall(), one, other)
    assert 0.1 < wanted < 0.9
    assert compared(MacroRecall(), one, other).p_value == pytest.approx(wanted, abs=0.03)


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
    found = np.sort(
        [
            paired_test(
                *map(rows_paired, generator.normal(size=(2, 30))),
                mean_paired,
                seed=seed,
                samples=199,
            ).p_value
            for seed in range(400)
        ]
    )
    assert np.abs(found - np.linspace(0, 1, 400)).max() < 1.36 / 20  # Kolmogorov and Smirnov at 5 %
    assert 0.02 < (found <= 0.05).mean() < 0.08


def test_a_clear_difference_has_a_small_p():
    one, other = systems(60, [0.1, 0.4])
    found = compared(Bleu(), one, other, samples=999)
    assert found.p_value == 1 / 1000
    assert found.delta == pytest.approx(Bleu().measure(one).value - Bleu().measure(other).value)
    assert 0 < found.low < found.delta < found.high


@pytest.mark.parametrize("name", metrics.names())
def test_the_other_way_round_only_signs_change(name):
    one, other = systems(25, [0.2, 0.3])
    there = compared(metrics.build(name), one, other, samples=500)
    back = compared(metrics.build(name), other, one, samples=500)
    assert (back.delta, back.low, back.high) == pytest.approx(
        (-there.delta, -there.high, -there.low)
    )
    assert back.p_value == there.p_value


@pytest.mark.parametrize("name", metrics.names())
def test_a_system_does_not_differ_from_itself(name):
    [one] = systems(12, [0.3])
    assert compared(metrics.build(name), one, list(one)) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("name", metrics.names())
def test_of_one_answer_nothing_follows(name):
    one, other = systems(1, [0.0, 0.5])
    found = compared(metrics.build(name), one, other)
    assert found.low == pytest.approx(found.delta) == pytest.approx(found.high)
    assert found.p_value == 1.0


def test_a_constant_metric_tells_nothing_apart():
    found = paired_test(
        rows_paired([1.0, 2.0]), rows_paired([3.0, 4.0]), lambda totals: totals[..., 1], seed=0
    )
    assert found == (0.0, 0.0, 0.0, 1.0)


def test_what_is_equal_but_for_rounding_is_as_large():
    """All that a coin can do here is to change the sign."""
    found = paired_test(
        rows_paired([0.6, 0.6, 0.2]), rows_paired([0.6, 0.6, 0.9]), mean_paired, seed=0, samples=500
    )
    assert found.p_value == 1.0


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
    low, high = confidence_interval(Bleu().statistics(one), Bleu().value, seed=0)
    assert (high - low) / 2 == pytest.approx(wanted["bs"][1].ci, rel=0.1)


def test_it_is_a_function_of_the_seed_paired():
    one, other = systems(30, [0.2, 0.3])
    assert compared(Bleu(), one, other) == compared(Bleu(), one, other)
    assert compared(Bleu(), one, other) != compared(Bleu(), one, other, seed=1)


def test_systems_share_their_columns(answers):
    """Each has a tag that the other has not."""
    one, other = answers(("N X", "N V"), ("V", "V")), answers(("N V", "N V"), ("Y", "V"))
    found = paired_statistics(TagScores(), one, other)
    assert found.shape == (2, 2, 2 * len(["N", "V", "X", "Y"]))
    values = TagScores().value(found.sum(axis=1))
    wanted = [TagScores().measure(each).value for each in (one, other)]
    assert values == pytest.approx(np.array(wanted))


def test_more_than_two_systems_at_once():
    found = paired_statistics(Bleu(), *systems(5, [0.1, 0.2, 0.3]))
    assert found.shape == (3, 5, 10)


def test_other_sources_are_a_value_error(answers):
    one = answers(("a", "a"), ("b", "b"))
    wanted = (
        "the same sources in the same order, but source 1 of system 1 is 'source 0', "
        "and of system 3 'source 1'"
    )
    with pytest.raises(ValueError, match=wanted):
        paired_statistics(ExactMatch(), one, one, one[::-1])
    with pytest.raises(ValueError, match="but system 1 has 2 and system 2 has 1"):
        paired_statistics(ExactMatch(), one, one[:1])
    with pytest.raises(ValueError, match="the same references, but those of source 2, 'source 1'"):
        paired_statistics(ExactMatch(), one, [one[0], replace(one[1], references=("c",))])


def test_no_answers_are_a_value_error(answers):
    with pytest.raises(ValueError, match="`answers` must have at least 1 answer"):
        paired_statistics(ExactMatch(), [], [])
    with pytest.raises(ValueError, match="must have at least 1 reference"):
        paired_statistics(ExactMatch(), *[[Answer("a", "b", ())]] * 2)


def test_other_shapes_are_a_value_error():
    with pytest.raises(ValueError, match=r"same shape, but have \(1, 2\) and \(2, 2\)"):
        paired_test(rows_paired([1.0]), rows_paired([1.0, 2.0]), mean_paired, seed=0)


# Holm's correction.


def test_an_example_by_hand():
    # 4 * 0.005 = 0.02, 3 * 0.01 = 0.03, 2 * 0.03 = 0.06, 1 * 0.04 is raised to what came before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_it_is_capped_at_one():
    assert holm([0.4, 0.6, 0.9]) == [1.0, 1.0, 1.0]


def test_equal_ones_stay_equal():
    assert holm([0.02, 0.02]) == [0.04, 0.04]


def test_one_test_stays_as_it_is_and_none_gives_none():
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_it_keeps_the_order_and_lies_between_the_p_values_and_bonferroni():
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
