"""The contract of attention: what a decoder reads of the source at each moment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

from torch import Tensor, nn

from seqgen.registry import Registry

attentions: Registry[Attention] = Registry("attention", supplied={"query_size", "memory_size"})


class Attention(nn.Module, ABC):
    """Looks from a cell's output back at the memory of the source; `looks` says whether it does."""

    output_size: int
    looks: bool = True

    def keys(self, memory: Tensor) -> Tensor:
        """What of the memory can be worked out once for a source: `[batch, source_time, ...]`.

        The default returns the memory itself.
        """
        return memory

    @abstractmethod
    def forward(
        self, queries: Tensor, keys: Tensor, memory: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`queries: [batch, moments, query]`, of which each moment is read for itself.

        Returns what the head reads, `[batch, moments, output_size]`, and the weights `[batch,
        moments, source_time]`, which are zero where `mask: [batch, source_time]` is false.
        """


AttentionFactory = Annotated[Callable[..., Attention], attentions]
"""Called with `query_size=` and `memory_size=`, it returns the attention."""
