"""Two systems on the same sources."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest

from seqgen.metrics import (
    Answer,
    Bleu,
    ExactMatch,
    MacroRecall,
    TagScores,
    confidence_interval,
    metrics,
    paired_statistics,
    paired_test,
)

SAMPLES = 4000


def mean(totals):
    return totals[..., 0] / totals[..., 1]


def rows(values):
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
                *map(rows, generator.normal(size=(2, 30))), mean, seed=seed, samples=199
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
    found = paired_test(rows([1.0, 2.0]), rows([3.0, 4.0]), lambda totals: totals[..., 1], seed=0)
    assert found == (0.0, 0.0, 0.0, 1.0)


def test_what_is_equal_but_for_rounding_is_as_large():
    """All that a coin can do here is to change the sign."""
    found = paired_test(rows([0.6, 0.6, 0.2]), rows([0.6, 0.6, 0.9]), mean, seed=0, samples=500)
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


def test_it_is_a_function_of_the_seed():
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
        paired_test(rows([1.0]), rows([1.0, 2.0]), mean, seed=0)
