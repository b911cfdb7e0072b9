"""The fast route is the loop: its values, gradients and random numbers, or it steps back."""

from __future__ import annotations

import copy
import math
import pickle
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from written_cells import CHANGES, INPUT, Plain, require_same, require_the_loop, trained

from seqgen.cells import cells, take_fast_routes
from seqgen.fast import Call, Route
from seqgen.fast.route import Reader

DERIVED = "derived up to 16 rows, else step by step (not compiled)"
LENGTHS = (None, [6, 0, 2, 5])
REFUSED = {
    "rows meet": (lambda cell, y: y - y.mean(0), "rows of the batch meet"),
    "rows are ordered": (
        lambda cell, y: cell.above(y).cumsum(0),
        "gives other values than its steps",
    ),
    "asks for a value": (lambda cell, y: y if y.sum() > 0 else -y, "cannot be traced"),
    "a tensor of its own": (lambda cell, y: y * torch.tensor(2.0), "neither parameter nor buffer"),
    "chances from values": (lambda cell, y: torch.bernoulli(y.sigmoid()) * y, "its chances"),
}


@pytest.mark.parametrize("lengths", LENGTHS, ids=["whole", "lengths"])
@pytest.mark.parametrize("change", CHANGES)
def test_small_operations_are_the_loop(change, lengths):
    cell = Plain(CHANGES[change]).double().train()
    route, reading = Route(compiling=False), {"dtype": torch.float64, "lengths": lengths}
    assert require_the_loop(cell, route, 1e-10, **reading) == [DERIVED]


@pytest.mark.parametrize("refused", REFUSED)
def test_what_cannot_be_derived_is_read_step_by_step_and_says_why(refused):
    change, why = REFUSED[refused]
    cell = Plain(change).train()
    assert why in require_the_loop(cell, Route(compiling=False), 0.0)[0]


def test_many_rows_without_a_compiler_are_read_step_by_step():
    require_the_loop(Plain().train(), Route(compiling=False), 0.0, batch=17)


def test_inputs_that_another_layer_has_made_are_read_as_others():
    below, cell = torch.nn.Linear(INPUT, INPUT), Plain().train()
    cell.route = Route(compiling=False)
    require_same(
        trained(cell, lambda xs, *rest: cell(below(xs), *rest)),
        trained(cell, lambda xs, *rest: cell.loop(below(xs), *rest)),
        1e-5,
    )
    assert cell.route.describe() == [DERIVED]


def test_masks_of_a_sequence_count_as_inputs():
    inner = {"name": "lstm_cell", "hidden_size": 4}
    cell = cells.build({"name": "variational_dropout", "cell": inner}, input_size=INPUT).train()
    route = Route(compiling=False)
    got = trained(cell, partial(route.read, cell, cell.loop))
    require_same(got, trained(cell, cell.loop), 1e-5)


def test_weights_that_are_replaced_for_a_call_are_those_that_learn():
    spec = {"name": "weight_drop", "rate": 0.3, "cell": {"name": "gru_cell", "hidden_size": 4}}
    cell = cells.build(spec, input_size=INPUT).train()
    wanted = trained(cell, cell)
    routes = take_fast_routes(cell)
    assert list(routes) == ["cell"]
    routes["cell"].compiling = False
    require_same(trained(cell, cell), wanted, 1e-5)


def test_a_second_derivative_is_taken_by_the_loop():
    cell = Plain().double().train()

    def curvature():
        xs = torch.ones(2, 3, INPUT, dtype=torch.float64, requires_grad=True)
        [gradient] = torch.autograd.grad(cell(xs)[0].pow(2).sum(), xs, create_graph=True)
        return torch.autograd.grad(gradient.pow(2).sum(), [xs, cell.of_hidden.weight])

    wanted = curvature()
    cell.route = Route(compiling=False)
    require_same(curvature(), wanted, 1e-10)


def test_without_gradients_nothing_of_them_is_derived():
    cell = Plain().eval()
    cell.route = Route(compiling=False)
    xs = torch.randn(2, 4, INPUT)
    with torch.no_grad():
        got = cell(xs)[0]
        torch.testing.assert_close(got, cell.loop(xs, cell.initial_state(2))[0])
    [reader] = cell.route.readers.values()
    assert not reader.backward


def test_autocast_is_left_to_the_loop():
    cell = Plain().train()
    cell.route = Route(compiling=False)
    with torch.autocast("cpu", torch.bfloat16):
        cell(torch.randn(2, 3, INPUT))
    assert not cell.route.readers


@pytest.mark.parametrize("lengths", LENGTHS, ids=["whole", "lengths"])
@pytest.mark.parametrize("change", CHANGES)
def test_all_is_made_where_the_weights_are(change, lengths):
    """`meta` stands for a GPU: it has shapes without numbers, and no tensor of it meets others."""
    cell = Plain(CHANGES[change]).to("meta").train()
    xs, ends = torch.randn(20, 6, INPUT, device="meta"), lengths and torch.tensor(lengths * 5)
    call = Call(cell, cell.loop, xs, cell.initial_state(20), ends, dict(cell.named_parameters()))
    reader = Reader(call)
    outputs, last = reader.read(call)
    outputs.sum().backward()
    made = (outputs, *last, *(each.grad for each in cell.of_hidden.parameters()))
    assert all(each.is_meta for each in made)
    assert reader.describe() == "in small operations (not compiled)"
    assert reader.most_rows == math.inf  # a GPU has fewer operations to wait for than in the loop


class Launches(TorchDispatchMode):
    """Counts the operations that compute something, each of which a GPU must be told."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += not (
            func.is_view or func.overloadpacket.__name__ in ("_unsafe_view", "empty")
        )
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "share"),
    [("written", 0.77), ("gru_cell", 0.79), ("layer_norm_lstm", 0.88), ("slstm", 0.91)],
)
def test_small_operations_are_fewer_than_those_of_the_loop(name, share):
    """Which is why a GPU takes them for any number of rows."""
    spec = {"name": name, "hidden_size": 8}
    cell = Plain() if name == "written" else cells.build(spec, input_size=INPUT)
    cell.train().route = Route(compiling=False)
    xs, state, counts = torch.randn(4, 50, INPUT), cell.initial_state(4), []
    for read in (cell, cell, cell.loop):  # the first derives and checks
        with Launches() as launches:
            read(xs, state)[0].sum().backward()
        counts.append(launches.count)
    assert counts[1] <= share * counts[2]


def test_an_option_that_changes_is_seen():
    cell = Plain(lambda cell, y: y * cell.scale).train()
    cell.route = Route(compiling=False)
    for cell.scale in (1.0, 2.0):
        require_same(trained(cell, cell), trained(cell, cell.loop), 1e-5)


def test_a_copy_begins_anew():
    cell = Plain()
    cell.route = Route(compiling=False)
    trained(cell, cell)
    for copied in (copy.deepcopy(cell).route, pickle.loads(pickle.dumps(cell.route))):
        assert (copied.compiling, copied.readers) == (False, {})
