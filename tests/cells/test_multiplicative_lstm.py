"""The cell `multiplicative_lstm` against a reference written from the paper's equations."""

import numpy as np
import torch

from seqgen.cells import LSTMState, MultiplicativeLSTM


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(cell, xs, hidden, memory):
    """One row at a time; of the input come m, then the gates i, f, o, g."""
    weights = {name: each.detach().numpy() for name, each in cell.named_parameters()}
    of_x = np.split(weights["input_weight"], 5)
    bias = np.split(weights["bias"], 4)
    of_m = np.split(weights["recurrent_weight"].T, 4)
    outputs = np.zeros((*xs.shape[:2], cell.output_size))
    for row, time in np.ndindex(xs.shape[:2]):
        x = xs[row, time]
        m = (of_x[0] @ x) * (weights["recurrent_factors"].T @ hidden[row])
        i, f, o, g = (of_x[1 + gate] @ x + of_m[gate] @ m + bias[gate] for gate in range(4))
        memory[row] = sigmoid(f) * memory[row] + sigmoid(i) * np.tanh(g)
        outputs[row, time] = hidden[row] = sigmoid(o) * np.tanh(memory[row])
    return outputs, hidden, memory


def test_is_the_cell_of_the_equations():
    torch.manual_seed(1)
    cell = MultiplicativeLSTM(input_size=2, hidden_size=3).double()
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


def test_the_factors_have_variance_one_for_inputs_of_variance_one():
    torch.manual_seed(1)
    cell = MultiplicativeLSTM(input_size=64, hidden_size=64)
    factors = cell.project(torch.randn(1, 500, 64))[..., :64]
    assert 0.8 < factors.std().item() < 1.2
