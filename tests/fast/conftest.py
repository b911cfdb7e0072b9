"""Cells written as a step, each with one thing that a fast route has to cope with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqgen.cells import Cell
from seqgen.state import State

INPUT, HIDDEN = 5, 6


class Plain(Cell):
    """A long short-term memory as a student writes it; `change` is done to its output."""

    def __init__(self, change: Callable[[Any, Tensor], Tensor] = lambda cell, output: output):
        super().__init__()
        self.output_size = HIDDEN
        self.of_input = nn.Linear(INPUT, 4 * HIDDEN)
        self.of_hidden = nn.Linear(HIDDEN, 4 * HIDDEN)
        self.above = nn.Linear(HIDDEN, HIDDEN)
        self.change = change

    def initial_state(self, batch_size: int) -> State:
        zeros = self.of_input.weight.new_zeros(batch_size, HIDDEN)
        return zeros, zeros

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, memory = state
        i, f, g, o = (self.of_input(x) + self.of_hidden(hidden)).chunk(4, 1)
        memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(memory)
        return self.change(self, hidden), (hidden, memory)


@pytest.fixture
def plain() -> type[Plain]:
    return Plain
