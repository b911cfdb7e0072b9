"""Segments, by a reader that sums up what it reads and keeps a list of its calls."""

import pytest
import torch

from seqgen.cells.segments import read_in_segments
from seqgen.state import leaves


class Sums:
    """The state is the sum so far, with its half beside it; the output is the sum."""

    def __init__(self):
        self.calls = []

    def __call__(self, xs, state):
        total, (half, nothing) = state
        self.calls.append(tuple(xs.shape[:2]))
        assert torch.equal(total, 2 * half)
        sums = total.unsqueeze(1) + xs.cumsum(1)
        return sums, (sums[:, -1], (sums[:, -1] / 2, nothing))


@pytest.fixture
def read():
    return Sums()


def state_of(values):
    first = torch.tensor(values).unsqueeze(1)
    return first, (first / 2, None)


def test_each_token_is_read_once_and_padding_never(read):
    xs = torch.tensor([[1, 2, 3, 4, 5], [9, 9, 9, 9, 9], [6, 7, 8, 9, 9], [1, 1, 1, 9, 9.0]])
    start = state_of([10, 20, 30, 40.0])
    outputs, last = read_in_segments(read, xs.unsqueeze(2), start, torch.tensor([5, 0, 3, 3]))
    assert read.calls == [(3, 3), (1, 2)]
    assert outputs.squeeze(2).tolist() == [
        [11, 13, 16, 20, 25],
        [0, 0, 0, 0, 0],
        [36, 43, 51, 0, 0],
        [41, 42, 43, 0, 0],
    ]
    assert last[0].squeeze(1).tolist() == [25, 20, 51, 43]
    assert last[1][0].squeeze(1).tolist() == [12.5, 10, 25.5, 21.5]
    assert last[1][1] is None


def test_no_row_needs_to_fill_the_batch(read):
    xs = torch.ones(2, 4, 1)
    outputs, last = read_in_segments(read, xs, state_of([0, 0.0]), torch.tensor([2, 2]))
    assert read.calls == [(2, 2)]
    assert outputs.squeeze(2).tolist() == [[1, 2, 0, 0], [1, 2, 0, 0]]
    assert last[0].tolist() == [[2], [2]]


def test_the_gradient_is_that_of_the_rows_alone(read):
    lengths, weights = torch.tensor([2, 4, 0, 1, 4]), torch.randn(5, 4, 1)
    xs, start = torch.randn(5, 4, 1, requires_grad=True), torch.randn(5, 1, requires_grad=True)
    outputs, last = read_in_segments(read, xs, (start, (start / 2, None)), lengths)
    total = (outputs * weights).sum() + sum(leaf.square().sum() for leaf in leaves(last))
    total.backward()
    found = xs.grad, start.grad
    xs.grad = start.grad = None
    for row, length in enumerate(lengths.tolist()):
        alone = start[row] + xs[row, :length].cumsum(0)
        end = start[row] + xs[row, :length].sum(0)
        value = (alone * weights[row, :length]).sum() + 1.25 * end.square().sum()
        value.backward()
    torch.testing.assert_close(found, (xs.grad, start.grad))
    assert not xs.grad[2].any()
