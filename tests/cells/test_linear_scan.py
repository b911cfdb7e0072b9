"""The linear recurrence over all times: its values, its gradient and its rounding."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.cells.linear_scan import at_lengths, linear_scan, within


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
