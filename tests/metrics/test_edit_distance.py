"""Error rates by edits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.metrics import Answer, CharacterErrorRate
from seqgen.metrics.edit_distance import nearest


def error_rate(answers):
    """Of characters."""
    return CharacterErrorRate().measure(answers)


@pytest.mark.parametrize(
    ("output", "references", "wanted"),
    [
        ("kitten", ["sitting"], (3, 7)),
        ("", ["abc"], (3, 3)),
        ("abc", [""], (3, 0)),
        ("", [""], (0, 0)),
        ("abcd", ["xyzabcd", "abd", "abxx"], (1, 3)),
        (["a", "b", "c"], [["a", "c"], ["d", "e"]], (1, 2)),
        (["ab", "c"], [["a", "bc"]], (2, 2)),
    ],
)
def test_the_nearest_reference(output, references, wanted):
    assert nearest(output, references) == wanted


@pytest.mark.parametrize("references", [["abcde", "abc"], ["abc", "abcde"]])
def test_of_equally_near_ones_the_longest(references):
    assert nearest("abcd", references) == (1, 5)


def test_edits_and_lengths_are_summed_before_they_are_divided(answers):
    """The mean of the rates would be (1/2 + 1/8) / 2."""
    found = error_rate(answers(("ax", "ab"), ("abcdefgx", "abcdefgh")))
    assert found == (0.2, {"edits": 2, "reference_length": 10})


def test_a_rate_can_exceed_1(answers):
    assert error_rate(answers(("abcdef", "a"))).value == 5.0


def test_where_all_references_are_empty_it_is_the_number_of_edits(answers):
    assert error_rate(answers(("", ""), ("", ""))).value == 0.0
    found = error_rate(answers(("ab", ""), ("c", "")))
    assert found == (3.0, {"edits": 3, "reference_length": 0})


def recursive(one, other):
    """The distance by its definition."""
    if not one or not other:
        return len(one) + len(other)
    return min(
        recursive(one[1:], other) + 1,
        recursive(one, other[1:]) + 1,
        recursive(one[1:], other[1:]) + (one[0] != other[0]),
    )


WORDS = st.lists(st.sampled_from(["a", "bb", "a" * 70, "é"]), max_size=5)


@given(WORDS, WORDS)
@settings(deadline=None, max_examples=50)
def test_it_is_the_least_number_of_edits(one, other):
    assert nearest(one, [other]) == (recursive(one, other), len(other))


@given(st.text("ab", max_size=6), st.permutations(["ab", "", "bbb", "aab", "abab"]))
def test_the_order_of_references_does_not_matter(output, references):
    wanted = error_rate([Answer("", output, ("ab", "", "bbb", "aab", "abab"))])
    assert error_rate([Answer("", output, tuple(references))]) == wanted
