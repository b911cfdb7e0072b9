"""The embedding `learned`: a vector for each token, trained with the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqgen.embeddings.base import Embedding, embeddings
from seqgen.options import PositiveFloat, Size


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
