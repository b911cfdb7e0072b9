"""The held-out stream: each target once, from its true state, however many lanes are read."""

import pytest
import torch

from seqgen.data import TextSize
from seqgen.data.stream import SHORTEST_LANE, WINDOW, StreamSplit

SIZE = TextSize(1, 1)


class Visits:
    """A visit of a model whose state is a sum over what it has read, times `keep` each step.

    `keep` 0 remembers the last token only, 1 remembers all for ever. The result of a visit is the
    inputs, the targets and the state before.
    """

    def __init__(self, keep):
        self.keep = keep
        self.batches = []

    def initial_state(self, rows):
        return torch.zeros(rows, dtype=torch.float64)

    def visit(self, batch, state):
        self.batches.append(batch)
        result = batch.inputs, batch.targets, state
        for x in batch.inputs.unbind(1):
            state = self.keep * state + x
        return result, state


def split(tokens):
    return StreamSplit(torch.arange(tokens + 1), SIZE, 0)


LENGTHS = [1, 2, WINDOW, 511, 512, 1024, 1025, 5000, 4 * SHORTEST_LANE + 3]


@pytest.mark.parametrize("tokens", LENGTHS)
@pytest.mark.parametrize("rows", [1, 2, 3, 32])
@pytest.mark.parametrize("keep", [0.0, 0.5, 1.0])
def test_each_target_once_from_the_state_that_is_true_there(tokens, rows, keep):
    visits = Visits(keep)
    results = split(tokens).walk(visits.visit, visits.initial_state, rows)
    true = torch.zeros(tokens + 1, dtype=torch.float64)
    for moment in range(tokens):
        true[moment + 1] = keep * true[moment] + moment
    seen = []
    for inputs, targets, before in results:
        assert torch.equal(targets, inputs + 1)
        assert torch.equal(inputs, inputs[:, :1] + torch.arange(inputs.shape[1]))
        torch.testing.assert_close(before, true[inputs[:, 0]], rtol=1e-6, atol=1e-6)
        seen += targets.flatten().tolist()
    assert sorted(seen) == list(range(1, tokens + 1))


@pytest.mark.parametrize("rows", [1, 2, 9, 1000])
def test_visits_are_bounded_in_rows_and_in_time(rows):
    visits = Visits(0.5)
    split(5000).walk(visits.visit, visits.initial_state, rows)
    shapes = [each.inputs.shape for each in visits.batches]
    assert max(shape[0] for shape in shapes) == min(rows, 5000 // SHORTEST_LANE)
    assert max(shape[1] for shape in shapes) <= WINDOW
    assert all(each.continues and each.lengths is None for each in visits.batches)


@pytest.mark.parametrize(("keep", "passes"), [(0.0, 1), (0.5, 1), (1.0, 8)])
def test_a_state_that_forgets_is_read_once_and_another_as_often_as_needed(keep, passes):
    """Besides the guess, which reads one window of each lane."""
    visits = Visits(keep)
    split(8 * 1024).walk(visits.visit, visits.initial_state, 8)
    assert len(visits.batches) == 1 + passes * 1024 // WINDOW


def test_a_model_without_a_state_is_read_once():
    calls = []

    def visit(batch, state):
        calls.append(batch)
        assert state is None
        return batch.targets, None

    results = split(1500).walk(visit, lambda rows: None, 2)
    assert sorted(torch.cat([each.flatten() for each in results]).tolist()) == list(range(1, 1501))
    assert len(calls) == 1 + 3


def test_states_of_several_tensors_and_integers():
    def visit(batch, state):
        count, (last, none) = state
        assert none is None
        assert torch.equal(last + 1, batch.inputs[:, 0])
        assert count.dtype == torch.long
        return count, (count + batch.inputs.shape[1], (batch.inputs[:, -1], None))

    def initial_state(rows):
        return torch.zeros(rows, dtype=torch.long), (torch.full((rows,), -1), None)

    guessed = []

    def forgiving(batch, state):
        """The guess begins in the middle of a lane, with a state from nowhere; look behind it."""
        if len(guessed) < 1:
            guessed.append(batch)
            state = state[0], (batch.inputs[:, 0] - 1, None)
        elif not torch.equal(state[0], batch.inputs[:, 0]):
            return None, (state[0] + batch.inputs.shape[1], (batch.inputs[:, -1], None))
        return visit(batch, state)

    results = split(2 * 600 + 1).walk(forgiving, initial_state, 2)
    assert [each.tolist() for each in results] == [[0, 600], [256, 856], [512, 1112], [1200]]


def test_says_what_it_holds():
    made = StreamSplit(torch.tensor([1, 4, 3, 3]), TextSize(3, 7), 2)
    assert (made.tokens, made.size, made.unknown) == (3, TextSize(3, 7), 2)


def test_a_state_that_is_no_number_is_read_to_an_end():
    visits = Visits(float("nan"))
    results = split(4 * 600).walk(visits.visit, visits.initial_state, 4)
    targets = [each.flatten() for _, each, _ in results]
    assert sorted(torch.cat(targets).tolist()) == list(range(1, 2401))
    assert len(visits.batches) == 1 + 4 * 3
