"""The cell `multiplicative_lstm`: an LSTM whose recurrent weights depend on its input."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.cells.base import Cell, cells
from seqgen.cells.gates import input_weights, recurrent_weights
from seqgen.cells.lstm import LSTMState
from seqgen.cells.state_shape import checked_parts
from seqgen.options import Size
from seqgen.state import State


@cells.register("multiplicative_lstm")
class MultiplicativeLSTM(Cell):
    """Multiplicative long short-term memory (Krause et al. 2016, equations 18 to 22)::

        m = (W_m x) * (R_m h)
        i, f, o, g = split(W x + R m + b)
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)      h' = sigmoid(o) * tanh(c')

    The intermediate state m stands wherever an LSTM has h: in the three gates and in the candidate
    g. Since x decides what of R_m h gets through, each symbol has a transition of its own.

    The last line is that of an LSTM, with tanh on g and on c', as in Radford et al. (2017). That of
    Krause et al. is another one: no tanh on g, and h' = tanh(sigmoid(o) * c') (equation 16). It is
    not here. Their gates have no b.

    The weights W begin uniform in +-1/sqrt(hidden), W_m in +-sqrt(3/input), so that m is as large
    as R_m h where x has elements of variance 1; R is orthogonal for each gate, and the biases are 0
    but 1 for f.
    """

    def __init__(self, input_size: int, hidden_size: Size = 256) -> None:
        super().__init__()
        self.output_size = hidden_size
        linear = input_weights(input_size, hidden_size, gates=4, forget=1)
        bound = (3 / input_size) ** 0.5
        factors = torch.empty(hidden_size, input_size).uniform_(-bound, bound)
        # W_m above W: one matrix product for both.
        self.input_weight = nn.Parameter(torch.cat([factors, linear.weight.detach()]))
        self.bias = linear.bias
        self.recurrent_factors = recurrent_weights(hidden_size, gates=1)
        self.recurrent_weight = recurrent_weights(hidden_size, gates=4)

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros, `[batch, hidden]` twice."""
        zeros = self.recurrent_weight.new_zeros(batch_size, self.output_size)
        return LSTMState(zeros, zeros)

    def project(self, xs: Tensor) -> Tensor:
        """W_m x, then W x + b of i, f, o and g: `[batch, time, input] -> [.., .., 5 * hidden]`."""
        return functional.linear(
            xs, self.input_weight, functional.pad(self.bias, (self.output_size, 0))
        )

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, 5 * hidden]` to `[batch, hidden]`."""
        size = self.output_size
        hidden, memory = checked_parts(state, LSTMState._fields, x.shape[0], size)
        factor, rest = x.split_with_sizes([size, 4 * size], 1)
        gates = torch.addmm(rest, factor * (hidden @ self.recurrent_factors), self.recurrent_weight)
        shut, candidate = gates.split_with_sizes([3 * size, size], 1)
        i, f, o = torch.sigmoid(shut).chunk(3, 1)
        memory = f * memory + i * torch.tanh(candidate)
        hidden = o * torch.tanh(memory)
        return hidden, LSTMState(hidden, memory)
