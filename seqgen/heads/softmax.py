"""How likely each token is when nothing is known of its context."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.heads.base import Head, heads
from seqgen.heads.losses import float32_at_least, linear_token_losses
from seqgen.options import Share
from seqgen.tokenizers import Facts


def unigram_log_probs(facts: Facts) -> Tensor:
    """`log((count + 1) / total)`, `[vocab]`: a softmax over it gives these shares.

    One is added to each count, so that a token never seen is rare and not impossible.
    """
    if facts.counts is None:
        raise ValueError("`unigram_bias` needs counts of tokens, which this kind of data lacks")
    counts = torch.from_numpy(facts.counts).double() + 1
    return (counts / counts.sum()).log()


# The head `linear`: one affine map and a softmax.


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
        """The bias from the counts, where that is wanted."""
        if self.unigram_bias:
            self.project.bias.data.copy_(unigram_log_probs(facts))

    def log_probs(self, hidden: Tensor) -> Tensor:
        """`[..., input] -> [..., vocab]`."""
        return float32_at_least(self.project(hidden)).log_softmax(-1)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Nats of each target, `[...]`; smoothed in training."""
        layer = (self.project.weight, self.project.bias)
        smoothing = self.label_smoothing if self.training else 0.0
        return linear_token_losses(hidden, layer, targets, smoothing)


# The head `tied`: the embedding's vectors serve as output weights too.


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
        """The bias from the counts, where that is wanted."""
        if self.unigram_bias:
            self.bias.data.copy_(unigram_log_probs(facts))

    def log_probs(self, hidden: Tensor) -> Tensor:
        """`[..., input] -> [..., vocab]`."""
        logits = functional.linear(self.project(hidden), self.table(), self.bias)
        return float32_at_least(logits).log_softmax(-1)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Nats of each target, `[...]`; smoothed in training."""
        smoothing = self.label_smoothing if self.training else 0.0
        layer = (self.table(), self.bias)
        return linear_token_losses(self.project(hidden), layer, targets, smoothing)
