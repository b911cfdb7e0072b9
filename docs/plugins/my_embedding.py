"""The embedding `my_embedding`: a table of few numbers, the product of two small ones."""

import torch

from seqgen.embeddings import Embedding, embeddings
from seqgen.options import Size


@embeddings.register("my_embedding")
class MyEmbedding(Embedding):
    """`A B`: each token has `rank` numbers, which a matrix makes `size` of."""

    def __init__(self, vocab_size: int, size: Size = 64, rank: Size = 16) -> None:
        super().__init__()
        self.output_size = size
        self.tokens = torch.nn.Parameter(torch.randn(vocab_size, rank))
        self.spread = torch.nn.Parameter(torch.randn(rank, size) / rank**0.5)

    def table(self):
        return self.tokens @ self.spread
