"""The cell `gru_cell`: one layer of gated recurrent units, step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqgen.cells.base import Cell, cells
from seqgen.cells.native import Init, init_layer
from seqgen.cells.state_shape import checked_tensor
from seqgen.options import Size
from seqgen.state import State


@cells.register("gru_cell")
class GRUCell(Cell):
    """One layer of `gru`, the same mathematics by `nn.GRUCell` in a loop over time."""

    def __init__(self, input_size: int, hidden_size: Size = 256, init: Init = "uniform") -> None:
        super().__init__()
        self.output_size = hidden_size
        self.native = nn.GRUCell(input_size, hidden_size)
        native = self.native
        weights = (native.weight_ih, native.weight_hh, native.bias_ih, native.bias_hh)
        init_layer(init, weights, gates=3)

    def initial_state(self, batch_size: int) -> Tensor:
        """Zeros, `[batch, hidden]`."""
        return self.native.weight_hh.new_zeros(batch_size, self.output_size)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, input]` to `[batch, hidden]`, twice."""
        past = checked_tensor(state, x.shape[0], self.output_size)
        native = self.native
        weights = (native.weight_ih, native.weight_hh, native.bias_ih, native.bias_hh)
        hidden = torch.gru_cell(x, past, *weights)
        return hidden, hidden
