"""Distinct n-grams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.metrics.distinct import distinct

words = str.split

OUTPUTS = st.lists(st.text("abc", max_size=8), max_size=5)


@pytest.mark.parametrize(
    ("n", "wanted"),
    [
        (1, 3 / 7),  # the cat sat, of 7
        (2, 3 / 5),  # "the cat" is there three times
        (3, 3 / 3),
        (4, 1 / 1),
    ],
)
def test_the_formula(n, wanted):
    outputs = [words("the cat sat the cat"), words("the cat")]
    assert distinct(outputs, n) == wanted


@pytest.mark.parametrize("outputs", [[], [[]], [["a"], ["b", "c"]]])
def test_outputs_shorter_than_n_have_none(outputs):
    assert distinct(outputs, 3) is None


@given(OUTPUTS, st.integers(1, 4), st.randoms())
def test_what_holds_for_all(outputs, n, random):
    found = distinct(outputs, n)
    if found is None:
        assert all(len(each) < n for each in outputs)
        return
    assert 0 < found <= 1
    assert distinct(random.sample(outputs, len(outputs)), n) == found
    assert distinct(outputs * 2, n) == pytest.approx(found / 2)
