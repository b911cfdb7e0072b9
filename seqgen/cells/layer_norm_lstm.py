"""The cell `layer_norm_lstm`: an LSTM whose sums are normalised before its gates."""

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


@cells.register("layer_norm_lstm")
class LayerNormLSTM(Cell):
    """Long short-term memory with layer normalisation (Ba et al. 2016, equations 20 to 22)::

        i, f, o, g = split(LN(R h) + LN(W x) + b)
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)      h' = sigmoid(o) * tanh(LN(c'))

    LN subtracts the mean and divides by the deviation of a vector, here of all four gates together,
    and multiplies by a gain; that of c' adds a bias as well. The paper gives the other two a bias,
    too, which is left out, since it would do nothing that b does not.

    The weights W begin uniform in +-1/sqrt(hidden) and R orthogonal for each gate, though their
    size hardly matters; the gains begin at 1, the biases at 0 but 1 for f.
    """

    def __init__(self, input_size: int, hidden_size: Size = 256) -> None:
        super().__init__()
        self.output_size = hidden_size
        linear = input_weights(input_size, hidden_size, gates=4, forget=1)
        self.input_weight = linear.weight
        self.bias = linear.bias
        self.recurrent_weight = recurrent_weights(hidden_size, gates=4)
        self.input_gain = nn.Parameter(torch.ones(4 * hidden_size))
        self.hidden_gain = nn.Parameter(torch.ones(4 * hidden_size))
        self.memory_norm = nn.LayerNorm(hidden_size)

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros, `[batch, hidden]` twice."""
        zeros = self.recurrent_weight.new_zeros(batch_size, self.output_size)
        return LSTMState(zeros, zeros)

    def project(self, xs: Tensor) -> Tensor:
        """LN(W x) + b: `[batch, time, input] -> [batch, time, 4 * hidden]`, gates i, f, o, g."""
        sums = functional.linear(xs, self.input_weight)
        return functional.layer_norm(sums, sums.shape[-1:], self.input_gain, self.bias)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, 4 * hidden]` to `[batch, hidden]`."""
        size = self.output_size
        hidden, memory = checked_parts(state, LSTMState._fields, x.shape[0], size)
        sums = hidden @ self.recurrent_weight
        gates = x + functional.layer_norm(sums, sums.shape[-1:], self.hidden_gain)
        shut, candidate = gates.split_with_sizes([3 * size, size], 1)
        i, f, o = torch.sigmoid(shut).chunk(3, 1)
        memory = f * memory + i * torch.tanh(candidate)
        hidden = o * torch.tanh(self.memory_norm(memory))
        return hidden, LSTMState(hidden, memory)
