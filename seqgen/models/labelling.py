"""The models that label a source: `tagger` each token of it, `classifier` the whole.

A *position* is a place that gets a label; the head reads each of them by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

from seqgen.cells import Dropout
from seqgen.data import PairBatch, Sources
from seqgen.decoders import Start
from seqgen.encoders import Encoded, Encoder, EncoderFactory, encoders
from seqgen.errors import DataError
from seqgen.heads import Head, HeadFactory, LinearHead, heads
from seqgen.models.base import Generative, Loss, Score, mask_padding, models, scored
from seqgen.options import Share
from seqgen.state import State
from seqgen.tokenizers import PAD, Facts


class Labelling(Generative, ABC):
    """A model whose targets do not depend on one another, given the source.

    A subclass says what the head reads at each position. So the probability of a sequence of labels
    is the product of theirs, the best sequence has the best label at each position, and every
    decoder works as for other models: its step gives what the position has, whatever was chosen
    before.
    """

    def __init__(self, encoder: Encoder, head: Head, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.dropout = Dropout(dropout)

    @abstractmethod
    def positions(self, sources: Sources) -> Tensor:
        """What the head reads at each position, `[batch, time, input]`; zeros after a row's end."""

    def weighted(self, losses: Tensor, targets: Tensor) -> Tensor:
        """The losses as they count in training, `[batch, time]`; by default as they are."""
        return losses

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        self.encoder.initialise(facts)
        self.head.initialise(facts["target"])

    def loss(self, batch: PairBatch, state: State = None) -> Loss:
        losses = self.head.loss(self._read(batch), batch.targets)
        losses = self.weighted(losses, batch.targets) if self.training else losses
        return Loss(mask_padding(losses, batch.lengths).sum(), batch.tokens, None)

    def score(self, batch: PairBatch, state: State = None) -> Score:
        return scored(self.head, self._read(batch), batch.targets, batch.lengths)

    def start(self, batch: Sources) -> Start:
        """All is computed here: the context are the log-probabilities of each position, `[batch,
        time + 1, vocab]`, and the state is the position of each row.

        The last of them, a vector of zeros to the head, is for rows that are asked for more.
        """
        hidden = nn.functional.pad(self.dropout(self.positions(batch)), (0, 0, 0, 1))
        first = torch.zeros_like(batch.lengths)
        return Start(torch.full_like(first, PAD), first, self.head.log_probs(hidden))

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """The log-probabilities at the position of each row; `tokens` do not matter."""
        position, log_probs = cast(Tensor, state), cast(Tensor, context)
        each = len(tokens) // max(1, len(log_probs))
        sources = torch.arange(len(tokens), device=tokens.device) // max(1, each)
        there = position.clamp(max=log_probs.shape[1] - 1)
        return log_probs[sources, there], position + 1

    def _read(self, batch: PairBatch) -> Tensor:
        """What the head reads of each target. Raises DataError if they do not fit."""
        hidden = self.positions(batch.sources)
        if hidden.shape[:2] != batch.targets.shape:
            raise DataError(
                f"a {type(self).__name__.lower()} gives {hidden.shape[1]} labels for a source of "
                f"{batch.sources.values.shape[1]} tokens, but the target has "
                f"{batch.targets.shape[1]}: it needs another kind of data"
            )
        return cast(Tensor, self.dropout(hidden))


@models.register("tagger")
class Tagger(Labelling):
    """Encoder and head, one output for each input: `p(label | the source, its place)`.

    With the encoder `recurrent` a label knows the tokens up to its own, with `bidirectional` those
    after it too. `dropout` falls on what the head reads.
    """

    def __init__(
        self,
        vocab_size: int,
        source: Mapping[str, int],
        encoder: EncoderFactory,
        head: HeadFactory = LinearHead,
        dropout: Share = 0.0,
    ) -> None:
        made = encoders.build(encoder, **source)
        if not made.memory_size:
            raise ValueError("`encoder` must have an output for each token, but has none")
        sizes = {"input_size": made.memory_size, "vocab_size": vocab_size}
        super().__init__(made, heads.build(head, **sizes), dropout)

    def positions(self, sources: Sources) -> Tensor:
        return cast(Tensor, self.encoder(sources).memory)


@models.register("classifier")
class Classifier(Labelling):
    """Encoder, pooling, head: `p(label | the source)`.

    `pooling` says what the head reads: with `last` the encoder's summary, which is what its cells
    remember at the end; with `mean` and `max` that of the outputs at all tokens, number by number.
    `dropout` falls on it.

    Where some classes are much rarer than others, a model does best by hardly ever naming them.
    With `balance` b the training loss of a row of class c counts w(c) = n(c)^-b / mean, where n is
    how many training rows the class has and the mean is over all rows: 0 leaves all rows alike, 1
    gives all classes the same weight together. Evaluation is not weighted.
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
        super().__init__(made, heads.build(head, input_size=size, vocab_size=vocab_size), dropout)
        self.pooling = pooling
        self.balance = balance
        self.weights: Tensor
        self.register_buffer("weights", torch.ones(vocab_size))

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        super().initialise(facts)
        counts = facts["target"].counts
        if counts is not None and self.balance:
            rows = torch.from_numpy(counts).to(self.weights)
            weights = torch.where(rows > 0, rows.clamp(min=1) ** -self.balance, 0.0)
            self.weights.copy_(weights * (rows.sum() / (weights * rows).sum()))

    def weighted(self, losses: Tensor, targets: Tensor) -> Tensor:
        return losses * self.weights[targets]

    def positions(self, sources: Sources) -> Tensor:
        """A single one, `[batch, 1, size]`; zeros for the mean or maximum of no tokens."""
        summary, memory, mask = cast(Encoded, self.encoder(sources))
        if self.pooling == "last":
            return summary.unsqueeze(1)
        if self.pooling == "mean":  # the memory is zero in padding
            return memory.sum(1, keepdim=True) / mask.sum(1).clamp(min=1)[:, None, None]
        # One place more, which is chosen only where there is no token: then it is 0.
        chosen = torch.cat([mask, ~mask.any(1, keepdim=True)], 1).unsqueeze(2)
        every = nn.functional.pad(memory, (0, 0, 0, 1)).masked_fill(~chosen, float("-inf"))
        return every.amax(1, keepdim=True)
