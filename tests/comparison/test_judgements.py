"""What one metric says of the best outputs of all systems."""

import math

import numpy as np
import pytest

from seqgen.comparison.judgements import Plain, Sums, measured
from seqgen.comparison.plan import SignificanceOptions
from seqgen.metrics import (
    Answer,
    Bleu,
    Measured,
    Metric,
    TagScores,
    WordErrorRate,
    confidence_interval,
    paired_statistics,
    paired_test,
)

OPTIONS = SignificanceOptions(level=0.9, resamples=200, shuffles=300)


class MedianLength(Metric):
    """The median length of outputs, which does not follow from sums."""

    better = "lower"

    def measure_all(self, answers):
        return Measured(float(np.median([len(each.output) for each in answers])))


def right(*outputs):
    """Answers to inputs 0, 1, ..., of which each `r` is right."""
    return [Answer(f"input {i}", each, ("r",)) for i, each in enumerate(outputs)]


def by_rate(metric, **systems):
    return Sums(metric, systems, OPTIONS, seed=3)


def test_the_value_is_over_all_seeds_and_each_stands_beside_it():
    judged = by_rate(WordErrorRate(), a=[right(*"rrxx"), right(*"rrrx")])
    found = judged.value("a")
    assert found["value"] == 3 / 8
    assert found["by_seed"] == [1 / 2, 1 / 4]


def test_the_interval_draws_inputs_and_not_outputs():
    """Three seeds that say the same know no more than one."""
    one = by_rate(WordErrorRate(), a=[right(*"rrxxrxrx")])
    three = by_rate(WordErrorRate(), a=[right(*"rrxxrxrx")] * 3)
    assert {**three.value("a"), "by_seed": None} == {**one.value("a"), "by_seed": None}
    low, high = confidence_interval(
        np.array([[each == "x", 1.0] for each in "rrxxrxrx"]),
        WordErrorRate().value,
        seed=3,
        samples=200,
        level=0.9,
    )
    assert (one.value("a")["low"], one.value("a")["high"]) == (low, high)


def test_tests_are_those_of_two_systems_alone():
    """Looking at all systems at once, each answer once, changes nothing."""
    texts = ["a b c d e", "b c d e a", "c d e a b", "d e a b c"]
    answers = {
        label: [Answer(text, " ".join(sorted(text.split())[:keep]), (text,)) for text in texts]
        for label, keep in [("long", 5), ("middle", 4), ("short", 3)]
    }
    judged = Sums(Bleu(), {label: [own] for label, own in answers.items()}, OPTIONS, seed=3)
    found = judged.against("short")
    assert list(found) == ["long", "middle"]
    both = paired_statistics(Bleu(), answers["middle"], answers["short"])
    wanted = paired_test(*both, Bleu().value, seed=3, samples=300, level=0.9)
    assert {**found["middle"], "p_holm": None} == {**wanted._asdict(), "p_holm": None}


def test_tags_that_only_another_system_gives_change_nothing():
    one = [Answer("x y", "A B", ("A B",))]
    other = [Answer("x y", "C C", ("A B",))]
    assert by_rate(TagScores(), one=[one], other=[other]).value("one")["value"] == 1
    assert by_rate(TagScores(), one=[one], other=[other]).single("other", 0) == 0


def test_p_values_are_corrected_for_all_that_are_tested():
    wrong = {f"{n}": [right(*"x" * n, *"r" * (12 - n))] for n in (0, 6, 12)}
    found = by_rate(WordErrorRate(), **wrong).against("0")
    raw = sorted((each["p_value"], each["p_holm"]) for each in found.values())
    assert [each["delta"] for each in found.values()] == [0.5, 1.0]
    assert raw[0][1] == pytest.approx(2 * raw[0][0])
    assert raw[1][1] == pytest.approx(max(raw[0][1], raw[1][0]))


def test_a_system_with_one_seed_weighs_as_much_as_one_with_several():
    one, three = [right(*"rrxx")], [right(*"rrxx")] * 3
    found = by_rate(WordErrorRate(), one=one, three=three, two=[right(*"rxxx")] * 2)
    assert found.against("one")["three"]["delta"] == 0
    assert found.against("one")["three"]["p_value"] == 1
    assert found.against("two")["three"]["delta"] == pytest.approx(-1 / 4)


def test_several_draws_are_not_taken_for_as_many_inputs():
    """Two inputs cannot be significant, however often each is drawn."""
    found = by_rate(WordErrorRate(), one=[right("r", "r")] * 9, other=[right("x", "x")] * 9)
    assert found.against("other")["one"]["p_value"] > 0.4


def test_the_order_of_systems_does_not_matter():
    systems = {"a": [right(*"rxrx")], "b": [right(*"rrrx")], "c": [right(*"xxxx")]}
    backwards = dict(reversed(systems.items()))
    one, other = by_rate(WordErrorRate(), **systems), by_rate(WordErrorRate(), **backwards)
    assert one.against("b") == other.against("b")
    assert one.value("c") == other.value("c")


def test_a_metric_that_does_not_add_up_has_values_and_no_more():
    plain = Plain(MedianLength(), {"a": [right("x", "xx", "xxx"), right("x", "x", "xxx")]})
    assert plain.value("a") == {"value": 1.5, "by_seed": [2, 1]}
    assert plain.against("a") == {}
    assert plain.single("a", 2) == 3


def test_over_several_seeds_sums_are_of_all_and_others_a_mean():
    seeds = [right("x", "xx", "r"), right("x", "x", "r")]
    assert measured(WordErrorRate(), seeds) == pytest.approx(4 / 6)
    assert measured(MedianLength(), seeds) == 1
    assert math.isnan(measured(WordErrorRate(), [[], []]))
