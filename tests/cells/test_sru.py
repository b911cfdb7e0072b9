"""The cell `sru` against a reference written from the equations of the paper."""

import numpy as np
import pytest
import torch

from seqgen.cells import SRU


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(cell, xs, memory):
    """One row at a time; the products are stored as f, r, candidate and, where needed, highway."""
    size = cell.output_size
    of_x = np.split(cell.input_weight.detach().numpy(), len(cell.input_weight) // size)
    bias, of_c = cell.bias.detach().numpy(), cell.recurrent_weight.detach().numpy()
    outputs, memories = np.zeros((2, *xs.shape[:2], size))
    for row in range(len(xs)):
        c = memory[row]
        for time, x in enumerate(xs[row]):
            highway = of_x[3] @ x if len(of_x) == 4 else np.sqrt(3) * x
            f = sigmoid(of_x[0] @ x + of_c[0] * c + bias[:size])
            r = sigmoid(of_x[1] @ x + of_c[1] * c + bias[size:])
            memories[row, time] = c = f * c + (1 - f) * (of_x[2] @ x)
            outputs[row, time] = r * c + (1 - r) * highway
    return outputs, memories


@pytest.mark.parametrize("input_size", [2, 3])
def test_is_the_cell_of_the_equations(input_size):
    torch.manual_seed(1)
    cell = SRU(input_size=input_size, hidden_size=3).double()
    with torch.no_grad():
        cell.bias += torch.randn(6)
    xs, first = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4, input_size), (3, 3)))
    with torch.no_grad():
        outputs, state = cell(xs, first)
    wanted, memories = reference(cell, xs.numpy(), first.numpy())
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(state, memories[:, -1], atol=1e-12)


@pytest.mark.parametrize("lengths", [None, [4, 0, 2]])
def test_an_input_as_wide_as_the_cell_passes_by_step_too(lengths):
    torch.manual_seed(1)
    cell, xs = SRU(input_size=3, hidden_size=3), torch.randn(3, 4, 3)
    outputs, state = cell(xs, None, lengths and torch.tensor(lengths))
    for row, length in enumerate(lengths or [4, 4, 4]):
        alone = cell.initial_state(1)
        for time in range(length):
            output, alone = cell.step_input(xs[row : row + 1, time], alone)
            torch.testing.assert_close(outputs[row : row + 1, time], output)
        torch.testing.assert_close(state[row : row + 1], alone)
        assert not outputs[row, length:].any()
