import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.reports.answers import CHARACTERS, Answer
from seqgen.reports.lengths import BINS, binned, bounds, lengths, wilson
from seqgen.reports.run_files import read_run

Writer = Callable[..., Path]


@pytest.mark.parametrize(
    ("wrong", "answers", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (1, 1, 0.2065, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_of_wilson(wrong: int, answers: int, low: float, high: float) -> None:
    assert wilson(wrong, answers) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share(pair: tuple[int, int]) -> None:
    low, high = wilson(*pair)
    assert 0 <= low <= pair[0] / pair[1] + 1e-12
    assert pair[0] / pair[1] - 1e-12 <= high <= 1


@pytest.mark.parametrize(
    ("found", "ranges"),
    [
        ([], []),
        ([3], [(3, 3)]),
        ([2, 3, 3, 5], [(2, 2), (3, 3), (4, 4), (5, 5)]),
        (list(range(1, 21)), [(1, 1), *((n, n + 1) for n in range(2, 19, 2)), (20, None)]),
        ([1] * 30 + [2] * 30 + [900], [(1, 1), (2, 2), (3, None)]),
    ],
)
def test_the_bins(found: list[int], ranges: list[tuple[int, int | None]]) -> None:
    assert [(each.low, each.high) for each in bounds(found)] == ranges


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_each_length_has_one_bin_and_bins_are_few(found: list[int]) -> None:
    bins = bounds(found)
    assert len(bins) <= BINS + 2
    assert all(sum(each.holds(length) for each in bins) == 1 for length in found)


def test_errors_are_counted_where_their_source_belongs() -> None:
    rows = [("ab", "x", "y"), ("cd", "xx", "xx"), ("abcd", "xyz", "xy")]
    answers = [Answer(source, output, (right,), None, True) for source, output, right in rows]
    found = [
        (b.low, b.answers, b.wrong, b.edits, b.size) for b in binned(answers, *[CHARACTERS] * 2)
    ]
    assert found == [(2, 2, 1, 1, 3), (4, 1, 1, 1, 2)]


def test_the_chart(write_judged: Writer) -> None:
    text = lengths(read_run(write_judged()))
    assert "By the number of characters of the source" in text
    assert "the dot the edits per phoneme of the right answers" in text
    bars = re.findall(r'<li title="([^"]*)"><span>(\w+)</span>.*?width: ([\d.]+)%', text)
    assert bars == [
        ("1 of 2; 1 edit in 5 phonemes", "3", "50.00"),
        ("1 of 1; 1 edit in 4 phonemes", "6", "100.00"),
    ]


def test_no_chart_where_there_is_nothing_to_tell(write_judged: Writer) -> None:
    right = [{"source": "a" * n, "output": "b", "references": ["b"]} for n in range(1, 9)]
    wrong = [{"source": "a", "output": "b", "references": ["c"]}] * 9
    folder = write_judged(answers=right)
    assert lengths(read_run(folder)) == ""
    (folder / "answers.json").unlink()
    assert lengths(read_run(folder)) == ""
    (folder / "answers.json").write_text(json.dumps(wrong), encoding="utf-8")
    assert lengths(read_run(folder)) == ""
