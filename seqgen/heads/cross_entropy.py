"""Cross-entropy of each target on its own, for tensors of any leading shape."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Nats of each target: `logits: [..., vocab]` and `targets: [...]` to `[...]`, in float32."""
    flat = functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]).float(), targets.flatten(), reduction="none"
    )
    return flat.view(targets.shape)
