"""The past of paths, and the constraints that look at it."""

import itertools

import pytest
import torch

from seqgen.decoders import (
    ForcedPrefix,
    FrequencyPenalty,
    Limits,
    MinimumLength,
    NoRepeatNgram,
    Past,
    PresencePenalty,
    RepetitionPenalty,
    WithoutTokens,
)
from seqgen.decoders.history import check_known
from seqgen.state import concatenate

from .conftest import BATCH, constrained, digits

searches = pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])


@pytest.fixture
def past(table):
    """After the tokens 0 and 1, the sequences 3 4 0 and 1 2 3 have been read."""
    start = table.start(2)
    grown = Past.of(start, Limits([5, 4]))
    for tokens in (start.tokens, torch.tensor([3, 1]), torch.tensor([4, 2]), torch.tensor([0, 3])):
        grown = grown.reading(tokens)
    return grown


def test_it_has_what_was_generated(past):
    assert past.generated[:, :4].tolist() == [[3, 4, 0, -1], [1, 2, 3, -1]]
    assert past.lengths.tolist() == [3, 3]
    assert past.left.tolist() == [2, 1]
    assert past.last(0).shape == (2, 0)
    assert past.last(2).tolist() == [[4, 0], [2, 3]]
    assert past.last(5).tolist() == [[-1, -1, 3, 4, 0], [-1, -1, 1, 2, 3]]


def test_rows_of_other_lengths_may_share_a_batch(past, table):
    fresh = Past.of(table.start(1), Limits(5)).reading(torch.tensor([0]))
    for _ in range(20):
        past = past.reading(torch.tensor([1, 4]))
    both = concatenate(fresh, past).reading(torch.tensor([1, 4, 2]))
    assert both.lengths.tolist() == [1, 24, 24]
    assert both.generated[:, :24].tolist()[0] == [1] + [-1] * 23
    assert both.generated[:, :24].tolist()[1] == [3, 4, 0] + [1] * 20 + [4]
    assert both.last(2).tolist() == [[-1, 1], [1, 4], [4, 2]]


def test_memory_follows_what_was_read_and_not_the_limit(table):
    grown = Past.of(table.start(2), Limits(10**12))
    for _ in range(100):
        grown = grown.reading(torch.tensor([1, 4]))
    assert grown.generated[:, :99].tolist() == [[1] * 99, [4] * 99]
    assert grown.generated.shape[1] < 200
    assert grown.left.tolist() == [10**12 - 99] * 2


@pytest.mark.parametrize("tokens", [[0, 1, 2, 4, 5, 9], []])
def test_tokens_of_the_vocabulary_are_fine(tokens):
    check_known(tokens, 10, "`tokens`")


@pytest.mark.parametrize(
    ("token", "message"),
    [(n, f"`text` 'Z' must have tokens from 0 to 9, but has {n}") for n in (-1, 10, 2**40)]
    + [(3, "`text` 'Z' contains a token that is not in the vocabulary")],
)
def test_others_are_not(token, message):
    with pytest.raises(ValueError, match=message):
        check_known([4, token], 10, "`text` 'Z'")


# The constraint `forced_prefix`.
@searches
@pytest.mark.parametrize("prefix", [{"text": "140"}, {"tokens": (1, 4, 0)}])
def test_every_sequence_begins_so_and_is_free_after_that(deep, search, prefix):
    start, forced = deep.start(BATCH), ForcedPrefix(5, digits, **prefix)
    found = constrained(search, [forced], deep, start, Limits(9, (2,)))
    assert {each.tokens[:3] for [each] in found} == {(1, 4, 0)}
    assert len({each.tokens for [each] in found}) > 3
    for source, [each] in enumerate(found):
        assert each.log_probs == pytest.approx(deep.rescore(start, source, each.tokens), abs=1e-5)


def test_it_may_be_longer_than_there_is_room(deep):
    forced = ForcedPrefix(5, digits, "1401")
    found = constrained("greedy", [forced], deep, deep.start(5), Limits([1, 0, 2, 3, 4], (2,)))
    assert [each.tokens for [each] in found] == [(), (), (1,), (1, 4), (1, 4, 0, 1)]
    assert [each.satisfied for [each] in found] == [False, True, False, False, True]


def test_what_the_stepper_cannot_generate_is_not_forced(deep):
    forced, stepper = ForcedPrefix(5, digits, "14"), WithoutTokens(deep, [4])
    found = constrained("greedy", [forced], stepper, deep.start(3), Limits(4, (2,)))
    assert [each.tokens for [each] in found] == [(1,)] * 3
    assert not any(each.finished or each.satisfied for [each] in found)


# The constraint `minimum_length`.
def test_the_other_scores_stay(deep):
    start = deep.start(BATCH)
    stepper, begun = MinimumLength(1).wrap(deep, start, Limits(5, (2,)), None)
    plain, found = deep.step(*start[:3])[0], stepper.step(*begun[:3])[0]
    others = [0, 1, 3, 4]
    assert torch.equal(found[:, others], plain[:, others])
    assert (found[:, 2] == float("-inf")).all()


def test_it_may_be_more_than_there_is_room_for(deep):
    limits, least = Limits([0, 1, 2, 3], (2,)), MinimumLength(3)
    found = constrained("greedy", [least], deep, deep.start(4), limits)
    assert [len(each.tokens) for [each] in found] == [0, 0, 1, 3]
    assert [each.satisfied for [each] in found] == [True, False, False, True]


class Batch:
    """What a start is made of, as far as this constraint looks."""

    lengths = torch.arange(BATCH)


@searches
def test_no_sequence_ends_before_its_share_of_the_source(deep, search):
    chosen, limits = [MinimumLength(2, ratio=1.5)], Limits(30, (2, 4))
    found = constrained(search, chosen, deep, deep.start(BATCH), limits, Batch())
    least = [2, 2, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16]
    above = [len(each.tokens) - each.finished - n for [each], n in zip(found, least, strict=True)]
    assert min(above) == 0
    assert above.count(0) >= 3


# The constraint `no_repeat_ngram`.
def ngrams(tokens, size):
    return [tokens[i : i + size] for i in range(len(tokens) - size + 1)]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_exactly_the_repetitions_are_banned(deep, size):
    """Compared with looking for each token's n-gram in the sequence."""
    every = list(itertools.product(range(3), repeat=6))
    zeros = torch.zeros(len(every), dtype=torch.long)
    start = deep.start(1)._replace(tokens=zeros, context=torch.zeros(1, 5))
    start = start._replace(state=(zeros, start.state[1]))
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
    ending, endless = (
        constrained("greedy", [NoRepeatNgram(1)], deep, deep.start(BATCH), Limits(9, ends))
        for ends in ((2,), ())
    )
    assert all(each.finished and each.satisfied for [each] in ending)
    assert all(len(set(each.tokens)) == len(each.tokens) for [each] in ending)
    assert all(sorted(each.tokens) == [0, 1, 2, 3, 4] for [each] in endless)
    assert not any(each.finished or each.satisfied for [each] in endless)


@pytest.mark.parametrize(("size", "window"), [(1, 1), (1, 3), (2, 2), (2, 3), (3, 4), (2, 99)])
def test_in_a_window_what_has_begun_before_it_may_come_again(even, size, window):
    every = torch.tensor([*itertools.product(range(3), repeat=6)])
    start = even.start(1)._replace(tokens=torch.zeros(len(every), dtype=torch.long))
    stepper, begun = NoRepeatNgram(size, window).wrap(even, start, Limits(9, (4,)), None)
    read, state = begun.tokens, begun.state
    for step in range(7):
        log_probs, state = stepper.step(read, state, begun.context)
        for row, tokens in enumerate(every.tolist()):
            past = tokens[:step]
            recent = ngrams(past[-window:], size)
            banned = {i for i in range(5) if [*past, i][-size:] in recent and len(past) >= size}
            assert {*(log_probs[row] == float("-inf")).nonzero().flatten().tolist()} == banned
        read = every[:, min(step, 5)]


def test_a_window_has_room_for_an_ngram():
    with pytest.raises(ValueError, match="`window` must be at least `size`, which is 3, but is 2"):
        NoRepeatNgram(3, 2)


# The penalties `presence_penalty` and `frequency_penalty`.
@pytest.mark.parametrize("window", [None, 2, 4, 50])
@pytest.mark.parametrize("penalty", [0.6, 2.0, -0.5, -2.0])
def test_what_came_before_costs_the_penalty_once_or_each_time(deep, penalty, window):
    paths = [[1, 3, 1, 1], [0, 0, 0, 2], [4, 3, 2, 4], [1, 0, 3, 4]]
    for kind, count in ((PresencePenalty, bool), (FrequencyPenalty, int)):
        start = deep.start(4)
        stepper, begun = kind(penalty, window).wrap(deep, start, Limits(8, (2,)), None)
        state, plain_state, read = begun.state, start.state, start.tokens
        for step in range(5):
            found, state = stepper.step(read, state, begun.context)
            wanted, plain_state = deep.step(read, plain_state, start.context)
            for row, path in enumerate(paths):
                past = path[:step] if window is None else path[:step][-window:]
                times = torch.tensor([float(count(past.count(token))) for token in range(5)])
                wanted[row] -= penalty * times
                wanted[row] -= max(0.0, float(wanted[row].exp().sum().log()) if past else 0.0)
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
            assert (found <= 1e-6).all()
            read = torch.tensor([path[min(step, 3)] for path in paths])


# The constraint `repetition_penalty`.
@pytest.mark.parametrize("window", [None, 1, 2, 9])
@pytest.mark.parametrize("penalty", [0.5, 1.3, 4.0])
def test_what_came_before_is_multiplied(deep, penalty, window):
    """Where nothing came before, not even the prompt is a repetition."""
    start = deep.start(3)
    stepper, begun = RepetitionPenalty(penalty, window).wrap(deep, start, Limits(5, (2,)), None)
    state, plain_state, read = begun.state, start.state, start.tokens
    paths = [[1, 3, 1], [0, 0, 0], [4, 3, 2]]
    for step in range(4):
        found, state = stepper.step(read, state, begun.context)
        wanted, plain_state = deep.step(read, plain_state, start.context)
        for row, path in enumerate(paths):
            past = path[:step] if window is None else path[:step][-window:]
            wanted[row, list({*past})] *= penalty
        torch.testing.assert_close(found, wanted)
        read = torch.tensor([path[min(step, 2)] for path in paths])
