"""What is said about a state of the wrong shape."""

import io

import pytest
import torch
from torch import nn

from seqgen.cells import Cell, GRUCell, cells
from seqgen.cells.base import checked_parts, checked_tensor, require_inner
from seqgen.errors import PluginError
from seqgen.state import batch_size_of, detach, leaves, map_state, reorder


def test_a_right_state_is_passed_on():
    tensor = torch.zeros(2, 3)
    assert checked_tensor(tensor, 2, 3) is tensor
    assert checked_parts((tensor, tensor), ("hidden", "memory"), 2, 3) == (tensor, tensor)


@pytest.mark.parametrize(
    ("state", "found"), [(torch.zeros(2, 4), r"\[2, 4\]"), (None, "NoneType"), ((), "tuple")]
)
def test_a_wrong_tensor_is_named(state, found):
    with pytest.raises(ValueError, match=rf"`state` must be \[2, 3\], but is {found}"):
        checked_tensor(state, 2, 3)
    with pytest.raises(ValueError, match=rf"`state.memory` must be \[2, 3\], but is {found}"):
        checked_parts((torch.zeros(2, 3), state), ("hidden", "memory"), 2, 3)


@pytest.mark.parametrize("state", [None, torch.zeros(2, 3), (torch.zeros(2, 3),)])
def test_a_tuple_has_all_its_parts(state):
    with pytest.raises(ValueError, match="`state` must be a tuple of hidden, memory"):
        checked_parts(state, ("hidden", "memory"), 2, 3)


# The state of a cell inside of another: missing is not the same as none.


class Forgetful(Cell):
    """A cell with nothing to remember."""

    output_size = 2

    def initial_state(self, batch_size):
        return None

    def step(self, x, state):
        return x[:, :2], state


def test_a_missing_state_is_named():
    with pytest.raises(ValueError, match="`state` must have a state for each cell, but 3 has None"):
        require_inner(GRUCell(input_size=2, hidden_size=3), None, "3")


def test_a_state_that_is_there_and_a_cell_without_one_pass():
    require_inner(GRUCell(input_size=2, hidden_size=3), torch.zeros(4, 3), "3")
    require_inner(Forgetful(), None, "3")


# A first look at cells from outside: what is wrong is told before training begins.


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


class ReturnsNone(Elman):
    def step(self, x, state):
        super().step(x, state)


class WrongWidth(Elman):
    def step(self, x, state):
        return super().step(x, state)[0][:, :2], state


class WrongState(Elman):
    def step(self, x, state):
        return super().step(x, state)[0], (state, state)


class Half(Elman):
    def step(self, x, state):
        return super().step(x, state)[0], state.half()


class BatchSecond(Elman):
    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(1, batch_size, 3)


class AList(Elman):
    def initial_state(self, batch_size):
        return [super().initial_state(batch_size)]


class NotANumber(Elman):
    def step(self, x, state):
        return super().step(x, state)[0], state / state


class InfiniteOutput(Elman):
    def step(self, x, state):
        return super().step(x, state)[0] / 0, state


class Raises(Elman):
    def step(self, x, state):
        raise ValueError("two\nlines")


class NoCell:
    def __init__(self, input_size):
        pass


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (ReturnsNone, "must return the output [2, 3] and the state, but returned None"),
        (WrongWidth, "the output of `step` must be [2, 3], but is float32 [2, 2]"),
        (WrongState, "must be float32 [2, 3], but is (float32 [2, 3], float32 [2, 3])"),
        (Half, "must be float32 [2, 3], but is float16 [2, 3]"),
        (BatchSecond, "has a tensor of [1, 2, 3], but batch must be dimension 0: [2, ...]"),
        (AList, "has a list in it, but must be tensors, tuples and None"),
        (NotANumber, "the state that `step` returned is not finite"),
        (InfiniteOutput, "the output of `step` is not finite"),
        (Raises, "its first step raised ValueError: two lines"),
        (NoCell, "its first step raised AttributeError"),
    ],
)
def test_what_is_wrong_is_an_error_that_names_the_cell(cell, says, own_registries):
    cells.register("strange")(cell)
    with pytest.raises(PluginError) as raised:
        cells.build("strange", input_size=5)
    told = str(raised.value)
    assert told.startswith(f"the cell {cell.__name__} (")
    assert says in told
    assert "seqgen check " in told


def test_what_is_right_is_left_as_it_was(own_registries):
    cells.register("mine")(Elman)
    random = torch.get_rng_state()
    torch.manual_seed(1)
    wanted = Elman(5)
    torch.manual_seed(1)
    made = cells.build("mine", input_size=5)
    assert made.training
    assert made.modes == [(False, False)]
    assert torch.equal(made.map.weight, wanted.map.weight)
    torch.set_rng_state(random)


def test_where_only_shapes_are_there_nothing_is_tried(own_registries):
    cells.register("strange")(ReturnsNone)
    with torch.device("meta"):
        assert cells.build("strange", input_size=5)


def test_a_run_ends_with_code_8_and_writes_nothing(place, refusal, own_registries):
    cells.register("strange")(ReturnsNone)
    told = refusal(8, "run", "tiny.yaml", "model.cell=strange")
    assert "the cell ReturnsNone" in told


# The laws of cells, for every registered one and for cells made of them.


INPUT, BATCH, TIME = 3, 4, 6
TIGHT = {torch.float32: 1e-5, torch.float64: 1e-12}

# More of the cells that are made of layers or of other cells; the rest come from the registry.
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
    "rnn of 2 layers with relu": {
        "name": "rnn",
        "hidden_size": 4,
        "layers": 2,
        "nonlinearity": "relu",
    },
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


def inputs(dtype=torch.float32, batch=BATCH, time=TIME):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(batch, time, INPUT, generator=generator, dtype=dtype)


def some_state(cell, batch=BATCH):
    """A state that the cell may well be in."""
    generator = torch.Generator().manual_seed(3)
    dtype = next(cell.parameters()).dtype
    xs = torch.randn(batch, 2, INPUT, generator=generator, dtype=dtype)
    return detach(cell(xs)[1])


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


def test_is_a_cell(make):
    assert isinstance(make(), Cell)


@pytest.mark.parametrize("batch", [1, BATCH])
def test_batch_is_dimension_0_of_every_tensor(make, batch):
    cell = make()
    assert batch_size_of(cell.initial_state(batch)) in (batch, None)
    assert batch_size_of(some_state(cell, batch)) in (batch, None)


def test_outputs_are_as_wide_as_declared(make, dtype):
    cell = make(dtype)
    outputs, state = cell(inputs(dtype))
    assert outputs.shape == (BATCH, TIME, cell.output_size)
    output, _ = cell.step_input(inputs(dtype)[:, 0], state)
    assert output.shape == (BATCH, cell.output_size)
    assert {leaf.dtype for leaf in (outputs, output)} == {dtype}


def test_the_state_keeps_its_structure(make):
    cell = make()
    first = cell.initial_state(BATCH)
    for state in (some_state(cell), cell.step_input(inputs()[:, 0], first)[1]):
        shapes = map_state(lambda _, other: other, first, state)
        assert [leaf.shape for leaf in leaves(shapes)] == [leaf.shape for leaf in leaves(first)]
        assert str(map_state(torch.zeros_like, state)) == str(map_state(torch.zeros_like, first))


def test_no_state_is_the_initial_state(make):
    cell = make()
    assert_same(cell(inputs()), cell(inputs(), cell.initial_state(BATCH)), 0)


def test_forward_is_repeated_step(make, dtype):
    cell, xs = make(dtype), inputs(dtype)
    state = some_state(cell)
    assert_same(cell(xs, state), step_by_step(cell, xs, state), TIGHT[dtype])


def test_training_is_evaluation_but_for_noise(make):
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


def test_renewing_keeps_the_structure_and_in_evaluation_all(make):
    cell = make()
    state = some_state(cell)
    assert_same(cell.renew(state), state, 0)
    cell.train()
    renewed = cell.renew(state)
    assert str(map_state(torch.zeros_like, renewed)) == str(map_state(torch.zeros_like, state))


@pytest.mark.parametrize("lengths", [[0, 1, TIME, 3], [2, 2, 2, 2], [0, 0, 0, 0], [TIME] * BATCH])
def test_forward_stops_each_row_at_its_length(make, dtype, lengths):
    cell, xs = make(dtype), inputs(dtype)
    state = some_state(cell)
    outputs, last = cell(xs, state, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone = reorder(state, torch.tensor([row]))
        wanted = torch.zeros(1, TIME, cell.output_size, dtype=dtype)
        if length:
            wanted[:, :length], alone = step_by_step(cell, xs[row : row + 1, :length], alone)
        assert_same(outputs[row : row + 1], wanted, TIGHT[dtype])
        assert_same(reorder(last, torch.tensor([row])), alone, TIGHT[dtype])
        assert not outputs[row, length:].any()


def test_what_lies_behind_the_length_does_not_matter(make):
    cell, lengths = make(), torch.tensor([0, 1, 4, 6])
    behind = torch.arange(TIME).view(1, -1, 1) >= lengths.view(-1, 1, 1)
    wanted = cell(inputs(), None, lengths)
    assert_same(cell(inputs().masked_fill(behind, 1e4), None, lengths), wanted, 0)


def test_full_lengths_are_no_lengths(make):
    cell = make()
    assert_same(cell(inputs(), None, torch.full((BATCH,), TIME)), cell(inputs()))


@pytest.mark.parametrize("sizes", [[TIME], [1] * TIME, [2, 3, 1], [0, 4, 0, 2]])
def test_chunks_are_the_whole(make, sizes):
    cell, outputs, state = make(), [], None
    for chunk in inputs().split(sizes, 1):
        output, state = cell(chunk, state)
        outputs.append(output)
    assert_same((torch.cat(outputs, 1), state), cell(inputs()))


def test_a_row_alone_is_the_row_in_the_batch(make):
    cell = make()
    state = some_state(cell)
    outputs, last = cell(inputs(), state)
    for row in range(BATCH):
        here = torch.tensor([row])
        alone = cell(inputs()[here], reorder(state, here))
        assert_same(alone, (outputs[here], reorder(last, here)))


def test_step_commutes_with_reorder(make):
    cell, rows = make(), torch.tensor([3, 0, 0, 2, 1])
    x, state = inputs()[:, 0], some_state(cell)
    output, following = cell.step_input(x, state)
    assert_same(cell.step_input(x[rows], reorder(state, rows)), reorder((output, following), rows))


def test_step_does_not_write_into_its_state(make):
    cell = make()
    state = some_state(cell)
    before = [leaf.clone() for leaf in leaves(state)]
    cell.step_input(inputs()[:, 0], state)
    cell(inputs(), state, torch.tensor([0, 1, 2, 6]))
    assert_same(tuple(before), tuple(leaves(state)), 0)


def test_a_batch_may_be_empty(make):
    cell = make()
    for lengths in (None, torch.zeros(0, dtype=torch.long)):
        outputs, state = cell(inputs(batch=0), None, lengths)
        assert outputs.shape == (0, TIME, cell.output_size)
        assert all(len(leaf) == 0 for leaf in leaves(state))


def test_no_time_changes_nothing(make):
    cell = make()
    for lengths in (None, torch.zeros(BATCH, dtype=torch.long)):
        state = some_state(cell)
        outputs, after = cell(inputs(time=0), state, lengths)
        assert outputs.shape == (BATCH, 0, cell.output_size)
        assert_same(after, state, 0)


def test_gradients_reach_every_parameter_and_the_first_input(make):
    cell, xs = make(), inputs().requires_grad_()
    outputs, _ = cell(xs, None, torch.tensor([6, 6, 5, 1]))
    (outputs * torch.randn(outputs.shape)).sum().backward()
    without = [name for name, each in cell.named_parameters() if each.grad is None]
    zero = [name for name, each in cell.named_parameters() if not each.grad.any()]
    assert without == zero == []
    assert xs.grad[:, 0].any(1).all()
    assert not xs.grad[3, 1:].any()


def test_gradients_are_the_same_by_step(make):
    found = []
    for read in (lambda cell, *rest: cell(*rest), step_by_step):
        cell, xs = make(torch.float64), inputs(torch.float64).requires_grad_()
        outputs, state = read(cell, xs, some_state(cell))
        (outputs.square().sum() + sum(leaf.sum() for leaf in leaves(state))).backward()
        found.append([xs.grad, *(each.grad for each in cell.parameters())])
    torch.testing.assert_close(*found)


def test_gradients_are_right(make):
    cell = make(torch.float64)
    state, lengths = some_state(cell, 2), torch.tensor([3, 1])

    def read(xs, *parameters):
        outputs, after = cell(xs, state, lengths)
        return (outputs, *leaves(after))

    xs = inputs(torch.float64, batch=2, time=3).requires_grad_()
    assert torch.autograd.gradcheck(read, (xs, *cell.parameters()), fast_mode=True)


def test_weights_are_saved_and_loaded(make):
    cell, stored = make(), io.BytesIO()
    torch.save(cell.state_dict(), stored)
    stored.seek(0)
    other = make()
    with torch.no_grad():
        for each in other.parameters():
            each.add_(1)
    assert not torch.allclose(other(inputs())[0], cell(inputs())[0])
    other.load_state_dict(torch.load(stored, weights_only=True))
    assert_same(other(inputs()), cell(inputs()), 0)


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


def test_a_malformed_state_is_a_value_error(make):
    cell = make()
    state = some_state(cell)
    for wrong in malformed(state):
        with pytest.raises(ValueError, match="`state"):
            cell.step_input(inputs()[:, 0], wrong)
        with pytest.raises(ValueError, match="`state"):
            cell(inputs(), wrong)
