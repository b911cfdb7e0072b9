"""Shares of sums."""

import numpy as np
import pytest

from seqgen.metrics.shares import by_label, mean_share, share


def test_a_share_of_nothing_is_what_is_said():
    part, whole = np.array([[1.0, 0.0], [3.0, 2.0]]), np.array([[2.0, 0.0], [4.0, 0.0]])
    assert share(part, whole).tolist() == [[0.5, 0.0], [0.75, 0.0]]
    assert share(part, whole, empty=1.0).tolist() == [[0.5, 1.0], [0.75, 1.0]]


def test_a_share_of_one_number():
    assert share(np.float64(1), np.float64(4)) == 0.25


def test_the_mean_leaves_out_labels_that_there_are_none_of():
    """Two labels, in three sums: 1 of 2 and 3 of 3; 1 of 2 and none; none and none."""
    totals = np.array([[1, 3, 2, 3], [1, 0, 2, 0], [0, 0, 0, 0]], dtype=float)
    assert mean_share(totals).tolist() == [0.75, 0.5, 1.0]


def test_each_label_has_two_columns_parts_first():
    answers = [[("b", 1, 1), ("a", 0, 1), ("b", 0, 1)], [], [("c", 1, 2)]]
    assert by_label(answers).tolist() == [[0, 1, 0, 1, 2, 0], [0] * 6, [0, 0, 1, 0, 0, 2]]


@pytest.mark.parametrize("answers", [[[]], [[], []]])
def test_without_labels_there_are_no_columns(answers):
    found = by_label(answers)
    assert found.shape == (len(answers), 0)
    assert mean_share(found).tolist() == [1.0] * len(answers)
