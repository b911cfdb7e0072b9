"""The cell `zoneout`: what is kept, how often, and what evaluation expects."""

import pytest
import torch

from seqgen.cells import Cell, LSTMState, Zoneout, cells
from seqgen.options import OptionError
from seqgen.state import leaves

ROWS, SIZE, TIME = 40, 50, 5
DRAWS = ROWS * SIZE


def build(inner="lstm_cell", size=SIZE, **options):
    torch.manual_seed(1)
    spec = {"name": "zoneout", "cell": {"name": inner, "hidden_size": size}, **options}
    return cells.build(spec, input_size=3)


def before_and_after(cell):
    """A state, the state that the inner cell alone would come to, and what `cell` returns."""
    x = torch.randn(ROWS, 3)
    state = cell.initial_state(ROWS)
    state = LSTMState(torch.randn_like(state.hidden), torch.randn_like(state.memory))
    return state, cell.cell.step_input(x, state)[1], cell.step_input(x, state)


def test_each_tensor_keeps_a_share_of_its_own():
    cell, rates = build(rates=[0.1, 0.5]), (0.1, 0.5)
    old, new, (_, found) = before_and_after(cell)
    for before, after, mixed, rate in zip(old, new, found, rates, strict=True):
        kept = mixed == before
        assert torch.equal(mixed, torch.where(kept, before, after))
        assert abs(kept.float().mean() - rate) < 4 * (rate * (1 - rate) / DRAWS) ** 0.5


def test_tensors_are_kept_independently_and_anew_at_each_step():
    cell, xs = build(rates=[0.5]), torch.randn(ROWS, TIME, 3)
    state, kept = cell.initial_state(ROWS), []
    for x in xs.unbind(1):
        _, after = cell.step_input(x, state)
        kept += [new == old for new, old in zip(after, state, strict=True)]
        state = after
    for index, one in enumerate(kept):
        for other in kept[:index]:
            assert abs((one & other).float().mean() - 0.25) < 0.05


def test_evaluation_has_the_expectation():
    cell = build(rates=[0.1, 0.5])
    cell.eval()
    old, new, (_, found) = before_and_after(cell)
    torch.testing.assert_close(found.hidden, 0.1 * old.hidden + 0.9 * new.hidden)
    torch.testing.assert_close(found.memory, 0.5 * old.memory + 0.5 * new.memory)


def test_the_mean_of_many_draws_is_the_evaluation():
    cell, x, state = build(size=2, rates=[0.3]), torch.randn(1, 3), None
    state = cell(torch.randn(1, 3, 3))[1]
    many = LSTMState(*(part.detach().expand(20_000, -1) for part in state))
    _, found = cell.step_input(x.expand(20_000, -1), many)
    _, wanted = cell.eval().step_input(x, state)
    for draws, mean in zip(found, wanted, strict=True):
        torch.testing.assert_close(draws.mean(0, keepdim=True), mean, atol=0.01, rtol=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("inner", ["lstm_cell", "lstm", "gru", "rnn_cell"])
def test_the_output_is_zoned_out_as_the_state_is(inner, training):
    cell = build(inner, rates=[0.5]).train(training)
    _, state = cell(torch.randn(ROWS, TIME, 3))
    output, after = cell.step_input(torch.randn(ROWS, 3), state)
    assert torch.equal(output, next(iter(leaves(after))))
    assert ((output == next(iter(leaves(state)))).float().mean() > 0.4) == training


def test_a_rate_of_zero_is_the_inner_cell():
    cell, xs = build(rates=[0]), torch.randn(ROWS, TIME, 3)
    torch.testing.assert_close(cell(xs), cell.cell(xs))


def test_gradients_reach_everything_in_training():
    cell, xs = build(rates=[0.2, 0.5]), torch.randn(ROWS, TIME, 3).requires_grad_()
    cell(xs)[0].square().sum().backward()
    assert all(each.grad.any() for each in (xs[:, 0], *cell.parameters()) if each.is_leaf)
    assert xs.grad[:, 0].any(1).all()


class Counting(Cell):
    """A cell that counts its steps in an integer beside a state of floats."""

    def __init__(self, input_size):
        super().__init__()
        self.output_size = input_size

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, dtype=torch.long), torch.zeros(batch_size, self.output_size)

    def step(self, x, state):
        count, total = state
        return total + x, (count + 1, total + x)


def test_integers_are_left_alone():
    cell = Zoneout(input_size=SIZE, cell=Counting, rates=(0.9,))
    assert cell(torch.ones(ROWS, TIME, SIZE))[1][0].tolist() == [TIME] * ROWS
    total = cell(torch.ones(ROWS, TIME, SIZE))[1][1]
    assert abs(total.mean() - TIME * 0.1) < 0.1


def test_rates_begin_again_for_each_layer():
    spec = {"name": "lstm", "hidden_size": SIZE, "layers": 2}
    cell = cells.build({"name": "zoneout", "cell": spec, "rates": [0, 0.9]}, input_size=3)
    _, state = cell(torch.randn(ROWS, TIME, 3))
    _, after = cell.step_input(torch.randn(ROWS, 3), state)
    shares = [(a == b).float().mean() for a, b in zip(leaves(state), leaves(after), strict=True)]
    assert [share > 0.5 for share in shares] == [False, True, False, True]


@pytest.mark.parametrize("rates", [[], [0.1, 0.2, 0.3]])
def test_a_wrong_number_of_rates_is_refused(rates):
    message = f"`rates` must be one for all or .* has 2, but there are {len(rates)}"
    with pytest.raises(OptionError, match=message):
        build(rates=rates)


@pytest.mark.parametrize("rate", [1, -0.1, "much"])
def test_a_rate_is_a_share(rate):
    with pytest.raises(OptionError, match="rates"):
        build(rates=[rate])
