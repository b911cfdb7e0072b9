"""The decoder `exact`, against the enumeration of all sequences."""

import itertools

import pytest
import torch

from seqgen.decoders import Exact, Forbid, Limits, MinimumLength, Start, decoders
from seqgen.decoders.length_normalisation import LengthNormalisation

BATCH = 6
FORMULAS = [("none", 1.0), ("power", 1.0), ("power", 0.4), ("power", -0.5), ("gnmt", 1.5)]


def every_sequence(limit, ends):
    """All sequences of 5 tokens that end with their first end token or at the limit."""
    for length in range(1, limit + 1):
        for tokens in itertools.product(range(5), repeat=length):
            over = length == limit or tokens[-1] in ends
            if over and not set(tokens[:-1]) & set(ends):
                yield tokens


def enumerated(model, start, source, limit, ends, normalisation):
    """All sequences with their ranks, the best first."""
    found = []
    for tokens in every_sequence(limit, ends):
        rank = sum(model.rescore(start, source, tokens)) / normalisation.divisor(len(tokens))
        found.append((rank, tokens))
    return sorted(found, reverse=True)


@pytest.mark.parametrize(("formula", "alpha"), FORMULAS)
@pytest.mark.parametrize(("limit", "ends"), [(4, (2,)), (4, (2, 4)), (3, ()), (1, (2,))])
def test_it_finds_the_best_of_all(deep, formula, alpha, limit, ends):
    start = deep.start(2)
    decoder = Exact(n_best=4, length_normalisation=formula, alpha=alpha)
    found = decoder.decode(deep, start, Limits(limit, ends))
    normalisation = LengthNormalisation(formula, alpha)
    for source, hypotheses in enumerate(found):
        wanted = enumerated(deep, start, source, limit, ends, normalisation)[:4]
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
    assert len(found) == len(list(every_sequence(3, (2,))))
    assert len({each.tokens for each in found}) == len(found)


@pytest.mark.parametrize("max_nodes", [1, 10, 40, 150])
def test_without_enough_budget_it_says_so_and_is_no_worse_than_greedy(deep, max_nodes):
    limits = Limits(12, (2,))
    greedy = decoders.build("greedy").decode(deep, deep.start(BATCH), limits)
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


def test_a_model_that_is_sure_costs_little(tables):
    sure = tables(12 * torch.eye(5).roll(1, 1))
    [[found]] = Exact().decode(sure, sure.start(1), Limits(300, (2,)))
    assert found.tokens == (1, 2)
    assert len(sure.seen) <= 3
    [[found]] = Exact().decode(sure, sure.start(1), Limits(40))
    assert found.complete
    assert sum(sure.seen) < 400


def test_the_budget_is_kept(deep):
    Exact(max_nodes=50).decode(Forbid(deep, [2]), deep.start(1), Limits(100))
    assert sum(deep.seen) <= 50 + 100


def test_paths_of_different_lengths_keep_what_constraints_remember(deep):
    limits, plain = Limits(4, (2,)), deep.start(2)
    stepper, start = MinimumLength(2).wrap(deep, plain, limits, None)
    found = Exact(n_best=2).decode(stepper, start, limits)
    for source, hypotheses in enumerate(found):
        every = enumerated(deep, plain, source, 4, (2,), LengthNormalisation())
        wanted = [rank for rank, tokens in every if len(tokens) > 2][:2]
        assert [each.score for each in hypotheses] == pytest.approx(wanted, abs=1e-5)
        assert all(len(each.tokens) > 2 for each in hypotheses)


@pytest.mark.parametrize("name", ["n_best", "max_nodes", "nodes_at_once"])
def test_nothing_of_a_size_is_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, but is 0"):
        Exact(**{name: 0})


def test_no_room_has_the_rank_of_nothing(deep):
    [[found]] = Exact(length_normalisation="power").decode(deep, Start(*deep.start(1)), Limits(0))
    assert found == ((), 0.0, False, (), 0.0, True, True)
