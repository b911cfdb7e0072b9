"""Tries, and the constraints that are made of them, against looking at each text."""

import random
from itertools import product

import pytest
import torch

from seqgen.decoders import Allowed, AllowedBy, Forbid, Forbidden, Limits, constrain, decoders
from seqgen.decoders.phrases import ROOT, texts_and_file, tree_of
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


# The constraint `allowed`.


TEXTS = ("0140", "0", "44", "1", "10", "4410")


def digits_allowed(text):
    return list(map(int, text))


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
def test_a_sequence_is_one_of_the_texts(deep, search):
    limits = Limits(9, (2,))
    decoder = decoders.build(search, seed=3, vocab_size=5)
    allowed = Allowed(TEXTS, vocab_size=5, encode=digits_allowed)
    found = decoder.decode(*constrain([allowed], deep, deep.start(12), limits), limits)
    assert all(each.finished for [each] in found)
    texts = {"".join(map(str, each.tokens[:-1])) for [each] in found}
    assert texts <= set(TEXTS)
    assert len(texts) > 2


def test_a_wide_beam_finds_all_of_them(deep):
    limits = Limits(9, (2,))
    start = deep.start(2)
    beam = decoders.build({"name": "beam", "beam_size": 10, "n_best": 10}, seed=3, vocab_size=5)
    found = beam.decode(
        *constrain([Allowed(TEXTS, vocab_size=5, encode=digits_allowed)], deep, start, limits),
        limits,
    )
    for source, several in enumerate(found):
        texts = ["".join(map(str, each.tokens[:-1])) for each in several]
        assert sorted(texts) == sorted(TEXTS)
        for each in several:
            assert each.score == pytest.approx(sum(deep.rescore(start, source, each.tokens)))


def test_without_an_end_anything_may_follow_a_whole_text(deep):
    limits = Limits(6)
    multinomial = decoders.build("multinomial", seed=3, vocab_size=5)
    constrained = constrain(
        [Allowed(["014", "01"], vocab_size=5, encode=digits_allowed)], deep, deep.start(12), limits
    )
    found = {each.tokens for [each] in multinomial.decode(*constrained, limits)}
    assert {tokens[:2] for tokens in found} == {(0, 1)}
    assert {tokens[2] for tokens in found} > {4}
    assert len(found) > 6


def test_no_texts_and_unknown_ones_are_refused():
    with pytest.raises(ValueError, match="`texts` must have at least 1 text, but is empty"):
        Allowed((), vocab_size=5, encode=digits_allowed)
    with pytest.raises(ValueError, match="`texts` '013' must be known"):
        Allowed(("01", "013"), vocab_size=5, encode=digits_allowed)


# The constraint `AllowedBy`.


def test_the_function_sees_each_sequence_and_is_obeyed(deep):
    asked = []

    def rising(tokens):
        asked.append(tokens)
        return [token for token in range(5) if not tokens or token > tokens[-1]] if tokens else None

    limits = Limits(5, (4,))
    beam = decoders.build({"name": "beam", "beam_size": 3, "n_best": 3}, seed=3, vocab_size=5)
    found = beam.decode(*constrain([AllowedBy(rising)], deep, deep.start(4), limits), limits)
    for each in (one for several in found for one in several):
        assert list(each.tokens) == sorted(set(each.tokens))
        assert each.finished
        assert each.tokens[:-2] in asked
    assert asked[:4] == [()] * 4


def test_nothing_allowed_is_the_end(deep):
    limits = Limits(5, (4,))
    nothing = AllowedBy(lambda tokens: [1] if len(tokens) < 2 else ())
    found = decoders.build("greedy").decode(
        *constrain([nothing], deep, deep.start(4), limits), limits
    )
    assert [each.tokens for [each] in found] == [(1, 1)] * 4
    assert not any(each.finished or each.satisfied for [each] in found)


# The stepper `Forbid`: probability zero for some tokens, nothing else changed.


@pytest.mark.parametrize("tokens", [[], [0], [3, 1], [1, 1], [0, 1, 2, 3, 4]])
def test_only_the_forbidden_scores_change(table, tokens):
    start = table.start(4)
    before, _ = table.step(*start[:3])
    found, _ = Forbid(table, tokens).step(*start[:3])
    assert torch.isneginf(found[:, tokens]).all()
    others = [token for token in range(5) if token not in tokens]
    assert torch.equal(found[:, others], before[:, others])


def test_what_the_stepper_returned_is_left_alone(table):
    scores = torch.zeros(2, 5)

    class Fixed:
        def step(self, tokens, state, context):
            return scores, state

    Forbid(Fixed(), [1]).step(torch.zeros(2), None, None)
    assert not scores.any()


def test_the_state_passes_through(deep):
    start = deep.start(4)
    _, wanted = deep.step(*start[:3])
    _, found = Forbid(deep, [1]).step(*start[:3])
    assert torch.equal(found, wanted)


def test_one_may_wrap_another(table):
    found, _ = Forbid(Forbid(table, [0]), [2]).step(*table.start(1)[:3])
    assert found.isneginf().tolist() == [[True, False, True, False, False]]


# The constraint `forbid`.


BATCH = 12


def digits_forbidden(text):
    return list(map(int, text))


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
def test_the_texts_never_come_and_parts_of_them_do(deep, search):
    limits = Limits(14)
    decoder = decoders.build(search, seed=3, vocab_size=5)

    def texts(*constraints):
        found = decoder.decode(*constrain(constraints, deep, deep.start(BATCH), limits), limits)
        return ["".join(map(str, each.tokens)) for [each] in found]

    free = texts()
    common = max((text[i : i + 2] for text in free for i in range(13)), key="".join(free).count)
    banned = [common, common[::-1] * 2, "3"]
    found = texts(Forbidden(banned, encode=digits_forbidden))
    assert not any(each in text for each in banned for text in found)
    assert all(any(digit in text for text in found) for digit in common.replace("3", ""))


def test_one_before_the_prompt_does_not_count(deep):
    """What the search began from is not generated, so no text begins there."""
    start = deep.start(3)  # behind the tokens 0, 1, 2
    stepper, begun = Forbidden(["01", "12", "20"], encode=digits_forbidden).wrap(
        deep, start, Limits(3), None
    )
    assert stepper.step(*begun[:3])[0].isfinite().all()


def test_a_text_without_tokens_is_refused():
    with pytest.raises(ValueError, match="`texts` must have tokens, but '' has none"):
        Forbidden(["0", ""], encode=digits_forbidden)
