"""The first weights of cells with gates."""

import torch

from seqgen.cells.gates import input_weights, recurrent_weights


def test_the_forget_gate_alone_begins_open():
    linear = input_weights(input_size=2, hidden_size=3, gates=4, forget=1)
    assert linear.weight.shape == (12, 2)
    assert linear.weight.abs().max() <= 3**-0.5
    assert linear.bias.tolist() == [0] * 3 + [1] * 3 + [0] * 6


def test_recurrent_weights_keep_lengths():
    weights = recurrent_weights(hidden_size=5, gates=3)
    assert weights.shape == (5, 15)
    x = torch.randn(5)
    for gate in weights.detach().chunk(3, 1):
        torch.testing.assert_close((x @ gate).norm(), x.norm())
