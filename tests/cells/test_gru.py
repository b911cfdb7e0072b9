"""The cell `gru` against a reference written from its equations."""

import numpy as np
import pytest
import torch

from seqgen.cells import GRU


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(cell, xs, state, lengths):
    """One row and one time at a time, in float64; the gates are stored as r, z, n."""
    rows, times, _ = xs.shape
    outputs = np.zeros((rows, times, cell.output_size))
    following = [layer.numpy().copy() for layer in state]
    for row in range(rows):
        for time in range(lengths[row]):
            x = xs[row, time].numpy()
            for hidden, weights in zip(following, cell.native.all_weights, strict=True):
                of_x, of_h, bias_x, bias_h = (each.detach().numpy() for each in weights)
                r_x, z_x, n_x = np.split(of_x @ x + bias_x, 3)
                r_h, z_h, n_h = np.split(of_h @ hidden[row] + bias_h, 3)
                r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
                hidden[row] = x = (1 - z) * np.tanh(n_x + r * n_h) + z * hidden[row]
            outputs[row, time] = x
    return outputs, following


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("lengths", [None, [4, 0, 2]])
def test_is_the_gru_of_the_equations(layers, lengths):
    torch.manual_seed(1)
    cell = GRU(input_size=2, hidden_size=3, layers=layers).double()
    xs = torch.randn(3, 4, 2, dtype=torch.float64)
    state = tuple(torch.randn(layers, 3, 3, dtype=torch.float64).unbind())
    given = None if lengths is None else torch.tensor(lengths)
    with torch.no_grad():
        outputs, after = cell(xs, state, given)
    wanted, following = reference(cell, xs, state, lengths or [4, 4, 4])
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(np.array([each.numpy() for each in after]), following, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (4, 2)])
def test_a_wrong_shape_is_named(shape):
    cell = GRU(input_size=2, hidden_size=3)
    message = rf"`state` must be \[4, 3\], but is \[{shape[0]}, {shape[1]}\]"
    for read in (cell.step, lambda x, state: cell(x.unsqueeze(1), state)):
        with pytest.raises(ValueError, match=message):
            read(torch.zeros(4, 2), (torch.zeros(shape),))
