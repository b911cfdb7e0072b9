"""Decoders of one path: walking, rows that leave as they end, and what samplers draw from."""

import re

import pytest
import torch

from seqgen.decoders import (
    Forced,
    Greedy,
    Limits,
    MinP,
    Multinomial,
    PathDecoder,
    Sampler,
    Start,
    TopK,
    TopP,
    Truncation,
    Typical,
    at_temperature,
    decoders,
    truncations,
)
from seqgen.decoders.sampling import ShareSampler
from seqgen.errors import DecodeError, PluginError

from .conftest import BATCH, build

NAN, INF = float("nan"), float("inf")
END = 2


SAMPLERS = ("multinomial", *truncations.names())


@pytest.fixture(params=("greedy", *SAMPLERS))
def decoder(request, small):
    return build(small(decoders, request.param))


class Noting(PathDecoder):
    """Chooses the most probable token, and notes what it was asked."""

    def __init__(self):
        self.asked = []

    def choose(self, log_probs, sequence_ids, step):
        self.asked.append((sequence_ids.tolist(), step))
        return log_probs.argmax(-1)


def test_walk_yields_what_decode_returns(decoder, deep):
    start, limits = deep.start(BATCH), Limits([9, 0, 1, 9, 9, 9, 3, 9, 9, 9, 2, 9], (END,))
    wanted = decoder.decode(deep, start, limits)
    assert [len(each) for each in wanted] == [1] * BATCH
    tokens, log_probs, ended = ([[] for _ in range(BATCH)] for _ in range(3))
    for extension in decoder.walk(deep, start, limits):
        for source, *rest in zip(*(each.tolist() for each in extension), strict=True):
            for column, value in zip((tokens, log_probs, ended), rest, strict=True):
                column[source].append(value)
    for i, [each] in enumerate(wanted):
        assert (tuple(tokens[i]), tuple(log_probs[i])) == (each.tokens, each.log_probs)
        assert not any(ended[i][:-1])
        assert ended[i][-1:] == ([each.finished] if each.tokens else [])


@pytest.mark.parametrize(
    ("limits", "tokens", "seen"),
    [
        (Limits([9, 9, 2, 9, 0], (4,)), [(1, 2, 3, 4), (2, 3, 4), (3, 4), (4,), ()], [4, 3, 2, 1]),
        (Limits([2, 5, 0, 1]), [(1, 2), (2, 3, 4, 0, 1), (), (4,)], [3, 2, 1, 1, 1]),
        (Limits(4, (4,)), [(1, 2, 3, 4)], [1, 1, 1, 1]),  # the end may be the last token
    ],
)
def test_rows_leave_as_they_end_or_at_their_own_limit(counting, limits, tokens, seen):
    found = Noting().decode(counting, counting.start(len(tokens)), limits)
    assert [each.tokens for [each] in found] == tokens
    assert [each.finished for [each] in found] == [bool(limits.ends and own) for own in tokens]
    assert counting.seen == seen


@pytest.mark.parametrize("ids", [[40, 30, 20], None])
def test_ids_go_with_their_rows(counting, ids):
    decoder, given = Noting(), None if ids is None else torch.tensor(ids)
    decoder.decode(counting, counting.start(3, given), Limits(9, (3,)))
    first, second, third = ids or range(3)
    assert decoder.asked == [([first, second, third], 0), ([first, second], 1), ([first], 2)]


def test_a_walk_steps_no_further_than_asked(counting):
    walk = Noting().walk(counting, counting.start(2), Limits(100))
    assert counting.seen == []
    next(walk)
    next(walk)
    assert counting.seen == [2, 2]


@pytest.mark.parametrize("fault", [NAN, INF])
def test_a_faulty_score_is_named_by_source_and_step_and_nothing_is_chosen(counting, fault):
    counting.log_probs[4, 2] = fault
    decoder = Noting()
    walk = decoder.walk(counting, counting.start(5), Limits([9, 0, 1, 9, 0]))
    extension = next(walk)
    assert extension.sources.tolist() == [0, 2, 3]
    assert extension.tokens.tolist() == [1, 3, 4]
    with pytest.raises(DecodeError, match="row 3 at step 2"):  # the second of those still there
        next(walk)
    assert [step for _, step in decoder.asked] == [0]


def test_a_fault_in_a_row_that_has_ended_does_not_matter(counting):
    counting.log_probs[4] = NAN
    found = Noting().decode(counting, counting.start(3), Limits(9, (4,)))
    assert all(each.finished for [each] in found)


# The laws of samplers: what they draw from, and where they become one another.
@pytest.fixture(params=SAMPLERS)
def make(request, small):
    """A function from a temperature to a sampler."""
    spec = small(decoders, request.param)
    return lambda temperature: decoders.build({**spec, "temperature": temperature}, seed=3)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_sequences_follow_the_tempered_distribution(table, follow, seed, temperature):
    limits, start = Limits(3, (END,)), Start(torch.zeros(20_000, dtype=torch.long), None)
    powers = (table.log_probs.double() / temperature).exp()
    steps = (powers / powers.sum(1, keepdim=True)).tolist()
    found = Multinomial(seed, temperature).decode(table, start, limits)
    follow([each.tokens for [each] in found], steps, limits)


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1e-6, 1e-4])
def test_towards_temperature_zero_all_are_greedy(make, deep, even, temperature):
    start, limits = deep.start(30), Limits(12, (END,))
    assert make(temperature).decode(deep, start, limits) == Greedy().decode(deep, start, limits)
    [[found]] = make(0.0).decode(even, even.start(1), Limits(5))
    assert found.tokens == (0,) * 5


@pytest.mark.parametrize("temperature", [0.5, 1.0, 100.0])
@pytest.mark.parametrize("seed", [0, 7])
def test_without_truncation_the_draws_are_those_of_multinomial(deep, seed, temperature):
    start, limits = deep.start(200), Limits(9, (END,))
    wanted = Multinomial(seed, temperature).decode(deep, start, limits)
    same = (seed, temperature)
    alone = decoders.build(
        {"name": "epsilon", "epsilon": 0.0, "temperature": temperature}, seed=seed
    )
    for sampler in (TopK(5, *same), TopP(1.0, *same), MinP(0.0, *same), Typical(1.0, *same), alone):
        assert sampler.decode(deep, start, limits) == wanted


@pytest.mark.parametrize("temperature", [1e-300, 1e-4, 1.0, 100.0, 1e9, INF])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6, 1e30])
def test_one_possible_token_stays_at_least(make, temperature, scale):
    sampler = make(temperature)
    scores = scale * torch.randn(200, 20, generator=torch.Generator().manual_seed(1))
    scores[:, 3] = -INF
    scores[1, 1:] = -INF
    tempered = at_temperature(scores, temperature)
    torch.testing.assert_close(tempered.exp().sum(-1), torch.ones(200, dtype=torch.float64))
    weights = sampler.weights(scores)
    assert weights.isfinite().all()
    assert (weights.sum(1) > 0).all()
    assert not weights[:, 3].any()
    chosen = sampler.choose(scores, torch.arange(200), 0)
    assert weights.gather(1, chosen.unsqueeze(1)).all()


def test_a_high_temperature_is_almost_even():
    scores = torch.tensor([[0.0, -5.0, -9.0]])
    for temperature, near in ((1e6, 1e-5), (1e300, 1e-12), (INF, 1e-15)):
        assert (at_temperature(scores, temperature).exp() - 1 / 3).abs().max() < near


@pytest.mark.parametrize("temperature", [0.7, 0.9, 1.0, 1.3])
def test_what_a_row_draws_does_not_depend_on_the_other_rows(make, temperature):
    scores = torch.randn(64, 97, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    scores[::3] = scores[::3].round()  # ties
    ids = torch.arange(64) * 1001
    sampler = make(temperature)
    whole = sampler.choose(scores, ids, 5)
    for size in (1, 2, 3, 16):
        parts = zip(scores.split(size), ids.split(size), strict=True)
        assert torch.equal(torch.cat([sampler.choose(*part, 5) for part in parts]), whole)


@pytest.mark.parametrize("possible", [[0], [9], [4], [0, 9], [3, 4, 5]])
def test_impossible_tokens_are_never_drawn(possible):
    scores = torch.full((5000, 10), -INF)
    scores[:, possible] = 0.0
    for temperature in (0.5, 1.0, 100.0, INF):
        chosen = Multinomial(2, temperature).choose(scores, torch.arange(5000), 0)
        assert sorted(set(chosen.tolist())) == possible


def test_seeds_and_ids_differ(deep):
    def draw(seed, number):
        start = deep.start(1, torch.tensor([number]))
        [[found]] = Multinomial(seed).decode(deep, start, Limits(40))
        return found.tokens

    drawn = {draw(seed, number) for seed in (0, 1, 2) for number in (0, 1, 2**32)}
    assert len(drawn) == 9


@pytest.mark.parametrize("temperature", [0.3, 3.0])
def test_scores_are_the_steppers_own_at_any_temperature(table, temperature):
    start = table.start(6)
    for i, [each] in enumerate(Multinomial(1, temperature).decode(table, start, Limits(5))):
        assert each.log_probs == pytest.approx(table.rescore(start, i, each.tokens))


class Plain(Sampler):
    """A sampler that is no dataclass, as one from a plugin may be."""

    def __init__(self, seed=0, temperature=1.0):
        super().__init__(seed, temperature)

    def truncate(self, log_probs):
        return log_probs


def test_a_sampler_need_not_be_a_dataclass(deep):
    start, limits = deep.start(9), Limits(9, (END,))
    wanted = Multinomial(3, 0.7).decode(deep, start, limits)
    assert Plain(3, 0.7).decode(deep, start, limits) == wanted
    assert (Plain().draws, Plain(temperature=0.0).draws) == (True, False)
    with pytest.raises(ValueError, match="`temperature` must be at least 0"):
        Plain(temperature=-1.0)


class Half(ShareSampler, Plain):
    """A sampler by probabilities with a rule of its own, as one from a plugin may be."""

    def keep(self, shares):
        return shares * (shares >= shares.amax(1, keepdim=True) / 2)

    truncate = ShareSampler.truncate


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 1e6, INF])
def test_a_sampler_may_have_a_rule_of_its_own(deep, temperature):
    start, limits = deep.start(50), Limits(9, (END,))
    wanted = MinP(0.5, 3, temperature).decode(deep, start, limits)
    assert Half(3, temperature).decode(deep, start, limits) == wanted


def test_what_a_compiled_text_knows_of_a_sampler():
    listed = decoders.build(
        {"name": "multinomial", "truncations": [{"name": "top_k", "k": 3}, "eta"]},
        vocab_size=5,
    )
    (top_k, eta), listed = listed.choice.truncations, listed.choice
    assert (top_k, eta[0], eta[1][0]) == (("top_k", (3,)), "eta", 3e-4)
    assert (listed.temperature, listed.temperature_last) == (1.0, False)
    assert TopP(0.8, temperature_last=True).choice == (1.0, (("top_p", (0.8,)),), True)
    assert Multinomial(temperature=0.5).choice == (0.5, (), False)
    own = type("Own", (Multinomial,), {"keep": Half.keep})  # final, but a plugin may not care
    with_own = Multinomial(truncations=(lambda **supplied: Broken(lambda shares: shares),))
    assert [each.choice for each in (Plain(), Half(), own(), with_own)] == [None] * 4
    assert (TopK(1).draws, TopK(2).draws, TopK(2, temperature=0.0).draws) == (False, True, False)


class Broken(Truncation):
    def __init__(self, cut):
        self.cut = cut

    def keep(self, shares):
        return self.cut(shares)


@pytest.mark.parametrize(
    ("cut", "says"),
    [
        (lambda shares: shares * 0, "the truncation Broken (…): `keep` leaves a row no token; let"),
        (lambda shares: shares * (shares > 0.5), "`keep` leaves a row no token"),
        (lambda shares: shares / 2, "`keep` must return each probability as it is, or 0"),
        (lambda shares: shares * NAN, "`keep` must return each probability as it is, or 0"),
        (lambda shares: shares.float(), "`keep` must return float64 [12, 5], as it gets"),
        (lambda shares: shares.nonzero(), "`keep` must return float64 [12, 5], as it gets"),
        (lambda shares: {}["x"], "`keep` raised KeyError: 'x'"),
    ],
)
def test_a_truncation_of_a_plugin_that_breaks_its_contract_is_named(even, cut, says):
    decoder = Multinomial(truncations=(lambda: Broken(cut),))
    with pytest.raises(PluginError, match=re.escape(says).replace("…", ".*")):
        decoder.decode(even, even.start(12), Limits(5))


# The decoders `greedy` and `Forced`.
def test_greedy_takes_the_most_probable_token_at_each_step(table):
    [[found]] = Greedy().decode(table, table.start(1), Limits(6))
    last, wanted = 0, []
    for _ in range(6):
        last = max(range(5), key=lambda token, last=last: float(table.log_probs[last, token]))
        wanted.append(last)
    assert found.tokens == tuple(wanted)


@pytest.mark.parametrize("vocab", [2, 7, 33, 100, 4099])
def test_ties_go_to_the_lowest_id(vocab):
    for first in (0, 1, vocab // 2, vocab - 1):
        scores = torch.full((3, vocab), -5.0)
        scores[:, first:] = -1.0
        assert Greedy().choose(scores, torch.arange(3), 0).tolist() == [first] * 3


@pytest.mark.parametrize("ids", [None, [7, 5, 9]])
def test_forced_gives_what_the_stepper_gives_to_each_token(table, ids):
    own = [(3, 3, 1), (), (4,)]
    start = table.start(3, None if ids is None else torch.tensor(ids))
    found = Forced(dict(zip(ids or range(3), own, strict=True))).decode(
        table, start, Limits([3, 0, 1])
    )
    for source, [hypothesis] in enumerate(found):
        assert hypothesis.tokens == own[source]
        assert hypothesis.log_probs == pytest.approx(table.rescore(start, source, own[source]))
