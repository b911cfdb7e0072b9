"""The cell `lstm` against a reference written from the paper's equations."""

import numpy as np
import pytest
import torch

from seqgen.cells import LSTM, LSTMState, cells


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(cell, xs, state, lengths):
    """One row and one time at a time, in float64; the gates are stored as i, f, g, o."""
    rows, times, _ = xs.shape
    outputs = np.zeros((rows, times, cell.output_size))
    following = [[part.numpy().copy() for part in layer] for layer in state]
    for row in range(rows):
        for time in range(lengths[row]):
            x = xs[row, time].numpy()
            for (hidden, memory), weights in zip(following, cell.native.all_weights, strict=True):
                of_x, of_h, bias_x, bias_h = (each.detach().numpy() for each in weights)
                gates = of_x @ x + bias_x + of_h @ hidden[row] + bias_h
                i, f, g, o = np.split(gates, 4)
                memory[row] = sigmoid(f) * memory[row] + sigmoid(i) * np.tanh(g)
                hidden[row] = x = sigmoid(o) * np.tanh(memory[row])
            outputs[row, time] = x
    return outputs, following


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("lengths", [None, [4, 0, 2]])
def test_is_the_lstm_of_the_equations(layers, lengths):
    torch.manual_seed(1)
    cell = LSTM(input_size=2, hidden_size=3, layers=layers).double()
    xs = torch.randn(3, 4, 2, dtype=torch.float64)
    state = tuple(
        LSTMState(*torch.randn(2, 3, 3, dtype=torch.float64).unbind()) for _ in range(layers)
    )
    given = None if lengths is None else torch.tensor(lengths)
    with torch.no_grad():
        outputs, after = cell(xs, state, given)
    wanted, following = reference(cell, xs, state, lengths or [4, 4, 4])
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(
        np.array([[part.numpy() for part in layer] for layer in after]), following, atol=1e-12
    )


def test_the_state_has_a_named_pair_for_each_layer():
    cell = LSTM(input_size=2, hidden_size=3, layers=2)
    for state in (
        cell.initial_state(4),
        cell(torch.zeros(4, 5, 2))[1],
        cell(torch.zeros(4, 5, 2), None, torch.tensor([5, 0, 1, 2]))[1],
        cell.step(torch.zeros(4, 2), cell.initial_state(4))[1],
    ):
        assert [type(layer) for layer in state] == [LSTMState, LSTMState]
        assert state[0].hidden.shape == state[1].memory.shape == (4, 3)
    assert not any(part.any() for layer in cell.initial_state(4) for part in layer)


def test_dropout_is_between_layers_and_in_training_only():
    torch.manual_seed(1)
    cell = LSTM(input_size=2, hidden_size=64, layers=2, dropout=0.5)
    x = torch.randn(1, 2)
    state = cell.initial_state(1)

    def differs(read):
        return not torch.equal(read(), read())

    for read in (lambda: cell.step(x, state)[0], lambda: cell(x.unsqueeze(1), state)[0]):
        cell.train()
        assert differs(read)
        cell.eval()
        assert not differs(read)
    cell.train()
    first = [cell.step(x, state)[1][0].hidden for _ in range(2)]
    assert torch.equal(*first)


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (4, 2)])
def test_a_wrong_shape_is_named(shape):
    cell = LSTM(input_size=2, hidden_size=3)
    right, wrong = torch.zeros(4, 3), torch.zeros(shape)
    message = rf"`state.memory` must be \[4, 3\], but is \[{shape[0]}, {shape[1]}\]"
    with pytest.raises(ValueError, match=message):
        cell.step(torch.zeros(4, 2), (LSTMState(right, wrong),))


def test_what_is_no_tensor_is_named():
    cell = LSTM(input_size=2, hidden_size=3)
    with pytest.raises(ValueError, match=r"`state.hidden` must be \[4, 3\], but is NoneType"):
        cell.step(torch.zeros(4, 2), (LSTMState(None, torch.zeros(4, 3)),))
    with pytest.raises(ValueError, match="must be a tuple of 1 LSTMState"):
        cell(torch.zeros(4, 1, 2), torch.zeros(4, 3))


def test_dropout_needs_a_second_layer():
    with pytest.raises(ValueError, match=r"model.cell: `dropout` is between layers: `layers` must"):
        cells.check({"name": "lstm", "dropout": 0.1}, ("model", "cell"))(input_size=2)


def test_no_rows():
    cell = LSTM(input_size=2, hidden_size=3)
    outputs, _ = cell(torch.zeros(0, 4, 2))
    assert outputs.shape == (0, 4, 3)


@pytest.mark.parametrize("spec", [{"name": "lstm", "layers": 2}, {"name": "lstm_cell"}])
def test_an_orthogonal_start_keeps_what_is_remembered(spec):
    cell = cells.build({**spec, "hidden_size": 6, "init": "orthogonal"}, input_size=3)
    layers = getattr(cell.native, "all_weights", None) or [tuple(cell.native.parameters())]
    assert len(layers) == spec.get("layers", 1)
    for _, recurrent, input_bias, recurrent_bias in layers:
        for gate in recurrent.detach().chunk(4):
            torch.testing.assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0)
        bias = (input_bias + recurrent_bias).detach().view(4, 6)
        assert bias.sum(1).tolist() == [0, 6, 0, 0]
