"""TokenVectors, what a cell reads of each token of a source: its embedding, and how it is spelt."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from seqgen.data.batches import Sources
from seqgen.dropout import Dropout
from seqgen.embeddings import EmbeddingFactory, embeddings
from seqgen.encoders.base import EncoderFactory, encoders
from seqgen.encoders.rows import real_tokens
from seqgen.tokenizers.facts import Facts


class TokenVectors(nn.Module):
    """A vector for each token: `[batch, source_time, output_size]`.

    With `letters`, an encoder of its own reads the letters of each token, and its summary is joined
    to the embedding (Ling et al. 2015; Lample et al. 2016): so words that were rare in training, or
    not there at all, are known by how they are spelt. `dropout` falls on the whole.
    """

    def __init__(
        self,
        vocab_size: int,
        letters_size: int | None,
        embedding: EmbeddingFactory,
        letters: EncoderFactory | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embeddings.build(embedding, vocab_size=vocab_size)
        self.output_size = self.embedding.output_size
        self.letters = None
        if letters is not None:
            if letters_size is None:
                raise ValueError(
                    "`letters` needs a source whose tokens are spelt, but this one has no letters"
                )
            self.letters = encoders.build(letters, vocab_size=letters_size)
            self.output_size += self.letters.summary_size
        self.dropout = Dropout(dropout)

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        """The embedding knows the `source`; what reads letters has these as its source."""
        self.embedding.initialise(facts["source"])
        if self.letters is not None:
            self.letters.initialise({"source": facts["letters"]})

    def forward(self, sources: Sources) -> Tensor:
        """Also behind the ends of rows, where the vectors mean nothing."""
        vectors: Tensor = self.embedding(sources.values)
        if self.letters is not None:
            vectors = torch.cat([vectors, self._spelt(self.letters, sources)], 2)
        dropped: Tensor = self.dropout(vectors)
        return dropped

    def _spelt(self, letters: nn.Module, sources: Sources) -> Tensor:
        """The summary of each token's letters, `[batch, source_time, summary]`; zero in padding."""
        if sources.letters is None or sources.letter_lengths is None:
            raise ValueError("`sources` must have the letters of each token, but has none")
        real = real_tokens(sources.lengths, sources.values.shape[1])
        # Only the real tokens, as rows of a batch of their own.
        spelt = Sources(sources.letters[real], sources.letter_lengths[real])
        summary: Tensor = letters(spelt).summary
        joined = summary.new_zeros(*real.shape, summary.shape[1])
        return joined.index_put((real,), summary)
