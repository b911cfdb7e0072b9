"""The attention `my_attention`: products of vectors, over the root of their size."""

import torch

from seqgen.attentions import ScoredAttention, attentions


@attentions.register("my_attention")
class MyAttention(ScoredAttention):
    """score(q, m) = q . W m / sqrt(size of q); W m is computed once a source."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.of_memory = torch.nn.Linear(memory_size, query_size, bias=False)

    def keys(self, memory):
        return self.of_memory(memory)

    def scores(self, queries, keys):
        return super().scores(queries, keys) / queries.shape[-1] ** 0.5
