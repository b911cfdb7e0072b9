"""What each truncation keeps, and what is drawn then, against its definition written in numpy."""

import numpy as np
import pytest
import torch

from seqgen.decoders import decoders, truncations
from seqgen.decoders.truncating import keep_mass

from .conftest import chi_square_limit, kept_tokens

NEARLY = 1 - 2.0**-20
"""What reaches this share of a threshold reaches it."""


# The definitions: `shares: [vocab]` to a mask, as a textbook would have them.
def first(order, count):
    mask = np.zeros(len(order), dtype=bool)
    mask[order[:count]] = True
    return mask


def until(shares, key, mass):
    """The first by `key`, ties by id, that have `mass` together."""
    order = np.lexsort((np.arange(len(shares)), key))
    return first(order, 1 + np.sum(np.cumsum(shares[order])[:-1] < mass * NEARLY))


def surprise(shares):
    return -np.log(shares, out=np.full_like(shares, -np.inf), where=shares > 0)


def entropy(shares):
    return np.sum(shares * surprise(np.where(shares > 0, shares, 1)))


def at_least(shares, epsilon):
    return shares >= min(epsilon * NEARLY, shares.max())


def sigma(shares, n):
    logits = -surprise(np.where(shares > 0, shares, 1))
    possible = logits[shares > 0]
    return logits >= possible.max() - n * NEARLY**-1 * possible.std()


DEFINITIONS = {
    "top_k": lambda shares, k: first(np.lexsort((np.arange(len(shares)), -shares)), k),
    "top_p": lambda shares, p: until(shares, -shares, p) | (p == 1),
    "min_p": lambda shares, p: shares >= p * NEARLY * shares.max(),
    "typical": lambda shares, p: (
        until(shares, np.abs(np.where(shares > 0, surprise(shares), np.inf) - entropy(shares)), p)
        | (p == 1)
    ),
    "epsilon": at_least,
    "eta": lambda shares, epsilon, alpha=None: at_least(
        shares, min(epsilon, (epsilon**0.5 if alpha is None else alpha) * np.exp(-entropy(shares)))
    ),
    "top_n_sigma": sigma,
}


def kept(shares, *parts):
    """What `parts` leave of `shares: [vocab]`, one after the other."""
    for part in parts:
        options = {key: each for key, each in part.items() if key != "name"}
        shares = shares * DEFINITIONS[part["name"]](shares, **options)
        shares = shares / shares.sum()
    return shares


def part(name, **options):
    return {"name": name, **options}


PARTS = [
    *(part("top_k", k=k) for k in (1, 2, 5, 12)),
    *(part("top_p", p=p) for p in (1e-9, 0.3, 0.5, 0.9, 1.0)),
    *(part("min_p", p=p) for p in (0.0, 0.1, 0.5, 1.0)),
    *(part("typical", p=p) for p in (1e-9, 0.3, 0.9, 1.0)),
    *(part("epsilon", epsilon=each) for each in (0.0, 3e-4, 0.05, 0.2, 1.0)),
    *(part("eta", epsilon=each) for each in (0.0, 3e-4, 0.05, 0.2, 1.0)),
    *(part("eta", epsilon=0.3, alpha=each) for each in (0.0, 0.3, 1.0, 5.0)),
    *(part("top_n_sigma", n=n) for n in (0.0, 0.5, 1.0, 3.0)),
]
IDS = [" ".join(map(str, each.values())) for each in PARTS]


def test_every_truncation_has_a_definition():
    assert {each["name"] for each in PARTS} == DEFINITIONS.keys() == {*truncations.names()}


def tables():
    """Distributions over 12 tokens: with ties, impossible tokens, one token, all equal."""
    draw = np.random.default_rng(1)
    scores = draw.normal(size=(300, 12)) * np.logspace(-2, 1.5, 300)[:, None]
    scores[::2] = scores[::2].round()
    scores[::3, [0, 5, 11]] = -np.inf
    scores[7, 1:] = scores[8, :-1] = -np.inf
    scores[9] = 0.0
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("spec", PARTS, ids=IDS)
def test_what_stays_is_what_the_definition_says(spec):
    shares = tables()
    found = truncations.build(spec, vocab_size=12).keep(torch.from_numpy(shares.copy())).numpy()
    wanted = np.stack([kept(each, spec) > 0 for each in shares])
    assert np.array_equal(found, shares * wanted)


SCORES = np.log([0.22, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05, 0.04, 0.02, 0.015, 0.005, 1.0])
SCORES[11] = -np.inf
COMBINED = [
    ([], {}),
    ([], {"temperature": 0.7}),
    ([], {"temperature": 3.0}),
    ([], {"temperature": np.inf}),
    ([part("top_k", k=4)], {}),
    ([part("top_p", p=0.8)], {"temperature": 0.7}),
    ([part("min_p", p=0.2)], {"temperature": 2.0}),
    ([part("typical", p=0.6)], {}),
    ([part("epsilon", epsilon=0.06)], {}),
    ([part("eta", epsilon=0.3, alpha=0.4)], {"temperature": 1.5}),
    ([part("top_n_sigma", n=0.8)], {"temperature": 4.0}),
    ([part("top_k", k=5), part("top_p", p=0.7)], {}),
    ([part("top_p", p=0.7), part("top_k", k=5)], {}),
    ([part("min_p", p=0.1), part("typical", p=0.5), part("epsilon", epsilon=0.15)], {}),
    ([part("min_p", p=0.2)], {"temperature": 2.0, "temperature_last": True}),
    ([part("top_k", k=6), part("eta", epsilon=0.2)],
     {"temperature": 0.6, "temperature_last": True}),
    ([part("top_k", k=4)], {"temperature": np.inf}),
    ([part("min_p", p=0.3)], {"temperature": np.inf, "temperature_last": True}),
    ([part("top_n_sigma", n=1.0), part("top_p", p=0.5)], {"temperature": np.inf}),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "options"), COMBINED, ids=str)
def test_200_000_draws_follow_the_distribution(parts, options):
    """The chi-square test; its seed is fixed, so it fails for good or not at all."""
    draws, temperature = 200_000, options.get("temperature", 1.0)
    last = options.get("temperature_last", False)
    finite = min(temperature, 1e9)
    powers = np.exp(SCORES / (1 if last else finite))
    shares = kept(powers / powers.sum(), *parts)
    if temperature == np.inf:
        shares = (shares > 0).astype(float)
    elif last:
        shares = shares ** (1 / temperature)
    shares /= shares.sum()

    sampler = decoders.build({"name": "multinomial", "truncations": parts, **options}, seed=1)
    scores = torch.from_numpy(SCORES).float().expand(draws, -1)
    chosen = sampler.choose(scores, torch.arange(draws), 3)
    counts = np.bincount(chosen.numpy(), minlength=12)
    drawn = shares > 0
    assert not counts[~drawn].any()
    wanted = draws * shares[drawn]
    statistic = float(((counts[drawn] - wanted) ** 2 / wanted).sum())
    assert wanted.min() > 100
    assert statistic < chi_square_limit(drawn.sum() - 1)


def test_the_order_of_truncations_matters():
    shares = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).double()
    few, nucleus = part("top_k", k=2), part("top_p", p=0.55)
    for parts, wanted in (([few, nucleus], [0]), ([nucleus, few], [0, 1])):
        decoder = decoders.build({"name": "multinomial", "truncations": parts})
        assert kept_tokens(decoder.truncate(shares.log())[0]) == wanted


def test_so_does_whether_the_temperature_comes_first():
    scores = torch.tensor([[0.6, 0.3, 0.1]]).log()
    spec = {"name": "min_p", "p": 0.4, "temperature": 3.0}
    first, last = (decoders.build({**spec, "temperature_last": each}) for each in (False, True))
    assert first.weights(scores)[0].nonzero().flatten().tolist() == [0, 1, 2]
    weights = last.weights(scores)[0]
    assert weights.nonzero().flatten().tolist() == [0, 1]
    assert float(weights[0] / weights[1]) == pytest.approx(2 ** (1 / 3))


def test_at_temperature_0_the_best_of_what_is_left_is_taken():
    """Which is not the best of all where `typical` has dropped that."""
    shares = torch.tensor([[0.5, 0.2, 0.15, 0.0375, 0.0375, 0.0375, 0.0375]])
    typical = {"name": "typical", "p": 0.3, "temperature": 0.0}
    for last, wanted in ((False, 0), (True, 1)):
        decoder = decoders.build({**typical, "temperature_last": last})
        assert decoder.choose(shares.log(), torch.arange(1), 0).tolist() == [wanted]


@pytest.mark.parametrize("spec", PARTS, ids=IDS)
def test_infinite_is_even_over_what_the_highest_temperature_leaves(spec):
    scores = torch.from_numpy(tables()).log().float()
    hot, endless = (
        decoders.build({"name": "multinomial", "truncations": [spec], "temperature": each})
        for each in (1e9, float("inf"))
    )
    weights = endless.weights(scores)
    assert set(weights.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(weights > 0, hot.weights(scores) > 0)


def test_a_short_form_draws_what_its_truncation_leaves(deep, small):
    for name in truncations.names():
        for more in ({}, {"temperature": 0.7}, {"temperature": 3.0, "temperature_last": True}):
            spec = small(truncations, name)
            short, long = (
                decoders.build({**each, **more}, seed=3, vocab_size=5).choose
                for each in (spec, {"name": "multinomial", "truncations": [spec]})
            )
            scores, ids = deep.log_probs.repeat(40, 1), torch.arange(200)
            assert torch.equal(short(scores, ids, 0), long(scores, ids, 0))


# By hand.
def kept_by(name, options, probabilities):
    """Which tokens stay, of probabilities in single precision as models give them."""
    shares = torch.tensor([probabilities]).log().softmax(-1, dtype=torch.float64)
    return truncations.build({"name": name, **options}).keep(shares)[0].nonzero().flatten().tolist()


@pytest.mark.parametrize("name", ["top_p", "typical"])
@pytest.mark.parametrize("count", [3, 7, 10, 49, 100])
def test_a_mass_is_reached_whatever_rounding_says(name, count):
    for size in range(1, count):
        found = kept_by(name, {"p": size / count}, [1 / count] * count)
        assert found == list(range(size))


@pytest.mark.parametrize("best", [0.9, 0.6, 0.35, 1e-3])
@pytest.mark.parametrize("share", [0.5, 0.1, 1 / 3, 0.7, 1.0])
def test_so_is_a_threshold(best, share):
    rest = [best * share, best * share * 0.999]
    total = best + sum(rest)
    assert kept_by("min_p", {"p": share}, [best, *rest]) == [0, 1]
    assert kept_by("epsilon", {"epsilon": best * share / total}, [best, *rest]) == [0, 1]


def test_the_token_that_reaches_the_mass_stays():
    shares = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]).double()
    order = torch.tensor([[0, 1, 2], [2, 1, 0]])
    for mass, wanted in [(0.4, [[0], [2]]), (0.5, [[0], [2]]), (0.51, [[0, 1], [1, 2]])]:
        assert [
            kept_tokens(row.log()) for row in keep_mass(shares.gather(1, order), order, mass)
        ] == wanted


NUCLEUS = [0.25, 0.4375, 0.0625, 0.25, 0.0]
FALLING = [0.5, 0.3, 0.18, 0.02, 0.0]
# The entropy is 1.45 nats; the surprises are 0.69, 1.61, 1.90 and 3.28 (four times).
UNTYPICAL = [0.5, 0.2, 0.15, 0.0375, 0.0375, 0.0375, 0.0375, 0.0]
# Logits 4, 3, 0, 0, 0 but for a constant: the mean is 1.4, the deviation sqrt(3.04) = 1.74.
STEEP = [54.598, 20.086, 1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("name", "value", "shares", "wanted"),
    [
        ("top_k", 1, NUCLEUS, [1]),
        ("top_k", 2, NUCLEUS, [0, 1]),
        ("top_k", 4, NUCLEUS, [0, 1, 2, 3]),
        ("top_k", 9, NUCLEUS, [0, 1, 2, 3]),
        ("top_p", 1e-9, NUCLEUS, [1]),
        ("top_p", 0.4, NUCLEUS, [1]),
        ("top_p", 0.5, NUCLEUS, [0, 1]),
        ("top_p", 0.7, NUCLEUS, [0, 1, 3]),
        ("top_p", 1.0, NUCLEUS, [0, 1, 2, 3]),
        ("top_p", 0.5, [0.1] * 10, [0, 1, 2, 3, 4]),
        ("top_p", 0.5, [0.4999, 0.5001], [1]),
        ("top_p", 0.5, [0.499] * 2, [0]),
        ("min_p", 0.0, FALLING, [0, 1, 2, 3]),
        ("min_p", 0.1, FALLING, [0, 1, 2]),
        ("min_p", 0.5, FALLING, [0, 1]),
        ("min_p", 1.0, FALLING, [0]),
        ("min_p", 1.0, [0.4, 0.2, 0.4], [0, 2]),
        ("min_p", 0.5, [0.6, 0.3, 0.1], [0, 1]),
        ("typical", 1e-9, UNTYPICAL, [1]),
        ("typical", 0.2, UNTYPICAL, [1]),
        ("typical", 0.3, UNTYPICAL, [1, 2]),
        ("typical", 0.7, UNTYPICAL, [0, 1, 2]),
        ("typical", 0.5, [1 / 8] * 8, [0, 1, 2, 3]),
        ("epsilon", 0.0, FALLING, [0, 1, 2, 3]),
        ("epsilon", 0.18, FALLING, [0, 1, 2]),
        ("epsilon", 0.6, FALLING, [0]),
        ("epsilon", 0.6, [0.4, 0.2, 0.4], [0, 2]),
        ("eta", 0.18, FALLING, [0, 1, 2]),  # sqrt(0.18) * exp(-1.10) = 0.14
        ("eta", 0.2, [1 / 8] * 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("top_n_sigma", 0.0, STEEP, [0]),
        ("top_n_sigma", 0.57, STEEP, [0]),
        ("top_n_sigma", 0.58, STEEP, [0, 1]),
        ("top_n_sigma", 2.29, STEEP, [0, 1]),
        ("top_n_sigma", 2.3, STEEP, [0, 1, 2, 3, 4]),
        ("top_n_sigma", 0.0, [1 / 8] * 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("top_n_sigma", 1.0, [0.0, 1.0, 0.0], [1]),
    ],
)
def test_which_tokens_stay(name, value, shares, wanted):
    """Of ties, those with the lowest ids."""
    [key, *_] = truncations.entry(name).options
    assert kept_by(name, {key: value}, shares) == wanted


@pytest.mark.parametrize("temperature", [0.2, 1.0, 30.0, 1e6])
def test_to_top_n_sigma_the_temperature_does_not_matter(temperature):
    scores = torch.randn(50, 12, generator=torch.Generator().manual_seed(1)).double()
    cut = truncations.build({"name": "top_n_sigma", "n": 1.0}).keep
    wanted = cut(scores.softmax(1)) > 0
    assert torch.equal(cut((scores / temperature).softmax(1)) > 0, wanted)
