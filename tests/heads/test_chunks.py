"""Cross-entropy behind a linear map, chunk by chunk."""

import pytest
import torch
from torch.nn import functional

from seqgen.heads import chunks
from seqgen.heads.chunks import ChunkedCrossEntropy, row_losses

ROWS, INPUT, VOCAB = 7, 3, 5


@pytest.fixture(autouse=True)
def chunks_of_two_rows(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 2 * VOCAB * 4)


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
    return torch.autograd.grad(losses, [each for each in leaves if each is not None], counts)


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_finite_differences(alike, smoothing, bias):
    leaves, targets = parts(bias=bias)

    def losses(*leaves):
        return ChunkedCrossEntropy.apply(*leaves, targets, (smoothing, alike))

    assert torch.autograd.gradcheck(losses, leaves)


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 7])
def test_equals_the_plain_loss_at_every_boundary(rows, alike):
    leaves, targets = parts(rows)
    found = ChunkedCrossEntropy.apply(*leaves, targets, (0.1, alike))
    wanted = plain(leaves, targets, 0.1)
    torch.testing.assert_close(found, wanted)
    counts = torch.full_like(found, 0.25)
    torch.testing.assert_close(gradients(found, counts, leaves), gradients(wanted, counts, leaves))
    with torch.no_grad():
        torch.testing.assert_close(row_losses(*leaves, targets, 0.1), wanted)


@pytest.mark.parametrize(
    "counts",
    [[1, 1, 1, 1, 1, 1, 1], [2, 2, 0, 2, 0, 0, 2], [0, 0, 0, 0, 0, 0, 0], [1, -2, 3, 4, 5, 6, 7]],
)
def test_rows_may_count_differently(counts):
    """What was summed as if all rows counted alike is put right for those that do not."""
    leaves, targets = parts()
    counts = torch.tensor(counts, dtype=torch.float64)
    found = ChunkedCrossEntropy.apply(*leaves, targets, (0.0, True))
    wanted = gradients(plain(leaves, targets, 0.0), counts, leaves)
    torch.testing.assert_close(gradients(found, counts, leaves), wanted)


def test_gradients_can_be_asked_for_twice():
    leaves, targets = parts()
    losses = ChunkedCrossEntropy.apply(*leaves, targets, (0.0, True)).sum()
    once = torch.autograd.grad(losses, leaves, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(losses, leaves), once)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_what_is_frozen_gets_no_gradient(frozen):
    leaves, targets = parts()
    leaves[frozen].requires_grad_(False)
    ChunkedCrossEntropy.apply(*leaves, targets, (0.0, True)).sum().backward()
    assert [each.grad is None for each in leaves] == [place == frozen for place in range(3)]


def test_a_loss_that_is_no_number_is_seen():
    """NaN in the total must reach the weights: the training loop looks there."""
    leaves, targets = parts()
    losses = ChunkedCrossEntropy.apply(*leaves, targets, (0.0, True))
    counts = torch.ones_like(losses)
    counts[3] = torch.nan
    assert gradients(losses, counts, leaves)[1].isnan().all()


def test_large_logits_do_not_overflow():
    (hidden, weight, _), targets = parts(dtype=torch.float32)
    losses = ChunkedCrossEntropy.apply(1e6 * hidden, weight, None, targets, (0.0, True))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert weight.grad.isfinite().all()


def test_half_precision_sums_in_float32():
    leaves, targets = parts(64)
    lower = [each.detach().bfloat16().requires_grad_() for each in leaves]
    found = ChunkedCrossEntropy.apply(*lower, targets, (0.0, True))
    assert found.dtype == torch.float32
    wanted = plain([each.float() for each in lower], targets, 0.0)
    torch.testing.assert_close(found, wanted, atol=0.03, rtol=0.03)
    found.mean().backward()
    precise = torch.autograd.grad(wanted.mean(), lower)
    for one, other in zip(lower, precise, strict=True):
        assert one.grad.dtype == torch.bfloat16
        torch.testing.assert_close(one.grad, other, atol=0.01, rtol=0.05)
