"""Tries, and the constraints that are made of them, against looking at each text."""

import random
from itertools import product

import pytest
import torch

from seqgen.decoders import Allowed, Forbidden, Limits, constrain, decoders
from seqgen.decoders.tries import ROOT, texts_and_file, tree_of
from seqgen.errors import DataError
from seqgen.state import reorder


def digits(text):
    return list(map(int, text))


def random_texts(seed, count):
    draw = random.Random(seed)
    return ["".join(draw.choices("01234", k=draw.randint(1, 5))) for _ in range(count)]


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
        following = {
            each[len(beginning)]
            for each in beginnings
            if each != beginning[: len(each)] and each.startswith(beginning)
        }
        assert sorted(map(str, tree.tokens[children].tolist())) == sorted(following)
        assert rows.tolist() == [0] * len(children)
        ends = [len(each) - len(beginning) for each in texts if each.startswith(beginning)]
        assert bool(tree.whole[node]) == (beginning in texts)
        assert not texts or int(tree.lacking[node]) == min(ends)
        for other in range(7):
            if f"{beginning}{other}" not in beginnings:
                assert tree.child(node, torch.tensor([other])) == ROOT


@pytest.mark.parametrize("seed", range(8))
def test_exactly_what_would_complete_a_text_is_forbidden(deep, seed):
    texts = random_texts(seed, 1 + 3 * seed)
    stepper, start = Forbidden(texts, encode=digits).wrap(deep, deep.start(12), Limits(12), None)
    draw = torch.Generator().manual_seed(seed)
    read, state, past = start.tokens, start.state, [""] * 12
    for _ in range(12):
        log_probs, state = stepper.step(read, state, start.context)
        for row, before in enumerate(past):
            wanted = {i for i in range(5) if any(f"{before}{i}".endswith(each) for each in texts)}
            assert {*log_probs[row].isneginf().nonzero().flatten().tolist()} == wanted
        read = torch.randint(5, (12,), generator=draw)  # forbidden ones, too: rows may be dragged
        past = [f"{before}{token}" for before, token in zip(past, read.tolist(), strict=True)]
        moved = torch.randint(12, (12,), generator=draw)
        read, state, context = reorder((read, state, start.context), moved)
        start = start._replace(context=context)
        past = [past[row] for row in moved.tolist()]


@pytest.mark.parametrize("ends", [(), (2,)])
@pytest.mark.parametrize("seed", range(4))
def test_exactly_what_still_leads_to_a_text_in_time_is_allowed(deep, seed, ends):
    texts = [text.replace("2", "").replace("3", "1") for text in random_texts(seed, 12)]
    limits = Limits(4, ends)
    beam = decoders.build({"name": "beam", "beam_size": 625, "n_best": 625}, seed=1, vocab_size=5)
    allowed = Allowed(texts, vocab_size=5, encode=digits)
    [found] = beam.decode(*constrain([allowed], deep, deep.start(1), limits), limits)
    got = {"".join(map(str, each.tokens)) for each in found}
    assert all(each.satisfied for each in found)
    if ends:
        assert got == {f"{text}2"[:4] for text in texts if len(text) <= 4}
    else:
        assert all(len(text) == 4 and text.startswith(tuple(texts)) for text in got)
        every = map("".join, product("01234", repeat=4))
        assert len(got) == sum(text.startswith(tuple(texts)) for text in every)


def test_texts_come_from_a_file_too(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffone\r\n\nzw\u00f6lf mal\ntwo".encode())
    assert texts_and_file(("zero",), path) == ["zero", "one", "zw\u00f6lf mal", "two"]
    assert texts_and_file((), None) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "words.txt: cannot be read"),
        (b"one\n\xfftwo\n", r"words.txt:2: invalid UTF-8 at byte 4; UTF-8 is needed"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, message):
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    for make in (Allowed, Forbidden):
        with pytest.raises(DataError, match=message):
            make(file=path, **({"vocab_size": 5} if make is Allowed else {}), encode=digits)


def test_a_file_without_texts_is_named(tmp_path):
    (tmp_path / "none.txt").write_text("\n\n")
    with pytest.raises(ValueError, match=r"`file` .*none.txt must have at least 1 text"):
        Allowed(file=tmp_path / "none.txt", vocab_size=5, encode=digits)
