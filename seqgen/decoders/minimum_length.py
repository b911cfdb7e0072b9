"""The constraint `minimum_length`: no sequence ends before it has so many tokens."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from seqgen.decoders.constraint import constraints
from seqgen.decoders.past import Past, PastConstraint
from seqgen.options import Count


@constraints.register("minimum_length")
class MinimumLength(PastConstraint):
    """End tokens are impossible before `length` tokens stand; the other scores stay as they are.

    The end token itself is not counted: `length: 3` means three tokens and then the end, if
    `max_length` has room for both.
    """

    def __init__(self, length: Count) -> None:
        if length < 0:
            raise ValueError(f"`length` must be at least 0, but is {length}")
        self.length = length

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """-inf at the end tokens of the rows that are too short, `[rows, vocab]`."""
        if not ends:
            return log_probs
        changed = log_probs.clone()
        early = (past.lengths < self.length).unsqueeze(1)
        changed[:, list(ends)] = changed[:, list(ends)].masked_fill(early, float("-inf"))
        return changed
