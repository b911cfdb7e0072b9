"""Padding: rows of different length as one tensor, and what is read and predicted of a sequence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seqgen.tokenizers.base import BOS, EOS, PAD

_END = torch.tensor([EOS])


def padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of tokens as `[batch, time]`, PAD behind the shorter ones, and `lengths: [batch]`."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    if not rows:
        return lengths.new_zeros(0, 0), lengths
    return pad_sequence(list(rows), batch_first=True, padding_value=PAD), lengths


def ended(tokens: Tensor) -> Tensor:
    """`tokens: [time]` with EOS behind."""
    return torch.cat([tokens, _END])


def begun(rows: Sequence[Tensor]) -> Tensor:
    """What is read to predict `rows`: BOS, then each row but for its last token.

    `[batch, time]`, padded like the rows themselves.
    """
    targets, lengths = padded(rows)
    real = torch.arange(targets.shape[1]) < lengths.unsqueeze(1)
    before = torch.cat([torch.full_like(targets[:, :1], BOS), targets[:, :-1]], dim=1)
    return before.masked_fill(~real, PAD)
