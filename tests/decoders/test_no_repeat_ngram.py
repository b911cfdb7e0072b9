"""The constraint `no_repeat_ngram`."""

import itertools

import pytest
import torch

from seqgen.decoders import Limits, NoRepeatNgram, constrain, decoders

BATCH = 12


def ngrams(tokens, size):
    return [tokens[i : i + size] for i in range(len(tokens) - size + 1)]


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
@pytest.mark.parametrize("size", [2, 3])
def test_no_ngram_comes_twice(deep, search, size):
    limits = Limits(10)
    decoder = decoders.build(search, seed=3, vocab_size=5)
    found = decoder.decode(
        *constrain([NoRepeatNgram(size)], deep, deep.start(BATCH), limits), limits
    )
    for [each] in found:
        assert len(each.tokens) == 10
        assert len(set(ngrams(each.tokens, size))) == 10 - size + 1


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_exactly_the_repetitions_are_banned(deep, size):
    """Compared with looking for each token's n-gram in the sequence."""
    every = list(itertools.product(range(3), repeat=6))
    start = deep.start(1)._replace(context=torch.zeros(1, 5))
    start = start._replace(tokens=torch.zeros(len(every), dtype=torch.long))
    start = start._replace(state=torch.zeros(len(every), dtype=torch.long))
    stepper, begun = NoRepeatNgram(size).wrap(deep, start, Limits(7, (4,)), None)
    read, state = begun.tokens, begun.state
    for step in range(7):
        log_probs, state = stepper.step(read, state, begun.context)
        for row, tokens in enumerate(every):
            past = tokens[:step]
            banned = {i for i in range(5) if (*past, i)[-size:] in ngrams(past, size)}
            assert set((log_probs[row] == float("-inf")).nonzero().flatten().tolist()) == banned
        read = torch.tensor([tokens[min(step, 5)] for tokens in every])


def test_where_all_is_banned_the_sequence_ends(deep):
    limits = Limits(9, (2,))
    greedy = decoders.build("greedy")
    found = greedy.decode(*constrain([NoRepeatNgram(1)], deep, deep.start(BATCH), limits), limits)
    assert all(each.finished and each.satisfied for [each] in found)
    assert all(len(set(each.tokens)) == len(each.tokens) for [each] in found)
    endless = Limits(9)
    found = greedy.decode(*constrain([NoRepeatNgram(1)], deep, deep.start(BATCH), endless), endless)
    assert all(sorted(each.tokens) == [0, 1, 2, 3, 4] for [each] in found)
    assert not any(each.finished or each.satisfied for [each] in found)


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="`size` must be at least 1, but is 0"):
        NoRepeatNgram(0)
