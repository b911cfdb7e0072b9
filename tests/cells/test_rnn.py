"""The cell `rnn` against a reference written from its equation."""

import numpy as np
import pytest
import torch

from seqgen.cells import RNN, cells
from seqgen.options import OptionError

FUNCTIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}


def reference(cell, xs, state, lengths):
    """One row and one time at a time, in float64."""
    rows, times, _ = xs.shape
    outputs = np.zeros((rows, times, cell.output_size))
    following = [layer.numpy().copy() for layer in state]
    for row in range(rows):
        for time in range(lengths[row]):
            x = xs[row, time].numpy()
            for hidden, weights in zip(following, cell.native.all_weights, strict=True):
                of_x, of_h, bias_x, bias_h = (each.detach().numpy() for each in weights)
                sums = of_x @ x + bias_x + of_h @ hidden[row] + bias_h
                hidden[row] = x = FUNCTIONS[cell.nonlinearity](sums)
            outputs[row, time] = x
    return outputs, following


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("lengths", [None, [4, 0, 2]])
def test_is_the_network_of_the_equation(nonlinearity, layers, lengths):
    torch.manual_seed(1)
    cell = RNN(input_size=2, hidden_size=3, layers=layers, nonlinearity=nonlinearity).double()
    xs = torch.randn(3, 4, 2, dtype=torch.float64)
    state = tuple(torch.randn(layers, 3, 3, dtype=torch.float64).unbind())
    given = None if lengths is None else torch.tensor(lengths)
    with torch.no_grad():
        outputs, after = cell(xs, state, given)
    wanted, following = reference(cell, xs, state, lengths or [4, 4, 4])
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(np.array([each.numpy() for each in after]), following, atol=1e-12)


def test_another_nonlinearity_is_refused():
    with pytest.raises(OptionError, match="nonlinearity"):
        cells.build({"name": "rnn", "nonlinearity": "sigmoid"}, input_size=2)
