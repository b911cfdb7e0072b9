"""The decoder `stochastic_beam`, against enumerated distributions, and its Gumbel noise."""

import itertools
import math

import pytest
import torch

from seqgen.decoders import Limits, Start, StochasticBeam, WithoutTokens
from seqgen.decoders.stochastic_beam import Perturbed, below, gumbel

from .conftest import tokens_of

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
