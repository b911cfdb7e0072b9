"""The constraint `minimum_length`: no sequence ends before it has so many tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqgen.decoders.constraint import Constraint, constraints
from seqgen.decoders.past import keep_one
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.options import Count, NonNegativeFloat
from seqgen.state import State


@constraints.register("minimum_length")
class MinimumLength(Constraint):
    """End tokens are impossible before a sequence has `length` tokens, and before it has `ratio`
    times as many as its source (rounded down); the other scores stay as they are.

    The end token itself is not counted: `length: 3` means three tokens and then the end, if
    `max_length` has room for both. A source's tokens are those that the model reads.
    """

    def __init__(self, length: Count = 0, ratio: NonNegativeFloat = 0.0) -> None:
        for name, value in (("length", length), ("ratio", ratio)):
            if value < 0:
                raise ValueError(f"`{name}` must be at least 0, but is {value}")
        self.length = length
        self.ratio = ratio

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """The stepper and its start, whose state has beside it how many tokens each row lacks."""
        lacking = torch.full_like(start.tokens, self.length)
        if self.ratio:
            lacking = lacking.maximum((batch.lengths * self.ratio).long().to(lacking.device))
        return _NotYet(stepper, limits.ends), start._replace(state=(start.state, lacking))


class _NotYet:
    """A stepper without end tokens for the rows that lack tokens."""

    def __init__(self, stepper: Stepper, ends: tuple[int, ...]) -> None:
        self.stepper = stepper
        self.ends = ends

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`."""
        inner, lacking = state
        log_probs, inner = self.stepper.step(tokens, inner, context)
        following = (inner, lacking - 1)
        if not self.ends:
            return log_probs, following
        changed, ends = log_probs.clone(), list(self.ends)
        early = (lacking > 0).unsqueeze(1)
        changed[:, ends] = changed[:, ends].masked_fill(early, float("-inf"))
        return keep_one(changed, log_probs, self.ends), following
