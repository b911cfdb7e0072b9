"""Repeated n-grams within outputs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.metrics.repetition import repeated

words = str.split

OUTPUTS = st.lists(st.text("abc", max_size=8), max_size=5)


@pytest.mark.parametrize(
    ("outputs", "n", "wanted"),
    [
        ([words("to be or not to be")], 1, 1 - 4 / 6),
        ([words("to be or not to be")], 2, 1 - 4 / 5),
        ([words("to be or not to be")], 3, 0.0),
        (["aaaaa", "abc"], 2, (3 / 4 + 0) / 2),  # the mean of shares, not the share of all
        (["ab", "ab"], 2, 0.0),  # what another output says is not repeated
        (["aaa", "", "b"], 2, 1 / 2),  # what is too short does not count
    ],
)
def test_the_formula(outputs, n, wanted):
    assert repeated(outputs, n) == pytest.approx(wanted)


@pytest.mark.parametrize("outputs", [[], [[]], [["a"], ["b", "c"]]])
def test_outputs_shorter_than_n_have_none(outputs):
    assert repeated(outputs, 3) is None


@given(OUTPUTS, st.integers(1, 4), st.randoms())
def test_what_holds_for_all(outputs, n, random):
    found = repeated(outputs, n)
    shares = []
    for each in outputs:
        own = [each[i : i + n] for i in range(len(each) - n + 1)]
        shares += [1 - len(set(own)) / len(own)] if own else []
    if found is None:
        assert not shares
        return
    assert 0 <= found < 1
    assert found == pytest.approx(sum(shares) / len(shares))
    assert repeated(random.sample(outputs, len(outputs)), n) == found
    assert repeated(outputs * 2, n) == pytest.approx(found)
