"""The cell `indrnn` against a reference written from the equation of the paper."""

import numpy as np
import pytest
import torch

from seqgen.cells import IndRNN


def reference(cell, xs, hidden, activation):
    """One row at a time."""
    of_x, bias = cell.of_input.weight.detach().numpy(), cell.of_input.bias.detach().numpy()
    own = cell.recurrent_weight.detach().numpy().clip(-cell.bound, cell.bound)
    outputs = np.zeros((*xs.shape[:2], cell.output_size))
    for row in range(len(xs)):
        h = hidden[row]
        for time, x in enumerate(xs[row]):
            outputs[row, time] = h = activation(of_x @ x + own * h + bias)
    return outputs


@pytest.mark.parametrize("bound", [0.1, 1, 2])
@pytest.mark.parametrize(
    ("name", "activation"), [("relu", lambda x: np.maximum(x, 0)), ("tanh", np.tanh)]
)
def test_is_the_cell_of_the_equation(name, activation, bound):
    torch.manual_seed(1)
    cell = IndRNN(input_size=2, hidden_size=5, activation=name, bound=bound).double()
    assert 0 <= cell.recurrent_weight.min() <= cell.recurrent_weight.max() <= min(1, bound)
    with torch.no_grad():
        cell.recurrent_weight.copy_(torch.tensor([-1.5, -0.05, 0, 0.9, 3]))
    xs, first = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4, 2), (3, 5)))
    with torch.no_grad():
        outputs, state = cell(xs, first)
    wanted = reference(cell, xs.numpy(), first.numpy(), activation)
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(state, wanted[:, -1], atol=1e-12)


def test_a_long_stream_does_not_explode():
    cell = IndRNN(input_size=1, hidden_size=2)
    with torch.no_grad():
        cell.recurrent_weight.fill_(1.5)
        outputs, _ = cell(torch.ones(1, 400, 1))
    assert outputs.isfinite().all()
    assert outputs.max() <= 400
