"""Attention by scores: a softmax over the source, and what that mixes."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from seqgen.attentions.base import Attention


class ScoredAttention(Attention, ABC):
    """Global attention (Luong et al. 2015, equations 5 and 7)::

        a = softmax over the real tokens j of score(q, m_j)      c = sum_j a_j m_j
        read = tanh(W [c; q] + b)

    with q for the cell's output and m for the memory. A subclass says what a score is. The row of
    an empty source has weights of zero, and reads c = 0.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        if not memory_size:
            raise ValueError(
                "attention needs an encoder with a memory to look back at, and this one has none; "
                "attention: none reads nothing"
            )
        self.output_size = query_size
        self.combine = nn.Linear(memory_size + query_size, query_size)

    @abstractmethod
    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """`[batch, moments, query]` and what `keys` returned to `[batch, moments, source_time]`."""

    def forward(
        self, queries: Tensor, keys: Tensor, memory: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `Attention.forward`."""
        hidden = ~mask.unsqueeze(1)
        scores = self.scores(queries, keys)
        # Not -inf: a row without a real token would be NaN. Its equal weights are undone below.
        scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        weights = torch.softmax(scores, -1).masked_fill(hidden, 0)
        read = torch.bmm(weights.to(memory.dtype), memory)
        joined = torch.cat([read.to(queries.dtype), queries], -1)
        return torch.tanh(self.combine(joined)), weights
