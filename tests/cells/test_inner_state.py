"""The state of a cell inside of another: missing is not the same as none."""

import pytest
import torch

from seqgen.cells import Cell, GRUCell
from seqgen.cells.inner_state import require_inner


class Forgetful(Cell):
    """A cell with nothing to remember."""

    output_size = 2

    def initial_state(self, batch_size):
        return None

    def step(self, x, state):
        return x[:, :2], state


def test_a_missing_state_is_named():
    with pytest.raises(ValueError, match="`state` must have a state for each cell, but 3 has None"):
        require_inner(GRUCell(input_size=2, hidden_size=3), None, "3")


def test_a_state_that_is_there_and_a_cell_without_one_pass():
    require_inner(GRUCell(input_size=2, hidden_size=3), torch.zeros(4, 3), "3")
    require_inner(Forgetful(), None, "3")
