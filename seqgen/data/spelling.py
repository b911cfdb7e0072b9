"""Spelling: the letters of the words of a batch as one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor

from seqgen.data.padding import padded


def spelt(rows: Sequence[Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
    """The letters of each word of each row as `[batch, time, letter_time]` with PAD behind them,
    and their number as `[batch, time]`, which is 0 where a row has no word any more.

    Neither `time` nor `letter_time` is less than 1.
    """
    words = torch.tensor([len(row) for row in rows], dtype=torch.long)
    time = max([1, *map(len, rows)])
    values, counts = padded(list(chain.from_iterable(rows)))
    real = torch.arange(time) < words.unsqueeze(1)  # [batch, time], as many as there are words
    letters = values.new_zeros(len(rows), time, max(1, values.shape[1]))
    lengths = words.new_zeros(len(rows), time)
    letters[real, : values.shape[1]] = values
    lengths[real] = counts
    return letters, lengths
