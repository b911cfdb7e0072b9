"""The stepper `Forbid`: some tokens are never generated."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from seqgen.decoders.stepper import Stepper
from seqgen.state import State


class Forbid:
    """A stepper whose `tokens` have probability zero; the scores of the others stay as they are."""

    def __init__(self, stepper: Stepper, tokens: Sequence[int]) -> None:
        self.stepper = stepper
        self.tokens = list(tokens)

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`, -inf at the forbidden ones."""
        log_probs, state = self.stepper.step(tokens, state, context)
        log_probs = log_probs.clone()
        log_probs[:, self.tokens] = float("-inf")
        return log_probs, state
