"""The attention `none`."""

import torch

from seqgen.attentions import NoAttention


def test_what_is_read_is_the_query(scene):
    read, weights = scene.read(NoAttention(4))
    assert read is scene.queries
    assert torch.equal(weights, torch.zeros(4, 2, 5))


def test_an_encoder_without_a_memory_is_all_right():
    attention = NoAttention(4)
    memory, mask = torch.zeros(3, 1, 0), torch.ones(3, 1, dtype=torch.bool)
    _, weights = attention(torch.zeros(3, 2, 4), attention.keys(memory), memory, mask)
    assert weights.shape == (3, 2, 1)
