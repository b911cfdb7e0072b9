"""The cell `weight_drop`: which weights are dropped, how many, and for how long."""

import pytest
import torch

from seqgen.cells import cells
from seqgen.options import OptionError

ROWS, TIME, INPUT, SIZE = 4, 5, 3, 40


def build(inner="lstm", rate=0.5, **options):
    torch.manual_seed(1)
    inner = inner if isinstance(inner, dict) else {"name": inner, "hidden_size": SIZE}
    spec = {"name": "weight_drop", "cell": inner, "rate": rate, **options}
    return cells.build(spec, input_size=INPUT)


def inputs():
    return torch.randn(ROWS, TIME, INPUT, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("inner", ["lstm", "lstm_cell", "gru", "gru_cell", "rnn", "rnn_cell"])
def test_recurrent_weights_are_dropped(inner):
    """Read off the gradients: where a weight is dropped, its gradient is zero."""
    cell = build(inner, rate=0.25)
    cell(inputs())[0].square().sum().backward()
    gradients = {name: each.grad for name, each in cell.cell.named_parameters()}
    (recurrent,) = (name for name in gradients if "weight_hh" in name)
    assert cell.names == [recurrent]
    zero = gradients.pop(recurrent) == 0
    assert abs(zero.float().mean() - 0.25) < 4 * (0.25 * 0.75 / zero.numel()) ** 0.5
    assert all(each.all() for each in gradients.values())


def test_what_is_left_is_scaled_up():
    cell = build(rate=0.5)
    weight = cell.cell.native.weight_hh_l0
    dropped = cell._dropped()["native.weight_hh_l0"]
    assert torch.equal(dropped, torch.where(dropped == 0, 0, 2 * weight))


@pytest.mark.parametrize("inner", ["gru", "gru_cell"])
def test_one_mask_is_for_a_whole_call(inner):
    """With the same mask at all rows and times, the call is one of the cell with such weights."""
    cell, xs = build(inner), inputs()
    torch.manual_seed(7)
    weights = {name: each.detach() for name, each in cell._dropped().items()}
    torch.manual_seed(7)
    found, last = cell(xs)
    other = build(inner)
    other.cell.load_state_dict({**other.cell.state_dict(), **weights})
    torch.testing.assert_close((found, last), other.cell(xs))


def test_each_call_draws_anew():
    cell, xs = build(), inputs()
    state = cell.initial_state(ROWS)
    assert not torch.equal(cell(xs)[0], cell(xs)[0])
    state = cell(xs)[1]
    one, other = (cell.step_input(xs[:, 0], state)[0] for _ in range(2))
    assert not torch.equal(one, other)
    cell.eval()
    one, other = (cell.step_input(xs[:, 0], state)[0] for _ in range(2))
    assert torch.equal(one, other)


def test_a_step_in_training_is_a_call():
    cell, xs = build(), inputs()
    state = cell(xs)[1]
    torch.manual_seed(7)
    (wanted,), last = cell(xs[:, :1], state)[0].unbind(1), cell(xs[:, :1], state)[1]
    torch.manual_seed(7)
    found, _ = cell.step_input(xs[:, 0], state)
    torch.testing.assert_close(found, wanted)
    assert [type(part) for part in last] == [type(part) for part in state]


def test_the_weights_themselves_never_change():
    cell, xs = build(), inputs()
    before = {name: each.clone() for name, each in cell.state_dict().items()}
    parameters = list(cell.parameters())
    cell(xs)
    cell.step_input(xs[:, 0], cell.initial_state(ROWS))
    assert all(map(torch.equal, before.values(), cell.state_dict().values()))
    assert all(one is other for one, other in zip(parameters, cell.parameters(), strict=True))
    assert before.keys() == cell.state_dict().keys()
    assert torch.equal(cell.eval()(xs)[0], cell.cell(xs)[0])


@pytest.mark.parametrize("lengths", [None, torch.tensor([5, 0, 2, 1])])
def test_lengths_and_pieces_in_training(lengths):
    cell, xs = build(rate=0), inputs()
    torch.testing.assert_close(cell(xs, None, lengths), cell.cell(xs, None, lengths))
    dropping = build()
    outputs, _ = dropping(xs, dropping(xs)[1], lengths)
    assert outputs.shape == (ROWS, TIME, SIZE)
    if lengths is not None:
        assert all(not outputs[row, length:].any() for row, length in enumerate(lengths))


def test_patterns_choose_the_weights():
    stack = {"name": "stack", "cells": [{"name": "gru", "hidden_size": 4, "layers": 2}] * 2}
    every = build(stack).names
    assert len(every) == 4
    assert all("weight_hh" in name for name in every)
    assert build(stack, weights=["cells.1.*weight_hh_l0"]).names == ["cells.1.native.weight_hh_l0"]


def test_patterns_that_match_nothing_are_refused():
    with pytest.raises(OptionError, match=r"`weights` must match .* \*weight_xx match none of nat"):
        build(weights=["*weight_xx"])


def test_weights_that_two_cells_share_are_dropped_alike():
    cell = build({"name": "stack", "cells": [{"name": "rnn", "hidden_size": INPUT}] * 2})
    low, high = cell.cell.cells
    high.native.weight_hh_l0 = low.native.weight_hh_l0
    cell.names = cell.names[:1]
    cell(inputs())[0].square().sum().backward()
    assert (low.native.weight_hh_l0.grad == 0).any()
