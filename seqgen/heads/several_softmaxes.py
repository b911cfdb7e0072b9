"""Heads made of several softmaxes: clusters of rare tokens, or a mixture over one vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from seqgen.heads.base import Head, heads
from seqgen.heads.losses import float32_at_least, linear_token_losses, smoothed_losses
from seqgen.options import Share, Size

WORTH_CLUSTERS = 1000
"""The size of a vocabulary below which a plain softmax costs less than clusters do."""


@heads.register("adaptive_softmax")
class AdaptiveSoftmaxHead(Head):
    """`p(w) = p(w | shortlist)` or `p(cluster) p(w | cluster)` (Grave et al. 2017).

    Tokens are taken to be roughly sorted, the frequent ones first, as the tokenizer `word` has
    them. Those below the first of `cutoffs` are the shortlist, and each later cutoff ends a
    cluster; by default they are 1/16 and 1/4 of the vocabulary, and a small vocabulary has no
    clusters. Cluster i sees the hidden vector in `input_size / div_value^i` numbers. The loss
    computes a cluster only for its own targets; but with `label_smoothing`, which is that of
    `linear`, all tokens count, and training computes every cluster for every target.
    """

    def __init__(
        self,
        input_size: int,
        vocab_size: int,
        cutoffs: Sequence[Size] | None = None,
        div_value: Annotated[float, Field(ge=1, le=1000)] = 4.0,
        label_smoothing: Share = 0.0,
    ) -> None:
        super().__init__()
        small = vocab_size < WORTH_CLUSTERS
        default = [] if small else [vocab_size // 16, vocab_size // 4]
        ends = default if cutoffs is None else list(cutoffs)
        if ends != sorted(set(ends)) or (ends and not 0 < ends[0] <= ends[-1] < vocab_size):
            raise ValueError(
                f"`cutoffs` must rise and be below {vocab_size}, the size of the vocabulary, "
                f"but are {ends}"
            )
        self.ends = [*ends, vocab_size]
        self.label_smoothing = label_smoothing
        self.shortlist = nn.Linear(input_size, self.ends[0] + len(ends))
        self.clusters = nn.ModuleList()
        for i, (start, end) in enumerate(pairwise(self.ends), 1):
            divisor = div_value ** min(i, 100)  # with more clusters it could overflow
            size = max(1, min(input_size, int(input_size / divisor)))
            down = nn.Linear(input_size, size, bias=False)
            self.clusters.append(nn.Sequential(down, nn.Linear(size, end - start, bias=False)))

    def log_probs(self, hidden: Tensor) -> Tensor:
        first = float32_at_least(self.shortlist(hidden)).log_softmax(-1)
        parts = [first[..., : self.ends[0]]]
        for i, cluster in enumerate(self.clusters):
            inside = float32_at_least(cluster(hidden)).log_softmax(-1)
            parts.append(inside + first[..., self.ends[0] + i, None])
        return torch.cat(parts, -1)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        if self.training and self.label_smoothing:
            size = self.ends[-1]
            return smoothed_losses(self.log_probs, hidden, targets, self.label_smoothing, size)
        rows, tokens = hidden.reshape(-1, hidden.shape[-1]), targets.flatten()
        # Which entry of the first softmax stands for each token: its own, or its cluster's.
        cluster_of = torch.bucketize(tokens, tokens.new_tensor(self.ends), right=True)
        first = torch.where(cluster_of > 0, self.ends[0] + cluster_of - 1, tokens)
        losses = linear_token_losses(rows, self.shortlist.weight, self.shortlist.bias, first)
        for i, cluster in enumerate(self.clusters):
            down, out = cast("tuple[nn.Linear, nn.Linear]", cluster)
            there = (cluster_of == i + 1).nonzero().squeeze(1)
            inside = tokens[there] - self.ends[i]
            inside = linear_token_losses(down(rows[there]), out.weight, None, inside)
            losses = losses.index_add(0, there, inside)
        return losses.view(targets.shape)


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
        log_weights, inner = self._mix(hidden)
        total: Tensor | None = None
        for k in range(self.mixtures):  # one by one: two vectors of the vocabulary's size at most
            own = float32_at_least(self.project(inner[..., k, :])).log_softmax(-1)
            own = own + log_weights[..., k, None]
            total = own if total is None else torch.logaddexp(total, own)
        assert total is not None
        return total.log_softmax(-1)  # rounding may have left it a little above 0

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        if self.training and self.label_smoothing:
            size = self.mixtures * self.project.out_features
            return smoothed_losses(self.log_probs, hidden, targets, self.label_smoothing, size)
        log_weights, inner = self._mix(hidden)
        weight, bias = self.project.weight, self.project.bias
        each = targets.unsqueeze(-1).expand(log_weights.shape)
        # A softmax counts by its share in the target's probability, so rows are not alike.
        nats = linear_token_losses(inner, weight, bias, each, alike=False)
        return -(log_weights - nats).logsumexp(-1)

    def _mix(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Log-weights `[..., mixtures]`, and what each softmax reads, `[..., mixtures, inner]`."""
        inner = functional.tanh(self.spread(hidden))
        shape = (*hidden.shape[:-1], self.mixtures, self.bottleneck)
        log_weights = float32_at_least(self.weigh(hidden)).log_softmax(-1)
        return log_weights, inner.reshape(shape)
