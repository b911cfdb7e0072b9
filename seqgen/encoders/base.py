"""The contract of an encoder: a source to what a decoder starts from and may look back at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from seqgen.data.batches import Sources
from seqgen.registry import Registry
from seqgen.tokenizers.facts import Facts

encoders: Registry[Encoder] = Registry(
    "encoder", supplied={"vocab_size", "letters_size", "vector_size"}
)


class Encoded(NamedTuple):
    """What an encoder leaves.

    `summary: [batch, summary_size]` is the source as a whole. `memory: [batch, source_time,
    memory_size]` has a vector for each of its tokens, of which `mask: [batch, source_time]` says
    which are real; vectors behind the end of a row are zero.
    """

    summary: Tensor
    memory: Tensor
    mask: Tensor

    @classmethod
    def without_memory(cls, summary: Tensor) -> Encoded:
        """A summary alone: one place to look back at, `[batch, 1, 0]`, where nothing stands."""
        batch = summary.shape[0]
        mask = torch.ones(batch, 1, dtype=torch.bool, device=summary.device)
        return cls(summary, summary.new_zeros(batch, 1, 0), mask)


class Encoder(nn.Module, ABC):
    """Reads sources. What it says of a row does not depend on the padding behind it.

    A `memory_size` of 0 means that there is nothing to look back at.
    """

    summary_size: int
    memory_size: int

    @abstractmethod
    def forward(self, sources: Sources) -> Encoded:
        """Read a batch of sources."""

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        """Start a new run from what is known of each role's vocabulary, `source` and `letters`;
        never called on loaded weights."""


EncoderFactory = Annotated[Callable[..., Encoder], encoders]
"""Called with the sizes of the source, it returns the encoder: `vocab_size=`, and `letters_size=`
where tokens are spelt, or `vector_size=`."""
