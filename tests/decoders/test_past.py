"""The past of paths."""

import pytest
import torch

from seqgen.decoders import Limits, Past
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
