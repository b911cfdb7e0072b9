"""What models share that label a source: positions, each of which the head reads for itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from seqgen.data.batches import PairBatch, Sources
from seqgen.decoders.stepper import Start
from seqgen.dropout import Dropout
from seqgen.encoders import Encoder
from seqgen.errors import DataError
from seqgen.heads import HeadFactory, heads
from seqgen.models.base import Generative, Loss, Score
from seqgen.models.masking import real
from seqgen.models.scoring import scored
from seqgen.state import State
from seqgen.tokenizers import PAD
from seqgen.tokenizers.facts import Facts


class Labelling(Generative, ABC):
    """A model whose targets do not depend on one another, given the source.

    A subclass says what the head reads at each position. So the probability of a sequence of labels
    is the product of theirs, the best sequence has the best label at each position, and every
    decoder works as for other models: its step gives what the position has, whatever was chosen
    before.
    """

    def __init__(
        self, encoder: Encoder, head: HeadFactory, sizes: tuple[int, int], dropout: float
    ) -> None:
        """`sizes` are those of what the head reads and of its vocabulary."""
        super().__init__()
        self.encoder = encoder
        self.head = heads.build(head, input_size=sizes[0], vocab_size=sizes[1])
        self.dropout = Dropout(dropout)

    @abstractmethod
    def positions(self, sources: Sources) -> Tensor:
        """What there is to read, `[batch, time, input]`, with zeros behind the end of a row."""

    def weighed(self, losses: Tensor, targets: Tensor) -> Tensor:
        """The losses as they count in training, `[batch, time]`; by default as they are."""
        return losses

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        """The encoder knows the tokens of the source, the head those of the target."""
        self.encoder.initialise(facts)
        self.head.initialise(facts["target"])

    def loss(self, batch: PairBatch, state: State = None) -> Loss:
        """The sum of nats over the real targets."""
        losses = self.head.loss(self._read(batch), batch.targets)
        losses = self.weighed(losses, batch.targets) if self.training else losses
        return Loss(real(losses, batch.lengths).sum(), batch.tokens, None)

    def score(self, batch: PairBatch, state: State = None) -> Score:
        """Nats and hits of each target, `[batch, time]`."""
        return scored(self.head, self._read(batch), batch.targets, batch.lengths)

    def start(self, batch: Sources) -> Start:
        """All is worked out here: the context are the log-probabilities of each position, `[batch,
        time + 1, vocab]`, and the state is the position where a row is.

        The last of them, a vector of zeros to the head, is for rows that are asked for more.
        """
        hidden = nn.functional.pad(self.dropout(self.positions(batch)), (0, 0, 0, 1))
        first = torch.zeros_like(batch.lengths)
        return Start(torch.full_like(first, PAD), first, self.head.log_probs(hidden))

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """What the position of each row has, `[rows, vocab]`; `tokens: [rows]` do not matter."""
        position, log_probs = cast(Tensor, state), cast(Tensor, context)
        each = len(tokens) // max(1, len(log_probs))
        sources = torch.arange(len(log_probs), device=tokens.device).repeat_interleave(each)
        there = position.clamp(max=log_probs.shape[1] - 1)
        return log_probs[sources, there], position + 1

    def _read(self, batch: PairBatch) -> Tensor:
        """What the head reads of each target. Errors: DataError where they do not fit."""
        hidden = self.positions(batch.sources)
        if hidden.shape[:2] != batch.targets.shape:
            raise DataError(
                f"a {type(self).__name__.lower()} gives {hidden.shape[1]} labels for a source of "
                f"{batch.sources.values.shape[1]} tokens, but the target has "
                f"{batch.targets.shape[1]}: it needs another kind of data"
            )
        dropped: Tensor = self.dropout(hidden)
        return dropped
