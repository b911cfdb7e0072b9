"""The base of cells with a linear recurrence: what a subclass has to say."""

import torch

from seqgen.cells.linear_cell import LinearCell


class Average(LinearCell):
    """An exponential average with a fixed rate."""

    def __init__(self, input_size):
        super().__init__(input_size, 2, products=1)

    def recurrence(self, projected):
        return torch.full_like(projected, 0.75), projected * 0.25


def test_a_subclass_says_factor_and_term_alone():
    torch.manual_seed(1)
    cell, xs, state = Average(3), torch.randn(2, 5, 3), torch.ones(2, 2)
    outputs, last = cell(xs, state, torch.tensor([5, 3]))
    for time in range(5):
        state = 0.75 * state + 0.25 * cell.of_input(xs[:, time])
        rows = 2 if time < 3 else 1
        torch.testing.assert_close(outputs[:rows, time], state[:rows])
        if time == 2:
            torch.testing.assert_close(last[1], state[1])
    torch.testing.assert_close(last[0], state[0])
    assert not outputs[1, 3:].any()
