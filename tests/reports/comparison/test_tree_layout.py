"""Which row each node of a tree stands in."""

import random

import pytest

from seqgen.reports.comparison.tree_layout import SLACK, rows_of


def test_an_example_by_hand():
    """The columns, from top to bottom: 0; 1 2 3; 4 5 6 (of 1, 1 and 3); 7 (of 5)."""
    children = [[1, 2, 3], [4, 5], [], [6], [], [7], [], []]
    assert rows_of(children) == [0, 0, 1, 2, 0, 1, 2, 1]


def test_a_line_goes_straight_on_over_rows_that_have_ended():
    children = [[1, 2, 3], [], [], [4], [5], []]
    assert rows_of(children) == [0, 0, 1, 2, 2, 2]


def test_but_not_over_more_than_the_slack():
    ended = list(range(1, SLACK + 2))
    children = [[*ended, SLACK + 2], *[[] for _ in ended], [SLACK + 3], []]
    assert rows_of(children)[-2:] == [SLACK + 1, 0]


def test_nothing_and_a_single_node():
    assert rows_of([]) == []
    assert rows_of([[]]) == [0]


def test_a_long_path_needs_no_deep_recursion():
    children = [[place + 1] for place in range(5000)] + [[]]
    assert set(rows_of(children)) == {0}


@pytest.mark.parametrize("seed", range(20))
def test_no_lines_cross_and_no_place_is_taken_twice(seed):
    draw = random.Random(seed)
    children, depths = [[]], [0]
    for place in range(1, 80):
        parent = draw.randrange(max(place - 12, 0), place)
        children[parent].append(place)
        children.append([])
        depths.append(depths[parent] + 1)
    rows = rows_of(children)
    assert len({*zip(depths, rows, strict=True)}) == len(rows)
    lines = [
        (depths[parent], rows[parent], rows[child])
        for parent, behind in enumerate(children)
        for child in behind
    ]
    for depth, left, right in lines:
        for other, before, after in lines:
            if depth == other and left < before:
                assert right < after
