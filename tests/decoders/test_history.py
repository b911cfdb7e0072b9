"""The past of paths."""

import itertools

import pytest
import torch

from seqgen.decoders import (
    Forbid,
    ForcedPrefix,
    Limits,
    MinimumLength,
    NoRepeatNgram,
    Past,
    RepetitionPenalty,
    constrain,
    decoders,
)
from seqgen.decoders.history import check_known
from seqgen.state import concatenate


@pytest.fixture
def past(table):
    """Behind the tokens 0 and 1, the sequences 3 4 0 and 1 2 3 have been read."""
    start = table.start(2)
    grown = Past.of(start, Limits([5, 4]))
    for tokens in (start.tokens, torch.tensor([3, 1]), torch.tensor([4, 2]), torch.tensor([0, 3])):
        grown = grown.reading(tokens)
    return grown


def test_it_has_what_was_generated(past):
    assert past.generated[:, :4].tolist() == [[3, 4, 0, -1], [1, 2, 3, -1]]
    assert past.lengths.tolist() == [3, 3]


def test_the_last_ones(past):
    assert past.last(0).shape == (2, 0)
    assert past.last(2).tolist() == [[4, 0], [2, 3]]
    assert past.last(5).tolist() == [[-1, -1, 3, 4, 0], [-1, -1, 1, 2, 3]]


def test_rows_of_other_lengths_may_stand_beside(past, table):
    fresh = Past.of(table.start(1), Limits(5)).reading(torch.tensor([0]))
    for _ in range(20):
        past = past.reading(torch.tensor([1, 4]))
    both = concatenate(fresh, past)
    both = both.reading(torch.tensor([1, 4, 2]))
    assert both.lengths.tolist() == [1, 24, 24]
    assert both.generated[:, :24].tolist()[0] == [1] + [-1] * 23
    assert both.generated[:, :24].tolist()[1] == [3, 4, 0] + [1] * 20 + [4]
    assert both.last(2).tolist() == [[-1, 1], [1, 4], [4, 2]]


def test_memory_follows_what_was_read_and_not_the_limit(past, table):
    grown = Past.of(table.start(2), Limits(10**12))
    for _ in range(100):
        grown = grown.reading(torch.tensor([1, 4]))
    assert grown.generated[:, :99].tolist() == [[1] * 99, [4] * 99]
    assert grown.generated.shape[1] < 200
    assert past.left.tolist() == [2, 1]
    assert grown.left.tolist() == [10**12 - 99] * 2


# The check of tokens that options name.


def test_tokens_of_the_vocabulary_are_fine():
    assert check_known([0, 1, 2, 4, 5, 9], 10, "`tokens`") is None
    assert check_known([], 10, "`tokens`") is None


@pytest.mark.parametrize("token", [-1, 10, 2**40])
def test_others_are_not(token):
    with pytest.raises(ValueError, match=f"`tokens` must have tokens from 0 to 9, but has {token}"):
        check_known([4, token], 10, "`tokens`")


def test_nor_is_the_unknown_one():
    with pytest.raises(ValueError, match="`text` 'Z' must be known to the tokenizer"):
        check_known([4, 3], 10, "`text` 'Z'")


# The constraint `forced_prefix`.


BATCH = 12


def digits(text):
    return list(map(int, text))


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
@pytest.mark.parametrize("prefix", [{"text": "140"}, {"tokens": (1, 4, 0)}])
def test_every_sequence_begins_so_and_is_free_behind(deep, search, prefix):
    limits = Limits(9, (2,))
    decoder = decoders.build(search, seed=3, vocab_size=5)
    forced = ForcedPrefix(5, digits, **prefix)
    start = deep.start(BATCH)
    found = decoder.decode(*constrain([forced], deep, start, limits), limits)
    assert {each.tokens[:3] for [each] in found} == {(1, 4, 0)}
    assert len({each.tokens for [each] in found}) > 3
    for source, [each] in enumerate(found):
        assert each.log_probs == pytest.approx(deep.rescore(start, source, each.tokens), abs=1e-5)


def test_it_may_be_longer_than_there_is_room(deep):
    limits = Limits([1, 0, 2], (2,))
    constrained = constrain([ForcedPrefix(5, digits, "1401")], deep, deep.start(3), limits)
    found = decoders.build("greedy").decode(*constrained, limits)
    assert [each.tokens for [each] in found] == [(), (), (1,)]
    assert [each.satisfied for [each] in found] == [False, True, False]


def test_what_the_stepper_cannot_say_is_not_forced(deep):
    limits = Limits(4, (2,))
    constrained = constrain(
        [ForcedPrefix(5, digits, "14")], Forbid(deep, [4]), deep.start(3), limits
    )
    found = decoders.build("greedy").decode(*constrained, limits)
    assert [each.tokens for [each] in found] == [(1,)] * 3
    assert not any(each.finished or each.satisfied for [each] in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "1", "tokens": (1,)}, "give one of them"),
        ({"tokens": (1, 5)}, "`tokens` must have tokens from 0 to 4, but has 5"),
        ({"tokens": (-1,)}, "`tokens` must have tokens from 0 to 4, but has -1"),
        ({"text": "13"}, "`text` '13' must be known to the tokenizer"),
    ],
)
def test_what_no_model_can_say_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ForcedPrefix(5, digits, **options)


# The constraint `minimum_length`.


BATCH_MINIMUM_LENGTH = 12


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
@pytest.mark.parametrize("length", [0, 1, 4])
def test_no_sequence_ends_before(deep, search, length):
    limits = Limits(9, (2, 4))
    decoder = decoders.build(search, seed=3, vocab_size=5)
    found = decoder.decode(
        *constrain([MinimumLength(length)], deep, deep.start(BATCH_MINIMUM_LENGTH), limits), limits
    )
    lengths = [len(each.tokens) - each.finished for [each] in found]
    assert min(lengths) == length
    assert any(each.finished for [each] in found)


def test_the_other_scores_stay(deep):
    start = deep.start(BATCH_MINIMUM_LENGTH)
    stepper, begun = MinimumLength(1).wrap(deep, start, Limits(5, (2,)), None)
    plain, _ = deep.step(*start[:3])
    found, _ = stepper.step(*begun[:3])
    others = [0, 1, 3, 4]
    assert torch.equal(found[:, others], plain[:, others])
    assert (found[:, 2] == float("-inf")).all()


class Batch:
    """What a start is made of, as far as this constraint looks."""

    lengths = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
def test_no_sequence_ends_before_its_share_of_the_source(deep, search):
    limits = Limits(30, (2, 4))
    decoder = decoders.build(search, seed=3, vocab_size=5)
    start = deep.start(BATCH_MINIMUM_LENGTH)
    found = decoder.decode(
        *constrain([MinimumLength(2, ratio=1.5)], deep, start, limits, Batch()), limits
    )
    lengths = [len(each.tokens) - each.finished for [each] in found]
    least = [2, 2, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16]
    assert all(length >= low for length, low in zip(lengths, least, strict=True))
    assert sum(length == low for length, low in zip(lengths, least, strict=True)) >= 3


@pytest.mark.parametrize("option", ["length", "ratio"])
def test_below_zero_is_refused(option):
    with pytest.raises(ValueError, match=f"`{option}` must be at least 0, but is -1"):
        MinimumLength(**{option: -1})


# The constraint `no_repeat_ngram`.


BATCH_NO_REPEAT_NGRAM = 12


def ngrams(tokens, size):
    return [tokens[i : i + size] for i in range(len(tokens) - size + 1)]


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
@pytest.mark.parametrize("size", [2, 3])
def test_no_ngram_comes_twice(deep, search, size):
    limits = Limits(10)
    decoder = decoders.build(search, seed=3, vocab_size=5)
    found = decoder.decode(
        *constrain([NoRepeatNgram(size)], deep, deep.start(BATCH_NO_REPEAT_NGRAM), limits), limits
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
    found = greedy.decode(
        *constrain([NoRepeatNgram(1)], deep, deep.start(BATCH_NO_REPEAT_NGRAM), limits), limits
    )
    assert all(each.finished and each.satisfied for [each] in found)
    assert all(len(set(each.tokens)) == len(each.tokens) for [each] in found)
    endless = Limits(9)
    found = greedy.decode(
        *constrain([NoRepeatNgram(1)], deep, deep.start(BATCH_NO_REPEAT_NGRAM), endless), endless
    )
    assert all(sorted(each.tokens) == [0, 1, 2, 3, 4] for [each] in found)
    assert not any(each.finished or each.satisfied for [each] in found)


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="`size` must be at least 1, but is 0"):
        NoRepeatNgram(0)


# The constraint `repetition_penalty`.


@pytest.mark.parametrize("penalty", [0.5, 1.3, 4.0])
def test_what_came_before_is_multiplied(deep, penalty):
    start = deep.start(3)
    stepper, begun = RepetitionPenalty(penalty).wrap(deep, start, Limits(5, (2,)), None)
    state, plain_state, read = begun.state, start.state, start.tokens
    paths = [[1, 3, 1], [0, 0, 0], [4, 3, 2]]
    for step in range(4):
        found, state = stepper.step(read, state, begun.context)
        wanted, plain_state = deep.step(read, plain_state, start.context)
        for row, path in enumerate(paths):
            wanted[row, list(set(path[:step]))] *= penalty
        torch.testing.assert_close(found, wanted)
        read = torch.tensor([path[min(step, 2)] for path in paths])


def test_the_prompt_is_no_repetition(deep):
    start = deep.start(3)
    stepper, begun = RepetitionPenalty(9.0).wrap(deep, start, Limits(5), None)
    assert torch.equal(stepper.step(*begun[:3])[0], deep.step(*start[:3])[0])


@pytest.mark.parametrize("penalty", [0, -1.0, float("inf"), float("nan")])
def test_a_penalty_that_is_none_is_refused(penalty):
    with pytest.raises(ValueError, match="`penalty` must be above 0 and finite, but is"):
        RepetitionPenalty(penalty)
