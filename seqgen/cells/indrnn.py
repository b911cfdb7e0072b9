"""The cell `indrnn`: a recurrent network in which each unit remembers only itself."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from seqgen.cells.base import cells
from seqgen.cells.elementwise_scan import elementwise_scan
from seqgen.cells.scanned import ScannedCell
from seqgen.cells.state_shape import checked_tensor
from seqgen.options import PositiveFloat, Size
from seqgen.state import State

Activation = Literal["relu", "tanh"]


@cells.register("indrnn")
class IndRNN(ScannedCell):
    """The independently recurrent network (Li et al. 2018)::

        h' = activation(W x + u * h + b)

    with u a vector, so units meet only in the layers above: this cell is made to be stacked. The
    state is h, `[batch, hidden]`.

    A unit whose |u| is greater than 1 grows without end under `relu`. The paper keeps |u| at most
    2^(1/T) for sequences of T steps, and its authors say that 1 does as well; 1 suits streams. They
    clip u between updates. Here u stays what it is and counts as `bound` at most, so beyond the
    bound it gets no gradient.

    W begins uniform in +-1/sqrt(input) as in `nn.Linear`, b at 0, and u uniform between 0 and the
    lesser of 1 and `bound`, so that units of all spans of memory are there.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: Size = 256,
        activation: Activation = "relu",
        bound: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.activation = activation
        self.bound = bound
        self.of_input = nn.Linear(input_size, hidden_size)
        nn.init.zeros_(self.of_input.bias)
        self.recurrent_weight = nn.Parameter(torch.empty(hidden_size))
        nn.init.uniform_(self.recurrent_weight, 0, min(1, bound))

    def initial_state(self, batch_size: int) -> Tensor:
        """Zeros, `[batch, hidden]`."""
        return self.recurrent_weight.new_zeros(batch_size, self.output_size)

    def project(self, xs: Tensor) -> Tensor:
        """W x + b: `[batch, time, input] -> [batch, time, hidden]`."""
        projected: Tensor = self.of_input(xs)
        return projected

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, hidden]` to h', which is output and state."""
        hidden = self._following(checked_tensor(state, x.shape[0], self.output_size), x)
        return hidden, hidden

    def scan(self, projected: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """h of all times, twice."""
        hiddens = elementwise_scan(self._following, (projected,), first)
        return hiddens, hiddens

    def _following(self, past: Tensor, x: Tensor) -> Tensor:
        """h' from h and W x + b, for one time or for all."""
        total = x + self.recurrent_weight.clamp(-self.bound, self.bound) * past
        return torch.relu(total) if self.activation == "relu" else torch.tanh(total)
