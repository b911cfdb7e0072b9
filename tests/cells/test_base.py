"""What every cell does beyond the laws of `check_cell`, and what is said of a bad one."""

import warnings

import pytest
import torch
from torch import nn

from seqgen.cells import Cell, GRUCell, VariationalDropout, cells
from seqgen.cells.base import checked_parts, checked_tensor, require_inner
from seqgen.errors import PluginError
from seqgen.state import detach, leaves, map_state, reorder
from seqgen.testing import check_cell

INPUT, BATCH, TIME = 3, 4, 6
TIGHT = {torch.float32: 1e-5, torch.float64: 1e-12}

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
        if not isinstance(state, torch.Tensor) or state.shape != (len(x), 4):
            raise ValueError("`state` must be one tensor")
        state = (x + self.of_h(state)).tanh()
        return state, state


@pytest.fixture(params=[*cells.names(), *COMPOUND, "projecting"])
def make(request, small):
    """A function that builds one and the same cell, in a dtype and in evaluation mode."""

    def build(dtype=torch.float32):
        torch.manual_seed(1)
        if request.param == "projecting":
            return Projecting(INPUT).to(dtype).eval()
        spec = COMPOUND.get(request.param) or small(cells, request.param)
        return cells.build(spec, input_size=INPUT).to(dtype).eval()

    build.noisy = request.param in NOISY
    return build


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def dtype(request):
    return request.param


def inputs(dtype=torch.float32, batch=BATCH, time=TIME, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, time, INPUT, generator=generator, dtype=dtype)


def some_state(cell, batch=BATCH):
    """A state that the cell may well be in."""
    return detach(cell(inputs(next(cell.parameters()).dtype, batch, 2, seed=3))[1])


def step_by_step(cell, xs, state):
    outputs = []
    for x in xs.unbind(1):
        output, state = cell.step_input(x, state)
        outputs.append(output)
    return torch.stack(outputs, 1), state


def assert_same(one, other, tolerance=1e-5):
    found, wanted = list(leaves(one)), list(leaves(other))
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("cell", [*COMPOUND.values(), Projecting], ids=[*COMPOUND, "projecting"])
def test_cells_made_of_others_keep_the_laws_too(cell):
    check_cell(cell, input_size=INPUT).require()


class TestReading:
    def test_forward_is_the_repeated_step(self, make, dtype):
        cell, xs = make(dtype), inputs(dtype)
        state = some_state(cell)
        outputs, last = cell(xs, state)
        assert outputs.dtype == dtype
        assert_same((outputs, last), step_by_step(cell, xs, state), TIGHT[dtype])

    @pytest.mark.parametrize("lengths", [[0, 1, TIME, 3], [2] * 4, [0] * 4, [TIME] * 4])
    def test_each_row_stops_at_its_length(self, make, dtype, lengths):
        cell, xs = make(dtype), inputs(dtype)
        state = some_state(cell)
        before = map_state(torch.clone, state)
        outputs, last = cell(xs, state, torch.tensor(lengths))
        assert_same(state, before, 0)
        for row, length in enumerate(lengths):
            alone = reorder(state, torch.tensor([row]))
            wanted = torch.zeros(1, TIME, cell.output_size, dtype=dtype)
            if length:
                wanted[:, :length], alone = step_by_step(cell, xs[row : row + 1, :length], alone)
            assert_same(outputs[row : row + 1], wanted, TIGHT[dtype])
            assert_same(reorder(last, torch.tensor([row])), alone, TIGHT[dtype])
            assert not outputs[row, length:].any()

    def test_padding_does_not_matter_and_full_lengths_are_none(self, make):
        cell, lengths = make(), torch.tensor([0, 1, 4, 6])
        padding = torch.arange(TIME).view(1, -1, 1) >= lengths.view(-1, 1, 1)
        wanted = cell(inputs(), None, lengths)
        assert_same(cell(inputs().masked_fill(padding, 1e4), None, lengths), wanted, 0)
        assert_same(cell(inputs(), None, torch.full((BATCH,), TIME)), cell(inputs()))

    @pytest.mark.parametrize("sizes", [[TIME], [1] * TIME, [2, 3, 1], [0, 4, 0, 2]])
    def test_chunks_are_the_whole(self, make, sizes):
        cell, outputs, state = make(), [], None
        for chunk in inputs().split(sizes, 1):
            output, state = cell(chunk, state)
            outputs.append(output)
        assert_same((torch.cat(outputs, 1), state), cell(inputs()))

    def test_there_may_be_no_rows_and_no_time(self, make):
        cell = make()
        for lengths in (None, torch.zeros(0, dtype=torch.long)):
            outputs, state = cell(inputs(batch=0), None, lengths)
            assert outputs.shape == (0, TIME, cell.output_size)
            assert all(len(leaf) == 0 for leaf in leaves(state))
        state = some_state(cell)
        outputs, after = cell(inputs(time=0), state, torch.zeros(BATCH, dtype=torch.long))
        assert outputs.shape == (BATCH, 0, cell.output_size)
        assert_same(after, state, 0)


class TestTraining:
    def test_it_is_evaluation_but_for_noise(self, make):
        cell, xs, lengths = make(), inputs(), torch.tensor([0, 1, TIME, 3])
        wanted = cell(xs, None, lengths)
        cell.train()
        torch.manual_seed(1)
        found = [cell(xs, None, lengths) for _ in range(2)]
        if make.noisy:
            assert not all(map(torch.equal, leaves(found[0]), leaves(found[1])))
        else:
            assert_same(found[0], wanted)
            assert_same(step_by_step(cell, xs, cell.initial_state(BATCH)), cell(xs))

    def test_resampling_keeps_the_structure_and_in_evaluation_all(self, make):
        cell = make()
        state = some_state(cell)
        assert_same(cell.resample_masks(state), state, 0)
        found = cell.train().resample_masks(state)
        assert str(map_state(torch.zeros_like, found)) == str(map_state(torch.zeros_like, state))

    def test_gradients_reach_the_first_input_and_no_padding(self, make):
        cell, xs = make(), inputs().requires_grad_()
        outputs, _ = cell(xs, None, torch.tensor([6, 6, 5, 1]))
        (outputs * torch.randn(outputs.shape)).sum().backward()
        assert all(each.grad is not None and each.grad.any() for each in cell.parameters())
        assert xs.grad[:, 0].any(1).all()
        assert not xs.grad[3, 1:].any()

    def test_gradients_are_the_same_by_step(self, make):
        found = []
        for read in (lambda cell, *rest: cell(*rest), step_by_step):
            cell, xs = make(torch.float64), inputs(torch.float64).requires_grad_()
            outputs, state = read(cell, xs, some_state(cell))
            (outputs.square().sum() + sum(leaf.sum() for leaf in leaves(state))).backward()
            found.append([xs.grad, *(each.grad for each in cell.parameters())])
        torch.testing.assert_close(*found)


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

    def test_a_malformed_one_is_a_value_error(self, make):
        cell = make()
        for wrong in malformed(some_state(cell)):
            with pytest.raises(ValueError, match="`state"):
                cell.step_input(inputs()[:, 0], wrong)
            with pytest.raises(ValueError, match="`state"):
                cell(inputs(), wrong)

    def test_a_state_without_numbers_has_no_summary(self):
        with pytest.raises(ValueError, match="the state of Forgetful has no numbers to read or se"):
            Forgetful().summary(None)


class Forgetful(Cell):
    """A cell with nothing to remember."""

    output_size = 2

    def initial_state(self, batch_size):
        return None

    def step(self, x, state):
        return x[:, :2], state


def each_leaf(state, change):
    """`state` with one tensor changed, for each of its tensors."""
    for index in range(len(list(leaves(state)))):
        places = iter(range(10**6))

        def one(tensor, places=places, index=index):
            return change(tensor) if next(places) == index else tensor

        yield map_state(one, state)


def each_tuple(state):
    """`state` with one part missing from one of its tuples, and with one tuple left out."""
    if isinstance(state, tuple):
        yield tuple(state[:-1])
        yield (*state, state[-1])
        for index, part in enumerate(state):
            for less in (*each_tuple(part), None):
                yield (*state[:index], less, *state[index + 1 :])


def malformed(state):
    yield from each_leaf(state, lambda tensor: torch.cat([tensor, tensor[..., :1]], -1))
    yield from each_leaf(state, lambda tensor: torch.cat([tensor, tensor[:1]], 0))
    yield from each_leaf(state, lambda tensor: tensor[:1])
    yield from each_leaf(state, lambda tensor: tensor.unsqueeze(0))
    yield map_state(lambda tensor: torch.cat([tensor, tensor[:1]], 0), state)
    yield from each_tuple(state)
    yield torch.zeros(BATCH, 1) if isinstance(state, tuple) else (state,)


class Elman(Cell):
    """Nothing is wrong with this one."""

    def __init__(self, input_size):
        super().__init__()
        self.output_size = 3
        self.map = torch.nn.Linear(input_size + 3, 3)
        self.modes = []

    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(batch_size, 3)

    def step(self, x, state):
        self.modes.append((self.training, torch.is_grad_enabled()))
        state = torch.tanh(self.map(torch.cat([x, state], 1)))
        return state, state


def elman(name, change):
    """A kind of Elman whose step returns what `change` makes of its output and state."""
    return type(name, (Elman,), {"step": lambda self, *given: change(*Elman.step(self, *given))})


class Raises(Elman):
    def step(self, x, state):
        raise ValueError("two\nlines")


class NoCell:
    def __init__(self, input_size):
        pass


ReturnsNone = elman("ReturnsNone", lambda output, state: None)


class TestCellsFromOutside:
    """What is wrong with their steps is said by the laws of cells, a few of which are here."""

    @pytest.mark.parametrize(
        ("cell", "says"),
        [
            (ReturnsNone, "must return the output [2, 3] and the next state, but returned None"),
            (
                elman("Half", lambda output, state: (output, state.half())),
                "the state float16 [2, 3], but `initial_state` made float32 [2, 3]",
            ),
            (
                elman("NotANumber", lambda output, state: (output, (state - state) / 0)),
                "the state from `step` has NaN for small inputs",
            ),
            (
                elman("InfiniteOutput", lambda output, state: (output / 0, state)),
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
        cells.register("mine")(Elman)
        torch.manual_seed(1)
        wanted = Elman(5)
        torch.manual_seed(1)
        made = cells.build("mine", input_size=5)
        assert made.training
        assert made.modes == [(False, False)]
        assert torch.equal(made.map.weight, wanted.map.weight)

    def test_where_there_are_only_shapes_nothing_is_tried(self, own_registries):
        cells.register("strange")(ReturnsNone)
        with torch.device("meta"):
            assert cells.build("strange", input_size=5)

    def test_a_run_ends_with_code_8_and_writes_nothing(self, place, refusal, own_registries):
        cells.register("strange")(ReturnsNone)
        assert "the cell ReturnsNone" in refusal(8, "run", "tiny.yaml", "model.cell=strange")

    def test_the_old_name_of_resample_masks_works_and_warns(self):
        with pytest.warns(DeprecationWarning, match=r"Old.renew: the method is called `resample_m"):

            class Old(VariationalDropout):
                def renew(self, state):
                    return super().renew(state)._replace(of_inputs=state.of_inputs)

        made = Old(INPUT, cell="gru")
        state = made.initial_state(2)
        with pytest.warns(DeprecationWarning, match="is called `resample_masks` now"):
            found = made.resample_masks(state)
        assert found.of_inputs is state.of_inputs
        assert not torch.equal(found.of_outputs, state.of_outputs)
        with warnings.catch_warnings(action="ignore"):
            assert Projecting(INPUT).renew(3) == 3
