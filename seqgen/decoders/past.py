"""Constraints that follow from the tokens generated so far, which travel with the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from seqgen.decoders.constraint import Constraint
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.state import State

FIRST_SIZE = 16
"""How many tokens there is room for at first."""


class Past(NamedTuple):
    """What each path has read: `read: [rows]` tokens, of at most `most: [rows]`.

    `shifted: [rows, size]` has them plus 1, and 0 behind them; the first one is what the search
    began from, the others are generated. The size doubles when it is used up, so memory follows
    the output and not the limit; rows of different sizes go together by `state.concatenate`.
    """

    shifted: Tensor
    read: Tensor
    most: Tensor

    @classmethod
    def of(cls, start: Start, limits: Limits) -> Past:
        """Nothing read yet."""
        shifted = start.tokens.new_zeros(len(start.tokens), FIRST_SIZE)
        return cls(shifted, torch.zeros_like(start.tokens), limits.lengths(start))

    def reading(self, tokens: Tensor) -> Past:
        """The past with `tokens: [rows]` behind it."""
        shifted, size = self.shifted, self.shifted.shape[1]
        if len(tokens) and int(self.read.amax()) >= size:
            shifted = pad(shifted, (0, size))
        place = self.read.unsqueeze(1)
        shifted = shifted.scatter(1, place, tokens.unsqueeze(1) + 1)
        return Past(shifted, self.read + 1, self.most)

    @property
    def generated(self) -> Tensor:
        """The generated tokens, `[rows, size - 1]`, -1 behind the last."""
        return self.shifted[:, 1:] - 1

    @property
    def lengths(self) -> Tensor:
        """How many tokens are generated, `[rows]`."""
        return self.read - 1

    @property
    def left(self) -> Tensor:
        """How many more tokens a path may have, `[rows]`."""
        return self.most - self.lengths

    def last(self, size: int) -> Tensor:
        """The last `size` generated tokens, `[rows, size]`; -1 where there are fewer."""
        places = self.read.unsqueeze(1) + torch.arange(-size, 0, device=self.read.device)
        return torch.where(places >= 1, self.shifted.gather(1, places.clamp(min=0)) - 1, -1)


class PastConstraint(Constraint, ABC):
    """A constraint that changes the scores of a path by what it has generated so far."""

    @abstractmethod
    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """`log_probs: [rows, vocab]` as the search shall see them; a new tensor or the same.

        `ends` are the tokens that end a sequence. What may not come has -inf, in all of a row where
        nothing may.
        """

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """The stepper and its start, whose state has the past beside it."""
        state = (start.state, Past.of(start, limits))
        return _Following(stepper, self, limits.ends), start._replace(state=state)


class _Following:
    """A stepper that keeps the past and lets a constraint change the scores."""

    def __init__(self, stepper: Stepper, constraint: PastConstraint, ends: Sequence[int]) -> None:
        self.stepper = stepper
        self.constraint = constraint
        self.ends = tuple(ends)

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`."""
        inner, past = state
        past = past.reading(tokens)
        log_probs, inner = self.stepper.step(tokens, inner, context)
        return self.constraint.change(log_probs, past, self.ends), (inner, past)
