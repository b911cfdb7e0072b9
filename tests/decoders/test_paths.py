"""Paths, and picking the best of equals in a way that no batch can change."""

import pytest
import torch

from seqgen.decoders import Hypothesis
from seqgen.decoders.paths import Growth, Paths, best
from seqgen.state import reorder

INF = float("inf")


def grow(rows, tokens, log_probs, scores):
    floats = [torch.tensor(each, dtype=torch.float64) for each in (log_probs, scores)]
    return Growth(torch.tensor(rows), torch.tensor(tokens), *floats)


@pytest.fixture
def paths():
    empty = Paths.empty(2, torch.device("cpu"))
    return empty.extend(grow([0, 1], [7, 8], [-1.0, -2.0], [-1.0, -2.0]))


def test_empty_paths_have_no_tokens_and_score_nothing():
    empty = Paths.empty(3, torch.device("cpu"))
    assert empty.length == 0
    assert empty.scores.tolist() == [0.0] * 3


def test_paths_go_on_from_any_row_several_times_or_never(paths):
    grown = paths.extend(grow([[1, 1, 0]], [[5, 6, 7]], [[-0.5, -1, -3]], [[-2.5, -3, -4]]))
    assert grown.length == 2
    assert grown.tokens.tolist() == [[8, 5], [8, 6], [7, 7]]
    assert grown.log_probs.tolist() == [[-2, -0.5], [-2, -1], [-1, -3]]
    assert grown.scores.tolist() == [-2.5, -3, -4]
    assert paths.length == 1


def test_are_a_state(paths):
    assert reorder(paths, torch.tensor([1, 0])).tokens.tolist() == [[8], [7]]


def test_become_hypotheses(paths):
    growth = grow([1, 0], [5, 6], [-0.5, -1.0], [-2.5, -2.0])
    finished = torch.tensor([True, False])
    assert paths.hypotheses(growth, finished, torch.tensor([-1.25, -1.0])) == [
        Hypothesis((8, 5), -2.5, True, (-2.0, -0.5), -1.25),
        Hypothesis((7, 6), -2.0, False, (-1.0, -1.0), -1.0),
    ]
    assert [each.rank for each in paths.hypotheses(growth, finished)] == [None, None]


@pytest.mark.parametrize("kinds", [1, 2, 5, 1000])
@pytest.mark.parametrize(("rows", "columns"), [(1, 7), (3, 64), (50, 1000), (2, 30_000)])
def test_the_best_are_those_of_a_stable_sort(kinds, rows, columns):
    draw = torch.Generator().manual_seed(rows)
    scores = -torch.randint(kinds, (rows, columns), generator=draw).double()
    scores[:, ::5] = -INF
    wanted = scores.sort(stable=True, dim=1, descending=True).indices
    for count in (1, 2, 7, 40, columns):
        assert torch.equal(best(scores, count), wanted[:, :count])


def test_there_are_no_more_than_all():
    assert best(torch.tensor([[1.0, 3.0, 2.0]]), 9).tolist() == [[1, 2, 0]]


def test_all_impossible_are_equals():
    assert best(torch.full((2, 4), -INF), 3).tolist() == [[0, 1, 2]] * 2
