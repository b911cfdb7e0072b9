"""Steppers in which other models read along, for constraints that combine several models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from seqgen.decoders.stepper import Start, Stepper
from seqgen.state import State

Combine = Callable[[Tensor, list[Tensor]], Tensor]
"""From a stepper's scores and those of the others, each `[rows, vocab]`, the scores to search by.
All are log-probabilities; where the first one's are -inf, what is returned does not matter."""


class Reader(Protocol):
    """A model that can read a batch and take steps from there."""

    def start(self, batch: Any) -> Start:
        """The start of each source."""
        ...

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """As that of a Stepper."""
        ...


def read_along(
    begun: tuple[Stepper, Start],
    others: Sequence[Reader],
    batch: Any,
    combine: Combine,
) -> tuple[Stepper, Start]:
    """A stepper and a start in which `others` read, too, and `combine` makes one score of all.

    Tokens that are impossible to the first stepper stay so.
    """
    stepper, start = begun
    starts = [other.start(batch) for other in others]
    # What each model reads first is its own; from the second step on, all read the same.
    states = tuple((each.tokens, each.state) for each in starts)
    both = start._replace(
        state=(start.state, states),
        context=(start.context, tuple(each.context for each in starts)),
    )
    return _Beside(stepper, others, combine), both


class _Beside:
    """A stepper with readers beside it, whose states and contexts stand beside its own."""

    def __init__(self, stepper: Stepper, others: Sequence[Reader], combine: Combine) -> None:
        self.stepper = stepper
        self.others = others
        self.combine = combine

    def step(self, tokens: Tensor, state: Any, context: Any) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`."""
        inner, states = state
        own_context, contexts = context
        log_probs, inner = self.stepper.step(tokens, inner, own_context)
        scores, after = [], []
        for other, (first, before), theirs in zip(self.others, states, contexts, strict=True):
            score, behind = other.step(torch.where(first < 0, tokens, first), before, theirs)
            scores.append(score)
            after.append((torch.full_like(first, -1), behind))
        combined = self.combine(log_probs, scores)
        possible = log_probs != float("-inf")  # NaN stays NaN: the search must see it
        return torch.where(possible, combined, float("-inf")), (inner, tuple(after))
