"""The entropy of n-grams."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.metrics.entropy import entropy

OUTPUTS = st.lists(st.text("abc", max_size=8), max_size=5)


@pytest.mark.parametrize(
    ("outputs", "n", "wanted"),
    [
        (["abcd"], 1, 2.0),
        (["ab", "cd", "ab", "ef"], 2, 0.5 * 1 + 2 * 0.25 * 2),
        (["aab"], 1, 2 / 3 * math.log2(3 / 2) + 1 / 3 * math.log2(3)),
        (["aaaa", "a"], 1, 0.0),
        (["aaaa", "a"], 2, 0.0),
    ],
)
def test_the_formula(outputs, n, wanted):
    assert entropy(outputs, n) == pytest.approx(wanted)


def test_of_one_ngram_it_is_a_plain_nought():
    assert math.copysign(1, entropy(["aaaa"], 2)) == 1


@pytest.mark.parametrize("outputs", [[], [[]], [["a"], ["b", "c"]]])
def test_outputs_shorter_than_n_have_none(outputs):
    assert entropy(outputs, 3) is None


@given(OUTPUTS, st.integers(1, 4), st.randoms())
def test_what_holds_for_all(outputs, n, random):
    found = entropy(outputs, n)
    counts = Counter(each[i : i + n] for each in outputs for i in range(len(each) - n + 1))
    if found is None:
        assert not counts
        return
    assert 0 <= found <= math.log2(len(counts)) + 1e-9
    assert entropy(random.sample(outputs, len(outputs)), n) == found
    assert entropy(outputs * 2, n) == pytest.approx(found)
    shares = [count / counts.total() for count in counts.values()]
    assert found == pytest.approx(-sum(share * math.log2(share) for share in shares))
