"""What of a step runs time by time, and what does not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from written_cells import HIDDEN, INPUT, Plain, require_same, trained

from seqgen.cells import Cell
from seqgen.fast import Route
from seqgen.fast.derive import Level, derive
from seqgen.fast.trace import Call

ORDERS = {"xh": "input first", "hx": "state first", "hxh": "between", "xhx": "around"}


class Joined(Cell):
    """A gate for the joined input `x` and state `h`, in an order of them."""

    def __init__(self, order="xh"):
        super().__init__()
        self.output_size, self.order = HIDDEN, order
        width = sum(INPUT if each == "x" else HIDDEN for each in order)
        self.gate, self.new = nn.Linear(width, HIDDEN), nn.Linear(width, HIDDEN, bias=False)

    def initial_state(self, batch_size):
        return self.new.weight.new_zeros(batch_size, HIDDEN)

    def step(self, x, state):
        f = torch.sigmoid(self.gate(self.joined(x, state)))
        state = (1 - f) * state + f * torch.tanh(self.new(self.joined(x, f * state)))
        return state, state

    def joined(self, x, h):
        return torch.cat([x if each == "x" else h for each in self.order], 1)


def derived(cell, learning=True):
    xs = torch.randn(2, 3, INPUT, requires_grad=learning)
    tensors = dict(cell.named_parameters())
    return derive(Call(cell, cell.loop, xs, cell.initial_state(2), None, tensors))


@pytest.mark.parametrize("order", ORDERS)
def test_products_of_joined_parts_are_taken_apart(order):
    found = derived(Joined(order))
    for level, loop in found.loops.items():
        shapes = {tuple(node.meta["val"].shape[1:]) for node in loop.part.inputs + loop.leaving}
        assert (INPUT,) not in shapes, level
    assert found.x in found.parts[Level.BEFORE].inputs
    cell = Joined(order).double()
    cell.route = Route(compiling=False)
    for lengths in (None, [6, 0, 2, 5]):
        got = trained(cell, cell, torch.float64, lengths)
        require_same(got, trained(cell, cell.loop, torch.float64, lengths), 1e-10)
    assert "derived" in cell.route.describe()[0]


def test_products_of_states_alone_stay_whole():
    cell = Joined("hh")
    targets = [node.target for node in derived(cell).loops[Level.FORWARD].leaving]
    assert targets.count(torch.ops.aten.cat.default) == 2


def test_what_is_cheap_to_make_again_is_not_kept():
    found = derived(Joined())
    assert torch.ops.aten.rsub.Scalar not in {node.target for node in found.saved}


def test_weights_are_transposed_once():
    for loop in derived(Plain()).loops.values():
        assert not set(loop.once.outputs) & set(loop.part.inputs)
        assert all(node.meta["val"].dim() == 2 for node in loop.once.outputs)
