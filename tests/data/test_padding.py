"""Padding: rows as one tensor."""

import torch

from seqgen.data.padding import begun, ended, padded
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
