"""N-grams as numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.metrics.ngrams import ngrams

OUTPUTS = st.lists(st.text("abc", max_size=8), max_size=5)


def test_the_same_number_for_the_same_ngram_within_outputs():
    found = ngrams(["abab", "b", "ab"], 2)
    assert found.numbers.tolist() == [0, 1, 0, 0]  # ab ba ab | | ab, and no bb or ba between them
    assert found.owners.tolist() == [0, 0, 0, 2]
    assert found.distinct == 2


def test_tokens_are_compared_as_wholes():
    found = ngrams([["a", "bc"], ["ab", "c"], ["a", "bc"]], 2)
    assert found.distinct == 2
    assert found.numbers[0] == found.numbers[2]


@pytest.mark.parametrize("outputs", [[], [""], ["", ""], ["ab", "", "c"]])
def test_there_may_be_none(outputs):
    found = ngrams(outputs, 3)
    assert (len(found.numbers), len(found.owners), found.distinct) == (0, 0, 0)


@given(OUTPUTS, st.integers(1, 5))
def test_they_are_those_of_each_output(outputs, n):
    found = ngrams(outputs, n)
    wanted = [(o, x[i : i + n]) for o, x in enumerate(outputs) for i in range(len(x) - n + 1)]
    assert found.owners.tolist() == [owner for owner, _ in wanted]
    names = dict(zip(found.numbers.tolist(), (ngram for _, ngram in wanted), strict=True))
    assert [names[number] for number in found.numbers.tolist()] == [ngram for _, ngram in wanted]
    assert sorted(names) == list(range(found.distinct))
    assert len(set(names.values())) == found.distinct


def test_no_ngram_has_no_token():
    with pytest.raises(ValueError, match=r"^`n` must be at least 1, but is 0$"):
        ngrams(["ab"], 0)
