"""The encoder `bidirectional`: in each layer a cell reads forwards and another one backwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from seqgen.cells import Cell, CellFactory, cells
from seqgen.data.batches import Sources
from seqgen.dropout import Dropout
from seqgen.embeddings import EmbeddingFactory, LearnedEmbedding
from seqgen.encoders.base import Encoded, Encoder, EncoderFactory, encoders
from seqgen.encoders.rows import real_tokens, reverse, unless_full
from seqgen.encoders.token_vectors import TokenVectors
from seqgen.options import Few, Share
from seqgen.tokenizers.facts import Facts


@encoders.register("bidirectional")
class Bidirectional(Encoder):
    """Two cells of one kind in each layer (Schuster and Paliwal 1997; Graves et al. 2013).

    One reads a row from its first token to its last, the other from its last to its first. Their
    outputs for a token stand side by side; the next of the `layers` reads both, so each layer has
    seen the whole source, where a cell with layers of its own has two ways that meet at the top.
    The memory are the outputs of the top layer.

    The summary has what each cell remembers at its end, of all layers from the bottom up, forwards
    before backwards: a bridge then learns itself what a decoder of several layers needs of it.

    `letters` is an encoder for the letters of each token, see TokenVectors. `input_dropout` falls
    on what the lowest layer reads, `dropout` on each layer's outputs: between layers, and on the
    memory.
    """

    def __init__(
        self,
        vocab_size: int,
        cell: CellFactory,
        layers: Few = 1,
        embedding: EmbeddingFactory = LearnedEmbedding,
        letters: EncoderFactory | None = None,
        dropout: Share = 0.0,
        input_dropout: Share = 0.0,
        letters_size: int | None = None,
    ) -> None:
        super().__init__()
        self.vectors = TokenVectors(vocab_size, letters_size, embedding, letters, input_dropout)
        self.forwards, self.backwards = nn.ModuleList(), nn.ModuleList()
        size, self.summary_size = self.vectors.output_size, 0
        for _ in range(layers):
            pair = [cells.build(cell, input_size=size) for _ in range(2)]
            self.forwards.append(pair[0])
            self.backwards.append(pair[1])
            size = sum(each.output_size for each in pair)
            self.summary_size += sum(each.summary_size for each in pair)
        self.memory_size = size
        self.dropout = Dropout(dropout)

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        """What reads tokens and letters."""
        self.vectors.initialise(facts)

    def forward(self, sources: Sources) -> Encoded:
        """A row without tokens is summed up by the cells' initial states."""
        time = sources.values.shape[1]
        lengths = unless_full(sources.lengths, time)
        xs: Tensor = self.vectors(sources)
        summaries = []
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            ahead, last = forwards(xs, None, lengths)
            behind, first = backwards(reverse(xs, lengths), None, lengths)
            xs = self.dropout(torch.cat([ahead, reverse(behind, lengths)], 2))
            summaries += [cast(Cell, forwards).summary(last), cast(Cell, backwards).summary(first)]
        return Encoded(torch.cat(summaries, 1), xs, real_tokens(sources.lengths, time))
