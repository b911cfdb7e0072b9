"""Answers drawn anew."""

import tracemalloc

import numpy as np
import pytest
from numpy.random import PCG64, Generator

from seqgen.metrics import resampling
from seqgen.metrics.resampling import each_or_not, resampled, with_replacement

ROWS = np.array([[1.0, 1.0], [0.0, 1.0], [2.0, 1.0], [5.0, 1.0]])


def total(sums):
    return sums[..., 0]


def test_with_replacement_as_many_are_drawn_as_there_are():
    counts = with_replacement(Generator(PCG64(0)), 20_000, 3)
    assert (counts.sum(axis=1) == 3).all()
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    wanted = {(1, 1, 1): 6 / 27} | dict.fromkeys([(3, 0, 0), (0, 3, 0), (0, 0, 3)], 1 / 27)
    found = dict(zip(map(tuple, kinds.tolist()), times / 20_000, strict=True))
    assert len(found) == 10
    for kind, share in found.items():
        assert share == pytest.approx(wanted.get(kind, 3 / 27), abs=0.01)


def test_each_or_not_is_a_coin_for_each():
    counts = each_or_not(Generator(PCG64(0)), 16_000, 3)
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    assert kinds.tolist() == [[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    assert times / 16_000 == pytest.approx(np.full(8, 1 / 8), abs=0.01)


def test_sums_are_of_what_is_drawn():
    assert (resampled(ROWS, lambda sums: sums[..., 1], with_replacement, 50, 0) == 4).all()
    swapped = resampled(ROWS, total, each_or_not, 200, 0)
    assert set(swapped) <= set(range(9)) - {4}
    assert {0.0, 8.0} <= set(swapped)


def test_it_is_a_function_of_the_seed():
    one = resampled(ROWS, total, with_replacement, 30, 7)
    assert (one == resampled(ROWS, total, with_replacement, 30, 7)).all()
    assert (one != resampled(ROWS, total, with_replacement, 30, 8)).any()
    assert (one[:10] == resampled(ROWS, total, with_replacement, 10, 7)).all()


@pytest.mark.parametrize("draw", [with_replacement, each_or_not])
def test_how_many_are_there_at_once_does_not_matter(draw, monkeypatch):
    wanted = resampled(ROWS, total, draw, 101, 3)
    for cells in (1, 9, 130):
        monkeypatch.setattr(resampling, "CELLS", cells)
        assert (resampled(ROWS, total, draw, 101, 3) == wanted).all()


def test_memory_is_bounded():
    """All counts at once would be 160 MB."""
    tracemalloc.start()
    resampled(np.ones((20_000, 2)), total, with_replacement, 1000, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


def test_a_value_that_is_no_number_is_a_value_error():
    def undefined(sums):
        return np.where(sums[..., 0] > 0, 1.0, np.nan)

    rows = np.array([[1.0], [0.0]])
    with pytest.raises(ValueError, match=r"`value` must be finite .* but is not in \d+ samples"):
        resampled(rows, undefined, with_replacement, 100, 0)


def test_nothing_to_draw_is_a_value_error():
    with pytest.raises(ValueError, match="`statistics` must have at least 1 answer, but has none"):
        resampled(np.ones((0, 2)), total, with_replacement, 10, 0)
    with pytest.raises(ValueError, match="`samples` must be at least 1, but is 0"):
        resampled(ROWS, total, with_replacement, 0, 0)
