"""Loops at the end of outputs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.metrics.loops import Loop, find_loop, looping

words = str.split

WORDS = words("and then the king said that")


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [
        ("xyz" + "abcd" * 3, Loop(3, 4)),
        ("xyd" + "abcd" * 3 + "ab", Loop(2, 4)),  # it begins before the block, and ends within it
        ("a" * 12, Loop(0, 1)),
        (["no", *WORDS * 3], Loop(1, 6)),
        ("abcd" * 2 + "abc", None),  # not quite three times
        ("a" * 11, None),  # too short
        ("abcd" * 5 + "x", None),  # it ends otherwise
        ("", None),
    ],
)
def test_written_out(tokens, wanted):
    assert find_loop(tokens) == wanted


def test_how_many_tokens_must_go_round():
    assert find_loop("ab" * 3, shortest=6) == Loop(0, 2)
    assert find_loop("ab" * 3, shortest=7) is None
    assert find_loop("aaaa", shortest=0) == Loop(0, 1)


def by_definition(tokens, shortest):
    """Each period, from the shortest on: how long the end goes round by it."""
    for period in range(1, len(tokens) + 1):
        start = len(tokens) - period
        while start > 0 and tokens[start - 1] == tokens[start - 1 + period]:
            start -= 1
        if len(tokens) - start >= max(3 * period, shortest):
            return Loop(start, period)
    return None


LOOPING = st.builds(
    lambda start, block, end: start + 4 * block + block[:end],
    *[st.text("ab")] * 2,
    st.integers(0, 9),
)


@given(st.text("ab", max_size=30) | LOOPING, st.integers(0, 12))
def test_it_is_what_the_definition_says(tokens, shortest):
    assert find_loop(tokens, shortest) == by_definition(tokens, shortest)
    assert find_loop(list(tokens), shortest) == find_loop(tokens, shortest)


def test_a_long_output_takes_no_quadratic_time():
    assert find_loop(("a" * 500 + "b") * 400) == Loop(0, 501)


def test_the_share_of_outputs():
    outputs = ["xyz" + "abcd" * 3, "To be, or not to be", "", "a" * 40]
    assert looping(outputs) == 2 / 4
    assert looping(outputs, shortest=20) == 1 / 4
    assert looping([WORDS, ["no", *WORDS * 3]]) == 1 / 2


def test_of_no_outputs_there_is_no_share():
    assert looping([]) is None
    assert looping([""]) == 0.0


@given(st.lists(LOOPING, max_size=5), st.randoms())
def test_neither_order_nor_number_matters(outputs, random):
    assert looping(random.sample(outputs, len(outputs))) == looping(outputs)
    assert looping(outputs * 2) == looping(outputs)
