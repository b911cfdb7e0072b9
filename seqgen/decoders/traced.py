"""Traced, the constraint that changes nothing and keeps what a search did."""

from __future__ import annotations

from typing import Any

from seqgen.decoders.constraint import Constraint
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.decoders.trace import Trace


class Traced(Constraint):
    """Keeps a Trace of each search that it is part of, in `traces`, the last one last.

    It must be the last constraint of a decoder, as `watched(decoder, Traced())` makes it: so it
    sees what the search sees. Being no part of a recipe, it is not registered. `most` is how many
    of the tokens considered at each step are noted.
    """

    def __init__(self, most: int = 10) -> None:
        if most < 1:
            raise ValueError(f"`most` must be at least 1, but is {most}")
        self.most = most
        self.traces: list[Trace] = []

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """A Trace around the stepper, and its start."""
        trace = Trace(stepper, self.most, limits.ends)
        self.traces.append(trace)
        return trace, trace.begin(start)
