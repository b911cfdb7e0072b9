"""The past of paths, and the token that comes back where none is possible."""

import pytest
import torch

from seqgen.decoders import Limits, Past
from seqgen.decoders.past import keep_one, only

INF = float("inf")


@pytest.fixture
def past(table):
    """Behind the tokens 0 and 1, the sequences 3 4 0 and 1 2 3 have been read."""
    start = table.start(2)
    grown = Past.of(start, Limits([5, 4]))
    for tokens in (start.tokens, torch.tensor([3, 1]), torch.tensor([4, 2]), torch.tensor([0, 3])):
        grown = grown.reading(tokens)
    return grown


def test_it_has_what_was_generated(past):
    assert past.generated.tolist() == [[3, 4, 0, -1], [1, 2, 3, -1]]
    assert past.lengths.tolist() == [3, 3]


def test_the_last_ones(past):
    assert past.last(0).shape == (2, 0)
    assert past.last(2).tolist() == [[4, 0], [2, 3]]
    assert past.last(5).tolist() == [[-1, -1, 3, 4, 0], [-1, -1, 1, 2, 3]]


def test_rows_of_other_lengths_may_stand_beside(past, table):
    fresh = Past.of(table.start(1), Limits(5)).reading(torch.tensor([0]))
    both = Past(*(torch.cat(pair) for pair in zip(past, fresh, strict=True)))
    both = both.reading(torch.tensor([1, 4, 2]))
    assert both.generated.tolist() == [[3, 4, 0, 1], [1, 2, 3, 4], [2, -1, -1, -1]]
    assert both.last(2).tolist() == [[0, 1], [3, 4], [-1, 2]]


def test_reading_on_without_room_does_no_harm(past):
    for _ in range(5):
        past = past.reading(torch.tensor([1, 1]))
    assert past.generated[:, :3].tolist() == [[3, 4, 0], [1, 2, 3]]


def test_where_all_is_lost_the_best_end_comes_back_or_the_best():
    before = torch.tensor([[-1.0, -2, -3, -4], [-1, -2, -INF, -INF], [-INF] * 4, [-4, -3, -2, -1]])
    changed = torch.full((4, 4), -INF)
    changed[3, 0] = -9.0
    found = keep_one(changed, before, (3, 2))
    assert found.tolist() == [
        [-INF, -INF, -3, -INF], [-1, -INF, -INF, -INF], [-INF] * 4, [-9, -INF, -INF, -INF],
    ]  # fmt: skip
    assert keep_one(changed, before, ())[0].tolist() == [-1, -INF, -INF, -INF]
    assert keep_one(before, before, ()) is not changed


def test_only_the_allowed():
    scores = torch.zeros(3, 3)
    assert only(scores, [[0, 2], None, []]).tolist() == [[0, -INF, 0], [0, 0, 0], [-INF] * 3]
