"""The contract of a head, hidden vectors to log-probabilities of tokens, and its kinds.

A *target* is the token that should come next; *nats* are minus the natural logarithm of its
probability. `table` are the vectors of an embedding, which a head may share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from seqgen.heads.losses import float32_at_least, linear_token_losses, smoothed_losses, sum_dtype
from seqgen.machine import packed_linear
from seqgen.options import Share, Size
from seqgen.registry import Registry
from seqgen.tokenizers import Facts

heads: Registry[Head] = Registry("head", supplied={"input_size", "vocab_size", "table"})


class Head(nn.Module, ABC):
    """Maps a hidden vector to a distribution over the next token."""

    @abstractmethod
    def log_probs(self, hidden: Tensor) -> Tensor:
        """`[..., input] -> [..., vocab]`, natural logarithms that sum to one in probability."""

    def prepared(self) -> Callable[[Tensor], Tensor]:
        """`log_probs` for the many steps of a search, with what all of them share computed first.
        Good until the weights change. The default prepares nothing."""
        return self.log_probs

    @abstractmethod
    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """The nats of each target: `[..., input]` and `[...]` to `[...]`.

        An implementation need not hold the log-probabilities of all targets at once.
        """

    def initialise(self, facts: Facts) -> None:
        """Start a new run from what is known of the vocabulary; never called on loaded weights."""


HeadFactory = Annotated[Callable[..., Head], heads]
"""Called with `input_size=`, `vocab_size=` and `table=`, it returns the head.

`table` is the method of the embedding that returns its vectors, `[vocab, embedding]`.
"""


def unigram_log_probs(facts: Facts) -> Tensor:
    """`log((count + 1) / total)`, `[vocab]`: a softmax over it gives these shares.

    One is added to each count, so that an unseen token is rare, not impossible.
    """
    if facts.counts is None:
        raise ValueError("`unigram_bias` needs counts of tokens, which this kind of data lacks")
    counts = torch.from_numpy(facts.counts).double() + 1
    return (counts / counts.sum()).log()


@heads.register("linear")
class LinearHead(Head):
    """`softmax(W h + b)`, with weights of its own.

    `label_smoothing` concerns the loss in training, see `token_losses`. With `unigram_bias` a new
    run starts at b = log of how often each token stands in the training text.
    """

    def __init__(
        self,
        input_size: int,
        vocab_size: int,
        bias: bool = True,
        label_smoothing: Share = 0.0,
        unigram_bias: bool = False,
    ) -> None:
        super().__init__()
        if unigram_bias and not bias:
            raise ValueError("`unigram_bias` needs `bias`, but that is false")
        self.project = nn.Linear(input_size, vocab_size, bias=bias)
        self.label_smoothing = label_smoothing
        self.unigram_bias = unigram_bias

    def initialise(self, facts: Facts) -> None:
        if self.unigram_bias:
            self.project.bias.data.copy_(unigram_log_probs(facts))

    def log_probs(self, hidden: Tensor) -> Tensor:
        weight, bias = self.project.weight, self.project.bias
        logits = functional.linear(hidden, weight, bias)
        return logits.log_softmax(-1, dtype=sum_dtype(logits))

    def prepared(self) -> Callable[[Tensor], Tensor]:
        logits_of = packed_linear(self.project.weight, self.project.bias)
        return lambda hidden: float32_at_least(logits_of(hidden)).log_softmax(-1)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.label_smoothing if self.training else 0.0
        weight, bias = self.project.weight, self.project.bias
        return linear_token_losses(hidden, weight, bias, targets, smoothing)


@heads.register("tied")
class TiedHead(Head):
    """`softmax(E P h + b)` with E the embedding (Press and Wolf 2017; Inan et al. 2017).

    P is a linear map where the sizes of hidden and embedding differ, else it is left out.
    `label_smoothing` and `unigram_bias` are those of `linear`.
    """

    def __init__(
        self,
        input_size: int,
        vocab_size: int,
        table: Callable[[], Tensor],
        label_smoothing: Share = 0.0,
        unigram_bias: bool = False,
    ) -> None:
        super().__init__()
        embedding_size = table().shape[1]
        # The embedding is asked at each call: its vectors may be computed, and they may move.
        self.table = table
        self.bias = nn.Parameter(table().detach().new_zeros(vocab_size))
        same = input_size == embedding_size
        self.project = nn.Identity() if same else nn.Linear(input_size, embedding_size, bias=False)
        self.label_smoothing = label_smoothing
        self.unigram_bias = unigram_bias

    def initialise(self, facts: Facts) -> None:
        if self.unigram_bias:
            self.bias.data.copy_(unigram_log_probs(facts))

    def log_probs(self, hidden: Tensor) -> Tensor:
        logits = functional.linear(self.project(hidden), self.table(), self.bias)
        return float32_at_least(logits).log_softmax(-1)

    def prepared(self) -> Callable[[Tensor], Tensor]:
        logits_of = packed_linear(self.table(), self.bias)
        return lambda hidden: float32_at_least(logits_of(self.project(hidden))).log_softmax(-1)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.label_smoothing if self.training else 0.0
        projected = self.project(hidden)
        return linear_token_losses(projected, self.table(), self.bias, targets, smoothing)


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
        return self._joined(hidden, self.shortlist, self.clusters)

    def prepared(self) -> Callable[[Tensor], Tensor]:
        first = packed_linear(self.shortlist.weight, self.shortlist.bias)
        pairs = cast("list[tuple[nn.Linear, nn.Linear]]", self.clusters)
        packed = [(down, packed_linear(out.weight, None)) for down, out in pairs]
        clusters = [lambda hidden, two=two: two[1](two[0](hidden)) for two in packed]
        return lambda hidden: self._joined(hidden, first, clusters)

    def _joined(
        self,
        hidden: Tensor,
        shortlist: Callable[[Tensor], Tensor],
        clusters: Iterable[Callable[..., Tensor]],
    ) -> Tensor:
        """`log_probs` from the logits of the shortlist and those of each cluster."""
        first = float32_at_least(shortlist(hidden)).log_softmax(-1)
        parts = [first[..., : self.ends[0]]]
        for i, cluster in enumerate(clusters):
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
