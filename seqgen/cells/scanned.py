"""The base of cells that read all times by a scan: how they begin, and where rows end."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from seqgen.cells.base import Cell
from seqgen.cells.linear_scan import at_lengths, within
from seqgen.cells.state_shape import checked_tensor
from seqgen.state import State


class ScannedCell(Cell, ABC):
    """A cell whose state is one tensor `[batch, hidden]`, as wide as its output."""

    @abstractmethod
    def scan(self, projected: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """All outputs and all states, `[batch, time, hidden]`, from what `project` returned.

        `first` is the state before time 0; there is at least one time.
        """

    def forward(
        self, xs: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `Cell.forward`, by `scan`."""
        batch, time, _ = xs.shape
        first = self.initial_state(batch) if state is None else state
        first = checked_tensor(first, batch, self.output_size)
        if time == 0:
            return xs.new_zeros(batch, 0, self.output_size), first
        outputs, states = self.scan(self.project(xs), first)
        if lengths is None:
            return outputs, states[:, -1]
        return within(outputs, lengths), at_lengths(states, first, lengths)
