"""The contract of a head, hidden vectors to log-probabilities of tokens, and the plain softmaxes.

A *target* is the token that should come next; *nats* are minus the natural logarithm of its
probability. `table` are the vectors of an embedding, which a head may share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.heads.losses import float32_at_least, linear_token_losses
from seqgen.options import Share
from seqgen.registry import Registry
from seqgen.tokenizers import Facts

heads: Registry[Head] = Registry("head", supplied={"input_size", "vocab_size", "table"})


class Head(nn.Module, ABC):
    """Maps a hidden vector to a distribution over the next token."""

    @abstractmethod
    def log_probs(self, hidden: Tensor) -> Tensor:
        """`[..., input] -> [..., vocab]`, natural logarithms that sum to one in probability."""

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
        return float32_at_least(self.project(hidden)).log_softmax(-1)

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

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.label_smoothing if self.training else 0.0
        projected = self.project(hidden)
        return linear_token_losses(projected, self.table(), self.bias, targets, smoothing)
