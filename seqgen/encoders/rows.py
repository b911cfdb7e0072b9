"""Rows of different length: which tokens are real, when lengths matter, and reading backwards."""

from __future__ import annotations

import torch
from torch import Tensor


def real_tokens(lengths: Tensor, time: int) -> Tensor:
    """`[batch, time]`, true in front of each row's end; `lengths: [batch]`."""
    return torch.arange(time, device=lengths.device) < lengths.unsqueeze(1)


def unless_full(lengths: Tensor, time: int) -> Tensor | None:
    """`lengths: [batch]`; None where every row is `time` long, for then no cell need look at them.

    That is common, since batches have rows of like length, and it is the fastest to read.
    """
    return None if bool((lengths == time).all()) else lengths


def reverse(xs: Tensor, lengths: Tensor | None) -> Tensor:
    """`xs: [batch, time, size]` with each row's own tokens in reverse; its padding stays behind.

    Twice in a row it is `xs` again. For a row of length 3 in a batch of time 5, the tokens come
    from these places::

        place             0  1  2  3  4
        length - 1 - it   2  1  0 -1 -2      what is negative belongs to the padding,
        taken from        2  1  0  3  4      which is taken from where it stands

    A plain flip would put the padding in front, and a cell would read that first.
    """
    if lengths is None:
        return xs.flip(1)
    batch, time, size = xs.shape
    places = torch.arange(time, device=xs.device)
    mirrored = lengths.to(xs.device).unsqueeze(1) - 1 - places
    taken = torch.where(mirrored >= 0, mirrored, places)
    # One long list of all tokens of the batch: whole vectors are copied then, number by number not.
    taken = taken + time * torch.arange(batch, device=xs.device).unsqueeze(1)
    return xs.reshape(-1, size).index_select(0, taken.flatten()).view(batch, time, size)
