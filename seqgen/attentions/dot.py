"""The attention `dot`: the score is the product of the cell's output and the memory."""

from __future__ import annotations

import torch
from torch import Tensor

from seqgen.attentions.base import attentions
from seqgen.attentions.scored import ScoredAttention


@attentions.register("dot")
class DotAttention(ScoredAttention):
    """score(q, m) = q . m (Luong et al. 2015, equation 8), for vectors of the same size."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        if query_size != memory_size:
            raise ValueError(
                f"attention `dot` needs a cell as wide as the encoder's memory, but they have "
                f"{query_size} and {memory_size} numbers; `general` maps one to the other"
            )

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The product of each query with each key."""
        return torch.bmm(queries, keys.to(queries.dtype).transpose(1, 2))
