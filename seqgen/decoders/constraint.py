"""The contract of a constraint: what changes the scores that a search sees."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from torch import Tensor

from seqgen.decoders.scores import DEAD_END, CheckedStepper
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.registry import Registry
from seqgen.state import State

constraints: Registry[Constraint] = Registry(
    "constraint", supplied={"vocab_size", "encode", "load"}
)
"""Supplied: the number of tokens; `encode(text)`, its tokens as a list; `load(run)`, the model of
a run directory that has the same tokens (something with `start(batch)` and `step`), to be called
no sooner than in `wrap`."""


class Constraint(ABC):
    """Changes the scores of any stepper by wrapping it, and so the search around it stays small.

    What must be remembered from step to step (a count, the tokens so far) goes into the wrapped
    state, a row for each path with batch on dimension 0, so a search moves it about with the rest.

    A token that it forbids has -inf and stays so, whatever else is around: of several constraints
    all hold, in any order. That nothing is left to a path is seen to in one place, `constrain`.
    """

    @abstractmethod
    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """A stepper around `stepper`, and the start that belongs to it.

        `start` has one row for each source. `batch` is what the model's own start was made of, for
        constraints that read it with a model of theirs.
        """

    def least_tokens(self, batch: Any) -> int | Tensor:
        """How many tokens a sequence needs at least to satisfy it, an end token not counted: one
        number for all sources or one for each, `[batch]`."""
        return 0


ConstraintFactory = Annotated[Callable[..., Constraint], constraints]
"""Called with what the registry supplies, it returns the constraint."""


def constrain(
    chosen: Sequence[Constraint], stepper: Stepper, start: Start, limits: Limits, batch: Any = None
) -> tuple[Stepper, Start]:
    """Wrap `stepper` in each of the constraints `chosen`, the first one innermost.

    Where they leave a row nothing, its path is at a dead end: the row has DEAD_END at the end
    tokens and -inf elsewhere, or DEAD_END throughout where there are no end tokens. Where `stepper`
    itself has nothing, or NaN, that is a DecodeError.
    """
    if not chosen:
        return stepper, start
    start = CheckedStepper.begin(start, torch.arange(len(start.tokens), device=start.tokens.device))
    stepper = CheckedStepper(stepper)
    for each in chosen:
        stepper, start = each.wrap(stepper, start, limits, batch)
    return _Constrained(stepper, limits.ends), start


def unmet(chosen: Sequence[Constraint], start: Start, limits: Limits, batch: Any) -> Tensor:
    """Which sources may not have as many tokens as one of `chosen` needs, `[batch]`; a warning
    names the constraint."""
    found = torch.zeros_like(start.tokens, dtype=torch.bool)
    for each in chosen:
        least = each.least_tokens(batch)
        short = limits.lengths(start) < (
            least if isinstance(least, int) else least.to(found.device)
        )
        if bool(short.any()):
            own = (n for n in constraints.names() if constraints.entry(n).factory is type(each))
            what = f"{next(own, type(each).__name__)} needs"
            if isinstance(least, int) and isinstance(limits.max_length, int):
                what += f" at least {least} tokens, but max_length is {limits.max_length}"
            else:
                what += " more tokens than some outputs may have"
            warnings.warn(f"the constraint {what}", stacklevel=3)
        found |= short
    return found


class _Constrained:
    """A stepper in which dead ends are marked."""

    def __init__(self, stepper: Stepper, ends: Sequence[int]) -> None:
        self.stepper = stepper
        self.ends = list(ends)

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`."""
        log_probs, state = self.stepper.step(tokens, state, context)
        nothing = log_probs.amax(-1) == float("-inf")
        if bool(nothing.any()):
            marked = torch.full_like(log_probs[0], float("-inf"))
            marked[self.ends or slice(None)] = DEAD_END
            log_probs = torch.where(nothing.unsqueeze(1), marked, log_probs)
        return log_probs, state
