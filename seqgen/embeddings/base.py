"""The contract of an embedding: tokens to vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.options import PositiveFloat, Size
from seqgen.registry import Registry
from seqgen.tokenizers import Facts

embeddings: Registry[Embedding] = Registry("embedding", supplied={"vocab_size"})


class Embedding(nn.Module, ABC):
    """A vector of `output_size` numbers for each token."""

    output_size: int

    @abstractmethod
    def table(self) -> Tensor:
        """The vectors of all tokens, `[vocab, output_size]`; a parameter where they are learned."""

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """`[...] -> [..., output_size]`."""

    def initialise(self, facts: Facts) -> None:
        """Start a new run from what is known of the vocabulary; never called on loaded weights."""


EmbeddingFactory = Annotated[Callable[..., Embedding], embeddings]
"""Called with `vocab_size=`, it returns the embedding."""


# The embedding `learned`: a vector for each token, trained with the model.


@embeddings.register("learned")
class LearnedEmbedding(Embedding):
    """A table of vectors, drawn from a normal distribution and trained."""

    def __init__(self, vocab_size: int, size: Size = 64, std: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.output_size = size
        self.weight = nn.Parameter(torch.empty(vocab_size, size).normal_(std=std))

    def table(self) -> Tensor:
        """The weights, `[vocab, size]`."""
        return self.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """`[...] -> [..., size]`."""
        return nn.functional.embedding(tokens, self.weight)


# The embedding `one_hot`: nothing learned, a one at the token's own place.


@embeddings.register("one_hot")
class OneHot(Embedding):
    """The unit vector of each token, so that the cell's input weights are the embedding."""

    identity: Tensor

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.output_size = vocab_size
        self.register_buffer("identity", torch.eye(vocab_size), persistent=False)

    def table(self) -> Tensor:
        """The identity matrix, `[vocab, vocab]`."""
        return self.identity

    def forward(self, tokens: Tensor) -> Tensor:
        """`[...] -> [..., vocab]`."""
        return functional.embedding(tokens, self.identity)
