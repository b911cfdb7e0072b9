"""The cell `stack`: a cell reads what the one below says."""

import pytest
import torch

from seqgen.cells import Stack, cells
from seqgen.options import OptionError
from seqgen.state import leaves


def stack(dropout=0.0):
    torch.manual_seed(1)
    spec = [{"name": "lstm", "hidden_size": 4}, {"name": "lstm_cell", "hidden_size": 3}]
    return cells.build({"name": "stack", "cells": spec, "dropout": dropout}, input_size=2)


def test_each_cell_reads_the_one_below():
    made, xs = stack(), torch.randn(5, 6, 2)
    lower, upper = made.cells
    middle, low = lower(xs)
    outputs, high = upper(middle)
    found, state = made(xs)
    assert torch.equal(found, outputs)
    assert len(state) == 2
    assert all(map(torch.equal, leaves(state), leaves((low, high))))


def test_sizes_flow_upwards():
    made = stack()
    assert isinstance(made, Stack)
    assert [cell.output_size for cell in made.cells] == [4, 3]
    assert made.output_size == 3
    assert made.cells[1].native.input_size == 4


def test_dropout_is_between_cells_and_in_training_only():
    made, x = stack(dropout=0.5), torch.randn(1, 2)
    state = made.initial_state(1)
    outputs = [made.step(x, state) for _ in range(8)]
    assert len({output.sum().item() for output, _ in outputs}) > 1
    assert len({low[0].hidden.sum().item() for _, (low, _) in outputs}) == 1
    lows = [made(x.unsqueeze(1))[1][0][0].hidden for _ in range(8)]
    assert len({low.sum().item() for low in lows}) == 1
    assert len({made(x.unsqueeze(1))[0].sum().item() for _ in range(8)}) > 1
    made.eval()
    assert len({made.step(x, state)[0].sum().item() for _ in range(8)}) == 1
    assert len({made(x.unsqueeze(1))[0].sum().item() for _ in range(8)}) == 1


@pytest.mark.parametrize("state", [torch.zeros(5, 4), (), (None, None), (None,) * 3])
def test_a_state_for_other_cells_is_refused(state):
    for read in (stack().step, lambda x, s: stack()(x.unsqueeze(1), s)):
        with pytest.raises(ValueError, match="`state` must"):
            read(torch.zeros(5, 2), state)


def test_a_stack_of_nothing_is_refused():
    with pytest.raises(OptionError, match="`cells` must be at least 1 long"):
        cells.build({"name": "stack", "cells": []}, input_size=2)


def test_a_fault_of_a_cell_inside_knows_its_place():
    spec = {"name": "stack", "cells": ["lstm", {"name": "lstm", "dropout": 0.5}]}
    with pytest.raises(OptionError, match=r"^model\.cell\.cells\.1: `dropout` is between layers"):
        cells.check(spec, ("model", "cell"))(input_size=2)
