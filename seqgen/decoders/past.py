"""Constraints that follow from the tokens generated so far, which travel with the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.constraint import Constraint
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.state import State


class Past(NamedTuple):
    """What each path has read: `tokens: [rows, room]`, `read: [rows]` of them, -1 behind.

    The first one is what the search began from, the others are generated. The room is the same
    for all rows and all steps, so a search may mix paths of different lengths.
    """

    tokens: Tensor
    read: Tensor

    @classmethod
    def of(cls, start: Start, limits: Limits) -> Past:
        """Nothing read yet, and room for all that may come."""
        rows, device = len(start.tokens), start.tokens.device
        # The last token is generated and never read, so the first one takes its room.
        room = max([1, *limits.lengths(start).tolist()])
        return cls(
            torch.full((rows, room), -1, dtype=torch.long, device=device),
            torch.zeros(rows, dtype=torch.long, device=device),
        )

    def reading(self, tokens: Tensor) -> Past:
        """The past with `tokens: [rows]` behind it."""
        # A search may drag rows along that are over; what these remember does not matter.
        place = self.read.clamp(max=self.tokens.shape[1] - 1).unsqueeze(1)
        return Past(self.tokens.scatter(1, place, tokens.unsqueeze(1)), self.read + 1)

    @property
    def generated(self) -> Tensor:
        """The generated tokens, `[rows, room - 1]`, -1 behind the last."""
        return self.tokens[:, 1:]

    @property
    def lengths(self) -> Tensor:
        """How many tokens are generated, `[rows]`."""
        return self.read - 1

    def last(self, size: int) -> Tensor:
        """The last `size` generated tokens, `[rows, size]`; -1 where there are fewer."""
        places = self.read.unsqueeze(1) + torch.arange(-size, 0, device=self.read.device)
        inside = places.clamp(0, self.tokens.shape[1] - 1)
        return torch.where(places >= 1, self.tokens.gather(1, inside), -1)


class PastConstraint(Constraint, ABC):
    """A constraint that changes the scores of a path by what it has generated so far.

    A subclass says how. Where it leaves a row without any possible token, one comes back, see
    `keep_one`.
    """

    @abstractmethod
    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """`log_probs: [rows, vocab]` as the search shall see them; a new tensor or the same.

        `ends` are the tokens that end a sequence.
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
        changed = self.constraint.change(log_probs, past, self.ends)
        return keep_one(changed, log_probs, self.ends), (inner, past)


def keep_one(changed: Tensor, before: Tensor, ends: Sequence[int]) -> Tensor:
    """`changed: [rows, vocab]`, in which each row has a possible token as far as `before` had one.

    A row that has lost all of them keeps its most probable end token, or where there is none its
    most probable token, with the score it had: a path comes to its end rather than to nothing.
    """
    lost = changed.amax(-1) == float("-inf")
    if not bool(lost.any()):
        return changed
    nothing = torch.full_like(before[lost], float("-inf"))
    choices = before[lost]
    if ends:
        places = torch.tensor(ends, device=before.device)
        endings = nothing.index_copy(1, places, choices[:, places])
        can_end = endings.amax(-1, keepdim=True) > float("-inf")
        choices = torch.where(can_end, endings, choices)
    best = choices.argmax(-1, keepdim=True)
    changed = changed.clone()
    changed[lost] = nothing.scatter(1, best, choices.gather(1, best))
    return changed


def only(log_probs: Tensor, allowed: Sequence[Sequence[int] | None]) -> Tensor:
    """`log_probs: [rows, vocab]`, -inf but at the tokens `allowed` in each row (None: at all)."""
    banned = torch.ones_like(log_probs, dtype=torch.bool)
    for row, tokens in enumerate(allowed):
        banned[row, slice(None) if tokens is None else list(tokens)] = False
    return log_probs.masked_fill(banned, float("-inf"))
