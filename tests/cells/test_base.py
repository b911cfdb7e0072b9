"""What every cell does beyond the laws of `check_cell`, and what is said of a bad one."""

import warnings
from functools import partial

import pytest
import torch
from torch import nn

from seqgen.cells import Cell, GRUCell, VariationalDropout, cells
from seqgen.cells.base import checked_parts, checked_tensor, require_inner
from seqgen.errors import PluginError
from seqgen.state import leaves, map_state, rebuild, reorder
from seqgen.testing import check_cell
from seqgen.testing.cell import BATCH, CELL_LAWS, TIME, CellCase, repeated_step

INPUT = 3

# Cells that are made of layers or of other cells, beyond those of the registry.
COMPOUND = {
    "lstm of 3 layers": {"name": "lstm", "hidden_size": 4, "layers": 3},
    "stack of 1": {"name": "stack", "cells": [{"name": "lstm_cell", "hidden_size": 4}]},
    "nested stacks": {
        "name": "stack",
        "cells": [
            {"name": "stack", "cells": [{"name": "lstm", "hidden_size": 4, "layers": 2}]},
            {"name": "stack", "cells": [{"name": "lstm_cell", "hidden_size": 3}] * 2},
        ],
    },
    "gru of 2 layers": {"name": "gru", "hidden_size": 4, "layers": 2},
    "relu rnn": {"name": "rnn", "hidden_size": 4, "layers": 2, "nonlinearity": "relu"},
    "stack with residual and layer_norm": {
        "name": "stack",
        "cells": [{"name": "gru", "hidden_size": 4}, {"name": "gru_cell", "hidden_size": 4}],
        "residual": True,
        "layer_norm": True,
    },
    "wrappers of wrappers": {
        "name": "variational_dropout",
        "cell": {
            "name": "weight_drop",
            "cell": {"name": "zoneout", "cell": {"name": "lstm", "hidden_size": 4, "layers": 2}},
        },
    },
}
NOISY = {"variational_dropout", "weight_drop", "zoneout", "wrappers of wrappers"}
"""Those that draw at random in training, with the options that they have here."""


class Projecting(Cell):
    """The least that a cell with a projection can be."""

    def __init__(self, input_size):
        super().__init__()
        self.output_size = 4
        self.of_x, self.of_h = nn.Linear(input_size, 4), nn.Linear(4, 4)

    def initial_state(self, batch_size):
        return self.of_h.weight.new_zeros(batch_size, 4)

    def project(self, xs):
        return self.of_x(xs)

    def step(self, x, state):
        state = (x + self.of_h(checked_tensor(state, len(x), 4))).tanh()
        return state, state


@pytest.fixture(params=[*cells.names(), *COMPOUND, "projecting"])
def name(request):
    return request.param


@pytest.fixture
def case(name, small):
    """How to build one and the same cell, and what it reads."""
    if name == "projecting":
        return CellCase(Projecting, INPUT)
    return CellCase(partial(cells.build, COMPOUND.get(name) or small(cells, name)), INPUT)


def assert_same(one, other, tolerance=1e-5):
    torch.testing.assert_close([*leaves(one)], [*leaves(other)], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("cell", [*COMPOUND.values(), Projecting], ids=[*COMPOUND, "projecting"])
def test_cells_made_of_others_keep_the_laws_too(cell):
    check_cell(cell, input_size=INPUT).require()


@pytest.mark.parametrize("law", ["a row of its table is an input", "a summary makes a state"])
def test_ways_in_that_only_some_cells_have_of_their_own(case, law):
    next(each for each in CELL_LAWS if each.name == law).test(case)


class TestReading:
    @pytest.mark.parametrize("lengths", [[0, 1, TIME, 3], [2] * 4, [0] * 4, [TIME] * 4])
    def test_each_row_stops_at_its_length(self, case, lengths):
        cell, xs = case.make(torch.float64), case.inputs(torch.float64)
        state = case.some_state(cell, torch.float64)
        before = map_state(torch.clone, state)
        outputs, last = cell(xs, state, torch.tensor(lengths))
        assert outputs.dtype == torch.float64
        assert_same(state, before, 0)
        for row, length in enumerate(lengths):
            alone = reorder(state, torch.tensor([row]))
            wanted = torch.zeros(1, TIME, cell.output_size, dtype=torch.float64)
            if length:
                wanted[:, :length], alone = repeated_step(cell, xs[[row], :length], alone)
            assert_same(outputs[[row]], wanted, 1e-12)
            assert_same(reorder(last, torch.tensor([row])), alone, 1e-12)
            assert not outputs[row, length:].any()

    def test_padding_does_not_matter_and_full_lengths_are_none(self, case):
        cell, xs, lengths = case.make(), case.inputs(), torch.tensor([0, 1, 4, 6])
        padding = torch.arange(TIME).view(1, -1, 1) >= lengths.view(-1, 1, 1)
        wanted = cell(xs, None, lengths)
        assert_same(cell(xs.masked_fill(padding, 1e4), None, lengths), wanted, 0)
        assert_same(cell(xs, None, torch.full((BATCH,), TIME)), cell(xs))

    def test_there_may_be_no_rows_and_no_time(self, case):
        cell = case.make()
        for lengths in (None, torch.zeros(0, dtype=torch.long)):
            outputs, state = cell(case.inputs(batch=0), None, lengths)
            assert outputs.shape == (0, TIME, cell.output_size)
            assert all(len(leaf) == 0 for leaf in leaves(state))
        state = case.some_state(cell)
        outputs, after = cell(case.inputs(time=0), state, torch.zeros(BATCH, dtype=torch.long))
        assert outputs.shape == (BATCH, 0, cell.output_size)
        assert_same(after, state, 0)


class TestTraining:
    def test_it_is_evaluation_but_for_noise(self, name, case):
        cell, xs, lengths = case.make(), case.inputs(), torch.tensor([0, 1, TIME, 3])
        wanted = cell(xs, None, lengths)
        cell.train()
        torch.manual_seed(1)
        found = [cell(xs, None, lengths) for _ in range(2)]
        if name in NOISY:
            assert not all(map(torch.equal, leaves(found[0]), leaves(found[1])))
        else:
            assert_same(found[0], wanted)
            assert_same(repeated_step(cell, xs, cell.initial_state(BATCH)), cell(xs))

    def test_resampling_keeps_the_structure_and_in_evaluation_all(self, case):
        cell = case.make()
        state = case.some_state(cell)
        assert_same(cell.resample_masks(state), state, 0)
        found = cell.train().resample_masks(state)
        assert str(map_state(torch.zeros_like, found)) == str(map_state(torch.zeros_like, state))

    def test_gradients_reach_the_first_input_and_no_padding(self, case):
        cell, xs = case.make(), case.inputs().requires_grad_()
        outputs, _ = cell(xs, None, torch.tensor([6, 6, 5, 1]))
        (outputs * torch.randn(outputs.shape)).sum().backward()
        assert all(each.grad is not None and each.grad.any() for each in cell.parameters())
        assert xs.grad[:, 0].any(1).all()
        assert not xs.grad[3, 1:].any()


def without_a_part(state):
    """`state` with a part missing from a tuple, or one too many, or a tuple left out."""
    if isinstance(state, tuple):
        yield tuple(state[:-1])
        yield (*state, state[-1])
        for index, part in enumerate(state):
            for less in (*without_a_part(part), None):
                yield (*state[:index], less, *state[index + 1 :])


def malformed(state):
    tensors = list(leaves(state))
    for index, each in enumerate(tensors):
        wider, longer = torch.cat([each, each[..., :1]], -1), torch.cat([each, each[:1]])
        for wrong in (wider, longer, each[:1], each.unsqueeze(0)):
            yield rebuild(state, [*tensors[:index], wrong, *tensors[index + 1 :]])
    yield map_state(lambda each: torch.cat([each, each[:1]]), state)
    yield from without_a_part(state)
    yield torch.zeros(BATCH, 1) if isinstance(state, tuple) else (state,)


class Forgetful(Cell):
    """A cell with nothing to remember."""

    output_size = 2

    def initial_state(self, batch_size):
        return None

    def step(self, x, state):
        return x[:, :2], state


class TestWrongStates:
    def test_a_right_one_is_passed_on(self):
        tensor = torch.zeros(2, 3)
        assert checked_tensor(tensor, 2, 3) is tensor
        assert checked_parts((tensor, tensor), ("hidden", "memory"), 2, 3) == (tensor, tensor)

    @pytest.mark.parametrize(
        ("state", "found"), [(torch.zeros(2, 4), r"\[2, 4\]"), (None, "NoneType"), ((), "tuple")]
    )
    def test_a_wrong_tensor_is_named(self, state, found):
        with pytest.raises(ValueError, match=rf"`state` must be \[2, 3\], but is {found}"):
            checked_tensor(state, 2, 3)
        with pytest.raises(ValueError, match=rf"`state.memory` must be \[2, 3\], but is {found}"):
            checked_parts((torch.zeros(2, 3), state), ("hidden", "memory"), 2, 3)

    @pytest.mark.parametrize("state", [None, torch.zeros(2, 3), (torch.zeros(2, 3),)])
    def test_a_tuple_has_all_its_parts(self, state):
        with pytest.raises(ValueError, match="`state` must be a tuple of hidden, memory"):
            checked_parts(state, ("hidden", "memory"), 2, 3)

    def test_one_that_is_missing_inside_of_another_is_named(self):
        inner = GRUCell(input_size=2, hidden_size=3)
        with pytest.raises(ValueError, match="must have a state for each cell, but 3 has None"):
            require_inner(inner, None, "3")
        require_inner(inner, torch.zeros(4, 3), "3")
        require_inner(Forgetful(), None, "3")

    def test_a_malformed_one_is_a_value_error(self, case):
        cell, xs = case.make(), case.inputs()
        for wrong in malformed(case.some_state(cell)):
            with pytest.raises(ValueError, match="`state"):
                cell.step_input(xs[:, 0], wrong)
            with pytest.raises(ValueError, match="`state"):
                cell(xs, wrong)

    def test_a_state_without_numbers_has_no_summary(self):
        with pytest.raises(ValueError, match="the state of Forgetful has no numbers to read or se"):
            Forgetful().summary(None)


class Watched(Projecting):
    def step(self, x, state):
        self.modes = [*getattr(self, "modes", []), (self.training, torch.is_grad_enabled())]
        return super().step(x, state)


class Raises(Projecting):
    def step(self, x, state):
        raise ValueError("two\nlines")


class NoCell:
    def __init__(self, input_size):
        pass


def changed(name, change):
    """A cell whose step returns what `change` makes of output and state."""
    step = {"step": lambda self, *given: change(*Projecting.step(self, *given))}
    return type(name, (Projecting,), step)


ReturnsNone = changed("ReturnsNone", lambda output, state: None)


class TestCellsFromOutside:
    """What is wrong with their steps is said by the laws of cells, a few of which are here."""

    @pytest.mark.parametrize(
        ("cell", "says"),
        [
            (ReturnsNone, "must return the output [2, 4] and the next state, but returned None"),
            (
                changed("Half", lambda output, state: (output, state.half())),
                "the state float16 [2, 4], but `initial_state` made float32 [2, 4]",
            ),
            (
                changed("NotANumber", lambda output, state: (output, (state - state) / 0)),
                "the state from `step` has NaN for small inputs",
            ),
            (
                changed("InfiniteOutput", lambda output, state: (output / 0, state)),
                "the output of `step` has infinite numbers for small inputs",
            ),
            (Raises, "its first step raised ValueError: two lines"),
            (NoCell, "its first step raised AttributeError"),
        ],
        ids=lambda given: getattr(given, "__name__", ""),
    )
    def test_what_is_wrong_is_an_error_that_names_the_cell(self, cell, says, own_registries):
        cells.register("strange")(cell)
        with pytest.raises(PluginError) as raised:
            cells.build("strange", input_size=5)
        described = str(raised.value)
        assert described.startswith(f"the cell {cell.__name__} (")
        assert says in described
        assert "seqgen check " in described

    def test_what_is_right_is_left_as_it_was(self, own_registries):
        cells.register("mine")(Watched)
        torch.manual_seed(1)
        wanted = Watched(5)
        torch.manual_seed(1)
        made = cells.build("mine", input_size=5)
        assert made.training
        assert made.modes == [(False, False)]
        assert torch.equal(made.of_x.weight, wanted.of_x.weight)

    def test_where_there_are_only_shapes_nothing_is_tried(self, own_registries):
        cells.register("strange")(ReturnsNone)
        with torch.device("meta"):
            assert cells.build("strange", input_size=5)

    def test_a_run_ends_with_code_8_and_writes_nothing(self, place, refusal, own_registries):
        cells.register("strange")(ReturnsNone)
        assert "the cell ReturnsNone" in refusal(8, "run", "tiny.yaml", "model.cell=strange")

    def test_the_old_name_of_resample_masks_works_and_warns(self):
        with pytest.warns(DeprecationWarning, match="Old.renew is now called resample_masks"):

            class Old(VariationalDropout):
                def renew(self, state):
                    return super().renew(state)._replace(of_inputs=state.of_inputs)

        made = Old(INPUT, cell="gru")
        state = made.initial_state(2)
        with pytest.warns(DeprecationWarning, match="is now called resample_masks"):
            found = made.resample_masks(state)
        assert found.of_inputs is state.of_inputs
        assert not torch.equal(found.of_outputs, state.of_outputs)
        with warnings.catch_warnings(action="ignore"):
            assert Projecting(INPUT).renew(3) == 3


@pytest.mark.parametrize("rest_size", [0, 2])
def test_a_table_of_inputs_leads_to_the_same_steps(case, rest_size):
    """Of each cell, also where an input goes on with numbers that are in no table."""
    cell = case.make().eval()
    state = cell.initial_state(BATCH)
    xs = torch.randn(BATCH, TIME, INPUT)
    whole = xs.flatten(0, 1)
    with torch.no_grad():
        table, step = cell.tabulated(whole[:, : INPUT - rest_size], rest_size)
        other = state
        for time in range(TIME):
            rows = table.view(BATCH, TIME, -1)[:, time]
            rest = (xs[:, time, INPUT - rest_size :],) if rest_size else ()
            found, other = step(rows, other, *rest)
            wanted, state = cell.step_input(xs[:, time], state)
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
            for one, two in zip(leaves(other), leaves(state), strict=True):
                torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
