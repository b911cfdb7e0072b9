"""Segments, by a reader that sums up what it reads and keeps a list of its calls."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from seqgen.cells import GRU, LSTM, RNN, GRUCell, LSTMCell, LSTMState, RNNCell, cells
from seqgen.cells.native import read_in_segments
from seqgen.options import OptionError
from seqgen.state import leaves


class Sums:
    """The state is the sum so far, with its half beside it; the output is the sum."""

    def __init__(self):
        self.calls = []

    def __call__(self, xs, state):
        total, (half, nothing) = state
        self.calls.append(tuple(xs.shape[:2]))
        assert torch.equal(total, 2 * half)
        sums = total.unsqueeze(1) + xs.cumsum(1)
        return sums, (sums[:, -1], (sums[:, -1] / 2, nothing))


@pytest.fixture
def read():
    return Sums()


def state_of(values):
    first = torch.tensor(values).unsqueeze(1)
    return first, (first / 2, None)


def test_each_token_is_read_once_and_padding_never(read):
    xs = torch.tensor([[1, 2, 3, 4, 5], [9, 9, 9, 9, 9], [6, 7, 8, 9, 9], [1, 1, 1, 9, 9.0]])
    start = state_of([10, 20, 30, 40.0])
    outputs, last = read_in_segments(read, xs.unsqueeze(2), start, torch.tensor([5, 0, 3, 3]))
    assert read.calls == [(3, 3), (1, 2)]
    assert outputs.squeeze(2).tolist() == [
        [11, 13, 16, 20, 25],
        [0, 0, 0, 0, 0],
        [36, 43, 51, 0, 0],
        [41, 42, 43, 0, 0],
    ]
    assert last[0].squeeze(1).tolist() == [25, 20, 51, 43]
    assert last[1][0].squeeze(1).tolist() == [12.5, 10, 25.5, 21.5]
    assert last[1][1] is None


def test_no_row_needs_to_fill_the_batch(read):
    xs = torch.ones(2, 4, 1)
    outputs, last = read_in_segments(read, xs, state_of([0, 0.0]), torch.tensor([2, 2]))
    assert read.calls == [(2, 2)]
    assert outputs.squeeze(2).tolist() == [[1, 2, 0, 0], [1, 2, 0, 0]]
    assert last[0].tolist() == [[2], [2]]


def test_the_gradient_is_that_of_the_rows_alone(read):
    lengths, weights = torch.tensor([2, 4, 0, 1, 4]), torch.randn(5, 4, 1)
    xs, start = torch.randn(5, 4, 1, requires_grad=True), torch.randn(5, 1, requires_grad=True)
    outputs, last = read_in_segments(read, xs, (start, (start / 2, None)), lengths)
    total = (outputs * weights).sum() + sum(leaf.square().sum() for leaf in leaves(last))
    total.backward()
    found = xs.grad, start.grad
    xs.grad = start.grad = None
    for row, length in enumerate(lengths.tolist()):
        alone = start[row] + xs[row, :length].cumsum(0)
        end = start[row] + xs[row, :length].sum(0)
        value = (alone * weights[row, :length]).sum() + 1.25 * end.square().sum()
        value.backward()
    torch.testing.assert_close(found, (xs.grad, start.grad))
    assert not xs.grad[2].any()


# What the cells on native kernels share: their weights, layers, lengths and starts.


NATIVE = ["lstm", "gru", "rnn"]


@pytest.fixture(params=NATIVE)
def name(request):
    return request.param


def build(name, **options):
    torch.manual_seed(1)
    return cells.build({"name": name, "hidden_size": 4, **options}, input_size=3)


@pytest.mark.parametrize("lengths", [None, [5, 0, 2]])
def test_is_what_torch_has(name, lengths):
    cell, xs = build(name, layers=2), torch.randn(3, 5, 3)
    wanted, _ = cell.native(xs)
    if lengths is not None:
        for row, length in enumerate(lengths):
            wanted[row, length:] = 0
        lengths = torch.tensor(lengths)
    torch.testing.assert_close(cell(xs, None, lengths)[0], wanted)


@pytest.mark.parametrize("lengths", [[5, 0, 2], [1, 1, 1], [0, 0, 4]])
def test_packed_rows_are_the_same_as_segments_of_rows(name, lengths):
    """Where there is no CPU rows are packed, which no other test would notice here."""
    cell, xs, lengths = build(name, layers=2), torch.randn(3, 5, 3), torch.tensor(lengths)
    start = cell(torch.randn(3, 2, 3))[1]
    found, wanted = cell._read_packed(xs, start, lengths), cell(xs, start, lengths)
    torch.testing.assert_close(found[0], wanted[0])
    for a, b in zip(leaves(found[1]), leaves(wanted[1]), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("lengths", [None, torch.tensor([5, 0, 2])])
def test_reads_the_weights_of_the_moment(name, lengths):
    cell, other, xs = build(name, layers=2), build(name, layers=2), torch.randn(3, 5, 3)
    with torch.no_grad():
        for each in other.parameters():
            each.mul_(0.5)
    weights = {key: each.detach() for key, each in other.named_parameters()}
    before, _ = cell(xs, None, lengths)
    found, _ = functional_call(cell, weights, (xs, None, lengths))
    torch.testing.assert_close(found, other(xs, None, lengths)[0])
    assert not torch.allclose(found, before)
    assert torch.equal(cell(xs, None, lengths)[0], before)


def test_dropout_is_between_layers_and_in_training_only(name):
    cell, x = build(name, hidden_size=64, layers=2, dropout=0.5), torch.randn(1, 3)
    state = cell.initial_state(1)
    for read in (lambda: cell.step(x, state), lambda: cell(x.unsqueeze(1), state)):
        cell.train()
        (one, (low, _)), (other, (same, _)) = read(), read()
        assert not torch.equal(one, other)
        assert all(map(torch.equal, leaves(low), leaves(same)))
        cell.eval()
        assert torch.equal(read()[0], read()[0])


def test_dropout_needs_a_second_layer(name):
    with pytest.raises(
        ValueError, match="`dropout` is between layers: `layers` must be at least 2"
    ):
        build(name, dropout=0.1)


def test_a_width_that_is_not_the_inputs_is_named(name):
    with pytest.raises(ValueError, match=r"`xs` must be \[..., 3\], but is \[..., 2\]"):
        build(name)(torch.zeros(4, 5, 2))


def test_a_state_of_other_layers_is_named(name):
    cell, two = build(name), build(name, layers=2)
    with pytest.raises(ValueError, match="`state` must be a tuple of 1"):
        cell(torch.zeros(4, 5, 3), two.initial_state(4))


def test_rows_without_inputs_stay_as_they_are(name):
    cell, xs = build(name), torch.randn(3, 5, 3)
    start = cell(xs)[1]
    outputs, last = cell(xs, start, torch.zeros(3, dtype=torch.long))
    assert not outputs.any()
    assert all(map(torch.equal, leaves(last), leaves(start)))


def test_no_rows(name):
    assert build(name)(torch.zeros(0, 5, 3))[0].shape == (0, 5, 4)


@pytest.mark.parametrize("single", [False, True])
def test_an_orthogonal_start_keeps_what_is_remembered(name, single):
    options = {} if single else {"layers": 2}
    cell = build(f"{name}_cell" if single else name, init="orthogonal", **options)
    layers = [tuple(cell.native.parameters())] if single else cell.native.all_weights
    for _, recurrent, input_bias, recurrent_bias in layers:
        for gate in recurrent.detach().split(4):
            torch.testing.assert_close(gate @ gate.T, torch.eye(4), atol=1e-5, rtol=0)
        bias = (input_bias + recurrent_bias).detach().view(-1, 4).sum(1).tolist()
        assert bias == ([0, 4, 0, 0] if name == "lstm" else [0] * len(bias))


def test_lower_precision_is_torchs_own(name):
    cell, xs = build(name), torch.randn(3, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = cell(xs)[0], cell.native(xs)[0]
    assert found.dtype == wanted.dtype
    assert torch.equal(found, wanted)


# The cell `rnn` against a reference written from its equation.


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


# The cell `gru` against a reference written from its equations.


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference_gru(cell, xs, state, lengths):
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
    wanted, following = reference_gru(cell, xs, state, lengths or [4, 4, 4])
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(np.array([each.numpy() for each in after]), following, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (4, 2)])
def test_a_wrong_shape_is_named(shape):
    cell = GRU(input_size=2, hidden_size=3)
    message = rf"`state` must be \[4, 3\], but is \[{shape[0]}, {shape[1]}\]"
    for read in (cell.step, lambda x, state: cell(x.unsqueeze(1), state)):
        with pytest.raises(ValueError, match=message):
            read(torch.zeros(4, 2), (torch.zeros(shape),))


# The cell `lstm` against a reference written from the paper's equations.


def sigmoid_lstm(x):
    return 1 / (1 + np.exp(-x))


def reference_lstm(cell, xs, state, lengths):
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
                memory[row] = sigmoid_lstm(f) * memory[row] + sigmoid_lstm(i) * np.tanh(g)
                hidden[row] = x = sigmoid_lstm(o) * np.tanh(memory[row])
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
    wanted, following = reference_lstm(cell, xs, state, lengths or [4, 4, 4])
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


def test_dropout_is_between_layers_and_in_training_only_lstm():
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
def test_a_wrong_shape_is_named_lstm(shape):
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


def test_dropout_needs_a_second_layer_lstm():
    with pytest.raises(ValueError, match=r"model.cell: `dropout` is between layers: `layers` must"):
        cells.check({"name": "lstm", "dropout": 0.1}, ("model", "cell"))(input_size=2)


def test_no_rows_lstm():
    cell = LSTM(input_size=2, hidden_size=3)
    outputs, _ = cell(torch.zeros(0, 4, 2))
    assert outputs.shape == (0, 4, 3)


@pytest.mark.parametrize("spec", [{"name": "lstm", "layers": 2}, {"name": "lstm_cell"}])
def test_an_orthogonal_start_keeps_what_is_remembered_lstm(spec):
    cell = cells.build({**spec, "hidden_size": 6, "init": "orthogonal"}, input_size=3)
    layers = getattr(cell.native, "all_weights", None) or [tuple(cell.native.parameters())]
    assert len(layers) == spec.get("layers", 1)
    for _, recurrent, input_bias, recurrent_bias in layers:
        for gate in recurrent.detach().chunk(4):
            torch.testing.assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0)
        bias = (input_bias + recurrent_bias).detach().view(4, 6)
        assert bias.sum(1).tolist() == [0, 6, 0, 0]


# The cell `rnn_cell`: the mathematics of `rnn`, step by step.


@pytest.fixture(params=["tanh", "relu"])
def pair(request):
    """A `rnn` and a `rnn_cell` with the same weights."""
    torch.manual_seed(1)
    options = {"input_size": 2, "hidden_size": 3, "nonlinearity": request.param}
    native, cell = RNN(**options), RNNCell(**options)
    weights = native.state_dict()
    cell.load_state_dict({name.removesuffix("_l0"): each for name, each in weights.items()})
    return native, cell


@pytest.mark.parametrize("lengths", [None, [0, 5, 3, 1]])
def test_is_one_layer_of_rnn(pair, lengths):
    native, cell = pair
    xs = torch.randn(4, 5, 2)
    given = None if lengths is None else torch.tensor(lengths)
    outputs, (state,) = native(xs, None, given)
    found, last = cell(xs, None, given)
    torch.testing.assert_close(found, outputs, atol=1e-6, rtol=0)
    torch.testing.assert_close(last, state, atol=1e-6, rtol=0)


def test_gradients_are_those_of_rnn(pair):
    xs = torch.randn(4, 5, 2)
    for each in pair:
        each(xs, None, torch.tensor([5, 2, 0, 1]))[0].square().sum().backward()
    for one, other in zip(*(each.parameters() for each in pair), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-5)


# The cell `gru_cell`: the mathematics of `gru`, step by step.


@pytest.fixture
def pair_gru_cell():
    """A `gru` and a `gru_cell` with the same weights."""
    torch.manual_seed(1)
    native, cell = GRU(input_size=2, hidden_size=3), GRUCell(input_size=2, hidden_size=3)
    weights = native.state_dict()
    cell.load_state_dict({name.removesuffix("_l0"): each for name, each in weights.items()})
    return native, cell


@pytest.mark.parametrize("lengths", [None, [0, 5, 3, 1]])
def test_is_one_layer_of_gru(pair_gru_cell, lengths):
    native, cell = pair_gru_cell
    xs = torch.randn(4, 5, 2)
    given = None if lengths is None else torch.tensor(lengths)
    outputs, (state,) = native(xs, None, given)
    found, last = cell(xs, None, given)
    torch.testing.assert_close(found, outputs, atol=1e-6, rtol=0)
    torch.testing.assert_close(last, state, atol=1e-6, rtol=0)


def test_gradients_are_those_of_gru(pair_gru_cell):
    xs = torch.randn(4, 5, 2)
    for each in pair_gru_cell:
        each(xs, None, torch.tensor([5, 2, 0, 1]))[0].square().sum().backward()
    for one, other in zip(*(each.parameters() for each in pair_gru_cell), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-5)


# The cell `lstm_cell`: the mathematics of `lstm`, step by step.


@pytest.fixture
def pair_lstm_cell():
    """An `lstm` and an `lstm_cell` with the same weights."""
    torch.manual_seed(1)
    native, cell = LSTM(input_size=2, hidden_size=3), LSTMCell(input_size=2, hidden_size=3)
    weights = native.state_dict()
    cell.load_state_dict({name.removesuffix("_l0"): each for name, each in weights.items()})
    return native, cell


@pytest.mark.parametrize("lengths", [None, [0, 5, 3, 1]])
def test_is_one_layer_of_lstm(pair_lstm_cell, lengths):
    native, cell = pair_lstm_cell
    xs = torch.randn(4, 5, 2)
    given = None if lengths is None else torch.tensor(lengths)
    outputs, (state,) = native(xs, None, given)
    found, last = cell(xs, None, given)
    torch.testing.assert_close(found, outputs, atol=1e-6, rtol=0)
    torch.testing.assert_close(tuple(last), tuple(state), atol=1e-6, rtol=0)
    assert type(last) is LSTMState


def test_gradients_are_those_of_lstm(pair_lstm_cell):
    xs = torch.randn(4, 5, 2)
    for each in pair_lstm_cell:
        each(xs, None, torch.tensor([5, 2, 0, 1]))[0].square().sum().backward()
    for one, other in zip(*(each.parameters() for each in pair_lstm_cell), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-5)
