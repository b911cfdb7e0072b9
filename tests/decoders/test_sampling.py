"""The laws of samplers: what they draw from, and where they become one another."""

import math

import pytest
import torch

from seqgen.decoders import (
    Greedy,
    Limits,
    MinP,
    Multinomial,
    Sampler,
    Start,
    TopK,
    TopP,
    Typical,
    at_temperature,
    decoders,
)
from seqgen.decoders.sampling import keep_mass
from seqgen.options import OptionError

DRAWS, END = 10_000, 2
LIMITS = Limits(3, (END,))
SAMPLERS = [name for name in decoders.names() if issubclass(decoders.entry(name).factory, Sampler)]


@pytest.fixture(params=SAMPLERS)
def make(request, small):
    """A function from a temperature to a sampler."""
    spec = small(decoders, request.param)
    return lambda temperature: decoders.build({**spec, "temperature": temperature}, seed=3)


def most_probable(k):
    return lambda shares: sorted(range(len(shares)), key=lambda token: (-shares[token], token))[:k]


def until(mass, shares, order):
    kept, total = [], 0.0
    for token in order:
        if total >= mass:
            break
        kept.append(token)
        total += shares[token]
    return kept


def nucleus(mass):
    return lambda shares: until(mass, shares, most_probable(None)(shares))


def near_the_best(share):
    return lambda shares: [i for i, each in enumerate(shares) if each >= share * max(shares)]


def expected_surprise(mass):
    def keep(shares):
        surprises = [-math.log(each) for each in shares]
        entropy = sum(share * each for share, each in zip(shares, surprises, strict=True))
        order = sorted(range(len(shares)), key=lambda token: abs(surprises[token] - entropy))
        return until(mass, shares, order)

    return keep


CASES = [
    (TopK(2), most_probable(2)),
    (TopK(4, seed=1, temperature=2.0), most_probable(4)),
    (TopP(0.8), nucleus(0.8)),
    (TopP(0.9, seed=1, temperature=0.5), nucleus(0.9)),
    (MinP(0.2), near_the_best(0.2)),
    (MinP(0.4, seed=1, temperature=3.0), near_the_best(0.4)),
    (Typical(0.5), expected_surprise(0.5)),
    (Typical(0.9, seed=1, temperature=2.0), expected_surprise(0.9)),
]


@pytest.mark.parametrize(("sampler", "kept"), CASES)
def test_draws_follow_the_truncated_distribution(table, follow, sampler, kept):
    steps = []
    for row in table.log_probs.double():
        powers = [math.exp(each / sampler.temperature) for each in row.tolist()]
        shares = [each / sum(powers) for each in powers]
        tokens = kept(shares)
        total = sum(shares[token] for token in tokens)
        steps.append([(i in tokens) * share / total for i, share in enumerate(shares)])
    start = Start(torch.zeros(DRAWS, dtype=torch.long), None)
    found = sampler.decode(table, start, LIMITS)
    follow([each.tokens for [each] in found], steps, LIMITS)


@pytest.mark.parametrize("temperature", [0.0, 1e-4])
def test_towards_temperature_zero_all_are_greedy(make, deep, temperature):
    start, limits = deep.start(30), Limits(12, (END,))
    assert make(temperature).decode(deep, start, limits) == Greedy().decode(deep, start, limits)


@pytest.mark.parametrize(
    "sampler", [TopK(1), TopK(1, temperature=100.0), TopP(1e-9), MinP(1.0)], ids=repr
)
def test_the_narrowest_truncation_is_greedy(deep, sampler):
    start, limits = deep.start(30), Limits(12, (END,))
    assert sampler.decode(deep, start, limits) == Greedy().decode(deep, start, limits)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 100.0])
@pytest.mark.parametrize("seed", [0, 7])
def test_without_truncation_the_draws_are_those_of_multinomial(deep, seed, temperature):
    start, limits = deep.start(200), Limits(9, (END,))
    wanted = Multinomial(seed, temperature).decode(deep, start, limits)
    same = (seed, temperature)
    for sampler in (TopK(5, *same), TopP(1.0, *same), MinP(0.0, *same), Typical(1.0, *same)):
        assert sampler.decode(deep, start, limits) == wanted


@pytest.mark.parametrize("temperature", [1e-4, 1.0, 100.0])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_one_possible_token_stays_at_least(make, temperature, scale):
    sampler = make(temperature)
    scores = scale * torch.randn(200, 20, generator=torch.Generator().manual_seed(1))
    scores[:, 3] = float("-inf")
    scores[1, 1:] = float("-inf")
    kept = sampler.truncate(at_temperature(scores, temperature))
    assert not kept.isnan().any()
    assert (kept.exp().sum(1) > 0).all()
    assert torch.isneginf(kept[:, 3]).all()
    chosen = sampler.choose(scores, torch.arange(200), 0)
    assert kept.gather(1, chosen.unsqueeze(1)).isfinite().all()


def test_what_a_row_draws_does_not_depend_on_the_rows_beside_it(make):
    scores = torch.randn(64, 97, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    scores[::3] = scores[::3].round()  # equals
    numbers = torch.arange(64) * 1001
    sampler = make(0.9)
    whole = sampler.choose(scores, numbers, 5)
    for size in (1, 3, 16):
        parts = zip(scores.split(size), numbers.split(size), strict=True)
        assert torch.equal(torch.cat([sampler.choose(*part, 5) for part in parts]), whole)


def kept_by(sampler, probabilities):
    """Which tokens stay, of probabilities in single precision as models give them."""
    scores = torch.tensor([probabilities, probabilities[::-1]]).log().log_softmax(-1)
    kept = sampler.truncate(at_temperature(scores, 1.0)).isfinite()
    assert torch.equal(kept[:1], sampler.truncate(at_temperature(scores[:1], 1.0)).isfinite())
    return kept[0].nonzero().flatten().tolist()


@pytest.mark.parametrize("kind", [TopP, Typical])
@pytest.mark.parametrize("count", [3, 7, 10, 49, 100])
def test_a_mass_is_reached_whatever_rounding_says(kind, count):
    for size in range(1, count):
        assert kept_by(kind(size / count), [1 / count] * count) == list(range(size))


@pytest.mark.parametrize("best", [0.9, 0.6, 0.35, 1e-3])
@pytest.mark.parametrize("share", [0.5, 0.1, 1 / 3, 0.7, 1.0])
def test_so_is_a_share_of_the_best(best, share):
    rest = [best * share, best * share * 0.999]
    assert kept_by(MinP(share), [best, *rest]) == [0, 1]


def test_the_examples_of_the_docstrings():
    assert kept_by(TopP(0.5), [0.1] * 10) == [0, 1, 2, 3, 4]
    assert kept_by(MinP(0.5), [0.6, 0.3, 0.1]) == [0, 1]
    assert kept_by(TopP(0.5), [0.4999, 0.5001]) == [1]
    assert kept_by(TopP(0.5), [0.499] * 2) == [0]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("temperature", [-0.5, float("inf"), float("nan")])
def test_a_temperature_that_is_none_is_refused(small, name, temperature):
    spec = {**small(decoders, name), "temperature": temperature}
    with pytest.raises(OptionError, match=r"^temperature: must be"):
        decoders.check(spec)
    options = {key: value for key, value in spec.items() if key != "name"}
    with pytest.raises(ValueError, match="`temperature` must be at least 0 and finite"):
        decoders.entry(name).factory(**options)


def test_the_token_that_reaches_the_mass_stays():
    shares = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]).double()
    order = torch.tensor([[0, 1, 2], [2, 1, 0]])
    for mass, wanted in [(0.4, [[0], [2]]), (0.5, [[0], [2]]), (0.51, [[0, 1], [1, 2]])]:
        kept = keep_mass(shares.log(), order, mass)
        assert [row.isfinite().nonzero().flatten().tolist() for row in kept] == wanted
