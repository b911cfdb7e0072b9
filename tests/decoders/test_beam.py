"""The decoders `beam` and `diverse_beam`, against enumeration and plain searches of their own."""

import itertools
import math

import pytest
import torch

from seqgen.decoders import Beam, DiverseBeam, Greedy, Limits, Start, StochasticBeam, WithoutTokens
from seqgen.decoders.beam import BeamSearch
from seqgen.decoders.noise import Perturbed, below, gumbel
from seqgen.decoders.search import LengthNormalisation, best
from seqgen.state import reorder

from .conftest import VOCAB, Deep, Table, logits, rows_of, tokens_of

NORMALISATIONS = [
    ("none", 1.0),
    ("power", 0.0),
    ("power", 0.4),
    ("power", 1.0),
    ("power", -0.7),
    ("gnmt", 4.0),
    ("gnmt", 0.6),
]
normalised = pytest.mark.parametrize("normalisation", NORMALISATIONS, ids=str)


def test_it_goes_on_while_a_longer_one_could(counting):
    """By the mean, a path of -20 in 4 tokens may come to -0.4 in 50, but then it ends at 8."""
    [found] = Beam(2, 2, "power").decode(counting, counting.start(1), Limits(50, (4,)))
    assert len(counting.seen) > 8
    assert [each.tokens for each in found] == [(1, 2, 3, 4), (1, 2, 3, 0, 1, 2, 3, 4)]


def test_sources_leave_when_they_are_done(counting):
    found = Beam(2).decode(counting, counting.start(5), Limits([50, 50, 2, 50, 0], (4,)))
    assert [each.tokens for [each] in found] == [(1, 2, 3, 4), (2, 3, 4), (3, 4), (4,), ()]
    assert counting.seen == [4, 6, 4, 2]


def test_no_more_rows_than_there_are_paths(even):
    Beam(100, 100).decode(even, even.start(2), Limits(5, (0,)))
    assert even.seen == [2 * min(4**i, 100) for i in range(5)]


@pytest.mark.parametrize(("ends", "count"), [((), 3), ((1,), 6), ((1, 3, 4), 12), ((1, 1), 6)])
def test_each_group_sees_enough_to_go_on_whatever_ends(deep, ends, count):
    asked = []

    class Noting(BeamSearch):
        beam_size = n_best = 6
        groups, length_normalisation, alpha, width = 2, "none", 1.0, 3

        def __init__(self):
            self.normalisation = Beam().normalisation

        def pick(self, totals, tokens, count):
            asked.append((tuple(totals.shape), tokens[0].tolist(), count))
            return best(totals, count)

    Noting().decode(deep, deep.start(3), Limits(2, ends))
    assert asked[0] == ((6, 5), [0, 1, 2, 3, 4], min(count, 5))
    paths = min(3, 5 - len(set(ends)))
    assert asked[1] == ((6, 5 * paths), [0, 1, 2, 3, 4] * paths, min(count, 5 * paths))


@pytest.mark.parametrize("decoder", [Beam(1), Beam(3, 3), DiverseBeam(6, 3, 2.0, 2)], ids=repr)
@pytest.mark.parametrize("ends", [(), (2,)])
def test_a_list_of_the_best_of_each_path_loses_nothing(decoder, ends, monkeypatch):
    for seed in range(5):
        wide = Deep(logits(200, seed).mul(4).round())  # with ties
        start, limits = wide.start(3), Limits(6, ends)
        found = {}
        for worth in (0, 1000):
            monkeypatch.setattr("seqgen.decoders.beam.WORTH_A_LIST", worth)
            found[worth] = decoder.decode(wide, start, limits)
        assert found[0] == found[1000]


def rank(normalisation, log_probs):
    """By the formulas of the docstring."""
    formula, alpha = normalisation
    score = 0.0
    for each in log_probs:
        score += each
    length = len(log_probs)
    return score / {"none": 1, "power": length**alpha, "gnmt": ((5 + length) / 6) ** alpha}[formula]


def plain_beam(table, start, source, limits, beam_size):
    """All that a beam comes by when it goes on to the maximum length, in the order of finding."""
    live, found = [((), (), 0.0)], []
    last, state, context, _ = rows_of(start, [source])
    for left in reversed(range(limits.max_length)):
        log_probs, state = table.step(last, state, context)
        every = [
            (score + step, parent, token, step)
            for parent, (_, _, score) in enumerate(live)
            for token, step in enumerate(log_probs[parent].tolist())
            if step > float("-inf")
        ]
        every.sort(key=lambda each: -each[0])
        before, live, parents = live, [], []
        for place, (score, parent, token, step) in enumerate(every):
            tokens, past, _ = before[parent]
            path = ((*tokens, token), (*past, step), score)
            if token in limits.ends:
                found += [(*path[:2], True)] if place < beam_size else []
            elif len(live) < beam_size:
                live.append(path)
                parents.append(parent)
                found += [] if left else [(*path[:2], False)]
        if not live:
            break
        state = reorder(state, torch.tensor(parents))
        last = torch.tensor([tokens[-1] for tokens, *_ in live])
    return found


@pytest.mark.parametrize(("ends", "models"), [((2,), 10), ((0, 3), 10), ((), 2)])
def test_a_beam_as_wide_as_the_space_is_enumeration(ends, models):
    limits = Limits(4, ends)
    for seed in range(models):
        deep = Deep(logits(seed=seed))
        start = deep.start(2)
        every = [deep.enumerate(start, source, limits) for source in range(2)]
        for normalisation in NORMALISATIONS[::2]:
            found = Beam(VOCAB**4, VOCAB**4, *normalisation).decode(deep, start, limits)
            for source, each in enumerate(found):
                ranks = [rank(normalisation, past) for past in every[source].values()]
                assert [one.ranking_score for one in each] == sorted(ranks, reverse=True)
                assert {one.tokens: one.log_probs for one in each} == every[source]


@normalised
def test_stopping_early_loses_nothing(normalisation):
    for seed in range(9):
        deep = Deep(logits(seed=seed))
        start, limits = deep.start(3), Limits(8, [(2,), (1, 4), ()][seed % 3])
        for beam_size in (1, 2, 5, 7):
            n_best = min(beam_size, 3)
            found = Beam(beam_size, n_best, *normalisation).decode(deep, start, limits)
            for source in range(3):
                every = plain_beam(deep, start, source, limits, beam_size)
                every.sort(key=lambda each: -rank(normalisation, each[1]))
                pairs = [(each.tokens, each.log_probs, each.finished) for each in found[source]]
                assert pairs == every[:n_best]


@pytest.mark.parametrize(
    ("make", "enough"),
    [(lambda n, how: Beam(6, n, *how), 6), (lambda n, how: DiverseBeam(6, 2, 1.0, n, *how), 4)],
    ids=["beam", "diverse_beam"],
)
@normalised
def test_more_hypotheses_do_not_change_the_first_ones(deep, normalisation, make, enough):
    start, limits = deep.start(10), Limits(9, (2,))
    most = make(6, normalisation).decode(deep, start, limits)
    assert max(map(len, most)) >= enough
    for n_best in range(1, 6):
        found = make(n_best, normalisation).decode(deep, start, limits)
        assert found == [each[:n_best] for each in most]


@pytest.mark.parametrize("ends", [(), (2,), (0, 4)])
def test_one_path_is_greedy(ends):
    for seed in range(10):
        deep = Deep(logits(seed=seed))
        start, limits = deep.start(12), Limits([9, 0, 1, 7, 9, 9, 3, 2, 9, 9, 9, 9], ends)
        assert Beam(1).decode(deep, start, limits) == Greedy().decode(deep, start, limits)


@pytest.mark.parametrize("ends", [(), (0,), (1,), (4,)])
def test_one_path_is_greedy_where_tokens_tie(even, ends):
    start, limits = even.start(3), Limits(4, ends)
    assert Beam(1).decode(even, start, limits) == Greedy().decode(even, start, limits)


def test_ties_go_to_the_earliest_path_and_the_lowest_id_in_any_batch():
    even = Table(torch.zeros(700, 700))
    for batch in (1, 2, 33):
        found = Beam(3, 3).decode(even, even.start(batch), Limits(2))
        assert tokens_of(found) == [[(0, 0), (0, 1), (0, 2)]] * batch


@pytest.mark.parametrize(
    ("forbidden", "wanted"),
    [([0, 1, 4], [(2,), (3, 2), (3, 3, 2), (3, 3, 3)]), ([0, 1, 3, 4], [(2,)])],
)
def test_impossible_tokens_are_never_chosen(table, forbidden, wanted):
    """Rather are there fewer hypotheses."""
    stepper = WithoutTokens(table, forbidden)
    [found] = Beam(9, 9).decode(stepper, table.start(1), Limits(3, (2,)))
    assert sorted(each.tokens for each in found) == wanted


@pytest.mark.parametrize(("formula", "rank"), [("none", None), ("power", 0.0), ("gnmt", 0.0)])
def test_nothing_has_the_highest_rank_there_is(table, formula, rank):
    [[found]] = Beam(2, 2, formula).decode(table, table.start(1), Limits(0))
    assert found.rank == rank


def test_the_same_end_token_twice_is_one(deep):
    start = deep.start(4)
    once = Beam(3, 3).decode(deep, start, Limits(6, (2,)))
    assert Beam(3, 3).decode(deep, start, Limits(6, (2, 2))) == once


# The decoder `diverse_beam`: groups that avoid one another's tokens.
def plain_groups(table, start, source, length, groups, strength):
    """Groups of one path each and no end tokens, token by token."""
    paths = [([], *rows_of(start, [source])[:3]) for _ in range(groups)]
    for _ in range(length):
        chosen, grown = [], []
        for tokens, last, before, context in paths:
            log_probs, state = table.step(last, before, context)
            penalised = [
                each - strength * chosen.count(token)
                for token, each in enumerate(log_probs[0].double().tolist())
            ]
            token = penalised.index(max(penalised))
            chosen.append(token)
            grown.append(([*tokens, token], torch.tensor([token]), state, context))
        paths = grown
    return {tuple(tokens) for tokens, *_ in paths}


@pytest.mark.parametrize("strength", [0.0, 3.0])
@normalised
def test_one_group_is_beam(deep, normalisation, strength):
    start, limits = deep.start(9), Limits([7, 0, 1, 8, 8, 8, 3, 2, 5], (2, 4))
    wanted = Beam(4, 3, *normalisation).decode(deep, start, limits)
    decoder = DiverseBeam(4, 1, strength, 3, *normalisation)
    assert decoder.decode(deep, start, limits) == wanted


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0, 1e6])
def test_groups_of_one_path_choose_one_after_the_other(deep, strength):
    start = deep.start(6)
    found = DiverseBeam(4, 4, strength, 4).decode(deep, start, Limits(6))
    for source, each in enumerate(found):
        wanted = plain_groups(deep, start, source, 6, 4, strength)
        assert {one.tokens for one in each} == wanted


def test_without_a_penalty_the_groups_are_equal_and_count_once(deep):
    start, limits = deep.start(9), Limits(7, (2,))
    wanted = Beam(2, 2).decode(deep, start, limits)
    assert DiverseBeam(6, 3, 0.0, 6).decode(deep, start, limits) == wanted


def test_an_end_token_is_a_token_too():
    """Where the first group ends, the second one is kept from ending."""
    table = Table(torch.tensor([[0.0, 0.0, 3.0, 2.0]] * 4))
    [found] = DiverseBeam(2, 2, 2.0, 2).decode(table, table.start(1), Limits(2, (2,)))
    assert [each.tokens for each in found] == [(2,), (3, 3)]


def test_no_path_no_penalty():
    """Where a group has fewer paths than rows, the idle rows keep no group from a token."""
    scores = torch.tensor([[float("-inf"), 0.0, -1.0]] * 3)
    table = Table(scores)
    [found] = DiverseBeam(8, 2, 1e-3, 8).decode(table, table.start(1), Limits(1))
    assert [each.tokens for each in found] == [(1,), (2,)]


INF = float("inf")


def test_gumbel_variables():
    found = gumbel(torch.tensor([math.exp(-1.0), math.exp(-math.e)])).tolist()
    assert found == pytest.approx([0, -1], abs=1e-6)


def test_moving_below_a_largest_one():
    free = torch.tensor([[0.5, -1.0, 3.0, -INF], [-50.0, -60.0, -50.1, -INF]], dtype=torch.float64)
    largest = torch.tensor([[1.5], [2.0]], dtype=torch.float64)
    moved = below(free, largest)
    top = free.amax(1, keepdim=True)
    wanted = -torch.log(torch.exp(-largest) - torch.exp(-top) + torch.exp(-free))
    torch.testing.assert_close(moved[0], wanted[0])
    assert torch.equal(moved.amax(1, keepdim=True), largest)
    assert moved[:, 3].tolist() == [-INF, -INF]
    assert (moved.argsort(1) == free.argsort(1)).all()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 700.0, 1e6])
def test_never_nan(scale):
    free = scale * torch.randn(50, 20, generator=torch.manual_seed(1), dtype=torch.float64)
    for largest in (-scale, 0.0, scale):
        moved = below(free, torch.full((50, 1), largest, dtype=torch.float64))
        assert not moved.isnan().any()
        assert (moved <= largest).all()


def test_a_path_without_children_has_none_and_no_nan():
    paths = Perturbed.empty(1, torch.arange(2))
    scores = torch.tensor([[-INF, -INF], [-1.0, -INF]])
    log_probs, perturbed = paths.children(1, scores)
    assert log_probs.tolist() == [[-INF, -INF], [0.0, -INF]]
    assert perturbed[0].tolist() == [-INF, -INF]
    assert perturbed[1].tolist() == [float(paths.perturbed[1]), -INF]


def test_only_differences_of_scores_matter():
    paths, scores = Perturbed.empty(1, torch.arange(2)), logits().double()[:2]
    for found, wanted in zip(
        paths.children(1, scores - 1e4), paths.children(1, scores), strict=True
    ):
        torch.testing.assert_close(found, wanted)


LIMITS = Limits(2, (2,))
DRAWS = 4000


@pytest.fixture
def many(table):
    """The same source under many ids."""
    return Start(torch.zeros(DRAWS, dtype=torch.long), None, None, torch.arange(DRAWS))


@pytest.fixture
def chances(table):
    """The probability of each sequence after token 0."""
    log_probs = table.log_probs.double()
    found = {}
    for tokens in [(2,), *itertools.product((0, 1, 3, 4), range(5))]:
        pairs = zip((0, *tokens), tokens, strict=False)
        found[tokens] = math.exp(sum(float(log_probs[pair]) for pair in pairs))
    assert sum(found.values()) == pytest.approx(1)
    return found


def near(count, chance):
    """Within 4.5 standard deviations of what is expected of so many draws."""
    spread = math.sqrt(DRAWS * chance * (1 - chance)) + 1e-9
    return abs(count - DRAWS * chance) < 4.5 * spread


def test_the_first_is_a_sample_and_the_second_one_without_it(table, many, chances):
    found = StochasticBeam(seed=1, beam_size=2).decode(table, many, LIMITS)
    firsts = [one.tokens for one, _ in found]
    both = [tuple(each.tokens for each in pair) for pair in found]
    for tokens, chance in chances.items():
        assert near(firsts.count(tokens), chance)
        included = chance + sum(
            other * chance / (1 - other) for key, other in chances.items() if key != tokens
        )
        assert near(sum(tokens in pair for pair in both), included)
    [one, two] = sorted(chances, key=chances.get)[-2:]
    for pair in ((one, two), (two, one)):
        wanted = chances[pair[0]] * chances[pair[1]] / (1 - chances[pair[0]])
        assert near(both.count(pair), wanted)


def test_ranks_are_scores_with_gumbel_noise(table, many, chances):
    """The highest of all is a standard Gumbel variable: its mean is Euler's constant."""
    found = StochasticBeam(seed=2, beam_size=1).decode(table, many, LIMITS)
    ranks = torch.tensor([each.rank for [each] in found])
    assert abs(float(ranks.mean()) - 0.5772) < 4.5 * math.pi / math.sqrt(6 * DRAWS)
    assert abs(float(ranks.std()) - math.pi / math.sqrt(6)) < 0.1


def test_a_beam_as_wide_as_the_space_finds_all_of_it(table, chances):
    [found] = StochasticBeam(beam_size=50).decode(table, table.start(1), LIMITS)
    assert sorted(each.tokens for each in found) == sorted(chances)
    for each in found:
        assert math.exp(each.score) == pytest.approx(chances[each.tokens], rel=1e-5)


@pytest.mark.parametrize("narrow", [1, 2, 4, 7])
def test_a_narrow_beam_finds_the_first_ones_of_a_wide_one(deep, narrow):
    limits = Limits(6, (2, 4))
    wide = StochasticBeam(seed=3, beam_size=300).decode(deep, deep.start(5), limits)
    found = StochasticBeam(seed=3, beam_size=narrow).decode(deep, deep.start(5), limits)
    assert tokens_of(found) == [own[:narrow] for own in tokens_of(wide)]


def test_scores_that_do_not_sum_to_one_are_normalised(table, many):
    """Otherwise paths through tokens with many forbidden successors would come too rarely."""
    found = StochasticBeam(seed=1, beam_size=1).decode(WithoutTokens(table, [0, 1]), many, LIMITS)
    firsts = [each.tokens[0] for [each] in found]
    wanted = table.log_probs[0, 2:].double().softmax(0)
    assert all(near(firsts.count(i + 2), float(wanted[i])) for i in range(3))


def test_seeds_and_ids_draw_others(deep):
    def found(seed, ids):
        start = deep.start(5, torch.tensor(ids))
        return StochasticBeam(seed).decode(deep, start, Limits(6))

    one = found(1, [0, 1, 2, 3, 4])
    assert found(1, [0, 1, 2, 3, 4]) == one
    assert found(2, [0, 1, 2, 3, 4])[0] != one[0]
    assert found(1, [9, 1, 2, 3, 4])[0] != one[0]
    assert found(1, [9, 1, 2, 3, 4])[1:] == one[1:]


@pytest.mark.parametrize("reward", [-1.0, 0.5, 1.5, 4.0])
@pytest.mark.parametrize("formula", ["none", "power", "gnmt"])
def test_a_reward_of_each_token_is_part_of_the_rank(deep, formula, reward):
    """Compared with all sequences; no search ends before it has the best."""
    limits, start = Limits(5, (2, 4)), deep.start(3)
    how = {"length_normalisation": formula, "alpha": 0.8, "word_reward": reward}
    decoder = Beam(beam_size=3**5, n_best=4, **how)
    for source, found in enumerate(decoder.decode(deep, start, limits)):
        every = deep.enumerate(start, source, limits).items()
        divisor = LengthNormalisation(formula, 0.8).divisor
        ranks = [
            (sum(given) / divisor(len(tokens)) + reward * len(tokens), tokens)
            for tokens, given in every
        ]
        wanted = sorted(ranks, reverse=True)[:4]
        assert [each.tokens for each in found] == [tokens for _, tokens in wanted]
        assert [each.rank for each in found] == pytest.approx([rank for rank, _ in wanted])
