"""The cells with gates against references written from the equations of their papers."""

import numpy as np
import pytest
import torch

from seqgen.cells import (
    SLSTM,
    LayerNormLSTM,
    LSTMState,
    MultiplicativeLSTM,
    PeepholeLSTM,
    SLSTMState,
)
from seqgen.cells.gated import input_weights, recurrent_weights
from seqgen.state import detach


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalised(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def layer_norm(weights, x, h, c):
    of_x = weights["input_gain"] * normalised(weights["input_weight"] @ x)
    of_h = weights["hidden_gain"] * normalised(weights["recurrent_weight"].T @ h)
    i, f, o, g = np.split(of_x + of_h + weights["bias"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    seen = weights["memory_norm.weight"] * normalised(c) + weights["memory_norm.bias"]
    return sigmoid(o) * np.tanh(seen), c


def multiplicative(weights, x, h, c):
    """Of the input come m, then the gates i, f, o, g."""
    of_x, bias = np.split(weights["input_weight"], 5), np.split(weights["bias"], 4)
    of_m = np.split(weights["recurrent_weight"].T, 4)
    m = (of_x[0] @ x) * (weights["recurrent_factors"].T @ h)
    i, f, o, g = (of_x[1 + gate] @ x + of_m[gate] @ m + bias[gate] for gate in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def peephole(weights, x, h, c):
    """The gates are stored as i, f, o, g, the peepholes as i, f, o."""
    of_x, bias = np.split(weights["of_input.weight"], 4), np.split(weights["of_input.bias"], 4)
    of_h, of_c = np.split(weights["recurrent_weight"].T, 4), weights["peepholes"]
    sums = [of_x[gate] @ x + of_h[gate] @ h + bias[gate] for gate in range(4)]
    i, f = sigmoid(sums[0] + of_c[0] * c), sigmoid(sums[1] + of_c[1] * c)
    c = f * c + i * np.tanh(sums[3])
    return sigmoid(sums[2] + of_c[2] * c) * np.tanh(c), c


EQUATIONS = {LayerNormLSTM: layer_norm, MultiplicativeLSTM: multiplicative, PeepholeLSTM: peephole}


@pytest.mark.parametrize("kind", EQUATIONS, ids=lambda kind: kind.__name__)
def test_is_the_lstm_of_the_equations(kind):
    torch.manual_seed(1)
    cell = kind(input_size=2, hidden_size=3).double()
    with torch.no_grad():
        for each in cell.parameters():
            each.add_(torch.randn_like(each))  # no bias or gain that does nothing
    xs, first = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4, 2), (2, 3, 3)))
    outputs, state = cell(xs, LSTMState(*first))
    assert type(state) is LSTMState
    assert all(each.all() for each in torch.autograd.grad(outputs.sum(), cell.parameters()))
    outputs, state = outputs.detach(), detach(state)
    weights = {name: each.detach().numpy() for name, each in cell.named_parameters()}
    hidden, memory = first.numpy().copy()
    for row, time in np.ndindex(3, 4):
        found = EQUATIONS[kind](weights, xs[row, time].numpy(), hidden[row], memory[row])
        hidden[row], memory[row] = found
        np.testing.assert_allclose(outputs[row, time], hidden[row], atol=1e-12)
    np.testing.assert_allclose(state.hidden, hidden, atol=1e-12)
    np.testing.assert_allclose(state.memory, memory, atol=1e-12)


class TestStarts:
    @pytest.mark.parametrize(("heads", "size"), [(1, 6), (2, 3)])
    def test_the_forget_gate_alone_begins_open(self, heads, size):
        linear = input_weights(input_size=2, hidden_size=6, heads=heads)
        assert linear.weight.shape == (24, 2)
        assert linear.weight.abs().max() <= 6**-0.5
        assert linear.bias.tolist() == ([0] * size + [1] * size + [0] * 2 * size) * heads

    def test_recurrent_weights_keep_lengths(self):
        weights = recurrent_weights(hidden_size=5, gates=3)
        assert weights.shape == (5, 15)
        x = torch.randn(5)
        for gate in weights.detach().chunk(3, 1):
            torch.testing.assert_close((x @ gate).norm(), x.norm())

    def test_a_peephole_lstm_remembers_from_the_start(self):
        cell = PeepholeLSTM(input_size=2, hidden_size=4)
        assert cell.of_input.bias.detach().view(4, 4).sum(1).tolist() == [0, 4, 0, 0]

    def test_factors_have_variance_one_for_inputs_of_variance_one(self):
        torch.manual_seed(1)
        cell = MultiplicativeLSTM(input_size=64, hidden_size=64)
        factors = cell.project(torch.randn(1, 500, 64))[..., :64]
        assert 0.8 < factors.std().item() < 1.2


def test_with_layer_norm_the_scale_of_the_weights_does_not_matter():
    torch.manual_seed(1)
    cell, xs = LayerNormLSTM(input_size=2, hidden_size=16).double(), torch.randn(3, 5, 2).double()
    before = cell(xs)[0]
    with torch.no_grad():
        cell.recurrent_weight *= 100
        cell.input_weight *= 100
    torch.testing.assert_close(cell(xs)[0], before, atol=1e-2, rtol=0)


class TestSLSTM:
    """Against the equations of the paper before they are stabilised."""

    @staticmethod
    def reference(cell, xs, forget):
        """One row at a time from nothing, c and n as they are; head by head, gates i, f, z, o."""
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
    def test_is_the_cell_of_the_equations(self, heads, name, forget):
        torch.manual_seed(1)
        cell = SLSTM(input_size=2, hidden_size=6, heads=heads, forget_gate=name).double()
        xs = torch.randn(3, 5, 2, dtype=torch.float64)
        with torch.no_grad():
            cell.of_input.bias += torch.randn(24)
            outputs, state = cell(xs)
        np.testing.assert_allclose(outputs, self.reference(cell, xs.numpy(), forget), atol=1e-12)
        assert type(state) is SLSTMState

    @pytest.mark.parametrize("forget_gate", ["sigmoid", "exponential"])
    @pytest.mark.parametrize("scale", [1, 1e3, 1e6])
    def test_no_gate_is_too_large(self, forget_gate, scale):
        torch.manual_seed(1)
        cell = SLSTM(input_size=2, hidden_size=6, forget_gate=forget_gate)
        xs = (scale * torch.randn(4, 50, 2)).requires_grad_()
        outputs, state = cell(xs)
        assert outputs.abs().max() <= 1
        assert state.normaliser.min() >= 1
        outputs.sum().backward()
        assert all(each.grad.isfinite().all() for each in (xs, *cell.parameters()))

    def test_the_first_step_forgets_what_was_never_there(self):
        cell = SLSTM(input_size=2, hidden_size=6)
        _, state = cell.step_input(torch.randn(4, 2), cell.initial_state(4))
        assert state.normaliser.eq(1).all()

    def test_heads_must_divide_the_size(self):
        with pytest.raises(ValueError, match=r"`heads` must divide `hidden_size` \(6\), but is 4"):
            SLSTM(input_size=2, hidden_size=6, heads=4)

    def test_units_meet_those_of_their_own_head_only(self):
        cell = SLSTM(input_size=2, hidden_size=6, heads=2)
        state = SLSTMState(*torch.rand(4, 1, 6))
        hidden = state.hidden.requires_grad_()
        cell.step_input(torch.zeros(1, 2), state)[0][:, :3].sum().backward()
        assert hidden.grad[:, :3].all()
        assert not hidden.grad[:, 3:].any()
