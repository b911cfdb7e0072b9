"""Attentions, which read the source at each step. To add one: subclass `Attention`, register it.

A *query* is the output of the model's cell at a step. The *memory* has a vector for each token of
the source; *keys* are what a score needs of it, and *weights* are shares of the source that add up
to 1. The *mask* is true at real tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, cast

import torch
from torch import Tensor, nn

from seqgen.options import Size
from seqgen.registry import Registry

__all__ = ["Attention", "AttentionFactory", "ScoredAttention", "attentions"]

attentions: Registry[Attention] = Registry("attention", supplied={"query_size", "memory_size"})


class Attention(nn.Module, ABC):
    """Looks from a cell's output back at the memory of the source; `looks` says whether it does."""

    output_size: int
    looks: bool = True

    def keys(self, memory: Tensor) -> Tensor:
        """What of the scores is computed once a source, `[batch, source_time, ...]`; by default
        the memory itself."""
        return memory

    @abstractmethod
    def forward(
        self, queries: Tensor, keys: Tensor, memory: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`queries: [batch, time, query]`, each of which is answered by itself.

        Returns what the head reads, `[batch, time, output_size]`, and the weights `[batch, time,
        source_time]`, which are zero where `mask: [batch, source_time]` is false.
        """

    def values(self, memory: Tensor) -> Tensor:
        """What `look` reads in place of the memory, computed once a source, `[batch, source_time,
        ...]`; by default the memory itself."""
        return memory

    def look(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, for generation: a source is read there at many steps, so that what does not
        depend on the step is worth computing first."""
        found: tuple[Tensor, Tensor] = self(queries, keys, values, mask)
        return found


AttentionFactory = Annotated[Callable[..., Attention], attentions]
"""Called with `query_size=` and `memory_size=`, it returns the attention."""


WORTH_VALUES = 2**15
"""The number of weights from which it saves time to apply them once to the memory."""


class ScoredAttention(Attention, ABC):
    """Global attention (Luong et al. 2015, equations 5 and 7)::

        a = softmax over the real tokens j of score(q, m_j)      c = sum_j a_j m_j
        read = tanh(W [c; q] + b)

    with q for the cell's output and m for the memory. A subclass says what the keys or the scores
    are. The row of an empty source has weights of zero, and reads c = 0.
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

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """`[batch, time, query]` and what `keys` returned to `[batch, time, source_time]`; by
        default their products."""
        return torch.bmm(queries, keys.to(queries.dtype).transpose(1, 2))

    def forward(
        self, queries: Tensor, keys: Tensor, memory: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        weights = self._weights(queries, keys, mask)
        read = torch.bmm(weights.to(memory.dtype), memory)
        joined = torch.cat([read.to(queries.dtype), queries], -1)
        return torch.tanh(self.combine(joined)), weights

    def values(self, memory: Tensor) -> Tensor:
        """W m, with the columns of W for c, `[batch, source_time, output_size]`: W c is then the
        sum of a_j W m_j. The memory where W is small."""
        if self.combine.weight.numel() < WORTH_VALUES:
            return memory
        return nn.functional.linear(memory, self.combine.weight[:, : memory.shape[-1]])

    def look(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.combine.weight.numel() < WORTH_VALUES:
            return super().look(queries, keys, values, mask)
        weights = self._weights(queries, keys, mask)
        read = torch.bmm(weights.to(values.dtype), values)
        of_queries = self.combine.weight[:, -queries.shape[-1] :]
        return torch.tanh(
            nn.functional.linear(queries, of_queries, self.combine.bias) + read
        ), weights

    def _weights(self, queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """The a_j of each query, `[batch, time, source_time]`."""
        hidden = ~mask.unsqueeze(1)
        scores = self.scores(queries, keys)
        # Not -inf: a row without a real token would be NaN. Its equal weights are undone below.
        scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        return torch.softmax(scores, -1).masked_fill(hidden, 0)


@attentions.register("additive")
class AdditiveAttention(ScoredAttention):
    """score(q, m) = v . tanh(W q + U m + b) (Bahdanau et al. 2015, appendix A.1.2).

    U m is computed once a source. `size` is the width of the layer, by default that of the cell's
    output. In training it holds `[batch, time, source_time, size]` at once.
    """

    def __init__(self, query_size: int, memory_size: int, size: Size | None = None) -> None:
        super().__init__(query_size, memory_size)
        size = query_size if size is None else size
        self.of_query = nn.Linear(query_size, size)
        self.of_memory = nn.Linear(memory_size, size, bias=False)
        self.of_layer = nn.Linear(size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """U m, `[batch, source_time, size]`."""
        return cast(Tensor, self.of_memory(memory))

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        layer = torch.tanh(self.of_query(queries).unsqueeze(2) + keys.unsqueeze(1))
        return cast(Tensor, self.of_layer(layer)).squeeze(-1)


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


@attentions.register("general")
class GeneralAttention(ScoredAttention):
    """score(q, m) = q . W m (Luong et al. 2015, equation 8); W m is computed once a source."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.of_memory = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """W m, `[batch, source_time, query]`."""
        return cast(Tensor, self.of_memory(memory))


@attentions.register("none")
class NoAttention(Attention):
    """No attention: the head reads the cell's output (Sutskever et al. 2014)."""

    looks = False

    def __init__(self, query_size: int) -> None:
        super().__init__()
        self.output_size = query_size

    def forward(
        self, queries: Tensor, keys: Tensor, memory: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        return queries, queries.new_zeros(*queries.shape[:2], mask.shape[1])
