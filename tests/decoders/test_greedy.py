"""The decoder `greedy`."""

import pytest
import torch

from seqgen.decoders import Greedy, Limits


def test_takes_the_most_probable_token_at_each_step(table):
    [[found]] = Greedy().decode(table, table.start(1), Limits(6))
    last, wanted = 0, []
    for _ in range(6):
        last = max(range(5), key=lambda token, last=last: float(table.log_probs[last, token]))
        wanted.append(last)
    assert found.tokens == tuple(wanted)


@pytest.mark.parametrize("vocab", [2, 7, 33, 100, 4099])
def test_of_equals_the_lowest_id(vocab):
    for first in (0, 1, vocab // 2, vocab - 1):
        scores = torch.full((3, vocab), -5.0)
        scores[:, first:] = -1.0
        found = Greedy().choose(scores, torch.arange(3), 0)
        assert found.tolist() == [first] * 3
