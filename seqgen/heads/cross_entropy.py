"""Cross-entropy of each target on its own, for tensors of any leading shape."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from seqgen.heads.chunks import ChunkedCrossEntropy, float32_at_least, row_losses

ALL_AT_ONCE = 16 * 2**20
"""Bytes of logits up to which they are held all at once, since nothing is saved below."""


def token_losses(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Nats of each target: `logits: [..., vocab]` and `targets: [...]` to `[...]`.

    In float32 at least. With smoothing s the target counts 1 - s, and s is spread over all V tokens
    alike (Szegedy et al. 2016): `(1 - s) * -log p[target] + s / V * sum(-log p)`.
    """
    flat = functional.cross_entropy(
        float32_at_least(logits.reshape(-1, logits.shape[-1])),
        targets.flatten(),
        reduction="none",
        label_smoothing=label_smoothing,
    )
    return flat.view(targets.shape)


def linear_token_losses(
    hidden: Tensor,
    layer: tuple[Tensor, Tensor | None],
    targets: Tensor,
    label_smoothing: float = 0.0,
    alike: bool = True,
) -> Tensor:
    """`token_losses(linear(hidden, *layer), targets)`, never with all of many logits at once.

    `hidden: [..., input]`, `targets: [...]`, `layer` is weight `[vocab, input]` and bias `[vocab]`.
    `alike` says that most losses will count alike in the total, see `ChunkedCrossEntropy`.
    """
    weight, bias = layer
    if targets.numel() * len(weight) * 4 <= ALL_AT_ONCE:
        return token_losses(functional.linear(hidden, weight, bias), targets, label_smoothing)
    device = hidden.device.type
    lower = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if lower else hidden.dtype
    rows = hidden.reshape(-1, hidden.shape[-1]).to(dtype)
    weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    with torch.autocast(device, enabled=False):
        if torch.is_grad_enabled() and any(
            each is not None and each.requires_grad for each in (rows, weight, bias)
        ):
            flat: Tensor = ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
                rows, weight, bias, targets.flatten(), (label_smoothing, alike)
            )
        else:
            flat = row_losses(rows, weight, bias, targets.flatten(), label_smoothing)
    return flat.view(targets.shape)
