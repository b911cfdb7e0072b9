"""What all kinds of data hand over: batches."""

import pytest
import torch

from seqgen.data import Data, TokenBatch, data


def test_every_kind_reads_nothing_before_it_is_asked(small):
    """Recipes are checked by building; a text that is missing must not get in the way."""
    for name in data.names():
        assert isinstance(data.build(small(data, name), seed=1), Data)


@pytest.mark.parametrize(("lengths", "tokens"), [(None, 12), ([4, 0, 1], 5), ([0, 0, 0], 0)])
def test_a_batch_counts_its_real_targets(lengths, tokens):
    inputs = torch.zeros(3, 4, dtype=torch.long)
    given = None if lengths is None else torch.tensor(lengths)
    assert TokenBatch(inputs, inputs, given).tokens == tokens


def test_a_batch_moves_as_a_whole():
    inputs = torch.arange(6).view(2, 3)
    for lengths in (None, torch.tensor([1, 2])):
        moved = TokenBatch(inputs, inputs + 1, lengths, continues=True).to("meta")
        assert moved.continues
        assert {moved.inputs.device.type, moved.targets.device.type} == {"meta"}
        assert (moved.lengths is None) == (lengths is None)
        assert lengths is None or moved.lengths.device.type == "meta"
