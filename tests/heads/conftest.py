"""Heads as tests need them: by name, with the table of an embedding."""

import pytest
import torch

from seqgen.embeddings import LearnedEmbedding
from seqgen.heads import heads

VOCAB = 7


@pytest.fixture
def make(small):
    """A function that builds the head of a name, by default with a learned embedding."""

    def build(name, input_size=5, embedding=None):
        torch.manual_seed(1)
        embedding = LearnedEmbedding(VOCAB, 5) if embedding is None else embedding
        spec = small(heads, name)
        return heads.build(spec, input_size=input_size, vocab_size=VOCAB, table=embedding.table)

    return build
