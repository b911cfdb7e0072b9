import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.reports.cycle import Cycle, find_cycle

PHRASE = "the first the counters to "


def test_a_greedy_text_that_goes_round() -> None:
    text = "of that day," + " " + 4 * PHRASE + PHRASE[:7]
    assert find_cycle(text) == Cycle(len("of that day,"), PHRASE)


def test_the_unit_begins_with_a_word_where_the_text_enters_it_within_one() -> None:
    assert find_cycle("e senator:\nTh" * 5) == Cycle(0, "senator:\nThe ")


def test_the_shortest_period_is_found() -> None:
    assert find_cycle("ab" * 20) == Cycle(0, "ab")
    assert find_cycle("a" * 20) == Cycle(0, "a")


def test_the_start_is_the_first_character_that_is_periodic() -> None:
    assert find_cycle("xyzq" + "abc" * 10) == Cycle(4, "abc")
    assert find_cycle("xyzc" + "abc" * 10) == Cycle(3, "cab")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "hahaha",
        "The end...",
        2 * PHRASE,
        "To be, or not to be, that is the question: whether 'tis nobler",
        4 * PHRASE + "and there it ends, out of the cycle",
        "".join(map(chr, range(100, 400))) + "ab" * 20,  # less than a third
    ],
)
def test_no_cycle(text: str) -> None:
    assert find_cycle(text) is None


@given(st.text("ab ", max_size=60))
def test_a_cycle_is_what_it_says(text: str) -> None:
    cycle = find_cycle(text)
    plain = _by_definition(text)
    assert (cycle and (cycle.start, len(cycle.unit))) == plain
    if cycle is not None:
        period = len(cycle.unit)
        assert sorted(cycle.unit) == sorted(text[cycle.start : cycle.start + period])
        assert cycle.unit in 2 * text[cycle.start : cycle.start + period]


def _by_definition(text: str) -> tuple[int, int] | None:
    for period in range(1, len(text)):
        start = len(text) - period
        while start > 0 and text[start - 1] == text[start - 1 + period]:
            start -= 1
        if len(text) - start >= max(3 * period, 12, len(text) / 3):
            return start, period
    return None


def test_a_long_text_takes_no_quadratic_time() -> None:
    text = ("a" * 500 + "b") * 400
    assert find_cycle(text) == Cycle(0, "a" * 500 + "b")
