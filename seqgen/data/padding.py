"""Padding: rows of different length as one tensor, and what is read and predicted of a sequence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seqgen.tokenizers.base import BOS, EOS, PAD


def padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of tokens as `[batch, time]`, PAD behind the shorter ones, and `lengths: [batch]`."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    if not rows:
        return lengths.new_zeros(0, 0), lengths
    return pad_sequence(list(rows), batch_first=True, padding_value=PAD), lengths


def ended(tokens: Tensor) -> Tensor:
    """`tokens: [time]` with EOS behind."""
    return torch.cat([tokens, tokens.new_tensor([EOS])])


def begun(rows: Sequence[Tensor]) -> Tensor:
    """What is read to predict `rows`: BOS, then each row but for its last token.

    `[batch, time]`, padded like the rows themselves.
    """
    begin = torch.tensor([BOS])
    return padded([torch.cat([begin, row[:-1]]) for row in rows])[0]
