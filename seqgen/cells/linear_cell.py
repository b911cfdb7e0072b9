"""The base of cells whose recurrence is linear, with gates that see the input alone."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from seqgen.cells.linear_scan import linear_scan
from seqgen.cells.scanned import ScannedCell
from seqgen.cells.state_shape import checked_tensor
from seqgen.state import State


class LinearCell(ScannedCell, ABC):
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

    def scan(self, projected: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """h of all times, twice: all gates at once, then `linear_scan`."""
        hiddens = linear_scan(*self.recurrence(projected), first)
        return hiddens, hiddens
