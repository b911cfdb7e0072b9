"""The native cells against their equations and against torch, and rows in segments."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from seqgen.cells import LSTM, LSTMState, cells
from seqgen.cells.native import read_in_segments
from seqgen.options import OptionError
from seqgen.state import leaves

NATIVE = ["lstm", "gru", "rnn"]


@pytest.fixture(params=NATIVE)
def name(request):
    return request.param


def build(name, **options):
    torch.manual_seed(1)
    return cells.build({"name": name, "hidden_size": 4, **options}, input_size=3)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn(function):
    return lambda of_x, of_h, state: [function(of_x + of_h)]


def gru(of_x, of_h, state):
    (r_x, z_x, n_x), (r_h, z_h, n_h) = np.split(of_x, 3), np.split(of_h, 3)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    return [(1 - z) * np.tanh(n_x + r * n_h) + z * state[0]]


def lstm(of_x, of_h, state):
    i, f, g, o = np.split(of_x + of_h, 4)
    memory = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(memory), memory]


EQUATIONS = {
    "rnn, tanh": rnn(np.tanh),
    "rnn, relu": rnn(lambda x: np.maximum(x, 0)),
    "gru": gru,
    "lstm": lstm,
}


def reference(cell, equation, xs, state, lengths):
    """One row and one time at a time; `state` is `[layer, part, row, hidden]`."""
    outputs, state = np.zeros((*xs.shape[:2], cell.output_size)), state.copy()
    for row, length in enumerate(lengths):
        for time in range(length):
            x = xs[row, time]
            for layer, weights in zip(state, cell.native.all_weights, strict=True):
                of_x, of_h, bias_x, bias_h = (each.detach().numpy() for each in weights)
                hidden = layer[0, row]
                layer[:, row] = equation(of_x @ x + bias_x, of_h @ hidden + bias_h, layer[:, row])
                x = layer[0, row]
            outputs[row, time] = x
    return outputs, state


@pytest.mark.parametrize("kind", EQUATIONS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("lengths", [None, [4, 0, 2]])
def test_is_the_cell_of_the_equations(kind, layers, lengths):
    name, *nonlinearity = kind.split(", ")
    options = {"nonlinearity": nonlinearity[0]} if nonlinearity else {}
    cell = build(name, layers=layers, **options).double()
    xs = torch.randn(3, 4, 3, dtype=torch.float64)
    first = torch.randn(layers, 2 if name == "lstm" else 1, 3, 4, dtype=torch.float64)
    state = tuple(LSTMState(*each) if len(each) > 1 else each[0] for each in first)
    given = None if lengths is None else torch.tensor(lengths)
    with torch.no_grad():
        outputs, last = cell(xs, state, given)
    assert {type(each) for each in last} == {type(each) for each in state}
    lengths = lengths or [4, 4, 4]
    wanted = reference(cell, EQUATIONS[kind], xs.numpy(), first.numpy(), lengths)
    np.testing.assert_allclose(outputs, wanted[0], atol=1e-12)
    last = np.stack([each.numpy() for each in leaves(last)]).reshape(first.shape)
    np.testing.assert_allclose(last, wanted[1], atol=1e-12)


def test_torch_has_the_fastest_kernel_but_for_some_on_a_cpu(name):
    assert build(name).is_derivable == (name != "lstm")
    assert not build(name, layers=2).is_derivable
    assert not build(name).to("meta").is_derivable


@pytest.mark.parametrize("lengths", [[5, 0, 2], [1, 1, 1], [0, 0, 4]])
def test_packed_rows_are_the_same_as_segments_of_rows(name, lengths):
    """Only without a CPU are rows packed, which no other test would notice here."""
    cell, xs, lengths = build(name, layers=2), torch.randn(3, 5, 3), torch.tensor(lengths)
    start = cell(torch.randn(3, 2, 3))[1]
    found, wanted = cell._read_packed(xs, start, lengths), cell(xs, start, lengths)
    torch.testing.assert_close(found[0], wanted[0])
    torch.testing.assert_close([*leaves(found[1])], [*leaves(wanted[1])])


@pytest.mark.parametrize("lengths", [None, torch.tensor([5, 0, 2])])
def test_reads_the_weights_of_the_call(name, lengths):
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


@pytest.mark.parametrize("single", [False, True])
def test_an_orthogonal_start_keeps_what_is_remembered(name, single):
    options = {} if single else {"layers": 2}
    cell = build(f"{name}_cell" if single else name, init="orthogonal", **options)
    layers = [tuple(cell.native.parameters())] if single else cell.native.all_weights
    assert len(layers) == options.get("layers", 1)
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


def test_the_state_of_an_lstm_has_a_named_pair_for_each_layer():
    cell = LSTM(input_size=2, hidden_size=3, layers=2)
    first = cell.initial_state(4)
    for state in (first, cell.step(torch.zeros(4, 2), first)[1]):
        assert [type(layer) for layer in state] == [LSTMState, LSTMState]
    assert not any(part.any() for layer in first for part in layer)


ZEROS = torch.zeros(4, 4)


def refuses(cell, state, message):
    for read in (cell.step, lambda x, state: cell(x.unsqueeze(1), state)):
        with pytest.raises(ValueError, match=message):
            read(torch.zeros(4, 3), state)


@pytest.mark.parametrize("shape", [(2, 4), (1, 4), (4, 2)])
def test_a_wrong_shape_is_named(shape):
    wrong, found = torch.zeros(shape), rf"must be \[4, 4\], but is \[{shape[0]}, {shape[1]}\]"
    refuses(build("gru"), (wrong,), f"`state` {found}")
    refuses(build("lstm"), (LSTMState(ZEROS, wrong),), f"`state.memory` {found}")


def test_another_kind_of_state_is_named(name):
    refuses(build(name), build(name, layers=2).initial_state(4), "`state` must be a tuple of 1")
    none = r"`state.hidden` must be \[4, 4\], but is NoneType"
    refuses(build("lstm"), (LSTMState(None, ZEROS),), none)
    refuses(build("lstm"), ZEROS, "must be a tuple of 1 LSTMState")


def test_wrong_options_and_inputs_are_named(name):
    with pytest.raises(
        OptionError, match=r"model.cell: `dropout` is between layers: `layers` must"
    ):
        cells.check({"name": name, "dropout": 0.1}, ("model", "cell"))(input_size=2)
    with pytest.raises(ValueError, match=r"`xs` must be \[..., 3\], but is \[..., 2\]"):
        build(name)(torch.zeros(4, 5, 2))
    with pytest.raises(OptionError, match="nonlinearity"):
        build(name, nonlinearity="sigmoid")


# One layer step by step has the mathematics of the native cell.
@pytest.fixture(params=["rnn, tanh", "rnn, relu", "gru", "lstm"])
def pair(request):
    """A native cell and the one by steps with the same weights."""
    name, *nonlinearity = request.param.split(", ")
    options = {"nonlinearity": nonlinearity[0]} if nonlinearity else {}
    native, cell = build(name, **options), build(f"{name}_cell", **options)
    weights = native.state_dict()
    cell.load_state_dict({name.removesuffix("_l0"): each for name, each in weights.items()})
    return native, cell


@pytest.mark.parametrize("lengths", [None, [0, 5, 3, 1]])
def test_by_steps_it_is_one_layer(pair, lengths):
    xs = torch.randn(4, 5, 3)
    given = None if lengths is None else torch.tensor(lengths)
    (outputs, (state,)), (found, last) = (cell(xs, None, given) for cell in pair)
    torch.testing.assert_close(found, outputs, atol=1e-6, rtol=0)
    torch.testing.assert_close([*leaves(last)], [*leaves(state)], atol=1e-6, rtol=0)
    assert type(last) is type(state)


class TestSegments:
    """By a reader that adds up what it reads and keeps a list of its calls."""

    @pytest.fixture
    def calls(self):
        return []

    @pytest.fixture
    def read(self, calls):
        """The state is the sum so far, together with its half; the output is the sum."""

        def call(xs, state):
            total, (half, nothing) = state
            calls.append(tuple(xs.shape[:2]))
            assert torch.equal(total, 2 * half)
            sums = total.unsqueeze(1) + xs.cumsum(1)
            return sums, (sums[:, -1], (sums[:, -1] / 2, nothing))

        return call

    @staticmethod
    def state_of(values):
        first = torch.tensor(values).unsqueeze(1)
        return first, (first / 2, None)

    def test_each_token_is_read_once_and_padding_never(self, read, calls):
        xs = torch.tensor([[1, 2, 3, 4, 5], [9, 9, 9, 9, 9], [6, 7, 8, 9, 9], [1, 1, 1, 9, 9.0]])
        start = self.state_of([10, 20, 30, 40.0])
        outputs, last = read_in_segments(read, xs.unsqueeze(2), start, torch.tensor([5, 0, 3, 3]))
        assert calls == [(3, 3), (1, 2)]
        wanted = [[11, 13, 16, 20, 25], [0] * 5, [36, 43, 51, 0, 0], [41, 42, 43, 0, 0]]
        assert outputs.squeeze(2).tolist() == wanted
        assert last[0].squeeze(1).tolist() == [25, 20, 51, 43]
        assert last[1][0].squeeze(1).tolist() == [12.5, 10, 25.5, 21.5]
        assert last[1][1] is None

    def test_no_row_needs_to_fill_the_batch(self, read, calls):
        xs, start = torch.ones(2, 4, 1), self.state_of([0, 0.0])
        outputs, last = read_in_segments(read, xs, start, torch.tensor([2, 2]))
        assert calls == [(2, 2)]
        assert outputs.squeeze(2).tolist() == [[1, 2, 0, 0], [1, 2, 0, 0]]
        assert last[0].tolist() == [[2], [2]]

    def test_the_gradient_is_that_of_the_rows_alone(self, read):
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
