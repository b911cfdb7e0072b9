"""The checks of scores: no token is ever chosen from NaN, nor where nothing is possible."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqgen.decoders.stepper import Start, Stepper
from seqgen.errors import DecodeError
from seqgen.state import State

DEAD_END = -(2.0**100)
"""The best score of a row in which constraints left no token possible, see `constrain`: the path
that it belongs to ends there and satisfies them in no way. Finite, so that a decoder from outside
goes on as it always did, and so low that any other path is better."""


def check_scores(log_probs: Tensor, sources: Tensor, moment: int | Tensor) -> None:
    """A DecodeError that names the step and the source unless every row has a finite maximum.

    `moment` is the number of steps before this one, of all rows or of each, `[rows]`.

    One maximum a row finds all three faults of `log_probs: [rows, vocab]`: NaN and +inf stay on
    top of a maximum, and it is -inf only where every token is impossible.
    """
    open_rows(log_probs, sources, moment)


def open_rows(log_probs: Tensor, sources: Tensor, moment: int | Tensor) -> Tensor:
    """`[rows]`, False where a path has come to a dead end. Raises DecodeError as `check_scores`."""
    best = log_probs.amax(-1)
    fine = best.isfinite()
    if bool(fine.all()):
        return best > DEAD_END
    row = int((~fine).nonzero()[0])
    step = 1 + int(moment[row] if isinstance(moment, Tensor) else moment)
    kind = "NaN" if bool(torch.isnan(best[row])) else f"{float(best[row])} as the best score"
    raise DecodeError(
        f"the model's scores for row {int(sources[row])} at step {step} have {kind}; "
        "no token can be chosen from them"
    )


class CheckedStepper:
    """A stepper whose faulty scores are a DecodeError, named by `sources`, whatever is around it.

    Its state knows the source and the step of each row.
    """

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper

    @staticmethod
    def begin(start: Start, sources: Tensor) -> Start:
        """The start of a checked stepper, whose rows belong to `sources: [batch]`."""
        return start._replace(state=(start.state, sources, torch.zeros_like(sources)))

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`. Raises DecodeError."""
        inner, sources, steps = state
        log_probs, inner = self.stepper.step(tokens, inner, context)
        check_scores(log_probs, sources, steps)
        return log_probs, (inner, sources, steps + 1)
