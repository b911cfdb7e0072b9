"""Cells written as a step, each with one thing that a fast route has to cope with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seqgen.cells import Cell
from seqgen.state import State, leaves

INPUT, HIDDEN = 5, 6


class Plain(Cell):
    """A long short-term memory as a student writes it; `change` is done to its output."""

    def __init__(self, change: Callable[[Any, Tensor], Tensor] = lambda cell, output: output):
        super().__init__()
        self.output_size = HIDDEN
        self.of_input = nn.Linear(INPUT, 4 * HIDDEN)
        self.of_hidden = nn.Linear(HIDDEN, 4 * HIDDEN)
        self.above = nn.Linear(HIDDEN, HIDDEN)
        self.change = change

    def initial_state(self, batch_size: int) -> State:
        zeros = self.of_input.weight.new_zeros(batch_size, HIDDEN)
        return zeros, zeros

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, memory = state
        i, f, g, o = (self.of_input(x) + self.of_hidden(hidden)).chunk(4, 1)
        memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(memory)
        return self.change(self, hidden), (hidden, memory)


CHANGES = {
    "nothing": lambda cell, y: y,
    "a layer above": lambda cell, y: cell.above(y),
    "dropout": lambda cell, y: nn.functional.dropout(y, 0.4, cell.training),
    "two draws": lambda cell, y: y * torch.rand_like(y) + torch.randn_like(y),
    "layer norm": lambda cell, y: nn.functional.layer_norm(y, y.shape[-1:]),
    "softmax": lambda cell, y: torch.softmax(y, 1),
    "other functions": lambda cell, y: nn.functional.gelu(y) + y.exp().log1p() + y.abs().sqrt(),
    "moved about": lambda cell, y: torch.cat([y[:, 3:], y[:, :3]], 1).clamp(-0.1, 0.2),
    "blocks": lambda cell, y: (y.view(-1, 2, 3).transpose(0, 1) * 2).sum(0).repeat(1, 2),
    "written in place": lambda cell, y: y.clone().mul_(2),
}


def trained(cell, read, dtype=torch.float32, lengths=None, batch=4):
    """Outputs, last state and gradients of a reading in training."""
    torch.manual_seed(1)
    xs = torch.randn(batch, 6, INPUT, dtype=dtype, requires_grad=True)
    first = cell.initial_state(batch)
    outputs, last = read(xs, first, None if lengths is None else torch.tensor(lengths))
    ends = [each for each in (outputs, *leaves(last)) if each.requires_grad]
    seeds = [torch.randn_like(each) for each in ends]
    asked = [xs, *cell.parameters()]
    return [*ends, *torch.autograd.grad(ends, asked, seeds, allow_unused=True)]


def require_same(got, wanted, tolerance):
    for one, other in zip(got, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


def require_the_loop(cell, route, tolerance=1e-5, **reading):
    """The values of the loop come by `route`, too; returns what that says of how it reads."""
    cell.route = route
    require_same(trained(cell, cell, **reading), trained(cell, cell.loop, **reading), tolerance)
    return route.describe()
