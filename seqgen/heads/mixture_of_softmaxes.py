"""The head `mixture_of_softmaxes`: several softmaxes over one vocabulary, weighted by context."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.heads.base import Head, heads
from seqgen.heads.losses import float32_at_least, linear_token_losses, smoothed_losses
from seqgen.options import Share, Size


@heads.register("mixture_of_softmaxes")
class MixtureOfSoftmaxesHead(Head):
    """`sum_k pi_k softmax(W tanh(V_k h) + b)`, `pi = softmax(U h)` (Yang et al. 2018).

    One softmax bounds the rank of the matrix of log-probabilities by the size of h; a mixture of
    `mixtures` does not. `bottleneck` is the size of `tanh(V_k h)`, by default that of h.
    `label_smoothing` is that of `linear`.
    """

    def __init__(
        self,
        input_size: int,
        vocab_size: int,
        mixtures: Size = 4,
        bottleneck: Size | None = None,
        label_smoothing: Share = 0.0,
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.mixtures, self.bottleneck = mixtures, bottleneck or input_size
        self.weigh = nn.Linear(input_size, mixtures, bias=False)
        self.spread = nn.Linear(input_size, mixtures * self.bottleneck)
        self.project = nn.Linear(self.bottleneck, vocab_size)

    def log_probs(self, hidden: Tensor) -> Tensor:
        """`[..., input] -> [..., vocab]`."""
        log_weights, inner = self._mix(hidden)
        total: Tensor | None = None
        for k in range(self.mixtures):  # one by one: two vectors of the vocabulary's size at most
            own = float32_at_least(self.project(inner[..., k, :])).log_softmax(-1)
            own = own + log_weights[..., k, None]
            total = own if total is None else torch.logaddexp(total, own)
        assert total is not None
        return total.log_softmax(-1)  # rounding may have left it a little above 0

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Nats of each target, `[...]`; smoothed in training."""
        if self.training and self.label_smoothing:
            size = self.mixtures * self.project.out_features
            return smoothed_losses(self.log_probs, hidden, targets, self.label_smoothing, size)
        log_weights, inner = self._mix(hidden)
        layer = (self.project.weight, self.project.bias)
        each = targets.unsqueeze(-1).expand(log_weights.shape)
        # A softmax counts by its share in the target's probability, so rows are not alike.
        nats = linear_token_losses(inner, layer, each, alike=False)
        return -(log_weights - nats).logsumexp(-1)

    def _mix(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Log-weights `[..., mixtures]`, and what each softmax reads, `[..., mixtures, inner]`."""
        inner = functional.tanh(self.spread(hidden))
        shape = (*hidden.shape[:-1], self.mixtures, self.bottleneck)
        log_weights = float32_at_least(self.weigh(hidden)).log_softmax(-1)
        return log_weights, inner.reshape(shape)
