"""The head `linear`: an affine map with weights of its own."""

import pytest
import torch

from seqgen.heads import LinearHead


@pytest.mark.parametrize("bias", [True, False])
def test_is_an_affine_map_and_a_softmax(bias):
    head, hidden = LinearHead(3, 5, bias=bias), torch.randn(4, 3)
    logits = hidden @ head.project.weight.T
    if bias:
        logits = logits + head.project.bias
    assert (head.project.bias is not None) == bias
    torch.testing.assert_close(head.log_probs(hidden), logits.log_softmax(-1))
