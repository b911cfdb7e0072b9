"""The scan of a recurrence unit by unit: its values and its gradient are those of the loop."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.cells.elementwise_scan import elementwise_scan

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


def drawn(batch, time, hidden, seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(hidden,), (batch, time, hidden), (batch, time, hidden), (batch, hidden)]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]


@pytest.mark.parametrize("name", FOLLOWING)
@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_values_and_gradients_are_those_of_the_loop(name, batch, time, hidden, seed, last_only):
    found = []
    for scan in (elementwise_scan, loop):
        weight, x, y, first = drawn(batch, time, hidden, seed)

        def following(past, *inputs, weight=weight):
            return FOLLOWING[name](weight, past, *inputs)

        states = scan(following, (x, y), first)
        read = states[:, -1:] if last_only else states
        read.square().sum().backward()
        found.append([states, *(each.grad for each in (weight, x, y, first))])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", FOLLOWING)
def test_the_gradient_is_right(name):
    def read(weight, x, y, first):
        return elementwise_scan(
            lambda past, *inputs: FOLLOWING[name](weight, past, *inputs), (x, y), first
        )

    assert torch.autograd.gradcheck(read, drawn(2, 5, 3, seed=1))


def test_without_a_gradient_the_values_are_the_same():
    weight, x, y, first = drawn(2, 5, 3, seed=1)

    def following(past, *inputs):
        return FOLLOWING["gated"](weight, past, *inputs)

    wanted = elementwise_scan(following, (x, y), first)
    for quiet in (torch.no_grad, torch.inference_mode):
        with quiet():
            states = elementwise_scan(following, (x, y), first)
        assert not states.requires_grad
        torch.testing.assert_close(states.clone(), wanted.detach())
