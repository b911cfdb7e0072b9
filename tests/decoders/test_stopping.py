"""Stop strings by themselves, and what every search makes of a path that has one."""

import math
import random
import time

import pytest
import torch

from seqgen.decoders import (
    AllowedTexts,
    Beam,
    Counting,
    Exact,
    Limits,
    MinimumLength,
    Stopping,
    StopStrings,
    WithoutTokens,
    constrain,
    watched,
    with_stop,
)
from seqgen.state import reorder
from seqgen.tokenizers import REPLACEMENT, UNK, Contents

from .conftest import BATCH, TOKENIZERS, build, constrained, digits, fitted

END = 4
SPELLING = ("byte", "sentencepiece", "bpe")
"""Tokenizers that spell what they do not know in bytes."""


@pytest.mark.parametrize(
    ("strings", "text", "start", "end"),
    [
        (["b"], "abcb", 1, 2),
        (["bc", "ab"], "abc", 0, 2),  # the first that is complete, not the first that is named
        (["b", "ab"], "xab", 1, 3),  # complete at the same character: the longest
        (["aab"], "aaab", 1, 4),
        (["\n\n", "é"], "x\n\né", 1, 3),
        (["b"], "acd", None, None),
        ([], "abc", None, None),
    ],
)
def test_the_first_stop_string_counts(strings, text, start, end):
    found = StopStrings(tuple(strings)).find(text)
    wanted = None if start is None else (start, end, text[start:end])
    assert (found and tuple(found)) == wanted
    assert StopStrings(tuple(strings)).cut(text) == text[:start]
    assert StopStrings(tuple(strings), keep=True).cut(text) == text[:end]


@pytest.mark.parametrize(
    ("strings", "text", "settled"),
    [
        (["abc"], "xab", 1),
        (["abc"], "xa", 1),
        (["abc"], "abx", 3),
        (["abab"], "xabaaba", 4),
        (["bx", "abcd"], "zabc", 1),  # the longest beginning of any of them
        (["b"], "aaa", 3),
        ([], "abc", 3),
        (["abc"], "", 0),
    ],
)
def test_what_may_still_become_a_stop_string_is_not_settled(strings, text, settled):
    assert StopStrings(tuple(strings)).settled(text) == settled


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_string_of_an_output_is_not_impossible(name):
    """Wherever it begins in a token and ends in one; what has a strange character always is, but
    for bytes."""
    tokenizer, draw = fitted(name), random.Random(2)
    contents = tokenizer.contents()
    for _ in range(30):
        ids = draw.choices(range(UNK + 1, len(tokenizer)), k=6)
        text = tokenizer.decode(ids)
        start = draw.randrange(max(len(text), 1))
        some = text[start : start + draw.randint(1, 9)]
        if some and REPLACEMENT not in some:
            assert StopStrings((some, "the")).impossible(contents) == []
            strange = StopStrings((f"{some}ж", some, "ж")).impossible(contents)
            assert strange == ([] if name in SPELLING else [f"{some}ж", "ж"])


@pytest.mark.parametrize(
    ("pieces", "string", "possible"),
    [
        (["ab", "c"], "bca", True),
        (["ab", "c"], "bb", False),
        (["ab", "c"], "cc", True),
        (["abc"], "b", True),
        (["ab", "bca", "b"], "abbc", True),
        (["ab", "ba"], "aa", True),
        (["aab", "aba"], "abaabaab", True),
    ],
)
def test_by_hand_what_tokens_can_make(pieces, string, possible):
    texts = [b""] * (UNK + 1) + [each.encode() for each in pieces]
    assert StopStrings((string,)).impossible(Contents(texts, texts)) == [string] * (not possible)


STOPS = StopStrings(("12", "303", "0"))


def text_of(tokens):
    return "".join(map(str, tokens))


def stopping(natural, stops=STOPS, deadline=None):
    def stopped(source, recent):
        return stops.find(text_of(recent)) is not None

    return Stopping(END, natural, stops.window, stopped, deadline)


def search(decoder, deep, natural, start, stop=None, more=(), length=7):
    """What a decoder finds where END ends a sequence by itself, or only because it is stopped."""
    stepper = deep if natural else WithoutTokens(deep, [END])
    chosen = with_stop([*more, *decoder.constraints], stop or stopping(natural))
    wrapped = constrain(chosen, stepper, start, Limits(length, (END,) if natural else ()))
    return decoder.decode(*wrapped, Limits(length, (END,)))


@pytest.mark.parametrize("natural", [True, False])
class TestEveryDecoder:
    def test_a_path_ends_where_its_text_has_a_stop_string(self, decoder, deep, natural):
        start, stopped = deep.start(BATCH), 0
        for source, own in enumerate(search(decoder, deep, natural, start)):
            for each in own:
                content = each.tokens[: len(each.tokens) - each.finished]
                found = STOPS.find(text_of(content))
                given = list(each.log_probs[: len(content)])
                assert given == pytest.approx(deep.rescore(start, source, content), abs=1e-4)
                assert each.score == pytest.approx(math.fsum(each.log_probs), abs=1e-4)
                assert each.satisfied
                if found is None:
                    assert len(each.tokens) == 7 or (each.finished and natural)
                    continue
                stopped += 1
                assert found.end == len(content)
                assert each.finished == (len(content) < 7)
                assert not each.finished or each.log_probs[-1] == 0
        assert stopped

    def test_a_row_alone_stops_as_in_a_batch(self, decoder, deep, natural):
        ids = torch.tensor([5, 0, 2**40, 7, 1, 2, 99, 3, 2**32, 6, 4, 8])
        start = deep.start(BATCH, ids)
        whole = search(decoder, deep, natural, start)
        for rows in ([4], [11, 3, 3]):
            some = search(decoder, deep, natural, reorder(start, torch.tensor(rows)))
            assert [[one.tokens for one in own] for own in some] == [
                [one.tokens for one in whole[row]] for row in rows
            ]

    def test_when_the_time_is_over_all_paths_end(self, decoder, deep, natural):
        over = stopping(natural, StopStrings(), deadline=time.monotonic() - 1)
        for own in search(decoder, deep, natural, deep.start(3), over):
            assert {each.tokens for each in own} == {(END,)}
        endless = stopping(natural, StopStrings(), deadline=math.inf)
        start, limits = deep.start(3), Limits(7, (END,))
        stepper = deep if natural else WithoutTokens(deep, [END])
        wanted = decoder.decode(stepper, start, limits)
        assert search(decoder, deep, natural, start, endless) == wanted


@pytest.mark.parametrize("natural", [True, False])
def test_a_search_of_everything_finds_every_text_up_to_its_stop(deep, natural):
    """Sequences that go on after a stop string are as one, with the score of what is before."""
    start, limits = deep.start(1), Limits(4, (END,) if natural else ())
    stepper = deep if natural else WithoutTokens(deep, [END])
    wanted = {}
    for tokens in deep.enumerate(start, 0, Limits(4, (END,))):
        content = tokens[: len(tokens) - (tokens[-1] == END)]
        if not natural and content != tokens:
            continue
        found = STOPS.find(text_of(content))
        cut = tokens if found is None else (*content[: found.end], END)[:4]
        given = deep.rescore(start, 0, cut if found is None else content[: found.end])
        wanted[cut] = math.fsum(given)
    stepper, begun = constrain([stopping(natural)], stepper, start, limits)
    for decoder in (Exact(n_best=900), Beam(beam_size=900, n_best=900)):
        [own] = decoder.decode(stepper, begun, Limits(4, (END,)))
        assert {each.tokens: each.score for each in own} == pytest.approx(wanted, abs=1e-4)


def test_where_constraints_let_no_path_end_it_is_at_a_dead_end(deep):
    start = deep.start(BATCH)
    for own in search(build("greedy"), deep, True, start, more=[MinimumLength(3)]):
        [each] = own
        content = each.tokens[: len(each.tokens) - each.finished]
        assert each.satisfied == (len(content) >= 3)
    # A beam drops such a path and finds another one.
    for own in search(build("beam"), deep, True, start, more=[MinimumLength(3)]):
        assert all(each.satisfied and len(each.tokens) > 3 for each in own)
    # Where nothing ends by itself, constraints cannot forbid it.
    allowed = AllowedTexts(("22120",), vocab_size=5, encode=digits)
    for own in search(build("greedy"), deep, False, start, more=[allowed]):
        assert [(each.tokens, each.satisfied) for each in own] == [((2, 2, 1, 2, END), True)]


def test_who_watches_sees_the_end_that_is_forced(deep):
    counting = Counting()
    decoder = watched(build("greedy"), counting)
    stop = stopping(True)
    assert with_stop([*decoder.constraints, MinimumLength(1)], stop)[1:] == (stop, counting)
    found = search(decoder, deep, True, deep.start(BATCH))
    assert counting.rows == sum(len(each.tokens) for [each] in found)


def test_without_stops_nothing_changes(decoder, deep):
    start, never = deep.start(BATCH), stopping(True, StopStrings(("9",)))
    assert search(decoder, deep, True, start, never) == constrained(
        decoder, decoder.constraints, deep, start, Limits(7, (END,))
    )


def test_who_goes_token_by_token_streams(decoder):
    assert decoder.streams == callable(getattr(decoder, "walk", None))
