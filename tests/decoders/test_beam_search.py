"""BeamSearch: what it costs, and who leaves when."""

import pytest
import torch

from seqgen.decoders import Beam, Limits
from seqgen.decoders.beam_search import BeamSearch
from seqgen.decoders.length_normalisation import LengthNormalisation
from seqgen.decoders.paths import best


@pytest.fixture
def counting(tables):
    """A table in which i is almost surely followed by i + 1, modulo 5."""
    return tables(20 * torch.eye(5).roll(1, 1))


@pytest.fixture
def asked():
    """The sizes of `totals` and the counts of a search of two groups of three."""
    return []


def test_it_stops_when_no_path_can_win_any_more(counting):
    Beam(2).decode(counting, counting.start(1), Limits(50, (4,)))
    assert counting.seen == [1, 2, 2, 2]


def test_but_goes_on_while_a_longer_one_could(counting):
    """By the mean, a path of -20 in 4 tokens may come to -0.4 in 50, but then it ends at 8."""
    [found] = Beam(2, 2, "power").decode(counting, counting.start(1), Limits(50, (4,)))
    assert len(counting.seen) > 8
    assert [each.tokens for each in found] == [(1, 2, 3, 4), (1, 2, 3, 0, 1, 2, 3, 4)]


def test_sources_leave_when_they_are_done(counting):
    found = Beam(2).decode(counting, counting.start(5), Limits([50, 50, 2, 50, 0], (4,)))
    assert [each.tokens for [each] in found] == [(1, 2, 3, 4), (2, 3, 4), (3, 4), (4,), ()]
    assert counting.seen == [4, 6, 4, 2]


def test_no_more_rows_than_there_are_paths(tables):
    even = tables(torch.zeros(5, 5))
    Beam(100, 100).decode(even, even.start(2), Limits(5, (0,)))
    assert even.seen == [2 * min(4**i, 100) for i in range(5)]


@pytest.mark.parametrize(("ends", "count"), [((), 3), ((1,), 6), ((1, 3, 4), 12), ((1, 1), 6)])
def test_each_group_sees_enough_to_go_on_whatever_ends(deep, asked, ends, count):
    def pick(totals, vocab, count):
        asked.append((tuple(totals.shape), vocab, count))
        return best(totals, count)

    BeamSearch(6, 6, LengthNormalisation(), pick, groups=2).run(
        deep, deep.start(3), Limits(2, ends)
    )
    assert asked[0] == ((6, 5), 5, min(count, 5))
    places = 5 * min(3, 5 - len(set(ends)))
    assert asked[1] == ((6, places), 5, min(count, places))


@pytest.mark.parametrize("groups", [0, 4, 12])
def test_groups_of_unequal_size_are_refused(groups):
    message = f"`groups` must divide `beam_size`, which is 6, but is {groups}"
    with pytest.raises(ValueError, match=message):
        BeamSearch(6, 1, LengthNormalisation(), best, groups)
