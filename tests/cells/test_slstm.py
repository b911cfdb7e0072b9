"""The cell `slstm` against the equations of the paper before they are stabilised."""

import numpy as np
import pytest
import torch

from seqgen.cells import SLSTM, SLSTMState


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(cell, xs, forget):
    """One row at a time from nothing, with c and n as they are; head by head, gates i, f, z, o."""
    heads, size = cell.heads, cell.output_size // cell.heads
    of_x = cell.of_input.weight.detach().numpy().reshape(heads, 4, size, -1)
    bias = cell.of_input.bias.detach().numpy().reshape(heads, 4, size)
    of_h = cell.recurrent_weight.detach().numpy().reshape(heads, size, 4, size)
    outputs = np.zeros((*xs.shape[:2], heads, size))
    for row, head in np.ndindex(len(xs), heads):
        h, c, n = np.zeros((3, size))
        for time, x in enumerate(xs[row]):
            i, f, z, o = (
                of_x[head, gate] @ x + of_h[head, :, gate].T @ h + bias[head, gate]
                for gate in range(4)
            )
            c = forget(f) * c + np.exp(i) * np.tanh(z)
            n = forget(f) * n + np.exp(i)
            outputs[row, time, head] = h = sigmoid(o) * c / n
    return outputs.reshape(*xs.shape[:2], -1)


@pytest.mark.parametrize("heads", [1, 2, 6])
@pytest.mark.parametrize(("name", "forget"), [("sigmoid", sigmoid), ("exponential", np.exp)])
def test_is_the_cell_of_the_equations(heads, name, forget):
    torch.manual_seed(1)
    cell = SLSTM(input_size=2, hidden_size=6, heads=heads, forget_gate=name).double()
    with torch.no_grad():
        cell.of_input.bias += torch.randn(24)
    xs = torch.randn(3, 5, 2, dtype=torch.float64)
    with torch.no_grad():
        outputs, state = cell(xs)
    np.testing.assert_allclose(outputs, reference(cell, xs.numpy(), forget), atol=1e-12)
    assert type(state) is SLSTMState


@pytest.mark.parametrize("forget_gate", ["sigmoid", "exponential"])
@pytest.mark.parametrize("scale", [1, 1e3, 1e6])
def test_no_gate_is_too_large(forget_gate, scale):
    torch.manual_seed(1)
    cell = SLSTM(input_size=2, hidden_size=6, forget_gate=forget_gate)
    xs = (scale * torch.randn(4, 50, 2)).requires_grad_()
    outputs, state = cell(xs)
    assert outputs.abs().max() <= 1
    assert state.normaliser.min() >= 1
    outputs.sum().backward()
    assert all(each.grad.isfinite().all() for each in (xs, *cell.parameters()))


def test_the_first_step_forgets_what_was_never_there():
    cell = SLSTM(input_size=2, hidden_size=6)
    _, state = cell.step_input(torch.randn(4, 2), cell.initial_state(4))
    assert state.normaliser.eq(1).all()


def test_heads_must_divide_the_size():
    with pytest.raises(ValueError, match=r"`heads` must divide `hidden_size` \(6\), but is 4"):
        SLSTM(input_size=2, hidden_size=6, heads=4)


def test_units_meet_those_of_their_own_head_only():
    cell = SLSTM(input_size=2, hidden_size=6, heads=2)
    state = SLSTMState(*torch.rand(4, 1, 6))
    hidden = state.hidden.requires_grad_()
    cell.step_input(torch.zeros(1, 2), state)[0][:, :3].sum().backward()
    assert hidden.grad[:, :3].all()
    assert not hidden.grad[:, 3:].any()
