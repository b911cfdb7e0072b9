"""Heads as tests need them: by name, with a learned table or a fixed one."""

import pytest
import torch

from seqgen.heads import heads

VOCAB = 7


@pytest.fixture
def make(small):
    """A function that builds the head of a name, by default with a learned table."""

    def build(name, input_size=5, table=None):
        torch.manual_seed(1)
        if table is None:
            table = torch.nn.Parameter(torch.randn(VOCAB, 5))
        spec = small(heads, name)
        return heads.build(spec, input_size=input_size, vocab_size=VOCAB, table=table)

    return build
