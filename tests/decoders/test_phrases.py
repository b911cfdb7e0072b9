"""Tries, and the constraints that are made of them, against looking at each text."""

import random
from itertools import product

import pytest
import torch

from seqgen.decoders import (
    AllowedByFunction,
    AllowedTexts,
    ForbiddenTexts,
    Limits,
    SequenceBias,
    WithoutTokens,
    constraints,
)
from seqgen.decoders.phrases import ROOT, texts_and_file, tree_of
from seqgen.errors import DataError
from seqgen.state import reorder

from .conftest import BATCH, build, constrained, digits


def random_texts(seed, count):
    draw = random.Random(seed)
    return ["".join(draw.choices("01234", k=draw.randint(1, 5))) for _ in range(count)]


def only(*texts, **more):
    return AllowedTexts(texts, vocab_size=5, encode=digits, **more)


def never(*texts, **more):
    return ForbiddenTexts(texts, encode=digits, **more)


@pytest.mark.parametrize("texts", [["012", "0", "0124", "31"], [""], [], random_texts(1, 60)])
def test_each_beginning_is_a_node_that_the_root_leads_to(texts):
    tree = tree_of([digits(text) for text in texts])
    beginnings = {text[:size] for text in texts for size in range(len(text) + 1)} | {""}
    assert len(tree.tokens) == len(beginnings)
    for beginning in beginnings:
        node = torch.tensor([ROOT])
        for token in digits(beginning):
            node = tree.child(node, torch.tensor([token]))
            assert node != ROOT
        rows, children = tree.children(node)
        following = {token for token in "01234" if f"{beginning}{token}" in beginnings}
        assert sorted(map(str, tree.tokens[children].tolist())) == sorted(following)
        assert rows.tolist() == [0] * len(children)
        ends = [len(each) - len(beginning) for each in texts if each.startswith(beginning)]
        assert bool(tree.whole[node]) == (beginning in texts)
        assert not texts or int(tree.lacking[node]) == min(ends)
        for other in range(7):
            if f"{beginning}{other}" not in beginnings:
                assert tree.child(node, torch.tensor([other])) == ROOT


def test_texts_come_from_a_file_too(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffone\r\n\nzw\u00f6lf mal\ntwo".encode())
    assert texts_and_file(("zero",), path) == ["zero", "one", "zw\u00f6lf mal", "two"]
    assert texts_and_file((), None) == []


@pytest.mark.parametrize("make", [only, never])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "words.txt: cannot be read"),
        (b"one\n\xfftwo\n", r"words.txt:2: invalid UTF-8 at byte 4; UTF-8 is needed"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, message, make):
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        make(file=path)


# The constraint `allowed`.
@pytest.mark.parametrize("ends", [(), (2,)])
@pytest.mark.parametrize("seed", range(4))
def test_exactly_what_still_leads_to_a_text_in_time_is_allowed(deep, seed, ends):
    texts = [text.replace("2", "").replace("3", "1") for text in random_texts(seed, 12)]
    beam = build({"name": "beam", "beam_size": 625, "n_best": 625})
    [found] = constrained(beam, [only(*texts)], deep, deep.start(1), Limits(4, ends))
    got = {"".join(map(str, each.tokens)) for each in found}
    assert all(each.satisfied for each in found)
    if ends:
        assert got == {f"{text}2"[:4] for text in texts if len(text) <= 4}
    else:
        every = map("".join, product("01234", repeat=4))
        assert got == {text for text in every if text.startswith(tuple(texts))}


# The constraint `AllowedByFunction`.
def test_the_function_sees_each_sequence_and_is_obeyed(deep):
    asked = []

    def rising(tokens):
        asked.append(tokens)
        return [token for token in range(5) if token > tokens[-1]] if tokens else None

    beam = build({"name": "beam", "beam_size": 3, "n_best": 3})
    found = constrained(beam, [AllowedByFunction(rising)], deep, deep.start(4), Limits(5, (4,)))
    for each in (one for several in found for one in several):
        assert list(each.tokens) == sorted(set(each.tokens))
        assert each.finished
        assert each.tokens[:-2] in asked
    assert asked[:4] == [()] * 4


def test_nothing_allowed_is_the_end(deep):
    nothing = AllowedByFunction(lambda tokens: [1] if len(tokens) < 2 else ())
    found = constrained("greedy", [nothing], deep, deep.start(4), Limits(5, (4,)))
    assert [each.tokens for [each] in found] == [(1, 1)] * 4
    assert not any(each.finished or each.satisfied for [each] in found)


# The stepper `WithoutTokens`: probability zero for some tokens, nothing else changed.
@pytest.mark.parametrize("tokens", [[], [0], [3, 1], [1, 1], [0, 1, 2, 3, 4]])
def test_only_the_forbidden_scores_change(deep, tokens):
    start = deep.start(4)
    before, after = deep.step(*start[:3])
    scores = before.clone()

    class Fixed:
        def step(self, tokens, state, context):
            return before, after

    found, state = WithoutTokens(Fixed(), tokens).step(*start[:3])
    assert torch.equal(before, scores)
    assert state is after
    assert torch.isneginf(found[:, tokens]).all()
    others = [token for token in range(5) if token not in tokens]
    assert torch.equal(found[:, others], before[:, others])


# The constraint `forbid`.
@pytest.mark.parametrize("seed", range(8))
def test_exactly_what_would_complete_a_text_is_forbidden(deep, seed):
    texts = random_texts(seed, 1 + 3 * seed)
    stepper, start = never(*texts).wrap(deep, deep.start(BATCH), Limits(12), None)
    draw = torch.Generator().manual_seed(seed)
    (read, state, context), past = start[:3], [""] * BATCH
    for _ in range(12):
        log_probs, state = stepper.step(read, state, context)
        for row, before in enumerate(past):
            wanted = {i for i in range(5) if any(f"{before}{i}".endswith(each) for each in texts)}
            assert {*log_probs[row].isneginf().nonzero().flatten().tolist()} == wanted
        read = torch.randint(5, (BATCH,), generator=draw)  # forbidden ones, too
        past = [f"{before}{token}" for before, token in zip(past, read.tolist(), strict=True)]
        moved = torch.randint(BATCH, (BATCH,), generator=draw)
        read, state, context = reorder((read, state, context), moved)
        past = [past[row] for row in moved.tolist()]


def test_what_the_search_began_from_is_not_generated(deep):
    """So no text begins there."""
    start = deep.start(3)  # after the tokens 0, 1, 2
    stepper, begun = never("01", "12", "20").wrap(deep, start, Limits(3), None)
    assert stepper.step(*begun[:3])[0].isfinite().all()


@pytest.mark.parametrize(
    ("content", "message"),
    [("\n\n", " must have at least 1 text"), ("0\n13\n", ": '13' contains a")],
)
def test_so_are_those_of_a_file_which_is_named(tmp_path, content, message):
    (tmp_path / "some.txt").write_text(content)
    with pytest.raises(ValueError, match=f"`file` .*some.txt{message}"):
        only(file=tmp_path / "some.txt")


# The constraint `sequence_bias`.
def biased(texts=None, tokens=None):
    return SequenceBias(texts or {}, tokens or {}, vocab_size=5, encode=digits)


@pytest.mark.parametrize("seed", range(8))
def test_what_completes_a_text_gets_the_sum_of_the_biases(deep, seed):
    draw = random.Random(seed)
    texts = {text.replace("3", "4"): draw.uniform(-3, 2) for text in random_texts(seed, 12)}
    given = {1: 0.5, 4: -0.25}
    stepper, start = biased(texts, given).wrap(deep, deep.start(BATCH), Limits(12), None)
    (read, state, context), past = start[:3], [""] * BATCH
    own, generator = deep.start(BATCH).state, torch.Generator().manual_seed(seed)
    for _ in range(9):
        found, state = stepper.step(read, state, context)
        wanted, own = deep.step(read, own, context)
        for row, before in enumerate(past):
            for token in range(5):
                ended = [b for text, b in texts.items() if f"{before}{token}".endswith(text)]
                wanted[row, token] += sum(ended) + given.get(token, 0.0)
        wanted -= wanted.logsumexp(1, keepdim=True).clamp(min=0)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
        read = torch.randint(5, (BATCH,), generator=generator)
        past = [f"{before}{token}" for before, token in zip(past, read.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("texts", "tokens", "message"),
    [
        ({"": 1.0}, {}, "`texts` must have tokens, but '' has none"),
        ({}, {"a": 1.0}, "`tokens` must have token ids as keys, but has 'a'"),
        ({"13": 1.0}, {}, "`texts` '13' contains a token that is not in the vocabulary"),
        ({}, {9: 1.0}, "`tokens` must have tokens from 0 to 4, but has 9"),
    ],
)
def test_a_bias_of_what_is_never_generated_is_refused(texts, tokens, message):
    with pytest.raises(ValueError, match=message):
        biased(texts, tokens)


def test_biases_are_options_of_a_recipe():
    spec = {"name": "sequence_bias", "texts": {"01": 1, "4": -2.5}, "tokens": {1: 0.5}}
    made = constraints.build(spec, vocab_size=5, encode=digits)
    assert (made.texts, made.tokens) == ({"01": 1, "4": -2.5}, {1: 0.5})
    with pytest.raises(ValueError, match="texts"):
        constraints.build({**spec, "texts": {"01": 101}}, vocab_size=5, encode=digits)
