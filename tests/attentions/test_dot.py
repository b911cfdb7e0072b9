"""The attention `dot`."""

import pytest
import torch

from seqgen.attentions import DotAttention


def test_weights_by_hand():
    """Scores 0 and ln 3 are shares 1/4 and 3/4."""
    attention = DotAttention(2, 2)
    memory = torch.tensor([[[0.0, 1.0], [torch.tensor(3.0).log(), 0.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    _, weights = attention(torch.tensor([[[1.0, 0.0]]]), attention.keys(memory), memory, mask)
    assert weights.flatten().tolist() == pytest.approx([0.25, 0.75, 0.0])


def test_other_sizes_are_refused():
    message = "a cell as wide as the encoder's memory, but they have 3 and 4 numbers; `general` m"
    with pytest.raises(ValueError, match=message):
        DotAttention(3, 4)


def test_it_has_no_weights_but_those_that_combine():
    assert {name for name, _ in DotAttention(3, 3).named_parameters()} == {
        "combine.weight",
        "combine.bias",
    }
