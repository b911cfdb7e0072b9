"""The attention `additive`."""

import torch

from seqgen.attentions import AdditiveAttention


def test_the_layer_is_as_wide_as_the_cell_unless_it_is_said():
    for size, wanted in ((None, 3), (7, 7)):
        attention = AdditiveAttention(3, 5, size)
        assert attention.keys(torch.zeros(2, 4, 5)).shape == (2, 4, wanted)
        assert attention.output_size == 3
        mask = torch.ones(2, 4, dtype=torch.bool)
        memory = torch.randn(2, 4, 5)
        read, weights = attention(torch.randn(2, 6, 3), attention.keys(memory), memory, mask)
        assert read.shape == (2, 6, 3)
        assert weights.shape == (2, 6, 4)
