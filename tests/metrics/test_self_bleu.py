"""Self-BLEU."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from seqgen.metrics.self_bleu import self_bleu

words = str.split

OUTPUTS = st.lists(st.text("abc", max_size=9), max_size=6)


def test_the_formula():
    outputs = [words("the cat sat on the mat"), words("the cat sat on a mat")]
    one = [5 / 6, 3 / 5, 2 / 4, 1 / 3]  # the second has "the" but once; the other way the same
    assert self_bleu(outputs) == pytest.approx(100 * math.prod(one) ** (1 / 4))


def test_all_others_are_references():
    """`ab` is in the one, `cd` in the other; `bc`, and all that is longer, is in none."""
    first = 100 * (4 / 4 * 2 / 3 * 0.1 / 2 * 0.1 / 1) ** (1 / 4)
    first *= math.exp(1 - 4 / 4)
    second = 100 * (2 / 2 * 1 / 1) ** (1 / 2) * math.exp(1 - 4 / 2)  # `abyy` and `abcd` are nearest
    outputs = ["abcd", "abyy", "zzcd", "ab"]
    others = [
        100 * (2 / 4 * 1 / 3 * 0.1 / 2 * 0.1 / 1) ** (1 / 4),  # abyy: a, b and ab
        100 * (2 / 4 * 1 / 3 * 0.1 / 2 * 0.1 / 1) ** (1 / 4),  # zzcd: c, d and cd
    ]
    assert self_bleu(outputs) == pytest.approx((first + second + sum(others)) / 4)


def test_a_match_counts_as_often_as_one_other_has_it():
    """Of three, the first two together have `a` three times, but no single one has."""
    found = self_bleu(["aaab", "aac", "ad"])
    assert found == pytest.approx(by_sacrebleu(["aaab", "aac", "ad"]))


def test_nothing_in_common():
    assert self_bleu(["abcd", "efgh"]) == 0.0


@pytest.mark.parametrize("outputs", [["abcdef"] * 2, ["a", "a"], ["abc", "de", "abc", "de"]])
def test_twins(outputs):
    assert self_bleu(outputs) == 100.0


@pytest.mark.parametrize("outputs", [[], ["abcd"], ["", ""], ["", "abcd", ""]])
def test_there_must_be_two_that_have_tokens(outputs):
    assert self_bleu(outputs) is None


def test_tokens_may_hold_anything():
    assert self_bleu([[" ", "\n", "a b", ""], [" ", "\n", "a b", ""]]) == 100.0
    assert self_bleu([["a b"], ["a", "b"]]) == 0.0


def by_sacrebleu(outputs):
    scorer = BLEU(smooth_method="floor", smooth_value=0.1, effective_order=True, tokenize="none")
    texts = [" ".join(each) for each in outputs if each]
    if len(texts) < 2:
        return None
    rest = [texts[:i] + texts[i + 1 :] for i in range(len(texts))]
    scores = [scorer.sentence_score(*each).score for each in zip(texts, rest, strict=True)]
    return sum(scores) / len(scores)


@given(OUTPUTS)
@settings(deadline=None)
def test_it_is_what_sacrebleu_says_of_each(outputs):
    found = self_bleu(outputs)
    assert found == (None if found is None else pytest.approx(by_sacrebleu(outputs)))
    assert (found is None) == (by_sacrebleu(outputs) is None)


@given(OUTPUTS, st.randoms())
@settings(deadline=None)
def test_what_holds_for_all(outputs, random):
    found = self_bleu(outputs)
    assert self_bleu(random.sample(outputs, len(outputs))) == found
    if any(outputs):
        assert self_bleu(outputs * 2) == pytest.approx(100.0)
    assert found is None or 0 <= found <= 100
