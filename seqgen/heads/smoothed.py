"""Label smoothing for heads that are no plain softmax: from their log-probabilities, in chunks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from seqgen.heads import chunks, cross_entropy


def smoothed_losses(
    log_probs: Callable[[Tensor], Tensor],
    hidden: Tensor,
    targets: Tensor,
    label_smoothing: float,
    row_size: int,
) -> Tensor:
    """`(1 - s) * -log p[target] + s / V * sum(-log p)` of each target, as `token_losses` has it.

    `hidden: [..., input]` and `targets: [...]` to `[...]`; `log_probs` gives `[rows, vocab]` for
    `[rows, input]` and holds `row_size` numbers for a row meanwhile.

    Every token counts, so no clever way gets round the log-probabilities. But where they are many
    they are computed for one chunk of rows after the other, and again in the backward pass: those
    of all rows are never there at once.
    """

    def losses(rows: Tensor, tokens: Tensor) -> Tensor:
        found = log_probs(rows)
        nats = -found.gather(1, tokens.unsqueeze(1)).squeeze(1)
        return torch.lerp(nats, -found.mean(1), label_smoothing)

    rows, tokens = hidden.reshape(-1, hidden.shape[-1]), targets.flatten()
    if len(rows) * row_size * 4 <= cross_entropy.ALL_AT_ONCE:
        return losses(rows, tokens).view(targets.shape)
    count = max(1, chunks.CHUNK // (4 * row_size))
    flat = []
    for start in range(0, len(rows), count):
        part = (rows[start : start + count], tokens[start : start + count])
        flat.append(checkpoint(losses, *part, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(flat).view(targets.shape)
