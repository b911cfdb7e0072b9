"""Counting, a constraint that changes nothing and counts what a search has the model read."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seqgen.decoders.constraint import Constraint
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.state import State


class Counting(Constraint):
    """Counts the steps of all searches that are `watched` by it, over all their batches.

    `calls` is how often the stepper took a step, `rows` how many rows it read in them: one for
    each path and step. What a search reads in vain counts, too: all samples of
    `minimum_bayes_risk`, each node of `exact`. A constraint takes one step of what is within for
    each of its own, so these are the run's own model's steps; further models of an `ensemble` or a
    `language_model` read as many rows beside it, which are not counted. Nor is what an encoder
    reads.

    `rows` are the same however the sources are batched, `calls` are not: sources that share a
    batch share their calls.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.rows = 0

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """A stepper that counts, and the same start."""
        return _Counted(stepper, self), start


class _Counted:
    """A stepper whose steps are counted."""

    def __init__(self, stepper: Stepper, counting: Counting) -> None:
        self.stepper = stepper
        self.counting = counting

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`, as the stepper within."""
        self.counting.calls += 1
        self.counting.rows += len(tokens)
        return self.stepper.step(tokens, state, context)
