"""The embedding `one_hot`: nothing learned, a one at the token's own place."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from seqgen.embeddings.base import Embedding, embeddings


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
