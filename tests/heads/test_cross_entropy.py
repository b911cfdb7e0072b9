"""Cross-entropy of each target on its own."""

import pytest
import torch

from seqgen.heads.cross_entropy import token_losses


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 0), (0, 3), (2, 3, 4)])
def test_each_target_has_its_nats(shape):
    logits, targets = torch.randn(*shape, 6), torch.randint(6, shape)
    wanted = -logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    found = token_losses(logits, targets)
    assert found.shape == shape
    torch.testing.assert_close(found, wanted)


def test_half_precision_is_computed_in_float32():
    logits = torch.randn(5, 6).bfloat16()
    found = token_losses(logits, torch.arange(5))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, token_losses(logits.float(), torch.arange(5)))


def test_large_logits_do_not_overflow():
    logits = torch.tensor([[1e30, 0.0], [-1e30, 0.0]])
    assert token_losses(logits, torch.tensor([0, 1])).tolist() == [0, 0]
