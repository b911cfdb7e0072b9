"""The attention `general`: a product with a matrix between the cell's output and the memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqgen.attentions.base import attentions
from seqgen.attentions.scored import ScoredAttention


@attentions.register("general")
class GeneralAttention(ScoredAttention):
    """score(q, m) = q . W m (Luong et al. 2015, equation 8); W m is worked out once a source."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.of_memory = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """W m, `[batch, source_time, query]`."""
        mapped: Tensor = self.of_memory(memory)
        return mapped

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The product of each query with each key."""
        return torch.bmm(queries, keys.to(queries.dtype).transpose(1, 2))
