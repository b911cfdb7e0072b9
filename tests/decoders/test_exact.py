"""The decoder `exact`, against the enumeration of all sequences."""

import numpy as np
import pytest
import torch

from seqgen.decoders import Exact, Greedy, Hypothesis, Limits, MinimumLength, Start, WithoutTokens
from seqgen.decoders.exact import BestFirst, Node, Scores
from seqgen.decoders.search import LengthNormalisation

from .conftest import Table


def test_dead_ends_are_given_up_and_the_longest_one_is_the_output():
    """A search of one source, fed by hand: its root goes on with 0, 1 or 3."""
    search = BestFirst(Node((), (), 0.0, 1, None), 3, 1, LengthNormalisation(), max_nodes=4)
    three = Scores(np.array([0, 1, 3, 2]), np.array([-1.0, -2.0, -2.5, float("-inf")]))
    is_end = np.array([False, False, True, False])
    [root] = search.pick(1)
    search.expand(root, three, is_end, None)
    [first] = search.pick(1)
    assert first.tokens == (0,)
    search.give_up(first)
    assert search.results() == [Hypothesis((0,), -1.0, False, (-1.0,), None, False, False)]
    [second] = search.pick(1)  # and its best child comes next, though (3,) has a better score
    search.expand(second, three, is_end, None)
    [third] = search.pick(1)
    assert third.tokens == (1, 0)
    search.give_up(third)
    assert search.results()[0][:2] == ((1, 0), -3.0)
    assert search.pick(1) == []  # the budget
    assert not search.results()[0].complete


def test_what_is_as_good_as_all_that_is_open_is_complete():
    search = BestFirst(Node((), (), 0.0, 1, None), 3, 1, LengthNormalisation(), max_nodes=4)
    is_end = np.array([False, False, True])
    for scores in ([-0.5, -1.0, float("-inf")], [float("-inf"), float("-inf"), -0.5]):
        [node] = search.pick(1)
        order = np.argsort(scores)[::-1]
        search.expand(node, Scores(order, np.array(scores)[order]), is_end, None)
    assert search.pick(1) == []  # (1,) has no more than (0, 2)
    assert search.results() == [Hypothesis((0, 2), -1.0, True, (-0.5, -0.5), None, True)]


BATCH = 6
FORMULAS = [("none", 1.0), ("power", 1.0), ("power", 0.4), ("power", -0.5), ("gnmt", 1.5)]


def enumerated(model, start, source, limits, normalisation):
    """All sequences with their ranks, the best first."""
    every = model.enumerate(start, source, limits).items()
    return sorted(
        ((sum(past) / normalisation.divisor(len(tokens)), tokens) for tokens, past in every),
        reverse=True,
    )


@pytest.mark.parametrize(("formula", "alpha"), FORMULAS)
@pytest.mark.parametrize(("limit", "ends"), [(4, (2,)), (4, (2, 4)), (3, ()), (1, (2,))])
def test_it_finds_the_best_of_all(deep, formula, alpha, limit, ends):
    start = deep.start(2)
    decoder = Exact(n_best=4, length_normalisation=formula, alpha=alpha)
    limits, normalisation = Limits(limit, ends), LengthNormalisation(formula, alpha)
    for source, hypotheses in enumerate(decoder.decode(deep, start, limits)):
        wanted = enumerated(deep, start, source, limits, normalisation)[:4]
        assert [each.tokens for each in hypotheses] == [tokens for _, tokens in wanted]
        ranks = [each.score if formula == "none" else each.rank for each in hypotheses]
        assert ranks == pytest.approx([rank for rank, _ in wanted], abs=1e-5)
        assert all(each.complete for each in hypotheses)


@pytest.mark.parametrize("nodes_at_once", [1, 3, 64])
def test_how_many_paths_a_step_reads_does_not_matter(deep, nodes_at_once):
    limits = Limits(8, (2,))
    wanted = Exact(n_best=3).decode(deep, deep.start(BATCH), limits)
    found = Exact(n_best=3, nodes_at_once=nodes_at_once).decode(deep, deep.start(BATCH), limits)
    assert found == wanted


def test_all_sequences_where_there_are_no_more(deep):
    [found] = Exact(n_best=500).decode(deep, deep.start(1), Limits(3, (2,)))
    assert len(found) == len(deep.enumerate(deep.start(1), 0, Limits(3, (2,))))
    assert len({each.tokens for each in found}) == len(found)


@pytest.mark.parametrize("max_nodes", [1, 10, 40, 150])
def test_without_enough_budget_it_says_so_and_is_no_worse_than_greedy(deep, max_nodes):
    limits = Limits(12, (2,))
    greedy = Greedy().decode(deep, deep.start(BATCH), limits)
    true = Exact(n_best=3, max_nodes=100_000).decode(deep, deep.start(BATCH), limits)
    found = Exact(n_best=3, max_nodes=max_nodes).decode(deep, deep.start(BATCH), limits)
    assert all(each.complete for several in true for each in several)
    for some, best, [one] in zip(found, true, greedy, strict=True):
        assert some[0].score >= one.score - 1e-9
        known = [each for each in some if each.complete]
        assert known == best[: len(known)]
        assert [each.complete for each in some] == sorted((x.complete for x in some), reverse=True)
    if max_nodes == 1:
        assert not all(each.complete for several in found for each in several)


def test_a_model_that_is_sure_costs_little():
    sure = Table(12 * torch.eye(5).roll(1, 1))
    [[found]] = Exact().decode(sure, sure.start(1), Limits(300, (2,)))
    assert found.tokens == (1, 2)
    assert len(sure.seen) <= 3
    [[found]] = Exact().decode(sure, sure.start(1), Limits(40))
    assert found.complete
    assert sum(sure.seen) < 400


def test_the_budget_is_kept(deep):
    Exact(max_nodes=50).decode(WithoutTokens(deep, [2]), deep.start(1), Limits(100))
    assert sum(deep.seen) <= 50 + 100


def test_paths_of_different_lengths_keep_what_constraints_remember(deep):
    limits, plain = Limits(4, (2,)), deep.start(2)
    stepper, start = MinimumLength(2).wrap(deep, plain, limits, None)
    found = Exact(n_best=2).decode(stepper, start, limits)
    for source, hypotheses in enumerate(found):
        every = enumerated(deep, plain, source, limits, LengthNormalisation())
        wanted = [rank for rank, tokens in every if len(tokens) > 2][:2]
        assert [each.score for each in hypotheses] == pytest.approx(wanted, abs=1e-5)
        assert all(len(each.tokens) > 2 for each in hypotheses)


def test_no_room_has_the_rank_of_nothing(deep):
    [[found]] = Exact(length_normalisation="power").decode(deep, Start(*deep.start(1)), Limits(0))
    assert found[:7] == ((), 0.0, False, (), 0.0, True, True)
