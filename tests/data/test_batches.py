"""Padding: rows as one tensor."""

import torch

from seqgen.data import PairBatch, Sources
from seqgen.data.batches import begun, ended, padded
from seqgen.tokenizers import BOS, EOS, PAD

ROWS = [torch.tensor([5, 6, EOS]), torch.tensor([EOS]), torch.tensor([7, EOS])]


def test_shorter_rows_are_padded_behind():
    tokens, lengths = padded(ROWS)
    assert tokens.tolist() == [[5, 6, EOS], [EOS, PAD, PAD], [7, EOS, PAD]]
    assert lengths.tolist() == [3, 1, 2]
    assert tokens.dtype == lengths.dtype == torch.long


def test_rows_may_be_empty_and_there_may_be_none():
    tokens, lengths = padded([torch.tensor([], dtype=torch.long), torch.tensor([4])])
    assert tokens.tolist() == [[PAD], [4]]
    assert lengths.tolist() == [0, 1]
    tokens, lengths = padded([])
    assert (tokens.shape, lengths.shape) == ((0, 0), (0,))
    assert tokens.dtype == lengths.dtype == torch.long


def test_what_is_read_begins_with_bos_and_has_no_last_token():
    assert begun(ROWS).tolist() == [[BOS, 5, 6], [BOS, PAD, PAD], [BOS, 7, PAD]]


def test_an_end_is_put_behind():
    assert ended(torch.tensor([5, 6])).tolist() == [5, 6, EOS]
    assert ended(torch.tensor([], dtype=torch.long)).tolist() == [EOS]


# Batches of sources and targets: they count real targets, and move as a whole.


def batch():
    sources = Sources(torch.tensor([[4, 5, 2], [2, 0, 0]]), torch.tensor([3, 1]))
    targets = torch.tensor([[6, 2], [2, 0]])
    return PairBatch(sources, targets, targets, torch.tensor([2, 1]), torch.tensor([0, 1]))


def test_real_targets_are_counted_and_rows_are_wholes():
    assert batch().tokens == 3
    assert not batch().continues


def test_sources_move_with_their_targets():
    moved = batch().to("meta")
    tensors = [moved.inputs, moved.targets, moved.lengths, moved.numbers]
    tensors += [moved.sources.values, moved.sources.lengths]
    assert {each.device.type for each in tensors} == {"meta"}
    assert moved.sources.letters is None


def test_letters_move_too():
    letters = torch.zeros(1, 2, 3)
    moved = Sources(torch.zeros(1, 2), torch.tensor([2]), letters, torch.ones(1, 2)).to("meta")
    assert moved.letters.device.type == moved.letter_lengths.device.type == "meta"
