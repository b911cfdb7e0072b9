"""Scans against the loop, and the cells that read by them against the equations of their papers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.cells import SRU, IndRNN, MinGRU, MinLSTM
from seqgen.cells.linear import LinearCell, elementwise_scan, linear_scan
from seqgen.testing import check_cell


def loop(following, inputs, first):
    """Autograd's own way, one time after the other."""
    states = []
    for each in zip(*(one.unbind(1) for one in inputs), strict=True):
        first = following(first, *each)
        states.append(first)
    return torch.stack(states, 1)


def reference(factors, terms, first):
    return loop(lambda past, a, b: a * past + b, (factors, terms), first)


def drawn(batch, time, hidden, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    factors = torch.rand(batch, time, hidden, generator=generator, dtype=dtype)
    terms = torch.randn(batch, time, hidden, generator=generator, dtype=dtype)
    return factors, terms, torch.randn(batch, hidden, generator=generator, dtype=dtype)


sizes = st.integers(1, 5)


@settings(max_examples=30)
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


FOLLOWING = {
    "tanh": lambda weight, past, x, y: torch.tanh(weight * past + x) * y,
    "gated": lambda weight, past, x, y: y + torch.sigmoid(x + weight * past) * (past - y),
    "linear": lambda weight, past, x, y: past * torch.sigmoid(x) + weight * y,
    "relu": lambda weight, past, x, y: torch.relu(x + weight * past + y),
}


def drawn_elementwise(batch, time, hidden, seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(hidden,), (batch, time, hidden), (batch, time, hidden), (batch, hidden)]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]


@pytest.mark.parametrize("name", FOLLOWING)
@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_elementwise_values_and_gradients_are_those_of_the_loop(
    name, batch, time, hidden, seed, last_only
):
    found = []
    for scan in (elementwise_scan, loop):
        weight, x, y, first = drawn_elementwise(batch, time, hidden, seed)

        def following(past, *inputs, weight=weight):
            return FOLLOWING[name](weight, past, *inputs)

        states = scan(following, (x, y), first)
        read = states[:, -1:] if last_only else states
        read.square().sum().backward()
        found.append([states, *(each.grad for each in (weight, x, y, first))])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


def test_without_a_gradient_the_values_are_the_same():
    weight, x, y, first = drawn_elementwise(2, 5, 3, seed=1)

    def following(past, *inputs):
        return FOLLOWING["gated"](weight, past, *inputs)

    wanted = elementwise_scan(following, (x, y), first)
    for quiet in (torch.no_grad, torch.inference_mode):
        with quiet():
            states = elementwise_scan(following, (x, y), first)
        assert not states.requires_grad
        torch.testing.assert_close(states.clone(), wanted.detach())


def test_an_input_as_wide_as_the_cell_passes_by_step_too():
    check_cell(SRU, hidden_size=3, input_size=3).require()


class Average(LinearCell):
    """An exponential average with a fixed rate."""

    def __init__(self, input_size):
        super().__init__(input_size, 2, products=1)

    def recurrence(self, projected):
        return torch.full_like(projected, 0.75), projected * 0.25


def test_a_subclass_says_factor_and_term_alone():
    check_cell(Average).require()
    cell, x, state = Average(3), torch.randn(2, 3), torch.ones(2, 2)
    output, _ = cell.step_input(x, state)
    torch.testing.assert_close(output, 0.75 * state + 0.25 * cell.of_input(x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def min_gru(weights, x, h):
    """z and the candidate are stored one above the other; returns the output and the state."""
    z, g = np.split(weights["of_input.weight"] @ x + weights["of_input.bias"], 2)
    h = (1 - sigmoid(z)) * h + sigmoid(z) * g
    return h, h


def min_lstm(weights, x, h):
    """f, i and the candidate are stored one above the other."""
    f, i, g = np.split(weights["of_input.weight"] @ x + weights["of_input.bias"], 3)
    f, i = sigmoid(f), sigmoid(i)
    h = f / (f + i) * h + i / (f + i) * g
    return h, h


def sru(weights, x, c):
    """The products are stored as f, r, candidate and, where needed, highway."""
    size = len(c)
    products = np.split(weights["input_weight"] @ x, len(weights["input_weight"]) // size)
    highway = products[3] if len(products) == 4 else np.sqrt(3) * x
    f = sigmoid(products[0] + weights["recurrent_weight"][0] * c + weights["bias"][:size])
    r = sigmoid(products[1] + weights["recurrent_weight"][1] * c + weights["bias"][size:])
    c = f * c + (1 - f) * products[2]
    return r * c + (1 - r) * highway, c


def indrnn(activation, bound):
    def step(weights, x, h):
        own = weights["recurrent_weight"].clip(-bound, bound)
        h = activation(weights["of_input.weight"] @ x + own * h + weights["of_input.bias"])
        return h, h

    return step


CASES = [
    (MinGRU, 2, {}, min_gru),
    (MinLSTM, 2, {}, min_lstm),
    (SRU, 2, {}, sru),
    (SRU, 5, {}, sru),
    *(
        (IndRNN, 2, {"bound": bound, "activation": name}, indrnn(function, bound))
        for bound in (0.1, 1, 2)
        for name, function in (("relu", lambda x: np.maximum(x, 0)), ("tanh", np.tanh))
    ),
]


@pytest.mark.parametrize(("kind", "input_size", "options", "equation"), CASES)
def test_is_the_cell_of_the_equations(kind, input_size, options, equation):
    torch.manual_seed(1)
    cell = kind(input_size=input_size, hidden_size=5, **options).double()
    with torch.no_grad():
        for name, each in cell.named_parameters():
            if "bias" in name:
                each.add_(torch.randn_like(each))
        if kind is IndRNN:
            bound = min(1, options["bound"])
            assert 0 <= cell.recurrent_weight.min() <= cell.recurrent_weight.max() <= bound
            cell.recurrent_weight.copy_(torch.tensor([-1.5, -0.05, 0, 0.9, 3]))
        xs, first = (torch.randn(*shape).double() for shape in ((3, 4, input_size), (3, 5)))
        outputs, last = cell(xs, first)
    weights = {name: each.detach().numpy() for name, each in cell.named_parameters()}
    state = first.numpy().copy()
    for row, time in np.ndindex(3, 4):
        output, state[row] = equation(weights, xs[row, time].numpy(), state[row])
        np.testing.assert_allclose(outputs[row, time], output, atol=1e-12)
    np.testing.assert_allclose(last, state, atol=1e-12)


def test_a_min_gru_remembers_from_the_start():
    cell = MinGRU(input_size=2, hidden_size=3)
    factor, _ = cell.recurrence(cell.project(torch.zeros(1, 1, 2)))
    np.testing.assert_allclose(factor.detach(), np.full((1, 1, 3), sigmoid(1)), rtol=1e-6)


def test_shut_gates_divide_nothing_by_nothing():
    cell = MinLSTM(input_size=2, hidden_size=1)
    both_shut = torch.tensor([[-1e4, -1e4, 3.0]], requires_grad=True)
    factor, term = cell.recurrence(both_shut)
    assert (factor.item(), term.item()) == (0.5, 1.5)
    (factor + term).sum().backward()
    assert both_shut.grad.isfinite().all()


def test_a_long_stream_does_not_explode():
    cell = IndRNN(input_size=1, hidden_size=2)
    with torch.no_grad():
        cell.recurrent_weight.fill_(1.5)
        outputs, _ = cell(torch.ones(1, 400, 1))
    assert outputs.isfinite().all()
    assert outputs.max() <= 400
