"""The cell `peephole_lstm` against a reference written from the equations of the paper."""

import numpy as np
import torch

from seqgen.cells import LSTMState, PeepholeLSTM


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(cell, xs, hidden, memory):
    """One row at a time; the gates are stored as i, f, o, g, the peepholes as i, f, o."""
    weights = {name: each.detach().numpy() for name, each in cell.named_parameters()}
    of_x, bias = np.split(weights["of_input.weight"], 4), np.split(weights["of_input.bias"], 4)
    of_h, of_c = np.split(weights["recurrent_weight"].T, 4), weights["peepholes"]
    outputs = np.zeros((*xs.shape[:2], cell.output_size))
    for row, time in np.ndindex(xs.shape[:2]):
        x, h, c = xs[row, time], hidden[row].copy(), memory[row].copy()
        sums = [of_x[gate] @ x + of_h[gate] @ h + bias[gate] for gate in range(4)]
        i, f = sigmoid(sums[0] + of_c[0] * c), sigmoid(sums[1] + of_c[1] * c)
        memory[row] = f * c + i * np.tanh(sums[3])
        o = sigmoid(sums[2] + of_c[2] * memory[row])
        outputs[row, time] = hidden[row] = o * np.tanh(memory[row])
    return outputs, hidden, memory


def test_is_the_cell_of_the_equations():
    torch.manual_seed(1)
    cell = PeepholeLSTM(input_size=2, hidden_size=3).double()
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


def test_it_remembers_from_the_start():
    cell = PeepholeLSTM(input_size=2, hidden_size=4)
    assert cell.of_input.bias.detach().view(4, 4).sum(1).tolist() == [0, 4, 0, 0]
    for gate in cell.recurrent_weight.detach().chunk(4, 1):
        torch.testing.assert_close(gate @ gate.T, torch.eye(4), atol=1e-5, rtol=0)
