"""Cross-entropy of each target, in chunks of rows: never are the logits of all rows in memory.

A *row* is one hidden vector with its target. A row's *count* is how much its loss counts in the
total, which the backward pass learns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

CHUNK = 32 * 2**20
"""Bytes of a chunk's logits in float32."""

ALL_AT_ONCE = 16 * 2**20
"""Bytes of logits up to which they are held all at once, since nothing is saved below."""


class ChunkedCrossEntropy(torch.autograd.Function):
    """Nats of each row of `softmax(hidden W^T + b)`, `[rows, input]` and `[rows]` to `[rows]`.

    A chunk's probabilities p are there in the forward pass, so its gradients are taken at once.
    They lack only how much each row counts in the total, c, which the backward pass learns. The
    gradient of `hidden` is multiplied by it row by row. That of W, `sum_r c_r (p_r - y_r) h_r^T`,
    is a sum over rows; but nearly always all c are the same (a mean), or 0 where a row is padding.
    So it is summed as if each row counted once, then multiplied by the commonest c, and the rows
    with another c are put right, for which their logits are computed again. That is exact for any
    c, and for the usual ones no more work than without chunks. Where the caller knows that the c
    will all differ, `alike=False` leaves the whole sum to the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        smoothing: float,
        alike: bool,
    ) -> Tensor:
        """Losses, and gradients as if each row counted once."""
        of_hidden, of_weight, of_bias = ctx.needs_input_grad[:3]
        chunks = _Chunks(hidden, weight, bias, targets, smoothing)
        sums = _Sums(weight, of_weight and alike, of_bias and alike)
        by_row = torch.empty_like(hidden) if of_hidden else None
        losses = torch.empty_like(targets, dtype=sum_dtype(hidden))
        for here in chunks:
            losses[here] = chunks.losses(here)
            if not any(ctx.needs_input_grad):
                continue
            errors = chunks.errors(here)
            if by_row is not None:
                torch.mm(errors, weight, out=by_row[here])
            sums.add(errors, hidden[here])
        ctx.save_for_backward(hidden, weight, bias, targets, by_row, sums.of_weight, sums.of_bias)
        ctx.smoothing, ctx.alike = smoothing, alike
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, counts: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients, from `counts: [rows]`, how much each row counts."""
        hidden, weight, bias, targets, by_row, *found = ctx.saved_tensors
        guess = ctx.alike and len(counts) > 0
        common = counts.mode().values if guess else counts.new_zeros(())
        sums = _Sums(weight, *ctx.needs_input_grad[1:3])
        for own, other in zip((sums.of_weight, sums.of_bias), found, strict=True):
            if own is not None and other is not None:
                torch.mul(other, common, out=own)
        others = (counts != common).nonzero().squeeze(1)  # NaN is one of them, and stays NaN
        hidden_there, more = hidden[others], (counts[others] - common).to(hidden.dtype)
        with torch.autocast(weight.device.type, enabled=False):
            chunks = _Chunks(hidden_there, weight, bias, targets[others], ctx.smoothing)
            for here in chunks:
                chunks.losses(here)
                errors = chunks.errors(here)
                sums.add(errors, hidden_there[here], more[here])
        of_hidden = None if by_row is None else by_row * counts.unsqueeze(1).to(by_row.dtype)
        found = [sums.of_weight, sums.of_bias]
        found = [None if each is None else each.to(weight.dtype) for each in found]
        return of_hidden, *found, None, None, None


def sum_dtype(tensor: Tensor) -> torch.dtype:
    """The dtype in which to add up many small numbers: float32 at least."""
    return torch.float32 if tensor.dtype.itemsize < 4 else tensor.dtype


def float32_at_least(logits: Tensor) -> Tensor:
    """`logits` in the dtype in which log-probabilities are added up."""
    return logits.to(sum_dtype(logits))


class _Chunks:
    """Slices of the rows, and what is computed for one of them, in buffers that all share.

    The buffers matter: each new one of this size is new memory, which the system clears first.
    """

    def __init__(
        self, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, smoothing: float
    ) -> None:
        self.hidden, self.weight, self.bias = hidden, weight, bias
        self.targets, self.smoothing = targets, smoothing
        self.rows = max(1, CHUNK // (4 * len(weight)))
        self._logits = hidden.new_empty(min(self.rows, len(hidden)), len(weight))
        self._log_probs = torch.empty_like(self._logits, dtype=sum_dtype(hidden))

    def __iter__(self) -> Iterator[slice]:
        for start in range(0, len(self.hidden), self.rows):
            yield slice(start, min(start + self.rows, len(self.hidden)))

    def losses(self, here: slice) -> Tensor:
        """The losses of a slice, `[rows]`; its log-probabilities stay in the buffer."""
        hidden, targets = self.hidden[here], self.targets[here]
        logits, log_probs = self._logits[: len(hidden)], self._log_probs[: len(hidden)]
        if self.bias is None:
            torch.mm(hidden, self.weight.T, out=logits)
        else:
            torch.addmm(self.bias, hidden, self.weight.T, out=logits)
        torch.log_softmax(logits, -1, dtype=log_probs.dtype, out=log_probs)
        losses = -log_probs.gather(1, targets.unsqueeze(1)).squeeze(1)
        if self.smoothing:
            losses = torch.lerp(losses, -log_probs.mean(1), self.smoothing)
        return losses

    def errors(self, here: slice) -> Tensor:
        """Probabilities minus smoothed targets of the slice just read, `[rows, vocab]`."""
        targets = self.targets[here].unsqueeze(1)
        errors = self._log_probs[: len(targets)].exp_()
        if self.smoothing:
            errors.sub_(self.smoothing / len(self.weight))
        rest = errors.new_full((1, 1), self.smoothing - 1).expand_as(targets)
        errors.scatter_add_(1, targets, rest)
        # Products are taken in the precision of the logits, whose buffer is free by now.
        same = errors.dtype == self._logits.dtype
        return errors if same else self._logits[: len(targets)].copy_(errors)


class _Sums:
    """The gradients of weight and bias, summed over chunks; None for what needs none."""

    def __init__(self, weight: Tensor, of_weight: bool, of_bias: bool) -> None:
        dtype = sum_dtype(weight)
        self.of_weight = torch.zeros_like(weight, dtype=dtype) if of_weight else None
        self.of_bias = weight.new_zeros(len(weight), dtype=dtype) if of_bias else None

    def add(self, errors: Tensor, hidden: Tensor, counts: Tensor | None = None) -> None:
        """Take in `errors: [rows, vocab]` at `hidden: [rows, input]`, each row `counts` times."""
        if self.of_weight is not None:
            inputs = hidden if counts is None else hidden * counts.unsqueeze(1)
            if self.of_weight.dtype == errors.dtype:
                self.of_weight.addmm_(errors.T, inputs)
            else:
                self.of_weight.add_(errors.T @ inputs)
        if self.of_bias is not None:
            by_token = errors.sum(0) if counts is None else errors.T @ counts
            self.of_bias.add_(by_token)


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
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    label_smoothing: float = 0.0,
    alike: bool = True,
) -> Tensor:
    """`token_losses(linear(hidden, weight, bias), targets)`, in chunks where there are many logits.

    `hidden: [..., input]`, `weight: [vocab, input]`, `bias: [vocab]` and `targets: [...]`. `alike`
    says that most losses will count alike in the total, see `ChunkedCrossEntropy`.
    """
    if targets.numel() * len(weight) * 4 <= ALL_AT_ONCE:
        return token_losses(functional.linear(hidden, weight, bias), targets, label_smoothing)
    device = hidden.device.type
    lower = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if lower else hidden.dtype
    rows = hidden.reshape(-1, hidden.shape[-1]).to(dtype)
    given = [rows, weight.to(dtype), None if bias is None else bias.to(dtype)]
    if not torch.is_grad_enabled():  # so none are taken ahead in the forward pass
        given = [None if each is None else each.detach() for each in given]
    with torch.autocast(device, enabled=False):
        flat: Tensor = ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            *given, targets.flatten(), label_smoothing, alike
        )
    return flat.view(targets.shape)


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

    For heads that are no plain softmax: every token counts, so all log-probabilities are needed.
    Where they are many they are computed for one chunk of rows after the other, and again in the
    backward pass: those of all rows are never in memory at once.
    """

    def losses(rows: Tensor, tokens: Tensor) -> Tensor:
        found = log_probs(rows)
        nats = -found.gather(1, tokens.unsqueeze(1)).squeeze(1)
        return torch.lerp(nats, -found.mean(1), label_smoothing)

    rows, tokens = hidden.reshape(-1, hidden.shape[-1]), targets.flatten()
    if len(rows) * row_size * 4 <= ALL_AT_ONCE:
        return losses(rows, tokens).view(targets.shape)
    count = max(1, CHUNK // (4 * row_size))
    flat = []
    for start in range(0, len(rows), count):
        part = (rows[start : start + count], tokens[start : start + count])
        flat.append(checkpoint(losses, *part, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(flat).view(targets.shape)
