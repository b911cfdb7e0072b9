"""The cell `lstm_cell`: one layer of long short-term memory, step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqgen.cells.base import Cell, cells
from seqgen.cells.lstm import LSTMState, checked_lstm_state, init_lstm
from seqgen.cells.native import Init
from seqgen.options import Size
from seqgen.state import State


@cells.register("lstm_cell")
class LSTMCell(Cell):
    """One layer of `lstm`, the same mathematics by `nn.LSTMCell` in a loop over time."""

    def __init__(self, input_size: int, hidden_size: Size = 256, init: Init = "uniform") -> None:
        super().__init__()
        self.output_size = hidden_size
        self.native = nn.LSTMCell(input_size, hidden_size)
        native = self.native
        init_lstm(init, (native.weight_ih, native.weight_hh, native.bias_ih, native.bias_hh))

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros, `[batch, hidden]` twice."""
        zeros = self.native.weight_hh.new_zeros(batch_size, self.output_size)
        return LSTMState(zeros, zeros)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, input]` to `[batch, hidden]`."""
        past = checked_lstm_state(state, x.shape[0], self.output_size)
        native = self.native
        weights = (native.weight_ih, native.weight_hh, native.bias_ih, native.bias_hh)
        hidden, memory = torch.lstm_cell(x, past, *weights)
        return hidden, LSTMState(hidden, memory)
