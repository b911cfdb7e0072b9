"""Cross-entropy of each target, all at once and in chunks of rows."""

import pytest
import torch
from torch.nn import functional

from seqgen.heads import losses as heads_losses
from seqgen.heads.losses import (
    ChunkedCrossEntropy,
    linear_token_losses,
    smoothed_losses,
    token_losses,
)

ROWS, INPUT, VOCAB = 7, 3, 5


@pytest.fixture(autouse=True)
def chunks_of_two_rows(monkeypatch):
    monkeypatch.setattr(heads_losses, "CHUNK", 2 * VOCAB * 4)


def parts(rows=ROWS, bias=True, dtype=torch.float64):
    draw = torch.Generator().manual_seed(1)
    hidden, weight = (torch.randn(n, INPUT, generator=draw, dtype=dtype) for n in (rows, VOCAB))
    added = torch.randn(VOCAB, generator=draw, dtype=dtype) if bias else None
    targets = torch.randint(VOCAB, (rows,), generator=draw)
    leaves = [hidden, weight, added]
    for each in leaves:
        if each is not None:
            each.requires_grad_()
    return leaves, targets


def plain(leaves, targets, smoothing):
    logits = functional.linear(*leaves)
    return functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)


def gradients(losses, counts, leaves):
    """Which can be asked for twice."""
    given = [each for each in leaves if each is not None]
    torch.autograd.grad(losses, given, counts, retain_graph=True)
    return torch.autograd.grad(losses, given, counts)


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 7])
@pytest.mark.parametrize(("bias", "smoothing"), [(True, 0.1), (False, 0.3), (True, 0.0)])
def test_equals_the_plain_loss_at_every_boundary(rows, alike, bias, smoothing):
    leaves, targets = parts(rows, bias)
    found = ChunkedCrossEntropy.apply(*leaves, targets, smoothing, alike)
    wanted = plain(leaves, targets, smoothing)
    torch.testing.assert_close(found, wanted)
    counts = torch.full_like(found, 0.25)
    once = gradients(found, counts, leaves)
    torch.testing.assert_close(once, gradients(wanted, counts, leaves))
    quiet = [None if each is None else each.detach() for each in leaves]
    found = ChunkedCrossEntropy.apply(*quiet, targets, smoothing, alike)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    "counts",
    [[1, 1, 1, 1, 1, 1, 1], [2, 2, 0, 2, 0, 0, 2], [0, 0, 0, 0, 0, 0, 0], [1, -2, 3, 4, 5, 6, 7]],
)
def test_rows_may_count_differently(counts):
    """What was summed as if all rows counted alike is put right for those that do not."""
    leaves, targets = parts()
    counts = torch.tensor(counts, dtype=torch.float64)
    found = ChunkedCrossEntropy.apply(*leaves, targets, 0.0, True)
    wanted = gradients(plain(leaves, targets, 0.0), counts, leaves)
    torch.testing.assert_close(gradients(found, counts, leaves), wanted)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_what_is_frozen_gets_no_gradient(frozen):
    leaves, targets = parts()
    leaves[frozen].requires_grad_(False)
    ChunkedCrossEntropy.apply(*leaves, targets, 0.0, True).sum().backward()
    assert [each.grad is None for each in leaves] == [place == frozen for place in range(3)]


def test_a_loss_that_is_no_number_is_seen():
    """NaN in the total must reach the weights: the training loop looks there."""
    leaves, targets = parts()
    losses = ChunkedCrossEntropy.apply(*leaves, targets, 0.0, True)
    counts = torch.ones_like(losses)
    counts[3] = torch.nan
    assert gradients(losses, counts, leaves)[1].isnan().all()


def test_large_logits_do_not_overflow():
    (hidden, weight, _), targets = parts(dtype=torch.float32)
    losses = ChunkedCrossEntropy.apply(1e6 * hidden, weight, None, targets, 0.0, True)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert weight.grad.isfinite().all()


def test_half_precision_sums_in_float32():
    leaves, targets = parts(64)
    lower = [each.detach().bfloat16().requires_grad_() for each in leaves]
    found = ChunkedCrossEntropy.apply(*lower, targets, 0.0, True)
    assert found.dtype == torch.float32
    wanted = plain([each.float() for each in lower], targets, 0.0)
    torch.testing.assert_close(found, wanted, atol=0.03, rtol=0.03)
    found.mean().backward()
    precise = torch.autograd.grad(wanted.mean(), lower)
    for one, other in zip(lower, precise, strict=True):
        assert one.grad.dtype == torch.bfloat16
        torch.testing.assert_close(one.grad, other, atol=0.01, rtol=0.05)


@pytest.fixture
def many(monkeypatch):
    """As if the logits of three rows were too many, and those of two rows a chunk."""
    monkeypatch.setattr(heads_losses, "ALL_AT_ONCE", 3 * 6 * 4 - 1)
    monkeypatch.setattr(heads_losses, "CHUNK", 2 * 6 * 4)


@pytest.fixture
def layer():
    made = torch.nn.Linear(4, 6)
    return made.weight, made.bias


def both(hidden, layer, targets, *how):
    """Losses and gradients of many logits, and of all at once."""
    wanted = token_losses(torch.nn.functional.linear(hidden, *layer), targets, *how)
    for losses in (linear_token_losses(hidden, *layer, targets, *how), wanted):
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
    wanted = linear_token_losses(hidden, *layer, targets)
    for _ in range(2):
        with mode():
            found = linear_token_losses(hidden, *layer, targets)
        assert not found.requires_grad
        torch.testing.assert_close(found, wanted.detach())


def test_few_logits_take_the_plain_way(layer, monkeypatch):
    monkeypatch.setattr(heads_losses, "ChunkedCrossEntropy", None)
    hidden, targets = torch.randn(7, 4), torch.randint(6, (7,))
    assert linear_token_losses(hidden, *layer, targets).shape == (7,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.usefixtures("many")
def test_many_logits_on_a_gpu(layer):
    there = [each.detach().cuda().requires_grad_() for each in layer]
    hidden, targets = torch.randn(7, 4).cuda(), torch.randint(6, (7,)).cuda()
    found, wanted = both(hidden, there, targets)
    torch.testing.assert_close(found, wanted)


def test_a_written_out_example():
    """Three tokens of 1/2, 1/4 and 1/4; half a nat's weight is spread."""
    log_probs = torch.tensor([[0.5, 0.25, 0.25]]).log()
    losses = smoothed_losses(lambda rows: log_probs, torch.ones(1, 1), torch.tensor([0]), 0.5, 3)
    bits = 0.5 * 1 + 0.5 * (1 + 2 + 2) / 3
    torch.testing.assert_close(losses, torch.tensor([bits]) * torch.tensor(2.0).log())
