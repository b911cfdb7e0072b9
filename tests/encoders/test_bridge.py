"""Bridges: from a summary to what a cell begins with, for any two cells."""

import pytest
import torch

from seqgen.cells import cells
from seqgen.encoders import Bridge, bridges
from seqgen.options import OptionError
from seqgen.state import outline


@pytest.fixture
def summary():
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=bridges.names())
def name(request):
    return request.param


def test_gives_a_state_its_numbers(name):
    bridge = bridges.build(name, summary_size=5, state_size=5)
    assert isinstance(bridge, Bridge)
    assert bridge(torch.randn(3, 5)).shape == (3, 5)
    assert bridge(torch.randn(0, 5)).shape == (0, 5)


@pytest.mark.parametrize("cell", cells.names())
def test_any_cell_begins_with_what_comes_over_the_bridge(small, cell, summary):
    made = cells.build(small(cells, cell), input_size=3).eval()
    size = made.summary(made.initial_state(1)).shape[1]
    bridge = bridges.build("linear", summary_size=5, state_size=size)
    numbers = bridge(summary)
    state = made.state_from(numbers)
    assert outline(state) == outline(made.initial_state(3))
    torch.testing.assert_close(made.summary(state), numbers)
    outputs, _ = made(torch.randn(3, 2, 3), state)
    outputs.sum().backward()
    assert bridge.linear.weight.grad.any()


def test_linear_maps_any_size_to_any(summary):
    bridge = bridges.build("linear", summary_size=5, state_size=2)
    with torch.no_grad():
        bridge.linear.weight.fill_(1)
        bridge.linear.bias.fill_(0.5)
    wanted = (summary.sum(1, keepdim=True) + 0.5).tanh().expand(3, 2)
    torch.testing.assert_close(bridge(summary), wanted)


def test_copy_changes_nothing_and_wants_equal_sizes(summary):
    assert bridges.build("copy", summary_size=5, state_size=5)(summary) is summary
    with pytest.raises(OptionError, match="they have 5 and 6 numbers; `linear` maps any to any"):
        bridges.build("copy", summary_size=5, state_size=6)


def test_zeros_let_nothing_pass(summary):
    assert bridges.build("zeros", state_size=2)(summary).tolist() == [[0, 0]] * 3
