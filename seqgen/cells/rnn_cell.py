"""The cell `rnn_cell`: one layer of the simple recurrent network, step by step."""

from __future__ import annotations

from torch import Tensor, nn

from seqgen.cells.base import Cell, cells
from seqgen.cells.native import Init, init_layer
from seqgen.cells.rnn import CELL_KERNELS, Nonlinearity
from seqgen.cells.state_shape import checked_tensor
from seqgen.options import Size
from seqgen.state import State


@cells.register("rnn_cell")
class RNNCell(Cell):
    """One layer of `rnn`, the same mathematics by `nn.RNNCell` in a loop over time."""

    def __init__(
        self,
        input_size: int,
        hidden_size: Size = 256,
        nonlinearity: Nonlinearity = "tanh",
        init: Init = "uniform",
    ) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.nonlinearity = nonlinearity
        self.native = nn.RNNCell(input_size, hidden_size, nonlinearity=nonlinearity)
        native = self.native
        weights = (native.weight_ih, native.weight_hh, native.bias_ih, native.bias_hh)
        init_layer(init, weights, gates=1)

    def initial_state(self, batch_size: int) -> Tensor:
        """Zeros, `[batch, hidden]`."""
        return self.native.weight_hh.new_zeros(batch_size, self.output_size)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, input]` to `[batch, hidden]`, twice."""
        past = checked_tensor(state, x.shape[0], self.output_size)
        native = self.native
        weights = (native.weight_ih, native.weight_hh, native.bias_ih, native.bias_hh)
        hidden = CELL_KERNELS[self.nonlinearity](x, past, *weights)
        return hidden, hidden
