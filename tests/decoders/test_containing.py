"""Sequences that must contain texts: they do, in each search, and no other is lost."""

import random
from itertools import product

import pytest
import torch

from seqgen.decoders import Beam, Limits, MustContain, constrain
from seqgen.decoders.containing import Goals
from seqgen.decoders.search import best_in_turn, lacking

from .conftest import BATCH, TOKENIZERS, build, constrained, digits, fitted, model_of

INF = float("inf")


def must(*texts):
    return MustContain(texts, vocab_size=5, encode=digits)


def random_texts(seed):
    draw = random.Random(seed)
    return ["".join(draw.choices("014", k=draw.randint(1, 3))) for _ in range(draw.randint(1, 4))]


@pytest.mark.parametrize("seed", range(8))
def test_what_is_lacking_is_the_shortest_way_to_all(seed):
    """Compared with all sequences of up to six tokens."""
    texts = random_texts(seed)
    goals = Goals.of([*map(digits, texts)], 5)

    def contains(text):
        return all(each in text for each in texts)

    every = ["".join(each) for size in range(7) for each in product("0134", repeat=size)]
    shortest = min((len(text) for text in every if contains(text)), default=7)
    assert int(goals.lacking(torch.zeros_like(goals.lengths))) == min(shortest, 7) or shortest == 7
    for text in every[:400]:
        met = torch.zeros(1, len(goals.lengths), dtype=torch.long)
        for token in digits(text):
            met = goals.follow(met, goals.letters[torch.tensor([token])])
        needed = int(goals.lacking(met))
        assert (needed == 0) == contains(text)
        if needed <= 2:
            ways = ["".join(each) for each in product("0134", repeat=needed)]
            assert any(contains(text + way) for way in ways)
        for size in range(min(needed, 4)):
            assert not any(contains(text + "".join(way)) for way in product("014", repeat=size))


@pytest.mark.parametrize("ends", [(), (2,)])
@pytest.mark.parametrize("seed", range(4))
def test_exactly_the_sequences_that_contain_them_are_possible(deep, seed, ends):
    texts = random_texts(seed)[:2]
    wide = Beam(beam_size=900, n_best=900)
    [found] = constrained(wide, [must(*texts)], deep, deep.start(1), Limits(4, ends))
    got = {each.tokens for each in found if each.satisfied}
    every = [each for size in range(5) for each in product(range(5), repeat=size)]
    wanted = {
        tokens if len(tokens) == 4 else (*tokens, 2)
        for tokens in every
        if not set(tokens) & set(ends) and (len(tokens) == 4 or ends)
        if all(text in "".join(map(str, tokens)) for text in texts)
    }
    assert got == wanted


@pytest.mark.parametrize(
    "search",
    [
        "greedy",
        "multinomial",
        {"name": "beam", "beam_size": 4},
        {"name": "beam", "beam_size": 10, "n_best": 10, "length_normalisation": "power"},
        {"name": "diverse_beam", "beam_size": 4, "groups": 2},
    ],
)
@pytest.mark.parametrize("name", [each for each in TOKENIZERS if each != "lines"])
def test_each_of_a_thousand_outputs_contains_them(name, search):
    tokenizer = fitted(name)
    encode = lambda text: tokenizer.encode(text).tolist()  # noqa: E731
    texts = ("sat on", "the", "in 1999") if name != "exact" else (" sat on", "the", " in 1999")
    draws = search == "multinomial"
    decoder = build(search)
    decoder.constraints = (MustContain(texts, vocab_size=len(tokenizer), encode=encode),)
    for kind, most in product(("lines", "text"), (20, 40)):
        samples = 250 if draws else 1
        [found] = model_of(tokenizer, kind).generate(["", ""], decoder, most, samples)[:1]
        assert len(found) >= samples
        for each in found:
            assert each.hypothesis.satisfied
            assert all(text in each.text for text in texts), each.text


def test_a_beam_has_paths_that_lack_less_and_finds_better_ones(deep):
    """So many paths as there are texts: without a share of their own none of them would go on with
    the texts before it had to."""
    start, limits = deep.start(BATCH), Limits(12, (2,))
    chosen = [must("101", "40")]
    shared = Beam(beam_size=6)

    class Plain(Beam):
        def allot(self, totals, tokens, count, lacking):
            return self.pick(totals, tokens, count)

    scores = [
        sum(own[0].score for own in constrained(each, chosen, deep, start, limits))
        for each in (shared, Plain(beam_size=6))
    ]
    assert scores[0] > scores[1]


def test_the_best_of_each_kind_come_in_turn():
    scores = torch.tensor([[5.0, 4, 3, 2, 1, -INF], [-INF, -INF, 1, -INF, 7, -INF]])
    kinds = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 0, 3, 3, 3]])
    assert best_in_turn(scores, kinds, 4)[0].tolist() == [3, 0, 4, 1]
    found = best_in_turn(scores, kinds, 4)[1].tolist()
    assert found[:2] == [2, 4]
    assert all(scores[1, each] == -INF for each in found[2:])
    assert best_in_turn(scores[:, :1], kinds[:, :1], 3).tolist() == [[0], [0]]


def test_a_state_says_what_is_lacking(deep):
    """That of several constraints is added up."""
    stepper, start = constrain([must("10"), must("4", "4")], deep, deep.start(2), Limits(9, (2,)))
    assert lacking(deep.start(2).state) is None
    _, state = stepper.step(start.tokens, start.state, start.context)
    assert lacking(state).tolist() == [[3, 2, 3, 3, 2]] * 2


def test_the_least_is_that_of_texts_that_overlap():
    assert must("0140", "40", "4001").least_tokens(None) == 6
    assert must("1", "1", "11").least_tokens(None) == 2


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "`texts` must be at least 1 long"),
        ([""], "`texts` must have tokens, but '' has none"),
        (["1", "13"], "`texts` '13' contains a token that is not in the vocabulary"),
        (["1"] * 13, "`texts` must be at most 12 long"),
    ],
)
def test_what_cannot_be_met_is_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        must(*texts)


def test_without_room_they_are_not_met(deep):
    found = constrained("greedy", [must("0140")], deep, deep.start(3), Limits([3, 4, 5], (2,)))
    assert [each.satisfied for [each] in found] == [False, True, True]
    assert found[1][0].tokens == (0, 1, 4, 0)
