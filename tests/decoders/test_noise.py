"""The random numbers of decoders: a fixed function of their address, and as good as random."""

import math

import pytest
import torch

from seqgen.decoders.noise import MOST_NUMBERS, StepNoise, child_keys, uniform, uniform_each

from .conftest import chi_square_limit

WORD = (1 << 64) - 1
EXTREMES = [0, 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1]


def split_mix(key, word):
    """SplitMix64 as its paper has it, on integers without a sign."""
    mixed = ((key ^ word) + 0x9E3779B97F4A7C15) & WORD
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & WORD
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & WORD
    return mixed ^ mixed >> 31


def expected(seed, number, step):
    key = split_mix(split_mix(split_mix(0, seed), number), step)
    return ((key >> 24) + 0.5) / 2**40


def chi_square(counts):
    wanted = counts.sum() / len(counts)
    return float(((counts - wanted) ** 2 / wanted).sum())


def test_never_drifts():
    """These are stored in people's results: a change of any is a change of all their texts."""
    numbers = torch.tensor([0, 1, 2**32])
    assert uniform(1, numbers, 0).tolist() == [
        0.6935121390101813,
        0.3416313106667985,
        0.5073603737068879,
    ]
    assert uniform(2**63 - 1, torch.tensor([12345]), 299).tolist() == [0.2465435441822592]


def test_is_split_mix():
    numbers = torch.tensor(EXTREMES)
    for seed in EXTREMES:
        for step in (0, 1, 1000, 2**40):
            wanted = [expected(seed, number, step) for number in EXTREMES]
            assert uniform(seed, numbers, step).tolist() == wanted


@pytest.mark.parametrize("rows", [1, 3, MOST_NUMBERS + 1])
def test_ahead_it_is_the_same(rows):
    noise = StepNoise()
    ids, others = torch.arange(rows) + 2**40, torch.arange(rows)
    asked = [(7, ids, step) for step in (*range(70), 5, 3, 1000, 1001)]
    asked += [(8, ids, 1001), (8, others, 1002), (8, others[: rows // 2], 1003), (8, others, 1003)]
    for seed, own, step in asked:
        assert torch.equal(noise(seed, own, step).squeeze(1), uniform(seed, own, step))


def test_a_number_does_not_depend_on_the_other_rows():
    ids = torch.arange(1000)
    together = uniform(7, ids, 3)
    assert together.dtype == torch.float64
    assert torch.equal(together[100:101], uniform(7, ids[100:101], 3))
    assert torch.equal(together.flip(0), uniform(7, ids.flip(0), 3))


STREAMS = {
    "sequences": lambda n: uniform(5, torch.arange(n), 0),
    "samples of one prompt": lambda n: uniform(5, torch.arange(n) << 32, 0),
    "steps": lambda n: torch.cat([uniform(5, torch.tensor([3]), step) for step in range(n // 5)]),
    "seeds": lambda n: torch.cat([uniform(seed, torch.tensor([3]), 0) for seed in range(n // 5)]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_uniform_and_its_neighbours_are_independent(name):
    stream = STREAMS[name](20_000)
    assert 0 < float(stream.min()) < 0.002
    assert 0.998 < float(stream.max()) < 1
    assert chi_square(torch.histc(stream, 100, 0, 1)) < chi_square_limit(99)
    pairs = (stream[:-1] * 10).long() * 10 + (stream[1:] * 10).long()
    counts = torch.bincount(pairs, minlength=100).double()
    assert chi_square(counts) < chi_square_limit(99)
    for gap in (1, 2, 7, 64):
        correlation = torch.corrcoef(torch.stack([stream[:-gap], stream[gap:]]))[0, 1]
        assert abs(float(correlation)) < 4 / math.sqrt(len(stream))


@pytest.mark.parametrize("other", [(6, 0, 0), (5, 0, 1), (5, 1 << 32, 0), (4, 1, 0), (5, 1, 1)])
def test_streams_are_independent(other):
    seed, offset, step = other
    numbers = torch.arange(20_000)
    one, two = uniform(5, numbers, 0), uniform(seed, numbers + offset, step)
    correlation = torch.corrcoef(torch.stack([one, two]))[0, 1]
    assert abs(float(correlation)) < 4 / math.sqrt(len(numbers))
    assert not (one == two).any()


class TestKeys:
    def test_a_row_draws_for_each_token_what_its_key_says(self):
        keys = torch.tensor([3, -(2**60), 7])
        whole = uniform_each(1, keys, 6)
        assert whole.shape == (3, 6)
        assert torch.equal(uniform_each(1, keys[[2, 0]], 6), whole[[2, 0]])
        assert torch.equal(uniform_each(1, keys, 4), whole[:, :4])
        assert whole.unique().numel() == 18
        assert not torch.equal(uniform_each(2, keys, 6), whole)

    def test_draws_are_uniform(self):
        drawn = uniform_each(5, torch.arange(1000), 100).flatten()
        assert chi_square(torch.histc(drawn, 20, 0, 1)) < chi_square_limit(19)

    def test_different_sequences_have_different_keys(self):
        vocab, keys = 12, torch.zeros(1, dtype=torch.long)
        for _ in range(4):
            tokens = torch.arange(vocab).repeat(len(keys))
            keys = child_keys(keys.repeat_interleave(vocab), tokens)
        assert keys.unique().numel() == vocab**4
