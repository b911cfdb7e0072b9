"""The constraint `minimum_length`: no sequence ends before it has so many tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqgen.decoders.constraint import Constraint, constraints
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
        """The stepper and its start, whose state has beside it how many tokens each row lacks, and
        how many it may have."""
        least = self.least_tokens(batch)
        lacking = torch.zeros_like(start.tokens) + (
            least.to(start.tokens.device) if isinstance(least, Tensor) else least
        )
        state = (start.state, lacking, limits.lengths(start))
        return _NotYet(stepper, limits.ends), start._replace(state=state)

    def least_tokens(self, batch: Any) -> int | Tensor:
        """`length`, or more of them for a long source."""
        if not self.ratio:
            return self.length
        share: Tensor = (batch.lengths * self.ratio).long()
        return share.clamp(min=self.length)


class _NotYet:
    """A stepper without end tokens for the rows that lack tokens."""

    def __init__(self, stepper: Stepper, ends: tuple[int, ...]) -> None:
        self.stepper = stepper
        self.ends = list(ends)

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`."""
        inner, lacking, left = state
        log_probs, inner = self.stepper.step(tokens, inner, context)
        following = (inner, lacking - 1, left - 1)
        # The last token cannot make up for several.
        banned = ((left == 1) & (lacking > 1)).unsqueeze(1).repeat(1, log_probs.shape[1])
        banned[:, self.ends] |= (lacking > 0).unsqueeze(1)
        return log_probs.masked_fill(banned, float("-inf")), following
