"""The cell `my_cell`: one gate decides how much of the state is new."""

import torch

from seqgen.cells import Cell, cells
from seqgen.options import Size


@cells.register("my_cell")
class MyCell(Cell):
    """h' = (1 - f) h + f tanh(V [x, f h] + c), with the gate f = sigmoid(U [x, h] + b)."""

    def __init__(self, input_size: int, hidden_size: Size = 128) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.gate = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.new = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size):
        return self.new.weight.new_zeros(batch_size, self.output_size)

    def step(self, x, state):
        f = torch.sigmoid(self.gate(torch.cat([x, state], 1)))
        state = (1 - f) * state + f * torch.tanh(self.new(torch.cat([x, f * state], 1)))
        return state, state
