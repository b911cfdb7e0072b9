"""The attention `none`: nothing is read, the first state is all that is known of the source."""

from __future__ import annotations

from torch import Tensor

from seqgen.attentions.base import Attention, attentions


@attentions.register("none")
class NoAttention(Attention):
    """The head reads the cell's output as it is (Sutskever et al. 2014)."""

    looks = False

    def __init__(self, query_size: int) -> None:
        super().__init__()
        self.output_size = query_size

    def forward(
        self, queries: Tensor, keys: Tensor, memory: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The queries, and weights of zero."""
        return queries, queries.new_zeros(*queries.shape[:2], mask.shape[1])
