"""The encoder `label`: a category, of which everything that follows is made (one to many)."""

from __future__ import annotations

from torch import nn

from seqgen.data.batches import Sources
from seqgen.embeddings import LearnedEmbedding
from seqgen.encoders.base import Encoded, Encoder, encoders
from seqgen.options import Size
from seqgen.tokenizers import PAD


@encoders.register("label")
class Label(Encoder):
    """The first token of each source as a vector of `size` numbers, and nothing to look back at.

    What stands behind that token (EOS) is not read; a source without tokens counts as padding.
    """

    memory_size = 0

    def __init__(self, vocab_size: int, size: Size = 64) -> None:
        super().__init__()
        self.embedding = LearnedEmbedding(vocab_size, size)
        self.summary_size = size

    def forward(self, sources: Sources) -> Encoded:
        """`values: [batch, source_time]`; the memory is `[batch, 1, 0]`."""
        # One place more, since there may be none at all.
        first = nn.functional.pad(sources.values, (0, 1), value=PAD)[:, 0]
        label = first.masked_fill(sources.lengths == 0, PAD)
        return Encoded.without_memory(self.embedding(label))
