"""Decoders of one path: walking, and rows that leave as they end."""

import math

import pytest
import torch

from seqgen.decoders import (
    Greedy,
    Limits,
    MinP,
    Multinomial,
    PathDecoder,
    Sampler,
    Start,
    TopK,
    TopP,
    Typical,
    at_temperature,
    decoders,
)
from seqgen.decoders.sampling import Forced, keep_mass
from seqgen.errors import DecodeError
from seqgen.options import OptionError

from .conftest import VOCAB, Table

BATCH = 12


PATHS = [name for name in decoders.names() if issubclass(decoders.entry(name).factory, PathDecoder)]


@pytest.fixture(params=PATHS)
def decoder(request, small):
    return decoders.build(small(decoders, request.param), seed=3, vocab_size=5)


class Noting(PathDecoder):
    """Chooses the token behind the last one, and notes what it was asked."""

    def __init__(self):
        self.asked = []

    def choose(self, log_probs, numbers, moment):
        self.asked.append((numbers.tolist(), moment))
        return log_probs.argmax(-1)


@pytest.fixture
def counting(tables):
    """A table in which i is always followed by i + 1, modulo 5."""
    return tables(20 * torch.eye(5).roll(1, 1))


def test_walk_yields_what_decode_returns(decoder, deep):
    start, limits = deep.start(BATCH), Limits([9, 0, 1, 9, 9, 9, 3, 9, 9, 9, 2, 9], (2,))
    wanted = decoder.decode(deep, start, limits)
    tokens, log_probs, ended = ([[] for _ in range(BATCH)] for _ in range(3))
    for extension in decoder.walk(deep, start, limits):
        for source, *rest in zip(*(each.tolist() for each in extension), strict=True):
            for column, value in zip((tokens, log_probs, ended), rest, strict=True):
                column[source].append(value)
    for i, [each] in enumerate(wanted):
        assert (tuple(tokens[i]), tuple(log_probs[i])) == (each.tokens, each.log_probs)
        assert not any(ended[i][:-1])
        assert ended[i][-1:] == ([each.finished] if each.tokens else [])


def test_there_is_one_path_for_each_source(decoder, deep):
    assert [len(each) for each in decoder.decode(deep, deep.start(BATCH), Limits(3))] == [1] * BATCH


def test_rows_leave_as_they_end(counting):
    decoder = Noting()
    found = decoder.decode(counting, counting.start(5), Limits([9, 9, 2, 9, 0], (4,)))
    assert [each.tokens for [each] in found] == [(1, 2, 3, 4), (2, 3, 4), (3, 4), (4,), ()]
    assert counting.seen == [4, 3, 2, 1]
    assert decoder.asked == [([0, 1, 2, 3], 0), ([0, 1, 2], 1), ([0, 1], 2), ([0], 3)]


def test_rows_leave_at_their_own_limit(counting):
    found = Noting().decode(counting, counting.start(4), Limits([2, 5, 0, 1]))
    assert [len(each.tokens) for [each] in found] == [2, 5, 0, 1]
    assert counting.seen == [3, 2, 1, 1, 1]
    assert not any(each.finished for [each] in found)


def test_an_end_token_at_the_limit_still_ends(counting):
    [[each]] = Noting().decode(counting, counting.start(1), Limits(4, (4,)))
    assert each.tokens == (1, 2, 3, 4)
    assert each.finished


def test_numbers_go_with_their_rows(counting):
    decoder = Noting()
    numbers = torch.tensor([40, 30, 20])
    decoder.decode(counting, counting.start(3, numbers), Limits(9, (3,)))
    assert decoder.asked == [([40, 30, 20], 0), ([40, 30], 1), ([40], 2)]


def test_a_walk_steps_no_further_than_asked(counting):
    walk = Noting().walk(counting, counting.start(2), Limits(100))
    assert counting.seen == []
    next(walk)
    next(walk)
    assert counting.seen == [2, 2]


@pytest.mark.parametrize("fault", [float("nan"), float("inf")])
def test_a_faulty_score_is_named_by_source_and_step_and_nothing_is_chosen(counting, fault):
    counting.log_probs[4, 2] = fault
    decoder = Noting()
    walk = decoder.walk(counting, counting.start(5), Limits([9, 0, 1, 9, 0]))
    extension = next(walk)
    assert extension.sources.tolist() == [0, 2, 3]
    assert extension.tokens.tolist() == [1, 3, 4]
    with pytest.raises(DecodeError, match="row 3 at step 2"):  # the second of those still there
        next(walk)
    assert [moment for _, moment in decoder.asked] == [0]


def test_a_fault_in_a_row_that_has_ended_does_not_matter(counting):
    counting.log_probs[4] = float("nan")
    found = Noting().decode(counting, counting.start(3), Limits(9, (4,)))
    assert all(each.finished for [each] in found)


# The laws of samplers: what they draw from, and where they become one another.


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


# The decoder `greedy`.


def test_takes_the_most_probable_token_at_each_step(table):
    [[found]] = Greedy().decode(table, table.start(1), Limits(6))
    last, wanted = 0, []
    for _ in range(6):
        last = max(range(5), key=lambda token, last=last: float(table.log_probs[last, token]))
        wanted.append(last)
    assert found.tokens == tuple(wanted)


@pytest.mark.parametrize("vocab", [2, 7, 33, 100, 4099])
def test_of_equals_the_lowest_id(vocab):
    for first in (0, 1, vocab // 2, vocab - 1):
        scores = torch.full((3, vocab), -5.0)
        scores[:, first:] = -1.0
        found = Greedy().choose(scores, torch.arange(3), 0)
        assert found.tolist() == [first] * 3


# The decoder `multinomial`: draws from the tempered distribution, and from nothing else.


DRAWS_MULTINOMIAL = 20_000
END_MULTINOMIAL = 2


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_tempered_distribution(table, follow, temperature, seed):
    start, limits = (
        Start(torch.zeros(DRAWS_MULTINOMIAL, dtype=torch.long), None),
        Limits(3, (END_MULTINOMIAL,)),
    )
    found = Multinomial(seed, temperature).decode(table, start, limits)
    powers = table.log_probs.double().exp() ** (1 / temperature)
    steps = (powers / powers.sum(-1, keepdim=True)).tolist()
    follow([each.tokens for [each] in found], steps, limits)


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1e-6])
def test_towards_zero_is_greedy(deep, temperature):
    start, limits = deep.start(30), Limits(12, (END_MULTINOMIAL,))
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


def test_what_a_row_draws_does_not_depend_on_the_rows_beside_it_multinomial():
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
    decoder, limits = Multinomial(3), Limits(9, (END_MULTINOMIAL,))
    numbered = deep.start(6, torch.arange(6))
    assert decoder.decode(deep, deep.start(6), limits) == decoder.decode(deep, numbered, limits)


def test_scores_are_the_steppers_own_at_any_temperature(table):
    start = table.start(6)
    for temperature in (0.3, 3.0):
        for i, [each] in enumerate(Multinomial(1, temperature).decode(table, start, Limits(5))):
            assert each.log_probs == pytest.approx(table.rescore(start, i, each.tokens))


@pytest.mark.parametrize("temperature", [-0.5, float("inf"), float("-inf"), float("nan")])
def test_a_temperature_that_is_none_is_refused_multinomial(temperature):
    with pytest.raises(ValueError, match="`temperature` must be at least 0 and finite"):
        Multinomial(0, temperature)
    with pytest.raises(OptionError, match=r"^temperature: must be"):
        decoders.check({"name": "multinomial", "temperature": temperature})


# The decoder `top_k`.


def test_keeps_the_k_highest_of_equals_the_lowest_ids():
    scores = torch.tensor([[-1.0, -3.0, -1.0, -1.0, -2.0], [-5.0, -1.0, -2.0, -3.0, -4.0]]).double()
    for k, wanted in [(1, [[0], [1]]), (2, [[0, 2], [1, 2]]), (4, [[0, 2, 3, 4], [1, 2, 3, 4]])]:
        kept = TopK(k).truncate(scores)
        assert [row.isfinite().nonzero().flatten().tolist() for row in kept] == wanted
        assert torch.equal(kept[kept.isfinite()], scores[kept.isfinite()])


def test_more_than_there_are_is_refused_where_that_is_known():
    assert decoders.build({"name": "top_k", "k": 5}, vocab_size=5).k == 5
    message = r"`k` must be from 1 to 5, the number of tokens, but is 6"
    with pytest.raises(OptionError, match=message):
        decoders.build({"name": "top_k", "k": 6}, vocab_size=5)


def test_and_means_all_where_it_is_not():
    scores = torch.randn(2, 5).double()
    assert torch.equal(TopK(100).truncate(scores), scores)


@pytest.mark.parametrize("k", [0, -1])
def test_none_is_refused(k):
    with pytest.raises(ValueError, match=f"`k` must be at least 1, but is {k}"):
        TopK(k)
    with pytest.raises(OptionError, match=r"^k: must be"):
        decoders.check({"name": "top_k", "k": k})


# The decoder `top_p`.


@pytest.mark.parametrize(
    ("p", "wanted"), [(1e-9, [1]), (0.4, [1]), (0.5, [0, 1]), (0.7, [0, 1, 3]), (1.0, [0, 1, 2, 3])]
)
def test_keeps_the_fewest_that_have_the_mass_of_equals_the_lowest_ids(p, wanted):
    scores = torch.tensor([[0.25, 0.4375, 0.0625, 0.25, 0.0]]).double().log()
    assert TopP(p).truncate(scores)[0].isfinite().nonzero().flatten().tolist() == wanted


@pytest.mark.parametrize("p", [0.0, -0.1, 1.1, float("nan")])
def test_a_mass_that_is_none_is_refused(p):
    with pytest.raises(ValueError, match="`p` must be above 0 and at most 1, but is"):
        TopP(p)
    with pytest.raises(OptionError, match=r"^p: must be"):
        decoders.check({"name": "top_p", "p": p})


# The decoder `min_p`.


@pytest.mark.parametrize(
    ("p", "wanted"), [(0.0, [0, 1, 2, 3]), (0.1, [0, 1, 2]), (0.5, [0, 1]), (1.0, [0])]
)
def test_keeps_what_is_not_far_below_the_best(p, wanted):
    scores = torch.tensor([[0.5, 0.3, 0.18, 0.02, 0.0]]).double().log()
    assert MinP(p).truncate(scores)[0].isfinite().nonzero().flatten().tolist() == wanted


def test_keeps_all_equals_of_the_best():
    scores = torch.tensor([[0.4, 0.2, 0.4]]).double().log()
    assert MinP(1.0).truncate(scores)[0].isfinite().tolist() == [True, False, True]


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(p):
    with pytest.raises(ValueError, match="`p` must be from 0 to 1, but is"):
        MinP(p)
    with pytest.raises(OptionError, match=r"^p: must be"):
        decoders.check({"name": "min_p", "p": p})


# The decoder `typical`.


@pytest.mark.parametrize(
    ("p", "wanted"), [(1e-9, [1]), (0.2, [1]), (0.3, [1, 2]), (0.7, [0, 1, 2])]
)
def test_the_most_probable_token_need_not_be_among_the_typical(p, wanted):
    # The entropy is 1.45 nats; the surprises are 0.69, 1.61, 1.90 and 3.28 (four times).
    scores = torch.tensor([[0.5, 0.2, 0.15, 0.0375, 0.0375, 0.0375, 0.0375, 0.0]]).double().log()
    assert Typical(p).truncate(scores)[0].isfinite().nonzero().flatten().tolist() == wanted


def test_where_all_are_equal_the_lowest_ids_stay():
    even = torch.full((1, 8), 1 / 8).double().log()
    assert Typical(0.5).truncate(even)[0].isfinite().nonzero().flatten().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("p", [0.0, -0.1, 1.1, float("nan")])
def test_a_mass_that_is_none_is_refused_typical(p):
    with pytest.raises(ValueError, match="`p` must be above 0 and at most 1, but is"):
        Typical(p)
    with pytest.raises(OptionError, match=r"^p: must be"):
        decoders.check({"name": "typical", "p": p})


# Following given sequences: their tokens, and what the stepper gives to each of them.


def test_it_says_what_the_stepper_gives_to_each_token():
    table = Table(torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(1)))
    sequences = {0: (3, 3, 1), 1: (), 2: (4,)}
    start = table.start(3)
    found = Forced(sequences).decode(table, start, Limits([3, 0, 1]))
    for source, tokens in sequences.items():
        [hypothesis] = found[source]
        assert hypothesis.tokens == tokens
        assert hypothesis.log_probs == pytest.approx(table.rescore(start, source, tokens))


def test_sequences_go_by_the_numbers_of_the_starts():
    table = Table(torch.zeros(VOCAB, VOCAB))
    start = table.start(2, numbers=torch.tensor([7, 5]))
    found = Forced({5: (1,), 7: (2,)}).decode(table, start, Limits(1))
    assert [each.tokens for [each] in found] == [(2,), (1,)]
