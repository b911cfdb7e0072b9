"""The decoder `multinomial`: draws from the tempered distribution, and from nothing else."""

import pytest
import torch

from seqgen.decoders import Greedy, Limits, Multinomial, Start, at_temperature, decoders
from seqgen.options import OptionError

DRAWS = 20_000
END = 2


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_tempered_distribution(table, follow, temperature, seed):
    start, limits = Start(torch.zeros(DRAWS, dtype=torch.long), None), Limits(3, (END,))
    found = Multinomial(seed, temperature).decode(table, start, limits)
    powers = table.log_probs.double().exp() ** (1 / temperature)
    steps = (powers / powers.sum(-1, keepdim=True)).tolist()
    follow([each.tokens for [each] in found], steps, limits)


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1e-6])
def test_towards_zero_is_greedy(deep, temperature):
    start, limits = deep.start(30), Limits(12, (END,))
    wanted = Greedy().decode(deep, start, limits)
    assert Multinomial(4, temperature).decode(deep, start, limits) == wanted


def test_zero_is_greedy_where_tokens_are_equal(tables):
    even = tables(torch.zeros(5, 5))
    [[found]] = Multinomial(4, 0.0).decode(even, even.start(1), Limits(5))
    assert found.tokens == (0,) * 5


@pytest.mark.parametrize("temperature", [1e-300, 1e-4, 1.0, 100.0, 1e300])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6, 1e30])
def test_any_temperature_is_stable(temperature, scale):
    scores = scale * torch.randn(50, 20, generator=torch.Generator().manual_seed(1))
    scores[:, 3] = float("-inf")
    tempered = at_temperature(scores, temperature)
    assert not tempered.isnan().any()
    torch.testing.assert_close(tempered.exp().sum(-1), torch.ones(50, dtype=torch.float64))
    assert not tempered.exp()[:, 3].any()
    chosen = Multinomial(1, temperature).choose(scores, torch.arange(50), 0)
    assert scores.gather(1, chosen.unsqueeze(1)).isfinite().all()


def test_a_high_temperature_is_almost_even():
    tempered = at_temperature(torch.tensor([[0.0, -5.0, -9.0]]), 1e6)
    assert (tempered.exp() - 1 / 3).abs().max() < 1e-5


@pytest.mark.parametrize("possible", [[0], [9], [4], [0, 9], [3, 4, 5]])
def test_impossible_tokens_are_never_drawn(possible):
    scores = torch.full((5000, 10), float("-inf"))
    scores[:, possible] = 0.0
    for temperature in (0.5, 1.0, 100.0):
        chosen = Multinomial(2, temperature).choose(scores, torch.arange(5000), 0)
        assert sorted(set(chosen.tolist())) == possible


def test_what_a_row_draws_does_not_depend_on_the_rows_beside_it():
    scores = torch.randn(64, 97, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    numbers = torch.arange(64) * 1001
    for temperature in (0.7, 1.0, 1.3):
        decoder = Multinomial(2, temperature)
        whole = decoder.choose(scores, numbers, 5)
        for size in (1, 2, 3, 16):
            parts = zip(scores.split(size), numbers.split(size), strict=True)
            assert torch.equal(torch.cat([decoder.choose(*part, 5) for part in parts]), whole)


def test_seeds_and_numbers_differ(deep):
    start = deep.start(1)

    def draw(seed, number):
        numbered = start._replace(numbers=torch.tensor([number]))
        [[found]] = Multinomial(seed).decode(deep, numbered, Limits(40))
        return found.tokens

    drawn = {draw(seed, number) for seed in (0, 1, 2) for number in (0, 1, 2**32)}
    assert len(drawn) == 9


def test_without_numbers_sources_are_numbered_from_zero(deep):
    decoder, limits = Multinomial(3), Limits(9, (END,))
    numbered = deep.start(6, torch.arange(6))
    assert decoder.decode(deep, deep.start(6), limits) == decoder.decode(deep, numbered, limits)


def test_scores_are_the_steppers_own_at_any_temperature(table):
    start = table.start(6)
    for temperature in (0.3, 3.0):
        for i, [each] in enumerate(Multinomial(1, temperature).decode(table, start, Limits(5))):
            assert each.log_probs == pytest.approx(table.rescore(start, i, each.tokens))


@pytest.mark.parametrize("temperature", [-0.5, float("inf"), float("-inf"), float("nan")])
def test_a_temperature_that_is_none_is_refused(temperature):
    with pytest.raises(ValueError, match="`temperature` must be at least 0 and finite"):
        Multinomial(0, temperature)
    with pytest.raises(OptionError, match=r"^temperature: must be"):
        decoders.check({"name": "multinomial", "temperature": temperature})
