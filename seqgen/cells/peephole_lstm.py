"""The cell `peephole_lstm`: an LSTM whose gates see its memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqgen.cells.base import Cell, cells
from seqgen.cells.gates import input_weights, recurrent_weights
from seqgen.cells.lstm import LSTMState
from seqgen.cells.state_shape import checked_parts
from seqgen.options import Size
from seqgen.state import State


@cells.register("peephole_lstm")
class PeepholeLSTM(Cell):
    """Long short-term memory with peepholes (Gers and Schmidhuber 2000)::

        i = sigmoid(W_i x + R_i h + p_i * c + b_i)      f = sigmoid(W_f x + R_f h + p_f * c + b_f)
        g = tanh(W_g x + R_g h + b_g)                   c' = f * c + i * g
        o = sigmoid(W_o x + R_o h + p_o * c' + b_o)     h' = o * tanh(c')

    So that the gates can count: h is near 0 where o is shut, but c is always there to be seen. The
    gates of a unit see its own memory only, i and f as it was and o as it is now. In the paper h'
    is o * c' without tanh; tanh is what later descriptions have (Graves 2013; Sak et al. 2014;
    Greff et al. 2017).

    The weights W and p begin uniform in +-1/sqrt(hidden), R orthogonal for each gate, the biases at
    0 but 1 for f.
    """

    def __init__(self, input_size: int, hidden_size: Size = 256) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.of_input = input_weights(input_size, hidden_size, gates=4, forget=1)
        self.recurrent_weight = recurrent_weights(hidden_size, gates=4)
        self.peepholes = nn.Parameter(torch.empty(3, hidden_size))  # of i, f and o
        nn.init.uniform_(self.peepholes, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros, `[batch, hidden]` twice."""
        zeros = self.recurrent_weight.new_zeros(batch_size, self.output_size)
        return LSTMState(zeros, zeros)

    def project(self, xs: Tensor) -> Tensor:
        """W x + b of i, f, o and g: `[batch, time, input] -> [batch, time, 4 * hidden]`."""
        projected: Tensor = self.of_input(xs)
        return projected

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, 4 * hidden]` to `[batch, hidden]`."""
        batch, size = x.shape[0], self.output_size
        hidden, memory = checked_parts(state, LSTMState._fields, batch, size)
        early, late, candidate = torch.addmm(x, hidden, self.recurrent_weight).split_with_sizes(
            [2 * size, size, size], 1
        )
        seen = self.peepholes[:2] * memory.unsqueeze(1)  # [batch, 2, hidden]
        i, f = torch.sigmoid(early.view(batch, 2, size) + seen).unbind(1)
        memory = f * memory + i * torch.tanh(candidate)
        hidden = torch.sigmoid(late + self.peepholes[2] * memory) * torch.tanh(memory)
        return hidden, LSTMState(hidden, memory)
