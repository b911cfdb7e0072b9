"""The contract of a constraint: what changes the scores that a search sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.registry import Registry

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
    """

    @abstractmethod
    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """A stepper around `stepper`, and the start that belongs to it.

        `start` has one row for each source. `batch` is what the model's own start was made of, for
        constraints that read it with a model of theirs.
        """


ConstraintFactory = Annotated[Callable[..., Constraint], constraints]
"""Called with what the registry supplies, it returns the constraint."""


def constrain(
    chosen: Sequence[Constraint], stepper: Stepper, start: Start, limits: Limits, batch: Any = None
) -> tuple[Stepper, Start]:
    """Wrap `stepper` in each of the constraints `chosen`, the first one innermost."""
    for each in chosen:
        stepper, start = each.wrap(stepper, start, limits, batch)
    return stepper, start
