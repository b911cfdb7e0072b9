"""The encoder `recurrent`: a cell reads the source from its first token to its last."""

from __future__ import annotations

from collections.abc import Mapping

from seqgen.cells import CellFactory, cells
from seqgen.data.batches import Sources
from seqgen.dropout import Dropout
from seqgen.embeddings import EmbeddingFactory, LearnedEmbedding
from seqgen.encoders.base import Encoded, Encoder, EncoderFactory, encoders
from seqgen.encoders.rows import real_tokens, unless_full
from seqgen.encoders.token_vectors import TokenVectors
from seqgen.options import Share
from seqgen.tokenizers.facts import Facts


@encoders.register("recurrent")
class Recurrent(Encoder):
    """A cell reads each row up to its end; how deep it is, the cell says (`layers`, or a `stack`).

    The memory are the cell's outputs, the summary is what it remembers behind the last token (for
    an LSTM its hidden and memory of every layer). `letters` is an encoder for the letters of each
    token, see TokenVectors. `input_dropout` falls on what the cell reads, `dropout` on the memory.
    """

    def __init__(
        self,
        vocab_size: int,
        cell: CellFactory,
        embedding: EmbeddingFactory = LearnedEmbedding,
        letters: EncoderFactory | None = None,
        dropout: Share = 0.0,
        input_dropout: Share = 0.0,
        letters_size: int | None = None,
    ) -> None:
        super().__init__()
        self.vectors = TokenVectors(vocab_size, letters_size, embedding, letters, input_dropout)
        self.cell = cells.build(cell, input_size=self.vectors.output_size)
        self.dropout = Dropout(dropout)
        self.memory_size = self.cell.output_size
        self.summary_size = self.cell.summary_size

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        """What reads tokens and letters."""
        self.vectors.initialise(facts)

    def forward(self, sources: Sources) -> Encoded:
        """A row without tokens is summed up by the cell's initial state."""
        time = sources.values.shape[1]
        outputs, state = self.cell(self.vectors(sources), None, unless_full(sources.lengths, time))
        mask = real_tokens(sources.lengths, time)
        return Encoded(self.cell.summary(state), self.dropout(outputs), mask)
