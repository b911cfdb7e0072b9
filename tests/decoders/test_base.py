"""The laws of decoders, for every registered one, and the limits of a search."""

import pytest
import torch

from seqgen.decoders import Decoder, Forbid, Limits, MinimumLength, Start, decoders, watched
from seqgen.errors import DecodeError

VOCAB, BATCH = 5, 12


@pytest.fixture(params=decoders.names())
def decoder(request, small):
    return decoders.build(small(decoders, request.param), seed=3, vocab_size=VOCAB)


def all_of(found):
    return [(i, hypothesis) for i, each in enumerate(found) for hypothesis in each]


def test_is_a_decoder(decoder):
    assert isinstance(decoder, Decoder)


@pytest.mark.parametrize("ends", [(), (2,), (2, 4), (0, 1, 2, 3, 4), (0,)])
@pytest.mark.parametrize("max_length", [0, 1, 2, 7])
def test_a_sequence_ends_with_its_first_end_token_or_at_the_limit(decoder, deep, ends, max_length):
    found = decoder.decode(deep, deep.start(BATCH), Limits(max_length, ends))
    assert len(found) == BATCH
    assert all(found)
    for _, each in all_of(found):
        assert len(each.tokens) == len(each.log_probs) <= max_length
        assert not set(each.tokens[:-1]) & set(ends)
        assert each.finished == bool(set(each.tokens[-1:]) & set(ends))
        assert each.finished or len(each.tokens) == max_length


def test_the_score_is_what_the_stepper_gives_to_the_sequence_read_alone(decoder, deep):
    start = deep.start(BATCH)
    for source, each in all_of(decoder.decode(deep, start, Limits(7, (2, 4)))):
        wanted = deep.rescore(start, source, each.tokens)
        assert each.log_probs == pytest.approx(wanted, abs=1e-5)
        assert each.score == pytest.approx(sum(each.log_probs), abs=1e-9)
        assert all(map(int.__instancecheck__, each.tokens))


def test_the_best_comes_first(decoder, deep):
    for each in decoder.decode(deep, deep.start(BATCH), Limits(7, (2,))):
        ranks = [one.score if one.rank is None else one.rank for one in each]
        assert ranks == sorted(ranks, reverse=True)


def test_no_sequence_comes_twice(decoder, deep):
    for each in decoder.decode(deep, deep.start(BATCH), Limits(7, (2, 4))):
        assert len({one.tokens for one in each}) == len(each)


def test_no_length_is_nothing_at_all(decoder, deep):
    for _, each in all_of(decoder.decode(deep, deep.start(BATCH), Limits(0, (2,)))):
        assert each[:4] == ((), 0.0, False, ())
    assert deep.seen == []


def test_each_source_may_have_its_own_length(decoder, deep):
    lengths = [0, 3, 1, 0, 8, 2, 5, 5, 1, 0, 4, 7]
    start = deep.start(BATCH, torch.arange(BATCH))
    found = decoder.decode(deep, start, Limits(lengths))
    assert [len(each[0].tokens) for each in found] == lengths
    for length in set(lengths):
        other = decoder.decode(deep, start, Limits(length))
        same = [i for i in range(BATCH) if lengths[i] == length]
        assert [found[i] for i in same] == [other[i] for i in same]


def test_what_never_ends_costs_no_more_than_the_limit(decoder, table):
    endless = Forbid(table, [2])
    found = decoder.decode(endless, table.start(BATCH), Limits(50, (2,)))
    assert len(table.seen) <= 50
    assert not any(each.finished for _, each in all_of(found))


def test_forbidden_tokens_never_come(decoder, deep):
    found = decoder.decode(Forbid(deep, [0, 3]), deep.start(BATCH), Limits(9, (2,)))
    assert not {token for _, each in all_of(found) for token in each.tokens} & {0, 3}


def test_a_sequence_depends_on_its_source_and_its_number_alone(decoder, deep):
    """Not on the size of the batch, its order or the neighbours; exactly."""
    numbers = torch.tensor([5, 0, 2**40, 7, 1, 2, 99, 3, 2**32, 6, 4, 8])
    whole = deep.start(BATCH, numbers)
    wanted = decoder.decode(deep, whole, Limits(9, (2,)))
    for rows in ([4], [4, 4, 4], [0, 1, 2], list(range(BATCH))[::-1], [11, 3, 7, 0, 5]):
        here = torch.tensor(rows)
        part = Start(*(each[here] for each in whole))
        assert decoder.decode(deep, part, Limits(9, (2,))) == [wanted[row] for row in rows]


def test_a_nested_state_moves_as_a_whole(decoder, deep):
    class Nested:
        def step(self, tokens, state, context):
            history, (copy, nothing) = state
            assert torch.equal(history, copy[:, 0])
            log_probs, history = deep.step(tokens, history, context[0])
            return log_probs, (history, (history.unsqueeze(1), nothing))

    start, limits = deep.start(BATCH), Limits(6, (2,))
    state = (start.state, (start.state.unsqueeze(1), None))
    nested = Start(start.tokens, state, (start.context, None))
    assert decoder.decode(Nested(), nested, limits) == decoder.decode(deep, start, limits)


def test_decoding_twice_is_the_same_twice(decoder, deep):
    found = [decoder.decode(deep, deep.start(BATCH), Limits(9, (2,))) for _ in range(2)]
    assert found[0] == found[1]


def test_no_sources_no_sequences(decoder, deep):
    assert decoder.decode(deep, deep.start(0), Limits(5, (2,))) == []


@pytest.mark.parametrize("fault", [float("nan"), float("inf")])
@pytest.mark.parametrize("token", [0, 2, 4])
def test_nan_and_infinite_scores_are_refused(decoder, table, fault, token):
    table.log_probs[3, token] = fault
    with pytest.raises(DecodeError, match=r"for row 3 at step 1 .*; no token can be chosen"):
        decoder.decode(table, table.start(BATCH), Limits(5, (2,)))


def test_scores_without_any_possible_token_are_refused(decoder, table):
    table.log_probs[3] = float("-inf")
    with pytest.raises(DecodeError, match="row 3 at step 1 have -inf as the best score"):
        decoder.decode(table, table.start(BATCH), Limits(5, (2,)))
    assert decoder.decode(table, table.start(3), Limits(0, (2,)))


def test_a_watched_decoder_has_one_constraint_more_and_leaves_the_other(decoder):
    own, watching = MinimumLength(1), MinimumLength(2)
    decoder.constraints = (own,)
    copied = watched(decoder, watching)
    assert copied.constraints == (own, watching)
    assert decoder.constraints == (own,)
    assert type(copied) is type(decoder)


class TestLimits:
    def test_one_length_is_for_all(self, table):
        assert Limits(4).lengths(table.start(3)).tolist() == [4, 4, 4]

    def test_or_one_for_each(self, table):
        assert Limits((1, 0, 7)).lengths(table.start(3)).tolist() == [1, 0, 7]

    @pytest.mark.parametrize("lengths", [[], [1, 2], [1, 2, 3, 4]])
    def test_another_number_of_lengths_is_refused(self, table, lengths):
        message = f"`max_length` must have 3 numbers, but has {len(lengths)}"
        with pytest.raises(ValueError, match=message):
            Limits(lengths).lengths(table.start(3))
