"""Batches of pairs whose rows end at different places, for models that read sources."""

from dataclasses import replace

import pytest
import torch

from seqgen.data import PairBatch, Sources

WORDS, LETTERS, LABELS = 9, 8, 6
LENGTHS = (3, 0, 1, 6, 4)


def drawn(high, *shape, seed=2):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def behind(lengths, time):
    return torch.arange(time) >= lengths.unsqueeze(1)


@pytest.fixture
def source():
    """What an encoder must know of these sources."""
    return {"vocab_size": WORDS, "letters_size": LETTERS}


@pytest.fixture
def sources():
    """A function from lengths to sources of words and letters; only padding has word 8, letter 7.

    The words are the same whatever the lengths.
    """

    def make(lengths=LENGTHS, time=None):
        lengths = torch.tensor(lengths, dtype=torch.long)
        time = max([*lengths.tolist(), 0]) if time is None else time
        words = drawn(WORDS - 1, len(lengths), 12)[:, :time]
        letters, sizes = drawn(LETTERS - 1, WORDS, 4)[words], (torch.arange(WORDS) % 5)[words]
        gone = behind(lengths, time)
        return Sources(
            words.masked_fill(gone, WORDS - 1),
            lengths,
            letters.masked_fill(gone.unsqueeze(2), LETTERS - 1),
            sizes.masked_fill(gone, 0),
        )

    return make


@pytest.fixture
def pairs():
    """A function from sources to a batch with a target for each word, or with one for each row."""

    def make(sources, single):
        rows, time = sources.values.shape
        lengths = torch.ones_like(sources.lengths) if single else sources.lengths
        targets = drawn(LABELS, rows, 12, seed=3)[:, : 1 if single else time]
        targets = targets.masked_fill(behind(lengths, targets.shape[1]), 0)
        return PairBatch(sources, torch.zeros_like(targets), targets, lengths, torch.arange(rows))

    return make


@pytest.fixture
def row_of():
    """A function from a batch of pairs and a row's number to that row alone, without padding."""

    def take(batch, row):
        here, size = batch.sources, int(batch.lengths[row])
        time = int(here.lengths[row])
        source = Sources(
            here.values[[row], :time],
            here.lengths[[row]],
            here.letters[[row], :time],
            here.letter_lengths[[row], :time],
        )
        inputs, targets = batch.inputs[[row], :size], batch.targets[[row], :size]
        return PairBatch(source, inputs, targets, batch.lengths[[row]], batch.row_ids[[row]])

    return take


@pytest.fixture
def other_padding():
    """A function that changes all in a batch of pairs that is behind the end of something."""

    def change(batch):
        here, width = batch.sources, batch.sources.letters.shape[2]
        gone = behind(here.lengths, here.values.shape[1])
        unspelt = torch.arange(width) >= here.letter_lengths.unsqueeze(2)
        source = replace(
            here,
            values=here.values.masked_fill(gone, 0),
            letters=here.letters.masked_fill(unspelt, 1).masked_fill(gone.unsqueeze(2), 2),
            letter_lengths=here.letter_lengths.masked_fill(gone, width),
        )
        targets = batch.targets
        targets = targets.masked_fill(behind(batch.lengths, targets.shape[1]), LABELS - 1)
        return replace(batch, sources=source, targets=targets)

    return change
