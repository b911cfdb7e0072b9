"""Small encoders of every kind, and sources for them whose rows end at different places."""

from dataclasses import replace

import pytest
import torch

from seqgen.data import Sources
from seqgen.encoders import encoders

VOCAB, LETTERS, VECTOR = 9, 8, 3
LENGTHS = (3, 0, 1, 6, 4)
PADDING = 8
"""A token, and one of the letters, that stand in padding only."""


def drawn(high, *shape):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(2))


def letters_of(tokens):
    """Each token is spelt by 0 to 4 letters, always the same ones."""
    table, sizes = drawn(LETTERS - 1, VOCAB, 4), torch.arange(VOCAB) % 5
    return table[tokens], sizes[tokens]


@pytest.fixture
def sources():
    """A function from lengths to tokens and letters; padding has a token and letters of its own."""

    def make(lengths=LENGTHS, time=None):
        lengths = torch.tensor(lengths, dtype=torch.long)
        time = max([*lengths.tolist(), 0]) if time is None else time
        tokens = drawn(VOCAB - 1, len(lengths), 12)[:, :time]
        letters, sizes = letters_of(tokens)
        behind = torch.arange(time) >= lengths.unsqueeze(1)
        tokens = tokens.masked_fill(behind, PADDING)
        letters = letters.masked_fill(behind.unsqueeze(2), LETTERS - 1)
        return Sources(tokens, lengths, letters, sizes.masked_fill(behind, 0))

    return make


@pytest.fixture
def other_padding():
    """A function that changes all in some sources that is behind the end of something."""

    def change(sources):
        behind = torch.arange(sources.values.shape[1]) >= sources.lengths.unsqueeze(1)
        width = sources.letters.shape[2]
        unspelt = torch.arange(width) >= sources.letter_lengths.unsqueeze(2)
        return replace(
            sources,
            values=sources.values.masked_fill(behind, 0),
            letters=sources.letters.masked_fill(unspelt, 1).masked_fill(behind.unsqueeze(2), 2),
            letter_lengths=sources.letter_lengths.masked_fill(behind, width),
        )

    return change


@pytest.fixture
def row_of():
    """A function from sources and a row's number to that row alone, without padding."""

    def take(sources, row):
        length = int(sources.lengths[row])
        return Sources(
            sources.values[[row], :length],
            sources.lengths[[row]],
            sources.letters[[row], :length],
            sources.letter_lengths[[row], :length],
        )

    return take


@pytest.fixture
def build():
    """A function from a spec to one and the same encoder, in evaluation mode."""

    def make(spec, **others):
        torch.manual_seed(1)
        sizes = {"vocab_size": VOCAB, "letters_size": LETTERS, "vector_size": VECTOR}
        return encoders.build(spec, **{**sizes, **others}).eval()

    return make
