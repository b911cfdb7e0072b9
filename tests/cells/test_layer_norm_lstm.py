"""The cell `layer_norm_lstm` against a reference written from the equations of the paper."""

import numpy as np
import torch

from seqgen.cells import LayerNormLSTM, LSTMState


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalised(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def reference(cell, xs, hidden, memory):
    """One row at a time; the gates are stored as i, f, o, g."""
    weights = {name: each.detach().numpy() for name, each in cell.named_parameters()}
    outputs = np.zeros((*xs.shape[:2], cell.output_size))
    for row, time in np.ndindex(xs.shape[:2]):
        of_x = weights["input_gain"] * normalised(weights["input_weight"] @ xs[row, time])
        of_h = weights["hidden_gain"] * normalised(weights["recurrent_weight"].T @ hidden[row])
        i, f, o, g = np.split(of_x + of_h + weights["bias"], 4)
        memory[row] = sigmoid(f) * memory[row] + sigmoid(i) * np.tanh(g)
        seen = weights["memory_norm.weight"] * normalised(memory[row]) + weights["memory_norm.bias"]
        outputs[row, time] = hidden[row] = sigmoid(o) * np.tanh(seen)
    return outputs, hidden, memory


def test_is_the_cell_of_the_equations():
    torch.manual_seed(1)
    cell = LayerNormLSTM(input_size=2, hidden_size=3).double()
    with torch.no_grad():
        for each in cell.parameters():
            each.add_(torch.randn_like(each))  # no bias or gain that does nothing
    xs, first = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4, 2), (2, 3, 3)))
    with torch.no_grad():
        outputs, state = cell(xs, LSTMState(*first))
    assert type(state) is LSTMState
    wanted, hidden, memory = reference(cell, xs.numpy(), *first.numpy().copy())
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(state.hidden, hidden, atol=1e-12)
    np.testing.assert_allclose(state.memory, memory, atol=1e-12)


def test_the_scale_of_the_weights_does_not_matter():
    torch.manual_seed(1)
    cell, xs = LayerNormLSTM(input_size=2, hidden_size=16).double(), torch.randn(3, 5, 2).double()
    before = cell(xs)[0]
    with torch.no_grad():
        cell.recurrent_weight *= 100
        cell.input_weight *= 100
    torch.testing.assert_close(cell(xs)[0], before, atol=1e-2, rtol=0)
