"""The contract of an embedding: tokens to vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

from torch import Tensor, nn

from seqgen.registry import Registry
from seqgen.tokenizers.facts import Facts

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
