"""The attention `additive`: a small network with one layer gives the score."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqgen.attentions.base import attentions
from seqgen.attentions.scored import ScoredAttention
from seqgen.options import Size


@attentions.register("additive")
class AdditiveAttention(ScoredAttention):
    """score(q, m) = v . tanh(W q + U m + b) (Bahdanau et al. 2015, appendix A.1.2).

    U m is worked out once a source. `size` is the width of the layer, that of the cell's output
    where it is not given. In training it holds `[batch, moments, source_time, size]` at once.
    """

    def __init__(self, query_size: int, memory_size: int, size: Size | None = None) -> None:
        super().__init__(query_size, memory_size)
        size = query_size if size is None else size
        self.of_query = nn.Linear(query_size, size)
        self.of_memory = nn.Linear(memory_size, size, bias=False)
        self.of_layer = nn.Linear(size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """U m, `[batch, source_time, size]`."""
        mapped: Tensor = self.of_memory(memory)
        return mapped

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """As above, for each query with each key."""
        layer = torch.tanh(self.of_query(queries).unsqueeze(2) + keys.unsqueeze(1))
        scores: Tensor = self.of_layer(layer).squeeze(-1)
        return scores
