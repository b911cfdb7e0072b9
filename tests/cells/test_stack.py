"""The cell `stack`: a cell reads what the one below says."""

import pytest
import torch

from seqgen.cells import Stack, cells
from seqgen.options import OptionError
from seqgen.state import leaves


def stack(**options):
    torch.manual_seed(1)
    spec = [{"name": "lstm", "hidden_size": 4}, {"name": "lstm_cell", "hidden_size": 3}]
    return cells.build({"name": "stack", "cells": spec, **options}, input_size=2)


def tall(**options):
    """Three cells, of which the second and the third keep the width."""
    torch.manual_seed(1)
    spec = [{"name": name, "hidden_size": 4} for name in ("gru", "rnn_cell", "lstm")]
    return cells.build({"name": "stack", "cells": spec, **options}, input_size=2)


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


LENGTHS = [None, torch.tensor([6, 0, 2, 3, 1])]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_residual_adds_the_input_where_it_is_as_wide_as_the_output(lengths):
    made, xs = tall(residual=True), torch.randn(5, 6, 2)
    one, two, three = made.cells
    low, _ = one(xs, None, lengths)
    middle = low + two(low, None, lengths)[0]
    high = middle + three(middle, None, lengths)[0]
    torch.testing.assert_close(made(xs, None, lengths)[0], high)
    assert made.residual == [False, True, True]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_layer_norm_is_of_each_cells_outputs(residual, lengths):
    made, xs = tall(residual=residual, layer_norm=True), torch.randn(5, 6, 2)
    for norm in made.norms:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    wanted = xs
    for index, (cell, norm) in enumerate(zip(made.cells, made.norms, strict=True)):
        below = wanted if residual and index else 0
        wanted = below + norm(cell(wanted, None, lengths)[0])
    found, _ = made(xs, None, lengths)
    for row, length in enumerate([6] * 5 if lengths is None else lengths):
        torch.testing.assert_close(found[row, :length], wanted[row, :length])
        assert not found[row, length:].any()


def test_dropout_leaves_the_way_around_the_cells_alone():
    made, x = tall(residual=True, dropout=0.9), torch.randn(1, 2)
    for cell in made.cells[1:]:
        for each in cell.parameters():
            torch.nn.init.zeros_(each)
    output, (low, *_) = made.step(x, made.initial_state(1))
    assert torch.equal(output, low[0])


def test_residual_without_a_cell_of_that_width_is_refused():
    message = "`residual` needs a cell .* but the widths are 2, 4, 3, from the bottom up"
    with pytest.raises(OptionError, match=message):
        stack(residual=True)


def test_renewing_renews_each_cell():
    spec = ["gru_cell", {"name": "variational_dropout", "cell": "gru_cell"}]
    made = cells.build({"name": "stack", "cells": spec}, input_size=2)
    _, state = made(torch.randn(5, 6, 2))
    plain, masked = made.renew(state)
    assert torch.equal(plain, state[0])
    assert torch.equal(masked.cell, state[1].cell)
    assert not torch.equal(masked.of_outputs, state[1].of_outputs)
    with pytest.raises(ValueError, match="`state` must be a tuple of 2 states"):
        made.renew(state[:1])
