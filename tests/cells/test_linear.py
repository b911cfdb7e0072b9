"""The linear recurrence over all times: its values, its gradient and its rounding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.cells import SRU, IndRNN, MinGRU, MinLSTM
from seqgen.cells.linear import LinearCell, at_lengths, elementwise_scan, linear_scan, within


def reference(factors, terms, first):
    """Autograd's own way, one time after the other."""
    states = []
    for a, b in zip(factors.unbind(1), terms.unbind(1), strict=True):
        first = a * first + b
        states.append(first)
    return torch.stack(states, 1)


def drawn(batch, time, hidden, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    factors = torch.rand(batch, time, hidden, generator=generator, dtype=dtype)
    terms = torch.randn(batch, time, hidden, generator=generator, dtype=dtype)
    return factors, terms, torch.randn(batch, hidden, generator=generator, dtype=dtype)


sizes = st.integers(1, 5)


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(1, 20), sizes, st.integers(0, 99))
def test_values_and_gradients_are_those_of_the_loop(batch, time, hidden, seed):
    weights = torch.randn(batch, time, hidden, dtype=torch.float64)
    found = []
    for scan in (linear_scan, reference):
        given_ = [each.requires_grad_() for each in drawn(batch, time, hidden, seed)]
        states = scan(*given_)
        (states * weights).sum().backward()
        found.append([states, *(each.grad for each in given_)])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("time", [1, 2, 7])
def test_the_gradient_is_right(time):
    tensors = [each.requires_grad_() for each in drawn(2, time, 3)]
    assert torch.autograd.gradcheck(linear_scan, tensors)


def test_only_what_is_wanted_needs_a_gradient():
    factors, terms, first = drawn(2, 4, 3)
    linear_scan(factors, terms.requires_grad_(), first)[:, -1].sum().backward()
    # The last state moves by the product of the factors that follow.
    torch.testing.assert_close(terms.grad[:, 1], factors[:, 2:].prod(1))


def test_any_layout_of_memory_will_do():
    factors, terms, first = drawn(3, 6, 4)
    wanted = linear_scan(factors, terms, first)
    turned = [each.transpose(0, 1).contiguous().transpose(0, 1) for each in (factors, terms)]
    joined = torch.cat([factors, terms], -1).chunk(2, -1)
    for pair in (turned, joined):
        torch.testing.assert_close(linear_scan(*pair, first.T.contiguous().T), wanted)
    expanded = first[:1].expand(3, -1)
    wanted = reference(factors, terms, expanded)
    torch.testing.assert_close(linear_scan(factors, terms, expanded), wanted)


@pytest.mark.parametrize("sharpness", [0.1, 3, 30])
def test_single_precision_is_enough_for_a_thousand_steps(sharpness):
    """With gates anywhere between 0 and 1, also at both ends."""
    noise, terms, first = drawn(4, 1000, 8)
    factors = torch.sigmoid(sharpness * (noise * 4 - 2))
    terms = (1 - factors) * terms
    exact = [each.clone().requires_grad_() for each in (factors, terms, first)]
    single = [each.float().requires_grad_() for each in (factors, terms, first)]
    states, wanted = linear_scan(*single), reference(*exact)
    torch.testing.assert_close(states.double(), wanted, rtol=1e-5, atol=1e-5)
    states.mean().backward()
    wanted.mean().backward()
    for one, other in zip(single, exact, strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-4, atol=1e-7)


def test_mixed_precision_keeps_the_state_precise():
    factors, terms, first = drawn(2, 5, 3, dtype=torch.float32)
    half = [each.bfloat16().requires_grad_() for each in (factors, terms)]
    states = linear_scan(*half, first)
    assert states.dtype == torch.float32
    torch.testing.assert_close(states, reference(*(each.float() for each in half), first))
    states.sum().backward()
    assert half[0].grad.dtype == torch.bfloat16


def test_at_lengths_and_within():
    states, first = torch.arange(1.0, 13).view(2, 3, 2), torch.zeros(2, 2)
    assert at_lengths(states, first, torch.tensor([0, 2])).tolist() == [[0, 0], [9, 10]]
    kept = within(states, torch.tensor([0, 2]))
    assert kept.tolist() == [[[0, 0]] * 3, [[7, 8], [9, 10], [0, 0]]]


# The scan of a recurrence unit by unit: its values and its gradient are those of the loop.


FOLLOWING = {
    "tanh": lambda weight, past, x, y: torch.tanh(weight * past + x) * y,
    "gated": lambda weight, past, x, y: y + torch.sigmoid(x + weight * past) * (past - y),
    "linear": lambda weight, past, x, y: past * torch.sigmoid(x) + weight * y,
    "relu": lambda weight, past, x, y: torch.relu(x + weight * past + y),
}


def loop(following, inputs, first):
    """Autograd's own way, one time after the other."""
    states = []
    for each in zip(*(one.unbind(1) for one in inputs), strict=True):
        first = following(first, *each)
        states.append(first)
    return torch.stack(states, 1)


def drawn_elementwise_scan(batch, time, hidden, seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(hidden,), (batch, time, hidden), (batch, time, hidden), (batch, hidden)]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]


@pytest.mark.parametrize("name", FOLLOWING)
@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_values_and_gradients_are_those_of_the_loop_elementwise_scan(
    name, batch, time, hidden, seed, last_only
):
    found = []
    for scan in (elementwise_scan, loop):
        weight, x, y, first = drawn_elementwise_scan(batch, time, hidden, seed)

        def following(past, *inputs, weight=weight):
            return FOLLOWING[name](weight, past, *inputs)

        states = scan(following, (x, y), first)
        read = states[:, -1:] if last_only else states
        read.square().sum().backward()
        found.append([states, *(each.grad for each in (weight, x, y, first))])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", FOLLOWING)
def test_the_gradient_is_right_elementwise_scan(name):
    def read(weight, x, y, first):
        return elementwise_scan(
            lambda past, *inputs: FOLLOWING[name](weight, past, *inputs), (x, y), first
        )

    assert torch.autograd.gradcheck(read, drawn_elementwise_scan(2, 5, 3, seed=1))


def test_without_a_gradient_the_values_are_the_same():
    weight, x, y, first = drawn_elementwise_scan(2, 5, 3, seed=1)

    def following(past, *inputs):
        return FOLLOWING["gated"](weight, past, *inputs)

    wanted = elementwise_scan(following, (x, y), first)
    for quiet in (torch.no_grad, torch.inference_mode):
        with quiet():
            states = elementwise_scan(following, (x, y), first)
        assert not states.requires_grad
        torch.testing.assert_close(states.clone(), wanted.detach())


# The base of cells with a linear recurrence: what a subclass has to say.


class Average(LinearCell):
    """An exponential average with a fixed rate."""

    def __init__(self, input_size):
        super().__init__(input_size, 2, products=1)

    def recurrence(self, projected):
        return torch.full_like(projected, 0.75), projected * 0.25


def test_a_subclass_says_factor_and_term_alone():
    torch.manual_seed(1)
    cell, xs, state = Average(3), torch.randn(2, 5, 3), torch.ones(2, 2)
    outputs, last = cell(xs, state, torch.tensor([5, 3]))
    for time in range(5):
        state = 0.75 * state + 0.25 * cell.of_input(xs[:, time])
        rows = 2 if time < 3 else 1
        torch.testing.assert_close(outputs[:rows, time], state[:rows])
        if time == 2:
            torch.testing.assert_close(last[1], state[1])
    torch.testing.assert_close(last[0], state[0])
    assert not outputs[1, 3:].any()


# The cell `min_gru` against a reference written from the equations of the paper.


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference_min_gru(cell, xs, hidden):
    """One row at a time; z and the candidate are stored one above the other."""
    of_z, of_g = np.split(cell.of_input.weight.detach().numpy(), 2)
    bias_z, bias_g = np.split(cell.of_input.bias.detach().numpy(), 2)
    outputs = np.zeros((*xs.shape[:2], cell.output_size))
    for row in range(len(xs)):
        h = hidden[row]
        for time, x in enumerate(xs[row]):
            z = sigmoid(of_z @ x + bias_z)
            outputs[row, time] = h = (1 - z) * h + z * (of_g @ x + bias_g)
    return outputs


def test_is_the_cell_of_the_equations():
    torch.manual_seed(1)
    cell = MinGRU(input_size=2, hidden_size=3).double()
    xs, first = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4, 2), (3, 3)))
    with torch.no_grad():
        outputs, state = cell(xs, first)
    wanted = reference_min_gru(cell, xs.numpy(), first.numpy())
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(state, wanted[:, -1], atol=1e-12)


def test_it_remembers_from_the_start():
    cell = MinGRU(input_size=2, hidden_size=3)
    factor, _ = cell.recurrence(cell.project(torch.zeros(1, 1, 2)))
    np.testing.assert_allclose(factor.detach(), np.full((1, 1, 3), sigmoid(1)), rtol=1e-6)


# The cell `min_lstm` against a reference written from the equations of the paper.


def sigmoid_min_lstm(x):
    return 1 / (1 + np.exp(-x))


def reference_min_lstm(cell, xs, hidden):
    """One row at a time; f, i and the candidate are stored one above the other."""
    of_x = np.split(cell.of_input.weight.detach().numpy(), 3)
    bias = np.split(cell.of_input.bias.detach().numpy(), 3)
    outputs = np.zeros((*xs.shape[:2], cell.output_size))
    for row in range(len(xs)):
        h = hidden[row]
        for time, x in enumerate(xs[row]):
            f, i, g = (of_x[gate] @ x + bias[gate] for gate in range(3))
            f, i = sigmoid_min_lstm(f), sigmoid_min_lstm(i)
            outputs[row, time] = h = f / (f + i) * h + i / (f + i) * g
    return outputs


def test_is_the_cell_of_the_equations_min_lstm():
    torch.manual_seed(1)
    cell = MinLSTM(input_size=2, hidden_size=3).double()
    xs, first = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4, 2), (3, 3)))
    with torch.no_grad():
        outputs, state = cell(xs, first)
    wanted = reference_min_lstm(cell, xs.numpy(), first.numpy())
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(state, wanted[:, -1], atol=1e-12)


def test_shut_gates_divide_nothing_by_nothing():
    cell = MinLSTM(input_size=2, hidden_size=1)
    both_shut = torch.tensor([[-1e4, -1e4, 3.0]], requires_grad=True)
    factor, term = cell.recurrence(both_shut)
    assert (factor.item(), term.item()) == (0.5, 1.5)
    (factor + term).sum().backward()
    assert both_shut.grad.isfinite().all()


# The cell `sru` against a reference written from the equations of the paper.


def sigmoid_sru(x):
    return 1 / (1 + np.exp(-x))


def reference_sru(cell, xs, memory):
    """One row at a time; the products are stored as f, r, candidate and, where needed, highway."""
    size = cell.output_size
    of_x = np.split(cell.input_weight.detach().numpy(), len(cell.input_weight) // size)
    bias, of_c = cell.bias.detach().numpy(), cell.recurrent_weight.detach().numpy()
    outputs, memories = np.zeros((2, *xs.shape[:2], size))
    for row in range(len(xs)):
        c = memory[row]
        for time, x in enumerate(xs[row]):
            highway = of_x[3] @ x if len(of_x) == 4 else np.sqrt(3) * x
            f = sigmoid_sru(of_x[0] @ x + of_c[0] * c + bias[:size])
            r = sigmoid_sru(of_x[1] @ x + of_c[1] * c + bias[size:])
            memories[row, time] = c = f * c + (1 - f) * (of_x[2] @ x)
            outputs[row, time] = r * c + (1 - r) * highway
    return outputs, memories


@pytest.mark.parametrize("input_size", [2, 3])
def test_is_the_cell_of_the_equations_sru(input_size):
    torch.manual_seed(1)
    cell = SRU(input_size=input_size, hidden_size=3).double()
    with torch.no_grad():
        cell.bias += torch.randn(6)
    xs, first = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4, input_size), (3, 3)))
    with torch.no_grad():
        outputs, state = cell(xs, first)
    wanted, memories = reference_sru(cell, xs.numpy(), first.numpy())
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(state, memories[:, -1], atol=1e-12)


@pytest.mark.parametrize("lengths", [None, [4, 0, 2]])
def test_an_input_as_wide_as_the_cell_passes_by_step_too(lengths):
    torch.manual_seed(1)
    cell, xs = SRU(input_size=3, hidden_size=3), torch.randn(3, 4, 3)
    outputs, state = cell(xs, None, lengths and torch.tensor(lengths))
    for row, length in enumerate(lengths or [4, 4, 4]):
        alone = cell.initial_state(1)
        for time in range(length):
            output, alone = cell.step_input(xs[row : row + 1, time], alone)
            torch.testing.assert_close(outputs[row : row + 1, time], output)
        torch.testing.assert_close(state[row : row + 1], alone)
        assert not outputs[row, length:].any()


# The cell `indrnn` against a reference written from the equation of the paper.


def reference_indrnn(cell, xs, hidden, activation):
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
    wanted = reference_indrnn(cell, xs.numpy(), first.numpy(), activation)
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)
    np.testing.assert_allclose(state, wanted[:, -1], atol=1e-12)


def test_a_long_stream_does_not_explode():
    cell = IndRNN(input_size=1, hidden_size=2)
    with torch.no_grad():
        cell.recurrent_weight.fill_(1.5)
        outputs, _ = cell(torch.ones(1, 400, 1))
    assert outputs.isfinite().all()
    assert outputs.max() <= 400
