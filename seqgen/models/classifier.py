"""The model `classifier`: one label for the whole source (many to one)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from seqgen.data.batches import Sources
from seqgen.encoders import EncoderFactory, encoders
from seqgen.heads import HeadFactory, LinearHead
from seqgen.models.base import models
from seqgen.models.labelling import Labelling
from seqgen.options import Share


@models.register("classifier")
class Classifier(Labelling):
    """Encoder, pooling, head: `p(label | the source)`.

    `pooling` says what the head reads: with `last` the encoder's summary, which is what its cells
    remember at the end; with `mean` and `max` that of the outputs at all tokens, number by number.
    `dropout` falls on it.
    """

    def __init__(
        self,
        vocab_size: int,
        source: Mapping[str, int],
        encoder: EncoderFactory,
        head: HeadFactory = LinearHead,
        pooling: Literal["last", "mean", "max"] = "last",
        dropout: Share = 0.0,
    ) -> None:
        made = encoders.build(encoder, **source)
        if pooling != "last" and not made.memory_size:
            raise ValueError(
                f"`pooling` must be last for an encoder without outputs, but is {pooling}"
            )
        size = made.summary_size if pooling == "last" else made.memory_size
        super().__init__(made, head, (size, vocab_size), dropout)
        self.pooling = pooling

    def positions(self, sources: Sources) -> Tensor:
        """A single one, `[batch, 1, size]`; zeros for the mean or maximum of no tokens."""
        summary, memory, mask = self.encoder(sources)
        if self.pooling == "last":
            pooled: Tensor = summary
        elif self.pooling == "mean":  # the memory is zero in padding
            pooled = memory.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        else:
            pooled = _maximum(memory, mask)
        return pooled.unsqueeze(1)


def _maximum(memory: Tensor, mask: Tensor) -> Tensor:
    """`[batch, size]`, the maximum over the real tokens of `memory: [batch, source_time, size]`."""
    lowest = float("-inf")
    # One place more, that is chosen only where there is no token: then it is 0.
    extra = memory.new_zeros(memory.shape[0], 1, memory.shape[2])
    extra = extra.masked_fill(mask.any(1)[:, None, None], lowest)
    return torch.cat([memory.masked_fill(~mask.unsqueeze(2), lowest), extra], 1).amax(1)
