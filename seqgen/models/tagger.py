"""The model `tagger`: a label for each token of the source."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from seqgen.data.batches import Sources
from seqgen.encoders import EncoderFactory, encoders
from seqgen.heads import HeadFactory, LinearHead
from seqgen.models.base import models
from seqgen.models.labelling import Labelling
from seqgen.options import Share


@models.register("tagger")
class Tagger(Labelling):
    """Encoder and head, one output for each input: `p(label | the source, its place)`.

    With the encoder `recurrent` a label knows the tokens up to its own, with `bidirectional` those
    behind it too. `dropout` falls on what the head reads.
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
        super().__init__(made, head, (made.memory_size, vocab_size), dropout)

    def positions(self, sources: Sources) -> Tensor:
        """The encoder's memory, `[batch, source_time, memory_size]`."""
        memory: Tensor = self.encoder(sources).memory
        return memory
