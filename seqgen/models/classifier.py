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
from seqgen.tokenizers.facts import Facts


@models.register("classifier")
class Classifier(Labelling):
    """Encoder, pooling, head: `p(label | the source)`.

    `pooling` says what the head reads: with `last` the encoder's summary, which is what its cells
    remember at the end; with `mean` and `max` that of the outputs at all tokens, number by number.
    `dropout` falls on it.

    Where some classes are much rarer than others, a model does best by hardly ever naming them.
    With `balance` b the training loss of a row of class c counts w(c) = n(c)^-b / mean, where n is
    how many training rows the class has and the mean is over all rows: 0 leaves all rows alike, 1
    gives all classes the same weight together. Evaluation is not weighed.
    """

    def __init__(
        self,
        vocab_size: int,
        source: Mapping[str, int],
        encoder: EncoderFactory,
        head: HeadFactory = LinearHead,
        pooling: Literal["last", "mean", "max"] = "last",
        dropout: Share = 0.0,
        balance: Share = 0.0,
    ) -> None:
        made = encoders.build(encoder, **source)
        if pooling != "last" and not made.memory_size:
            raise ValueError(
                f"`pooling` must be last for an encoder without outputs, but is {pooling}"
            )
        size = made.summary_size if pooling == "last" else made.memory_size
        super().__init__(made, head, (size, vocab_size), dropout)
        self.pooling = pooling
        self.balance = balance
        self.weights: Tensor
        self.register_buffer("weights", torch.ones(vocab_size))

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        """Also the weights of the classes, from how often they are there."""
        super().initialise(facts)
        counts = facts["target"].counts
        if counts is not None and self.balance:
            rows = torch.from_numpy(counts).to(self.weights)
            weights = torch.where(rows > 0, rows.clamp(min=1) ** -self.balance, 0.0)
            self.weights.copy_(weights * (rows.sum() / (weights * rows).sum()))

    def weighed(self, losses: Tensor, targets: Tensor) -> Tensor:
        """Each row by its class."""
        return losses * self.weights[targets]

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
