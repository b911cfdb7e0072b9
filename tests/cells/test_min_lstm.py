"""The cell `min_lstm` against a reference written from the equations of the paper."""

import numpy as np
import torch

from seqgen.cells import MinLSTM


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(cell, xs, hidden):
    """One row at a time; f, i and the candidate are stored one above the other."""
    of_x = np.split(cell.of_input.weight.detach().numpy(), 3)
    bias = np.split(cell.of_input.bias.detach().numpy(), 3)
    outputs = np.zeros((*xs.shape[:2], cell.output_size))
    for row in range(len(xs)):
        h = hidden[row]
        for time, x in enumerate(xs[row]):
            f, i, g = (of_x[gate] @ x + bias[gate] for gate in range(3))
            f, i = sigmoid(f), sigmoid(i)
            outputs[row, time] = h = f / (f + i) * h + i / (f + i) * g
    return outputs


def test_is_the_cell_of_the_equations():
    torch.manual_seed(1)
    cell = MinLSTM(input_size=2, hidden_size=3).double()
    xs, first = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4, 2), (3, 3)))
    with torch.no_grad():
        outputs, state = cell(xs, first)
    wanted = reference(cell, xs.numpy(), first.numpy())
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(state, wanted[:, -1], atol=1e-12)


def test_shut_gates_divide_nothing_by_nothing():
    cell = MinLSTM(input_size=2, hidden_size=1)
    both_shut = torch.tensor([[-1e4, -1e4, 3.0]], requires_grad=True)
    factor, term = cell.recurrence(both_shut)
    assert (factor.item(), term.item()) == (0.5, 1.5)
    (factor + term).sum().backward()
    assert both_shut.grad.isfinite().all()
