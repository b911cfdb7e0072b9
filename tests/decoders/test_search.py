"""Paths, the frontier of a search, the best so far, and picking the best among ties."""

import itertools

import pytest
import torch

from seqgen.decoders import Hypothesis, Limits
from seqgen.decoders.guards import IMPOSSIBLE
from seqgen.decoders.search import (
    Expansion,
    Frontier,
    LengthNormalisation,
    NBest,
    best,
    live_first,
    longest_dead_end,
    merge,
)
from seqgen.errors import DecodeError

INF = float("inf")


@pytest.mark.parametrize("kinds", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 7), (3, 64), (50, 1000), (2, 30_000), (20, 8000), (5, 30_011)]
)
def test_the_best_are_those_of_a_stable_sort(kinds, rows, columns):
    draw = torch.Generator().manual_seed(rows)
    scores = -torch.randint(kinds, (rows, columns), generator=draw).double()
    scores[:, ::5] = -INF
    wanted = scores.sort(stable=True, dim=1, descending=True).indices
    for count in (1, 2, 7, 40, columns):
        assert torch.equal(best(scores, count), wanted[:, :count])


def test_there_are_no_more_than_all_and_all_impossible_are_ties():
    assert best(torch.tensor([[1.0, 3.0, 2.0]]), 9).tolist() == [[1, 2, 0]]
    assert best(torch.full((2, 4), -INF), 3).tolist() == [[0, 1, 2]] * 2


def test_the_live_ones_are_first_as_many_as_the_rows_that_stay_need():
    live = torch.tensor([[False, True, True], [True, True, True], [False, False, True]])
    found = live_first(live, torch.tensor([True, False, True]))
    assert found.tolist() == [[1, 2], [0, 1], [2, 0]]


def test_of_dead_ends_the_longest_counts_and_then_the_most_probable():
    short, low, high = (
        Hypothesis((1,) * n, s, False) for n, s in ((1, -1.0), (2, -9.0), (2, -4.0))
    )
    assert longest_dead_end(None, short) is short
    for one, two, wanted in [(short, low, low), (low, short, low), (low, high, high)]:
        assert longest_dead_end(one, two) is wanted
    assert longest_dead_end(high, low) is high


# Frontier: rows, states and contexts that belong together.
BOTH = torch.tensor([True, True])


def picked(rows, tokens, log_probs, scores=None):
    rows, tokens = torch.tensor(rows), torch.tensor(tokens)
    given = log_probs[rows, tokens].double()
    return Expansion(rows, tokens, given, given if scores is None else scores)


class TestRowsWithoutAPath:
    @staticmethod
    def begun(stepper):
        """Two sources: one path and two paths."""
        log_probs, frontier = Frontier.begin(stepper.start(2), Limits(4)).step(stepper)
        scores = torch.tensor([[-1.0, IMPOSSIBLE], [-1.0, -2.0]])
        return frontier.advance(picked([[0, 0], [1, 1]], [[4, 3], [0, 1]], log_probs, scores), BOTH)

    @pytest.mark.parametrize("fault", [False, True])
    def test_lead_nowhere_and_are_not_read(self, table, fault):
        """Nor complained of."""
        frontier = self.begun(table)
        if fault:
            table.log_probs[3] = float("nan")
        log_probs, _ = frontier.step(table)
        assert torch.isneginf(log_probs[1]).all()
        assert log_probs[[0, 2, 3]].isfinite().all()
        assert table.seen == [2, 3]

    def test_the_others_are_errors(self, table):
        frontier = self.begun(table)
        table.log_probs[1] = float("nan")
        with pytest.raises(DecodeError, match="row 1 at step 2 have NaN"):
            frontier.step(table)

    def test_the_others_read_their_own_contexts_and_states(self, deep):
        log_probs, frontier = self.begun(deep).step(deep)
        expansion = picked([[0, 0], [3, 2]], [[4, 3], [0, 1]], log_probs)
        last, _ = frontier.advance(expansion, BOTH).step(deep)
        every = [(0, [4, 4]), (0, [4, 3]), (1, [1, 0]), (1, [0, 1])]
        for row, (source, tokens) in enumerate(every):
            wanted = [deep.rescore(deep.start(2), source, [*tokens, n])[-1] for n in range(5)]
            assert last[row].tolist() == pytest.approx(wanted, abs=1e-6)


# NBest: the best hypotheses so far.
def hypothesis(token, score, rank=None):
    return Hypothesis((token,), score, True, (score,), rank)


def kept(size, *hypotheses):
    found = NBest(size)
    for each in hypotheses:
        found.add(each)
    return found


@pytest.mark.parametrize(("rank", "wanted"), [(None, -3.0), (-1.0, -1.0), (0.0, 0.0)])
def test_a_rank_goes_before_a_score(rank, wanted):
    assert hypothesis(0, -3.0, rank).ranking_score == wanted


def test_keeps_the_best_in_any_order():
    every = [hypothesis(i, -float(i)) for i in range(5)]
    for order in itertools.permutations(every):
        assert kept(3, *order).hypotheses == every[:3]


def test_ties_go_to_the_first():
    first, second, third = (hypothesis(i, -1.0) for i in range(3))
    assert kept(2, second, third, first).hypotheses == [second, third]


def test_the_threshold_is_that_of_the_last_once_it_is_full():
    found = kept(2, hypothesis(0, -1.0))
    assert found.threshold == -INF
    for score, threshold in ((-4.0, -4.0), (-2.0, -2.0)):
        found.add(hypothesis(1, score))
        assert found.threshold == threshold


def test_merging_has_each_sequence_once():
    one = kept(3, hypothesis(0, -1.0), hypothesis(1, -3.0))
    other = kept(3, hypothesis(2, -2.0), hypothesis(0, -1.0))
    assert [each.tokens for each in merge([one, other], 3)] == [(0,), (2,), (1,)]
    assert [each.tokens for each in merge([one, other], 2)] == [(0,), (2,)]
    assert merge([NBest(2)], 2) == []


# Length normalisation: its formulas, and what a path may still reach.
ALL = [
    LengthNormalisation(),
    *(LengthNormalisation("power", alpha) for alpha in (-1.0, 0.0, 0.5, 1.0, 3.0)),
    *(LengthNormalisation("gnmt", alpha) for alpha in (-0.6, 0.6, 1.0)),
    *(LengthNormalisation("none", 1.0, reward) for reward in (-0.5, 0.75)),
    LengthNormalisation("power", 1.0, 0.5),
    LengthNormalisation("gnmt", -0.6, -0.25),
]


@pytest.mark.parametrize(
    ("formula", "alpha", "length", "wanted"),
    [
        ("none", 1.0, 7, 1.0),
        ("power", 0.0, 7, 1.0),
        ("power", 1.0, 7, 7.0),
        ("power", 0.5, 4, 2.0),
        ("power", -1.0, 4, 0.25),
        ("power", 1.0, 0, 1.0),
        ("gnmt", 1.0, 1, 1.0),
        ("gnmt", 1.0, 7, 2.0),
        ("gnmt", 2.0, 7, 4.0),
        ("gnmt", -1.0, 7, 0.5),
    ],
)
def test_the_divisor(formula, alpha, length, wanted):
    assert LengthNormalisation(formula, alpha).divisor(length) == wanted


@pytest.mark.parametrize(
    ("options", "said"), [(("mean",), "`formula` must be"), (("power", 11), "`alpha` must be")]
)
def test_other_formulas_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        LengthNormalisation(*options)


@pytest.mark.parametrize("normalisation", ALL, ids=repr)
def test_the_bound_is_the_best_of_all_lengths_that_are_left(normalisation):
    scores = torch.tensor([-3.0, -0.5, 0.0, -INF], dtype=torch.float64)
    room = torch.tensor([9, 4, 6, 9])
    found = normalisation.bound(scores, 3, room)
    for score, last, bound in zip(scores.tolist(), room.tolist(), found.tolist(), strict=True):
        lengths = range(4, last + 1)
        assert bound == max(normalisation.rank(score, length) for length in lengths)


@pytest.mark.parametrize(
    "normalisation",
    [LengthNormalisation("power", 1.0, -0.3), LengthNormalisation("gnmt", -0.6, 0.4)],
)
def test_no_rank_is_above_the_bound(normalisation):
    """Where the two formulas pull in different directions."""
    scores = torch.tensor([-3.0, -0.5, 0.0], dtype=torch.float64)
    found = normalisation.bound(scores, 3, torch.tensor([9, 4, 6]))
    for score, last, bound in zip(scores.tolist(), (9, 4, 6), found.tolist(), strict=True):
        assert bound >= max(normalisation.rank(score, length) for length in range(4, last + 1))
