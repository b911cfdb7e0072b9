"""Scoring targets by a head, a few moments at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from seqgen.heads import Head
from seqgen.models.base import Score
from seqgen.models.masking import real
from seqgen.state import State

SCORED_AT_ONCE = 32
"""For how many moments all log-probabilities are there at once."""


def scored(
    head: Head, hidden: Tensor, targets: Tensor, lengths: Tensor | None, state: State = None
) -> Score:
    """The Score of `targets: [batch, time]` from `hidden: [batch, time, input]`."""
    nats, predicted = [], []
    parts = zip(
        torch.split(hidden, SCORED_AT_ONCE, 1), torch.split(targets, SCORED_AT_ONCE, 1), strict=True
    )
    for some, wanted in parts:
        log_probs = head.log_probs(some)
        nats.append(-log_probs.gather(-1, wanted.unsqueeze(-1)).squeeze(-1))
        predicted.append(log_probs.argmax(-1))
    first = torch.cat(predicted, 1)
    return Score(
        real(torch.cat(nats, 1), lengths),
        real(first == targets, lengths),
        real(first, lengths),
        state,
    )
