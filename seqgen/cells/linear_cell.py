"""The base of cells whose recurrence is linear, with gates that see the input alone."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from seqgen.cells.base import Cell
from seqgen.cells.linear_scan import at_lengths, linear_scan, within
from seqgen.cells.state_shape import checked_tensor
from seqgen.state import State


class LinearCell(Cell, ABC):
    """A cell with `h' = factor * h + term`, both of which come from the input alone.

    A subclass defines `recurrence`. The state is h, `[batch, hidden]`, which is the output too; all
    else is computed for all times at once from one matrix product, `products` vectors for each.
    """

    def __init__(self, input_size: int, hidden_size: int, products: int) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.of_input = nn.Linear(input_size, products * hidden_size)
        nn.init.zeros_(self.of_input.bias)

    @abstractmethod
    def recurrence(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Factor and term `[..., hidden]` from `projected: [..., products * hidden]`."""

    def initial_state(self, batch_size: int) -> Tensor:
        """Zeros, `[batch, hidden]`."""
        return self.of_input.weight.new_zeros(batch_size, self.output_size)

    def project(self, xs: Tensor) -> Tensor:
        """`[batch, time, input] -> [batch, time, products * hidden]`."""
        projected: Tensor = self.of_input(xs)
        return projected

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, products * hidden]` to h', which is output and state."""
        past = checked_tensor(state, x.shape[0], self.output_size)
        factor, term = self.recurrence(x)
        hidden = factor * past + term
        return hidden, hidden

    def forward(
        self, xs: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `Cell.forward`, with all gates at once and h by `linear_scan`."""
        batch, time, _ = xs.shape
        first = self.initial_state(batch) if state is None else state
        first = checked_tensor(first, batch, self.output_size)
        if time == 0:
            return xs.new_zeros(batch, 0, self.output_size), first
        hiddens = linear_scan(*self.recurrence(self.project(xs)), first)
        if lengths is None:
            return hiddens, hiddens[:, -1]
        return within(hiddens, lengths), at_lengths(hiddens, first, lengths)
