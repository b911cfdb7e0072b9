"""Decoders of one path: walking, and rows that leave as they end."""

import pytest
import torch

from seqgen.decoders import Limits, PathDecoder, decoders
from seqgen.errors import DecodeError

BATCH = 12


PATHS = [name for name in decoders.names() if issubclass(decoders.entry(name).factory, PathDecoder)]


@pytest.fixture(params=PATHS)
def decoder(request, small):
    return decoders.build(small(decoders, request.param), seed=3, vocab_size=5)


class Noting(PathDecoder):
    """Chooses the token behind the last one, and notes what it was asked."""

    def __init__(self):
        self.asked = []

    def choose(self, log_probs, numbers, moment):
        self.asked.append((numbers.tolist(), moment))
        return log_probs.argmax(-1)


@pytest.fixture
def counting(tables):
    """A table in which i is always followed by i + 1, modulo 5."""
    return tables(20 * torch.eye(5).roll(1, 1))


def test_walk_yields_what_decode_returns(decoder, deep):
    start, limits = deep.start(BATCH), Limits([9, 0, 1, 9, 9, 9, 3, 9, 9, 9, 2, 9], (2,))
    wanted = decoder.decode(deep, start, limits)
    tokens, log_probs, ended = ([[] for _ in range(BATCH)] for _ in range(3))
    for extension in decoder.walk(deep, start, limits):
        for source, *rest in zip(*(each.tolist() for each in extension), strict=True):
            for column, value in zip((tokens, log_probs, ended), rest, strict=True):
                column[source].append(value)
    for i, [each] in enumerate(wanted):
        assert (tuple(tokens[i]), tuple(log_probs[i])) == (each.tokens, each.log_probs)
        assert not any(ended[i][:-1])
        assert ended[i][-1:] == ([each.finished] if each.tokens else [])


def test_there_is_one_path_for_each_source(decoder, deep):
    assert [len(each) for each in decoder.decode(deep, deep.start(BATCH), Limits(3))] == [1] * BATCH


def test_rows_leave_as_they_end(counting):
    decoder = Noting()
    found = decoder.decode(counting, counting.start(5), Limits([9, 9, 2, 9, 0], (4,)))
    assert [each.tokens for [each] in found] == [(1, 2, 3, 4), (2, 3, 4), (3, 4), (4,), ()]
    assert counting.seen == [4, 3, 2, 1]
    assert decoder.asked == [([0, 1, 2, 3], 0), ([0, 1, 2], 1), ([0, 1], 2), ([0], 3)]


def test_rows_leave_at_their_own_limit(counting):
    found = Noting().decode(counting, counting.start(4), Limits([2, 5, 0, 1]))
    assert [len(each.tokens) for [each] in found] == [2, 5, 0, 1]
    assert counting.seen == [3, 2, 1, 1, 1]
    assert not any(each.finished for [each] in found)


def test_an_end_token_at_the_limit_still_ends(counting):
    [[each]] = Noting().decode(counting, counting.start(1), Limits(4, (4,)))
    assert each.tokens == (1, 2, 3, 4)
    assert each.finished


def test_numbers_go_with_their_rows(counting):
    decoder = Noting()
    numbers = torch.tensor([40, 30, 20])
    decoder.decode(counting, counting.start(3, numbers), Limits(9, (3,)))
    assert decoder.asked == [([40, 30, 20], 0), ([40, 30], 1), ([40], 2)]


def test_a_walk_steps_no_further_than_asked(counting):
    walk = Noting().walk(counting, counting.start(2), Limits(100))
    assert counting.seen == []
    next(walk)
    next(walk)
    assert counting.seen == [2, 2]


@pytest.mark.parametrize("fault", [float("nan"), float("inf")])
def test_a_faulty_score_is_named_by_source_and_step_and_nothing_is_chosen(counting, fault):
    counting.log_probs[4, 2] = fault
    decoder = Noting()
    walk = decoder.walk(counting, counting.start(5), Limits([9, 0, 1, 9, 0]))
    extension = next(walk)
    assert extension.sources.tolist() == [0, 2, 3]
    assert extension.tokens.tolist() == [1, 3, 4]
    with pytest.raises(DecodeError, match="row 3 at step 2"):  # the second of those still there
        next(walk)
    assert [moment for _, moment in decoder.asked] == [0]


def test_a_fault_in_a_row_that_has_ended_does_not_matter(counting):
    counting.log_probs[4] = float("nan")
    found = Noting().decode(counting, counting.start(3), Limits(9, (4,)))
    assert all(each.finished for [each] in found)
