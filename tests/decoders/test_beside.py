"""Models that read along."""

import torch

from seqgen.decoders import Limits, decoders
from seqgen.decoders.beside import read_along

LIMITS = Limits(7, (2,))


def second(log_probs, others):
    return others[0]


def test_each_reads_with_its_own_start_state_and_context(deep, other):
    batch = torch.tensor([3, 1, 0, 7, 5])
    begun = read_along((deep, deep.start(5)), [other], batch, second)
    for search in ("greedy", "beam"):
        decoder = decoders.build(search, seed=3, vocab_size=5)
        assert decoder.decode(*begun, LIMITS) == decoder.decode(other, other.start(batch), LIMITS)
