"""The cell `min_gru` against a reference written from the equations of the paper."""

import numpy as np
import torch

from seqgen.cells import MinGRU


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(cell, xs, hidden):
    """One row at a time; z and the candidate are stored one above the other."""
    of_z, of_g = np.split(cell.of_input.weight.detach().numpy(), 2)
    bias_z, bias_g = np.split(cell.of_input.bias.detach().numpy(), 2)
    outputs = np.zeros((*xs.shape[:2], cell.output_size))
    for row in range(len(xs)):
        h = hidden[row]
        for time, x in enumerate(xs[row]):
            z = sigmoid(of_z @ x + bias_z)
            outputs[row, time] = h = (1 - z) * h + z * (of_g @ x + bias_g)
    return outputs


def test_is_the_cell_of_the_equations():
    torch.manual_seed(1)
    cell = MinGRU(input_size=2, hidden_size=3).double()
    xs, first = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4, 2), (3, 3)))
    with torch.no_grad():
        outputs, state = cell(xs, first)
    wanted = reference(cell, xs.numpy(), first.numpy())
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(state, wanted[:, -1], atol=1e-12)


def test_it_remembers_from_the_start():
    cell = MinGRU(input_size=2, hidden_size=3)
    factor, _ = cell.recurrence(cell.project(torch.zeros(1, 1, 2)))
    np.testing.assert_allclose(factor.detach(), np.full((1, 1, 3), sigmoid(1)), rtol=1e-6)
