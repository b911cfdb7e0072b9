"""Memories whose rows have different numbers of real tokens, and the attentions that read them."""

import pytest
import torch

from seqgen.attentions import attentions

SIZE = 4
LENGTHS = (3, 0, 1, 5)


class Scene:
    """What an attention is given: `[4, 2, 4]` queries and `[4, 5, 4]` memory, zero in padding."""

    def __init__(self, dtype=torch.float32, lengths=LENGTHS, time=5, moments=2):
        draw = torch.Generator().manual_seed(3)
        rows = len(lengths)
        self.queries = torch.randn(rows, moments, SIZE, generator=draw).to(dtype)
        self.mask = torch.arange(time) < torch.tensor(lengths, dtype=torch.long).unsqueeze(1)
        memory = 2 * torch.randn(rows, time, SIZE, generator=draw).to(dtype)
        self.memory = memory.masked_fill(~self.mask.unsqueeze(2), 0)

    def read(self, attention):
        """What the attention makes of it: what is read, and the weights."""
        return attention(self.queries, attention.keys(self.memory), self.memory, self.mask)


@pytest.fixture
def make_scene():
    return Scene


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def build():
    """A function from an attention's name, or more of it, to one and the same."""

    def make(spec, query_size=SIZE, memory_size=SIZE):
        torch.manual_seed(1)
        return attentions.build(spec, query_size=query_size, memory_size=memory_size)

    return make
