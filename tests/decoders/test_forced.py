"""Following given sequences: their tokens, and what the stepper gives to each of them."""

import pytest
import torch

from seqgen.decoders import Limits
from seqgen.decoders.forced import Forced

from .conftest import VOCAB, Table


def test_it_says_what_the_stepper_gives_to_each_token():
    table = Table(torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(1)))
    sequences = {0: (3, 3, 1), 1: (), 2: (4,)}
    start = table.start(3)
    found = Forced(sequences).decode(table, start, Limits([3, 0, 1]))
    for source, tokens in sequences.items():
        [hypothesis] = found[source]
        assert hypothesis.tokens == tokens
        assert hypothesis.log_probs == pytest.approx(table.rescore(start, source, tokens))


def test_sequences_go_by_the_numbers_of_the_starts():
    table = Table(torch.zeros(VOCAB, VOCAB))
    start = table.start(2, numbers=torch.tensor([7, 5]))
    found = Forced({5: (1,), 7: (2,)}).decode(table, start, Limits(1))
    assert [each.tokens for [each] in found] == [(2,), (1,)]
