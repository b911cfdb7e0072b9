"""Cross-entropy of each target on its own."""

import pytest
import torch

from seqgen.heads import chunks, cross_entropy
from seqgen.heads.cross_entropy import linear_token_losses, token_losses


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


def test_smoothing_spreads_a_share_over_all_tokens():
    logits, targets = torch.randn(5, 6), torch.arange(5)
    nats = -logits.log_softmax(-1)
    wanted = 0.8 * nats[torch.arange(5), targets] + 0.2 * nats.mean(-1)
    torch.testing.assert_close(token_losses(logits, targets, 0.2), wanted)


@pytest.fixture
def many(monkeypatch):
    """As if the logits of three rows were too many, and those of two rows a chunk."""
    monkeypatch.setattr(cross_entropy, "ALL_AT_ONCE", 3 * 6 * 4 - 1)
    monkeypatch.setattr(chunks, "CHUNK", 2 * 6 * 4)


@pytest.fixture
def layer():
    made = torch.nn.Linear(4, 6)
    return made.weight, made.bias


def both(hidden, layer, targets, *how):
    """Losses and gradients of many logits, and of all at once."""
    wanted = token_losses(torch.nn.functional.linear(hidden, *layer), targets, *how)
    for losses in (linear_token_losses(hidden, layer, targets, *how), wanted):
        yield losses, torch.autograd.grad(losses.sum(), layer)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("shape", [(), (2,), (3,), (2, 3), (2, 0), (2, 3, 4)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_many_logits_give_the_same(layer, shape, smoothing):
    hidden, targets = torch.randn(*shape, 4), torch.randint(6, shape)
    found, wanted = both(hidden, layer, targets, smoothing)
    assert found[0].shape == shape
    torch.testing.assert_close(found, wanted)


@pytest.mark.usefixtures("many")
def test_many_logits_in_autocast(layer):
    hidden, targets = torch.randn(50, 4), torch.randint(6, (50,))
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = both(hidden, layer, targets)
    assert found[0].dtype == torch.float32
    assert [each.dtype for each in found[1]] == [torch.float32] * 2
    torch.testing.assert_close(found[0], wanted[0])
    torch.testing.assert_close(found[1], wanted[1], atol=0.1, rtol=0.02)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_many_logits_without_gradients(layer, mode):
    hidden, targets = torch.randn(7, 4), torch.randint(6, (7,))
    wanted = linear_token_losses(hidden, layer, targets)
    for _ in range(2):
        with mode():
            found = linear_token_losses(hidden, layer, targets)
        assert not found.requires_grad
        torch.testing.assert_close(found, wanted.detach())


def test_few_logits_take_the_plain_way(layer, monkeypatch):
    monkeypatch.setattr(cross_entropy, "ChunkedCrossEntropy", None)
    hidden, targets = torch.randn(7, 4), torch.randint(6, (7,))
    assert linear_token_losses(hidden, layer, targets).shape == (7,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.usefixtures("many")
def test_many_logits_on_a_gpu(layer):
    there = [each.detach().cuda().requires_grad_() for each in layer]
    hidden, targets = torch.randn(7, 4).cuda(), torch.randint(6, (7,)).cuda()
    found, wanted = both(hidden, there, targets)
    torch.testing.assert_close(found, wanted)
